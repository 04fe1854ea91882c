"""Options whose values are pairs and lists in a text of their own: `--map`, `--bin`, `--at`, ..."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from fairlora.errors import InputError
from fairlora.metrics.settings import PointName


def parted(text: str) -> tuple[str, ...]:
    """The names between commas, without spaces around them."""
    return tuple(one.strip() for one in text.split(","))


def renamed(text: str | None) -> dict[str, str]:
    """Old name -> new name of `--map`. Names may hold an equals sign: each way to part is taken.

    >>> renamed("no=0, yes=1")
    {'no': '0', ' yes': '1', 'yes': '1'}
    >>> renamed("<=50K.=low")
    {'<': '50K.=low', '<=50K.': 'low'}
    """
    out: dict[str, str] = {}
    for pair in [] if text is None else text.split(","):
        parts = pair.split("=")
        ways = {"=".join(parts[:k]): "=".join(parts[k:]).strip() for k in range(1, len(parts))}
        ways |= {old.strip(): new for old, new in ways.items()}
        if not ways or not all(old and new for old, new in ways.items()):
            raise InputError(
                "not a pair", where="--map", found=repr(pair), expected="OLD=NEW,OLD=NEW"
            )
        twice = [old for old, new in ways.items() if out.get(old, new) != new]
        if twice:
            raise InputError(
                "two new names for one",
                where=f"--map {twice[0]}",
                found=f"{out[twice[0]]} and {ways[twice[0]]}",
                expected="one",
            )
        out |= ways
    return out


def bins_of(given: list[str]) -> dict[str, str]:
    """Column -> edges or "quantiles:K" of `--bin`."""
    out: dict[str, str] = {}
    for text in given:
        column, equals, edges = text.rpartition("=")
        column = column.strip()
        if not (column and equals and edges):
            raise InputError(
                "not a pair",
                where="--bin",
                found=repr(text),
                expected="COLUMN=EDGES, as in age=18,30,45",
            )
        if column in out:
            raise InputError("ranges given twice", where=f"--bin {column}", expected="once")
        out[column] = edges
    return out


def points(given: list[str]) -> tuple[tuple[Any, float], ...]:
    """The operating points of `--at`.

    >>> points(["specificity=0.9"])
    (('specificity', 0.9),)
    """
    out = []
    for text in given:
        name, _, value = (part.strip() for part in text.partition("="))
        number = _number(value)
        if name not in get_args(PointName) or not abs(number) < float("inf"):
            raise InputError(
                "not an operating point",
                where="--at",
                found=repr(text),
                expected="threshold=0.5, specificity=0.9 or sensitivity=0.8",
            )
        out.append((name, number))
    return tuple(out)


def suggestions(given: list[str]) -> dict[str, dict[str, str]]:
    """Attribute -> group -> the class it suggests, of `--suggests`."""
    out: dict[str, dict[str, str]] = {}
    for text in given:
        attribute, colon, rest = text.partition(":")
        # A group may hold an equals sign; a class is what stands after the last.
        group, equals, named = rest.rpartition("=")
        if not (attribute and colon and group and equals and named):
            raise InputError(
                "not a suggestion",
                where="--suggests",
                found=repr(text),
                expected="COLUMN:GROUP=CLASS, as in place:water=waterbird",
            )
        classes = out.setdefault(attribute, {})
        if classes.get(group, named) != named:
            raise InputError(
                "two classes suggested for one group",
                where=f"--suggests {attribute}:{group}",
                found=f"{classes[group]} and {named}",
                expected="one",
            )
        classes[group] = named
    return out


def quantiles_of(given: Sequence[str]) -> dict[float, str]:
    """Level -> column of `--quantile`.

    >>> quantiles_of(["0.1=low", "0.9=high"])
    {0.1: 'low', 0.9: 'high'}
    """
    out: dict[float, str] = {}
    for text in given:
        level, _, column = text.partition("=")
        number = _number(level)
        if not 0 < number < 1 or not column:
            raise InputError(
                "not a quantile",
                where="--quantile",
                found=repr(text),
                expected="LEVEL=COLUMN with a level above 0 and below 1, as in 0.1=low",
            )
        if number in out:
            raise InputError("a level given twice", where=f"--quantile {level}", expected="once")
        out[number] = column
    return out


def _number(text: str) -> float:
    """The number that a text is; NaN for another."""
    try:
        return float(text)
    except ValueError:
        return float("nan")

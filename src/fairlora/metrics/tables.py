"""Numbers as texts, and the table of gaps that every page of an audit has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fairlora.metrics.content import Disparity, Number
from fairlora.metrics.findings import beyond_chance, place_texts
from fairlora.metrics.labels import MEASURED, NOT_PERCENT, measured_text
from fairlora.report.tables import cell, make_table

_BY_CHANCE = "What to expect if there were no disparity: the groups' sizes alone."


def with_interval(
    number: Number,
    text: Callable[[float], str],
    *,
    unit: str = "",
    interval: bool = True,
    undefined: str = "",
) -> str:
    """A number as text, with its interval where it has one.

    Parameters
    ----------
    number : with `value`, `low` and `high`.
    text : how one value is written.
    unit : what stands behind the value, and not behind the ends.
    interval : whether to write the interval.
    undefined : what stands for a number without a value.

    >>> with_interval(Number(value=0.5, low=0.25, high=0.75), "{:.2f}".format)
    '0.50 [0.25, 0.75]'
    """
    if number.value is None:
        return undefined
    if not interval or number.low is None or number.high is None:
        return text(number.value) + unit
    return f"{text(number.value)}{unit} [{text(number.low)}, {text(number.high)}]"


def without_minus_zero(text: str) -> str:
    """A number as text, where nothing is left of it without its sign.

    >>> without_minus_zero("-0.0"), without_minus_zero("-0.1")
    ('0.0', '-0.1')
    """
    return text[1:] if text.startswith("-") and not float(text) else text


def metric_text(name: str, value: float | None) -> str:
    """A metric's value as it is shown: a rate in percent, a loss or a score as it is.

    >>> metric_text("accuracy", 0.8412), metric_text("brier", 0.125), metric_text("dpd", None)
    ('84.1', '0.1250', '')
    """
    if value is None:
        return ""
    if name in MEASURED:
        return measured_text(value)
    scale, digits = (1.0, 4) if name in NOT_PERCENT else (100.0, 1)
    return without_minus_zero(f"{scale * value:.{digits}f}")


def where(number: Number) -> str:
    """What names a statistic's place, or why it is undefined."""
    if number.value is None:
        return number.reason or ""
    parts = place_texts(number)
    if isinstance(number, Disparity) and number.no_chance_value is not None:
        parts.append(f"by chance: {number.no_chance_value}")
    if number.low is None and number.reason is not None:
        parts.append(f"no interval: {number.reason}")
    return ", ".join(parts)


def gap_table(
    title: str,
    caption: str,
    labels: Mapping[str, str],
    numbers: Mapping[str, Number],
    text: Callable[[str, float], str] = metric_text,
    place: Callable[[Number], str] = where,
) -> dict[str, Any]:
    """A table of gaps: what each is, what chance gives, and between whom it is.

    Parameters
    ----------
    title, caption : of the table.
    labels : metric -> its name for people, in the order of the rows.
    numbers : metric -> the gap; metrics without one have no row.
    text : how a value of a metric is written.
    place : what is said of where it is.
    """
    rows = []
    for name, label in labels.items():
        if name not in numbers:
            continue
        number = numbers[name]
        expected = number.expected_by_chance if isinstance(number, Disparity) else None
        shown = with_interval(number, partial(text, name), undefined="undefined")
        cells = [
            cell(label),
            cell(shown, "beyond" if beyond_chance(name, number) else None),
            cell("" if expected is None else text(name, expected)),
            cell(place(number)),
        ]
        rows.append(cells)
    return make_table(
        title, caption, ["<Metric", "Value", ("By chance", _BY_CHANCE), "<Where"], rows
    )

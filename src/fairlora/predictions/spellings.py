"""How values of a column are spelled: missing ones, numbers, truth values, and near misses.

One table of spellings serves every reader: CSV, Parquet, NumPy, pandas, polars, Arrow and lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from fairlora.predictions.arrow import MISSING

# Words that a file writes for a missing group. "NA" and "None" are not among them: North America
# and Namibia are regions, and none is a religion in many a census.
MISSING_GROUPS = frozenset(
    {MISSING, "", "?", "nan", "NaN", "NAN", "-nan", "-NaN", "null", "NULL", "Null", "<NA>", "<na>"}
    | {"n/a", "N/A", "#N/A", "#NA", "#N/A N/A", "NaT", "1.#QNAN", "-1.#IND", "1.#IND", "-1.#QNAN"}
)
# As a class "NA" and "None" mean "not available".
MISSING_LABELS = MISSING_GROUPS | {"NA", "None"}
# Words that may mean a missing value and are taken for what they say, with a warning.
DOUBTFUL = frozenset(
    {"na", "none", "None", "NONE", "NA", "unknown", "Unknown", "UNKNOWN", "missing", "Missing"}
    | {"undefined", "nil", "-", "--", ".", "#REF!", "#VALUE!"}
)
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_WHOLE = re.compile(r"\s*[+-]?\d+(\.0*)?\s*", re.ASCII)
# Above this a float does not hold every whole number.
_EXACT = 2.0**53


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NumPy's masked, or pandas' NA or NaT."""
    if value is None or value is np.ma.masked:
        return True
    different = value != value  # true of NaN and NaT; pandas' NA answers with itself
    return bool(different) if isinstance(different, bool | np.bool_) else True


def spelled(value: Any, *, truth_words: bool) -> str:
    """The name of a value: a whole float is the whole number, a missing value is `MISSING`.

    With `truth_words` True is "True", as the name of a group; else "1", as a class.

    Raises `ValueError` for a value that names nothing, such as a dict.

    >>> [spelled(value, truth_words=False) for value in (1.0, True, 0.5, None)]
    ['1', '1', '0.5', '(missing)']
    """
    if isinstance(value, str):
        return str(value)  # NumPy's words are of a kind of their own
    if isinstance(value, bool | np.bool_):
        return str(bool(value)) if truth_words else str(int(value))
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, bytes | np.bytes_):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError as error:
            raise ValueError("bytes that are no UTF-8") from error
    if isinstance(value, dict | set | list | tuple | np.ndarray):
        raise ValueError(f"a {type(value).__name__} where one name should stand")
    if is_missing(value):
        return MISSING
    if isinstance(value, float | np.floating | Decimal):
        whole = bool(np.isfinite(float(value))) and value == int(value)
        return str(int(value)) if whole else str(value)
    return str(value)


def number_of(name: str) -> float | None:
    """The number that a name spells, or None.

    >>> number_of("1e3"), number_of(" 7 "), number_of("1_000"), number_of("nan")
    (1000.0, 7.0, None, None)
    """
    return float(name) if _NUMBER.fullmatch(name) else None


def whole_number(name: str) -> str | None:
    """The name of the whole number that a name spells, or None.

    >>> whole_number("1.0"), whole_number("01"), whole_number("1e3"), whole_number("0.5")
    ('1', '1', '1000', None)
    """
    if _WHOLE.fullmatch(name):
        return str(int(name.split(".")[0]))
    value = number_of(name)
    if value is None or abs(value) > _EXACT or value != int(value):
        return None
    return str(int(value))


def truth_value(name: str) -> str | None:
    """ "1" or "0" of a word for true or false, or None."""
    return {"true": "1", "false": "0"}.get(name.strip().lower())


def class_names(names: Iterable[str]) -> dict[str, str]:
    """What each class of one column is called: numbers and truth values by one spelling.

    A column whose every name spells a whole number is one of numbers, unless two of its names spell
    the same one ("01" and "1"): then they are words.

    >>> class_names(["1.0", "0.0"]), class_names(["True", "False"]), class_names(["01", "1"])
    ({'1.0': '1', '0.0': '0'}, {'True': '1', 'False': '0'}, {'01': '01', '1': '1'})
    """
    given = list(names)
    for rule in (truth_value, whole_number):
        called = [rule(name) for name in given]
        if given and None not in called:
            if rule is whole_number and len(set(called)) < len(given):
                break
            return {name: str(one) for name, one in zip(given, called, strict=True)}
    return {name: name for name in given}


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Names in order: numbers by size, words by letter, and the missing ones last.

    >>> ordered(["10", "9", MISSING]), ordered(["b", "10", "9"])
    (('9', '10', '(missing)'), ('10', '9', 'b'))
    """
    distinct = set(names)
    known = distinct - {MISSING}
    sizes = {name: number_of(name) for name in known}
    last = [MISSING] if len(known) < len(distinct) else []
    if None in sizes.values():
        return (*sorted(known), *last)
    # Of large numbers the digits decide, not the float.
    key = {name: (int(w) if (w := whole_number(name)) else sizes[name], name) for name in known}
    return (*sorted(known, key=lambda name: key[name]), *last)


def class_named(value: Any, names: Sequence[str]) -> str | None:
    """Which of the classes a value means, or None: "1.0", 1 and True mean the class "1".

    >>> class_named(True, ["0", "1"]), class_named("1.0", ["0", "1"]), class_named("b", ["a"])
    ('1', '1', None)
    """
    name = spelled(value, truth_words=True)
    if name in names:
        return name
    wanted = truth_value(name) or whole_number(name)
    if wanted is None:
        return None
    meant = [one for one in names if wanted in (whole_number(one), truth_value(one))]
    return meant[0] if len(meant) == 1 else None


def alike(name: str) -> str:
    """What two names share that people would take for one: case, spaces, the way of a number."""
    return whole_number(name) or " ".join(name.casefold().split())


def near_misses(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ in case or spaces alone.

    >>> near_misses(["White", "white ", "Black"])
    [('White', 'white ')]
    """
    seen: dict[str, str] = {}
    out = []
    for name in names:
        key = " ".join(name.casefold().split())
        if seen.setdefault(key, name) != name:
            out.append((seen[key], name))
    return out

"""A table of counts (so many people, so many of them selected) as an audit's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.counting import OVERALL, Table, Tables, apart
from fairlora.metrics.counts.tally import Tally
from fairlora.metrics.groups.intersections import columns_of
from fairlora.metrics.inputs import floats
from fairlora.metrics.settings import Settings
from fairlora.predictions import GroupColumn
from fairlora.predictions.arrow import MISSING
from fairlora.predictions.columns import code_values
from fairlora.predictions.spellings import missing_class, number_of

# What a row of sums is called in a table of counts.
_TOTALS = frozenset({"total", "totals", "all", "overall", "sum", "grand total"})


def tables_of_counts(
    count: Any,
    selected: Any,
    groups: Mapping[str, GroupColumn],
    settings: Settings,
    *,
    names: tuple[str, str] = ("count", "selected"),
) -> Tables:
    """The tables of rows that each stand for many people.

    Parameters
    ----------
    count, selected : (m,) people of each row, and those of them who were selected: whole numbers
        from 0. Fractions (counts rebuilt from rounded rates) are rounded, and it is said.
    groups : attribute -> (m,) groups of the rows.
    settings : of the audit.
    names : what `count` and `selected` are called, for messages.

    Raises
    ------
    InputError : a count is negative or no number, more are selected than there are, a row is a sum
        of others, or nobody is counted.
    """
    n, k = (_counts(values, name) for values, name in zip((count, selected), names, strict=True))
    for attribute, column in groups.items():
        if len(column) != len(n) or len(k) != len(n):
            raise InputError("another length", where=attribute, found=len(column), expected=len(n))
        totals = [name for name in column.names if name.strip().casefold() in _TOTALS]
        if totals:
            raise InputError(
                "a row of sums among the groups",
                where=f"group column {attribute!r}",
                found=repr(totals[0]),
                expected="rows of single groups: leave the sums out",
            )
    warnings = []
    left_out: dict[str, int] = {}
    blank = np.isnan(n) | np.isnan(k)
    if blank.any():
        people = int(np.nansum(n[blank]))
        warnings.append(
            f"{int(blank.sum())} rows of the table have no {names[0]} or no {names[1]}: left out"
            + (f", with {people:,} people" if people else "")
        )
        n, k = n[~blank], k[~blank]
        groups = {name: column.take(np.flatnonzero(~blank)) for name, column in groups.items()}
    off = np.maximum(np.abs(n - np.rint(n)), np.abs(k - np.rint(k)))
    if (off > 0).any():
        warnings.append(f"{int((off > 0).sum())} counts are no whole numbers: rounded to the next")
        n, k = np.rint(n), np.rint(k)
    over = np.flatnonzero(k > n)
    if len(over):
        row = int(over[0])
        raise InputError(
            "more selected than there are",
            where=f"row {row + 1}",
            found=f"{names[1]} {k[row]:,.0f}, {names[0]} {n[row]:,.0f}",
            expected=f"{names[1]} <= {names[0]}",
        )
    if n.sum() == 0:
        raise InputError("nobody is counted", where=names[0], found="0 in all rows")
    cells = np.stack([n - k, k], axis=1).astype(np.int64)
    columns = columns_of(groups, int(n.sum()), settings)
    attributes = {
        attribute: apart(Table(_tally(column, cells)), settings)
        for attribute, column in columns.items()
    }
    whole = Tally((OVERALL,), _diagonal(cells.sum(axis=0, keepdims=True)))
    return Tables(
        int(n.sum()), ("not selected", "selected"), Table(whole), attributes, warnings, left_out
    )


def numbers_of(values: Any, name: str) -> NDArray[np.float64]:
    """(n,) numbers of any container, words of numbers too; NaN where there is none ("NA").

    Raises `InputError` for other words; `name` is what the values are called.
    """
    try:
        return np.asarray(floats(values, name), dtype=np.float64)
    except InputError:
        try:
            coded = code_values(values)
        except ValueError as error:
            raise InputError(
                "not numbers", where=name, found=str(error), expected="numbers"
            ) from error
    called = []
    for word in coded.names:
        number = number_of(word)
        if number is None and word != MISSING and not missing_class(word):
            raise InputError("not a number", where=name, found=repr(word), expected="numbers")
        called.append(np.nan if number is None else number)
    return np.array(called)[coded.codes]


def _counts(values: Any, name: str) -> NDArray[np.float64]:
    numbers = numbers_of(values, name)
    bad = np.flatnonzero((numbers < 0) | np.isinf(numbers))
    if len(bad):
        raise InputError(
            "not a count",
            where=f"{name}, row {int(bad[0]) + 1}",
            found=numbers[bad[0]],
            expected="a whole number from 0",
        )
    return numbers


def _tally(column: GroupColumn, cells: NDArray[np.int64]) -> Tally:
    """Add up (m, 2) rejected and selected by group, or by list of groups where groups overlap."""
    patterns = column.patterns()
    size = len(column.names) if patterns is None else len(patterns)
    sums = np.zeros((size, 2), dtype=np.int64)
    np.add.at(sums, column.codes, cells)
    return Tally(column.names, _diagonal(sums), patterns)


def _diagonal(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """(G, 2) as counts of label and prediction that are one and the same, (G, 2, 2)."""
    out = np.zeros((len(sums), 2, 2), dtype=np.int64)
    out[:, 0, 0], out[:, 1, 1] = sums.T
    return out


def looks_like_counts(columns: Mapping[str, Any], groups: Sequence[str], pred: str) -> str | None:
    """The column that counts the people of each row, where rows are counts and no people.

    Parameters
    ----------
    columns : name -> (m,) values of the table.
    groups : names of the group columns.
    pred : the column given as the decision.

    Returns
    -------
    The name of the column of counts; None for a table of people. A table of counts has each
    combination of groups once, and whole numbers of selected that another column is never below.
    """
    k = _whole(columns[pred])
    if k is None or len(np.unique(k)) < 3:
        return None
    keys = list(zip(*(list(map(str, columns[name])) for name in groups), strict=True))
    if len(set(keys)) < len(keys):
        return None
    for name, values in columns.items():
        if name == pred or name in groups:
            continue
        n = _whole(values)
        if n is not None and (n >= k).all() and n.sum() > k.sum():
            return name
    return None


def _whole(values: Any) -> NDArray[np.float64] | None:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    whole = bool((numbers == np.rint(numbers)).all()) and bool((numbers >= 0).all())
    return numbers if whole else None

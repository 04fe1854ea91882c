"""Cross attributes into one of their own: "race&sex" with groups "dark & female"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.groups.missing import settled
from fairlora.metrics.settings import MissingGroup, Settings
from fairlora.predictions import GroupColumn, group_column
from fairlora.predictions.arrow import MISSING
from fairlora.predictions.spellings import number_of

# Above these a column of numbers, or of words, is taken for measurements or ids.
_FEW, _MOST_NUMBERS, _MOST_WORDS = 20, 60, 1000
_ROWS_EACH = 10


def crossed_name(attributes: Sequence[str]) -> str:
    """The key of a combination."""
    return "&".join(attributes)


def columns_of(
    groups: Mapping[str, GroupColumn], n: int, settings: Settings
) -> dict[str, GroupColumn]:
    """The attributes of n rows and the combinations that are asked for, checked.

    Parameters
    ----------
    groups : attribute -> its column.
    n : how many rows there are.
    settings : of an audit: what to combine, how many groups there may be, and what becomes of
        missing ones.

    Raises
    ------
    InputError : an attribute of too many groups, or as `cross`.
    """
    columns = dict(groups)
    if settings.missing_group == "show":
        columns = {attribute: settled(column) for attribute, column in columns.items()}
    for combination in settings.intersect:
        name = crossed_name(combination)
        columns[name] = cross(columns, combination, settings.missing_group)
    for attribute, column in columns.items():
        check_groups(attribute, column.names, n, settings.max_groups)
    return columns


def cross(
    columns: Mapping[str, GroupColumn],
    attributes: Sequence[str],
    missing_group: MissingGroup = "show",
    where: str = "intersect",
) -> GroupColumn:
    """The combinations of attributes that rows have.

    Parameters
    ----------
    columns : attribute -> its column, of the same rows.
    attributes : those to combine, two or more.
    missing_group : with "show" a combination of which a part is missing is missing itself; with
        "keep" missing ones are groups.
    where : the setting that asks for it, for the message.

    Raises
    ------
    InputError : an attribute is not there, or there are fewer than two of them, or two combinations
        would have one name.

    >>> sex = GroupColumn(("f", "m"), np.array([0, 1, 1], dtype=np.int32))
    >>> age = GroupColumn(("old", "young"), np.array([1, 0, 0], dtype=np.int32))
    >>> cross({"sex": sex, "age": age}, ["sex", "age"]).tolist()
    ['f & young', 'm & old', 'm & old']
    """
    missing = [name for name in attributes if name not in columns]
    if missing or len(set(attributes)) < 2:
        raise InputError(
            "cannot combine these attributes",
            where=where,
            found=",".join(attributes) or "nothing",
            expected="two or more of " + ", ".join(columns),
        )
    parts = [columns[name] for name in attributes]
    codes = np.zeros(len(parts[0]), dtype=np.int64)
    for part in parts:
        size = len(part.names) if part.lists is None else len(part.lists)
        # Coded afresh after each attribute: the product of many would not fit an integer.
        codes = _afresh(codes * size + part.codes)
    # The first row of each combination: the last that is written, from the end.
    first = np.zeros(int(codes.max()) + 1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    combinations = [[_groups(part, int(row)) for part in parts] for row in first]
    seen: dict[str, tuple[str, ...]] = {}

    def joined(one: tuple[str, ...]) -> str:
        if missing_group == "show" and MISSING in one:
            return MISSING
        name = " & ".join(one)
        if seen.setdefault(name, one) != one:
            raise InputError(
                "two combinations have one name",
                where=where,
                found=repr(name),
                expected=f"groups of {', '.join(attributes)} that do not hold ' & '",
            )
        return name

    if all(part.lists is None for part in parts):
        names = [joined(tuple(groups[0] for groups in one)) for one in combinations]
        every = sorted(set(names))
        at = {name: k for k, name in enumerate(every)}
        place = np.array([at[name] for name in names], dtype=np.int32)
        return GroupColumn(tuple(every), place[codes])
    # A row of which a part is missing is of one combination, however many lists it has.
    lists = [
        tuple(dict.fromkeys(joined(one) for one in product(*groups))) for groups in combinations
    ]
    every = sorted({name for names_ in lists for name in names_})
    return GroupColumn(tuple(every), codes.astype(np.int32), tuple(lists))


def _afresh(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The codes as 0, 1, ... in their order."""
    if codes.max() > 4 * len(codes) + 1000:
        return np.unique(codes, return_inverse=True)[1].astype(np.int64)
    # Counting is several times faster than sorting.
    present = np.bincount(codes) > 0
    return np.asarray((np.cumsum(present) - 1)[codes], dtype=np.int64)


def check_groups(attribute: str, names: Sequence[str], n: int, most: int | None) -> None:
    """Refuse a column of ids or of measurements where a sensitive attribute should be.

    Parameters
    ----------
    attribute : its name, for the message.
    names : of its groups.
    n : how many rows there are.
    most : groups that there may be. None refuses numbers above 60 groups, or above 20 that are
        fractions or of fewer than 10 rows on average, and words above 1,000.

    Raises
    ------
    InputError : there are too many groups.
    """
    groups = len(names)
    if (most is None and groups <= _FEW) or (most is not None and groups <= most):
        return
    sizes = [number_of(name) for name in names if name != MISSING]
    numeric = None not in sizes
    if most is None and not numeric and groups <= _MOST_WORDS:
        return
    if most is None and numeric and groups <= _MOST_NUMBERS:
        whole = all(float(size or 0).is_integer() for size in sizes)
        if whole and n >= _ROWS_EACH * groups:
            return
    advice = f"at most {(most or (_MOST_NUMBERS if numeric else _MOST_WORDS)):,}"
    if numeric:
        advice = (
            f"a few groups; put numbers into ranges: --bin {attribute}=18,30,45,60 or "
            f"--bin {attribute}=quantiles:4 (bin_groups= in Python)"
        )
    raise InputError(
        "too many groups",
        where=f"group column {attribute!r}",
        found=f"{groups:,} distinct {'numbers' if numeric else 'values'} in {n:,} rows",
        expected=f"{advice}; if these are groups and no ids or measurements, --max-groups {groups} "
        "(max_groups=)",
    )


def _groups(column: GroupColumn, row: int) -> tuple[str, ...]:
    code = int(column.codes[row])
    return (column.names[code],) if column.lists is None else column.lists[code]


def rows_column(values: Any, where: str, n: int | None) -> GroupColumn:
    """A column of names, one for each of n rows (None: any); `InputError` where it is none.

    Parameters
    ----------
    values : (n,) names of any container, or lists of them.
    where : what the values are called, for the message.
    n : how many rows there are; None takes any number.
    """
    try:
        column = group_column(values)
    except (ValueError, TypeError) as error:
        raise InputError("not one value a row", where=where, found=str(error)[:80]) from error
    if n is not None and len(column) != n:
        raise InputError("another length", where=where, found=len(column), expected=n)
    return column

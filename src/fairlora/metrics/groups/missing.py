"""Rows without a group value: shown, and compared with nobody.

Such a row may be of any group. So these rows are no group to set against others, and do not count
as outside of any. `Settings.missing_group` "keep" makes an ordinary group of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairlora.predictions import GroupColumn
from fairlora.predictions.arrow import MISSING

NOT_COMPARED = "rows without a group value are not compared"


def rows_without(column: GroupColumn) -> NDArray[np.bool_] | None:
    """(n,) whether each row has no group value, or None where every row has one."""
    if MISSING not in column.names:
        return None
    rows = column.contains(MISSING)
    return rows if rows.any() else None


def rows_with(column: GroupColumn) -> NDArray[np.intp] | None:
    """The rows that have a group value, or None where every row has one."""
    rows = rows_without(column)
    return None if rows is None else np.flatnonzero(~rows)


def settled(column: GroupColumn) -> GroupColumn:
    """The column with lists of which a name is missing as missing altogether.

    An empty list is none of these: the row is known to be in no group.

    >>> settled(GroupColumn(("(missing)", "a"), np.array([0, 1]), (("a", "(missing)"), ()))).lists
    ((), ('(missing)',))
    """
    if column.lists is None or not any(
        MISSING in names and len(names) > 1 for names in column.lists
    ):
        return column
    lists = [(MISSING,) if MISSING in names else names for names in column.lists]
    distinct = sorted(set(lists))
    at = {names: k for k, names in enumerate(distinct)}
    place = np.array([at[names] for names in lists], dtype=np.int32)
    some = {name for names in distinct for name in names}
    names = tuple(name for name in column.names if name in some)
    return GroupColumn(names, place[column.codes], tuple(distinct))


def missing_warning(attribute: str, rows: int, n: int) -> str:
    """What a reader must know of an attribute's rows without a value.

    Parameters
    ----------
    attribute : its name.
    rows : how many have no value.
    n : how many rows there are.
    """
    if rows == n:
        return f"{attribute}: no row has a group value: nothing to compare"
    have = "row has" if rows == 1 else "rows have"
    return (
        f"{attribute}: {rows:,} of {n:,} {have} no group value: shown as {MISSING}, compared with "
        "no group, and not counted as outside of any"
    )

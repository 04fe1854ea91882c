"""The rows of an attack: members and others, their groups, clusters and scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from fairlora.errors import InputError
from fairlora.metrics.groups.intersections import check_groups, rows_column
from fairlora.metrics.groups.missing import missing_warning, rows_without, settled
from fairlora.predictions import GroupColumn
from fairlora.privacy.attack_inputs import Bool, Float, floats, mask, mean_over_queries, require
from fairlora.privacy.content import (
    Sizes,
)
from fairlora.privacy.roc_scores import Codes


class Rows(NamedTuple):
    """The examples that attacks are judged on.

    Attributes
    ----------
    member : (n,) whether each was trained on.
    columns : attribute -> its groups.
    clusters : (n,) codes of what was drawn together, or None.
    """

    member: Bool
    columns: dict[str, GroupColumn]
    clusters: Codes | None


def rows_of(
    member: Any, groups: Any, n: int, ids: Any, clusters: Any, max_groups: int | None
) -> Rows:
    """The examples, checked; see `roc`.

    Parameters
    ----------
    member, groups, ids, clusters, max_groups : as of `roc`.
    n : how many examples there must be.

    Raises
    ------
    InputError : as `roc`, but for the scores.
    """
    inside = mask(member, "member", (n,))
    for count, name in ((int(inside.sum()), "members"), (int((~inside).sum()), "non-members")):
        if count == 0:
            raise InputError(f"no {name}", where="member", found=f"{n:,} rows, none of them")
    if ids is not None:
        require_apart(ids, inside)
    named = {} if groups is None else groups if isinstance(groups, Mapping) else {"group": groups}
    columns = {str(a): rows_column(v, f"groups[{a!r}]", n) for a, v in named.items()}
    columns = {attribute: settled(column) for attribute, column in columns.items()}
    for attribute, column in columns.items():
        check_groups(attribute, column.names, n, max_groups)
    codes = None
    if clusters is not None:
        codes = np.unique(rows_column(clusters, "clusters", n).codes, return_inverse=True)[1]
    return Rows(inside, columns, codes)


def require_apart(ids: Any, member: Bool) -> None:
    """Raise `InputError` for an id among members and non-members, or twice among either."""
    column = rows_column(ids, "ids", len(member))
    inside = np.bincount(column.codes[member], minlength=len(column.names))
    outside = np.bincount(column.codes[~member], minlength=len(column.names))
    both = np.flatnonzero((inside > 0) & (outside > 0))
    if len(both):
        raise InputError(
            "a member among the non-members",
            where="ids",
            found=f"{column.names[both[0]]!r} is both, {len(both):,} such ids",
            expected="each example once; clusters name what stands for several models",
        )
    twice = np.flatnonzero(inside + outside > 1)
    if len(twice):
        raise InputError(
            "an id stands twice", where="ids", found=f"{column.names[twice[0]]!r}", expected="once"
        )


def missing_warnings(rows: Rows) -> list[str]:
    """Warnings about examples without a group value."""
    n = len(rows.member)
    without = ((attribute, rows_without(column)) for attribute, column in rows.columns.items())
    return [missing_warning(a, int(some.sum()), n) for a, some in without if some is not None]


def group_sizes(column: GroupColumn, member: Bool) -> dict[str, Sizes]:
    """Group -> its rows, members and non-members."""
    out = {}
    for name in column.names:
        inside = column.contains(name)
        m = int((inside & member).sum())
        n = int(inside.sum())
        out[name] = Sizes(n=n, members=m, non_members=n - m)
    return out


def score_column(values: Any, name: str) -> Float:
    """(n,) finite scores; `InputError` that names the attack and the row otherwise."""
    where = "scores" if name == "attack" else f"scores[{name!r}]"
    array = floats(values, where)
    if array.ndim != 1 or not len(array):
        raise InputError(
            "not one number a row" if array.size else "no rows",
            where=where,
            found=f"shape {array.shape}",
            expected="(n,)",
        )
    require(np.isfinite(array), array, where, "not a finite number")
    return mean_over_queries(array)

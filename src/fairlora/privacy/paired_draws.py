"""AUC and TPR of all groups from weighted rows, of two models at once: what a bootstrap draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.curves.permutation import Units
from fairlora.metrics.curves.roc_intervals import allowed
from fairlora.metrics.curves.roc_scores import Codes, Ordered, grouped
from fairlora.predictions import GroupColumn
from fairlora.privacy.attack_inputs import Float

Int = NDArray[np.int64]


class Values(NamedTuple):
    """AUC (..., G) and TPR at A false positive rates (..., G, A); NaN where undefined."""

    auc: Float
    tpr: Float


@dataclass(frozen=True, eq=False)
class Reading:
    """One model's rows, group by group, from the highest score to the lowest.

    Attributes
    ----------
    rows, member : (N,) rows (of overlapping groups once for each) and 1 for members, non-members
        first among equal scores.
    ends : (G + 1,) ends of the groups.
    swapped : rows and members with members first among equals, or None without ties.
    sums : (3, N + 1) room for running sums: made anew each time, it would cost more than they do.
    """

    rows: NDArray[np.intp]
    member: Int
    ends: NDArray[np.intp]
    swapped: tuple[NDArray[np.intp], Int] | None
    sums: Int


def reading(order: Ordered, column: GroupColumn) -> Reading:
    """One model's rows, read by group."""
    rows, member, ends = _by_group(order, column)
    tied = order.scores[1:] == order.scores[:-1]
    swapped = None
    if (tied & (order.positive[1:] != order.positive[:-1])).any():
        other = np.lexsort((~order.positive, -order.scores))
        reverse = Ordered(order.rows[other], order.scores[other], order.positive[other])
        swapped = _by_group(reverse, column)[:2]
    return Reading(rows, member, ends, swapped, np.zeros((3, len(rows) + 1), dtype=np.int64))


def _by_group(
    order: Ordered, column: GroupColumn
) -> tuple[NDArray[np.intp], Int, NDArray[np.intp]]:
    read = grouped(column.codes[order.rows], len(column.names), column.patterns())
    return order.rows[read.places], order.positive[read.places].astype(np.int64), read.ends


def values_of(one: Reading, weights: Int, fprs: Float) -> Values:
    """Numbers of rows that are weighted.

    Parameters
    ----------
    one : a model's rows, read by group.
    weights : (n,) how many times each row counts.
    fprs : (A,) false positive rates.
    """
    strict, tpr = _weighted(one, one.rows, one.member, weights, fprs)
    if one.swapped is None:
        return Values(strict, tpr)
    weak, _ = _weighted(one, *one.swapped, weights, fprs[:0])
    return Values((strict + weak) / 2, tpr)


def _weighted(
    one: Reading, rows: NDArray[np.intp], member: Int, weights: Int, fprs: Float
) -> tuple[Float, Float]:
    count = weights[rows]
    inside = count * member
    members, others, won = one.sums
    np.cumsum(inside, out=members[1:])
    np.cumsum(count - inside, out=others[1:])
    np.cumsum(inside * others[1:], out=won[1:])
    start = one.ends[:-1]
    m, n = np.diff(members[one.ends]), np.diff(others[one.ends])
    above = np.diff(won[one.ends]) - others[start] * m
    tpr = np.full((len(m), len(fprs)), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = np.where(m * n > 0, 1 - above / (m * n), np.nan)
        for k, fpr in enumerate(fprs):
            # The first row by which more non-members are above than the FPR allows.
            most = others[start] + allowed(fpr, n)
            place = np.searchsorted(others, most, side="right") - 1
            hits = members[np.minimum(place, one.ends[1:])] - members[start]
            tpr[:, k] = np.where(m * n > 0, hits / m, np.nan)
    return auc, tpr


def drawn(
    pair: Sequence[Reading],
    column: GroupColumn,
    units: Units,
    fprs: Float,
    draws: int,
    rng: np.random.Generator,
) -> Values:
    """Numbers of bootstrap draws of the rows, or of clusters of them, the same for both models.

    Each group keeps its members and its non-members where groups do not overlap and rows are
    independent; else rows, or clusters, are drawn within those of as many members and non-members.

    Parameters
    ----------
    pair : the rows of each model, read by `column`.
    column : the groups.
    units : what is drawn: rows, or clusters of them.
    fprs : (A,) false positive rates.
    draws : how many.
    rng : the source of chance.

    Returns
    -------
    AUC (draws, 2, G) and TPR (draws, 2, G, A).
    """
    alone = len(units.strata) == len(units.of_row)
    strata: Codes = units.strata
    if alone and column.lists is None:
        strata = strata * len(column.names) + column.codes
    same = [np.flatnonzero(strata == s) for s in np.unique(strata)]
    weights, found = np.zeros(len(strata), dtype=np.int64), []
    for _ in range(draws):
        for rows in same:
            chosen = rng.integers(0, len(rows), len(rows))
            weights[rows] = np.bincount(chosen, minlength=len(rows))
        found.append(of_both(pair, weights if alone else weights[units.of_row], fprs))
    return _stacked(found)


def of_both(pair: Sequence[Reading], weights: Int, fprs: Float) -> Values:
    """Both models' numbers of rows that are weighted, AUC (2, G) and TPR (2, G, A).

    Parameters
    ----------
    pair : the rows of each model, read by group.
    weights, fprs : as of `values_of`.
    """
    return _stacked([values_of(one, weights, fprs) for one in pair])


def _stacked(found: Sequence[Values]) -> Values:
    return Values(np.stack([one.auc for one in found]), np.stack([one.tpr for one in found]))

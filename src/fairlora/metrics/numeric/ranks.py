"""Spearman's rank correlation of each group, with intervals.

It is Pearson's correlation of mid-ranks. Its standard error comes of the rows' influence (Croux
and Dehon 2010, Statistical Methods and Applications 19:497; here with ties), summed up by cluster
where rows come in clusters, but is never below Bonett and Wright's (2000, Psychometrika 65:23):
the interval is theirs on Fisher's scale. Two groups' intervals make that of their difference (Zou
2007, Psychological Methods 12:399), as everywhere in `gaps`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.content import Number
from fairlora.metrics.counts.tally import membership
from fairlora.metrics.groups.estimates import Estimates
from fairlora.metrics.inference.intervals import Float, Limits, level_of, t_of, z_of
from fairlora.predictions.columns import GroupColumn

# Fisher's interval needs n - 3 above 0.
FEWEST = 4
_FEW = f"fewer than {FEWEST} rows"


class Ranks(NamedTuple):
    """Rank correlation of each group and what its interval needs, each (G,).

    The correlation (NaN where undefined), its variance by the rows' influence, its rows, how many
    rows or clusters those are; and the correlation (G, G) of the estimates, None where independent.
    """

    value: Float
    variance: Float
    n: Float
    units: Float
    correlation: Float | None = None


def mid_ranks(x: Float) -> tuple[Float, NDArray[np.intp]]:
    """(n,) mid-ranks as shares of the rows, whose mean is 1/2; and the number of each row's value.

    >>> mid_ranks(np.array([3.0, 1.0, 3.0, 9.0]))[0].tolist()
    [0.5, 0.125, 0.5, 0.875]
    """
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    shares = (np.cumsum(counts) - counts / 2) / len(x)
    return shares[place], place


def rank_influence(x: Float, y: Float) -> tuple[float, Float]:
    """Spearman's correlation of x and y, and how much each row moves it, times the rows.

    NaN and zeros where all x, or all y, are alike.

    >>> rank_influence(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 9.0]))[0]
    1.0
    """
    n = len(x)
    u, at_x = mid_ranks(x)
    v, at_y = mid_ranks(y)

    def above(weights: Float, place: NDArray[np.intp]) -> Float:
        """The mean over all rows of those weights that stand above each row, ties by half."""
        sums = np.bincount(place, weights=weights)
        return np.asarray(((sums.sum() - np.cumsum(sums) + sums / 2) / n)[place])

    uv, uu, vv = (float((a * b).mean()) for a, b in ((u, v), (u, u), (v, v)))
    spread_x, spread_y = uu - 0.25, vv - 0.25
    if at_x.max(initial=0) == 0 or at_y.max(initial=0) == 0:
        return float("nan"), np.zeros(n)
    scale = float(np.sqrt(spread_x * spread_y))
    r = min(max((uv - 0.25) / scale, -1.0), 1.0)
    # Of the covariance and of both variances of ranks: a row's own part, and what it moves others'.
    cross = u * v + above(v, at_x) + above(u, at_y) - 3 * uv
    own_x = u * u + 2 * above(u, at_x) - 3 * uu
    own_y = v * v + 2 * above(v, at_y) - 3 * vv
    return r, cross / scale - r / 2 * (own_x / spread_x + own_y / spread_y)


def ranks_of(
    labels: Float,
    predictions: Float,
    column: GroupColumn,
    clusters: NDArray[np.integer] | None = None,
) -> Ranks:
    """The rank correlation of each group.

    Parameters
    ----------
    labels, predictions : (n,) numbers.
    column : the attribute's column.
    clusters : (n,) code of each row's cluster; None takes rows as independent.
    """
    names, rows, codes = membership(column)
    groups = len(names)
    order = np.argsort(codes, kind="stable")
    n = np.bincount(codes, minlength=groups).astype(np.float64)
    value, moved = np.full(groups, np.nan), np.zeros(len(rows))
    ends = np.cumsum(n).astype(np.intp)
    for g, end in enumerate(ends):
        pairs = order[end - int(n[g]) : end]
        if len(pairs):
            some = rows[pairs]
            value[g], influence = rank_influence(labels[some], predictions[some])
            moved[pairs] = influence / n[g]
    if clusters is None and column.lists is None:
        squares = np.bincount(codes, weights=moved**2, minlength=groups)
        return Ranks(value, squares * n / np.maximum(n - 1, 1), n, n)
    from scipy.sparse import csc_matrix

    unit = rows if clusters is None else clusters[rows]
    off = csc_matrix((moved, (unit, codes)), shape=(int(unit.max()) + 1, groups))
    sizes = csc_matrix((np.ones(len(rows)), (unit, codes)), shape=off.shape)
    # As many units of even size as would say as much.
    units = n**2 / np.maximum(np.asarray(sizes.multiply(sizes).sum(axis=0)).reshape(-1), 1)
    cross = np.asarray((off.T @ off).todense())
    variance = np.diag(cross)
    scale = np.sqrt(variance[:, None] * variance[None, :])
    correlation = np.where(scale > 0, cross / np.where(scale > 0, scale, 1), 0.0)
    return Ranks(value, variance * units / np.maximum(units - 1, 1e-9), n, units, correlation)


def rank_estimates(ranks: Ranks, least: int) -> Estimates:
    """As estimates that can be set against each other.

    Parameters
    ----------
    ranks : of the groups.
    least : groups of fewer rows do not count in maxima and spreads.
    """
    known = (ranks.n >= max(least, FEWEST)) & (ranks.units >= 2) & ~np.isnan(ranks.value)
    return Estimates(ranks.value, known, lambda z: _limits(ranks, z), correlation=ranks.correlation)


def rank_number(ranks: Ranks, g: int, level: float, why: str) -> Number:
    """One group's rank correlation with its interval.

    Parameters
    ----------
    ranks : of all groups.
    g : number of the group.
    level : of the interval.
    why : the reason where it is undefined although there are rows.
    """
    if np.isnan(ranks.value[g]):
        return Number.undefined("no rows" if ranks.n[g] == 0 else why)
    value = float(ranks.value[g])
    if ranks.n[g] < FEWEST or ranks.units[g] < 2:
        why = f"{_FEW} have no interval" if ranks.n[g] < FEWEST else "one cluster alone"
        return Number(value=value, low=None, high=None, reason=why)
    ends = _limits(ranks, z_of(level))
    return Number(value=value, low=float(ends.low[g]), high=float(ends.high[g]))


def _limits(ranks: Ranks, z: float) -> Limits:
    n = np.maximum(ranks.n, FEWEST)
    r = np.nan_to_num(ranks.value)
    # Of rows all in order nothing is known but that one more may not be: half a step short of 1.
    inner = np.clip(r, -1 + 6 / (n**3 - n), 1 - 6 / (n**3 - n))
    # A group without any variance counts as its clusters.
    rows = np.where(ranks.variance > 0, n, np.maximum(ranks.units, FEWEST))
    least = (1 + inner**2 / 2) / (rows - 3)
    variance = np.maximum(ranks.variance / (1 - inner**2) ** 2, least)
    few = ranks.units < ranks.n
    t = np.full(len(r), z)
    for g in np.flatnonzero(few & (ranks.units >= 2)):
        t[g] = t_of(level_of(z), float(ranks.units[g]) - 1)
    half = t * np.sqrt(variance)
    low, high = np.tanh(np.arctanh(inner) - half), np.tanh(np.arctanh(inner) + half)
    return Limits(np.minimum(low, r), np.maximum(np.where(r >= 1, 1.0, high), r))

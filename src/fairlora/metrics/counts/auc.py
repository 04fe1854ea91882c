"""AUC by group: how well scores put the positive class above the rest.

Exact from rows in memory, and from score histograms, which add up, where rows stream by.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.content import Number
from fairlora.metrics.counts.sums import Counts, kish
from fairlora.metrics.groups.estimates import Estimates
from fairlora.metrics.inference.intervals import Float, Limits, z_of
from fairlora.predictions.columns import GroupColumn

# Bits of a float32 that a score's level leaves out: steps of 1/256 of the distance to the nearer
# end of 0..1.
_SHIFT = 15
NO_AUC = "needs rows of the class and rows of the others"


class Auc(NamedTuple):
    """AUC of each group, its variance (DeLong et al. 1988), and rows of the class and the others.

    Each (G,); NaN where a side has no rows. Of rows with weights, the effective sizes of the sides.
    """

    value: Float
    variance: Float
    positives: Float
    negatives: Float
    units: Float | None = None  # the smaller side counted in clusters, where rows come in them

    def of(self, groups: NDArray[Any]) -> Auc:
        """Those of some groups: (G,) booleans, or their numbers."""
        return Auc(*(v[groups] for v in self if v is not None))


def _half(shift: int) -> int:
    return int(np.float32(0.5).view(np.uint32)) >> shift


def level_count(shift: int = _SHIFT) -> int:
    """How many levels there are."""
    return 2 * _half(shift) + 1


def score_levels(scores: NDArray[np.float32], shift: int = _SHIFT) -> NDArray[np.int64]:
    """A level of each score in 0..1, in order, finest towards both ends.

    >>> levels = score_levels(np.array([0, 1e-9, 0.5, 1 - 1e-6, 1], dtype=np.float32))
    >>> bool((np.diff(levels) > 0).all())
    True
    """
    x = np.asarray(scores, dtype=np.float32)
    upper = x > 0.5
    near = np.maximum(np.where(upper, np.float32(1) - x, x), np.float32(0))
    level = (near.view(np.uint32) >> np.uint32(shift)).astype(np.int64)
    return np.where(upper, 2 * _half(shift) - level, level)


def auc_of_rows(
    scores: NDArray[np.float32],
    hits: NDArray[np.bool_],
    groups: GroupColumn,
    clusters: NDArray[np.integer] | None = None,
    weights: Float | None = None,
) -> Auc:
    """Exact AUC of each group from (n,) scores and whether each row is of the class.

    Parameters
    ----------
    scores : (n,) of the class.
    hits : (n,) whether a row is of the class.
    groups : the attribute's column.
    clusters : (n,) code of each row's cluster: the variance is then that of the clusters' sums of
        placements (Obuchowski 1997, Biometrics 53:567). None takes rows as independent.
    weights : (n,) above 0: a pair counts by the product of its two; None counts all alike.
    """
    order = np.argsort(scores, kind="stable")
    ordered, codes, hit = scores[order], groups.codes[order], hits[order]
    patterns = groups.patterns()
    found = []

    def add(rows: NDArray[Any]) -> None:
        people, size = (None if v is None else v[order[rows]] for v in (clusters, weights))
        found.append(_of_sorted(ordered[rows], hit[rows], people, size))

    if patterns is None:
        by_group = np.argsort(codes, kind="stable")
        sizes = np.bincount(codes, minlength=len(groups.names))
        for g, end in enumerate(np.cumsum(sizes)):
            add(by_group[end - sizes[g] : end])
    else:
        for g in range(len(groups.names)):
            add(np.flatnonzero(patterns[codes, g]))
    return Auc(*(np.array(v, dtype=np.float64) for v in zip(*found, strict=True)))


def auc_of_histogram(counts: Counts, squares: Counts | None = None) -> Auc:
    """AUC of each group from (G, 2, levels) rows by group, class or not, and score level.

    `squares` are as the counts, of the weights' squares, where rows have weights.
    """
    whole = counts.astype(np.float64)
    found = []
    for one, square in zip(whole, whole if squares is None else squares, strict=True):
        # At and between the group's own rows of the class: to the last digit its numbers hang on
        # no other group's rows, whatever levels those have.
        here = one[1] > 0
        place = 2 * np.cumsum(here) - here
        sides = (np.bincount(place, weights=v) for v in (one[1], one[0], square[1], square[0]))
        found.append(_of_counts(*(side.astype(np.float64, copy=False) for side in sides)))
    return Auc(*(np.array(v) for v in zip(*found, strict=True)))


def auc_estimates(auc: Auc, least: int, **detail: object) -> Estimates:
    """As estimates that can be set against each other."""
    enough = (auc.positives >= max(1, least)) & (auc.negatives >= max(1, least))
    return Estimates(auc.value, enough, lambda z: _limits(auc, z), dict(detail))


def auc_number(auc: Auc, g: int, level: float) -> Number:
    """One group's AUC with its interval.

    Parameters
    ----------
    auc : of all groups.
    g : number of the group; undefined where it lacks rows of the class or of the others.
    level : of the interval.
    """
    if np.isnan(auc.value[g]):
        return Number.undefined(NO_AUC)
    limits = _limits(auc.of(np.array([g])), z_of(level))
    low, high = float(limits.low[0]), float(limits.high[0])
    return Number(value=float(auc.value[g]), low=low, high=high)


def mean_auc(parts: list[Auc]) -> Auc:
    """The mean of the classes' AUCs, one against the rest, over the classes where it is defined."""
    value = np.stack([part.value for part in parts])
    known = ~np.isnan(value)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known.any(axis=0), np.nansum(value, axis=0) / count, np.nan)
    # The classes' errors are of the same rows: as if all were one error, to be safe.
    error = np.nansum(np.sqrt(np.stack([part.variance for part in parts])), axis=0) / count
    # A class of few rows is one of many in the mean: the group's rows say how large it is.
    rows = parts[0].positives + parts[0].negatives
    sides = [np.minimum(p.positives, p.negatives) if p.units is None else p.units for p in parts]
    smallest = np.where(known, np.stack(sides), np.inf).min(axis=0)
    # Where all classes are told apart without fault there is no variance: the smallest class says
    # how little that is.
    units = np.where((error > 0) | ~np.isfinite(smallest), rows, smallest)
    return Auc(mean, error**2, rows, rows, units)


def _of_sorted(
    scores: NDArray[np.float32],
    hits: NDArray[np.bool_],
    clusters: NDArray[np.integer] | None = None,
    weights: Float | None = None,
) -> tuple[float, ...]:
    if not len(scores):
        return (np.nan, np.nan, 0.0, 0.0) if clusters is None else (np.nan, np.nan, 0.0, 0.0, 0.0)
    new = np.concatenate([[True], scores[1:] != scores[:-1]])
    place = np.cumsum(new) - 1
    levels = int(place[-1]) + 1
    size = np.ones(len(scores)) if weights is None else weights
    sides = [np.where(side, size, 0.0) for side in (hits, ~hits)]
    positives, negatives, *squares = (
        np.bincount(place, weights=v, minlength=levels).astype(np.float64)
        for v in (*sides, *(() if weights is None else (side**2 for side in sides)))
    )
    found = _of_counts(positives, negatives, *squares)
    if clusters is None:
        return found
    if np.isnan(found[0]):
        return *found, 0.0
    value, m, n = found[0], float(positives.sum()), float(negatives.sum())
    below = (np.cumsum(negatives) - negatives / 2) / n
    above = (m - np.cumsum(positives) + positives / 2) / m
    moved = size * np.where(hits, (below[place] - value) / m, (above[place] - value) / n)
    units, code = np.unique(clusters, return_inverse=True)
    sums = np.bincount(code, weights=moved)
    k = len(units)
    parts = [float(len(np.unique(clusters[side]))) for side in (hits, ~hits)]
    return value, float((sums**2).sum()) * k / max(k - 1, 1), found[2], found[3], min(parts)


def _of_counts(
    positives: Float,
    negatives: Float,
    positive_squares: Float | None = None,
    negative_squares: Float | None = None,
) -> tuple[float, ...]:
    """AUC, variance and the sides' sizes, from rows (or weights, and their squares) by level."""
    squares = [
        side if given is None else given
        for side, given in ((positives, positive_squares), (negatives, negative_squares))
    ]
    m, n = float(positives.sum()), float(negatives.sum())
    sizes = [
        float(kish(np.array(side.sum()), np.array(square.sum())))
        for side, square in zip((positives, negatives), squares, strict=True)
    ]
    if m == 0 or n == 0:
        return np.nan, np.nan, *sizes
    # Placements: the share of negatives below a positive, and of positives above a negative.
    below = (np.cumsum(negatives) - negatives / 2) / n
    above = (m - np.cumsum(positives) + positives / 2) / m
    value = min(max(float((positives * below).sum() / m), 0.0), 1.0)
    variance = 0.0
    for square, placed, total, size in zip(squares, (below, above), (m, n), sizes, strict=True):
        spread = float((square * (placed - value) ** 2).sum()) / total**2
        variance += spread * size / max(size - 1, 1)
    return value, variance, *sizes


def _limits(auc: Auc, z: float) -> Limits:
    """Score interval: the values t that lie within z of their own standard errors of the AUC found.

    The variance at t is Hanley and McNeil's (Newcombe 2006, Statistics in Medicine 25:559, method
    5), which does not vanish near 1 and holds for a handful of positives, as DeLong's does not.
    Where DeLong's is larger at the AUC found, the variance is scaled up to it.
    """
    value = np.nan_to_num(auc.value)
    m, n = (np.maximum(side, 1.0) for side in (auc.positives, auc.negatives))
    if auc.units is not None:
        units = np.maximum(auc.units, 1.0)
        m, n = np.minimum(m, units), np.minimum(n, units)
    here = hanley_mcneil(value, m, n)
    scale = np.where(here > 0, np.nan_to_num(auc.variance) / np.where(here > 0, here, 1), 1.0)
    scale = np.maximum(scale, 1.0)

    def root(low: Float, high: Float, inner: float) -> Float:
        for _ in range(40):
            t = (low + high) / 2
            far = np.abs(value - t) > z * np.sqrt(scale * hanley_mcneil(t, m, n))
            # The outer side of the root is where t is too far from the AUC found.
            low, high = (
                (np.where(far, t, low), np.where(far, high, t))
                if inner > 0
                else (np.where(far, low, t), np.where(far, t, high))
            )
        return (low + high) / 2

    return Limits(root(np.zeros_like(value), value, 1.0), root(value, np.ones_like(value), -1.0))


def hanley_mcneil(t: Float, m: Float, n: Float) -> Float:
    """Variance of an AUC of t from m and n rows, both orders of the exponential model averaged.

    Parameters
    ----------
    t : (G,) AUCs in [0, 1].
    m, n : (G,) rows of the class and of the others, above 0.
    """
    pairs = (m + n) / 2 - 1
    return np.asarray(t * (1 - t) * (1 + pairs * ((1 - t) / (2 - t) + t / (1 + t))) / (m * n))

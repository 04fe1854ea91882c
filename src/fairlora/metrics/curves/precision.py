"""Average precision with its interval, and precision at each recall with its band."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.content import Number, PrecisionPoint
from fairlora.metrics.curves.roc_intervals import joined
from fairlora.metrics.curves.roc_scores import Codes, Sides, effective_size
from fairlora.metrics.inference.intervals import Float, Limits, wilson_limits, z_of


def average_precision(sides: Sides, level: float) -> Number:
    """The mean over positives of the precision at their score: scikit-learn's definition.

    Its variance is that of the rows' influences (of the clusters' sums, where rows come in
    clusters), and the interval Wilson's for as many rows as have this variance: never for more than
    there are positives, whose binomial variance Boyd, Eng and Page (2013, ECML PKDD) take.

    Parameters
    ----------
    sides : some positives and some negatives.
    level : of the interval.
    """
    value, variance = _average_precision(sides)
    positives = len(sides.positives)
    if sides.positive_units is not None:
        positives = len(np.unique(sides.positive_units))
    spread = value * (1 - value)
    effective = float(positives)
    if variance > 0:
        effective = min(effective, max(spread / variance, 1.0))
    limits = wilson_limits(np.array([value]), np.array([effective]), z_of(level))
    return Number(value=value, low=float(limits.low[0]), high=float(limits.high[0]))


def _average_precision(sides: Sides) -> tuple[float, float]:
    """The average precision and its variance."""
    positives, negatives = sides.positives, sides.negatives
    p, n = len(positives), len(positives) + len(negatives)
    selected, hits = _selected(sides, positives)
    precision = hits / selected
    value = float(precision.mean())
    # A row moves the precision at every positive that does not score above it.
    weight = n / selected
    all_below, precise_below = _from_the_end(weight), _from_the_end(weight * precision)
    mine, other = (
        np.searchsorted(-positives, -side, side="left") for side in (positives, negatives)
    )
    inside = (precision - value) * n / p + (all_below[mine] - precise_below[mine]) / p
    outside = -precise_below[other] / p
    moved = np.concatenate([inside, outside])
    units = _units(sides)
    if units is None:
        return value, float((moved**2).sum()) / n**2
    sums = np.bincount(units, weights=moved)
    count = len(sums)
    return value, float((sums**2).sum()) / n**2 * count / max(count - 1, 1)


def _selected(sides: Sides, thresholds: Float) -> tuple[Float, Float]:
    """How many rows, and how many positives, have at least each threshold."""
    hits = np.searchsorted(-sides.positives, -thresholds, side="right").astype(np.float64)
    return hits + np.searchsorted(-sides.negatives, -thresholds, side="right"), hits


def _from_the_end(values: Float) -> Float:
    """(m + 1,) sums of the values from each place on."""
    return np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])


def _units(sides: Sides) -> NDArray[np.intp] | None:
    """Clusters of the positives, then of the negatives, numbered from 0."""
    if sides.positive_units is None or sides.negative_units is None:
        return None
    both: Codes = np.concatenate([sides.positive_units, sides.negative_units])
    return np.unique(both, return_inverse=True)[1]


def precision_points(sides: Sides, recalls: Float, level: float) -> list[PrecisionPoint]:
    """Precision at the thresholds by which recalls are reached, with the ends of its band.

    Of a recall, the precision follows from the FPR there and the share of positives. The band joins
    by square-and-add what the FPR's interval makes of it (which knows that the threshold is
    uncertain, as of a ROC) and what Wilson's interval of the share does.

    Parameters
    ----------
    sides : some positives and some negatives.
    recalls : (A,) above 0 and below 1; those that the positives do not resolve are left out.
    level : of the band.
    """
    p, n = len(sides.positives), len(sides.negatives)
    resolved = recalls[(np.floor((1 - recalls) * p + 1e-9) > 0) & (recalls * p >= 1)]
    if not len(resolved):
        return []
    turned = sides.swapped()
    specificity, band = turned.band(1 - resolved, level)
    at = -turned.thresholds(np.floor((1 - resolved) * p * (1 + 1e-12)).astype(np.int64))
    selected, hits = _selected(sides, at)
    recall, value = hits / p, hits / selected
    share = np.array([p / (p + n)])
    size = np.array([float(p + n)])
    if (units := _units(sides)) is not None:
        order = np.concatenate([units[:p], units[p:]])
        size = effective_size(np.array([p]), p + n, order)
    shares = wilson_limits(share, size, z_of(level))

    def precision(fpr: Float, positives: Float) -> Float:
        found, wrong = positives * recall, (1 - positives) * fpr
        return np.asarray(found / (found + wrong))

    own = Limits(precision(1 - band.low, share), precision(1 - band.high, share))
    fpr = 1 - specificity
    limits = joined(value, own, precision(fpr, shares.low), precision(fpr, shares.high))
    return [
        {"recall": float(r), "precision": float(v), "low": float(a), "high": float(b)}
        for r, v, a, b in zip(resolved, value, limits.low, limits.high, strict=True)
    ]

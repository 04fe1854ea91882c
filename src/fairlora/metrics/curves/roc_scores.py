"""Sort scores, split them by group and class, and count those above a threshold.

A row counts as a positive if its score is above the threshold. Rows that have the threshold's own
score do not: of tied rows one cannot tell some.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.content import CurvePoint
from fairlora.metrics.curves.roc_intervals import allowed, joined, threshold_range
from fairlora.metrics.inference.exact import clopper_pearson
from fairlora.metrics.inference.intervals import Float, Limits

Bool = NDArray[np.bool_]
Codes = NDArray[np.signedinteger[Any]]
Side = Literal["positives", "negatives"]


class Ordered(NamedTuple):
    """All rows from the highest score to the lowest, negatives first among equals.

    Attributes
    ----------
    rows : (n,) row numbers.
    scores, positive : (n,) of them, in this order.
    """

    rows: NDArray[np.intp]
    scores: Float
    positive: Bool


def ordered(scores: Float, positive: Bool) -> Ordered:
    """Put rows in order."""
    # By the score alone first: two keys cost twice as much, and ties are rare.
    rows = np.argsort(-scores, kind="stable")
    high = scores[rows]
    if (high[1:] == high[:-1]).any():
        rows = np.lexsort((positive, -scores))
        high = scores[rows]
    return Ordered(rows, high, positive[rows])


class Groups(NamedTuple):
    """Places of each group's rows in an order, group by group, ascending within each.

    Attributes
    ----------
    places : (N,) of all groups; a row of several groups is there once for each.
    ends : (G + 1,) where each group begins, and the last ends.
    """

    places: NDArray[np.integer[Any]]
    ends: NDArray[np.intp]

    def of(self, g: int) -> NDArray[np.integer[Any]]:
        """The places of one group."""
        return self.places[self.ends[g] : self.ends[g + 1]]


def grouped(codes: Codes, names: int, patterns: Bool | None) -> Groups:
    """Read an order by group.

    Parameters
    ----------
    codes : (n,) of the rows in that order.
    names : how many groups there are.
    patterns : (P, G) of `GroupColumn.patterns`, where groups overlap; else None.
    """
    if patterns is not None:
        inside = patterns.T[:, codes]
        sizes, places = inside.sum(axis=1), np.nonzero(inside)[1]
        return Groups(places, np.concatenate([[0], np.cumsum(sizes)]))
    sizes = np.bincount(codes, minlength=names)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    bits = len(codes).bit_length()
    if bits + names.bit_length() > 31:
        return Groups(np.argsort(codes, kind="stable"), ends)
    # Group and place in one number each: NumPy sorts 32-bit integers several times faster than it
    # finds their order.
    key = codes.astype(np.int32) << np.int32(bits)
    key |= np.arange(len(codes), dtype=np.int32)
    key.sort()
    key &= np.int32((1 << bits) - 1)
    return Groups(key, ends)


@dataclass(frozen=True, eq=False)
class Sides:
    """One group's scores.

    Attributes
    ----------
    positives, negatives : (m,) and (n,) scores of positives and of negatives, high to low.
    positive_units, negative_units : their clusters, or None where rows are independent.
    """

    positives: Float
    negatives: Float
    positive_units: Codes | None = None
    negative_units: Codes | None = None

    def side(self, of: Side) -> tuple[Float, Codes | None]:
        """The scores and clusters of one of the two."""
        return {
            "positives": (self.positives, self.positive_units),
            "negatives": (self.negatives, self.negative_units),
        }[of]

    @property
    def examples(self) -> int:
        """How many there are: clusters, where rows are drawn in them."""
        if self.positive_units is None or self.negative_units is None:
            return len(self.positives) + len(self.negatives)
        return len(np.union1d(self.positive_units, self.negative_units))

    @property
    def constant(self) -> bool:
        """Whether all scores are equal: then no threshold parts anything."""
        ends = [side[k] for side in (self.positives, self.negatives) if len(side) for k in (0, -1)]
        return len(set(map(float, ends))) < 2

    def swapped(self) -> Sides:
        """The sides with the negatives as what is looked for, from the lowest score on.

        Its TPR at an FPR of f is the specificity at a sensitivity of 1 - f.
        """
        return Sides(
            -self.negatives[::-1],
            -self.positives[::-1],
            None if self.negative_units is None else self.negative_units[::-1],
            None if self.positive_units is None else self.positive_units[::-1],
        )

    def thresholds(self, false_positives: NDArray[np.int64]) -> Float:
        """The lowest threshold that so many negatives at most lie above; -inf for all of them."""
        n = len(self.negatives)
        inside = self.negatives[np.clip(false_positives, 0, max(n - 1, 0))]
        return np.where(false_positives >= n, -np.inf, inside)

    def rate(self, thresholds: Float, level: float, of: Side) -> tuple[Float, Limits]:
        """The TPR or FPR of thresholds, and Clopper-Pearson ends.

        Parameters
        ----------
        thresholds : (A,); scores above one count.
        level : of the intervals.
        of : "positives" for the TPR, "negatives" for the FPR.
        """
        side, units = self.side(of)
        hits = np.searchsorted(-side, -thresholds, side="left")
        share = hits / len(side)
        size = effective_size(hits, len(side), units)
        return share, clopper_pearson(share * size, size, level)

    def band(self, fprs: Float, level: float) -> tuple[Float, Limits]:
        """The TPR at each FPR (rounded down to whole negatives), and its interval."""
        n, m = len(self.negatives), len(self.positives)
        at = self.thresholds(allowed(fprs, n))
        value, own = self.rate(at, level, "positives")
        effective = None
        if self.negative_units is not None:
            effective = effective_size(allowed(fprs, n), n, self.negative_units)
        first, last = threshold_range(fprs, n, level, effective)
        low = np.searchsorted(-self.positives, -self.thresholds(first), side="left") / m
        high = np.searchsorted(-self.positives, -self.thresholds(last), side="right") / m
        return value, joined(value, own, np.where(first < 0, 0.0, low), high)


def effective_size(hits: NDArray[Any], n: int, units: Codes | None) -> Float:
    """How many independent rows the first `hits` of n rows tell as much as, at most n.

    Korn and Graubard 1998: p (1 - p) over the variance of p between clusters. Where p is 0 or 1
    nothing shows how rows of a cluster hang together: they count as one.

    Parameters
    ----------
    hits : (A,) how many rows from the start are above a threshold.
    units : (n,) the row's cluster, or None where rows are independent.
    """
    size = np.full(np.shape(hits), float(n))
    if units is None:
        return size
    codes = np.unique(units, return_inverse=True)[1]
    clusters = int(codes.max()) + 1
    total = np.bincount(codes, minlength=clusters).astype(np.float64)
    for k, count in enumerate(np.asarray(hits).tolist()):
        p = count / n
        size[k] = clusters
        if 0 < count < n and clusters > 1:
            off = np.bincount(codes[:count], minlength=clusters) - p * total
            variance = float((off**2).sum()) * clusters / (clusters - 1) / n**2
            size[k] = n if variance == 0 else min(float(n), p * (1 - p) / variance)
    return np.asarray(np.maximum(size, 1.0))


def sides_of(order: Ordered, places: NDArray[np.integer[Any]], clusters: Codes | None) -> Sides:
    """The sides of the rows at some places of the order.

    Parameters
    ----------
    order : all rows.
    places : of the group's rows in it, ascending.
    clusters : (n,) codes by row number, not in the order; None where rows are independent.
    """
    positive = order.positive[places]
    inside, outside = places[positive], places[~positive]
    if clusters is None:
        return Sides(order.scores[inside], order.scores[outside])
    units = clusters[order.rows]
    return Sides(order.scores[inside], order.scores[outside], units[inside], units[outside])


def roc_points(sides: Sides, fprs: Float, level: float) -> list[CurvePoint]:
    """The ROC at FPRs that one negative resolves, each with its TPR and the ends of its band.

    See `roc_intervals.BAND`. The last point is (1, 1).

    Parameters
    ----------
    sides : some positives and some negatives.
    fprs : (A,) ascending, above 0 and below 1.
    level : of the band.
    """
    resolved = fprs[allowed(fprs, len(sides.negatives)) > 0]
    value, band = sides.band(resolved, level)
    points: list[CurvePoint] = [
        {"fpr": float(f), "tpr": float(v), "low": float(a), "high": float(b)}
        for f, v, a, b in zip(resolved, value, band.low, band.high, strict=True)
    ]
    return [*points, {"fpr": 1.0, "tpr": 1.0, "low": 1.0, "high": 1.0}]

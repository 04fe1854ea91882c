"""Sort scores, split them by group and membership, and count those above a threshold.

A row counts as a member if its score is above the threshold. Rows that have the threshold's own
score do not: of tied rows one cannot tell some.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.inference.intervals import Limits
from fairlora.privacy.attack_inputs import Bool, Float
from fairlora.privacy.roc_intervals import allowed, clopper_pearson, joined, threshold_range

Codes = NDArray[np.signedinteger[Any]]


class Ordered(NamedTuple):
    """All rows from the highest score to the lowest, non-members first among equals.

    Attributes
    ----------
    rows : (n,) row numbers.
    scores, member : (n,) of them, in this order.
    """

    rows: NDArray[np.intp]
    scores: Float
    member: Bool


def ordered(scores: Float, member: Bool) -> Ordered:
    """Put rows in order."""
    # By the score alone first: two keys cost twice as much, and ties are rare.
    rows = np.argsort(-scores, kind="stable")
    high = scores[rows]
    if (high[1:] == high[:-1]).any():
        rows = np.lexsort((member, -scores))
        high = scores[rows]
    return Ordered(rows, high, member[rows])


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
    members, others : (m,) and (n,) scores of members and of non-members, high to low.
    member_units, other_units : their clusters, or None where rows are independent.
    """

    members: Float
    others: Float
    member_units: Codes | None = None
    other_units: Codes | None = None

    def side(self, of: str) -> tuple[Float, Codes | None]:
        """The scores and clusters of "members" or of "others"."""
        if of == "members":
            return self.members, self.member_units
        return self.others, self.other_units

    @property
    def examples(self) -> int:
        """How many there are: clusters, where rows are drawn in them."""
        if self.member_units is None or self.other_units is None:
            return len(self.members) + len(self.others)
        return len(np.union1d(self.member_units, self.other_units))

    @property
    def constant(self) -> bool:
        """Whether all scores are equal: then no threshold parts anything."""
        ends = [side[k] for side in (self.members, self.others) if len(side) for k in (0, -1)]
        return len(set(map(float, ends))) < 2

    def thresholds(self, false_positives: NDArray[np.int64]) -> Float:
        """The lowest threshold that so many non-members at most lie above; -inf for all of them."""
        n = len(self.others)
        inside = self.others[np.clip(false_positives, 0, max(n - 1, 0))]
        return np.where(false_positives >= n, -np.inf, inside)

    def rate(self, thresholds: Float, level: float, of: str) -> tuple[Float, Limits]:
        """The TPR or FPR of thresholds, and Clopper-Pearson ends.

        Parameters
        ----------
        thresholds : (A,); scores above one count.
        level : of the intervals.
        of : "members" for the TPR, "others" for the FPR.
        """
        side, units = self.side(of)
        hits = np.searchsorted(-side, -thresholds, side="left")
        share = hits / len(side)
        size = effective_size(hits, len(side), units)
        return share, clopper_pearson(share * size, size, level)

    def band(self, fprs: Float, level: float) -> tuple[Float, Limits]:
        """The TPR at each FPR (rounded down to whole non-members), and its interval."""
        n, m = len(self.others), len(self.members)
        at = self.thresholds(allowed(fprs, n))
        value, own = self.rate(at, level, "members")
        effective = None
        if self.other_units is not None:
            effective = effective_size(allowed(fprs, n), n, self.other_units)
        first, last = threshold_range(fprs, n, level, effective)
        low = np.searchsorted(-self.members, -self.thresholds(first), side="left") / m
        high = np.searchsorted(-self.members, -self.thresholds(last), side="right") / m
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
    member = order.member[places]
    inside, outside = places[member], places[~member]
    if clusters is None:
        return Sides(order.scores[inside], order.scores[outside])
    units = clusters[order.rows]
    return Sides(order.scores[inside], order.scores[outside], units[inside], units[outside])

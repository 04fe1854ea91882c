"""Rates at thresholds that are themselves estimated, as estimates that gaps between groups take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fairlora.metrics.curves.roc_intervals import allowed, joined, threshold_range
from fairlora.metrics.curves.roc_scores import Bool, Side, Sides, effective_size
from fairlora.metrics.groups.estimates import Estimates, proportions
from fairlora.metrics.inference.intervals import Float, Limits, level_of


def only(estimates: Estimates, known: Bool) -> Estimates:
    """The estimates of which these groups alone count."""
    return Estimates(estimates.values, estimates.known & known, estimates.limits, estimates.detail)


def own_estimates(sides: Sequence[Sides], fpr: float, known: Bool) -> Estimates:
    """TPRs at the groups' own thresholds of an FPR; the intervals know that these are uncertain.

    Parameters
    ----------
    sides : of each group.
    fpr : above 0 and below 1.
    known : (G,) which groups have scores of both classes and count.
    """
    at = np.array([fpr])

    def band(level: float) -> tuple[Any, Limits]:
        found = [
            side.band(at, level) if here else (np.array([np.nan]), Limits(at * np.nan, at * np.nan))
            for side, here in zip(sides, known, strict=True)
        ]
        low, high = (np.array([float(one[1][end][0]) for one in found]) for end in (0, 1))
        return np.array([float(one[0][0]) for one in found]), Limits(low, high)

    return Estimates(band(0.95)[0], known, lambda z: band(level_of(z))[1])


def estimates_above(sides: Sequence[Sides], threshold: float, of: Side, known: Bool) -> Estimates:
    """Rates above one threshold that is taken as given.

    Parameters
    ----------
    sides : of each group.
    threshold : of all.
    of : "positives" for TPRs, "negatives" for FPRs.
    known : (G,) which groups count.
    """
    tops, bottoms, sizes = [], [], []
    for side in sides:
        scores, units = side.side(of)
        hits = int((scores > threshold).sum())
        tops.append(hits)
        bottoms.append(len(scores))
        few = np.array([hits])
        sizes.append(float(effective_size(few, len(scores), units)[0]) if len(scores) else 1.0)
    made = proportions(np.array(tops), np.array(bottoms), 1, effective=np.array(sizes))
    return only(made, known)


class CommonThreshold(NamedTuple):
    """The threshold of an FPR over all negatives.

    Attributes
    ----------
    whole : all scores.
    fpr : above 0 and below 1.
    value : scores above it count.
    """

    whole: Sides
    fpr: float
    value: float

    @staticmethod
    def of(whole: Sides, fpr: float) -> CommonThreshold:
        """The lowest threshold that no larger share of the negatives lies above."""
        n = len(whole.negatives)
        return CommonThreshold(whole, fpr, float(whole.thresholds(allowed(fpr, n)[None])[0]))

    def ends(self, level: float) -> tuple[float, float]:
        """A high and a low threshold between which the true one lies; inf where nothing is."""
        at, n, units = np.array([self.fpr]), len(self.whole.negatives), self.whole.negative_units
        effective = None if units is None else effective_size(allowed(at, n), n, units)
        first, last = threshold_range(at, n, level, effective)
        high = np.inf if first[0] < 0 else float(self.whole.thresholds(first)[0])
        return high, float(self.whole.thresholds(last)[0])

    def rate(self, sides: Sides, of: Side, level: float) -> tuple[float, Limits]:
        """A group's rate above it, with an interval that knows that the threshold is uncertain.

        Parameters
        ----------
        sides : the group's scores.
        of : "positives" for the TPR, "negatives" for the FPR.
        level : of the interval.
        """
        scores = sides.side(of)[0]
        value, own = sides.rate(np.array([self.value]), level, of)
        high, low = self.ends(level)
        first, last = np.array([(scores > high).mean()]), np.array([(scores >= low).mean()])
        return float(value[0]), joined(value, own, first, last)


def common_estimates(
    sides: Sequence[Sides], threshold: CommonThreshold, of: Side, known: Bool
) -> Estimates:
    """Rates above a common threshold that is estimated from all rows.

    The groups' errors are taken as independent, though the threshold moves them all one way: the
    intervals of their differences are a little too wide for it.

    Parameters
    ----------
    sides : of each group.
    threshold : of all.
    of : "positives" for TPRs, "negatives" for FPRs.
    known : (G,) which groups have such scores and count.
    """

    def found(level: float) -> tuple[Float, Limits]:
        rates = [
            threshold.rate(side, of, level) if here else None
            for side, here in zip(sides, known, strict=True)
        ]
        ends = [
            [np.nan if one is None else float(one[1][end][0]) for one in rates] for end in (0, 1)
        ]
        values = np.array([np.nan if one is None else one[0] for one in rates])
        return values, Limits(np.array(ends[0]), np.array(ends[1]))

    return Estimates(found(0.95)[0], known, lambda z: found(level_of(z))[1])

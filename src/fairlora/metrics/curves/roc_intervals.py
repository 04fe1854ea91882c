"""Confidence intervals of a ROC's points: exact ones of TPR and FPR, and of the TPR at a given FPR.

A threshold that was chosen so that 1 % of the negatives at hand lie above it has another FPR
among all negatives. So there are two questions. Of this threshold: which TPR and which FPR does
it have? Clopper and Pearson answer, for each by itself. Of the ROC: which TPR goes with an FPR of
1 %? Then the threshold is uncertain too, and an interval of the TPR alone is far too short.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.inference.intervals import Float, Limits

Int = NDArray[np.int64]
BAND = (
    "pointwise: each end joins, by square-and-add, the exact interval of the TPR at the threshold "
    "and the TPR at the ends of the exact interval of the threshold"
)


def allowed(fpr: Float | float, negatives: int | NDArray[Any]) -> Any:
    """How many false positives an FPR allows of so many negatives: rounded down.

    >>> int(allowed(0.01, 250)), int(allowed(0.1, 30))
    (2, 3)
    """
    # 0.1 * 30 is 3.0000000000000004, and 0.07 * 100 is 7.000000000000001.
    return np.floor(np.asarray(fpr) * negatives * (1 + 1e-12)).astype(np.int64)


def threshold_range(
    fpr: Float, negatives: int, level: float, effective: Float | None = None
) -> tuple[Int, Int]:
    """Between which order statistics of the negatives the threshold of an FPR lies.

    The FPR of the threshold at the (k + 1)-th largest of n negatives is distributed as Beta(k +
    1, n - k), whatever the scores' distribution, so P(FPR <= f) = P(Binomial(n, f) > k).

    Parameters
    ----------
    fpr : (A,) above 0.
    effective : (A,) what the negatives amount to where they come in clusters.

    Returns
    -------
    Two (A,) numbers k of negatives above the threshold: the largest whose FPR is at most f with
    probability 1 - (1 - level) / 2, or -1 where not even that of none is; and the smallest whose
    FPR is at least f as surely, or n.
    """
    from scipy.special import bdtr, bdtrik

    tail = (1 - level) / 2
    whole = np.full(fpr.shape, negatives, dtype=np.int64)
    size = whole if effective is None else np.maximum(np.floor(effective), 1).astype(np.int64)

    def least(share: float) -> Int:
        """The smallest k in 0..n with P(Binomial(n, f) <= k) >= share."""
        k = np.clip(np.ceil(bdtrik(share, size, fpr)), 0, size)
        below = np.maximum(k - 1, 0)
        return np.where(bdtr(below, size, fpr) >= share, below, k).astype(np.int64)

    first = least(tail)
    # The largest k with P(<= k) <= tail is one below the smallest with P > tail.
    first = np.where(bdtr(first, size, fpr) <= tail, first, first - 1)
    last = least(1 - tail)
    if effective is None:
        return first, last
    stretch = negatives / size
    return (
        np.floor((first + 1) * stretch * (1 + 1e-12)).astype(np.int64) - 1,
        np.minimum(np.ceil(last * stretch * (1 - 1e-12)).astype(np.int64), whole),
    )


def joined(value: Float, own: Limits, first: Float, last: Float) -> Limits:
    """The band: square-and-add of a TPR's own interval and of the TPRs at the threshold's ends.

    Two errors that have nothing to do with each other, of the positives and of the negatives, add
    up as variances do (the reasoning of Newcombe 1998 and of Zou and Donner 2008). Simulated
    coverage is 95 to 100 %; `benchmarks/privacy.py` has it. Joining two intervals of the full error
    each (Hilgers 1991) never falls short, and is half as wide again or more.

    Parameters
    ----------
    value : (A,) TPRs.
    own : their intervals at the threshold.
    first, last : (A,) the lowest and the highest TPR at the ends of the threshold's interval.
    """
    low = value - np.sqrt((value - own.low) ** 2 + (value - first) ** 2)
    high = value + np.sqrt((own.high - value) ** 2 + (last - value) ** 2)
    return Limits(np.maximum(low, 0.0), np.minimum(high, 1.0))

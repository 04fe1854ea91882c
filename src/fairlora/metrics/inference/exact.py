"""Exact intervals of proportions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fairlora.metrics.inference.intervals import Limits


def clopper_pearson(hits: ArrayLike, n: ArrayLike, level: float = 0.95) -> Limits:
    """Exact intervals of proportions (Clopper and Pearson 1934, Biometrika 26:404).

    Parameters
    ----------
    hits, n : how many of how many; arrays of one shape. Parts of a row are fine: where rows come in
        clusters n is an effective size (Korn and Graubard 1998, Survey Methodology 24:193).
    level : two-sided.

    Returns
    -------
    Low and high ends; 0 and 1 for n = 0.

    >>> low, high = clopper_pearson(8, 10)
    >>> round(float(low), 4), round(float(high), 4)
    (0.4439, 0.9748)
    """
    from scipy.special import betaincinv  # slow to import: when it is needed

    k, size = np.asarray(hits, dtype=np.float64), np.asarray(n, dtype=np.float64)
    tail = (1 - level) / 2
    misses = size - k
    low = betaincinv(np.maximum(k, 1e-9), misses + 1, tail)
    high = betaincinv(k + 1, np.maximum(misses, 1e-9), 1 - tail)
    return Limits(np.where(k > 0, low, 0.0), np.where(misses > 0, high, 1.0))

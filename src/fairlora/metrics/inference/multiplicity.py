"""P-values adjusted for how many there are. NumPy alone.

An undefined p-value (NaN) stays undefined and is not one of the family: it was never a test.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]


def benjamini_hochberg(p: ArrayLike) -> Float:
    """Adjusted p-values that control the false discovery rate.

    Benjamini and Hochberg 1995 (JRSS B 57:289). It holds for independent tests and for positively
    dependent ones (Benjamini and Yekutieli 2001, Annals of Statistics 29:1165). Of all findings
    with an adjusted value of at most q, a share q is expected to be false.

    Parameters
    ----------
    p : (n,) p-values in [0, 1]; NaN where there was no test.

    Returns
    -------
    (n,) adjusted values, none below its p, none above 1, in the same order.

    Raises
    ------
    ValueError : p is not one-dimensional, or has a value outside [0, 1].

    >>> benjamini_hochberg([0.01, 0.04, 0.03, float("nan")]).round(3).tolist()
    [0.03, 0.04, 0.04, nan]
    """
    values, order = _ordered(p)
    n = len(order)
    # n / rank first: p * n / n may be less than p by one rounding.
    scaled = values[order] * (n / np.arange(1, n + 1))
    return _back(len(values), order, np.minimum.accumulate(scaled[::-1])[::-1])


def holm(p: ArrayLike) -> Float:
    """Adjusted p-values that control the chance of any false finding, under any dependence.

    Holm 1979 (Scandinavian Journal of Statistics 6:65): Bonferroni, step by step.

    Parameters
    ----------
    p : (n,) p-values in [0, 1]; NaN where there was no test.

    Returns
    -------
    (n,) adjusted values, none below its p, none above 1, in the same order.

    Raises
    ------
    ValueError : p is not one-dimensional, or has a value outside [0, 1].

    >>> holm([0.01, 0.04, 0.03, float("nan")]).round(3).tolist()
    [0.03, 0.06, 0.06, nan]
    """
    values, order = _ordered(p)
    n = len(order)
    return _back(len(values), order, np.maximum.accumulate(values[order] * np.arange(n, 0, -1)))


def _ordered(p: ArrayLike) -> tuple[Float, NDArray[Any]]:
    """The values, and the places of the defined ones from small to large."""
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"p-values are a list, not an array of shape {values.shape}")
    known = ~np.isnan(values)
    if ((values[known] < 0) | (values[known] > 1)).any():
        raise ValueError("a p-value is in [0, 1]")
    places = np.nonzero(known)[0]
    return values, places[np.argsort(values[known], kind="stable")]


def _back(n: int, order: NDArray[Any], adjusted: Float) -> Float:
    out = np.full(n, np.nan)
    out[order] = np.minimum(adjusted, 1.0)
    return out

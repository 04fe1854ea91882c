"""Intervals of single statistics. NumPy alone.

Intervals of maxima over groups (gaps, worst groups) are in `fairlora.metrics.groups.gaps`, which
builds on these.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.content import Number

Float = NDArray[np.float64]
_NORMAL = NormalDist()
# See `mean_interval`.
_MORE_SKEW, _FARTHEST = 1.5, 1.4


class Limits(NamedTuple):
    """Lower and upper ends, arrays of one shape."""

    low: Float
    high: Float


@lru_cache(maxsize=64)
def z_of(level: float) -> float:
    """The two-sided critical value of a standard normal.

    >>> round(z_of(0.95), 4)
    1.96
    """
    return _NORMAL.inv_cdf(0.5 + level / 2)


def level_of(z: float) -> float:
    """The level whose two-sided critical value is z; above 8, that of 8.

    >>> round(level_of(z_of(0.95)), 12)
    0.95
    """
    return 2 * _NORMAL.cdf(min(z, 8.0)) - 1


def t_of(level: float, degrees: float) -> float:
    """The two-sided critical value of Student's t.

    >>> round(t_of(0.95, 9), 4)
    2.2622
    """
    from scipy.special import stdtrit  # only where few clusters make it matter

    return float(stdtrit(degrees, 0.5 + level / 2))


def wilson(hits: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927, JASA 22:209).

    Parameters
    ----------
    hits, n : hits among n rows.
    z : critical value, as of `z_of`.

    Raises
    ------
    ValueError : there are no rows.

    >>> low, high = wilson(8, 10, z_of(0.95))
    >>> round(low, 4), round(high, 4)
    (0.4902, 0.9433)
    """
    if n <= 0:
        raise ValueError("a proportion needs at least one row")
    limits = wilson_limits(np.array([hits / n]), np.array([float(n)]), z)
    return float(limits.low[0]), float(limits.high[0])


def zero_for_nan(values: Float) -> Float:
    """The values with 0 where they are undefined; NumPy's `nan_to_num` takes ten times as long."""
    return np.where(np.isnan(values), 0.0, values)


def wilson_limits(p: Float, n: Float, z: float) -> Limits:
    """Wilson's interval of many proportions p of n rows.

    Parameters
    ----------
    p : (G,) proportions, in [0, 1].
    n : (G,) rows, or effective sizes; above 0.
    z : critical value, as of `z_of`.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        extra = z * z / n
        shrunk = 1 + extra
        centre = (p + extra / 2) / shrunk
        half = np.sqrt(extra * (p * (1 - p) + extra / 4)) / shrunk
        # Rounding must not cut the ends off where every row is a hit, or none.
        low = np.where(p <= 0, 0.0, np.minimum(np.maximum(centre - half, 0.0), p))
        high = np.where(p >= 1, 1.0, np.maximum(np.minimum(centre + half, 1.0), p))
    return Limits(low, high)


def wide_limits(p: Float, n: Float, z: float) -> Limits:
    """Wilson's interval, with the end towards one half as far as the exact interval's.

    Rates near 0 or 1 of few rows put Wilson's inner end too near: a rate of 99 % of 100 rows is
    missed in 8 of 100 cases, and in more at the higher critical values that many groups need. Where
    intervals are joined to those of gaps and worst groups, that end is Clopper and Pearson's, by
    Wilson and Hilferty's approximation for the Poisson limit and Anderson and Burstein's (1967,
    JASA 62:857) from that to the binomial. It matters below about 2.5 z^2 hits, or misses: from
    there on the end is Wilson's, as a single rate's always is.

    Parameters
    ----------
    p : (G,) proportions, in [0, 1].
    n : (G,) rows, or effective sizes; above 0.
    z : critical value, as of `z_of`.
    """
    found = wilson_limits(p, n, z)
    few = 2.5 * z * z

    def inner(share: Float) -> Float:
        k = np.maximum(share * n, 1e-12)
        root = np.maximum(1 - 1 / (9 * k) - z / (3 * np.sqrt(k)), 0)
        poisson = k * root**3
        return np.asarray(poisson / (n - (k - 1 - poisson) / 2))

    with np.errstate(invalid="ignore", divide="ignore"):
        down = (p > 0) & (p < 0.5) & (p * n < few)
        up = (p < 1) & (p > 0.5) & ((1 - p) * n < few)
        low = np.where(down, np.minimum(found.low, inner(p)), found.low)
        high = np.where(up, np.maximum(found.high, 1 - inner(1 - p)), found.high)
    return Limits(low, high)


def proportion(
    hits: float, n: float, empty: str, *, level: float, effective: float | None = None
) -> Number:
    """A proportion with Wilson's interval; undefined for n = 0, with `empty` as the reason.

    Parameters
    ----------
    hits, n : hits among n rows.
    empty : the reason where there are no rows.
    level : of the interval.
    effective : the size that the rows amount to, where they come in clusters; None is n.
    """
    if n == 0:
        return Number.undefined(empty)
    size = n if effective is None else max(effective, 1e-9)
    limits = wilson_limits(np.array([hits / n]), np.array([size]), z_of(level))
    low, high = float(limits.low[0]), float(limits.high[0])
    return Number(value=float(hits / n), low=low, high=high)


def difference_limits(
    a: Float, a_limits: Limits, b: Float, b_limits: Limits, correlation: Float | float = 0.0
) -> Limits:
    """Interval of a - b from the intervals of a and of b: square-and-add, or MOVER.

    Newcombe 1998 (Statistics in Medicine 17:873, method 10) for two proportions; Zou and Donner
    2008 for anything with an interval of its own and a correlation. It keeps the skew of small
    groups and of rates near 0 and 1, which one standard error cannot.

    Parameters
    ----------
    a, b : values, of shapes that broadcast.
    a_limits, b_limits : their intervals.
    correlation : of the estimates of a and b, a number or an array; 0 where they are independent.
    """
    down_a, up_a = a - a_limits.low, a_limits.high - a
    down_b, up_b = b - b_limits.low, b_limits.high - b
    low = down_a**2 + up_b**2 - 2 * correlation * down_a * up_b
    high = up_a**2 + down_b**2 - 2 * correlation * up_a * down_b
    d = a - b
    return Limits(d - np.sqrt(np.maximum(low, 0)), d + np.sqrt(np.maximum(high, 0)))


def ratio_limits(a: Float, a_limits: Limits, b: Float, b_limits: Limits) -> Limits:
    """Interval of a / b from the intervals of a and of b: MOVER for ratios.

    Donner and Zou 2012 (Statistical Methods in Medical Research 21:347). Where their root has no
    real value (an interval of b that reaches twice b) the ends are the crude a.low / b.high and
    a.high / b.low, which are wider.

    Parameters
    ----------
    a, b : values, of shapes that broadcast.
    a_limits, b_limits : their intervals.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        low = _ratio_end(a, a_limits.low, b, b_limits.high, -1.0)
        high = _ratio_end(a, a_limits.high, b, b_limits.low, +1.0)
        crude = Limits(a_limits.low / b_limits.high, a_limits.high / b_limits.low)
    return Limits(
        np.where(np.isfinite(low), low, crude.low), np.where(np.isnan(high), crude.high, high)
    )


def _ratio_end(a: Float, a_end: Float, b: Float, b_end: Float, sign: float) -> Float:
    inside = (a * b) ** 2 - a_end * b_end * (2 * a - a_end) * (2 * b - b_end)
    below = b_end * (2 * b - b_end)
    end = (a * b + sign * np.sqrt(np.maximum(inside, 0))) / below
    return np.where((inside >= 0) & (below > 0), end, np.nan)


def mean_interval(
    mean: float, n: float, squares: float, cubes: float, level: float, units: float | None = None
) -> tuple[float, float]:
    """Interval of a mean from sums of its residuals' powers, without a draw: BCa, and Hall's.

    For a mean the BCa bootstrap has a closed form up to terms of order 1/n: acceleration and bias
    correction both are skewness / (6 sqrt(n)) (DiCiccio and Efron 1992, Biometrika 79:231, "ABC").
    With a long tail it still is too short, for a few rows rarely show the tail: an end goes as far
    as Hall's transformation of Student's statistic (1992, JRSS B 54:221) at one and a half times
    the skewness found, but at most 1.4 times as far as BCa's. Both numbers were found by simulation
    with exponential and lognormal losses; `benchmarks/coverage` shows what comes of them.

    Parameters
    ----------
    mean, n : of n rows.
    squares, cubes : sums of the second and third powers of the residuals: of the rows, or of the
        clusters' sums of them, then with the number of clusters as `units`. Needs two or more.
    """
    units = n if units is None else units
    if squares <= 0:
        return mean, mean
    se = math.sqrt(squares * units / (units - 1)) / n
    # Cornish-Fisher: Student's quantile from the normal one.
    z = z_of(level)
    z += (z**3 + z) / (4 * (units - 1))
    a = cubes / (6 * squares**1.5)
    skew = _MORE_SKEW * 6 * a
    if units > 2:
        skew *= math.sqrt(units * (units - 1)) / (units - 2)
    below, above = -_accelerated(-z, a), _accelerated(z, a)
    below = min(max(below, _hall(z, skew)), _FARTHEST * below)
    above = min(max(above, -_hall(-z, skew)), _FARTHEST * above)
    return mean - se * below, mean + se * above


def _accelerated(z: float, a: float) -> float:
    """How many standard errors from a mean its ABC end at z lies."""
    w = a + z
    return w / max(1 - a * w, 0.1) ** 2


def _hall(y: float, skew: float) -> float:
    """The inverse of t -> t + skew t^2 / 3 + skew^2 t^3 / 27 + skew / 6."""
    if abs(skew) < 1e-6:
        return y
    return 3 / skew * (math.cbrt(1 + skew * (y - skew / 6)) - 1)


def bca_interval(
    value: float, draws: Float, influence: Float, weights: Float, level: float
) -> tuple[float, float]:
    """Bias-corrected and accelerated interval (Efron 1987, JASA 82:171).

    Parameters
    ----------
    value, draws : the statistic, and (B,) bootstrap draws of it, all defined.
    influence, weights : the statistic's influence of each kind of row, and how many rows are of it.
    """
    below = float((draws < value).mean() + 0.5 * (draws == value).mean())
    low = 0.5 / len(draws)
    z0 = _NORMAL.inv_cdf(min(max(below, low), 1 - low))
    second = float((weights * influence**2).sum())
    a = float((weights * influence**3).sum()) / (6 * second**1.5) if second > 0 else 0.0
    ends = []
    for z in (-z_of(level), z_of(level)):
        w = z0 + z
        ends.append(_NORMAL.cdf(z0 + w / max(1 - a * w, 0.1)))
    found = np.quantile(draws, ends)
    return float(min(found[0], value)), float(max(found[1], value))


@lru_cache(maxsize=256)
def pair_critical(level: float, groups: int) -> float:
    """Critical value of the largest studentised difference of all pairs of `groups` estimates.

    The quantile of the studentised range over sqrt(2): exact for equal standard errors, and on the
    safe side for unequal ones (Tukey and Kramer; Hayter 1984, Annals of Statistics 12:61).

    >>> round(pair_critical(0.95, 2), 3), round(pair_critical(0.95, 5), 3)
    (1.96, 2.728)
    """
    z = np.linspace(-8.5, 8.5, 1701)
    cdf = np.array([_NORMAL.cdf(x) for x in z])
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    low, high = 0.0, 20.0
    for _ in range(50):
        q = (low + high) / 2
        inside = cdf - np.interp(z - q, z, cdf, left=0.0)
        covered = groups * float(np.trapezoid(density * inside ** (groups - 1), z))
        low, high = (q, high) if covered < level else (low, q)
    return high / math.sqrt(2)


def shared_level(level: float, families: int) -> float:
    """The level that each of so many families needs for all to hold together.

    Sidak 1967: for two-sided intervals, families taken as independent are on the safe side.

    >>> round(shared_level(0.95, 2), 4)
    0.9747
    """
    return level if families <= 1 else level ** (1 / families)

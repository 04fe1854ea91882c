"""Means of the groups' losses and scores, and the variance of the groups' mean losses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.content import Disparity, Number
from fairlora.metrics.counts.calibration import invert
from fairlora.metrics.counts.tally import Means, Powers, Tally
from fairlora.metrics.groups.gaps import TOO_FEW, Estimates
from fairlora.metrics.inference.intervals import Float, Limits, level_of, mean_interval, z_of

_RANGES = {"brier": (0.0, 2.0), "nll": (0.0, np.inf), "confidence_gap": (-1.0, 1.0)}


def mean_of(
    tally: Tally,
    name: str,
    g: int,
    level: float,
    missing: str,
    clusters: tuple[float, float, float] | None = None,
) -> Number:
    """Mean of a row's value ("loss", "brier", "nll", "confidence_gap") in group g.

    Parameters
    ----------
    tally : of the attribute.
    name : of the value.
    g : number of the group.
    level : of the interval.
    missing : the reason where the tally has no such value.
    clusters : sums of squares and of cubes of the clusters' residuals, and the clusters' number;
        None takes rows as independent.
    """
    powers = tally.powers.get(name)
    if powers is None:
        return Number.undefined(missing)
    n, first, second, third = (float(p[g]) for p in powers)
    if n == 0:
        return Number.undefined("no rows")
    mean = first / n
    if n < 2 or (clusters is not None and clusters[2] < 2):
        one = "row" if clusters is None else "cluster"
        return Number(value=mean, low=None, high=None, reason=f"one {one} alone has no interval")
    squares = max(second - n * mean**2, 0.0)
    # What is left of a difference of large numbers is no spread.
    if squares < 1e-12 * max(second, 1e-300):
        squares = 0.0
    cubes = third - 3 * mean * second + 2 * n * mean**3
    if clusters is None:
        low, high = mean_interval(mean, n, squares, cubes, level)
    else:
        low, high = mean_interval(mean, n, clusters[0], clusters[1], level, clusters[2])
    least, most = _RANGES.get(name, (-np.inf, np.inf))
    return Number(value=mean, low=max(low, least), high=min(high, most))


def means_of(powers: Powers) -> Means:
    """The means of independent rows, from their powers."""
    n, first, second, third = powers
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(n > 0, first / n, np.nan)
    squares = np.maximum(second - n * mean**2, 0.0)
    # What is left of a difference of large numbers is no spread.
    squares = np.where(squares < 1e-12 * np.maximum(second, 1e-300), 0.0, squares)
    return Means(mean, n, squares, third - 3 * mean * second + 2 * n * mean**3, n)


def mean_estimates(
    means: Means, least: int, correlation: Float | None = None, floor: float = 0.0
) -> Estimates:
    """Estimates of means, as gaps and pairs need them.

    Parameters
    ----------
    means : of the groups, or of everyone outside each.
    least : means of fewer rows do not count in maxima and spreads.
    correlation : (G, G) of the groups' means where they share rows or clusters, or None.
    floor : sum of squares a row that stands for none: rows that are all alike do not say that the
        next one must be.
    """
    enough = (means.n >= max(1, least)) & (means.units >= 2)
    squares = np.where(means.squares > 0, means.squares, floor * means.n)
    cubes = np.where(means.squares > 0, means.cubes, 0.0)

    def limits(z: float) -> Limits:
        low, high = means.mean.copy(), means.mean.copy()
        for g in np.flatnonzero((means.n > 0) & (means.units >= 2)):
            mean, n, second, third, units = (
                float(v[g]) for v in (means.mean, means.n, squares, cubes, means.units)
            )
            low[g], high[g] = mean_interval(mean, n, second, third, level_of(z), units)
        return Limits(low, high)

    return Estimates(means.mean, enough, limits, correlation=correlation)


def floor_of(means: Means) -> float:
    """The sum of squares a row over all groups, for `mean_estimates`."""
    return float(np.nansum(means.squares) / max(float(means.n.sum()), 1.0))


def mean_number(estimates: Estimates, means: Means, g: int, level: float, what: str) -> Number:
    """One group's mean with its own interval.

    Parameters
    ----------
    estimates, means : of all groups.
    g : number of the group.
    level : of the interval.
    what : "row" or "cluster", of which one alone has no interval.
    """
    if means.n[g] == 0:
        return Number.undefined("no rows")
    value = float(means.mean[g])
    if means.units[g] < 2:
        return Number(value=value, low=None, high=None, reason=f"one {what} alone has no interval")
    ends = estimates.limits(z_of(level))
    return Number(value=value, low=float(ends.low[g]), high=float(ends.high[g]))


def mean_errors(powers: Powers) -> tuple[Float, Float]:
    """(G,) means and their variances s^2 / n; NaN below two rows."""
    n = powers.n
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = powers.first / n
        spread = np.maximum(powers.second - n * mean**2, 0) / (n - 1)
        return mean, np.where(n > 1, spread / n, np.nan)


def loss_variance(
    tally: Tally,
    large: NDArray[np.bool_],
    level: float,
    rng: np.random.Generator,
    covariance: Float | None = None,
    stretch: Float | None = None,
) -> tuple[Disparity, Disparity]:
    """Mean over groups of (L_g - mean of the L_g)^2, and its unbiased value: two numbers.

    The unbiased value takes (G - 1) / G^2 times the sum of s_g^2 / n_g away, what the noise of the
    groups' mean losses adds on average, and so what is expected by chance; it may be negative. The
    interval inverts a test, as the ECE's does: both estimate the same variance.

    Parameters
    ----------
    tally : of the attribute; without losses both are undefined.
    large : (G,) which groups count.
    level : of the intervals.
    rng : of the noise that is drawn.
    covariance : (G, G) of the mean losses where rows come in clusters or in several groups; None
        takes rows as independent.
    stretch : (G,) how much wider than the normal's the intervals of the mean losses are; counts
        with a covariance alone, and None is no wider.
    """
    powers = tally.powers.get("loss")
    if powers is None:
        nothing = Disparity.undefined("no losses given")
        return nothing, nothing
    groups = int(large.sum())
    if groups < 2:
        nothing = Disparity.undefined(TOO_FEW)
        return nothing, nothing
    mean, variance = (v[large] for v in mean_errors(powers))
    off = mean - mean.mean()
    value = float((off**2).mean())
    if np.isnan(variance).any():
        why = "a group of one row has no variance"
        alone = Disparity(value=value, low=None, high=None, reason=why)
        return alone, Disparity.undefined(why)
    if covariance is None:
        noise = rng.standard_normal((2000, groups)) * _half_widths(powers, large, level)
        expected = float((groups - 1) / groups**2 * variance.sum())
    else:
        part = covariance[np.ix_(large, large)]
        centre = np.eye(groups) - 1 / groups
        expected = float(np.trace(centre @ part @ centre) / groups)
        noise = rng.multivariate_normal(np.zeros(groups), part, size=2000, method="eigh")
        if stretch is not None:
            noise *= stretch[large]
    noise -= noise.mean(axis=1, keepdims=True)
    low, high = invert(off, noise, lambda d: (d**2).mean(axis=-1), level)
    low, high = low**2 * value, high**2 * value
    found = Disparity(value=value, low=low, high=high, expected_by_chance=expected)
    return found, Disparity(value=value - expected, low=low, high=high)


def _half_widths(powers: Powers, large: NDArray[np.bool_], level: float) -> Float:
    """Of the groups' mean losses, in normal standard errors: few rows and long tails need more."""
    widths = []
    for g in np.flatnonzero(large):
        n, first, second, third = (float(p[g]) for p in powers)
        mean = first / n
        cubes = third - 3 * mean * second + 2 * n * mean**3
        low, high = mean_interval(mean, n, max(second - n * mean**2, 0.0), cubes, level)
        widths.append((high - low) / (2 * z_of(level)))
    return np.array(widths)

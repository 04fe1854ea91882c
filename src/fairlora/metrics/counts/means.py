"""Means of the groups' losses and scores, and the variance of the groups' mean losses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.content import Disparity, Number
from fairlora.metrics.counts.calibration import invert
from fairlora.metrics.counts.sums import Means
from fairlora.metrics.counts.tally import Tally
from fairlora.metrics.groups.estimates import Estimates
from fairlora.metrics.groups.gaps import TOO_FEW
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
    means = tally.means.get(name)
    if means is None:
        return Number.undefined(missing)
    mean, n, squares, cubes, units = (float(v[g]) for v in means)
    if n == 0:
        return Number.undefined("no rows")
    what = "row"
    if clusters is not None:
        (squares, cubes, units), what = clusters, "cluster"
    if units < 2:
        return Number(value=mean, low=None, high=None, reason=no_interval(tally, what))
    low, high = mean_interval(mean, n, squares, cubes, level, units)
    least, most = _RANGES.get(name, (-np.inf, np.inf))
    return Number(value=mean, low=max(low, least), high=min(high, most))


def no_interval(tally: Tally, what: str) -> str:
    """Why a mean of fewer than two rows, or clusters, has no interval; `what` they are."""
    if tally.weighed is not None:
        return f"an effective size below 2 {what}s has no interval"
    return f"one {what} alone has no interval"


def mean_estimates(
    means: Means,
    enough: NDArray[np.bool_],
    correlation: Float | None = None,
    floor: float = 0.0,
) -> Estimates:
    """Estimates of means, as gaps and pairs need them.

    Parameters
    ----------
    means : of the groups, or of everyone outside each.
    enough : (G,) which count in maxima and spreads.
    correlation : (G, G) of the groups' means where they share rows or clusters, or None.
    floor : sum of squares a row that stands for none: rows that are all alike do not say that the
        next one must be.
    """
    enough = enough & (means.units >= 2)
    squares = np.where(means.squares > 0, means.squares, floor * _square_sizes(means))
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
    sizes = float(_square_sizes(means).sum())
    return float(np.nansum(means.squares)) / sizes if sizes > 0 else 0.0


def _square_sizes(means: Means) -> Float:
    """(G,) sums of the squared weights of the rows, or of the squared sizes of the clusters."""
    return np.where(means.units > 0, means.n**2 / np.where(means.units > 0, means.units, 1), 0.0)


def mean_number(estimates: Estimates, means: Means, g: int, level: float, why: str) -> Number:
    """One group's mean with its own interval.

    Parameters
    ----------
    estimates, means : of all groups.
    g : number of the group.
    level : of the interval.
    why : the reason where fewer than two rows, or clusters, have no interval.
    """
    if means.n[g] == 0:
        return Number.undefined("no rows")
    value = float(means.mean[g])
    if means.units[g] < 2:
        return Number(value=value, low=None, high=None, reason=why)
    ends = estimates.limits(z_of(level))
    return Number(value=value, low=float(ends.low[g]), high=float(ends.high[g]))


def mean_errors(means: Means) -> tuple[Float, Float]:
    """(G,) means and their variances, s^2 / n; NaN below two rows."""
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = means.squares * means.units / (means.units - 1) / means.n**2
    return means.mean, np.where(means.units > 1, variance, np.nan)


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
    means = tally.means.get("loss")
    if means is None:
        nothing = Disparity.undefined("no losses given")
        return nothing, nothing
    groups = int(large.sum())
    if groups < 2:
        nothing = Disparity.undefined(TOO_FEW)
        return nothing, nothing
    mean, variance = (v[large] for v in mean_errors(means))
    off = mean - mean.mean()
    value = float((off**2).mean())
    if np.isnan(variance).any():
        why = "a group of one row has no variance"
        alone = Disparity(value=value, low=None, high=None, reason=why)
        return alone, Disparity.undefined(why)
    if covariance is None:
        noise = rng.standard_normal((2000, groups)) * _half_widths(means, large, level)
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


def _half_widths(means: Means, large: NDArray[np.bool_], level: float) -> Float:
    """Of the groups' mean losses, in normal standard errors: few rows and long tails need more."""
    widths = []
    for g in np.flatnonzero(large):
        mean, n, squares, cubes, units = (float(v[g]) for v in means)
        low, high = mean_interval(mean, n, squares, cubes, level, units)
        widths.append((high - low) / (2 * z_of(level)))
    return np.array(widths)

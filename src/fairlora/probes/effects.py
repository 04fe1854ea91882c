"""Effects of a fitted logistic mixed model: the size of each factor, and of its levels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fairlora.metrics.inference.intervals import t_of
from fairlora.probes.laplace import Float
from fairlora.probes.logistic import Fit


def size_of(fit: Fit, name: str, level: float = 0.95) -> dict[str, Any]:
    """How strong a factor is: the root mean square log odds between two of its levels.

    The interval is of the norm over the ellipsoid that holds all coefficients of the factor at the
    level (Scheffe's, with F of texts - 1): exact for two levels, and wider than it must be for
    more. It reaches 0 where the ellipsoid does. `p` is of the factor having no effect (F),
    `degrees` how many coefficients it has.

    Parameters
    ----------
    fit : the fitted model.
    name : of a factor in it.
    level : of the interval, above 0 and below 1.
    """
    block = next(b for b in fit.blocks if b.name == name)
    where = fit.columns(name)
    beta, covariance = fit.beta[where], fit.covariance[where, where]
    width = len(beta)
    critical, p = _ellipsoid(beta, covariance, fit.degrees, level)
    low, high = norm_range(beta, covariance, critical)
    value = float(np.linalg.norm(beta))
    return {
        "value": value * block.scale,
        "low": low * block.scale,
        "high": high * block.scale,
        "p": p,
        "degrees": width,
    }


def _ellipsoid(beta: Float, covariance: Float, degrees: int, level: float) -> tuple[float, float]:
    """The ellipsoid's squared radius, and the p-value of its not holding the origin."""
    from scipy.special import fdtrc, fdtri

    width = len(beta)
    critical = width * float(fdtri(width, degrees, level))
    statistic = float(beta @ np.linalg.pinv(covariance) @ beta) / width
    return critical, float(fdtrc(width, degrees, statistic))


def norm_range(beta: Float, covariance: Float, critical: float) -> tuple[float, float]:
    """The least and the largest norm in {v : (v - beta)' covariance^-1 (v - beta) <= critical}.

    Parameters
    ----------
    beta : (p,) the ellipsoid's center.
    covariance : (p, p), symmetric.
    critical : its squared radius.

    >>> [round(x, 3) for x in norm_range(np.array([3.0]), np.array([[1.0]]), 4.0)]
    [1.0, 5.0]
    """
    from scipy.optimize import brentq

    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 1e-18)
    along = vectors.T @ beta

    def shrunk(weight: float) -> float:
        return float((values * along**2 / (values + weight) ** 2).sum()) - critical

    def stretched(weight: float) -> float:
        return float((values * along**2 / (weight - values) ** 2).sum()) - critical

    low = 0.0
    if shrunk(0.0) > 0:
        end = float(values.max())
        while shrunk(end) > 0:
            end *= 4
        weight = brentq(shrunk, 0.0, end, xtol=1e-14, rtol=1e-12)
        low = float(np.linalg.norm(weight * along / (values + weight)))
    largest = float(values.max())
    # Along an axis on which beta has no part the farthest point is off the formula: give it one.
    tiny = 1e-9 * math.sqrt(largest)
    along = np.where(np.abs(along) < tiny, tiny, along)
    start, end = largest * (1 + 1e-13), 2 * largest
    while stretched(end) > 0:
        end = largest + 4 * (end - largest)
    if stretched(start) <= 0:
        return low, float(np.linalg.norm(beta)) + math.sqrt(critical * largest)
    weight = brentq(stretched, start, end, xtol=1e-300, rtol=1e-12)
    return low, float(np.linalg.norm(weight * along / (weight - values)))


def levels_of(fit: Fit, name: str, level: float = 0.95) -> dict[str, dict[str, float]]:
    """Each level's log odds to the mean of the factor's levels, with its interval.

    Parameters
    ----------
    fit : the fitted model.
    name : of a factor in it.
    level : of the intervals, above 0 and below 1.
    """
    block = next(b for b in fit.blocks if b.name == name)
    where = fit.columns(name)
    effects = block.contrasts @ fit.beta[where]
    variances = np.einsum(
        "lc,cd,ld->l", block.contrasts, fit.covariance[where, where], block.contrasts
    )
    c = t_of(level, fit.degrees)
    return {
        word: {
            "value": float(effect),
            "low": float(effect - c * math.sqrt(max(variance, 0.0))),
            "high": float(effect + c * math.sqrt(max(variance, 0.0))),
        }
        for word, effect, variance in zip(block.levels, effects, variances, strict=True)
    }

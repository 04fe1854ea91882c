"""Frechet distance between two sets of features, each taken as normal, without a matrix's root.

d^2 = |m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^(1/2)) (Dowson and Landau 1982). With factors C =
R'R the last trace is the sum of the singular values of R1 R2': they are never negative, whatever
the rounding, and no product of covariances is formed. The usual square root of C1 C2, which is not
symmetric, turns complex where a covariance has no inverse.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError

Float = NDArray[np.float64]


@dataclass
class RunningMoments:
    """Mean and covariance of features that come batch by batch (Chan, Golub and LeVeque 1979).

    Each batch is centred by itself before it is joined: no digit is lost however far from 0 the
    features are. Two of them join to what one would have been.

    >>> seen = RunningMoments()
    >>> for batch in (np.eye(3), 2 * np.eye(3)): seen.add(batch)
    >>> seen.count, seen.mean.tolist()
    (6, [0.5, 0.5, 0.5])
    """

    count: int = 0
    mean: Float = field(default_factory=lambda: np.zeros(0))
    scatter: Float = field(default_factory=lambda: np.zeros((0, 0)))

    def add(self, batch: NDArray[Any]) -> None:
        """Add a batch of (m, d) features. Raises `InputError` for another width."""
        x = np.asarray(batch, dtype=np.float64)
        if not len(x):
            return
        mean = x.mean(axis=0)
        centred = x - mean
        self.join(RunningMoments(len(x), mean, centred.T @ centred))

    def join(self, other: RunningMoments) -> None:
        """Add the features of another."""
        if self.count == 0:
            self.count, self.mean, self.scatter = other.count, other.mean, other.scatter
            return
        if len(other.mean) != len(self.mean):
            raise InputError(
                "features of another width",
                where="features",
                found=len(other.mean),
                expected=len(self.mean),
            )
        total = self.count + other.count
        off = other.mean - self.mean
        self.scatter = (
            self.scatter + other.scatter + np.outer(off, off) * (self.count * other.count / total)
        )
        self.mean = self.mean + off * (other.count / total)
        self.count = total

    @property
    def covariance(self) -> Float:
        """(d, d), with the divisor n - 1. Raises `InputError` for fewer than two rows."""
        if self.count < 2:
            raise InputError("too few rows for a covariance", found=self.count, expected="2")
        return np.asarray(self.scatter / (self.count - 1))


class Frechet(NamedTuple):
    """A squared Frechet distance and what it is made of: `value` is the sum of the two."""

    value: float
    means: float
    covariances: float


def frechet_distance(mean1: Float, cov1: Float, mean2: Float, cov2: Float) -> Frechet:
    """The squared distance of two normal distributions.

    Parameters
    ----------
    mean1, mean2 : (d,).
    cov1, cov2 : (d, d), symmetric, with no negative eigenvalue but for rounding.

    Raises `InputError` for shapes that do not agree, or numbers that are not finite.

    >>> frechet_distance(np.zeros(2), np.eye(2), np.ones(2), 4 * np.eye(2))
    Frechet(value=4.0, means=2.0, covariances=2.0)
    """
    d = len(mean1)
    shapes = (mean1.shape, mean2.shape, cov1.shape, cov2.shape)
    if shapes != ((d,), (d,), (d, d), (d, d)):
        raise InputError("another shape", where="moments", found=shapes)
    if not all(np.isfinite(part).all() for part in (mean1, mean2, cov1, cov2)):
        raise InputError("not a finite number", where="moments")
    return _distance(mean1, _factor(cov1), mean2, _factor(cov2))


def _factor(covariance: Float) -> Float:
    """R with R'R the covariance."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray(np.sqrt(np.maximum(values, 0))[:, None] * vectors.T)


def factor_of_rows(x: NDArray[Any], weights: NDArray[Any] | None = None) -> tuple[Float, Float]:
    """The mean of weighted rows, and R with R'R their covariance.

    R has as many rows as the fewer of rows and columns there are, which is what makes few pictures
    of many features cheap.
    """
    wide = np.asarray(x, dtype=np.float64)
    if weights is None:
        mean, n = wide.mean(axis=0), len(wide)
        centred = wide - mean
    else:
        kept = weights > 0
        wide, own = wide[kept], weights[kept].astype(np.float64)
        n = int(own.sum())
        mean = own @ wide / n
        centred = (wide - mean) * np.sqrt(own)[:, None]
    scaled = centred / np.sqrt(n - 1)
    if len(scaled) <= scaled.shape[1]:
        return mean, scaled
    return mean, np.asarray(np.linalg.qr(scaled, mode="r"))


def _distance(mean1: Float, r1: Float, mean2: Float, r2: Float) -> Frechet:
    off = mean1 - mean2
    means = float(off @ off)
    cross = float(np.linalg.svd(r1 @ r2.T, compute_uv=False).sum())
    spread = float((r1 * r1).sum() + (r2 * r2).sum()) - 2 * cross
    # Two equal covariances leave rounding alone.
    covariances = max(spread, 0.0)
    return Frechet(means + covariances, means, covariances)


def frechet_of_rows(
    first: NDArray[Any],
    second: NDArray[Any],
    weights: tuple[NDArray[Any], NDArray[Any]] | None = None,
) -> Frechet:
    """The squared distance of two sets of features, with covariances of divisor n - 1.

    Parameters
    ----------
    first, second : (n, d) and (m, d) features.
    weights : (n,) and (m,) how many times each row counts; None is once.
    """
    a = factor_of_rows(first, None if weights is None else weights[0])
    b = factor_of_rows(second, None if weights is None else weights[1])
    return _distance(*a, *b)

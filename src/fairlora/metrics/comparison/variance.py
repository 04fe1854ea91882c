"""Variance of a mean over seeds: by the rows, which all seeds share, and by the seeds.

A mean over S seeds of a difference has two independent sources of chance. The test rows are the
same for every seed, so what they do to all seeds alike does not shrink with S: its variance V comes
from resampling them, of as many degrees of freedom as there are rows. What differs from seed to
seed has the variance s^2 / S, of S - 1 degrees of freedom, which is few. The two are joined as

    half width^2 = z^2 V + max(t^2 s^2, z^2 w) / S,      t of S - 1 degrees, z of the rows'

which covers at least as often as it says for any ratio of the two (Banerjee 1960, Sankhya 22:357,
theorem for sums of squared half widths). Satterthwaite's degrees of freedom for V + s^2 / S do not:
a small s^2 by chance makes the interval short and the degrees of freedom many at once. With three
seeds a 95 % interval of his covers 92 %, and at the level of one in nine tests of a family
(0.05 / 9) false findings are five times as many as they should be. w is the part of s^2 that the
rows alone explain, known well from resampling: s^2 is below it by luck alone. One seed has V alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from fairlora.metrics.comparison.noise import Noise
from fairlora.metrics.inference.intervals import Float, t_of, z_of
from fairlora.metrics.inference.power import POWER

# Quantiles of the chi-square that stand for its distribution where power is computed: for one, and
# for each of two.
_POINTS = 200, 40
_FEW_UNITS = 200


@dataclass(frozen=True)
class Variance:
    """The variance of a mean over seeds, by source.

    Noise makes the gap of a noisier model larger, and, unlike noise itself, that does not shrink
    with the number of seeds. So the interval reaches further by `bias` on the side where the truth
    then lies, and a difference must be larger than it to be found.

    Attributes
    ----------
    rows : variance that the seeds share, of the test rows.
    seeds : variance of the mean over seeds: s^2 / S, or what replaces 1 / S where test rows vary
        with the seed.
    floor : the part of `seeds` that the rows alone explain, w / S.
    row_degrees : of freedom of `rows` and `floor`, or None for a normal.
    seed_degrees : of freedom of `seeds`, S - 1; 0 for one seed, which has no such part.
    bias : how much of the difference unequal noise of the two may explain, with its sign.
    """

    rows: float
    seeds: float = 0.0
    floor: float = 0.0
    row_degrees: float | None = None
    seed_degrees: int = 0
    bias: float = 0.0

    @property
    def error(self) -> float:
        """The standard error."""
        return math.sqrt(self.rows + max(self.seeds, self.floor))

    def at_least(self, least: float) -> Variance:
        """The same with the whole no smaller than a variance that is known to be there."""
        if not self.seed_degrees:
            return replace(self, rows=max(self.rows, least))
        return replace(self, floor=max(self.floor, least - self.rows))

    def half_width(self, level: float) -> float:
        """Of the interval at a level, the allowance for bias apart."""
        c = critical(level, self.row_degrees)
        inner = c * c * self.floor
        if self.seed_degrees:
            inner = max(inner, t_of(level, self.seed_degrees) ** 2 * self.seeds)
        return math.sqrt(c * c * self.rows + inner)

    def ends(self, value: float, level: float) -> tuple[float, float]:
        """The interval about a value at a level."""
        half = self.half_width(level)
        return value - half - max(self.bias, 0.0), value + half + max(-self.bias, 0.0)

    def p(self, value: float) -> float:
        """One minus the level of the interval that ends at zero; 1 where nothing differs."""
        from scipy.optimize import brentq
        from scipy.special import ndtr, stdtr

        far = abs(value) - (abs(self.bias) if value * self.bias > 0 else 0.0)
        if value == 0 or far <= 0:
            return 1.0
        if self.error == 0:
            return 0.0
        if not self.seed_degrees:
            score = -far / math.sqrt(self.rows + self.floor)
            degrees = self.row_degrees
            return float(2 * (ndtr(score) if degrees is None else stdtr(degrees, score)))

        def beyond(log_p: float) -> float:
            return self.half_width(-math.expm1(log_p)) - far

        # On the logarithm of p, down to where one minus p is one.
        least = math.log(1e-15)
        return 0.0 if beyond(least) <= 0 else math.exp(brentq(beyond, least, 0.0))

    def detectable(self, level: float = 0.95, power: float = POWER) -> float:
        """The smallest difference that the rule of this module finds with the given power.

        The variances are taken as the true ones; that s^2 will be another next time is accounted
        for, which matters much: with three seeds and no noise of the rows the smallest difference
        is twice what a normal would say. With few clusters the rows' variance varies likewise.

        Parameters
        ----------
        level : of the interval that must exclude 0.
        power : probability of finding the difference, between 0 and 1.

        >>> round(Variance(0.01**2).detectable(), 4)
        0.028
        >>> round(Variance(0.0, 0.01**2, seed_degrees=2).detectable(), 3)
        0.057
        """
        from scipy.optimize import brentq
        from scipy.special import ndtr

        rows, seeds = self.rows, max(self.seeds, self.floor)
        error = math.sqrt(rows + seeds)
        if error == 0:
            return 0.0
        c = critical(level, self.row_degrees)
        both = bool(self.row_degrees) and bool(self.seed_degrees)
        square = c * c * rows * _spread(self.row_degrees, _POINTS[both])[:, None]
        if self.seed_degrees:
            t = t_of(level, self.seed_degrees)
            of_seeds = _spread(self.seed_degrees, _POINTS[both])[None, :]
            square = square + np.maximum(t * t * seeds * of_seeds, c * c * self.floor)
        else:
            square = square + c * c * self.floor
        half = np.sqrt(square).reshape(-1)

        def found(difference: float) -> float:
            up, down = (difference - half) / error, (-difference - half) / error
            return float((ndtr(up) + ndtr(down)).mean())

        most = error
        while found(most) < power:
            most *= 2
        return float(brentq(lambda difference: found(difference) - power, 0.0, most))


def critical(level: float, degrees: float | None) -> float:
    """Two-sided critical value of Student's t, or of a normal for None."""
    return z_of(level) if degrees is None else t_of(level, degrees)


def degrees_of(units: int) -> float | None:
    """Degrees of freedom of a variance between so few units; None for many, a normal's."""
    return float(units - 1) if 1 < units < _FEW_UNITS else None


def variance_of(
    differences: ArrayLike,
    noise: Noise | None,
    *,
    least: float = 0.0,
    degrees: float | None = None,
    ratio: float | None = None,
    bias: float = 0.0,
) -> Variance | None:
    """The variance of a mean over seeds; None where nothing says what chance does.

    Parameters
    ----------
    differences : (S,) of the seeds.
    noise : what resampling the rows does to them; of no matter with a `ratio`.
    least : an error of the rows that resampling does not see.
    degrees : of freedom of the rows' variance, or None for a normal.
    ratio : test rows over training rows where the test rows vary with the seed: the variance is
        then (1 / S + ratio) s^2 (Nadeau and Bengio 2003, Machine Learning 52:239).
    bias : as of `Variance`.
    """
    values = np.asarray(differences, dtype=np.float64)
    seeds = len(values)
    spread = float(values.var(ddof=1)) if seeds > 1 else 0.0
    if ratio is not None:
        varied = (1 / seeds + ratio) * spread
        return Variance(least**2, varied, seed_degrees=seeds - 1) if seeds > 1 else None
    if noise is None:
        return None
    floor = noise.unshared / seeds
    rows = max(noise.whole - floor, 0.0) + least**2
    return Variance(rows, spread / seeds, floor, degrees, seeds - 1, bias)


def _spread(degrees: float | None, points: int) -> Float:
    """Equally likely values of a variance's estimate over the variance: chi-square / degrees."""
    if degrees is None or degrees > 1000:
        return np.ones(1)
    from scipy.special import chdtri

    tail = (np.arange(points) + 0.5) / points
    return np.asarray(chdtri(degrees, tail) / degrees, dtype=np.float64)

"""BaVarIA: LiRA whose variances come from a few shadow models and a prior (Brännvall 2026).

"Exponential-Family Membership Inference: From LiRA and RMIA to BaVarIA" (arXiv 2603.11799). An
example's mean and variance have a conjugate normal-inverse-gamma prior that is estimated from all
examples; few shadow models move it a little, many move it all the way. The formulas of the online
scores and the default weights of the prior are those of the author's published scoring functions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from fairlora.errors import InputError, require_known
from fairlora.privacy.attack_inputs import Float, Floats
from fairlora.privacy.shadows import Moments


@dataclass(frozen=True)
class VariancePrior:
    """The prior of an example's mean and variance, for either side (trained on it, or not).

    The variance is inverse gamma with `shape` and the rate ``scale * V``; the mean, given the
    variance, is normal about the mean of all margins of that side with the weight of `mean_weight`
    shadow models. V is the variance of margins as `spread` says.

    Parameters
    ----------
    form : "t" is BaVarIA-t, the posterior predictive distribution of a margin, Student's t;
        "normal" is BaVarIA-n, a normal distribution about the example's own mean with the
        posterior mean of the variance.
    shape : of the inverse gamma; None is the author's: 2 for "t", 1 for "normal". A shape counts
        as two shadow models.
    scale : of the rate. With ``shape = scale + 1`` the variance is V on average. A large shape of
        this kind is one variance for all; shape, scale and `mean_weight` near 0 leave each
        example its own.
    mean_weight : how many shadow models the common mean counts as.
    spread : V is of "all" margins about their common mean, as in the paper: also how much examples
        differ in difficulty; or of each example's "own" about its mean, as LiRA's fixed variance
        here is.

    Raises
    ------
    InputError : an unknown form or spread, or a number that is not above 0.
    """

    form: Literal["t", "normal"] = "t"
    shape: float | None = None
    scale: float = 1.0
    mean_weight: float = 1.0
    spread: Literal["all", "own"] = "all"

    def __post_init__(self) -> None:
        require_known([self.form], ("t", "normal"), "form", "prior.form")
        require_known([self.spread], ("all", "own"), "spread", "prior.spread")
        for name in ("shape", "scale", "mean_weight"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError("not above 0", where=f"prior.{name}", found=value)

    @property
    def alpha(self) -> float:
        """The shape, the author's where none is given."""
        return self.shape if self.shape is not None else (2.0 if self.form == "t" else 1.0)


class Predicted(NamedTuple):
    """What a margin is expected to be: (rows,) center, scale, and degrees of freedom of its t.

    `freedom` is None for a normal distribution, whose standard deviation is `scale`.
    """

    center: Float
    scale: Float
    freedom: Float | None

    def distance(self, x: Floats) -> Float:
        """How many scales x (rows,) lies above the center."""
        return np.asarray((x - self.center) / self.scale)

    def log_density(self, x: Floats) -> Float:
        """(rows,) logarithm of the density at x."""
        z, scale = self.distance(x), np.log(self.scale)
        if self.freedom is None:
            return np.asarray(-z * z / 2 - scale - math.log(2 * math.pi) / 2)
        from scipy.special import gammaln  # a tenth of a second, at the start of every command

        half = (self.freedom + 1) / 2
        constant = gammaln(half) - gammaln(half - 0.5) - np.log(math.pi * self.freedom) / 2
        return np.asarray(constant - scale - half * np.log1p(z * z / self.freedom))


def predict(side: Moments, prior: VariancePrior, where: str) -> Predicted:
    """The predictive distribution of each row's margin from its shadow models and the prior.

    Parameters
    ----------
    side : (rows,) moments of the shadow models of one side, 1 or more for each row; means.
    prior : of both numbers.
    where : what an error calls the models.

    Raises
    ------
    InputError : margins that do not vary; one shadow model a row where `spread` is "own".
    """
    n, squares = side.number, side.squares
    common = float((n * side.center).sum() / n.sum())
    off = (side.center - common) ** 2
    if prior.spread == "own":
        freedom = float((n - 1).sum())
        if freedom == 0:
            raise InputError(
                "one shadow model a row does not tell how margins spread about an example's mean",
                where=where,
                expected='several for some rows, or spread="all"',
            )
        variance = float(squares.sum()) / freedom
    else:
        variance = float((squares + n * off).sum() / n.sum())
    if variance == 0:
        raise InputError(
            "the margins do not vary over the models",
            where=where,
            found="a variance of 0",
            expected="margins that differ",
        )
    kappa, alpha = prior.mean_weight + n, prior.alpha + n / 2
    beta = prior.scale * variance + squares / 2 + prior.mean_weight * n * off / (2 * kappa)
    if prior.form == "normal":
        # The mean of an inverse gamma exists for shapes above 1; the author takes the rate else.
        mean = np.where(alpha > 1, beta / np.where(alpha > 1, alpha - 1, 1.0), beta)
        return Predicted(side.center, np.sqrt(mean), None)
    center = (prior.mean_weight * common + n * side.center) / kappa
    return Predicted(center, np.sqrt(beta * (kappa + 1) / (alpha * kappa)), 2 * alpha)

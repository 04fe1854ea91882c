"""Quantile regression attack: learn from non-members which scores are usual for an example.

Bertran et al. 2023 (NeurIPS, "Scalable membership inference attacks via quantile regression"): no
shadow model at all. A regression on non-members says, from features of an example (those of the
base model), how the target model's score is distributed when the example was not trained on; an
example far up in that distribution is taken for a member.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.privacy.attack_inputs import Float, floats, mean_over_queries, require, signal
from fairlora.privacy.quantile_fits import (
    Fit,
    fit_normal,
    fit_quantiles,
    predict_normal,
    predict_quantiles,
)

Kind = Literal["normal", "linear"]
_FEWEST = 20
_RIDGES = (0.1, 1.0, 10.0, 100.0, 1000.0)
_LEVELS = (0.01, 0.05, *(k / 10 for k in range(1, 10)), 0.95, 0.98, 0.99, 0.995, 0.999)


class QuantileAttack:
    """A regression of scores on features of non-members, and the attack that it makes.

    Parameters
    ----------
    kind : "normal": the score is normal with a mean and a log standard deviation that are linear in
        the features, fitted by maximum likelihood (the Gaussian form that the paper uses for
        pictures). "linear": a linear quantile regression (pinball loss, Koenker and Bassett 1978)
        at each of `levels`, put in order where the lines cross (Chernozhukov et al. 2010).
    ridge : penalty on the squared weights of standardised features, in rows: the more, the flatter.
        None chooses among 0.1, 1, 10, 100 and 1000 by five-fold cross-validation.
    levels : of "linear": ascending, within 0 and 1.
    seed : of the folds.

    Raises `InputError` for another kind, a negative ridge, or levels out of order.

    >>> generator = np.random.default_rng(0)
    >>> features = generator.normal(size=(400, 1))
    >>> usual = 2 * features[:, 0] + generator.normal(size=400)
    >>> attack = QuantileAttack().fit(usual, features)
    >>> attack.score([2.0, 4.0], [[0.0], [1.0]]).round(0).tolist()
    [2.0, 2.0]
    """

    def __init__(
        self,
        kind: Kind = "normal",
        *,
        ridge: float | None = None,
        levels: Sequence[float] = _LEVELS,
        seed: int = 0,
    ) -> None:
        if kind not in ("normal", "linear"):
            raise InputError(
                "unknown regression", where="kind", found=repr(kind), expected="normal or linear"
            )
        if ridge is not None and not (ridge >= 0 and np.isfinite(ridge)):
            raise InputError("no penalty", where="ridge", found=ridge, expected=">= 0")
        self.levels = np.asarray(levels, dtype=np.float64)
        good = len(self.levels) > 1 and bool((np.diff(self.levels) > 0).all())
        if not good or self.levels[0] <= 0 or self.levels[-1] >= 1:
            raise InputError(
                "no levels of quantiles",
                where="levels",
                found=list(levels),
                expected="two or more, ascending, above 0, below 1",
            )
        self.kind, self.ridge, self.seed = kind, ridge, seed
        self._fit: Fit | None = None
        self._ids: set[str] = set()

    def fit(self, scores: Any, features: Any, ids: Any = None) -> QuantileAttack:
        """Learn from non-members that are none of the targets.

        Parameters
        ----------
        scores : (m,) the target model's scores of non-members (margins), larger for a likelier
            member; or (m, q) of q queries, whose mean is taken.
        features : (m, p) features of the same examples that do not depend on the target model's
            training: the base model's. A one-hot label among them often helps.
        ids : (m,) names of the examples, so that `score` can refuse a target that was fitted on.

        Raises `InputError` for fewer than 20 rows, shapes that do not agree, or a number that is
        missing or infinite.
        """
        y = mean_over_queries(signal(scores, "scores"))
        x = _features(features, "features", len(y))
        if len(y) < _FEWEST:
            raise InputError(
                "too few non-members to learn from",
                where="scores",
                found=len(y),
                expected=f"at least {_FEWEST}",
            )
        if np.ptp(y) == 0:
            raise InputError("all scores are equal", where="scores", found=float(y[0]))
        names = _names(ids, len(y))
        ridge = self._choose(y, x) if self.ridge is None else self.ridge
        self._fit, self._ids = self._learn(y, x, ridge, self.levels), names
        return self

    def score(self, scores: Any, features: Any, ids: Any = None) -> Float:
        """Score targets by how unusual their score would be for a non-member.

        Parameters
        ----------
        scores, features, ids : of n targets, as of `fit`.

        Returns
        -------
        (n,) scores, larger for a likelier member: standard deviations above the mean for "normal";
        for "linear" the level of the quantile that the score reaches, in log-odds, continued beyond
        the last level in units of the distance between the outer quartiles.

        Raises
        ------
        InputError : nothing was learned yet; another number of features; a target that was among
            the rows of `fit`, if both gave `ids`.
        """
        if self._fit is None:
            raise InputError("nothing was learned yet", where="score", expected="fit first")
        y = mean_over_queries(signal(scores, "scores"))
        x = _features(features, "features", len(y))
        if x.shape[1] != len(self._fit.shift):
            raise InputError(
                "another number of features",
                where="features",
                found=x.shape[1],
                expected=len(self._fit.shift),
            )
        again = sorted(_names(ids, len(y)) & self._ids)
        if again:
            raise InputError(
                "a target is among the non-members that were fitted on",
                where="ids",
                found=f"{again[0]!r}, {len(again):,} in all",
                expected="other rows",
            )
        if self.kind == "normal":
            mean, spread = predict_normal(self._fit, x)
            return (y - mean) / spread
        return _reached(y, predict_quantiles(self._fit, x), self.levels)

    @property
    def chosen_ridge(self) -> float:
        """The penalty that was fitted with. Raises `InputError` before `fit`."""
        if self._fit is None:
            raise InputError("nothing was learned yet", where="chosen_ridge", expected="fit first")
        return self._fit.ridge

    def _learn(self, y: Float, x: Float, ridge: float, levels: Float) -> Fit:
        if self.kind == "normal":
            return fit_normal(y, x, ridge)
        return fit_quantiles(y, x, levels, ridge)

    def _choose(self, y: Float, x: Float) -> float:
        """The ridge of the least cross-validated loss: negative log-likelihood, or pinball."""
        fold = np.random.default_rng([self.seed, 5]).permutation(len(y)) % 5
        losses = []
        # Of linear quantiles a few levels say how much penalty the features want.
        levels = self.levels[:: max(1, len(self.levels) // 4)]
        for ridge in _RIDGES:
            total = 0.0
            for k in range(5):
                fit = self._learn(y[fold != k], x[fold != k], ridge, levels)
                total += self._loss(fit, y[fold == k], x[fold == k], levels)
            losses.append(total)
        return _RIDGES[int(np.argmin(losses))]

    def _loss(self, fit: Fit, y: Float, x: Float, levels: Float) -> float:
        if self.kind == "normal":
            mean, spread = predict_normal(fit, x)
            return float((((y - mean) / spread) ** 2 / 2 + np.log(spread)).sum())
        off = y[:, None] - predict_quantiles(fit, x)
        return float(np.maximum(levels * off, (levels - 1) * off).sum())


def _reached(y: Float, quantiles: Float, levels: Float) -> Float:
    """Where each y lies among its (n, L) ascending quantiles, as the log-odds of a level."""
    odds = np.log(levels / (1 - levels))
    n, last = len(y), len(levels) - 1
    reached = (quantiles <= y[:, None]).sum(axis=1)
    low = np.clip(reached - 1, 0, last - 1)
    row = np.arange(n)
    left, right = quantiles[row, low], quantiles[row, low + 1]
    width = right - left
    share = np.where(width > 0, (y - left) / np.where(width > 0, width, 1), 0.5)
    inside = odds[low] + share * (odds[low + 1] - odds[low])
    # Beyond the ends a log-odd is as long as it is on average between the quartiles.
    first, second = (int(k) for k in np.searchsorted(levels, (0.25, 0.75)).clip(0, last))
    first, second = (first, second) if first < second else (0, last)
    length = (quantiles[:, second] - quantiles[:, first]) / (odds[second] - odds[first])
    length = np.maximum(length, 1e-12 * (1 + np.abs(quantiles).max(axis=1)))
    above = odds[-1] + (y - quantiles[:, -1]) / length
    below = odds[0] + (y - quantiles[:, 0]) / length
    return np.asarray(np.where(reached == 0, below, np.where(reached > last, above, inside)))


def _features(values: Any, where: str, n: int) -> Float:
    array = floats(values, where).astype(np.float64)
    if array.ndim != 2 or array.shape[0] != n or array.shape[1] == 0:
        raise InputError(
            "another shape",
            where=where,
            found=f"shape {array.shape}",
            expected=f"({n}, features)",
        )
    require(np.isfinite(array), array, where, "not a finite number")
    return array


def _names(ids: Any, n: int) -> set[str]:
    if ids is None:
        return set()
    names: NDArray[Any] = np.asarray(ids).astype(str)
    if names.shape != (n,):
        raise InputError("another length", where="ids", found=names.shape, expected=f"({n},)")
    return set(names.tolist())

"""The quantile attack: it finds the quantiles, and what the features explain is no membership."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import QuantileRegressor

from fairlora.errors import InputError
from fairlora.privacy import QuantileAttack, loss_attack, roc
from fairlora.privacy.quantile import _reached
from fairlora.privacy.quantile_fits import (
    fit_normal,
    fit_quantiles,
    predict_normal,
    predict_quantiles,
)

RNG = np.random.default_rng(0)


def drawn(n: int, seed: int, p: int = 3) -> tuple[Any, Any, Any, Any]:
    """Scores whose mean and spread are linear in the features (the spread's logarithm)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    mean, spread = 1 + 3 * x[:, 0] - x[:, 1], np.exp(0.4 * x[:, 0])
    return x, mean, spread, rng.normal(size=n)


def test_the_normal_fit_finds_mean_and_spread() -> None:
    x, mean, spread, noise = drawn(8000, 0)
    fit = fit_normal(mean + spread * noise, x, ridge=0.0)
    found = predict_normal(fit, x)
    assert np.abs(found[0] - mean).max() < 0.35
    assert np.abs(np.log(found[1] / spread)).max() < 0.2


def test_linear_quantiles_are_scikit_learns() -> None:
    """Which solves the linear program; here the loss is smoothed a little."""
    x, mean, spread, noise = drawn(1500, 1)
    y = mean + spread * noise
    levels = np.array([0.1, 0.5, 0.9])
    found = predict_quantiles(fit_quantiles(y, x, levels, ridge=0.0), x)
    for k, level in enumerate(levels):
        exact = QuantileRegressor(quantile=level, alpha=0, solver="highs").fit(x, y).predict(x)
        assert np.abs(found[:, k] - exact).mean() < 0.08
        assert (y <= found[:, k]).mean() == pytest.approx(level, abs=0.01)


def test_quantiles_never_cross() -> None:
    x, mean, spread, noise = drawn(300, 2)
    levels = np.arange(1, 20) / 20
    found = predict_quantiles(fit_quantiles(mean + spread * noise, x, levels, 0.1), 4 * x)
    assert (np.diff(found, axis=1) >= 0).all()


@pytest.mark.parametrize("kind", ["normal", "linear"])
def test_it_reaches_the_roc_that_the_features_allow(kind: Any) -> None:
    """Members' scores are one spread higher: the binormal ROC of a shift of 1."""
    x, mean, spread, noise = drawn(4000, 3)
    attack = QuantileAttack(kind, ridge=1.0).fit(mean + spread * noise, x)
    x, mean, spread, noise = drawn(8000, 4)
    member = np.arange(8000) % 2 == 0
    scores = mean + spread * (noise + member)
    found = roc(attack.score(scores, x), member, permutations=0).overall()
    assert found["auc"]["value"] == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.015)
    for fpr in (0.1, 0.01):
        true = norm.cdf(norm.ppf(fpr) + 1)
        band = found["tpr_at_fpr"][str(fpr)]["at_fpr"]
        assert band["low"] - 0.01 <= true <= band["high"] + 0.01
    # Without the features most of it is lost.
    plain = roc(loss_attack(-scores), member, permutations=0).overall()
    assert plain["auc"]["value"] < 0.62


@pytest.mark.parametrize("kind", ["normal", "linear"])
def test_the_false_positive_rate_is_as_promised_without_a_roc(kind: Any) -> None:
    """The score is calibrated: of new non-members 5 % lie above the 95 % quantile."""
    x, mean, spread, noise = drawn(3000, 5)
    attack = QuantileAttack(kind).fit(mean + spread * noise, x)
    x, mean, spread, noise = drawn(5000, 6)
    scores = attack.score(mean + spread * noise, x)
    limit = norm.ppf(0.95) if kind == "normal" else np.log(0.95 / 0.05)
    assert (scores > limit).mean() == pytest.approx(0.05, abs=0.012)


def test_of_features_that_say_nothing_much_ridge_is_chosen() -> None:
    x = RNG.normal(size=(120, 60))
    attack = QuantileAttack().fit(RNG.normal(size=120), x)
    assert attack.chosen_ridge >= 100


def test_a_feature_that_never_varies_is_left_out() -> None:
    x, mean, spread, noise = drawn(300, 7)
    wide = np.column_stack([x, np.full(300, 1e9)])
    y = mean + spread * noise
    one, two = (QuantileAttack(ridge=1.0).fit(y, f).score(y, f) for f in (x, wide))
    np.testing.assert_allclose(one, two, atol=1e-3)


def test_what_a_score_reaches_rises_with_it() -> None:
    levels = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
    quantiles = np.array([[-1.0, 0.0, 0.0, 2.0, 3.0]])
    y = np.linspace(-5, 8, 60)
    found = _reached(y, np.repeat(quantiles, 60, axis=0), levels)
    assert (np.diff(found) >= 0).all()
    at = _reached(quantiles[0, [0, 3, 4]], np.repeat(quantiles, 3, axis=0), levels)
    np.testing.assert_allclose(at, np.log(levels / (1 - levels))[[0, 3, 4]], atol=1e-9)


def test_a_target_that_was_fitted_on_is_refused() -> None:
    x, mean, spread, noise = drawn(50, 8)
    y = mean + spread * noise
    names = [f"row {k}" for k in range(50)]
    attack = QuantileAttack(ridge=1.0).fit(y, x, ids=names)
    with pytest.raises(InputError, match="ids: a target is among the non-members .*'row 3', 2 in"):
        attack.score(y[:3], x[:3], ids=["row 3", "other", "row 7"])
    assert len(attack.score(y[:1], x[:1], ids=["other"])) == 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: QuantileAttack("forest"), "kind: unknown regression"),  # type: ignore[arg-type]
        (lambda: QuantileAttack(ridge=-1), "ridge: no penalty"),
        (lambda: QuantileAttack(levels=(0.9, 0.5)), "levels: no levels"),
        (lambda: QuantileAttack(levels=(0.0, 0.5)), "levels: no levels"),
        (lambda: QuantileAttack().score([1.0], [[1.0]]), "nothing was learned yet"),
        (lambda: QuantileAttack().chosen_ridge, "nothing was learned yet"),
        (lambda: QuantileAttack().fit(np.arange(5.0), np.ones((5, 1))), "too few non-members"),
        (lambda: QuantileAttack().fit(np.ones(30), np.ones((30, 1))), "all scores are equal"),
        (lambda: QuantileAttack().fit(np.arange(30.0), np.ones((29, 1))), "features: another sh"),
        (lambda: QuantileAttack().fit(np.arange(30.0), np.ones(30)), "features: another shape"),
        (
            lambda: QuantileAttack().fit(np.arange(30.0), np.full((30, 1), np.nan)),
            "features, row 1, column 1: not a finite number",
        ),
        (
            lambda: QuantileAttack().fit(np.r_[np.inf, np.arange(29.0)], np.ones((30, 1))),
            "scores, row 1: not a finite number",
        ),
        (
            lambda: (
                QuantileAttack(ridge=1)
                .fit(np.arange(30.0), RNG.normal(size=(30, 2)))
                .score([1.0], [[1.0]])
            ),
            "features: another number of features",
        ),
        (
            lambda: QuantileAttack().fit(np.arange(30.0), np.ones((30, 1)), ids=["a"]),
            "ids: another length",
        ),
    ],
)
def test_bad_input_is_one_clear_line(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()

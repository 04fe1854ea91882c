"""BaVarIA against integrals taken by brute force, and its limits: own and fixed variance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import invgamma, norm
from scipy.stats import t as student

from fairlora.errors import InputError
from fairlora.privacy import VariancePrior, lira_offline, lira_online
from fairlora.privacy.attack_inputs import Bool, Float
from fairlora.privacy.lira_bayes import predict
from fairlora.privacy.shadows import moments

NAN = float("nan")


class _Grid(NamedTuple):
    mean: Float  # (M,)
    variance: Float  # (V, 1)
    weight: Float  # (V, M), sums to 1


def drawn(n: int = 12, k: int = 8, seed: int = 0) -> tuple[Float, Float, Bool]:
    """Target, shadows that differ in center and spread, and who trained on what."""
    rng = np.random.default_rng(seed)
    center, sigma = 3 * rng.normal(size=(n, 1)), rng.uniform(0.3, 2, (n, 1))
    trained = np.tile(np.arange(k) % 2 == 0, (n, 1))
    shadows = center + sigma * rng.normal(size=(n, k)) + 1.5 * trained
    return (center + sigma * rng.normal(size=(n, 1)))[:, 0], shadows, trained


def posterior_grid(own: Float, mean: float, variance: float, prior: VariancePrior) -> _Grid:
    """Prior times likelihood of an example's mean and variance, on a grid of both."""
    log_v = np.linspace(-8, 8, 801)[:, None]
    m = np.linspace(own.mean() - 15, own.mean() + 15, 6001)
    v = np.exp(log_v)
    density = invgamma.logpdf(v, prior.alpha, scale=prior.scale * variance) + log_v
    density = density + norm.logpdf(m, mean, np.sqrt(v / prior.mean_weight))
    for value in own:
        density = density + norm.logpdf(value, m, np.sqrt(v))
    weight = np.exp(density)
    return _Grid(m, v, weight / weight.sum())


def test_the_predictive_distribution_is_the_integral_over_mean_and_variance() -> None:
    shadows = np.array([[0.3, 1.1, -0.4], [2.0, 2.6, 1.7]])
    prior = VariancePrior(shape=2.5, scale=0.8, mean_weight=0.7)
    found = predict(moments(shadows, "mean", "shadows"), prior, "shadows")
    x = np.array([1.5, 0.2])
    density = np.exp(found.log_density(x))
    for row in range(2):
        grid = posterior_grid(shadows[row], shadows.mean(), shadows.var(), prior)
        expected = (grid.weight * norm.pdf(x[row], grid.mean, np.sqrt(grid.variance))).sum()
        assert density[row] == pytest.approx(expected, rel=1e-6)


def test_the_normal_form_has_the_posterior_mean_of_the_variance() -> None:
    own = np.array([[0.3, 1.1, -0.4, 0.9]])
    prior = VariancePrior("normal", shape=2.0, scale=0.6, mean_weight=0.9)
    found = predict(moments(own, "mean", "shadows"), prior, "shadows")
    grid = posterior_grid(own[0], own.mean(), own.var(), prior)  # one row: the common mean is its
    mean = (grid.weight * grid.variance).sum()
    assert found.scale[0] ** 2 == pytest.approx(mean, rel=1e-4)
    assert found.center[0] == pytest.approx(own.mean())
    assert found.log_density(np.array([2.0]))[0] == pytest.approx(
        norm.logpdf(2.0, own.mean(), found.scale[0])
    )


def test_scores_are_the_papers_formulas_row_by_row() -> None:
    """With the author's weights: shape 2 (Student's t) or 1 (normal), rate V, mean weight 1."""
    target, shadows, trained = drawn()
    parts: dict[str, list[Float]] = {"t": [], "normal": []}
    for side in (trained, ~trained):
        values = shadows[side].reshape(len(target), -1)
        n, own = values.shape[1], values.mean(axis=1)
        off = (own - values.mean()) ** 2
        beta = values.var() + ((values - own[:, None]) ** 2).sum(axis=1) / 2
        beta += n * off / (2 * (n + 1))
        alpha = 2 + n / 2
        scale = np.sqrt(beta * (n + 2) / (alpha * (n + 1)))
        center = (values.mean() + values.sum(axis=1)) / (n + 1)
        parts["t"].append(student.logpdf(target, 2 * alpha, center, scale))
        parts["normal"].append(norm.logpdf(target, own, np.sqrt(beta / (1 + n / 2 - 1))))
        if side is not trained:
            expected = (target - center) / scale
            out = np.where(trained, NAN, shadows)
            np.testing.assert_allclose(lira_offline(target, out, prior=VariancePrior()), expected)
    for form, (inside, outside) in parts.items():
        prior = VariancePrior(form)  # type: ignore[arg-type]
        found = lira_online(target, shadows, trained, prior=prior)
        np.testing.assert_allclose(found, inside - outside)


@given(st.integers(0, 10_000), st.sampled_from(["t", "normal"]))
@settings(max_examples=30, deadline=None)
def test_a_heavy_prior_is_the_fixed_variance(seed: int, form: str) -> None:
    target, shadows, trained = drawn(seed=seed)
    prior = VariancePrior(
        form, shape=1e7 + 1, scale=1e7, mean_weight=1e-9, spread="own"  # type: ignore[arg-type]
    )  # fmt: skip
    out = np.where(trained, NAN, shadows)
    if form == "normal":
        found = lira_online(target, shadows, trained, prior=prior)
        np.testing.assert_allclose(found, lira_online(target, shadows, trained, True), rtol=1e-4)
    # Student's t knows that the mean is uncertain as well.
    grown = np.sqrt(1 + 1 / 4) if form == "t" else 1.0
    np.testing.assert_allclose(
        lira_offline(target, out, prior=prior) * grown,
        lira_offline(target, out, True),
        rtol=1e-4,
        atol=1e-6,
    )


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_a_light_prior_leaves_each_example_its_own(seed: int) -> None:
    target, shadows, trained = drawn(seed=seed)
    light = {"shape": 1e-9, "scale": 1e-9, "mean_weight": 1e-9}
    out = shadows[~trained].reshape(len(target), -1)
    own, squares, n = out.mean(axis=1), out.var(axis=1) * 4, 4
    near = {"rtol": 1e-5, "atol": 1e-7}
    holes = np.where(trained, NAN, shadows)
    normal = lira_offline(target, holes, prior=VariancePrior("normal", **light))  # type: ignore[arg-type]
    np.testing.assert_allclose(normal, (target - own) / np.sqrt(squares / (n - 2)), **near)
    found = lira_offline(target, holes, prior=VariancePrior("t", **light))  # type: ignore[arg-type]
    np.testing.assert_allclose(found, (target - own) / np.sqrt(squares / n * (1 + 1 / n)), **near)
    # The same order as LiRA of each example's own variance.
    np.testing.assert_array_equal(np.argsort(found), np.argsort(lira_offline(target, holes)))


@given(st.integers(0, 10_000), st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
@settings(max_examples=30, deadline=None)
def test_scores_do_not_change_with_the_margins_unit_or_zero(
    seed: int, shift: float, scale: float
) -> None:
    target, shadows, trained = drawn(8, 6, seed)
    for prior in (VariancePrior(), VariancePrior("normal", spread="own")):
        np.testing.assert_allclose(
            lira_online(shift + scale * target, shift + scale * shadows, trained, prior=prior),
            lira_online(target, shadows, trained, prior=prior),
            rtol=1e-4,
            atol=1e-5,
        )


def test_one_shadow_model_of_each_side_is_enough() -> None:
    shadows = np.array([[1.0, 0.0], [3.0, 1.0], [2.0, -1.0]])
    trained = np.tile([True, False], (3, 1))
    scores = lira_online([1.0, 1.0, 0.0], shadows, trained, prior=VariancePrior())
    assert np.isfinite(scores).all()
    with pytest.raises(InputError, match="one shadow model a row does not tell"):
        lira_online([1.0] * 3, shadows, trained, prior=VariancePrior(spread="own"))


def test_several_queries_have_the_mean_of_their_scores() -> None:
    target, shadows, trained = drawn()
    twice = np.stack([target, target + 1], axis=1)
    both = np.stack([shadows, shadows + 1], axis=1)
    prior = VariancePrior("normal", spread="own")
    found = lira_online(twice, both, trained, prior=prior)
    # The second query is the first moved: a spread of one's own does not see that.
    assert found.shape == target.shape
    np.testing.assert_allclose(
        lira_online(twice[:, :1], both[:, :1], trained, prior=prior),
        lira_online(target, shadows, trained, prior=prior),
    )


def test_what_does_not_go_together_is_one_line() -> None:
    target, shadows, trained = drawn()
    prior = VariancePrior()
    for extra in ({"fixed_variance": True}, {"center": "median"}, {"queries": "joint"}):
        with pytest.raises(InputError, match="a prior is of normal margins about their mean"):
            lira_online(target, shadows, trained, prior=prior, **extra)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="a prior is of normal margins about their mean"):
            lira_offline(target, shadows, prior=prior, **extra)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the margins do not vary"):
        lira_offline([1.0], [[2.0, 2.0]], prior=prior)
    with pytest.raises(InputError, match="no shadow model"):
        lira_offline([1.0, 1.0], [[2.0, 1.0], [NAN, NAN]], prior=prior)
    with pytest.raises(InputError, match="prior.shape: not above 0"):
        VariancePrior(shape=0.0)
    with pytest.raises(InputError, match="prior.mean_weight"):
        VariancePrior(mean_weight=NAN)
    with pytest.raises(InputError, match="prior.form"):
        VariancePrior("cauchy")  # type: ignore[arg-type]

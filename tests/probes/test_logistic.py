"""The logistic mixed model against plain regression, quadrature, brute force and simulation."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

from fairlora.errors import InputError
from fairlora.probes.effects import levels_of, norm_range, size_of
from fairlora.probes.logistic import PRIOR, Block, fit_choices, fit_log_odds, sum_to_zero

ROOT = np.sqrt(2.0)


def two_options(varies: tuple[bool, ...]) -> tuple[Block, ...]:
    names = ("symbol", "place", "meaning")[: len(varies)]
    return tuple(
        Block(name, ("a", "b"), sum_to_zero(2), ROOT, v)
        for name, v in zip(names, varies, strict=True)
    )


def crossed(texts: int, repeats: int, factors: int) -> tuple[Any, Any]:
    """(n, 2, factors) design of two-level factors in every combination, and the texts."""
    levels = np.array(np.meshgrid(*[[1, -1]] * factors)).reshape(factors, -1).T
    one = np.repeat(levels, repeats, axis=0)
    rows = np.tile(one, (texts, 1)) / ROOT
    design = np.stack([rows, -rows], axis=1)
    return design, np.repeat(np.arange(texts), len(one))


def draw(
    rng: np.random.Generator, effects: Any, deviations: Any, texts: int, repeats: int
) -> tuple[Any, Any, Any, Any]:
    """Choices and probabilities of a model with these log odds between levels."""
    design, place = crossed(texts, repeats, len(effects))
    own = rng.normal(0, 1, (texts, len(effects))) * deviations
    utility = np.einsum("nkp,np->nk", design, (np.asarray(effects) + own)[place] / ROOT)
    p = np.exp(utility - logsumexp(utility, axis=1, keepdims=True))
    first = rng.random(len(p)) < p[:, 0]
    return design, place, np.stack([first, ~first], 1).astype(float), p


def test_without_random_effects_it_is_penalised_logistic_regression() -> None:
    rng = np.random.default_rng(0)
    design, place, choices, _ = draw(rng, [1.0, -0.5, 0.2], 0.0, 20, 3)
    fit = fit_choices(two_options((False,) * 3), design, choices, place)
    x = design[:, 0] - design[:, 1]

    def loss(beta: Any) -> float:
        u = x @ beta
        penalty = ((ROOT / PRIOR) ** 2 * beta**2).sum() / 2
        return float(-(choices[:, 0] * u - np.logaddexp(0, u)).sum() + penalty)

    expected = minimize(loss, np.zeros(3), tol=1e-12).x
    np.testing.assert_allclose(fit.beta, expected, atol=1e-4)
    weights = expit(x @ expected) * expit(-(x @ expected))
    hessian = (x.T * weights) @ x + np.eye(3) * (ROOT / PRIOR) ** 2
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(hessian), rtol=1e-3)


def by_quadrature(design: Any, place: Any, choices: Any) -> Callable[[Any], float]:
    """The loss of an effect and the logarithm of its texts' deviation; b integrated, 61 points."""
    points, weights = np.polynomial.hermite_e.hermegauss(61)
    # The difference of utilities is (effect + own) * sign, with sign +1 or -1.
    sign = np.sign(design[:, 0, 0])

    def loss(parameters: Any) -> float:
        effect, log_sigma = parameters
        u = sign[:, None] * (effect + np.exp(log_sigma) * points)
        sums = np.zeros((place.max() + 1, len(points)))
        np.add.at(sums, place, choices[:, :1] * u - np.logaddexp(0, u))
        marginal = logsumexp(sums, axis=1, b=weights)
        prior = 0.1 * log_sigma - np.exp(2 * log_sigma) / 2
        return float(-marginal.sum() + (effect / PRIOR) ** 2 / 2 - prior)

    return loss


def test_the_variances_are_those_of_quadrature() -> None:
    """One random slope: beta and sigma at the mode of the marginal density."""
    rng = np.random.default_rng(1)
    design, place, choices, _ = draw(rng, [0.8], [1.2], 60, 12)
    fit = fit_choices(two_options((True,)), design, choices, place)
    loss = by_quadrature(design, place, choices)
    effect, log_sigma = minimize(loss, [0.5, 0.0], tol=1e-10).x
    assert fit.beta[0] * ROOT == pytest.approx(effect, abs=0.02)
    assert fit.deviations["symbol"] == pytest.approx(np.exp(log_sigma), rel=0.03)


def test_what_is_unsure_of_the_deviations_is_unsure_of_the_effect() -> None:
    """The standard error is that of the joint marginal density, by differences."""
    rng = np.random.default_rng(2)
    design, place, choices, _ = draw(rng, [2.0], [1.0], 60, 8)
    fit = fit_choices(two_options((True,)), design, choices, place)
    loss = by_quadrature(design, place, choices)
    at = minimize(loss, [1.5, 0.0], tol=1e-10).x
    step = 1e-3 * np.eye(2)
    second = np.zeros((2, 2))
    for (i, j), (a, b) in itertools.product(np.ndindex(2, 2), itertools.product((1, -1), repeat=2)):
        second[i, j] += a * b * loss(at + a * step[i] + b * step[j]) / 4e-6
    both, alone = np.sqrt(np.linalg.inv(second)[0, 0]), np.sqrt(1 / second[0, 0])
    error = np.sqrt(fit.covariance[0, 0]) * ROOT
    assert both > 1.08 * alone
    assert error == pytest.approx(both, rel=0.03)


@pytest.mark.parametrize("kind", ["choices", "probabilities"])
def test_intervals_hold_the_truth(kind: str) -> None:
    """A small simulation; `benchmarks/token_bias_coverage.py` has the large one."""
    rng = np.random.default_rng(3)
    truth, deviations = np.array([1.5, 0.0, -0.4]), np.array([0.7, 0.3, 0.5])
    held = np.zeros(3)
    sizes = np.zeros(3)
    runs = 16
    for _ in range(runs):
        design, place, choices, p = draw(rng, truth, deviations, 25, 2)
        if kind == "choices":
            fit = fit_choices(two_options((True,) * 3), design, choices, place)
        else:
            fit = fit_log_odds(two_options((True,) * 3), design, np.log(p) + 3, place)
        for k, name in enumerate(("symbol", "place", "meaning")):
            level = levels_of(fit, name)["a"]
            held[k] += level["low"] <= truth[k] / 2 <= level["high"]
            size = size_of(fit, name)
            sizes[k] += size["low"] <= abs(truth[k]) <= size["high"]
    assert (held >= 0.8 * runs).all(), held
    assert (sizes >= 0.8 * runs).all(), sizes


def test_log_odds_are_the_mean_of_the_texts_own() -> None:
    rng = np.random.default_rng(5)
    design, place, _, p = draw(rng, [1.5, 0.0, -0.4], [0.7, 0.3, 0.5], 12, 1)
    fit = fit_log_odds(two_options((True,) * 3), design, np.log(p), place)
    own = []
    for text in range(12):
        x, y = design[place == text], np.log(p[place == text])
        x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
        own.append(np.linalg.lstsq(x.reshape(-1, 3), y.reshape(-1), rcond=None)[0])
    np.testing.assert_allclose(fit.beta, np.mean(own, axis=0), atol=1e-10)
    np.testing.assert_allclose(fit.covariance, np.cov(np.array(own).T) / 12, atol=1e-10)
    spread = np.std(own, axis=0, ddof=1) * ROOT
    np.testing.assert_allclose(list(fit.deviations.values()), spread, rtol=1e-9)


def test_what_decides_every_choice_is_finite_and_sure() -> None:
    design, place = crossed(12, 1, 3)
    first = design[:, 0, 0] > 0
    choices = np.stack([first, ~first], 1).astype(float)
    fit = fit_choices(two_options((True,) * 3), design, choices, place)
    symbol, meaning = size_of(fit, "symbol"), size_of(fit, "meaning")
    assert np.isfinite(fit.beta).all()
    assert symbol["value"] > 4
    assert symbol["low"] > 1
    assert symbol["p"] < 0.05
    assert meaning["low"] == 0
    assert meaning["value"] < 0.3


def test_probabilities_of_one_half_show_nothing() -> None:
    design, place = crossed(8, 1, 3)
    half = np.full((len(design), 2), 0.5)
    fit = fit_log_odds(two_options((True,) * 3), design, half, place)
    for name in ("symbol", "place", "meaning"):
        assert size_of(fit, name)["value"] < 1e-6


def test_prompts_of_texts_may_be_of_different_number() -> None:
    rng = np.random.default_rng(4)
    design, place, choices, _ = draw(rng, [1.0, 0.2, 0.5], 0.5, 15, 2)
    keep = rng.random(len(place)) < 0.7
    whole = fit_choices(two_options((True,) * 3), design, choices, place)
    part = fit_choices(two_options((True,) * 3), design[keep], choices[keep], place[keep])
    assert part.prompts == int(keep.sum())
    np.testing.assert_allclose(part.beta, whole.beta, atol=0.8)
    order = rng.permutation(int(keep.sum()))
    again = fit_choices(
        two_options((True,) * 3), design[keep][order], choices[keep][order], place[keep][order],
    )  # fmt: skip
    np.testing.assert_allclose(part.beta, again.beta, atol=1e-5)


def test_one_text_is_not_enough() -> None:
    design, place = crossed(1, 1, 3)
    with pytest.raises(InputError, match="a mixed model needs texts .*found 1"):
        fit_choices(two_options((True,) * 3), design, np.full((8, 2), 0.5), place)


@given(st.integers(2, 7))
def test_contrasts_are_orthonormal_and_add_up_to_zero(levels: int) -> None:
    contrasts = sum_to_zero(levels)
    np.testing.assert_allclose(contrasts.T @ contrasts, np.eye(levels - 1), atol=1e-12)
    np.testing.assert_allclose(contrasts.sum(axis=0), 0, atol=1e-12)


@settings(deadline=None)
@given(
    st.integers(1, 4), st.integers(0, 10_000), st.floats(0.01, 9), st.sampled_from([0.1, 1.0, 10.0])
)
def test_the_range_of_norms_is_that_of_the_ellipsoid(
    width: int, seed: int, critical: float, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(0, 1, (width, width)) + 0.1 * np.eye(width)
    covariance = root @ root.T + 1e-6 * np.eye(width)
    beta = rng.normal(0, scale, width)
    low, high = norm_range(beta, covariance, critical)
    assert 0 <= low <= np.linalg.norm(beta) + 1e-9 <= high + 2e-9
    directions = rng.normal(0, 1, (2000, width))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    chol = np.linalg.cholesky(covariance)
    edge = beta + np.sqrt(critical) * directions @ chol.T
    norms = np.linalg.norm(edge, axis=1)
    inside = beta @ np.linalg.solve(covariance, beta) <= critical
    assert norms.max() <= high * (1 + 1e-6) + 1e-9
    assert low <= norms.min() * (1 + 1e-6) + 1e-9
    assert (low == 0) == bool(inside)
    if width <= 2:  # the sample is dense there
        assert high <= norms.max() * 1.01 + 1e-6
        assert inside or low >= norms.min() * 0.97 - 0.02 * scale

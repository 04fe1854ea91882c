"""RMIA is the naive matrix of likelihood ratios, counted without making it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.privacy import choose_a, rmia_offline, roc

NAN = float("nan")
Float = NDArray[np.float64]


def naive(x: Float, references: Float, z: Float, population: Float, a: float, gamma: float) -> Any:
    """Equation by equation, with every pair of a target and an example of the population."""

    def log_ratio(log_p: Float, others: Float) -> Float:
        out = np.nanmean(np.exp(others), axis=1)
        return np.asarray(log_p - np.log(((1 + a) * out + (1 - a)) / 2))

    one, other = log_ratio(x, references), log_ratio(z, population)
    return (one[:, None] - np.log(gamma) >= other[None, :]).mean(axis=1)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Float, Float, Float, Float]:
    """Log-probabilities in eighths, whose differences are exact: what is tied is tied."""

    def numbers(size: int) -> Float:
        drawn = draw(st.lists(st.integers(-12, 0), min_size=size, max_size=size))
        return np.array(drawn, dtype=np.float64) / 8

    n, z = draw(st.integers(1, 12)), draw(st.integers(1, 15))
    return numbers(n), numbers(n), numbers(z), numbers(z)


@given(cases())
@settings(max_examples=150, deadline=None)
def test_ties_are_those_of_the_naive_matrix(case: tuple[Float, Float, Float, Float]) -> None:
    x, reference, z, population = case
    found = rmia_offline(x, reference[:, None], z, population[:, None], a=1.0)
    ratio = np.exp((x - reference)[:, None] - (z - population)[None, :])
    np.testing.assert_array_equal(found, (ratio >= 1).mean(axis=1))


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0.7, 1.0, 2.0]))
@settings(max_examples=60, deadline=None)
def test_it_is_exactly_the_naive_matrix(seed: int, a: float, gamma: float) -> None:
    rng = np.random.default_rng(seed)
    n, size, k = (int(v) for v in rng.integers(1, 40, 3))
    x, z = -rng.exponential(size=n), -rng.exponential(size=size)
    references, population = -rng.exponential(size=(n, k)), -rng.exponential(size=(size, k))
    references[:, 1:][rng.random((n, k - 1)) < 0.3] = NAN
    np.testing.assert_array_equal(
        rmia_offline(x, references, z, population, a, gamma),
        naive(x, references, z, population, a, gamma),
    )


def test_a_tie_is_a_win() -> None:
    p = np.log([0.5, 0.25])
    same = rmia_offline(p, p[:, None], p, p[:, None], a=0.3)
    # Both ratios are 1 / ((1 + a) / 2 + (1 - a) / (2 p)): the target ties with itself.
    assert same.tolist() == [1.0, 0.5]


def test_probabilities_that_round_to_zero_still_count() -> None:
    x = np.array([-900.0, -1000.0])
    found = rmia_offline(
        x, np.full((2, 2), -950.0), np.array([-950.0]), np.full((1, 2), -950.0), a=1
    )
    assert found.tolist() == [1.0, 0.0]


def test_queries_are_averaged() -> None:
    rng = np.random.default_rng(0)
    x, references = -rng.exponential(size=(9, 2)), -rng.exponential(size=(9, 2, 3))
    z, population = -rng.exponential(size=20), -rng.exponential(size=(20, 3))
    each = [rmia_offline(x[:, q], references[:, q], z, population) for q in (0, 1)]
    found = rmia_offline(x, references, z, population)
    np.testing.assert_allclose(found, np.mean(each, axis=0))


def test_more_training_signal_is_a_higher_score() -> None:
    rng = np.random.default_rng(0)
    references, population = -rng.exponential(size=(50, 4)), -rng.exponential(size=(99, 4))
    z = population.mean(axis=1)
    low = rmia_offline(references.mean(axis=1) - 0.1, references, z, population)
    high = rmia_offline(references.max(axis=1), references, z, population)
    assert (high >= low).all()
    assert high.mean() > low.mean() + 0.1


def crossed(seed: int = 0) -> tuple[Float, Any, Float]:
    """Four models, each trained on half of 400 examples, which raises a low probability more."""
    rng = np.random.default_rng(seed)
    hard, trained = 2 * rng.normal(size=(400, 1)), rng.random((400, 4)) < 0.5
    trained[:, 0] = ~trained[:, 1]
    trained[:, 2] = ~trained[:, 3]
    margins = hard + rng.normal(size=(400, 4)) + 1.5 * trained * (hard < 0)
    z = 2 * rng.normal(size=(300, 1)) + rng.normal(size=(300, 4))
    return -np.logaddexp(0, -margins), trained, -np.logaddexp(0, -z)


def test_a_is_chosen_where_the_reference_models_tell_each_other_best() -> None:
    references, trained, population = crossed()
    grid = (0.0, 0.5, 1.0)
    means = []
    for a in grid:
        aucs = []
        for j in range(4):
            rest = [k for k in range(4) if k != j]
            scores = rmia_offline(
                references[:, j],
                np.where(trained[:, rest], NAN, references[:, rest]),
                population[:, j],
                population[:, rest],
                a,
            )
            found = roc(scores, trained[:, j], permutations=0).overall()
            aucs.append(found["auc"]["value"])
        means.append(np.mean(aucs))
    assert choose_a(references, trained, population, grid) == grid[int(np.argmax(means))]


def test_a_takes_two_reference_models_that_differ() -> None:
    references, trained, population = crossed()
    with pytest.raises(InputError, match="a takes two reference models to choose"):
        choose_a(references[:, :1], trained[:, :1], population[:, :1])
    none = trained & False
    with pytest.raises(InputError, match="trained on all examples, or on none"):
        choose_a(references, none, population)


ONE = np.log([0.5])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rmia_offline(ONE, ONE[:, None], ONE, ONE[:, None], a=1.5), "a: no such weight"),
        (lambda: rmia_offline(ONE, ONE[:, None], ONE, ONE[:, None], a=NAN), "a: no such weight"),
        (lambda: rmia_offline(ONE, ONE[:, None], ONE, ONE[:, None], gamma=0), "gamma: no likeli"),
        (
            lambda: rmia_offline([0.5], ONE[:, None], ONE, ONE[:, None]),
            r"target_logprob, row 1: no logarithm of a probability \(found 0.5; expected at most 0",
        ),
        (lambda: rmia_offline(ONE, [[0.5]], ONE, ONE[:, None]), "references, row 1, column 1: no"),
        (lambda: rmia_offline(ONE, [[-np.inf]], ONE, ONE[:, None]), "references, row 1, column 1"),
        (lambda: rmia_offline(ONE, [[NAN]], ONE, ONE[:, None]), "references, row 1: no shadow"),
        (lambda: rmia_offline([-np.inf], ONE[:, None], ONE, ONE[:, None]), "target_logprob, row 1"),
        (lambda: rmia_offline(ONE, ONE[:, None], [], np.zeros((0, 1))), "population_target: no ro"),
        (
            lambda: rmia_offline(ONE, ONE[:, None], ONE, np.zeros((1, 2))),
            "population_references: not the same reference models",
        ),
        (lambda: rmia_offline(ONE, ONE, ONE, ONE[:, None]), "references: another shape"),
        (
            lambda: rmia_offline(ONE, ONE[:, None], ONE, ONE[:, None], trained=[[True]]),
            "shadows, row 1, column 1: a shadow model trained on this target row",
        ),
    ],
)
def test_bad_input_is_one_clear_line(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()

"""The Frechet distance against its closed form and SciPy's matrix root; streaming; resampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.linalg import sqrtm

from fairlora.errors import InputError
from fairlora.probes.frechet import RunningMoments, frechet_distance, frechet_of_rows
from fairlora.probes.shift import shift


def covariance(d: int, seed: int, rank: int | None = None) -> Any:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rank or 3 * d, d)) * rng.uniform(0.1, 3, d)
    return x.T @ x / len(x)


def test_diagonal_covariances_have_a_closed_form() -> None:
    rng = np.random.default_rng(0)
    m1, m2, s1, s2 = rng.normal(size=7), rng.normal(size=7), *rng.uniform(0.1, 4, (2, 7))
    found = frechet_distance(m1, np.diag(s1), m2, np.diag(s2))
    assert found.means == pytest.approx(((m1 - m2) ** 2).sum())
    assert found.covariances == pytest.approx(((np.sqrt(s1) - np.sqrt(s2)) ** 2).sum())
    assert found.value == pytest.approx(found.means + found.covariances)


def test_it_is_what_scipy_s_root_gives() -> None:
    for seed in range(5):
        c1, c2 = covariance(12, seed), covariance(12, seed + 100)
        zero = np.zeros(12)
        wanted = np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
        assert frechet_distance(zero, c1, zero, c2).value == pytest.approx(wanted, rel=1e-8)


def test_covariances_without_an_inverse_are_no_trouble() -> None:
    """Fewer pictures than features: where the usual root turns complex."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 40)), 1 + rng.normal(size=(9, 40))
    found = frechet_of_rows(x, y)
    moments = [RunningMoments(), RunningMoments()]
    for one, rows in zip(moments, (x, y), strict=True):
        one.add(rows)
    a, b = moments
    other = frechet_distance(a.mean, a.covariance, b.mean, b.covariance)
    assert found.value == pytest.approx(other.value, rel=1e-6)
    small = 1e-9 * np.eye(40)
    close = np.trace(a.covariance + b.covariance)
    close -= 2 * np.trace(sqrtm((a.covariance + small) @ (b.covariance + small)).real)
    assert found.covariances == pytest.approx(close, rel=1e-3)


def test_a_set_is_at_no_distance_from_itself() -> None:
    rng = np.random.default_rng(0)
    x = 1000 + rng.normal(size=(50, 6))
    assert frechet_of_rows(x, x).value == pytest.approx(0, abs=1e-8)
    assert frechet_of_rows(x, x + 2).value == pytest.approx(24, rel=1e-9)


def test_weights_are_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 4)), rng.normal(size=(20, 4))
    w, v = rng.integers(0, 3, 30), rng.integers(0, 3, 20)
    found = frechet_of_rows(x, y, (w, v)).value
    wanted = frechet_of_rows(np.repeat(x, w, axis=0), np.repeat(y, v, axis=0)).value
    assert found == pytest.approx(wanted)


def test_moments_of_batches_are_those_of_the_whole_far_from_zero() -> None:
    rng = np.random.default_rng(0)
    x = 1e6 + rng.normal(size=(500, 5))
    seen, other = RunningMoments(), RunningMoments()
    for start in range(0, 300, 37):
        seen.add(x[start : min(start + 37, 300)])
    other.add(x[300:])
    seen.join(other)
    assert seen.count == 500
    np.testing.assert_allclose(seen.mean, x.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(seen.covariance, np.cov(x.T), rtol=1e-6, atol=1e-9)
    with pytest.raises(InputError, match="another width"):
        seen.add(np.ones((2, 4)))
    with pytest.raises(InputError, match="too few"):
        _ = RunningMoments(1, np.ones(2), np.zeros((2, 2))).covariance


def test_intervals_hold_the_distance_of_the_populations() -> None:
    true, covered, raw = 1.0, 0, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(150, 8)), rng.normal(size=(150, 8))
        y[:, 0] += 1
        found = shift(x, y, bootstrap=50, permutations=0, seed=seed)
        covered += found["low"] <= true <= found["high"]
        raw += found["value"] > true
    assert covered >= 54
    assert raw >= 45  # the value itself is too large: without bias it would be 30


def test_where_there_is_no_shift_p_is_uniform_and_chance_is_what_is_found() -> None:
    p, gaps = [], []
    for seed in range(100):
        rng = np.random.default_rng([3, seed])
        found = shift(
            rng.normal(size=(40, 6)),
            rng.normal(size=(30, 6)),
            bootstrap=0,
            permutations=39,
            seed=seed,
        )
        p.append(found["p"])
        gaps.append(found["value"] - found["expected_by_chance"])
    assert 0.4 < np.mean(p) < 0.6
    assert np.mean(np.array(p) <= 0.1) < 0.2
    assert abs(np.mean(gaps)) < 4 * np.std(gaps) / 10


def test_families_are_drawn_together() -> None:
    """Copies of one picture are no more pictures: chance gives as large a distance."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    units = np.repeat(np.arange(20), 10)
    many = [np.repeat(one, 10, axis=0) for one in (x, y)]
    alone = shift(*many, bootstrap=0, seed=0)
    together = shift(*many, (units, units), bootstrap=0, seed=0)
    assert alone["p"] < 0.05
    assert together["p"] > 0.05
    assert together["units"] == [20, 20]


def test_too_few_rows_have_no_interval_and_say_so() -> None:
    rng = np.random.default_rng(0)
    found = shift(rng.normal(size=(20, 30)), rng.normal(size=(20, 30)), permutations=10)
    assert found["low"] is None
    assert "150" in found["reason"]
    assert found["warnings"]
    assert found["p"] is not None


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (np.ones((5, 2)), np.ones((20, 2)), "too few pictures"),
        (np.ones((20, 2)), np.ones((20, 3)), "different widths"),
    ],
)
def test_bad_input_is_one_line(first: Any, second: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        shift(first, second)


def test_moments_that_are_not_finite_are_one_line() -> None:
    with pytest.raises(InputError, match="finite"):
        frechet_distance(np.array([np.nan]), np.eye(1), np.zeros(1), np.eye(1))
    with pytest.raises(InputError, match="shape"):
        frechet_distance(np.zeros(2), np.eye(1), np.zeros(2), np.eye(2))

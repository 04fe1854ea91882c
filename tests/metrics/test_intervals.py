"""Intervals, against SciPy and published examples, and how an undefined number looks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fairlora.metrics.content import Lowest, Number
from fairlora.metrics.inference.intervals import (
    Limits,
    bca_interval,
    difference_limits,
    pair_critical,
    proportion,
    ratio_limits,
    shared_level,
    t_of,
    wilson,
    wilson_limits,
    z_of,
)

SETTINGS = settings(derandomize=True, deadline=None, max_examples=60)
COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def one(hits: int, n: int, z: float = z_of(0.95)) -> tuple[np.ndarray, Limits]:
    p = np.array([hits / n])
    return p, wilson_limits(p, np.array([float(n)]), z)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.999])
def test_critical_values_agree_with_scipy(level: float) -> None:
    assert z_of(level) == pytest.approx(stats.norm.ppf(0.5 + level / 2))
    for degrees in (1, 2.5, 9, 400):
        assert t_of(level, degrees) == pytest.approx(stats.t.ppf(0.5 + level / 2, degrees))


@SETTINGS
@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy(counts: tuple[int, int]) -> None:
    hits, n = counts
    for level in (0.8, 0.95, 0.99):
        expected = stats.binomtest(hits, n).proportion_ci(level, method="wilson")
        found = wilson(hits, n, z_of(level))
        assert found == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("n", [1, 3, 10, 49, 1000])
def test_wilson_reaches_the_end_where_all_rows_or_none_are_hits(n: int) -> None:
    assert wilson(0, n, 1.96)[0] == 0
    assert wilson(n, n, 1.96)[1] == 1


def test_wilson_of_no_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        wilson(0, 0, 1.96)


def test_a_proportion_of_no_rows_is_undefined_and_neither_0_nor_1() -> None:
    number = proportion(0, 0, "no rows of this class", level=0.95)
    assert number.to_dict() == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "no rows of this class",
    }


def test_a_number_as_a_dict_keeps_its_place_and_says_why_it_has_no_interval() -> None:
    assert proportion(1, 4, "", level=0.95).to_dict().keys() == {"value", "low", "high"}
    why = {"value": 0.5, "low": None, "high": None, "reason": "one row", "group": None}
    assert Lowest(**why).to_dict() == why
    assert Number.undefined("why").to_dict() == {
        **dict.fromkeys(("value", "low", "high")),
        "reason": "why",
    }


def newcombe(a: int, m: int, b: int, n: int) -> tuple[float, float]:
    """Method 10 of Newcombe 1998, from the two proportions' Wilson intervals, term by term."""
    z, ends = 1.959963984540054, []
    for x, k in ((a, m), (b, n)):
        root = z * math.sqrt(z * z + 4 * x * (k - x) / k)
        ends.append(
            ((2 * x + z * z - root) / (2 * (k + z * z)), (2 * x + z * z + root) / (2 * (k + z * z)))
        )
    (low_a, high_a), (low_b, high_b) = ends
    p, q = a / m, b / n
    return (
        p - q - math.sqrt((p - low_a) ** 2 + (high_b - q) ** 2),
        p - q + math.sqrt((high_a - p) ** 2 + (q - low_b) ** 2),
    )


def test_the_interval_of_a_difference_is_the_published_one() -> None:
    found = difference_limits(*one(56, 70), *one(48, 80))
    assert (round(found.low[0], 4), round(found.high[0], 4)) == (0.0524, 0.3339)


@SETTINGS
@given(COUNTS, COUNTS)
def test_the_interval_of_a_difference_agrees_with_newcombes_formula(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    found = difference_limits(*one(*first), *one(*second))
    assert (found.low[0], found.high[0]) == pytest.approx(newcombe(*first, *second), abs=1e-9)


@SETTINGS
@given(COUNTS, COUNTS, st.floats(-1, 1))
def test_the_other_way_round_a_difference_has_its_ends_turned(
    first: tuple[int, int], second: tuple[int, int], correlation: float
) -> None:
    there = difference_limits(*one(*first), *one(*second), correlation)
    back = difference_limits(*one(*second), *one(*first), correlation)
    assert there.low[0] == pytest.approx(-back.high[0], abs=1e-9)
    assert there.high[0] == pytest.approx(-back.low[0], abs=1e-9)
    d = first[0] / first[1] - second[0] / second[1]
    assert there.low[0] <= d <= there.high[0]


def test_what_two_estimates_share_is_no_difference_between_them() -> None:
    a, limits = np.array([0.6]), Limits(np.array([0.5]), np.array([0.7]))
    apart = difference_limits(a, limits, a, limits)
    alike = difference_limits(a, limits, a, limits, 1.0)
    assert apart.high[0] == pytest.approx(0.1 * math.sqrt(2))
    assert (alike.low[0], alike.high[0]) == (pytest.approx(0), pytest.approx(0))


@SETTINGS
@given(COUNTS, COUNTS.filter(lambda c: c[0] > 0))
def test_a_ratio_lies_within_its_interval_and_that_within_the_crude_one(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    (a, own), (b, other) = one(*first), one(*second)
    found = ratio_limits(a, own, b, other)
    ratio = a[0] / b[0]
    assert found.low[0] <= ratio + 1e-9
    assert ratio <= found.high[0] + 1e-9
    assert found.low[0] >= own.low[0] / other.high[0] - 1e-9
    assert found.high[0] <= own.high[0] / other.low[0] + 1e-9


def test_the_interval_of_a_ratio_of_many_rows_is_that_of_its_logarithm() -> None:
    (a, own), (b, other) = one(3000, 10000), one(5000, 10000)
    found = ratio_limits(a, own, b, other)
    error = math.sqrt(0.7 / 3000 + 0.5 / 5000)
    assert found.low[0] == pytest.approx(0.6 * math.exp(-1.96 * error), rel=2e-3)
    assert found.high[0] == pytest.approx(0.6 * math.exp(1.96 * error), rel=2e-3)


@pytest.mark.parametrize("groups", [2, 3, 5, 12, 100, 500])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.995])
def test_the_critical_value_of_all_pairs_is_the_studentised_ranges(
    level: float, groups: int
) -> None:
    expected = stats.studentized_range.ppf(level, groups, 1e6) / math.sqrt(2)
    assert pair_critical(level, groups) == pytest.approx(expected, abs=2e-4)


def test_levels_shared_by_families_hold_together() -> None:
    assert shared_level(0.95, 1) == 0.95
    assert shared_level(0.95, 3) ** 3 == pytest.approx(0.95)


@pytest.mark.parametrize("seed", range(4))
def test_bca_agrees_with_scipy_on_the_same_draws(seed: int) -> None:
    x = np.random.default_rng(seed).exponential(size=60)
    expected = stats.bootstrap(
        (x,), np.mean, method="BCa", n_resamples=4000, rng=np.random.default_rng(seed)
    )
    influence = (x - x.mean()) / len(x)
    found = bca_interval(
        x.mean(), expected.bootstrap_distribution, influence, np.ones(len(x)), 0.95
    )
    ends = expected.confidence_interval
    # The acceleration comes of the influence here, of the jackknife there.
    assert found == pytest.approx((ends.low, ends.high), abs=0.02 * (ends.high - ends.low))


def test_bca_of_draws_that_all_are_on_one_side_still_holds_the_value() -> None:
    low, high = bca_interval(1.0, np.linspace(0, 0.9, 200), np.array([1.0]), np.array([3.0]), 0.95)
    assert low <= 1.0 == high

"""Gaps, worst groups and ratios: which groups, and intervals that hold for a maximum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairlora.metrics.groups.estimates import Against, proportions
from fairlora.metrics.groups.gaps import (
    NOBODY,
    TOO_FEW,
    differences_to_rest,
    extreme,
    gap,
    largest_against,
    pairwise,
    ratio,
    signed_differences,
)
from fairlora.metrics.inference.intervals import difference_limits, wilson_limits, z_of

NAMES = ("a", "b", "c", "d", "e", "f")


def rates(tops: Any, bottoms: Any, least: int = 1, **options: Any) -> Any:
    return proportions(np.asarray(tops), np.asarray(bottoms), least, **options)


def test_a_gap_of_two_groups_has_the_ends_of_their_difference() -> None:
    found = gap([rates([56, 48], [70, 80])], NAMES, 0.95, ends=True)
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == (
        pytest.approx(0.0524, abs=5e-5),
        pytest.approx(0.3339, abs=5e-5),
    )
    assert (found.largest, found.smallest) == ("a", "b")


def test_an_interval_of_a_gap_can_reach_0() -> None:
    assert gap([rates([20, 22, 24], [40, 40, 40])], NAMES, 0.95, ends=True).low == 0


def test_the_lower_end_of_a_gap_falls_as_groups_are_added_and_the_upper_does_not() -> None:
    two = gap([rates([56, 28], [70, 70])], NAMES, 0.95, ends=True)
    five = gap([rates([56, 28, 42, 42, 42], [70] * 5)], NAMES, 0.95, ends=True)
    assert two.value == five.value
    assert five.low < two.low  # type: ignore[operator]
    assert five.high == two.high


def test_a_gap_over_several_rates_names_the_one_it_is_of() -> None:
    families = [rates([5, 5], [10, 10]), rates([9, 1], [10, 10], detail={"rate": "fpr"})]
    found = gap(families, NAMES, 0.95, ends=False)
    assert (found.value, found.rate, found.best) == (0.8, "fpr", "a")


def test_a_gap_needs_two_groups_that_are_large_enough() -> None:
    found = gap([rates([1, 5], [2, 10], least=10)], NAMES, 0.95, ends=True)
    assert (found.value, found.reason) == (None, TOO_FEW)


def test_a_gap_whose_draws_are_often_undefined_has_no_interval_and_says_so() -> None:
    tops, bottoms = np.ones((100, 2)), np.ones((100, 2))
    bottoms[:6, 0] = tops[:6, 0] = 0
    found = gap([rates([1, 1], [1, 1], draws=(tops, bottoms))], NAMES, 0.95, ends=True)
    assert (found.value, found.low, found.high) == (0, None, None)
    assert found.reason == "undefined in 6 % of the bootstrap draws: a rate of too few rows"


def test_up_to_a_twentieth_of_the_draws_may_be_undefined() -> None:
    tops, bottoms = np.ones((100, 2)), np.ones((100, 2))
    bottoms[:5, 0] = tops[:5, 0] = 0
    found = gap([rates([1, 1], [1, 1], draws=(tops, bottoms))], NAMES, 0.95, ends=True)
    assert found.low is not None


def test_draws_further_apart_than_the_closed_form_expects_widen_the_interval() -> None:
    random = np.random.default_rng(0)
    bottoms = np.full((1000, 3), 40)
    usual = random.binomial(40, [0.85, 0.5, 0.2], size=(1000, 3))
    wild = np.clip(usual + random.integers(-8, 9, size=(1000, 3)), 0, 40)
    lows = [
        gap([rates([34, 20, 8], [40] * 3, draws=(t, bottoms))], NAMES, 0.95, ends=True).low
        for t in (usual, wild)
    ]
    assert lows[1] < lows[0]  # type: ignore[operator]


def test_the_worst_group_is_named_and_its_upper_end_allows_for_all_groups() -> None:
    few = extreme([rates([30, 20], [40, 40])], NAMES, 0.95)
    many = extreme([rates([30, 20, 30, 30, 30, 30], [40] * 6)], NAMES, 0.95)
    assert (many.value, many.group, many.groups) == (0.5, "b", None)
    assert many.high > few.high  # type: ignore[operator]
    # One group's own lower end: the smallest is at most that group's.
    own = wilson_limits(np.array([0.5]), np.array([40.0]), z_of(0.95)).low[0]
    assert many.low == few.low == pytest.approx(own)


def test_the_worst_of_nobody_is_undefined() -> None:
    assert extreme([rates([1], [2], least=10)], NAMES, 0.95).reason == NOBODY


def test_a_ratio_is_the_smallest_over_the_largest() -> None:
    found = ratio([rates([8, 6, 4], [10, 10, 10])], NAMES, 0.95)
    assert found.value == pytest.approx(0.5)
    assert (found.largest, found.smallest) == ("a", "c")
    assert 0 <= found.low < 0.5 < found.high <= 1  # type: ignore[operator]


def test_a_ratio_of_rates_that_all_are_0_is_undefined() -> None:
    found = ratio([rates([0, 0], [10, 10])], NAMES, 0.95)
    assert (found.value, found.reason) == (None, "no group's rate is above 0")


def test_a_group_against_the_rest_has_the_ends_of_their_difference() -> None:
    a, b = rates([56], [70]), rates([48], [80])
    found = differences_to_rest([Against(a, b)], NAMES[:1], 0.95)[0]
    assert (found.low, found.high) == (
        pytest.approx(0.0524, abs=5e-5),
        pytest.approx(0.3339, abs=5e-5),
    )
    turned = signed_differences(Against(b, a), 0.95)[0]
    assert turned.value == pytest.approx(-0.2)
    assert turned.low == pytest.approx(-found.high)  # type: ignore[operator]
    assert largest_against([Against(b, a)], NAMES, 0.95).value == pytest.approx(0.2)


def test_two_groups_against_each_other_are_one_comparison() -> None:
    a, b = rates([56, 48], [70, 80]), rates([48, 56], [80, 70])
    found = largest_against([Against(a, b)], NAMES, 0.95)
    assert found.low == pytest.approx(0.0524, abs=5e-5)
    assert found.group == "a"


def test_pairs_are_signed_and_hold_for_all_at_once() -> None:
    family = rates([56, 48, 40], [70, 80, 80])
    pairs = pairwise(family, NAMES, 0.95, "accuracy")
    assert {pair.metric for pair in pairs} == {"accuracy"}
    assert [(pair.group, pair.other) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    limits = family.limits(z_of(0.95))
    alone = difference_limits(
        family.values[:1],
        type(limits)(limits.low[:1], limits.high[:1]),
        family.values[1:2],
        type(limits)(limits.low[1:2], limits.high[1:2]),
    )
    first = pairs[0]
    assert first.value == pytest.approx(0.2)
    assert first.low < alone.low[0]  # type: ignore[operator]
    assert first.high > alone.high[0]  # type: ignore[operator]


@pytest.mark.parametrize("equal", [True, False])
def test_the_interval_of_a_gap_covers_it(equal: bool) -> None:
    random = np.random.default_rng(8)
    true = np.full(5, 0.7) if equal else np.array([0.9, 0.75, 0.7, 0.7, 0.6])
    sizes = np.array([300, 60, 40, 80, 150])
    truth, covered = true.max() - true.min(), 0
    for _ in range(400):
        found = gap([rates(random.binomial(sizes, true), sizes)], NAMES, 0.95, ends=True)
        covered += found.low <= truth <= found.high  # type: ignore[operator]
    # 95 % of 400 is 380, with a standard deviation of 4.4.
    assert covered >= 368

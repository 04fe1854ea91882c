"""Intervals, and how an undefined number looks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from fairlora.metrics.intervals import NO_INTERVAL, Number, proportion, undefined, wilson


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy(counts: tuple[int, int]) -> None:
    hits, n = counts
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("n", [1, 3, 10, 49, 1000])
def test_wilson_reaches_the_end_where_all_rows_or_none_are_hits(n: int) -> None:
    assert wilson(0, n)[0] == 0
    assert wilson(n, n)[1] == 1


def test_wilson_of_no_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        wilson(0, 0)


def test_a_proportion_of_no_rows_is_undefined_and_neither_0_nor_1() -> None:
    number = proportion(0, 0, "no rows of this class")
    assert number.to_dict() == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "no rows of this class",
    }


def test_a_number_as_a_dict_keeps_its_place_and_says_why_it_has_no_interval() -> None:
    assert proportion(1, 4, "").to_dict().keys() == {"value", "low", "high"}
    assert Number(0.5, detail={"group": "x"}).to_dict() == {
        "value": 0.5,
        "low": None,
        "high": None,
        "reason": NO_INTERVAL,
        "group": "x",
    }
    assert undefined("why", group="x").to_dict()["group"] == "x"

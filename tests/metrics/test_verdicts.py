"""Verdicts on hand-made differences, in the order that the design gives them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

from fairlora.metrics.comparison.variance import Variance
from fairlora.metrics.comparison.verdicts import MARGIN, Difference, judge
from fairlora.metrics.inference.multiplicity import benjamini_hochberg, holm


def difference(
    value: float | None, error: float | None, better: int = 1, **options: Any
) -> Difference:
    first = math.nan if value is None else 0.5 + value
    degrees, margin = options.pop("degrees", None), options.pop("margin", MARGIN)
    variance = None if error is None else Variance(error**2, row_degrees=degrees)
    return Difference("metric", ((first, 0.5),), better, margin, variance, **options)


def rows_of(differences: Sequence[Difference], *options: Any, **more: Any) -> list[dict[str, Any]]:
    return [verdict.to_dict() for verdict in judge(differences, *options, **more)]


def verdict_of(one: Difference) -> str:
    return str(rows_of([one])[0]["verdict"])


def test_a_narrow_interval_within_the_margin_is_equivalent() -> None:
    # 0.005 +- 1.645 x 0.005 lies within 0.02.
    assert verdict_of(difference(0.005, 0.005)) == "equivalent"


def test_equivalent_comes_before_better() -> None:
    row = rows_of([difference(0.01, 0.001)])[0]
    assert row["p_corrected"] < 0.05
    assert row["verdict"] == "equivalent"


def test_equivalence_takes_the_interval_of_90_percent_whatever_the_level() -> None:
    z = NormalDist().inv_cdf(0.95)
    inside, outside = (0.02 - share * z * 0.004 for share in (1.001, 0.999))
    for level in (0.5, 0.95, 0.999):
        assert rows_of([difference(inside, 0.004)], level=level)[0]["verdict"] == "equivalent"
        assert rows_of([difference(outside, 0.004)], level=level)[0]["verdict"] != "equivalent"


@pytest.mark.parametrize(
    ("value", "better", "expected"),
    [
        (0.1, 1, "better"),
        (-0.1, 1, "worse"),
        (0.1, -1, "worse"),
        (-0.1, -1, "better"),
        (0.1, 0, "different"),
    ],
)
def test_a_sure_difference_is_judged_by_the_metrics_direction(
    value: float, better: int, expected: str
) -> None:
    assert verdict_of(difference(value, 0.01, better)) == expected


def test_without_a_margin_nothing_is_equivalent() -> None:
    assert verdict_of(difference(0.0, 0.0001, margin=None)) == "inconclusive"


def test_the_difference_that_could_have_been_found_is_2_80_standard_errors() -> None:
    row = rows_of([difference(0.03, 0.02)])[0]
    assert row["verdict"] == "inconclusive"
    assert row["detectable"] == pytest.approx(2.8016 * 0.02, rel=1e-4)
    # So large a difference is found four times out of five.
    normal = NormalDist()
    assert 1 - normal.cdf(1.959964 - row["detectable"] / 0.02) == pytest.approx(0.8, abs=1e-4)


def test_what_is_undefined_says_why() -> None:
    row = rows_of([difference(None, None, reason="too few rows")])[0]
    assert (row["verdict"], row["reason"]) == ("undefined", "too few rows")
    for name in ("value", "low", "high", "p", "p_corrected", "detectable"):
        assert row[name] is None
    assert rows_of([difference(0.1, None)])[0]["reason"]


def test_what_is_undefined_is_none_of_the_family() -> None:
    sure = difference(0.1, 0.045)
    alone = rows_of([sure])[0]
    beside = rows_of([difference(None, None), sure, difference(None, None)])[1]
    assert beside == alone
    assert beside["verdict"] == "better"


def test_one_of_a_large_family_must_be_surer() -> None:
    one = difference(0.1, 0.04)  # p = 0.012
    assert verdict_of(one) == "better"
    assert rows_of([one] * 5)[0]["verdict"] == "inconclusive"
    # Benjamini-Hochberg asks no more of one where the others are as sure.
    assert rows_of([one] * 5, "bh")[0]["verdict"] == "better"


VALUES = st.floats(-0.3, 0.3)
ERRORS = st.floats(0.001, 0.1)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(drawn=st.lists(st.tuples(VALUES, ERRORS), min_size=1, max_size=8))
def test_p_values_and_intervals_are_those_of_a_normal(drawn: list[tuple[float, float]]) -> None:
    differences = [difference(value, error) for value, error in drawn]
    expected = [
        math.erfc(abs(one.value or 0) / e / math.sqrt(2))
        for one, (_, e) in zip(differences, drawn, strict=True)
    ]
    for kind, adjust in (("holm", holm), ("bh", benjamini_hochberg)):
        rows = rows_of(differences, kind)  # type: ignore[arg-type]
        np.testing.assert_allclose([r["p"] for r in rows], expected, atol=1e-12)
        raw = [row["p"] for row in rows]
        np.testing.assert_allclose([r["p_corrected"] for r in rows], adjust(raw))
        for row, one, (_, error) in zip(rows, differences, drawn, strict=True):
            assert one.value is not None
            assert row["low"] == pytest.approx(one.value - 1.959964 * error, abs=1e-6)
            assert row["high"] == pytest.approx(one.value + 1.959964 * error, abs=1e-6)


@pytest.mark.parametrize("degrees", [1, 3, 2.5, 30])
def test_few_degrees_of_freedom_take_students_t(degrees: float) -> None:
    row = rows_of([difference(0.1, 0.04, degrees=degrees)])[0]
    assert row["p"] == pytest.approx(2 * student.sf(2.5, degrees))
    assert row["high"] - row["value"] == pytest.approx(student.ppf(0.975, degrees) * 0.04)


def test_a_wide_t_is_not_equivalent_where_a_normal_is() -> None:
    assert verdict_of(difference(0.0, 0.008)) == "equivalent"
    assert verdict_of(difference(0.0, 0.008, degrees=2)) == "inconclusive"


def test_the_level_widens_the_interval_and_moves_no_verdict() -> None:
    one = difference(0.1, 0.04)
    narrow, wide = (rows_of([one], level=level)[0] for level in (0.9, 0.99))
    assert wide["low"] < narrow["low"] < narrow["high"] < wide["high"]
    assert wide["verdict"] == narrow["verdict"] == "better"


def test_without_any_error_a_difference_is_certain_and_none_is_none() -> None:
    some, none = rows_of([difference(0.1, 0.0), difference(0.0, 0.0, margin=None)])
    assert (some["p"], some["verdict"]) == (0.0, "better")
    assert (none["p"], none["verdict"]) == (1.0, "inconclusive")


def test_rows_carry_their_place() -> None:
    row = rows_of([difference(0.1, 0.01, place=("sex", "f"))])[0]
    assert (row["attribute"], row["group"]) == ("sex", "f")


def test_an_empty_family_has_no_verdicts() -> None:
    assert rows_of([]) == []


def test_an_interval_stays_within_what_is_possible() -> None:
    # Two seeds of one degree of freedom: -0.33 +- 4.2 by Student's t.
    (row,) = rows_of([difference(-0.33, 0.33, most=1.0, degrees=1)])
    assert (row["value"], row["low"], row["high"]) == (pytest.approx(-0.33), -1.0, 1.0)
    (loss,) = rows_of([difference(-0.33, 0.33, degrees=1)])
    assert (loss["low"], loss["high"]) == pytest.approx((-0.33 - 4.193, -0.33 + 4.193), abs=1e-3)

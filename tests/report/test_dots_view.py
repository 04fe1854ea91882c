"""Dots with intervals before they are drawn: axes, ticks, and numbers in words."""

from __future__ import annotations

import math
from typing import Any

import pytest

from fairlora.report.dots_view import axis_for, number_text, point_text, tick_text
from fairlora.report.page import check_dots


def plot(values: list[float | None], unit: str = "share") -> Any:
    points = [{"series": str(i), "value": value} for i, value in enumerate(values)]
    rows = [{"label": "", "points": points}]
    return check_dots({"title": "", "unit": unit, "panels": [{"name": "", "rows": rows}]})


@pytest.mark.parametrize("unit", ["share", "number"])
@pytest.mark.parametrize(
    "values",
    [
        [],
        [None],
        [math.nan, math.inf],
        [0.0],
        [1.0],
        [0.5, 0.5],
        [0.0, 1.0],
        [0.1 + 0.2, 0.3],
        [0.746, 0.99],
        [-0.31, 0.02],
        [1e-9, 2e-9],
        [3e6, 2.1e9],
        [5e-324],
    ],
)
def test_the_axis_covers_the_numbers_and_has_a_few_ticks(
    values: list[float | None], unit: str
) -> None:
    axis = axis_for(plot(values, unit))
    assert axis.low < axis.high
    for value in values:
        if value is not None and math.isfinite(value):
            assert -1e-9 <= axis.place(value) <= 1 + 1e-9
    assert 2 <= len(axis.ticks) <= 7
    assert all(-1e-6 <= axis.place(tick) <= 1 + 1e-6 for tick in axis.ticks)
    texts = [tick_text(tick, axis.step, plot([], unit)["unit"]) for tick in axis.ticks]
    assert len(set(texts)) == len(texts)


def test_an_axis_of_shares_stays_within_0_and_1() -> None:
    axis = axis_for(plot([0.005, 0.999]))
    assert (axis.low, axis.high) == (0, 1)
    assert [tick_text(tick, axis.step, "share") for tick in axis.ticks] == [
        "0%",
        "20%",
        "40%",
        "60%",
        "80%",
        "100%",
    ]


def test_differences_may_be_negative() -> None:
    axis = axis_for(plot([-0.1, 0.1]))
    assert axis.low < -0.1
    assert "−5%" in [tick_text(tick, axis.step, "share") for tick in axis.ticks]


def test_numbers_read_well() -> None:
    assert number_text(0.8412, "share") == "84.1%"
    assert number_text(-0.0001, "share") == "0.0%"
    assert number_text(-1234.5, "number") == "−1234" or number_text(-1234.5, "number") == "−1235"
    assert number_text(math.nan, "number") == "–"
    assert tick_text(0.005, 0.005, "share") == "0.5%"
    assert tick_text(12000, 2000, "number") == "12,000"


def test_points_in_words() -> None:
    assert point_text({"series": "", "value": None}, "share") == "no value"
    assert point_text({"series": "", "value": 0.5}, "share") == "50.0%"
    full = point_text({"series": "", "value": 0.5, "low": 0.4, "high": None}, "share")
    assert full == "50.0% (40.0% to –)"

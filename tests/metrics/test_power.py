"""How many rows a difference takes: the formula, and tests on drawn rows that find it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fairlora.metrics import audit
from fairlora.metrics.counts.tally import Tally
from fairlora.metrics.inference.power import detectable, power_rows, rows_needed


def by_hand(p: float, q: float) -> float:
    """Fleiss, Levin and Paik 2003, eq. 4.14, at 5 % and 80 %."""
    mean = (p + q) / 2
    a = 1.959964 * math.sqrt(2 * mean * (1 - mean))
    b = 0.841621 * math.sqrt(p * (1 - p) + q * (1 - q))
    return ((a + b) / (p - q)) ** 2


@pytest.mark.parametrize(
    ("rate", "other", "difference"),
    [(0.9, 0.88, 0.02), (0.6, 0.5, 0.1), (0.1, 0.15, 0.05), (0.5, 0.55, 0.05), (1.0, 0.9, 0.1)],
)
def test_rows_needed_is_the_textbooks(rate: float, other: float, difference: float) -> None:
    assert rows_needed(rate, difference) == math.ceil(by_hand(rate, other) - 1e-3)


def test_a_smaller_difference_or_more_power_takes_more_rows() -> None:
    assert rows_needed(0.8, 0.02) > rows_needed(0.8, 0.05) > rows_needed(0.8, 0.2)
    assert rows_needed(0.8, 0.05, power=0.9) > rows_needed(0.8, 0.05)
    assert rows_needed(0.8, 0.05, level=0.99) > rows_needed(0.8, 0.05)


def found_share(n: int, m: int, p: float, q: float, *, pooled: bool) -> float:
    """How often a test of two drawn proportions is below 5 %."""
    rng = np.random.default_rng(0)
    a, b = rng.binomial(n, p, 4000) / n, rng.binomial(m, q, 4000) / m
    both = (n * a + m * b) / (n + m)
    one, other = (both, both) if pooled else (a, b)
    error = np.sqrt(one * (1 - one) / n + other * (1 - other) / m)
    return float((np.abs(a - b) / error > 1.959964).mean())


@pytest.mark.parametrize("rate", [0.9, 0.7, 0.3])
def test_so_many_rows_find_the_difference_four_times_of_five(rate: float) -> None:
    other = rate - 0.05 if rate > 0.5 else rate + 0.05
    n = rows_needed(rate, 0.05)
    assert found_share(n, n, rate, other, pooled=True) == pytest.approx(0.8, abs=0.03)


def test_what_can_be_detected_is_2_80_standard_errors() -> None:
    assert detectable(0.03**2) == pytest.approx(2.801585 * 0.03, rel=1e-6)
    assert detectable(1.0, 0.99, 0.9) == pytest.approx(2.575829 + 1.281552, abs=1e-5)
    assert detectable(0.0) == 0


def table(right: list[int], sizes: list[int]) -> Tally:
    cells = np.zeros((len(sizes), 2, 2), dtype=np.int64)
    cells[:, 0, 0] = right
    cells[:, 0, 1] = np.array(sizes) - right
    return Tally(tuple(f"g{k}" for k in range(len(sizes))), cells)


def test_each_group_against_everyone_outside_it() -> None:
    small, large = power_rows(table([80, 4500], [100, 5000]), 0.1, 0.95)
    p, q = 81 / 102, 4501 / 5002
    spread = math.sqrt(p * (1 - p) / 100 + q * (1 - q) / 5000)
    assert (small.group, small.n) == ("g0", 100)
    assert small.detectable == pytest.approx(2.801585 * spread, rel=1e-5)
    assert small.detectable == pytest.approx(large.detectable, rel=0.05)
    assert small.needed_each == rows_needed(p, 0.1)


def test_a_group_of_the_needed_size_finds_the_difference() -> None:
    row = power_rows(table([80, 4500], [100, 5000]), 0.05, 0.95)[0]
    p = 81 / 102
    # Of as many rows in the group, and those outside as they are.
    assert row.needed < row.needed_each
    resized = power_rows(table([round(p * row.needed), 4500], [row.needed, 5000]), 0.05, 0.95)
    assert resized[0].detectable == pytest.approx(0.05, rel=0.02)
    power = found_share(row.needed, 5000, p, p + 0.05, pooled=False)
    assert power == pytest.approx(0.8, abs=0.03)


def test_no_number_of_rows_would_do_where_those_outside_are_too_few() -> None:
    large, small = power_rows(table([900, 15], [1000, 20]), 0.05, 0.95)
    assert large.needed is None
    assert large.needed_each > 0
    assert small.needed is not None


def test_groups_that_are_all_right_have_no_certain_rate() -> None:
    rows = power_rows(table([50, 50], [50, 50]), 0.1, 0.95)
    assert 0 < rows[0].detectable < 0.1
    assert rows[0].needed > 0


def test_one_group_alone_has_nobody_to_differ_from() -> None:
    (row,) = power_rows(table([50], [60]), 0.1, 0.95)
    assert (row.detectable, row.needed) == (None, None)


def test_of_overlapping_groups_the_rest_is_everyone_outside() -> None:
    cells = np.zeros((3, 2, 2), dtype=np.int64)
    cells[:, 0, 0], cells[:, 0, 1] = (30, 20, 40), (10, 10, 10)
    patterns = np.array([[True, False], [True, True], [False, False]])
    row = power_rows(Tally(("a", "b"), cells, patterns), 0.1, 0.95)[0]
    p, q = 51 / 72, 41 / 52
    spread = math.sqrt(p * (1 - p) / 70 + q * (1 - q) / 50)
    assert row.n == 70
    assert row.detectable == pytest.approx(2.801585 * spread, rel=1e-5)


def test_an_audit_says_it_where_it_is_asked_for() -> None:
    labels, groups = [0, 1] * 50, {"g": ["a"] * 60 + ["b"] * 40}
    content = audit(labels, labels, groups, positive=1, bootstrap=0, power=0.1).to_dict()
    assert content["power_difference"] == 0.1
    assert [row["n"] for row in content["power"]["g"]] == [60, 40]
    assert "power" not in audit(labels, labels, groups, positive=1, bootstrap=0).to_dict()

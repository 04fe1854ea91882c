"""Bounds and evidence that hold however often one looks: exact sums, other formulas, simulation."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest
from scipy import optimize, special, stats

from fairlora.metrics.inference.sequences import (
    evidence_of_difference,
    evidence_of_fall,
    running_limits,
)


def binomial(x: int, n: int, p: float) -> float:
    return comb(n, x) * p**x * (1 - p) ** (n - x)


@pytest.mark.parametrize(("hits", "n"), [(9, 10), (90, 100), (450, 500), (30_000, 100_000)])
def test_running_bounds_are_about_those_of_the_beta_binomial_mixture(hits: int, n: int) -> None:
    """Robbins' mixture with a uniform prior, solved numerically, is the oracle of the width."""

    def wealth(p: float) -> float:
        mixed = special.betaln(hits + 1, n - hits + 1)
        return float(mixed - hits * np.log(p) - (n - hits) * np.log1p(-p) - np.log(20))

    share = hits / n
    low = optimize.brentq(wealth, 1e-9, share)
    high = optimize.brentq(wealth, share, 1 - 1e-9)
    ours = running_limits(np.array([hits]), np.array([n]), 0.05)
    assert ours.low[0] < share < ours.high[0]
    assert (ours.high[0] - ours.low[0]) / (high - low) == pytest.approx(1.1, abs=0.3)
    # One look at a fixed sample is narrower: this one pays for all looks.
    fixed = stats.binomtest(hits, n).proportion_ci(0.95, "exact")
    assert ours.low[0] < fixed.low
    assert ours.high[0] > fixed.high


def test_running_bounds_of_no_rows_and_of_swapped_hits() -> None:
    low, high = running_limits(np.array([0, 3]), np.array([0, 20]), 0.05)
    assert (low[0], high[0]) == (0, 1)
    swapped = running_limits(np.array([17]), np.array([20]), 0.05)
    assert (1 - swapped.high[0], 1 - swapped.low[0]) == pytest.approx((low[1], high[1]))


def test_running_bounds_hold_at_every_look_also_where_the_rate_drifts() -> None:
    rng = np.random.default_rng(0)
    p = np.linspace(0.9, 0.3, 400)[:, None]
    hits, n = rng.binomial(5, p, (400, 800)).cumsum(axis=0), np.arange(5, 2001, 5)[:, None]
    limits = running_limits(hits, np.broadcast_to(n, hits.shape), 0.2)
    mean = p.cumsum(axis=0) / np.arange(1, 401)[:, None]
    missed = ((limits.low > mean) | (limits.high < mean)).any(axis=0).mean()
    assert missed <= 0.2
    fixed = stats.norm.ppf(0.9) * np.sqrt(hits / n * (1 - hits / n) / n)
    assert (np.abs(hits / n - mean) > fixed).any(axis=0).mean() > 0.5


@pytest.mark.parametrize("p", [0.7, 0.8, 0.99])
def test_evidence_of_a_fall_has_a_mean_of_at_most_one_while_there_is_none(p: float) -> None:
    null, sizes = np.array([0.7]), np.array([[3], [0], [4]])
    mean = sum(
        binomial(x, 3, p)
        * binomial(y, 4, p)
        * evidence_of_fall(np.array([[x], [0], [y]]), sizes, null)[-1, 0]
        for x, y in product(range(4), range(5))
    )
    assert mean <= 1 + 1e-12
    assert mean == pytest.approx(1) if p == 0.7 else mean < 1


@pytest.mark.parametrize(
    ("rows", "rest", "p", "d", "usual"),
    [(3, 5, 0.3, 0.1, 0.5), (5, 2, 0.9, -0.2, 0.8), (4, 4, 0.5, 0, 0.1), (1, 6, 0.95, 0.05, 0.9)],
)
def test_evidence_of_a_difference_has_a_mean_of_at_most_one_whatever_the_common_rate(
    rows: int, rest: int, p: float, d: float, usual: float
) -> None:
    def evidence(x: int, y: int) -> float:
        counts = (np.array([[value]]) for value in (x, rows, y, rest))
        return float(evidence_of_difference(*counts, np.array([d]), np.array([usual]))[0, 0])

    for own in (p + d, max(p + d - 0.2, 0)):  # the difference itself, and one below it
        mean = sum(
            binomial(x, rows, own) * binomial(y, rest, p) * evidence(x, y)
            for x, y in product(range(rows + 1), range(rest + 1))
        )
        assert mean <= 1 + 1e-12
    assert evidence(rows, 0) > 1
    assert evidence(0, rest) < 1


def test_evidence_finds_a_late_fall_and_a_difference_and_is_bounded() -> None:
    rng = np.random.default_rng(1)
    n = np.full((300, 50), 100)
    hits = rng.binomial(n, np.where(np.arange(300) < 200, 0.9, 0.8)[:, None])
    found = evidence_of_fall(hits, n, np.full(50, 0.9))
    assert (found[200] < 1000).all()
    assert (found[230:].max(axis=0) > 1000).all()
    rest = rng.binomial(10 * n, 0.9)
    between = evidence_of_difference(
        n - hits, n, 10 * n - rest, 10 * n, np.zeros(50), np.full(50, 0.1)
    )
    assert (between[:200].max(axis=0) < 1000).all()
    assert (between[240:].max(axis=0) > 1000).all()
    extreme = evidence_of_fall(np.zeros((5, 1)), np.full((5, 1), 10**9), np.array([1.0]))
    assert np.isfinite(extreme).all()
    assert (extreme > 1e90).all()


def test_looks_without_rows_change_nothing() -> None:
    zero = np.zeros((3, 1), int)
    assert evidence_of_fall(zero, zero, np.array([0.5])) == pytest.approx(1)
    nothing = evidence_of_difference(zero, zero, zero, zero + 9, np.zeros(1), np.full(1, 0.5))
    assert nothing == pytest.approx(1)

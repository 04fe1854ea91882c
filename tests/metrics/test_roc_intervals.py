"""Exact intervals of rates, and of the TPR at a given FPR, against scipy and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, norm

from fairlora.metrics.curves.roc_intervals import allowed, threshold_range
from fairlora.metrics.curves.roc_scores import Sides, effective_size
from fairlora.metrics.inference.exact import clopper_pearson


@given(st.integers(1, 300), st.floats(0, 1), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_clopper_pearson_is_scipys(n: int, share: float, level: float) -> None:
    k = round(share * n)
    expected = binomtest(k, n).proportion_ci(level, method="exact")
    found = clopper_pearson(k, n, level)
    assert (float(found.low), float(found.high)) == pytest.approx(expected, abs=1e-9)


def test_clopper_pearson_of_nothing_says_nothing() -> None:
    assert tuple(map(float, clopper_pearson(0, 0))) == (0.0, 1.0)


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_whole_numbers_of_false_positives_are_not_lost_to_rounding(k: int, n: int) -> None:
    if k <= n:
        assert int(allowed(k / n, n)) == k


@given(
    st.integers(1, 400),
    st.lists(st.floats(0.001, 0.999), min_size=1, max_size=5),
    st.sampled_from([0.5, 0.9, 0.95]),
)
def test_the_thresholds_range_is_the_binomials(n: int, fprs: list[float], level: float) -> None:
    tail = (1 - level) / 2
    first, last = threshold_range(np.array(fprs), n, level)
    for f, low, high in zip(fprs, first, last, strict=True):
        below = binom.cdf(np.arange(n + 1), n, f)
        assert low == int((below <= tail).sum()) - 1
        assert high == int((below < 1 - tail - 1e-12).sum()) or abs(below[high] - 1 + tail) < 1e-9


@pytest.mark.parametrize(
    ("m", "n", "shift", "fpr"),
    [
        (60, 60, 0.0, 0.1),
        (60, 300, 1.0, 0.1),
        (300, 60, 1.0, 0.1),
        (500, 500, 1.0, 0.01),
        (500, 2000, 2.0, 0.01),
    ],
)
def test_the_band_covers_and_an_interval_of_the_tpr_alone_does_not(
    m: int, n: int, shift: float, fpr: float
) -> None:
    """1,000 simulations: 95 % less three standard errors of it at least."""
    rng = np.random.default_rng(0)
    true = float(norm.cdf(norm.ppf(fpr) + shift))
    at = np.array([fpr])
    inside = naive = 0
    for _ in range(1000):
        sides = Sides(-np.sort(-(rng.normal(size=m) + shift)), -np.sort(-rng.normal(size=n)))
        _, band = sides.band(at, 0.95)
        inside += bool(band.low[0] <= true <= band.high[0])
        _, own = sides.rate(sides.thresholds(allowed(at, n)), 0.95, "positives")
        naive += bool(own.low[0] <= true <= own.high[0])
    assert inside >= 930
    assert inside > naive
    if m > n:
        assert naive < 700


def test_too_few_non_members_for_any_threshold_leave_the_low_end_at_0() -> None:
    """That not one of n lies above shows an FPR of at most 1 % from n = 368 on."""
    members = np.linspace(5, 4, 50)
    for n, above_zero in ((367, False), (368, True)):
        sides = Sides(members, np.linspace(1, 0, n))
        value, band = sides.band(np.array([0.01]), 0.95)
        assert value[0] == 1
        assert bool(band.low[0] > 0) is above_zero


def test_the_realised_fpr_is_covered() -> None:
    """Though the threshold was chosen so that so many lie above it."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(1000):
        sides = Sides(np.zeros(2), -np.sort(-rng.normal(size=200)))
        at = sides.thresholds(np.array([2]))
        _, around = sides.rate(at, 0.95, "negatives")
        covered += bool(around.low[0] <= norm.sf(at[0]) <= around.high[0])
    assert covered >= 940


def test_clusters_of_copies_count_once() -> None:
    scores = np.repeat(np.arange(40.0)[::-1], 5)
    units = np.repeat(np.arange(40), 5)
    size = effective_size(np.array([0, 50, 200]), 200, units)
    np.testing.assert_allclose(size, [40, 39, 40])
    alone = Sides(scores, scores)
    together = Sides(scores, scores, units, units)
    at = np.array([0.1])
    wide, narrow = (one.band(at, 0.95)[1] for one in (together, alone))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_clusters_of_one_are_rows() -> None:
    rng = np.random.default_rng(0)
    members, others = (-np.sort(-rng.normal(size=k)) for k in (30, 50))
    alone = Sides(members, others)
    clusters = Sides(members, others, np.arange(30), np.arange(50))
    at = np.array([0.1, 0.3])
    sizes = effective_size(np.array([7]), 50, np.arange(50))
    assert sizes[0] == pytest.approx(49)  # the divisor n - 1 of the variance between clusters
    for end in (0, 1):
        np.testing.assert_allclose(
            alone.band(at, 0.95)[1][end], clusters.band(at, 0.95)[1][end], atol=0.03
        )

"""Means of groups and the variance of their mean losses, against SciPy and simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from fairlora.metrics import audit
from fairlora.metrics.content import Number
from fairlora.metrics.counts.means import loss_variance, mean_of
from fairlora.metrics.counts.tally import tally
from fairlora.predictions import group_column

SETTINGS = settings(derandomize=True, deadline=None, max_examples=40)


def loss_variances(losses: Any, groups: Any) -> tuple[Number, Number]:
    zeros = np.zeros(len(losses), dtype=np.int64)
    table = tally(zeros, zeros, 2, group_column(groups), loss=losses)
    large = np.ones(len(table.names), dtype=bool)
    return loss_variance(table, large, 0.95, np.random.default_rng(0))


def test_loss_variance_is_the_variance_of_the_groups_means() -> None:
    losses = np.array([1.0, 3.0, 0.0, 0.0, 3.0, 4.0, 5.0, 8.0])
    groups = np.array(["a", "a", "b", "b", "c", "c", "c", "c"])
    value, unbiased = loss_variances(losses, groups)
    # Means 2, 0 and 5; variances 2, 0 and 14 / 3 of two, two and four rows.
    assert value.value == pytest.approx(np.var([2, 0, 5]))
    assert unbiased.value == pytest.approx(np.var([2, 0, 5]) - 2 / 9 * (2 / 2 + 0 / 2 + 14 / 3 / 4))


def test_the_unbiased_loss_variance_is_right_on_average_and_the_plain_one_too_large() -> None:
    random = np.random.default_rng(7)
    means, spreads = np.array([0.5, 0.8, 1.4]), np.array([1.0, 0.5, 2.0])
    codes = np.repeat([0, 1, 2], [5, 8, 20])
    groups = np.array(["a", "b", "c"])[codes]
    draws = np.array(
        [
            [
                number.value
                for number in loss_variances(random.normal(means[codes], spreads[codes]), groups)
            ]
            for _ in range(600)
        ],
        dtype=float,
    )
    error = draws.std(axis=0) / np.sqrt(len(draws))
    plain, unbiased = (draws.mean(axis=0) - means.var()) / error
    assert abs(unbiased) < 3.5
    assert plain > 6


def test_loss_variance_is_undefined_where_it_cannot_be_known() -> None:
    labels = [0, 1, 0, 1]
    groups = {"g": ["a", "a", "b", "b"]}
    without = audit(labels, labels, groups, min_group=0).to_dict()["disparities"]["g"]
    assert without["loss_variance"] == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "no losses given",
    }
    value, unbiased = loss_variances(np.array([1.0, 2.0, 3.0]), np.array(["a", "b", "b"]))
    assert value.value == pytest.approx(np.var([1, 2.5]))
    assert unbiased.value is None
    assert value.reason == unbiased.reason == "a group of one row has no variance"


@pytest.mark.parametrize("apart", [0.0, 0.3, 1.0])
def test_the_interval_of_the_loss_variance_covers(apart: float) -> None:
    random = np.random.default_rng(11)
    means = np.array([1.0, 1 - apart, 1 + apart / 2, 1.0])
    codes = np.repeat([0, 1, 2, 3], [60, 80, 50, 120])
    truth, draws = means.var(), 150
    covered = 0
    for _ in range(draws):
        found = loss_variances(random.gamma(4, means[codes] / 4), codes)[0]
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
    # 95 % of 150 is 142.5, with a standard deviation of 2.7.
    assert covered >= 134


def loss_number(losses: Any) -> Number:
    zeros = np.zeros(len(losses), dtype=np.int64)
    table = tally(zeros, zeros, 2, group_column(["g"] * len(losses)), loss=np.asarray(losses))
    return mean_of(table, "loss", 0, 0.95, "no losses given")


@pytest.mark.parametrize("n", [40, 300])
def test_the_interval_of_a_mean_is_close_to_scipys_bca_on_a_skewed_sample(n: int) -> None:
    losses = np.random.default_rng(n).exponential(size=n)
    found = loss_number(losses)
    expected = bootstrap(
        (losses,),
        np.mean,
        method="BCa",
        n_resamples=20000,
        rng=np.random.default_rng(0),
        batch=2000,
    ).confidence_interval
    width = expected.high - expected.low
    assert found.value == pytest.approx(losses.mean())
    assert found.low is not None
    assert found.high is not None
    # Ours is a little wider: Student's quantile, and farther out on the side of the long tail.
    assert found.low == pytest.approx(expected.low, abs=0.06 * width)
    assert -0.06 * width < found.high - expected.high < 0.35 * width
    assert found.high - losses.mean() > losses.mean() - found.low


@SETTINGS
@given(
    st.lists(st.floats(0, 50, width=32), min_size=2, max_size=30),
    st.sampled_from([0.0, 1e3, 1e6]),
)
def test_a_mean_lies_within_its_interval(losses: list[float], shift: float) -> None:
    found = loss_number([x + shift for x in losses])
    assert None not in (found.value, found.low, found.high)
    assert found.low <= found.value <= found.high  # type: ignore[operator]


def test_a_mean_of_one_row_has_no_interval_and_says_why() -> None:
    found = loss_number([2.0])
    assert (found.value, found.low, found.reason) == (2, None, "one row alone has no interval")


def test_a_constant_is_known_to_the_point() -> None:
    found = loss_number([0.7] * 9)
    assert found.low == found.high == found.value == pytest.approx(0.7)

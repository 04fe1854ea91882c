"""Rows of one example under several targets, or of one person: what clusters change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from fairlora.privacy import roc
from fairlora.privacy.operating_points import resolution


def judged(scores: Any, member: Any, clusters: Any, **options: Any) -> dict[str, Any]:
    return roc(scores, member, clusters=clusters, permutations=0, **options).overall()


def test_few_clusters_told_apart_without_fault_are_no_certainty() -> None:
    """The variance between them is 0 then, and would make any number of rows a proof."""
    person = np.repeat(np.arange(6), 50)
    member = person % 2 == 0
    auc = judged(np.where(member, 1.0, 0.0) + np.arange(300) / 1e6, member, person)["auc"]
    assert auc["value"] == 1
    # As of six rows: (1 - 1/2 - 1/18) over the square root of 7 / 108.
    assert auc["p"] == pytest.approx(norm.sf((0.5 - 1 / 18) / np.sqrt(7 / 108)))
    assert auc["low"] < 0.6


def test_a_threshold_that_hangs_on_few_clusters_is_coarse() -> None:
    rng = np.random.default_rng(0)
    example = np.repeat(np.arange(100), 10)
    member = np.tile([True] * 5 + [False] * 5, 100)
    # The same examples are on top under each target.
    scores = rng.normal(size=100)[example] + 0.01 * rng.normal(size=1000)
    point = judged(scores, member, example, fprs=(0.02,))["tpr_at_fpr"]["0.02"]
    assert (point["resolution"], point["non_members"]) == ("coarse", 500)
    assert "non_members_needed" not in point
    alone = judged(scores, member, None, fprs=(0.02,))["tpr_at_fpr"]["0.02"]
    assert alone["resolution"] == "fine"
    assert point["high"] > alone["high"]


def test_resolution_counts_the_clusters_above_the_threshold() -> None:
    units = np.repeat(np.arange(9), 100)
    assert resolution(0.1, 900, units)["resolution"] == "coarse"
    assert resolution(0.1, 900, np.arange(900))["resolution"] == "fine"
    assert resolution(0.001, 900, units)["non_members_needed"] == 1000


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_interval_of_an_auc_over_many_targets_holds_it_and_is_not_wasteful(
    share: float,
) -> None:
    """Each of 120 examples under 12 targets, a member of six; `share` of the spread is its own."""
    rng = np.random.default_rng(1)
    example, member = np.repeat(np.arange(120), 12), np.tile([True, False], 720)
    true = float(norm.cdf(0.5 / np.sqrt(2)))
    held, widths, values = 0, [], []
    for _ in range(120):
        own = np.sqrt(share) * rng.normal(size=120)[example]
        scores = own + np.sqrt(1 - share) * rng.normal(size=1440) + 0.5 * member
        auc = judged(scores, member, example, fprs=(0.1,))["auc"]
        held += auc["low"] <= true <= auc["high"]
        widths.append(auc["high"] - auc["low"])
        values.append(auc["value"])
    assert held >= 0.91 * 120
    # Twice what it should be at most, where examples hang together in a way that cancels.
    assert np.mean(widths) < 2.2 * 2 * 1.96 * np.std(values)
    assert np.mean(widths) < 0.07


def test_few_clusters_keep_the_careful_interval() -> None:
    """As many rows as there are clusters: the variance between a dozen is not known."""
    rng = np.random.default_rng(2)
    person = np.repeat(np.arange(12), 100)
    member = np.tile([True, False], 600)
    scores = rng.normal(size=1200) + member
    few = judged(scores, member, person)["auc"]
    rows = judged(scores, member, None)["auc"]
    assert few["high"] - few["low"] > 3 * (rows["high"] - rows["low"])

"""Gaps between groups: the permuted numbers are right, and p-values uniform without a gap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from sklearn.metrics import roc_auc_score

from fairlora.metrics.curves.permutation import layout, numbers_of, shuffle, unit_codes, units_of
from fairlora.metrics.curves.roc_scores import grouped, ordered
from fairlora.predictions import group_column
from fairlora.privacy import compare_attacks, roc

RNG = np.random.default_rng(0)


def by_hand(scores: Any, member: Any, inside: Any, fpr: float) -> tuple[float, float]:
    """AUC and TPR of one group, by the definition."""
    high, low = scores[inside & member], np.sort(scores[inside & ~member])[::-1]
    if not len(high) or not len(low):
        return np.nan, np.nan
    wins = (high[:, None] > low).mean() + (high[:, None] == low).mean() / 2
    k = int(np.floor(fpr * len(low) + 1e-9))
    return float(wins), float((high > low[k]).mean()) if k else np.nan


@given(st.integers(0, 10_000), st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_all_groups_numbers_at_once_are_those_of_each(
    seed: int, tied: bool, overlapping: bool
) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(10, 80))
    scores = rng.integers(0, 6, n).astype(float) if tied else rng.normal(size=n)
    member = rng.random(n) < 0.5
    member[:2] = [True, False]
    names = [list(rng.choice(list("abc"), rng.integers(0, 3), replace=False)) for _ in range(n)]
    names[0] = ["a", "b"]
    column = group_column(names if overlapping else [one[0] if one else "c" for one in names])
    order = ordered(scores, member)
    fprs = np.array([0.5, 0.2])
    found = numbers_of(layout(order, fprs), column.codes[order.rows], column)
    for k, fpr in enumerate(fprs):
        others = np.sort(scores[~member])[::-1]
        count = int(np.floor(fpr * len(others) + 1e-9))
        above = scores > others[count]
        for g, name in enumerate(column.names):
            inside = column.contains(name)
            auc, tpr = by_hand(scores, member, inside, fpr)
            assert found.auc[g] == pytest.approx(auc, nan_ok=True)
            assert found.own[g, k] == pytest.approx(tpr, nan_ok=True)
            for side, values in ((member, found.tpr), (~member, found.fpr)):
                rate = above[inside & side].mean() if (inside & side).any() else np.nan
                assert values[g, k] == pytest.approx(rate, nan_ok=True)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=50))
def test_places_are_read_group_by_group(codes: list[int]) -> None:
    values = np.array(codes, dtype=np.int32)
    places, ends = grouped(values, 7, None)
    np.testing.assert_array_equal(places, np.argsort(values, kind="stable"))
    np.testing.assert_array_equal(np.diff(ends), np.bincount(values, minlength=7))


def test_shuffling_is_uniform() -> None:
    """Of 120 places each comes first as often as any, and the first two in every order."""
    rng = np.random.default_rng(0)
    places = np.arange(120)
    drawn = np.array([shuffle(places, rng) for _ in range(6000)])
    assert (np.sort(drawn, axis=1) == places).all()
    counts = np.bincount(drawn[:, 0], minlength=120)
    assert ((counts - 50) ** 2 / 50).sum() < 180  # chi-squared of 119 degrees: beyond 99.9 %
    before = (drawn.argsort(axis=1)[:, 0] < drawn.argsort(axis=1)[:, 1]).mean()
    assert abs(before - 0.5) < 0.025


def test_a_gap_is_found_and_named() -> None:
    group = RNG.choice(["a", "b", "c"], 4000)
    member = RNG.random(4000) < 0.5
    scores = RNG.normal(size=4000) + member * np.where(group == "b", 1.5, 0.5)
    gaps = roc(scores, member, {"g": group}, permutations=499).attack()["gaps"]["g"]
    gap = gaps["auc_gap"]
    assert gap["largest"] == "b"
    assert gap["p"] == pytest.approx(1 / 500)
    assert gap["low"] > 0
    assert gap["expected_by_chance"] < gap["value"] / 4
    assert gap["family"] == "primary"
    assert gaps["tpr_gap@0.1"]["p"] == pytest.approx(1 / 500)
    # Non-members of all groups are alike: nobody is taken for a member more often.
    assert gaps["fpr_gap_global@0.1"]["p"] > 0.01
    assert gaps["fpr_gap_global@0.1"]["family"] == "exploratory"


def test_the_smallest_group_does_not_carry_the_p_value() -> None:
    """Its AUC strays farthest by noise alone; the gap of two large groups is found all the same."""
    group = np.array(["tiny"] * 24 + ["a"] * 2000 + ["b"] * 2000)
    member = np.arange(len(group)) % 2 == 0
    rng = np.random.default_rng(3)
    scores = rng.normal(size=len(group)) + member * np.where(group == "b", 0.9, 0.5)
    gap = roc(scores, member, {"g": group}, permutations=499).attack()["gaps"]["g"]["auc_gap"]
    assert gap["p"] < 0.01


def test_p_values_are_uniform_without_a_gap() -> None:
    """The attack works, and alike in all groups; groups of uneven size; 200 simulations."""
    rng = np.random.default_rng(0)
    group = np.repeat(["a", "b", "c"], [200, 80, 40])
    member = np.arange(320) % 2 == 0
    found: dict[str, list[float]] = {"auc_gap": [], "tpr_gap@0.1": [], "fpr_gap_global@0.1": []}
    for k in range(200):
        scores = rng.normal(size=320) + member
        gaps = roc(scores, member, {"g": group}, permutations=59, seed=k, fprs=(0.1,)).attack()[
            "gaps"
        ]["g"]
        for name in found:
            found[name].append(gaps[name]["p"])
    assert kstest(found["auc_gap"], "uniform").pvalue > 0.01
    # Rates of few rows take few values, and p-values with them: they may be too large.
    for name, values in found.items():
        assert np.mean(np.array(values) <= 0.05) < 0.09, name
        assert 0.4 < np.mean(values) < 0.65, name


def test_clusters_move_together() -> None:
    """Each example is a row of four models, a member of two: groups are permuted by example."""
    rng = np.random.default_rng(0)
    found = []
    for k in range(100):
        example = np.repeat(np.arange(80), 4)
        member = np.tile([True, True, False, False], 80)
        group = np.where(np.arange(80) % 2, "a", "b")[example]
        # What makes an example easy to tell under one model does so under the others.
        scores = rng.normal(size=320) + member * (1 + 1.5 * rng.normal(size=80)[example])
        options: dict[str, Any] = {"permutations": 59, "seed": k, "fprs": (0.1,)}
        gap = roc(scores, member, {"g": group}, clusters=example, **options)
        found.append(gap.attack()["gaps"]["g"]["auc_gap"]["p"])
    assert kstest(found, "uniform").pvalue > 0.01


def test_a_cluster_of_several_groups_has_no_p_value() -> None:
    clusters = np.arange(400) // 4
    group = np.arange(400) % 2
    member = (np.arange(400) // 2) % 2 == 0
    gap = roc(RNG.normal(size=400), member, {"g": group}, clusters=clusters, permutations=99)
    one = gap.attack()["gaps"]["g"]["auc_gap"]
    assert one["value"] is not None
    assert one["p"] is None
    assert "rows of one cluster are of several groups" in one["p_reason"]


def test_units_are_clusters_of_as_many_members() -> None:
    clusters = np.array([5, 5, 7, 7, 9, 9])
    member = np.array([1, 0, 0, 1, 1, 1], dtype=bool)
    units = units_of(member, clusters)
    assert units.strata[0] == units.strata[1] != units.strata[2]
    column = group_column(list("aabbcc"))
    codes = unit_codes(column, units)
    assert codes is not None
    assert codes.tolist() == [0, 1, 2]


def test_an_auc_gap_is_that_of_scikit_learn() -> None:
    group = RNG.choice(["a", "b"], 300)
    member = RNG.random(300) < 0.5
    scores = RNG.normal(size=300)
    aucs = [roc_auc_score(member[group == g], scores[group == g]) for g in "ab"]
    gap = roc(scores, member, {"g": group}, permutations=0).attack()["gaps"]["g"]["auc_gap"]
    assert gap["value"] == pytest.approx(abs(aucs[0] - aucs[1]))
    assert gap["p"] is None
    assert gap["p_reason"] == "no permutations were asked for"


def test_examples_without_a_group_value_are_shown_and_not_compared() -> None:
    rng = np.random.default_rng(0)
    member = np.arange(600) % 2 == 0
    scores = rng.normal(size=600) + member
    groups = rng.choice(np.array(["a", "b", None], dtype=object), 600)
    known = np.array([name is not None for name in groups])
    # They are told apart far better than the others.
    scores[~known] += 5 * member[~known]
    whole = roc(scores, member, {"g": groups}, permutations=199).to_dict()
    part = roc(scores[known], member[known], {"g": groups[known]}, permutations=199).to_dict()
    one, other = (found["attacks"]["attack"] for found in (whole, part))
    assert one["gaps"]["g"]["auc_gap"] == other["gaps"]["g"]["auc_gap"]
    assert one["by_group"]["g"]["(missing)"]["n"] == (~known).sum()
    assert [row["group"] for row in one["resistance"]["g"]["groups"]] == ["a", "b"]
    assert [text for text in whole["warnings"] if f"{(~known).sum()} of 600 rows" in text]
    paired = compare_attacks(scores, rng.normal(size=600), member, {"g": groups}).to_dict()
    assert list(paired["by_group"]["g"]) == ["a", "b"]
    first = paired["disparities"]["g"]["auc_gap"]["first"]
    assert first == pytest.approx(other["gaps"]["g"]["auc_gap"]["value"])

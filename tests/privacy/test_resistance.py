"""Resistance against size: turned round rightly, and its rank correlation that of scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from fairlora.privacy import roc


def groups_of(sizes: list[int]) -> np.ndarray:
    return np.repeat([f"g{k}" for k in range(len(sizes))], sizes)


@pytest.mark.parametrize("count", [4, 6, 9])
def test_it_is_one_less_the_auc_and_ranked_against_size(count: int) -> None:
    rng = np.random.default_rng(count)
    sizes = [100 + 40 * k for k in range(count)]
    group = groups_of(sizes)
    member = np.arange(len(group)) % 2 == 0
    scores = (
        rng.normal(size=len(group))
        + member * rng.uniform(0, 2, count)[np.unique(group, return_inverse=True)[1]]
    )
    found = roc(scores, member, {"g": group}, permutations=0).attack()
    rows = found["resistance"]["g"]["groups"]
    for row in rows:
        auc = found["by_group"]["g"][row["group"]]["auc"]
        assert row["auc"]["value"] == pytest.approx(1 - auc["value"])
        assert row["auc"]["low"] == pytest.approx(1 - auc["high"])
        assert row["auc"]["low"] <= row["auc"]["value"] <= row["auc"]["high"]
        assert row["tpr"]["low"] <= row["tpr"]["value"] <= row["tpr"]["high"]
    rank = found["resistance"]["g"]["rank_correlation"]
    expected = spearmanr([row["n"] for row in rows], [row["auc"]["value"] for row in rows])
    assert rank["value"] == pytest.approx(expected.statistic)
    assert rank["groups"] == count
    assert 0 < rank["p"] <= 1
    if count == 9:
        assert rank["p"] == pytest.approx(expected.pvalue, abs=0.05)


def test_a_groups_size_is_of_examples_and_not_of_targets() -> None:
    group = groups_of([40, 60, 80, 100])
    example = np.arange(len(group)) // 4  # four target models each
    member = np.arange(len(group)) % 2 == 0
    scores = np.random.default_rng(0).normal(size=len(group))
    found = roc(scores, member, {"g": group}, clusters=example, permutations=0).attack()
    rows = found["resistance"]["g"]["groups"]
    assert [row["n"] for row in rows] == [40, 60, 80, 100]
    assert [row["examples"] for row in rows] == [10, 15, 20, 25]


def test_few_groups_have_no_rank_correlation() -> None:
    group = groups_of([100, 200, 300])
    member = np.arange(600) % 2 == 0
    found = roc(np.random.default_rng(0).normal(size=600), member, {"g": group}, permutations=0)
    rank = found.attack()["resistance"]["g"]["rank_correlation"]
    assert rank["value"] is None
    assert rank["reason"] == "fewer than 4 groups"


def test_the_fpr_is_the_smallest_that_all_large_groups_resolve() -> None:
    rng = np.random.default_rng(0)
    for sizes, expected in (([3000, 2400], 0.01), ([3000, 400], 0.1), ([30, 30], 0.1)):
        group = groups_of(sizes)
        member = np.arange(len(group)) % 2 == 0
        found = roc(rng.normal(size=len(group)), member, {"g": group}, permutations=0)
        assert found.attack()["resistance"]["g"]["fpr"] == expected

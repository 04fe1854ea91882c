"""The test of whether members and non-members differ without the model, and what a page says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from fairlora.errors import InputError
from fairlora.privacy import roc
from fairlora.privacy.content import Shift
from fairlora.privacy.page import lead, privacy_page
from fairlora.privacy.shift import source_shift


def test_p_values_are_uniform_where_both_sides_are_alike() -> None:
    rng = np.random.default_rng(0)
    p = [
        source_shift(
            rng.normal(size=(60, 4)), rng.permutation(60) < 30, "x", permutations=99, seed=k
        ).p
        for k in range(200)
    ]
    assert kstest(p, "uniform").pvalue > 0.01


def test_rows_of_one_cluster_are_permuted_together() -> None:
    rng = np.random.default_rng(1)
    found: dict[bool, list[float]] = {True: [], False: []}
    cluster = np.repeat(np.arange(16), 8)
    for seed in range(60):
        x = rng.normal(size=(16, 2))[cluster] + 0.1 * rng.normal(size=(128, 2))
        member = (rng.permutation(16) < 8)[cluster]
        for known, values in found.items():
            one = source_shift(
                x, member, "x", clusters=cluster if known else None, permutations=99, seed=seed
            )
            assert one.p is not None
            values.append(one.p)
    assert np.mean(np.array(found[True]) <= 0.05) < 0.12
    assert np.mean(np.array(found[False]) <= 0.05) > 0.3


@pytest.mark.parametrize("kind", ["mean", "spread"])
def test_sides_of_another_mean_or_spread_are_told_apart(kind: str) -> None:
    rng = np.random.default_rng(2)
    member = np.arange(400) % 2 == 0
    x = rng.normal(size=(400, 3))
    x[member, 1] = x[member, 1] + 0.8 if kind == "mean" else 2.5 * x[member, 1]
    found = source_shift(x, member, "x", permutations=200)
    assert found.p is not None
    assert found.auc is not None
    assert found.p < 0.01
    assert found.auc > 0.6


def test_few_rows_and_broken_numbers() -> None:
    few = source_shift(np.zeros((12, 1)), np.arange(12) < 3, "x")
    assert (few.p, few.reason) == (None, "fewer than 10 rows of a side")
    with pytest.raises(InputError, match="finite"):
        source_shift(np.full((30, 1), np.nan), np.arange(30) < 15, "x")


def test_constant_features_tell_nothing() -> None:
    assert source_shift(np.zeros((40, 2)), np.arange(40) < 20, "x", permutations=99).p == 1


def test_a_page_says_first_that_the_sides_differ() -> None:
    rng = np.random.default_rng(0)
    member = np.arange(200) % 2 == 0
    result = roc({"A": rng.normal(size=200) + member}, member, permutations=0)
    assert "shift" not in result.to_dict()
    assert result.with_shift(None) is result
    differ = result.with_shift(Shift(read="its base", auc=0.8, p=0.002))
    words = "not membership alone"
    assert lead(differ.content).startswith("Members and non-members can be told apart without")
    assert words in lead(differ.content)
    assert any(words in line for line in privacy_page(differ.content, "x")["limits"])
    alike = result.with_shift(Shift(read="its base", auc=0.51, p=0.4))
    assert "without" not in lead(alike.content)
    assert any("not shown to differ" in line for line in privacy_page(alike.content, "x")["notes"])
    assert differ.to_dict()["shift"] == {"read": "its base", "auc": 0.8, "p": 0.002}

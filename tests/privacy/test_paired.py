"""Two models' attacks on the same rows: values, errors, verdicts."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest
from sklearn.metrics import roc_auc_score

from fairlora.errors import InputError
from fairlora.metrics.curves.roc_scores import ordered
from fairlora.predictions import group_column
from fairlora.privacy import compare_attacks, roc
from fairlora.privacy.paired_draws import reading, values_of

RNG = np.random.default_rng(0)
N = 2400
MEMBER = np.arange(N) % 2 == 0
GROUP = RNG.choice(["a", "b"], N)
SHARED = RNG.normal(size=N)
FULL = SHARED + 0.5 * RNG.normal(size=N) + 1.5 * MEMBER
LORA = SHARED + 0.5 * RNG.normal(size=N) + 0.8 * MEMBER


def test_values_are_those_of_each_model() -> None:
    found = compare_attacks(LORA, FULL, MEMBER, {"g": GROUP}, names=("LoRA", "full")).to_dict()
    alone = [roc(s, MEMBER, {"g": GROUP}, permutations=0) for s in (LORA, FULL)]
    for name, one in zip(("first", "second"), alone, strict=True):
        assert found["overall"]["auc"][name] == pytest.approx(one.overall()["auc"]["value"])
        assert found["overall"]["tpr@0.01"][name] == pytest.approx(
            one.overall()["tpr_at_fpr"]["0.01"]["value"]
        )
        gaps = one.attack()["gaps"]["g"]
        for gap in ("auc_gap", "tpr_gap@0.1"):
            assert found["disparities"]["g"][gap][name] == pytest.approx(gaps[gap]["value"])
        for group in "ab":
            row = found["by_group"]["g"][group]
            by_group = one.attack()["by_group"]["g"][group]
            assert row["auc"][name] == pytest.approx(by_group["auc"]["value"])
            assert row["tpr@0.1"][name] == pytest.approx(by_group["tpr_at_fpr"]["0.1"]["value"])
    assert found["overall"]["auc"]["verdict"] == "better"
    assert found["curves"].keys() == {"LoRA", "full"}
    json.loads(json.dumps(found, allow_nan=False))


def test_the_same_scores_are_equivalent() -> None:
    found = compare_attacks(LORA, LORA, MEMBER, {"g": GROUP}).to_dict()
    assert found["overall"]["auc"]["value"] == 0
    assert found["overall"]["auc"]["verdict"] == "equivalent"
    assert found["overall"]["auc"]["p"] == 1


def test_swapping_the_two_turns_the_sign_and_the_verdict() -> None:
    one = compare_attacks(LORA, FULL, MEMBER).to_dict()["overall"]
    other = compare_attacks(FULL, LORA, MEMBER).to_dict()["overall"]
    for name, row in one.items():
        if row["value"] is None:
            continue
        assert other[name]["value"] == pytest.approx(-row["value"])
    assert other["auc"]["verdict"] == "worse"


def test_the_auc_error_is_the_paired_spread_over_simulations() -> None:
    rng = np.random.default_rng(1)
    values, errors = [], []
    for k in range(100):
        member = np.arange(300) % 2 == 0
        shared = rng.normal(size=300) + member
        pair = [shared + 0.7 * rng.normal(size=300) for _ in range(2)]
        found = compare_attacks(*pair, member, bootstrap=200, seed=k, fprs=(0.1,)).to_dict()
        row = found["overall"]["auc"]
        values.append(row["value"])
        errors.append((row["high"] - row["low"]) / (2 * 1.959964))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.18)


def test_p_values_are_uniform_where_the_two_leak_alike() -> None:
    rng = np.random.default_rng(2)
    found: dict[str, list[float]] = {"auc": [], "tpr@0.1": []}
    for k in range(150):
        member = np.arange(400) % 2 == 0
        shared = rng.normal(size=400) + member
        pair = [shared + 0.7 * rng.normal(size=400) for _ in range(2)]
        rows = compare_attacks(*pair, member, bootstrap=200, seed=k, fprs=(0.1,)).to_dict()
        for name in found:
            found[name].append(rows["overall"][name]["p"])
    assert kstest(found["auc"], "uniform").pvalue > 0.01
    for name, values in found.items():
        assert np.mean(np.array(values) < 0.05) < 0.1, name


def test_an_fpr_that_is_not_resolved_is_undefined_and_says_what_it_takes() -> None:
    row = compare_attacks(LORA, FULL, MEMBER).to_dict()["overall"]["tpr@0.001"]
    assert row["verdict"] == "undefined"
    assert row["reason"] == "1,200 non-members are too few: it takes 10,000"


def test_the_margin_of_a_low_fpr_is_the_fpr() -> None:
    rows = compare_attacks(LORA, FULL, MEMBER, margin=0.05).to_dict()["overall"]
    assert rows["auc"]["margin"] == 0.05
    assert rows["tpr@0.1"]["margin"] == 0.05
    assert rows["tpr@0.01"]["margin"] == 0.01


@pytest.mark.parametrize("tied", [False, True])
def test_weighted_numbers_are_those_of_repeated_rows(tied: bool) -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        n = 60
        scores = rng.integers(0, 6, n).astype(float) if tied else rng.normal(size=n)
        member, group = rng.random(n) < 0.5, rng.choice(list("ab"), n)
        weights = rng.integers(0, 4, n)
        column = group_column(group)
        found = values_of(reading(ordered(scores, member), column), weights, np.array([0.2]))
        for g, name in enumerate(column.names):
            rows = np.repeat(np.flatnonzero(group == name), weights[group == name])
            y, s = member[rows], scores[rows]
            assert found.auc[g] == pytest.approx(roc_auc_score(y, s))
            low = np.sort(s[~y])[::-1]
            at = low[int(np.floor(0.2 * len(low) + 1e-9))]
            assert found.tpr[g, 0] == pytest.approx((s[y] > at).mean())


def test_clusters_widen_the_intervals() -> None:
    rng = np.random.default_rng(7)
    example = np.repeat(np.arange(200), 6)
    member = np.tile([True] * 3 + [False] * 3, 200)
    pair = [rng.normal(size=1200) + member * (1 + rng.normal(size=200)[example]) for _ in range(2)]
    wide, narrow = (
        compare_attacks(*pair, member, clusters=clusters, fprs=(0.1,)).to_dict()["overall"]["auc"]
        for clusters in (example, None)
    )
    assert wide["value"] == pytest.approx(narrow["value"])
    assert wide["high"] - wide["low"] > 1.2 * (narrow["high"] - narrow["low"])


def test_equal_scores_of_one_model_are_undefined() -> None:
    found = compare_attacks(np.zeros(N), FULL, MEMBER, {"g": GROUP}).to_dict()
    assert found["overall"]["auc"]["verdict"] == "undefined"
    assert "of one of the two" in found["overall"]["auc"]["reason"]
    assert found["disparities"]["g"]["auc_gap"]["verdict"] == "undefined"
    assert found["curves"]["first"] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"second": np.zeros(3)}, "second: another length"),
        ({"margin": 0.0}, "margin: no margin"),
        ({"second": np.full(N, np.nan)}, "row 1: not a finite number"),
        ({"member": np.ones(N)}, "member: no non-members"),
        ({"ids": np.zeros(N)}, "ids: a member among the non-members"),
    ],
)
def test_bad_input_is_one_clear_line(options: dict[str, Any], words: str) -> None:
    given = {"first": LORA, "second": FULL, "member": MEMBER, **options}
    with pytest.raises(InputError, match=words):
        compare_attacks(**given)


def test_draws_in_which_a_group_has_no_side_leave_no_interval_and_say_so() -> None:
    """A small group in few clusters: a draw of the clusters may miss its members altogether."""
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(40), 2)
    member = np.tile([True, False], 40)
    group = np.where(cluster < 2, "rare", "common")
    first, second = rng.normal(size=80) + member, rng.normal(size=80) + member
    found = compare_attacks(
        first,
        second,
        member,
        {"g": group},
        clusters=cluster,
        min_group=1,
        fprs=(0.5,),
        bootstrap=200,
    )
    gap = found.to_dict()["disparities"]["g"]["auc_gap"]
    assert gap["verdict"] == "undefined"
    assert "of 200 draws" in gap["reason"]
    json.loads(found.to_json())


def test_small_groups_get_no_verdict() -> None:
    """The normal approximation is not for a handful of rows, as in the tables of one model."""
    group = np.where(np.arange(N) < 12, "rare", "common")
    found = compare_attacks(LORA, FULL, MEMBER, {"g": group}).to_dict()
    rare = found["by_group"]["g"]["rare"]["auc"]
    assert (rare["verdict"], rare["p"]) == ("undefined", None)
    assert rare["reason"] == "fewer than 10 members or non-members"
    assert found["by_group"]["g"]["common"]["auc"]["verdict"] != "undefined"
    # Over all rows there is no group to be small.
    few = compare_attacks(LORA[:12], FULL[:12], MEMBER[:12]).to_dict()["overall"]["auc"]
    assert few["p"] is not None


def test_two_models_without_fault_on_few_rows_are_not_shown_to_be_equivalent() -> None:
    """Both tell all members: the variance is 0, and knows nothing of other rows."""
    member = np.arange(40) % 2 == 0
    scores = np.where(member, 10.0, 0.0) + np.arange(40) / 100
    group = np.where(np.arange(40) < 20, "a", "b")
    found = compare_attacks(scores, scores + 1, member, {"g": group}, fprs=(0.1,)).to_dict()
    assert found["overall"]["auc"]["verdict"] == "inconclusive"
    assert found["disparities"]["g"]["auc_gap"]["verdict"] == "inconclusive"

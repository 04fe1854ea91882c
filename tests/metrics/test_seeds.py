"""Two ways over seeds: one seed is a paired comparison, several add what they should."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fairlora.errors import InputError
from fairlora.metrics.comparison.paired import (
    compare_over_seeds,
    compare_predictions,
    known_metrics,
)
from fairlora.metrics.inputs import predictions_of
from fairlora.metrics.settings import Settings
from fairlora.predictions import Predictions

BINARY = Settings(positive="1", bootstrap=400)


def binary(**changed: Any) -> Settings:
    return BINARY.model_copy(update=changed)


OPPOSITE = {"better": "worse", "worse": "better"}
DISPARITIES = {
    "accuracy_worst",
    "accuracy_gap",
    "dpd",
    "eod",
    "eopp_max",
    "f1_min",
    "recall_min",
    "f1_gap",
    "loss_variance",
}
OVERALL = {
    "accuracy",
    "f1",
    "recall",
    "f1_min",
    "recall_min",
    "f1_gap",
    "mean_loss",
    "brier",
    "ece",
}
GROUP = {"accuracy", "tpr", "fpr", "mean_loss"}
Runs = dict[int, Predictions]


def runs(
    n: int = 400,
    seeds: int = 3,
    first: Any = 0.85,
    second: Any = 0.85,
    *,
    seed: int = 0,
    vary: float = 0.02,
    share: float = 0.5,
    classes: int = 2,
    probs: bool = True,
    groups: Any = None,
    clusters: Any = None,
) -> tuple[Runs, Runs]:
    """Two ways with these accuracies (of group a and of group b): `share` of a row's luck is all
    runs', and every run's accuracy is off by a number with the deviation `vary`."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    given = {"g": rng.choice(["a", "b"], n)} if groups is None else groups
    in_b = np.array([g == "b" for g in given["g"]]) if "g" in given else np.zeros(n, dtype=bool)
    hard = rng.random(n)
    names = [str(c) for c in range(classes)]
    out: tuple[Runs, Runs] = ({}, {})
    for k in range(seeds):
        for way, rate in zip(out, (first, second), strict=True):
            rates = np.where(in_b, *((rate, rate) if np.isscalar(rate) else rate[::-1]))
            luck = np.where(rng.random(n) < share, hard, rng.random(n))
            right = luck < rates + rng.normal(0, vary)
            wrong = (labels + rng.integers(1, classes, n)) % classes
            predicted = np.where(right, labels, wrong)
            scores = rng.dirichlet(np.ones(classes), n) * 0.4
            scores[np.arange(n), predicted] += 0.6
            table = predictions_of(
                labels,
                predicted,
                given,
                scores if probs else None,
                classes=names,
                clusters=clusters,
            )
            way[k] = table
    return out


def places(content: Mapping[str, Any]) -> dict[tuple[str, ...], dict[str, Any]]:
    out = {("overall", name): row for name, row in content["overall"].items()}
    for attribute, rows in content["disparities"].items():
        out |= {("disparities", attribute, name): row for name, row in rows.items()}
    for attribute, groups in content["by_group"].items():
        for group, rows in groups.items():
            out |= {("by_group", attribute, group, name): row for name, row in rows.items()}
    return out


def same_within_noise(
    one: Mapping[str, Any], other: Mapping[str, Any], *, sign: int = 1, by: float = 0.15
) -> None:
    """The same values, and intervals as wide but for bootstrap noise."""
    theirs = places(other)
    for place, row in places(one).items():
        it = theirs[place]
        if row["value"] is None:
            assert it["value"] is None
            continue
        assert row["value"] == pytest.approx(sign * it["value"], abs=1e-9), place
        if row["low"] is None:
            assert it["low"] is None
            continue
        low, high = (it["low"], it["high"]) if sign > 0 else (-it["high"], -it["low"])
        room = by * (row["high"] - row["low"]) + 1e-9
        assert row["low"] == pytest.approx(low, abs=room), place
        assert row["high"] == pytest.approx(high, abs=room), place


def test_every_metric_is_there_and_is_a_mean_over_seeds() -> None:
    first, second = runs()
    content = compare_over_seeds(first, second, BINARY, names=("LoRA", "full")).to_dict()
    assert set(content["overall"]) == OVERALL
    assert set(content["disparities"]["g"]) == DISPARITIES
    for rows in content["by_group"]["g"].values():
        assert set(rows) == GROUP
    assert (content["first"], content["second"], content["n"]) == ("LoRA", "full", 400)
    assert content["seeds"] == [0, 1, 2]
    for row in places(content).values():
        assert row["value"] == pytest.approx(row["first"] - row["second"])
        assert row["value"] == pytest.approx(np.mean(row["per_seed"]))
        assert row["sd"] == pytest.approx(np.std(row["per_seed"], ddof=1))
        assert row["low"] <= row["value"] <= row["high"]
        assert row["error"] == pytest.approx(math.hypot(row["error_rows"], row["error_seeds"]))
    json.dumps(content, allow_nan=False)


def test_one_seed_is_a_comparison_of_two_tables() -> None:
    first, second = runs(seeds=1, first=(0.9, 0.85), second=(0.9, 0.7))
    content = compare_over_seeds(first, second, BINARY).to_dict()
    paired = places(compare_predictions(first[0], second[0], BINARY).to_dict())
    for place, row in places(content).items():
        assert {key: row[key] for key in paired[place]} == paired[place], place
        assert (row["sd"], row["error_seeds"], row["allowance"]) == (None, None, 0)
    assert any("one seed" in warning for warning in content["warnings"])


def test_the_same_run_with_several_seeds_is_that_run() -> None:
    first, second = runs(seeds=1, first=0.9, second=0.8)
    options = binary(bootstrap=4000)
    alone = compare_over_seeds(first, second, options).to_dict()
    copies = dict.fromkeys(range(5), first[0]), dict.fromkeys(range(5), second[0])
    content = compare_over_seeds(*copies, options).to_dict()
    mine, theirs = places(content), places(alone)
    for place, row in mine.items():
        assert row["value"] == pytest.approx(theirs[place]["value"])
        assert row["sd"] == pytest.approx(0, abs=1e-12)
        assert row["error_seeds"] == pytest.approx(0, abs=1e-9)
        assert row["error"] == pytest.approx(theirs[place]["error"], rel=0.1), place
    accuracy = "overall", "accuracy"
    assert mine[accuracy]["low"] == pytest.approx(theirs[accuracy]["low"], abs=0.005)


def test_the_accuracys_error_is_that_of_its_formula() -> None:
    n, seeds = 1000, 4
    first, second = runs(n, seeds, 0.9, 0.8)
    row = compare_over_seeds(first, second, binary(bootstrap=6000)).to_dict()["overall"]["accuracy"]

    def hits(way: Runs) -> np.ndarray[Any, Any]:
        return np.stack([t.predictions == t.labels for t in way.values()]).astype(float)

    off = hits(first) - hits(second)  # (S, n)
    each, mean = off.mean(axis=1), off.mean(axis=0)
    own = (off - mean).var(axis=1).mean() * seeds / (seeds - 1) / n
    shared = mean.var() / n - own / seeds + (1 / (n + 2)) ** 2
    of_seeds = max(each.var(ddof=1), own) / seeds
    assert row["per_seed"] == pytest.approx(each)
    assert row["error_rows"] == pytest.approx(math.sqrt(shared), rel=0.05)
    assert row["error_seeds"] == pytest.approx(math.sqrt(of_seeds), rel=0.05)
    t = stats.t.ppf(0.975, seeds - 1)
    inner = max(t**2 * each.var(ddof=1), 1.96**2 * own) / seeds
    half = math.sqrt(1.96**2 * shared + inner)
    assert row["high"] - row["value"] == pytest.approx(half, rel=0.03)


def test_the_loss_has_its_error_without_a_draw() -> None:
    n, seeds = 150, 3
    first, second = runs(n, seeds)
    row = compare_over_seeds(first, second, BINARY).to_dict()["overall"]["mean_loss"]

    def losses(way: Runs) -> np.ndarray[Any, Any]:
        own = [t.probs[np.arange(n), t.labels] for t in way.values() if t.probs is not None]
        return -np.log(np.stack(own).astype(float))

    off = losses(first) - losses(second)
    mean = off.mean(axis=0)
    apart = off - mean - (off.mean(axis=1) - mean.mean())[:, None]
    own = apart.var(axis=1, ddof=1).mean() * seeds / (seeds - 1) / n
    shared = max(mean.var(ddof=1) / n - own / seeds, 0)
    assert row["error_rows"] == pytest.approx(math.sqrt(shared), rel=1e-5, abs=1e-9)
    spread = max(off.mean(axis=1).var(ddof=1), own) / seeds
    assert row["error_seeds"] == pytest.approx(math.sqrt(spread), rel=1e-5)


@settings(derandomize=True, deadline=None, max_examples=4)
@given(seed=st.integers(0, 99), seeds=st.sampled_from([1, 2, 4]), classes=st.sampled_from([2, 3]))
@pytest.mark.parametrize("clusters", [None, np.arange(300) // 3], ids=["rows", "clusters"])
def test_swapping_the_two_flips_signs_and_words(
    clusters: Any, seed: int, seeds: int, classes: int
) -> None:
    ways = (0.9, 0.9), (0.9, 0.6)
    first, second = runs(300, seeds, *ways, seed=seed, classes=classes, clusters=clusters)
    options = Settings(positive="1" if classes == 2 else None, bootstrap=2000)
    there = compare_over_seeds(first, second, options).to_dict()
    back = compare_over_seeds(second, first, options).to_dict()
    same_within_noise(there, back, sign=-1)
    others = places(back)
    for place, row in places(there).items():
        it = others[place]
        assert it["first"] == row["second"]
        assert it["first_sd"] == row["second_sd"]
        if abs(row["p_corrected"] - 0.05) > 0.03 and row["verdict"] != "equivalent":
            assert it["verdict"] == OPPOSITE.get(row["verdict"], row["verdict"]), place


@settings(derandomize=True, deadline=None, max_examples=6)
@given(seed=st.integers(0, 99), seeds=st.sampled_from([1, 3]))
def test_the_order_of_rows_and_seeds_and_their_numbers_say_nothing(seed: int, seeds: int) -> None:
    first, second = runs(300, seeds, 0.9, 0.8, seed=seed)
    options = binary(bootstrap=2000)
    plain = compare_over_seeds(first, second, options).to_dict()
    rng = np.random.default_rng(seed)
    turned = dict(reversed(first.items())), dict(reversed(second.items()))
    assert compare_over_seeds(*turned, options).to_dict() == plain
    # Aligned by id, whatever the order in each table.
    mixed = [{k: t.take(rng.permutation(300)) for k, t in way.items()} for way in (first, second)]
    same_within_noise(compare_over_seeds(*mixed, options).to_dict(), plain)
    numbered = [{7 * k + 3: t for k, t in way.items()} for way in (first, second)]
    content = compare_over_seeds(*numbered, options).to_dict()
    assert content["seeds"] == [3 + 7 * k for k in range(seeds)]
    assert places(content) == places(plain)


def test_seeds_that_one_way_lacks_are_left_out_and_said() -> None:
    first, second = runs(seeds=4)
    del first[3], second[0]
    content = compare_over_seeds(first, second, BINARY, names=("LoRA", "full")).to_dict()
    assert content["seeds"] == [1, 2]
    assert "left out, as only LoRA has them: seeds 0" in content["warnings"]
    assert "left out, as only full has them: seeds 3" in content["warnings"]
    assert any(warning.startswith("two seeds") for warning in content["warnings"])
    del second[1], second[2]
    with pytest.raises(InputError, match="no seed in common .found seeds 0, 1, 2 and 3"):
        compare_over_seeds(first, second, BINARY)


@pytest.mark.parametrize("seeds", [1, 5])
def test_a_planted_difference_is_found(seeds: int) -> None:
    first, second = runs(3000, seeds, (0.9, 0.9), (0.9, 0.6), probs=False)
    content = compare_over_seeds(first, second, BINARY).to_dict()
    assert content["overall"]["accuracy"]["verdict"] == "better"
    gap = content["disparities"]["g"]["accuracy_gap"]
    assert gap["verdict"] == "better"
    assert gap["low"] < -0.3 < gap["high"]
    assert content["by_group"]["g"]["b"]["accuracy"]["verdict"] == "better"
    assert content["by_group"]["g"]["a"]["accuracy"]["verdict"] != "better"


def test_another_way_of_training_is_rarely_found_better() -> None:
    wrong = 0
    for seed in range(40):
        like = runs(200, 3, (0.9, 0.75), (0.9, 0.75), seed=seed, probs=False, vary=0.03)
        said = compare_over_seeds(*like, binary(bootstrap=200)).to_dict()["disparities"]["g"]
        wrong += any(row["verdict"] in ("better", "worse") for row in said.values())
    # At most one in twenty is expected, of the whole family.
    assert wrong <= 4


def test_a_noisier_way_is_not_less_fair_for_it() -> None:
    # The gap of five groups that are alike is chance alone, larger where more rows are wrong: with
    # ten runs that share no luck it is 4 points larger, with an error of 1.
    wrong = without = 0
    for seed in range(20):
        groups = {"g": np.random.default_rng(seed).choice(list("vwxyz"), 500)}
        given: dict[str, Any] = {"seed": seed, "share": 0.0, "vary": 0.0, "probs": False}
        first, second = runs(500, 10, 0.96, 0.85, groups=groups, **given)
        content = compare_over_seeds(first, second, BINARY).to_dict()
        row = content["disparities"]["g"]["accuracy_gap"]
        assert row["allowance"] < 0
        wrong += row["verdict"] == "better"
        # The upper end has the allowance, the lower one has not.
        without += row["value"] + (row["value"] - row["low"]) < 0
    assert wrong <= 2
    assert without >= 5


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_same_predictions_of_many_rows_are_equivalent_and_of_few_not_shown(seeds: int) -> None:
    first, _ = runs(4000, seeds, vary=0.005, probs=False)
    for row in places(compare_over_seeds(first, first, BINARY).to_dict()).values():
        assert (row["value"], row["verdict"], row["p_corrected"]) == (0.0, "equivalent", 1)
    first, _ = runs(30, seeds)
    row = compare_over_seeds(first, first, binary(min_group=5)).to_dict()["disparities"]["g"]
    assert row["accuracy_gap"]["verdict"] == "inconclusive"
    assert row["accuracy_gap"]["low"] < 0 < row["accuracy_gap"]["high"]


@pytest.mark.parametrize("seeds", [1, 3])
def test_rows_that_come_ten_times_count_once_in_their_cluster(seeds: int) -> None:
    first, second = runs(200, seeds, 0.85, 0.75, vary=0.0, share=0.7)

    def tenfold(way: Runs, clusters: Any) -> Runs:
        out = {}
        for k, table in way.items():
            part = table.take(np.repeat(np.arange(200), 10))
            out[k] = replace(part, ids=np.arange(2000), clusters=clusters)
        return out

    options = binary(bootstrap=3000)
    alone = compare_over_seeds(first, second, options).to_dict()
    rows = np.arange(2000, dtype=np.int32) // 10
    naive, clustered = (
        compare_over_seeds(tenfold(first, c), tenfold(second, c), options).to_dict()
        for c in (None, rows)
    )
    gap = "disparities", "g", "accuracy_gap"
    for place in (("overall", "accuracy"), ("overall", "mean_loss"), ("overall", "ece"), gap):
        errors = [places(c)[place]["error"] for c in (alone, naive, clustered)]
        assert errors[1] < 0.75 * errors[0], place
        assert errors[2] == pytest.approx(errors[0], rel=0.1), place


def test_few_seeds_detect_less_than_a_normal_says() -> None:
    first, second = runs(2000, 3, vary=0.03)
    row = compare_over_seeds(first, second, BINARY).to_dict()["overall"]["accuracy"]
    assert row["error_seeds"] > 3 * row["error_rows"]
    # A normal would say 2.8 errors.
    assert row["detectable"] > 4.5 * row["error"]


def test_a_group_that_overlaps_and_combinations_are_compared() -> None:
    rng = np.random.default_rng(1)
    lists = [
        list(rng.choice(["x", "y", "z"], rng.integers(0, 3), replace=False)) for _ in range(300)
    ]
    groups = {"g": rng.choice(["a", "b"], 300), "target": lists, "s": rng.choice(["f", "m"], 300)}
    first, second = runs(300, 2, 0.9, 0.8, groups=groups)
    content = compare_over_seeds(first, second, binary(intersect=(("g", "s"),))).to_dict()
    assert set(content["disparities"]) == {"g", "target", "s", "g&s"}
    assert set(content["by_group"]["target"]) == {"x", "y", "z"}
    assert set(content["by_group"]["g&s"]) == {"a & f", "a & m", "b & f", "b & m"}
    in_x = np.array(["x" in names for names in lists])
    each = [
        (one.predictions == one.labels)[in_x].mean() - (two.predictions == two.labels)[in_x].mean()
        for one, two in zip(first.values(), second.values(), strict=True)
    ]
    assert content["by_group"]["target"]["x"]["accuracy"]["per_seed"] == pytest.approx(each)
    for row in content["disparities"]["target"].values():
        assert row["low"] <= row["value"] <= row["high"]


def test_what_is_undefined_is_null_with_a_reason() -> None:
    first, second = runs(60, 3, groups={"g": ["a"] * 55 + ["b"] * 5})
    content = compare_over_seeds(first, second, BINARY).to_dict()
    row = content["disparities"]["g"]["accuracy_gap"]
    assert (row["value"], row["low"], row["error"], row["verdict"]) == (None,) * 3 + ("undefined",)
    assert row["reason"] == "undefined for one of the two in 3 of 3 seeds: too few rows"
    assert row["per_seed"] == [None] * 3
    assert content["disparities"]["g"]["accuracy_worst"]["value"] is not None
    assert "g: fewer than 10 rows, so left out of maxima and spreads: b" in content["warnings"]
    # Group b has no row of the positive class, whatever a seed's model predicts there.
    labels, groups = np.array([0, 1] * 20 + [0] * 20), {"g": ["a"] * 40 + ["b"] * 20}
    some = np.r_[labels[:40], [1] * 20]
    one = {k: predictions_of(labels, h, groups) for k, h in enumerate((labels, some))}
    two = {k: predictions_of(labels, some, groups) for k in range(2)}
    row = compare_over_seeds(one, two, BINARY).to_dict()["disparities"]["g"]["f1_gap"]
    assert row["reason"] == "undefined for one of the two in 2 of 2 seeds: too few rows"
    assert row["per_seed"] == [None, None]
    assert row["first_sd"] is None
    json.dumps(content, allow_nan=False)


def test_margins_are_by_metric() -> None:
    first, second = runs(4000, 3, 0.82, 0.80, vary=0.001, share=1.0)
    wide = compare_over_seeds(
        first, second, BINARY, margins={"accuracy": 0.1, "mean_loss": 0.5}
    ).to_dict()
    assert wide["overall"]["accuracy"]["verdict"] == "equivalent"
    assert wide["overall"]["mean_loss"]["verdict"] == "equivalent"
    assert wide["by_group"]["g"]["a"]["accuracy"]["margin"] == 0.1
    assert wide["disparities"]["g"]["dpd"]["margin"] == 0.02
    plain = compare_over_seeds(first, second, BINARY).to_dict()
    assert plain["overall"]["accuracy"]["verdict"] != "equivalent"
    for name, margin in (("mean_loss", None), ("brier", None), ("ece", 0.02)):
        assert plain["overall"][name]["margin"] == margin
    assert wide["settings"]["margins"] == {"accuracy": 0.1, "mean_loss": 0.5}


@pytest.mark.parametrize(
    ("margins", "message"),
    [
        ({"acuracy": 0.1}, "margins: no such metric .found acuracy; expected accuracy, f1, "),
        ({"dpd": 0.0}, "margins, dpd: no margin .found 0.0; expected above 0"),
        ({"dpd": 1.0}, "margins, dpd: no margin of rates .found 1.0; expected above 0, below 1"),
        ({"brier": float("nan")}, "margins, brier: no margin"),
        ({"dpd": "2"}, "margins, dpd: no margin .found 2"),
    ],
)
def test_margins_that_are_none_are_refused(margins: Any, message: str) -> None:
    first, second = runs(50, 1)
    with pytest.raises(InputError, match=message):
        compare_over_seeds(first, second, BINARY, margins=margins)
    assert set(known_metrics()) == DISPARITIES | OVERALL | GROUP


def test_test_rows_that_vary_with_the_seed_are_nadeau_and_bengios() -> None:
    pairs = [runs(200 + 10 * k, 1, 0.9, 0.8, seed=k) for k in range(4)]
    first, second = ({k: pair[way][0] for k, pair in enumerate(pairs)} for way in (0, 1))
    content = compare_over_seeds(first, second, BINARY, ratio=0.25).to_dict()
    assert (content["n"], content["settings"]["ratio"]) == (200, 0.25)
    assert "the seeds have 200 to 230 test rows" in content["warnings"]
    for place, row in places(content).items():
        each = np.array(row["per_seed"])
        exact = place[-1] in ("mean_loss", "brier", "ece", "loss_variance")
        error = math.sqrt((1 / 4 + 0.25) * each.var(ddof=1))
        assert row["error_seeds"] == pytest.approx(error)
        if exact:
            half = stats.t.ppf(0.975, 3) * error
            assert row["high"] - row["value"] == pytest.approx(half)
            p = 2 * stats.t.sf(abs(each.mean()) / error, 3)
            assert row["p"] == pytest.approx(p, rel=1e-6)
    with pytest.raises(InputError, match="seed 1 of first: not the same rows"):
        compare_over_seeds(first, second, BINARY)


def test_a_group_counts_if_it_has_rows_enough_with_every_seed() -> None:
    first: Runs = {}
    second: Runs = {}
    for k, size in enumerate((30, 8)):
        groups = {"g": ["a"] * 50 + ["b"] * 40 + ["c"] * size}
        one, two = runs(90 + size, 1, 0.9, 0.8, seed=k, groups=groups)
        first[k], second[k] = one[0], two[0]
    content = compare_over_seeds(first, second, BINARY, ratio=0.3).to_dict()
    assert "g: fewer than 10 rows, so left out of maxima and spreads: c" in content["warnings"]
    rows = [(t.predictions == t.labels)[:90] for t in first.values()]
    worst = np.mean([min(hits[:50].mean(), hits[50:].mean()) for hits in rows])
    assert content["disparities"]["g"]["accuracy_worst"]["first"] == pytest.approx(worst)


def test_a_group_that_one_split_lacks_is_undefined_there() -> None:
    first: Runs = {}
    second: Runs = {}
    for k, last in enumerate("ab"):
        one, two = runs(60, 1, 0.9, 0.8, seed=k, groups={"g": ["a"] * 40 + [last] * 20})
        first[k], second[k] = one[0], two[0]
    content = compare_over_seeds(first, second, BINARY, ratio=0.3).to_dict()
    row = content["by_group"]["g"]["b"]["accuracy"]
    assert row["reason"] == "undefined for one of the two in 1 of 2 seeds: too few rows"
    assert content["by_group"]["g"]["a"]["accuracy"]["verdict"] != "undefined"


def test_one_seed_of_rows_that_vary_says_nothing() -> None:
    first, second = runs(100, 1)
    content = compare_over_seeds(first, second, BINARY, ratio=0.3).to_dict()
    for row in places(content).values():
        assert row["verdict"] == "undefined"
        assert row["value"] is not None
    assert any("nothing to judge by" in warning for warning in content["warnings"])
    with pytest.raises(InputError, match="ratio: no ratio of rows .found 0"):
        compare_over_seeds(first, second, BINARY, ratio=0)


def test_without_probabilities_or_losses_there_are_the_rates() -> None:
    first, second = runs(probs=False)
    content = compare_over_seeds(first, second, BINARY).to_dict()
    assert set(content["overall"]) == OVERALL - {"mean_loss", "brier", "ece"}
    assert set(content["disparities"]["g"]) == DISPARITIES - {"loss_variance"}
    content = compare_over_seeds(first, runs(probs=True)[1], BINARY).to_dict()
    assert "ece" not in content["overall"]


def test_zero_draws_still_give_intervals_and_the_seed_decides() -> None:
    first, second = runs()
    row = compare_over_seeds(first, second, binary(bootstrap=0)).to_dict()["overall"]["accuracy"]
    assert row["low"] < row["value"] < row["high"]
    one, again, other = (
        compare_over_seeds(first, second, binary(seed=s)).to_dict() for s in (1, 1, 2)
    )
    assert one == again
    gap = "disparities", "g", "accuracy_gap"
    assert places(one)[gap]["low"] != places(other)[gap]["low"]


def test_the_level_is_of_the_intervals() -> None:
    first, second = runs(1000, 4)
    wide, narrow = (
        compare_over_seeds(first, second, binary(level=level)).to_dict() for level in (0.99, 0.8)
    )
    for place, row in places(wide).items():
        it = places(narrow)[place]
        assert row["high"] - row["low"] > it["high"] - it["low"]
        assert row["p"] == it["p"]
        assert row["verdict"] == it["verdict"]

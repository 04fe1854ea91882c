"""Scores by group without labels: rates as accuracy has them, means as a t test has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import fairlora
from fairlora.errors import InputError
from fairlora.metrics.comparison.scores import compare_scores
from fairlora.predictions import group_column
from fairlora.predictions.scores import score_table

N = 600
rng = np.random.default_rng(0)
RACE = rng.choice(["a", "b", "c"], N)
PERSON = rng.integers(0, 150, N)
HITS = (rng.random(N) < np.where(RACE == "a", 0.8, 0.6)).astype(float)
REAL = HITS * 2 + rng.normal(size=N)


def content(scores: Any, groups: Any, **options: Any) -> dict[str, Any]:
    return fairlora.audit_scores(scores, groups, **options).to_dict()


@pytest.mark.parametrize("clusters", [None, PERSON])
def test_rates_are_those_of_an_audit_whose_label_is_always_one(clusters: Any) -> None:
    """One engine: a hit is a prediction that is right."""
    score = content(HITS, {"race": RACE}, clusters=clusters)
    whole = fairlora.audit(
        np.ones(N, dtype=int), HITS.astype(int), {"race": RACE}, clusters=clusters
    ).to_dict()
    assert score["overall"]["score"] == whole["overall"]["accuracy"]
    for group, row in score["by_group"]["race"].items():
        other = whole["by_group"]["race"][group]
        assert row["score"] == other["accuracy"]
        assert row["score_difference"] == other["accuracy_difference"]
    gap, other = score["disparities"]["race"]["score_gap"], whole["disparities"]["race"]
    for end in ("value", "low", "high", "expected_by_chance"):
        assert gap[end] == pytest.approx(other["accuracy_gap"][end], abs=0.005)
    accuracy = [pair for pair in whole["pairwise"]["race"] if pair["metric"] == "accuracy"]
    for pair, same in zip(score["pairwise"]["race"], accuracy, strict=True):
        assert (pair["group"], pair["other"]) == (same["group"], same["other"])
        for end in ("value", "low", "high"):  # the critical value is drawn anew
            assert pair[end] == pytest.approx(same[end], abs=0.005)


def test_means_and_differences_are_the_hand_made_ones() -> None:
    found = content([1, 2, 3, 10, 20, 30], {"g": list("aaabbb")}, min_group=1)
    assert found["score"] == "mean"
    assert found["overall"]["score"]["value"] == 11
    groups = found["by_group"]["g"]
    assert [groups[name]["score"]["value"] for name in "ab"] == [2, 20]
    assert [groups[name]["score_difference"]["value"] for name in "ab"] == [-18, 18]
    gap = found["disparities"]["g"]["score_gap"]
    assert (gap["value"], gap["largest"], gap["smallest"]) == (18, "b", "a")
    assert found["disparities"]["g"]["score_lowest"]["group"] == "a"


def test_intervals_of_means_are_students_where_rows_are_normal() -> None:
    values = np.random.default_rng(1).normal(size=(2, 80))
    values[1] += 0.5
    found = content(values.reshape(-1), {"g": ["a"] * 80 + ["b"] * 80})
    for name, rows in zip("ab", values, strict=True):
        row = found["by_group"]["g"][name]["score"]
        ends = stats.t.interval(0.95, 79, rows.mean(), stats.sem(rows))
        assert (row["low"], row["high"]) == pytest.approx(ends, abs=0.03)
    welch = stats.ttest_ind(values[1], values[0], equal_var=False).confidence_interval()
    difference = found["by_group"]["g"]["b"]["score_difference"]
    assert (difference["low"], difference["high"]) == pytest.approx(tuple(welch), abs=0.03)
    (pair,) = found["pairwise"]["g"]
    assert (-pair["high"], -pair["low"]) == pytest.approx(tuple(welch), abs=0.03)


def test_rows_repeated_within_a_cluster_tell_no_more() -> None:
    values, groups = REAL[:200], RACE[:200]
    once = content(values, {"race": groups}, clusters=np.arange(200))
    thrice = content(
        np.repeat(values, 3), {"race": np.repeat(groups, 3)}, clusters=np.repeat(np.arange(200), 3)
    )
    assert thrice["settings"]["clusters"] == 200
    for name in "abc":
        for key in ("score", "score_difference"):
            one, other = (c["by_group"]["race"][name][key] for c in (once, thrice))
            ends = [other[end] for end in ("value", "low", "high")]
            assert ends == pytest.approx([one[end] for end in ("value", "low", "high")], abs=1e-9)


def test_the_gap_by_chance_is_that_of_groups_that_are_alike() -> None:
    found = [content(REAL, {"race": np.random.default_rng(k).permutation(RACE)}) for k in range(40)]
    gaps = [one["disparities"]["race"]["score_gap"] for one in found]
    mean = np.mean([gap["value"] for gap in gaps])
    assert gaps[0]["expected_by_chance"] == pytest.approx(mean, rel=0.25)
    beyond = [gap["low"] > 0 for gap in gaps]
    assert np.mean(beyond) <= 0.125
    people = content(REAL, {"race": RACE}, clusters=PERSON)
    drawn = people["disparities"]["race"]["score_gap"]["expected_by_chance"]
    assert drawn == pytest.approx(mean, rel=0.3)


def test_rows_that_are_all_alike_do_not_make_a_gap_certain() -> None:
    values = np.concatenate([np.full(10, 3.0), np.random.default_rng(0).normal(2.9, 1, 400)])
    gap = content(values, {"g": ["a"] * 10 + ["b"] * 400})["disparities"]["g"]["score_gap"]
    assert gap["low"] == 0
    assert gap["high"] > gap["value"]


def test_groups_may_overlap_and_cross() -> None:
    lists = [["x", "y"] if k % 3 == 0 else ["x"] if k % 2 else ["y"] for k in range(N)]
    found = content(REAL, {"tag": lists, "race": RACE}, intersect=[("tag", "race")])
    holds = np.array(["x" in names for names in lists])
    assert found["by_group"]["tag"]["x"]["n"] == holds.sum()
    value = found["by_group"]["tag"]["x"]["score"]["value"]
    assert value == pytest.approx(REAL[holds].mean())
    off = found["by_group"]["tag"]["x"]["score_difference"]["value"]
    assert off == pytest.approx(REAL[holds].mean() - REAL[~holds].mean())
    assert "x & a" in found["by_group"]["tag&race"]


def test_rows_without_a_group_or_a_score_are_counted() -> None:
    scores = [1.5, 2.5, float("nan"), 3.5, 4.5, 9.0]
    found = content(scores, {"g": ["a", "a", "a", "b", "b", None]}, min_group=1)
    assert (found["n"], found["left_out"]) == (5, {"without a score": 1})
    assert found["by_group"]["g"]["(missing)"]["missing"] is True
    assert found["by_group"]["g"]["a"]["score_difference"]["value"] == -2
    assert any("no group value" in text for text in found["warnings"])


@pytest.mark.parametrize(
    ("scores", "options", "said"),
    [
        ([1, float("inf")], {}, "not a finite number"),
        (["x", "y"], {}, "not numbers"),
        ([float("nan")] * 2, {}, "no row has a score"),
        ([1, 2], {"positive": "1"}, "not part of an audit of a score"),
        ([1, 2], {"subgroups": 1}, "not part of an audit of a score"),
        ([1, 2], {"curves": True}, "not part of an audit of a score"),
        ([1, 2], {"at": {"threshold": 0.5}}, "not part of an audit of a score"),
        ([[1, 2], [3, 4]], {}, "not one number a row"),
    ],
)
def test_bad_scores_are_one_line(scores: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        content(scores, {"g": ["a", "b"]}, **options)


class TestTwo:
    @staticmethod
    def pair(clusters: Any = None) -> tuple[Any, Any]:
        groups = {"race": group_column(RACE)}
        second = REAL - 0.2 + np.random.default_rng(2).normal(0, 0.5, N)
        return tuple(score_table(v, groups, clusters=clusters) for v in (REAL, second))  # type: ignore[return-value]

    def test_differences_are_a_paired_t_test(self) -> None:
        first, second = self.pair()
        found = compare_scores(first, second, margin=0.01).to_dict()
        test = stats.ttest_rel(first.scores, second.scores)
        row = found["overall"]["score"]
        ends = test.confidence_interval()
        assert (row["low"], row["high"]) == pytest.approx(tuple(ends), rel=0.01)
        assert row["verdict"] == "different"
        for race in "abc":
            rows = race == RACE
            row = found["by_group"]["race"][race]["score"]
            ends = stats.ttest_rel(first.scores[rows], second.scores[rows]).confidence_interval()
            assert (row["low"], row["high"]) == pytest.approx(tuple(ends), rel=0.01)

    def test_the_gap_is_compared_too(self) -> None:
        first, second = self.pair(PERSON)
        found = compare_scores(first, second).to_dict()
        gaps = [
            np.ptp([one.scores[race == RACE].mean() for race in "abc"]) for one in (first, second)
        ]
        row = found["disparities"]["race"]["score_gap"]
        assert row["value"] == pytest.approx(gaps[0] - gaps[1])
        assert row["low"] < row["value"] < row["high"]
        assert found["settings"]["margin"] is None
        assert found["overall"]["score"]["verdict"] != "equivalent"

    def test_a_score_against_itself_differs_in_nothing(self) -> None:
        first, _ = self.pair()
        found = compare_scores(first, first, margin=0.02).to_dict()
        assert found["overall"]["score"]["verdict"] == "equivalent"
        assert found["disparities"]["race"]["score_gap"]["verdict"] == "equivalent"

    def test_other_rows_are_refused(self) -> None:
        first, second = self.pair()
        with pytest.raises(InputError, match="not the same rows"):
            compare_scores(first, second.take(np.arange(10)))


def test_the_page_names_the_largest_gap_and_whether_chance_explains_it() -> None:
    result = fairlora.audit_scores(REAL, {"race": RACE})
    text = result.to_markdown()
    assert "the mean score is lowest for" in text
    assert "Chance does not explain it" in text
    assert "Pairs of race" in text
    assert "ScoreResult(600 rows; race)" in repr(result)
    assert result.by_group["race"].loc["a", "score"] == pytest.approx(REAL[RACE == "a"].mean())
    assert list(result.disparities["metric"]) == ["score_gap", "score_lowest"]

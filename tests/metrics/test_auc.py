"""AUC by group: against scikit-learn, a loop over pairs, and a bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from fairlora.metrics import audit
from fairlora.metrics.counts.auc import (
    NO_AUC,
    auc_estimates,
    auc_number,
    auc_of_histogram,
    auc_of_rows,
    level_count,
    mean_auc,
    score_levels,
)
from fairlora.predictions import group_column

SETTINGS = settings(derandomize=True, deadline=None, max_examples=25)


def one_group(scores: Any, hits: Any) -> Any:
    return auc_of_rows(
        np.asarray(scores, dtype=np.float32),
        np.asarray(hits, dtype=bool),
        group_column(["a"] * len(hits)),
    )


def by_pairs(scores: NDArray[Any], hits: NDArray[np.bool_]) -> tuple[float, float]:
    """AUC and DeLong's variance of it, from every pair of a positive and a negative."""
    wins = (scores[hits][:, None] > scores[~hits][None, :]).astype(float)
    wins += 0.5 * (scores[hits][:, None] == scores[~hits][None, :])
    own, other = wins.mean(axis=1), wins.mean(axis=0)
    m, n = wins.shape
    return float(wins.mean()), float(own.var(ddof=1) / m + other.var(ddof=1) / n)


@SETTINGS
@given(data=st.data())
def test_auc_of_each_group_agrees_with_scikit_learn(
    data: st.DataObject, make_table: Callable[..., Any]
) -> None:
    rows = data.draw(make_table(tied=data.draw(st.booleans())))
    positive = data.draw(st.sampled_from([0, 1]))
    found = audit(
        rows.labels,
        rows.predictions,
        {"g": rows.groups},
        rows.probs,
        classes=["0", "1"],
        positive=str(positive),
        bootstrap=0,
    ).to_dict()["by_group"]["g"]
    for group, mask in rows.members().items():
        hits = rows.labels[mask] == positive
        if hits.all() or not hits.any():
            assert found[group]["auc"]["value"] is None
            assert found[group]["auc"]["reason"] == NO_AUC
            continue
        expected = roc_auc_score(hits, rows.probs[mask, positive])
        assert found[group]["auc"]["value"] == pytest.approx(expected)


@settings(SETTINGS, max_examples=15)
@given(data=st.data())
def test_auc_of_many_classes_is_the_mean_of_each_against_the_rest(
    data: st.DataObject, make_table: Callable[..., Any]
) -> None:
    rows = data.draw(make_table(classes=(3, 5), groups=(1, 4), rows=(30, 120)))
    names = [str(c) for c in range(rows.classes)]
    found = audit(
        rows.labels, rows.predictions, {"g": rows.groups}, rows.probs, classes=names, bootstrap=0
    ).to_dict()["by_group"]["g"]
    for group, mask in rows.members().items():
        y, p = rows.labels[mask], rows.probs[mask].astype(float)
        present = [c for c in range(rows.classes) if 0 < (y == c).sum() < len(y)]
        if not present:
            assert found[group]["auc"]["value"] is None
            continue
        # A class without a row in the group has no AUC, and no part in the mean.
        expected = np.mean([roc_auc_score(y == c, p[:, c]) for c in present])
        assert found[group]["auc"]["value"] == pytest.approx(expected)
        if len(present) == rows.classes:
            whole = roc_auc_score(
                y, p, multi_class="ovr", average="macro", labels=range(len(names))
            )
            assert found[group]["auc"]["value"] == pytest.approx(whole)


@settings(SETTINGS, max_examples=10)
@given(data=st.data())
def test_auc_of_overlapping_groups_is_that_of_each_groups_rows(
    data: st.DataObject, make_table: Callable[..., Any]
) -> None:
    rows = data.draw(make_table(groups=(1,), rows=(30,)))
    n = len(rows.labels)
    one = st.lists(st.sampled_from("abc"), max_size=3)
    lists = data.draw(st.lists(one, min_size=n, max_size=n))
    scores, hits = rows.probs[:, 1], rows.labels == 1
    column = group_column([[], *lists])  # at least one list, or the column would be of words
    column = column.take(np.arange(1, n + 1))
    if not column.names:
        return
    found = auc_of_rows(scores, hits, column)
    for g, name in enumerate(column.names):
        mask = np.array([name in row for row in lists])
        if 0 < hits[mask].sum() < mask.sum():
            assert found.value[g] == pytest.approx(roc_auc_score(hits[mask], scores[mask]))
        else:
            assert np.isnan(found.value[g])


@SETTINGS
@given(
    st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=6, max_size=40).filter(
        lambda rows: 2 <= sum(hit for _, hit in rows) <= len(rows) - 2
    )
)
def test_delongs_variance_agrees_with_all_pairs(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([s for s, _ in rows], dtype=np.float32) / 8
    hits = np.array([hit for _, hit in rows])
    value, variance = by_pairs(scores, hits)
    found = one_group(scores, hits)
    assert found.value[0] == pytest.approx(value)
    assert found.variance[0] == pytest.approx(variance, abs=1e-12)
    assert (found.positives[0], found.negatives[0]) == (hits.sum(), (~hits).sum())


def test_the_interval_of_an_auc_is_close_to_that_of_resampled_rows() -> None:
    random = np.random.default_rng(5)
    hits = random.random(400) < 0.4
    scores = (1 / (1 + np.exp(-random.normal(hits, 1)))).astype(np.float32)
    found = auc_number(one_group(scores, hits), 0, 0.95)
    draws = []
    for _ in range(1000):
        rows = random.integers(0, 400, 400)
        draws.append(one_group(scores[rows], hits[rows]).value[0])
    low, high = np.quantile(draws, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.01)
    assert found.high == pytest.approx(high, abs=0.01)


def test_a_perfect_auc_has_an_interval_as_wide_as_its_smaller_side_is_small() -> None:
    def low(positives: int) -> float:
        scores = [0.9] * positives + [0.1] * 50
        found = auc_number(one_group(scores, [1] * positives + [0] * 50), 0, 0.95)
        assert (found.value, found.high) == (1, 1)
        assert found.low is not None
        return found.low

    assert low(3) < low(10) < low(40) < 0.97


def test_all_scores_alike_are_an_auc_of_one_half() -> None:
    assert one_group([0.5] * 6, [1, 0, 1, 0, 0, 1]).value[0] == 0.5


def test_a_group_with_a_small_side_is_left_out_of_the_maxima() -> None:
    random = np.random.default_rng(2)
    hits, groups = np.array([0, 1] * 40 + [1] * 2 + [0] * 38), ["x"] * 40 + ["y"] * 40 + ["z"] * 40
    scores = random.random(120)
    chosen = (scores > 0.5).astype(int)
    found = audit(hits, chosen, {"g": groups}, scores, positive=1, bootstrap=0).to_dict()
    assert found["by_group"]["g"]["z"]["auc"]["value"] is not None
    summary = found["disparities"]["g"]
    assert {summary["auc_gap"]["best"], summary["auc_gap"]["worst"]} == {"x", "y"}
    assert summary["auc_worst"]["group"] == summary["auc_gap"]["worst"]


def test_a_mean_over_no_class_is_undefined() -> None:
    nothing = one_group([0.2, 0.4], [1, 1])
    found = mean_auc([nothing, nothing])
    assert np.isnan(found.value[0])
    assert auc_number(found, 0, 0.95).reason == NO_AUC
    assert np.isnan(auc_estimates(found, 1).values[0])


def test_a_histogram_of_scores_has_nearly_the_auc_of_the_rows() -> None:
    random = np.random.default_rng(4)
    hits = random.random(3000) < 0.3
    scores = (1 / (1 + np.exp(-4 * random.normal(hits, 1)))).astype(np.float32)
    counts = np.zeros((1, 2, level_count()), dtype=np.int64)
    np.add.at(counts[0], (hits.astype(int), score_levels(scores)), 1)
    exact, found = one_group(scores, hits), auc_of_histogram(counts)
    assert found.value[0] == pytest.approx(exact.value[0], abs=1e-3)
    assert found.variance[0] == pytest.approx(exact.variance[0], rel=1e-2)


def test_levels_never_turn_the_order_of_scores_around() -> None:
    scores = np.sort(np.random.default_rng(1).random(5000).astype(np.float32) ** 4)
    levels = score_levels(np.concatenate([[np.float32(0)], scores, [np.float32(1)]]))
    assert (np.diff(levels) >= 0).all()
    assert (levels[0], levels[-1]) == (0, level_count() - 1)

"""Means over classes: against scikit-learn, numerical derivatives, and resampled rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap
from sklearn.metrics import f1_score, precision_score, recall_score

from fairlora.metrics import audit
from fairlora.metrics.comparison.compare import compare
from fairlora.metrics.counts import macro
from fairlora.metrics.inference.intervals import wilson, z_of

SETTINGS = settings(derandomize=True, deadline=None, max_examples=40)
# Rows of three classes, one of them rare and often missed.
COUNTS = np.array([[90, 8, 2], [12, 45, 3], [6, 8, 16]])


def confusion(labels: Any, predictions: Any, classes: int) -> Any:
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return counts


def mean_of(counts: Any, name: str) -> float:
    return float(macro.mean_over_classes(macro.per_class(macro.sums_of(counts), name)))


def rows_of(counts: Any) -> tuple[Any, Any]:
    """Labels and predictions that have these counts."""
    cells = np.argwhere(counts >= 0)
    return tuple(np.repeat(cells, counts.ravel(), axis=0).T)  # type: ignore[return-value]


@SETTINGS
@given(data=st.data())
def test_rates_of_every_class_and_their_means_agree_with_scikit_learn(
    data: st.DataObject, make_rows: Callable[..., Any]
) -> None:
    labels, predictions, _ = data.draw(make_rows(4))
    counts = confusion(labels, predictions, 4)
    options: dict[str, Any] = {"labels": range(4), "zero_division": np.nan}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # means of nothing: classes that are nowhere
        for name, score in (
            ("f1", f1_score),
            ("tpr", recall_score),
            ("precision", precision_score),
        ):
            each = score(labels, predictions, average=None, **options)
            got = macro.per_class(macro.sums_of(counts), name)
            assert got == pytest.approx(each, nan_ok=True)
            expected = score(labels, predictions, average="macro", **options)
            assert mean_of(counts, name) == pytest.approx(expected)


def test_a_class_neither_present_nor_predicted_is_left_out_of_the_mean() -> None:
    counts = confusion([0, 0, 1], [0, 0, 0], 3)
    f1 = macro.per_class(macro.sums_of(counts), "f1")
    assert f1 == pytest.approx([0.8, 0, np.nan], nan_ok=True)
    assert mean_of(counts, "f1") == pytest.approx(0.4)


@pytest.mark.parametrize("name", macro.NAMES)
def test_means_of_no_rows_are_undefined_with_a_reason(name: str) -> None:
    nothing = np.zeros((3, 3), dtype=np.int64)
    found = macro.macro_numbers(nothing, 100, np.random.default_rng(0), 0.95)[name]
    assert found.value is None
    assert found.reason


@pytest.mark.parametrize("name", macro.NAMES)
def test_the_influence_of_a_cell_is_the_derivative_of_the_mean(name: str) -> None:
    found = macro.influence(COUNTS, name)
    step = 1e-4
    for y in range(3):
        for h in range(3):
            moved = COUNTS.astype(float)
            moved[y, h] += step
            slope = (mean_of(moved, name) - mean_of(COUNTS, name)) / step
            assert found[y, h] == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("name", macro.NAMES)
def test_influence_adds_up_to_nothing_over_all_rows(name: str) -> None:
    assert (COUNTS * macro.influence(COUNTS, name)).sum() == pytest.approx(0, abs=1e-9)


def test_the_interval_of_macro_f1_is_close_to_scipys_bca_of_resampled_rows() -> None:
    labels, predictions = rows_of(COUNTS)

    def f1(y: Any, h: Any) -> float:
        return mean_of(confusion(y, h, 3), "f1")

    found = macro.macro_numbers(COUNTS, 4000, np.random.default_rng(0), 0.95)["f1"]
    expected = bootstrap(
        (labels, predictions),
        f1,
        paired=True,
        vectorized=False,
        n_resamples=2000,
        method="BCa",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert found.value == pytest.approx(f1_score(labels, predictions, average="macro"))
    assert found.low == pytest.approx(expected.low, abs=0.01)
    assert found.high == pytest.approx(expected.high, abs=0.01)


@pytest.mark.parametrize("name", macro.NAMES)
def test_without_draws_the_interval_is_linear_and_nearly_the_same(name: str) -> None:
    drawn = macro.macro_numbers(COUNTS, 4000, np.random.default_rng(0), 0.95)[name]
    linear = macro.macro_numbers(COUNTS, 0, np.random.default_rng(0), 0.95)[name]
    assert None not in (drawn.low, drawn.high, linear.low, linear.high)
    assert linear.value == drawn.value
    width = drawn.high - drawn.low  # type: ignore[operator]
    assert linear.high - linear.low == pytest.approx(width, rel=0.1)  # type: ignore[operator]
    assert linear.low == pytest.approx(drawn.low, abs=0.15 * width)


@pytest.mark.parametrize("name", macro.NAMES)
def test_a_group_that_is_all_right_has_an_interval_and_not_a_point(name: str) -> None:
    counts = np.diag([20, 15, 10])
    found = macro.macro_numbers(counts, 500, np.random.default_rng(0), 0.95)[name]
    assert None not in (found.value, found.low, found.high)
    assert 0.01 < found.high - found.low < 0.3  # type: ignore[operator]
    assert found.low <= found.value <= found.high  # type: ignore[operator]


def test_a_class_of_one_row_has_a_recall_and_no_interval() -> None:
    counts = np.array([[20, 0], [0, 1]])
    found = macro.macro_numbers(counts, 2000, np.random.default_rng(0), 0.95)["tpr"]
    assert (found.value, found.low, found.high) == (1, None, None)
    assert found.reason is not None
    assert "a class of too few rows" in found.reason


def test_the_smoothed_variance_is_the_delta_methods_where_rows_are_many() -> None:
    counts = 100 * COUNTS
    moved = macro.influence(counts, "f1")
    exact = float((counts * moved**2).sum())
    assert macro.smooth_variance(counts[None], "f1")[0] == pytest.approx(exact, rel=0.01)


@SETTINGS
@given(data=st.data())
def test_ends_lie_around_the_value_and_within_0_and_1(
    data: st.DataObject, make_rows: Callable[..., Any]
) -> None:
    labels, predictions, _ = data.draw(make_rows(3))
    counts = confusion(labels, predictions, 3)
    for draws in (0, 200):
        numbers = macro.macro_numbers(counts, draws, np.random.default_rng(0), 0.95)
        for found in numbers.values():
            if found.low is None or found.high is None:
                assert found.reason
                continue
            assert found.value is not None
            assert 0 <= found.low <= found.value <= found.high <= 1


ONE_CLASS = {
    "right": [12, 0, 0],
    "one wrong": [11, 1, 0],
    "wrong alike": [0, 12, 0],
    "mixed": [5, 4, 3],
}


@pytest.mark.parametrize("row", ONE_CLASS.values(), ids=list(ONE_CLASS))
def test_a_group_of_one_class_has_the_intervals_of_its_accuracy(row: list[int]) -> None:
    counts = np.array([row, [0, 0, 0], [0, 0, 0]])
    numbers = macro.macro_numbers(counts, 2000, np.random.default_rng(0), 0.95)
    low, high = wilson(row[0], 12, z_of(0.95))
    found = {name: (one.low, one.high) for name, one in numbers.items()}
    assert found["tpr"] == pytest.approx((low, high))
    # Both other classes are out of reach of no row: their false positives share the errors.
    assert found["fpr"] == pytest.approx(((1 - high) / 2, (1 - low) / 2))
    shown = sum(n > 0 for k, n in enumerate(row) if k) + 1  # classes with an F1
    upper = 2 * high / (1 + high) / shown
    assert found["f1"] == pytest.approx((2 * low / (1 + low) / 3, upper))
    for one in numbers.values():
        assert one.low <= one.value <= one.high  # type: ignore[operator]


def test_classes_that_no_row_of_the_table_has_are_not_awaited() -> None:
    counts = np.diag([12, 0, 0])
    numbers = [
        macro.macro_numbers(
            counts, 0, np.random.default_rng(0), 0.95, seen=np.array([True, other, False])
        )["f1"]
        for other in (False, True)
    ]
    low, _ = wilson(12, 12, z_of(0.95))
    one = 2 * low / (1 + low)
    assert [n.low for n in numbers] == pytest.approx([one, one / 2])


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("bootstrap", [0, 500])
def test_a_gap_to_a_few_rows_of_one_class_that_are_all_right_is_not_beyond_chance(
    clustered: bool, bootstrap: int
) -> None:
    rng = np.random.default_rng(0)
    labels = np.concatenate([rng.integers(0, 3, 300), np.zeros(12, dtype=int)])
    wrong = np.concatenate([rng.random(300) < 0.2, np.zeros(12, dtype=bool)])
    predictions = np.where(wrong, (labels + 1) % 3, labels)
    groups = {"g": ["many"] * 300 + ["right"] * 12}
    clusters = np.arange(312) // 2 if clustered else None
    content = audit(labels, predictions, groups, clusters=clusters, bootstrap=bootstrap).to_dict()
    group = content["by_group"]["g"]["right"]
    for name in ("f1", "tpr", "precision", "fpr"):
        assert group[name]["high"] - group[name]["low"] > 0.1, name
    # Clusters of two rows that are alike say as much as half the rows.
    assert group["tpr"]["low"] == pytest.approx(group["accuracy"]["low"])
    gap = content["disparities"]["g"]["f1_gap"]
    assert gap["value"] > 0.15
    assert gap["low"] == 0
    # The same rows against themselves: no difference, and no interval without width.
    same = compare(
        labels, predictions, predictions, groups, clusters=clusters, bootstrap=200
    ).to_dict()
    for name in ("f1_gap", "f1_min", "recall_min"):
        row = same["disparities"]["g"][name]
        assert row["low"] < 0 < row["high"], name


def test_two_classes_in_a_group_of_one_class_have_intervals_with_width() -> None:
    labels = [0, 1] * 30 + [1] * 12 + [0] * 12
    predictions = [0, 1] * 20 + [1, 0] * 10 + [1] * 12 + [1] * 12
    groups = {"g": ["both"] * 60 + ["right"] * 12 + ["wrong"] * 12}
    content = audit(labels, predictions, groups, positive=1).to_dict()
    for group in ("right", "wrong"):
        for name, number in content["by_group"]["g"][group].items():
            if isinstance(number, dict) and number["value"] is not None:
                assert number["low"] < number["high"], (group, name)

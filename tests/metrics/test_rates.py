"""Rates of a group, against fairlearn and scikit-learn where these define them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from fairlora.metrics import audit, rates

SETTINGS = settings(derandomize=True, deadline=None, max_examples=30)


def confusion(labels: Any, predictions: Any, classes: int) -> Any:
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return counts


@SETTINGS
@given(data=st.data())
def test_binary_rates_agree_with_fairlearn_where_they_are_defined(
    data: st.DataObject, make_rows: Callable[..., Any]
) -> None:
    labels, predictions, lists = data.draw(make_rows(2))
    groups = np.array([names[0] for names in lists])
    oracle = MetricFrame(
        metrics={
            "accuracy": accuracy_score,
            "tpr": lambda y, h: true_positive_rate(y, h, pos_label=1),
            "fpr": lambda y, h: false_positive_rate(y, h, pos_label=1),
            "selection_rate": lambda y, h: selection_rate(y, h, pos_label=1),
        },
        y_true=labels,
        y_pred=predictions,
        sensitive_features=groups,
    ).by_group
    result = audit(labels, predictions, {"g": groups}, classes=["0", "1"], positive="1")
    found = result.to_dict()["by_group"]["g"]
    assert list(found) == sorted(set(groups))
    for group, numbers in found.items():
        own = labels[groups == group]
        assert numbers["n"] == len(own)
        undefined = {"tpr": not (own == 1).any(), "fpr": not (own == 0).any()}
        for name in oracle.columns:
            if undefined.get(name, False):
                # fairlearn says 0 here: no row could have shown anything else.
                assert numbers[name]["value"] is None
                assert "no rows of" in numbers[name]["reason"]
            else:
                assert numbers[name]["value"] == pytest.approx(oracle.loc[group, name])
                assert numbers[name]["low"] <= numbers[name]["value"] <= numbers[name]["high"]


@SETTINGS
@given(data=st.data())
def test_rates_of_every_class_agree_with_scikit_learn(
    data: st.DataObject, make_rows: Callable[..., Any]
) -> None:
    labels, predictions, _ = data.draw(make_rows(4))
    counts = confusion(labels, predictions, 4)
    given_ = {"labels": range(4), "zero_division": np.nan}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # means of nothing: classes that are nowhere
        each = {
            rates.f1: f1_score(labels, predictions, average=None, **given_),
            rates.true_positive_rate: recall_score(labels, predictions, average=None, **given_),
            rates.precision: precision_score(labels, predictions, average=None, **given_),
        }
        macro_f1 = f1_score(labels, predictions, average="macro", **given_)
        macro_recall = recall_score(labels, predictions, average="macro", **given_)
    for rate, expected in each.items():
        got = [rate(counts, c) for c in range(4)]
        assert [np.nan if n.value is None else n.value for n in got] == pytest.approx(
            list(expected), nan_ok=True
        )
        assert all(n.reason for n in got if n.value is None)
    assert rates.macro_f1(counts).value == pytest.approx(macro_f1)
    assert rates.macro_recall(counts).value == pytest.approx(macro_recall)
    assert rates.accuracy(counts).value == pytest.approx(accuracy_score(labels, predictions))


@SETTINGS
@given(data=st.data())
def test_the_table_of_all_groups_holds_the_single_rates(
    data: st.DataObject, make_rows: Callable[..., Any]
) -> None:
    labels, predictions, lists = data.draw(make_rows(3))
    groups = np.array([names[0] for names in lists])
    counts = np.stack(
        [confusion(labels[groups == g], predictions[groups == g], 3) for g in ("a", "b", "none")]
    )
    values, bottoms = rates.rate_table(counts)
    single = (rates.selection_rate, rates.true_positive_rate, rates.false_positive_rate)
    for what, rate in enumerate(single):
        for g in range(3):
            for c in range(3):
                value = rate(counts[g], c).value
                assert (value is None) == (bottoms[what, g, c] == 0)
                assert values[what, g, c] == pytest.approx(
                    np.nan if value is None else value, nan_ok=True
                )


def test_f1_of_a_class_present_and_never_predicted_is_0_and_its_precision_undefined() -> None:
    counts = confusion([1, 1, 0], [0, 0, 0], 2)
    assert rates.f1(counts, 1).value == 0
    assert rates.precision(counts, 1).value is None
    assert rates.true_positive_rate(counts, 1).value == 0


def test_f1_of_a_class_that_is_nowhere_is_undefined_and_left_out_of_the_mean() -> None:
    counts = confusion([0, 0, 1], [0, 0, 0], 3)
    assert rates.f1(counts, 2).value is None
    assert rates.macro_f1(counts).value == pytest.approx((0.8 + 0) / 2)


def test_rates_of_no_rows_are_undefined_with_a_reason() -> None:
    nothing = np.zeros((2, 2), dtype=np.int64)
    numbers = [
        rates.accuracy(nothing),
        rates.selection_rate(nothing, 1),
        rates.true_positive_rate(nothing, 1),
        rates.false_positive_rate(nothing, 1),
        rates.precision(nothing, 1),
        rates.macro_f1(nothing),
        rates.macro_recall(nothing),
    ]
    assert [n.value for n in numbers] == [None] * len(numbers)
    assert all(n.reason for n in numbers)


def test_a_groups_f1_is_the_positive_class_where_there_is_one() -> None:
    counts = confusion([1, 1, 1, 0], [1, 0, 0, 0], 2)
    assert rates.group_f1(counts, 1).value == pytest.approx(0.5)
    assert rates.group_f1(counts, 0).value == pytest.approx(0.5)
    counts = confusion([1, 1, 0, 0, 0], [1, 0, 0, 0, 0], 2)
    assert rates.group_f1(counts, 1).value == pytest.approx(2 / 3)
    assert rates.group_f1(counts, None).value == pytest.approx((2 / 3 + 6 / 7) / 2)
    assert rates.group_recall(counts, 1).value == pytest.approx(0.5)
    assert rates.group_recall(counts, None).value == pytest.approx(0.75)

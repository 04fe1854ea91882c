"""Rates of groups, against fairlearn, scikit-learn and a plain loop."""

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

from fairlora.metrics import audit
from fairlora.metrics.counts.rates import EMPTY, GroupRates, number
from fairlora.metrics.counts.tally import Tally
from fairlora.metrics.inference.design import IndependentRows, Kind

SETTINGS = settings(derandomize=True, deadline=None, max_examples=20)
KINDS: tuple[Kind, ...] = ("accuracy", "selection_rate", "tpr", "fpr", "precision", "f1")


def rates_of(counts: Any, positive: int | None, least: int = 1) -> GroupRates:
    """The rates of groups "0", "1", ... from counts (G, C, C)."""
    cells = np.asarray(counts, dtype=np.int64)
    tally = Tally(tuple(str(g) for g in range(len(cells))), cells)
    classes = tuple(str(c) for c in range(cells.shape[1]))
    design = IndependentRows(tally, 0, np.random.default_rng(0))
    return GroupRates(tally, classes, positive, least, design)


def confusion(labels: Any, predictions: Any, classes: int) -> Any:
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return counts


# Through the audit, against other libraries.


@SETTINGS
@given(data=st.data())
def test_binary_rates_agree_with_fairlearn_where_they_are_defined(
    data: st.DataObject, make_table: Callable[..., Any]
) -> None:
    rows = data.draw(make_table())
    positive = data.draw(st.sampled_from([0, 1]))
    y, h, groups = rows.labels, rows.predictions, rows.names
    oracle = MetricFrame(
        metrics={
            "accuracy": accuracy_score,
            "tpr": lambda y, h: true_positive_rate(y, h, pos_label=positive),
            "fpr": lambda y, h: false_positive_rate(y, h, pos_label=positive),
            "selection_rate": lambda y, h: selection_rate(y, h, pos_label=positive),
            "precision": lambda y, h: precision_score(y, h, pos_label=positive, zero_division=0),
            "f1": lambda y, h: f1_score(y, h, pos_label=positive, zero_division=0),
        },
        y_true=y,
        y_pred=h,
        sensitive_features=groups,
    ).by_group
    result = audit(
        y,
        h,
        {"g": rows.groups},
        classes=["0", "1"],
        positive=str(positive),
        bootstrap=0,
        missing_group="keep",
    )
    found = result.to_dict()["by_group"]["g"]
    assert list(found) == list(rows.members())
    for group, numbers in found.items():
        own, chosen = y[groups == group] == positive, h[groups == group] == positive
        assert numbers["n"] == len(own)
        undefined = {
            "tpr": not own.any(),
            "fpr": own.all(),
            "precision": not chosen.any(),
            "f1": not own.any(),
        }
        for name in oracle.columns:
            if undefined.get(name, False):
                # fairlearn and scikit-learn say 0 here: no row could have shown anything else.
                assert numbers[name]["value"] is None
                assert numbers[name]["reason"] == EMPTY[name]
            else:
                assert numbers[name]["value"] == pytest.approx(oracle.loc[group, name])


@settings(SETTINGS, max_examples=12)
@given(data=st.data())
def test_rates_of_every_class_agree_with_scikit_learn_in_each_group(
    data: st.DataObject, make_table: Callable[..., Any]
) -> None:
    rows = data.draw(make_table(classes=(3, 4, 20), groups=(1, 4), rows=(3, 60)))
    names = [f"class {c:02}" for c in range(rows.classes)]
    words = np.array(names)
    result = audit(
        words[rows.labels],
        words[rows.predictions],
        {"g": rows.groups},
        classes=names,
        bootstrap=0,
    ).to_dict()
    options: dict[str, Any] = {"labels": range(rows.classes), "zero_division": np.nan}
    for group, mask in rows.members().items():
        y, h = rows.labels[mask], rows.predictions[mask]
        numbers = result["by_group"]["g"][group]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # means of nothing: classes that are nowhere
            each = {
                "tpr": recall_score(y, h, average=None, **options),
                "precision": precision_score(y, h, average=None, **options),
            }
        for name, expected in each.items():
            got = [numbers[name]["by_class"][c] for c in names]
            values = [np.nan if v["value"] is None else v["value"] for v in got]
            assert values == pytest.approx(list(expected), nan_ok=True)
            assert all(v["reason"] == EMPTY[name] for v in got if v["value"] is None)  # type: ignore[index]
        assert numbers["accuracy"]["value"] == pytest.approx(accuracy_score(y, h))


@settings(SETTINGS, max_examples=12)
@given(data=st.data())
def test_macro_means_agree_with_scikit_learn_over_classes_present_or_predicted(
    data: st.DataObject, make_table: Callable[..., Any]
) -> None:
    rows = data.draw(make_table(classes=(3, 4, 20), groups=(1, 4), rows=(3, 60)))
    names = [str(c) for c in range(rows.classes)]
    result = audit(
        rows.labels, rows.predictions, {"g": rows.groups}, classes=names, bootstrap=0
    ).to_dict()
    scores = {"f1": f1_score, "tpr": recall_score, "precision": precision_score}
    for group, mask in rows.members().items():
        y, h = rows.labels[mask], rows.predictions[mask]
        among = {
            # A class that is neither present nor predicted has no F1 and is left out of the mean;
            # without `labels` scikit-learn does the same.
            "f1": np.union1d(y, h),
            "tpr": np.unique(y),
            "precision": np.unique(h),
        }
        for name, score in scores.items():
            expected = score(y, h, average="macro", labels=among[name], zero_division=0)
            number_ = result["by_group"]["g"][group][name]
            assert number_["value"] == pytest.approx(expected)


@pytest.mark.parametrize(("classes", "groups", "n"), [(2, 500, 3000), (100, 4, 2000)])
def test_many_groups_and_many_classes_agree_with_a_plain_loop(
    classes: int, groups: int, n: int
) -> None:
    random = np.random.default_rng(classes)
    y = random.integers(0, classes, n)
    h = np.where(random.random(n) < 0.7, y, random.integers(0, classes, n))
    g = random.integers(0, groups, n)
    found = audit(y, h, {"g": g}, positive=1, bootstrap=0, max_groups=500).to_dict()["by_group"][
        "g"
    ]
    assert list(found) == [str(k) for k in np.unique(g)]
    for name, numbers in found.items():
        mask = g == int(name)
        assert numbers["n"] == mask.sum()
        assert numbers["accuracy"]["value"] == pytest.approx((y == h)[mask].mean())
        if classes == 2:
            assert numbers["selection_rate"]["value"] == pytest.approx(h[mask].mean())
        else:
            assert numbers["f1"]["value"] == pytest.approx(
                f1_score(y[mask], h[mask], average="macro", zero_division=0)
            )


# From counts.


@SETTINGS
@given(data=st.data())
def test_every_rate_of_every_group_is_that_of_a_loop_over_its_rows(
    data: st.DataObject, make_rows: Callable[..., Any]
) -> None:
    labels, predictions, lists = data.draw(make_rows(3))
    names = [row[0] for row in lists]
    masks = [np.array([name == g for name in names]) for g in ("a", "b", "none")]
    table = rates_of([confusion(labels[m], predictions[m], 3) for m in masks], None)
    for g, mask in enumerate(masks):
        for c in range(3):
            y, h = labels[mask] == c, predictions[mask] == c
            right = labels[mask] == predictions[mask]
            expected = {
                "accuracy": (right.sum(), len(y)),
                "selection_rate": (h.sum(), len(y)),
                "tpr": ((y & h).sum(), y.sum()),
                "fpr": ((~y & h).sum(), (~y).sum()),
                "precision": ((y & h).sum(), h.sum()),
                "f1": ((y & h).sum(), (y | h).sum() if y.any() else 0),
            }
            for kind in KINDS:
                top, bottom = table.counts(kind, c)
                assert (top[g], bottom[g]) == expected[kind]
                value = table.rate(kind, c).values[g]
                assert np.isnan(value) == (bottom[g] == 0)
                if bottom[g]:
                    assert value == pytest.approx(top[g] / bottom[g])


def test_f1_of_a_class_present_and_never_predicted_is_0_and_its_precision_undefined() -> None:
    table = rates_of([confusion([1, 1, 0], [0, 0, 0], 2)], 1)
    assert table.f1().values[0] == 0
    assert table.rate("tpr", 1).values[0] == 0
    precision = number(table.rate("precision", 1), 0, 0.95, EMPTY["precision"])
    assert (precision.value, precision.reason) == (None, "class never predicted")


def test_f1_of_a_class_that_is_nowhere_is_undefined_and_left_out_of_the_mean() -> None:
    table = rates_of([confusion([0, 0, 1], [0, 0, 0], 3)], None)
    assert np.isnan(table.f1_by_class(0).values[2])
    assert table.f1().values[0] == pytest.approx((0.8 + 0) / 2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rate_of_no_rows_is_undefined_with_a_reason(kind: Kind) -> None:
    table = rates_of(np.zeros((1, 2, 2)), 1)
    found = number(table.rate(kind, 1), 0, 0.95, EMPTY[kind])
    assert found.value is None
    assert found.reason


@pytest.mark.parametrize("positive", [1, None])
def test_f1_and_recall_of_no_rows_are_undefined(positive: int | None) -> None:
    table = rates_of(np.zeros((1, 2, 2)), positive)
    assert np.isnan([table.f1().values[0], table.recall().values[0]]).all()


def test_a_groups_f1_and_recall_are_the_positive_classes_where_there_is_one() -> None:
    counts = [confusion([1, 1, 0, 0, 0], [1, 0, 0, 0, 0], 2)]
    assert rates_of(counts, 1).f1().values[0] == pytest.approx(2 / 3)
    assert rates_of(counts, 0).f1().values[0] == pytest.approx(6 / 7)
    assert rates_of(counts, None).f1().values[0] == pytest.approx((2 / 3 + 6 / 7) / 2)
    assert rates_of(counts, 1).recall().values[0] == pytest.approx(0.5)
    assert rates_of(counts, None).recall().values[0] == pytest.approx(0.75)


def test_f1_has_the_interval_of_the_share_that_it_is_made_of() -> None:
    table = rates_of([confusion([1] * 8 + [0] * 4, [1] * 6 + [0] * 2 + [1, 0, 0, 0], 2)], 1)
    share, f1 = table.rate("f1", 1), table.f1()
    for end in ("low", "high"):
        j = getattr(share.limits(1.96), end)[0]
        assert getattr(f1.limits(1.96), end)[0] == pytest.approx(2 * j / (1 + j))


def test_everyone_outside_a_group_is_all_rows_less_the_groups() -> None:
    counts = np.array([confusion([1, 1, 0], [1, 0, 0], 2), confusion([1, 0, 0], [1, 1, 0], 2)])
    against = rates_of(counts, 1).rest("tpr", 1)
    assert against.inside.values.tolist() == [0.5, 1]
    assert against.outside.values.tolist() == [1, 0.5]


def test_what_is_left_out_for_want_of_rows_is_listed_with_its_reason() -> None:
    counts = np.array([[[20, 0], [0, 3]], [[1, 0], [0, 1]], [[12, 0], [0, 12]]])
    left = rates_of(counts, 1, least=10).left_out()
    assert left == {"0": ["TPR of 1 (3 rows)"], "1": ["all (2 rows)"]}

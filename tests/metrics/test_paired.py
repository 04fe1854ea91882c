"""Two models on the same rows: the values of two audits, and differences that chance explains."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics import audit, compare
from fairlora.metrics.comparison.content import Verdict
from fairlora.metrics.comparison.page import comparison_page
from fairlora.metrics.comparison.paired import compare_predictions
from fairlora.metrics.comparison.verdict_parts import paired_lead
from fairlora.metrics.inputs import predictions_of
from fairlora.metrics.settings import Settings

Codes = NDArray[np.int64]
DISPARITIES = (
    "accuracy_worst",
    "accuracy_gap",
    "dpd",
    "eod",
    "eopp_max",
    "f1_min",
    "recall_min",
    "f1_gap",
    "loss_variance",
)
OVERALL = (
    "accuracy",
    "f1",
    "recall",
    "f1_min",
    "recall_min",
    "f1_gap",
    "mean_loss",
    "brier",
    "ece",
)
GROUP = ("accuracy", "tpr", "fpr", "mean_loss")


def numbers_of_audit(content: dict[str, Any]) -> dict[tuple[str, ...], float | None]:
    """The numbers that a comparison has too, by their place."""
    out = {("overall", name): content["overall"][name]["value"] for name in OVERALL}
    for name in DISPARITIES:
        out["disparities", name] = content["disparities"]["g"][name]["value"]
    for group, numbers in content["by_group"]["g"].items():
        if numbers["missing"]:  # shown, and not compared
            continue
        for name in GROUP:
            out["by_group", group, name] = numbers[name]["value"]
    return out


def rows_by_place(content: dict[str, Any]) -> dict[tuple[str, ...], dict[str, Any]]:
    out = {("overall", name): row for name, row in content["overall"].items()}
    for name, row in content["disparities"]["g"].items():
        out["disparities", name] = row
    for group, rows in content["by_group"]["g"].items():
        for name, row in rows.items():
            out["by_group", group, name] = row
    return out


def check_against_audits(
    labels: Any, first: Any, second: Any, groups: Any, probs: Any = None, **options: Any
) -> None:
    """Each side of each difference is the number that an audit of that side gives."""
    columns = {"g": groups}
    one_probs, two_probs = (None, None) if probs is None else probs
    one, two = (
        numbers_of_audit(audit(labels, h, columns, p, bootstrap=0, **options).to_dict())
        for h, p in ((first, one_probs), (second, two_probs))
    )
    content = compare(labels, first, second, columns, probs=probs, bootstrap=200, **options)
    rows = rows_by_place(content.to_dict())
    for place, row in rows.items():
        if one[place] is None or two[place] is None:
            assert row["verdict"] == "undefined", place
            continue
        assert row["first"] == pytest.approx(one[place], abs=2e-6), place
        assert row["second"] == pytest.approx(two[place], abs=2e-6), place
    # Losses alone need probabilities, and group rates of one class a positive one.
    assert {place[-1] for place in set(one) - set(rows)} <= {
        "mean_loss",
        "brier",
        "ece",
        "loss_variance",
        "tpr",
        "fpr",
    }


def flipped(labels: Any, predicted: Any, classes: int, seed: int) -> Codes:
    """Another model's predictions: a third of them others."""
    rng = np.random.default_rng(seed)
    predicted = np.asarray(predicted)
    other = (predicted + rng.integers(1, classes, len(predicted))) % classes
    return np.where(rng.random(len(predicted)) < 0.3, other, predicted)


@settings(derandomize=True, deadline=None, max_examples=8)
@given(data=st.data(), seed=st.integers(0, 99))
@pytest.mark.parametrize("classes", [2, 3])
def test_both_sides_are_those_of_two_audits(
    make_table: Callable[..., Any],
    agree: Callable[..., Any],
    classes: int,
    data: st.DataObject,
    seed: int,
) -> None:
    table = data.draw(make_table(classes=[classes], groups=[2, 5], rows=[30, 200]))
    second = flipped(table.labels, table.predictions, table.classes, seed)
    other = agree(np.random.default_rng(seed).permutation(table.probs), second)
    probs = table.probs, other
    names = [str(c) for c in range(classes)]
    check_against_audits(
        table.labels,
        table.predictions,
        second,
        table.groups,
        probs,
        classes=names,
        positive="1" if classes == 2 else None,
        min_group=data.draw(st.sampled_from([1, 10])),
    )


@settings(derandomize=True, deadline=None, max_examples=8)
@given(data=st.data(), seed=st.integers(0, 99))
@pytest.mark.parametrize("classes", [2, 3])
def test_both_sides_are_those_of_two_audits_where_groups_overlap(
    make_rows: Callable[..., Any], classes: int, data: st.DataObject, seed: int
) -> None:
    rows = data.draw(make_rows(classes, overlapping=True))
    second = flipped(rows.labels, rows.predictions, classes, seed)
    check_against_audits(
        rows.labels,
        rows.predictions,
        second,
        rows.groups,
        classes=[str(c) for c in range(classes)],
        positive="1" if classes == 2 else None,
        min_group=data.draw(st.sampled_from([1, 5])),
    )


def test_every_disparity_of_the_design_is_compared_and_defined() -> None:
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 2, 400), rng.choice(["a", "b", "c"], 400)
    first, second = (flipped(labels, labels, 2, seed) for seed in (1, 2))
    probs = tuple(np.where(h == 1, 0.8, 0.3) for h in (first, second))
    content = compare(
        labels, first, second, {"g": groups}, probs=probs, positive=1, bootstrap=200
    ).to_dict()
    assert set(content["disparities"]["g"]) == set(DISPARITIES)
    assert set(content["overall"]) == set(OVERALL)
    for group in content["by_group"]["g"].values():
        assert set(group) == set(GROUP)
    rows = [*content["disparities"]["g"].values(), *content["overall"].values()]
    for row in rows:
        assert row["verdict"] != "undefined"
        assert row["low"] <= row["value"] == row["first"] - row["second"] <= row["high"]


class Drawn:
    """Rows on which the first model is right as often as `first` says, the second as `second`."""

    def __init__(self, n: int, seed: int, first: Any = 0.8, second: Any = 0.8) -> None:
        rng = np.random.default_rng(seed)
        self.labels = rng.integers(0, 2, n)
        self.groups = rng.choice(["a", "b"], n)
        right = [
            rng.random(n) < (rate if np.isscalar(rate) else np.where(self.groups == "a", *rate))
            for rate in (first, second)
        ]
        self.first, self.second = (np.where(r, self.labels, 1 - self.labels) for r in right)

    def compare(self, **options: Any) -> dict[str, Any]:
        given = {"positive": 1, "bootstrap": 400, **options}
        groups = {"g": self.groups}
        return compare(self.labels, self.first, self.second, groups, **given).to_dict()


def test_two_like_models_rarely_differ() -> None:
    wrong = 0
    for seed in range(60):
        content = Drawn(300, seed, (0.9, 0.75), (0.9, 0.75)).compare(bootstrap=200)
        verdicts = {row["verdict"] for row in content["disparities"]["g"].values()}
        wrong += bool(verdicts & {"better", "worse"})
    # At most one in twenty is expected, of the whole family.
    assert wrong <= 6


def test_the_error_of_the_accuracy_difference_is_mcnemars() -> None:
    rows = Drawn(1000, 2, 0.85, 0.8)
    one = ((rows.first == rows.labels) & (rows.second != rows.labels)).sum()
    two = ((rows.first != rows.labels) & (rows.second == rows.labels)).sum()
    expected = math.sqrt(one + two - (one - two) ** 2 / 1000) / 1000
    row = rows.compare(bootstrap=4000)["overall"]["accuracy"]
    assert row["value"] == pytest.approx((one - two) / 1000)
    assert (row["high"] - row["low"]) / 2 / 1.959964 == pytest.approx(expected, rel=0.05)


def test_what_is_hard_for_both_cancels() -> None:
    rows = Drawn(1000, 3)
    rows.second = rows.first.copy()
    rows.second[:10] = 1 - rows.second[:10]
    row = rows.compare()["overall"]["accuracy"]
    # Far less than two models apart: sqrt(2 x 0.8 x 0.2 / 1000) = 0.018.
    assert (row["high"] - row["low"]) / 2 / 1.959964 < 0.005


def test_losses_are_compared_row_by_row() -> None:
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 2, 150)
    first, second = (np.clip(rng.normal(0.3 + 0.4 * labels, 0.1), 0.01, 0.99) for _ in range(2))
    predicted = [(p > 0.5).astype(int) for p in (first, second)]
    groups = {"g": np.repeat(["a", "b"], 75)}
    row = compare(
        labels, *predicted, groups, probs=(first, second), positive=1, bootstrap=200
    ).to_dict()["overall"]["mean_loss"]
    losses = [-np.log(np.where(labels == 1, p, 1 - p)) for p in (first, second)]
    off = losses[0] - losses[1]
    assert row["value"] == pytest.approx(off.mean(), abs=1e-6)
    # Student's t of 149 degrees of freedom.
    half = 1.976013 * off.std(ddof=1) / math.sqrt(150)
    assert row["high"] - row["value"] == pytest.approx(half, rel=1e-4)


def test_a_metric_of_losses_has_no_margin_and_so_no_equivalence() -> None:
    rows = Drawn(2000, 7)
    rows.second = rows.first
    probs = np.where(rows.first == 1, 0.8, 0.2)
    content = rows.compare(probs=(probs, probs))
    for row in (content["overall"]["mean_loss"], content["disparities"]["g"]["loss_variance"]):
        assert (row["margin"], row["value"], row["verdict"]) == (None, 0.0, "inconclusive")


def test_the_margin_decides_what_counts_as_equal() -> None:
    rows = Drawn(4000, 8, 0.82, 0.8)
    assert rows.compare(margin=0.1)["overall"]["accuracy"]["verdict"] == "equivalent"
    assert rows.compare(margin=0.001)["overall"]["accuracy"]["verdict"] != "equivalent"


def test_a_class_that_one_model_never_predicts_is_a_class_of_both() -> None:
    labels = ["cat", "dog", "owl"] * 20
    lazy = ["cat"] * 60
    content = compare(labels, labels, lazy, {"g": ["a", "b"] * 30}, bootstrap=200).to_dict()
    assert content["overall"]["accuracy"]["value"] == pytest.approx(2 / 3)
    content = compare(["cat"] * 60, lazy, labels, {"g": ["a", "b"] * 30}, bootstrap=200).to_dict()
    assert content["overall"]["accuracy"]["first"] == 1


def test_numbers_are_names_and_not_indices_into_the_classes() -> None:
    labels = [10, 20] * 30
    content = compare(labels, labels, [10] * 60, {"g": ["a", "b"] * 30}, positive=20).to_dict()
    assert content["positive"] == "20"
    assert content["overall"]["accuracy"]["second"] == 0.5


LABELS = [0, 1] * 20
GROUPS = {"g": ["a"] * 20 + ["b"] * 20}


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (LABELS[:-1], LABELS, "first: another length"),
        (LABELS, LABELS[:-1], "second: another length"),
        (LABELS, [*LABELS[:-1], None], "second, row 40: missing value"),
        ([*LABELS[:-1], 0.5], LABELS, "first, row 40"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(first: Any, second: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare(LABELS, first, second, GROUPS)


def test_probabilities_of_one_side_that_do_not_fit_are_refused() -> None:
    good = np.full(40, 0.5)
    with pytest.raises(InputError, match="probs"):
        compare(LABELS, LABELS, LABELS, GROUPS, probs=(good, good[:-1]))


def test_tables_of_other_rows_are_refused() -> None:
    def table(labels: list[int], **options: Any) -> Any:
        groups = {"g": GROUPS["g"][: len(labels)]}
        return predictions_of(labels, labels, groups, **options)

    with pytest.raises(
        InputError, match="second: not the same rows .*2 rows differ.; expected the ids of first"
    ):
        compare_predictions(table(LABELS), table(LABELS[:-2]))
    other = [*LABELS[:2], 1, *LABELS[3:]]
    with pytest.raises(
        InputError, match="second, row '2': another label .*found 1; expected 0, as in first"
    ):
        compare_predictions(table(LABELS), table(other))
    more = compare_predictions(table(LABELS), table(LABELS, classes=["0", "1", "2"])).to_dict()
    assert more["positive"] is None
    assert more["overall"]["accuracy"]["value"] == 0


def test_groups_too_small_to_compare_are_undefined_with_a_reason() -> None:
    content = compare(LABELS, LABELS, LABELS, GROUPS, positive=1, min_group=30).to_dict()
    row = content["disparities"]["g"]["accuracy_gap"]
    assert (row["value"], row["verdict"]) == (None, "undefined")
    assert row["reason"]


def test_a_rate_of_no_rows_is_undefined_in_its_group() -> None:
    groups = ["a"] * 20 + ["b" if y else "a" for y in LABELS[20:]]
    content = compare(LABELS, LABELS, LABELS, {"g": groups}, positive=1).to_dict()
    assert content["by_group"]["g"]["b"]["fpr"]["verdict"] == "undefined"
    assert content["by_group"]["g"]["b"]["tpr"]["verdict"] != "undefined"


def test_one_group_alone_has_no_gaps() -> None:
    content = compare(LABELS, LABELS, LABELS, {"g": ["a"] * 40}, positive=1).to_dict()
    assert content["disparities"]["g"]["accuracy_gap"]["verdict"] == "undefined"
    assert content["disparities"]["g"]["accuracy_worst"]["value"] == 0


def test_the_family_is_corrected_over_all_attributes() -> None:
    rows = Drawn(500, 10, (0.9, 0.9), (0.9, 0.83))
    alone = rows.compare()["disparities"]["g"]["accuracy_gap"]
    groups = {"g": rows.groups, "other": rows.groups[::-1]}
    both = compare(
        rows.labels, rows.first, rows.second, groups, positive=1, bootstrap=400
    ).to_dict()["disparities"]["g"]["accuracy_gap"]
    assert both["p"] == alone["p"]
    assert both["p_corrected"] >= alone["p_corrected"] >= alone["p"]
    assert both["p_corrected"] > alone["p"]


def test_the_views_hold_what_the_content_holds(tmp_path: Any) -> None:
    rows = Drawn(200, 12, 0.9, 0.7)
    result = compare(
        rows.labels,
        rows.first,
        rows.second,
        {"g": rows.groups},
        positive=1,
        bootstrap=200,
        names=("LoRA", "<b>full</b>"),
    )
    frame = result.differences
    assert isinstance(frame, pd.DataFrame)
    assert set(frame["attribute"]) == {"", "g"}
    row = frame[(frame["attribute"] == "g") & (frame["metric"] == "accuracy_gap")].iloc[0]
    assert row["value"] == result.content.disparities["g"]["accuracy_gap"].value
    assert "LoRA" in result.to_markdown()
    assert "\\toprule" in result.to_latex()
    result.to_html(tmp_path / "page.html", "Two")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<b>full</b>" not in html
    assert "better" in html
    page = comparison_page(result.content, "Two")
    assert page["lead"].startswith("On the same 200 rows, ")


def row(word: str, value: float | None = 0.1) -> Verdict:
    """A judged difference with an interval of a tenth either way."""
    low, high = (None, None) if value is None else (value - 0.1, value + 0.1)
    required = [name for name, field in Verdict.model_fields.items() if field.is_required()]
    numbers: dict[str, Any] = {"value": value, "low": low, "high": high, "margin": 0.02}
    return Verdict(**{**dict.fromkeys(required), "verdict": word, **numbers})


def lead_of(overall: dict[str, Verdict], disparities: dict[str, Verdict]) -> str:
    table = predictions_of(LABELS, LABELS, GROUPS)
    content = compare_predictions(table, table, Settings(level=0.9), names=("lora", "full"))
    given = {"overall": overall, "disparities": {"race": disparities}}
    return paired_lead(content.model_copy(update=given), "the same 9 rows")


def test_the_lead_names_what_was_shown_and_who_is_better() -> None:
    """The accuracy of lora is 5 points lower, its gap 20 larger: full is better in both."""
    text = lead_of(
        {"accuracy": row("worse", -0.05), "f1": row("inconclusive", 0.0)},
        {
            "accuracy_worst": row("better", 0.15),
            "eod": row("worse", 0.3),
            "accuracy_gap": row("worse", 0.2),
            "dpd": row("inconclusive"),
            "f1_gap": row("equivalent"),
        },
    )
    assert text == (
        "On the same 9 rows, full is better than lora in accuracy (5.0 points [-5.0, 15.0]). "
        "Of 5 disparities, lora is better than full in 1: worst group's accuracy by race (15.0 "
        "points [5.0, 25.0]); full is better than lora in 2: equalized odds difference by race "
        "(30.0 points [20.0, 40.0]) and accuracy gap by race (20.0 points [10.0, 30.0]); "
        "1 is equivalent; 1 is inconclusive, which is no evidence of equality. "
        "In brackets 90 % intervals."
    )


def test_the_lead_names_three_of_a_side_and_counts_the_rest() -> None:
    names = ("accuracy_gap", "dpd", "eod", "eopp_max", "f1_gap")
    text = lead_of({}, {name: row("worse", 0.1 * k) for k, name in enumerate(names, 1)})
    assert "in 5: F1 gap over groups by race (50.0 points" in text
    assert text.count(" by race (") == 3
    assert " and 2 more. In brackets" in text


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("equivalent", "lora and full are equivalent in accuracy: within 2.0 points (1.0 points ["),
        ("inconclusive", "no difference between lora and full was shown in accuracy (1.0 points ["),
    ],
)
def test_what_was_not_shown_overall_is_said(verdict: str, expected: str) -> None:
    text = lead_of({"accuracy": row(verdict, -0.01)}, {"dpd": row("undefined", None)})
    assert text.startswith(f"On the same 9 rows, {expected}")
    assert "Of 1 disparities, 1 is undefined." in text


def test_settings_are_said() -> None:
    table = predictions_of(LABELS, LABELS, GROUPS)
    content = compare_predictions(
        table, table, Settings(positive="1", level=0.9), margin=0.05
    ).to_dict()
    assert content["settings"]["level"] == 0.9
    assert content["settings"]["margin"] == 0.05
    assert (content["first"], content["second"], content["n"]) == ("first", "second", 40)


def test_a_gap_needs_two_groups_with_a_rate() -> None:
    # Group b has no positive, and the first model finds none there: b has no F1.
    labels, groups = [0, 1] * 10 + [0] * 20, ["a"] * 20 + ["b"] * 20
    second = [*labels[:20], *[1] * 20]
    row = compare(labels, labels, second, {"g": groups}, positive=1).to_dict()["disparities"]["g"]
    assert row["f1_gap"]["verdict"] == "undefined"
    assert row["f1_min"]["first"] == 1


def test_the_loss_variance_is_over_the_groups_that_an_audit_takes() -> None:
    labels = np.array([0, 1] * 20)
    probs = np.linspace(0.1, 0.4, 40) + 0.5 * labels
    groups = ["a"] * 20 + ["b"] * 19 + ["c"]
    options: dict[str, Any] = {"positive": 1, "min_group": 1}
    expected = audit(labels, labels, {"g": groups}, probs, bootstrap=0, **options).to_dict()
    content = compare(labels, labels, labels, {"g": groups}, probs=(probs, probs), **options)
    row = content.to_dict()["disparities"]["g"]["loss_variance"]
    value = expected["disparities"]["g"]["loss_variance"]["value"]
    assert row["first"] == pytest.approx(value, rel=1e-5)

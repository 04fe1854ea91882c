"""The audit as a whole: the object that it gives, and what it says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import fairlora
from fairlora.metrics import AuditResult, audit

LABELS = [1, 1, 0, 0, 1, 0, 1, 0]
PREDICTED = [1, 0, 0, 1, 1, 0, 1, 0]
SEX = ["f", "f", "f", "f", "m", "m", "m", "m"]
POSITIVE = [0.9, 0.3, 0.05, 0.6, 0.8, 0.1, 0.7, 0.4]


def small(**options: Any) -> AuditResult:
    """The audit of the eight rows above."""
    options = {"positive": 1, "min_group": 1, **options}
    return audit(LABELS, PREDICTED, {"sex": SEX}, POSITIVE, **options)


def test_the_json_has_the_documented_layout() -> None:
    result = small()
    content = json.loads(result.to_json())
    assert content == result.to_dict()
    assert list(content) == [
        "n",
        "left_out",
        "classes",
        "positive",
        "settings",
        "overall",
        "by_group",
        "disparities",
        "pairwise",
        "reliability",
        "warnings",
    ]
    assert (content["n"], content["positive"], content["warnings"]) == (8, "1", [])
    assert content["overall"]["accuracy"]["value"] == 0.75
    assert content["overall"]["accuracy"].keys() == {"value", "low", "high"}
    assert list(content["by_group"]) == ["sex"]
    assert list(content["by_group"]["sex"]) == ["f", "m"]
    f = content["by_group"]["sex"]["f"]
    assert f["n"] == 4
    assert {"accuracy", "tpr", "fpr", "selection_rate", "precision", "f1", "ece"} < f.keys()
    assert {"dpd", "eod", "eopp"} < f.keys()
    assert f["tpr"]["value"] == 0.5
    summary = content["disparities"]["sex"]
    assert {"accuracy_gap", "accuracy_worst", "dpd", "eod", "eopp_max", "f1_min"} < summary.keys()
    assert {"recall_min", "f1_gap", "loss_variance", "loss_variance_unbiased"} < summary.keys()
    assert summary["accuracy_worst"]["group"] == "f"
    assert (summary["eopp_max"]["group"], summary["eopp_max"]["class"]) == ("f", "1")
    assert summary["eopp_max"]["value"] == 0.5


def numbers_in(thing: Any) -> list[dict[str, Any]]:
    if isinstance(thing, dict):
        own = [thing] if "value" in thing else []
        return own + [n for v in thing.values() for n in numbers_in(v)]
    return []


def test_every_undefined_number_is_null_and_has_a_reason() -> None:
    # Group a has no positives, group b no negatives; there are no probabilities.
    found = audit([0, 0, 1, 1], [0, 1, 1, 1], {"g": list("aabb")}, positive=1).to_dict()
    groups = found["by_group"]["g"]
    assert groups["a"]["tpr"]["value"] is None
    assert groups["b"]["fpr"]["value"] is None
    undefined = [n for n in numbers_in(found) if n["value"] is None]
    assert len(undefined) > 10
    for number in undefined:
        assert number["reason"]
        assert number["low"] is None
        assert number["high"] is None
    for number in numbers_in(found):
        # Without an interval there is a word on why.
        assert number["low"] is not None or number["reason"]


def test_the_data_frames_hold_the_same_numbers() -> None:
    result = small()
    frame = result.by_group["sex"]
    assert list(frame.index) == ["f", "m"]
    assert frame.index.name == "sex"
    assert frame.loc["f", "accuracy"] == 0.5
    assert frame.loc["f", "accuracy_low"] < 0.5 < frame.loc["f", "accuracy_high"]
    assert frame.loc["m", "n"] == 4
    table = result.disparities
    assert list(table.columns) == [
        "attribute",
        "metric",
        "value",
        "low",
        "high",
        "expected_by_chance",
        "detail",
    ]
    row = table.set_index("metric").loc["accuracy_gap"]
    assert (row["attribute"], row["value"], row["detail"]) == ("sex", 0.5, "best m, worst f")
    assert row["low"] <= 0.5 <= row["high"]
    assert row["expected_by_chance"] > 0
    undefined = audit([0, 1], [0, 1], {"g": ["a", "a"]}).disparities.set_index("metric")
    assert undefined.loc["accuracy_gap", "value"] is None or np.isnan(
        undefined.loc["accuracy_gap", "value"]
    )
    assert undefined.loc["dpd", "detail"] == "fewer than two groups are large enough"


def test_several_attributes_are_audited_each() -> None:
    age = ["young", "old"] * 4
    both = audit(LABELS, PREDICTED, {"sex": SEX, "age": age}, positive=1, min_group=1)
    alone = audit(LABELS, PREDICTED, {"age": age}, positive=1, min_group=1)
    assert list(both.by_group) == ["sex", "age"]
    assert both.to_dict()["by_group"]["age"] == alone.to_dict()["by_group"]["age"]
    assert both.to_dict()["disparities"]["age"] == alone.to_dict()["disparities"]["age"]


def test_the_positive_class_is_the_last_in_order_and_said_so() -> None:
    words = ["yes" if y else "no" for y in LABELS]
    predicted = ["yes" if y else "no" for y in PREDICTED]
    found = audit(words, predicted, {"sex": SEX}).to_dict()
    assert found["positive"] == "yes"
    assert [text for text in found["warnings"] if "'yes' is taken" in text]
    named = audit(words, predicted, {"sex": SEX}, positive="no").to_dict()
    assert not [text for text in named["warnings"] if "positive class" in text]
    f, f_named = (r["by_group"]["sex"]["f"] for r in (found, named))
    assert f_named["selection_rate"]["value"] == pytest.approx(1 - f["selection_rate"]["value"])
    assert f_named["tpr"]["value"] == pytest.approx(1 - f["fpr"]["value"])


def test_a_positive_class_among_more_than_two_is_not_used_and_said_so() -> None:
    found = audit([0, 1, 2], [0, 1, 0], {"g": list("aba")}, positive=1).to_dict()
    assert found["positive"] is None
    assert [text for text in found["warnings"] if "'1' is not used" in text]


def test_selection_rates_of_many_classes_are_given_by_class_alone() -> None:
    found = audit([0, 1, 2, 2], [0, 1, 2, 0], {"g": list("aaaa")}).to_dict()
    selection = found["by_group"]["g"]["a"]["selection_rate"]
    assert selection["value"] is None
    assert [selection["by_class"][c]["value"] for c in "012"] == [0.5, 0.25, 0.25]


def test_the_lowest_class_is_named_overall() -> None:
    found = audit([0, 0, 1, 1, 2], [0, 0, 1, 0, 2], {"g": list("aaaaa")}).to_dict()["overall"]
    assert (found["recall_min"]["value"], found["recall_min"]["class"]) == (0.5, "1")
    assert (found["f1_min"]["value"], found["f1_min"]["class"]) == (pytest.approx(2 / 3), "1")
    assert found["f1_gap"]["value"] == pytest.approx(1 / 3)
    assert found["f1_gap"]["worst"] == found["f1_min"]["class"] != found["f1_gap"]["best"]


def test_confidence_may_be_that_of_the_positive_class() -> None:
    top, positive = small().to_dict(), small(confidence="positive").to_dict()
    mean, rate = np.mean(POSITIVE), np.mean(LABELS)
    assert positive["overall"]["confidence_gap"]["value"] == pytest.approx(mean - rate, abs=1e-6)
    assert top["overall"]["confidence_gap"]["value"] != pytest.approx(mean - rate, abs=1e-3)


def test_the_package_gives_the_audit_when_asked() -> None:
    assert fairlora.audit is audit
    assert fairlora.AuditResult is AuditResult
    with pytest.raises(AttributeError, match="nothing_such"):
        fairlora.nothing_such  # noqa: B018


def test_an_attribute_that_tells_the_label_is_said_to() -> None:
    labels = [0, 0, 1, 1]
    told = audit(labels, labels, {"sex": ["m", "m", "f", "f"], "hair": ["a", "b", "a", "b"]})
    warnings = [w for w in told.to_dict()["warnings"] if "tells the label" in w]
    assert len(warnings) == 1
    assert warnings[0].startswith("sex")


@pytest.mark.parametrize(
    ("labels", "group"),
    [([1] * 6, list("aaabbb")), ([0, 1, 0, 1, 0, 1], list("abcdef"))],
    ids=["one class alone", "an id column"],
)
def test_groups_of_one_class_need_not_tell_the_label(labels: list[int], group: list[str]) -> None:
    """Where all rows are of one class, or all groups of one row, it is no news about groups."""
    found = audit(labels, [1, 1, 1, 1, 1, 0], {"g": group}).to_dict()
    assert not [w for w in found["warnings"] if "tells the label" in w]

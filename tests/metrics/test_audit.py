"""The audit as a whole: what it takes, what it refuses, and the object that it gives."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import fairlora
from fairlora.errors import InputError
from fairlora.metrics import AuditResult, audit, audit_predictions
from fairlora.predictions import Predictions

LABELS = [1, 1, 0, 0, 1, 0, 1, 0]
PREDICTED = [1, 0, 0, 1, 1, 0, 1, 0]
SEX = ["f", "f", "f", "f", "m", "m", "m", "m"]
POSITIVE = [0.9, 0.3, 0.05, 0.6, 0.8, 0.1, 0.7, 0.4]


def small(**options: Any) -> AuditResult:
    """The audit of the eight rows above."""
    options = {"positive": 1, "min_group": 1, **options}
    return audit(LABELS, PREDICTED, {"sex": SEX}, POSITIVE, **options)


# What it takes.


def as_words(values: list[int]) -> list[str]:
    return [str(v) for v in values]


@pytest.mark.parametrize(
    "kind",
    [
        tuple,
        np.array,
        torch.tensor,
        pd.Series,
        as_words,
        lambda v: np.array(v, dtype=bool),
        lambda v: np.array(v, dtype=float),
        lambda v: np.array(v, dtype=object),
        lambda v: pd.Series(v, dtype="Int64"),
        lambda v: pd.Series(as_words(v), dtype="category"),
        lambda v: torch.tensor(v, dtype=torch.int8),
    ],
    ids=[
        "tuple",
        "numpy",
        "torch",
        "pandas",
        "words",
        "bool",
        "float",
        "object",
        "nullable",
        "category",
        "int8",
    ],
)
def test_labels_of_every_kind_give_the_same_audit(kind: Callable[[list[int]], Any]) -> None:
    result = audit(
        kind(LABELS), kind(PREDICTED), {"sex": pd.Series(SEX)}, POSITIVE, positive=1, min_group=1
    )
    assert result.to_dict() == small().to_dict()


@pytest.mark.parametrize(
    "probs",
    [
        [[1 - p, p] for p in POSITIVE],
        np.array(POSITIVE, dtype=np.float32),
        torch.tensor([[1 - p, p] for p in POSITIVE], requires_grad=True),
        pd.DataFrame({"no": [1 - p for p in POSITIVE], "yes": POSITIVE}),
    ],
    ids=["lists", "of the positive", "torch", "pandas"],
)
def test_probabilities_of_every_kind_give_the_same_audit(probs: Any) -> None:
    result = audit(LABELS, PREDICTED, {"sex": SEX}, probs, positive=1, min_group=1)
    got, expected = result.to_dict(), small().to_dict()
    for name in ("ece", "brier", "nll", "confidence_gap"):
        assert got["overall"][name]["value"] == pytest.approx(expected["overall"][name]["value"])


def test_one_column_of_probabilities_is_of_the_positive_class() -> None:
    words = ["yes" if y else "no" for y in LABELS]
    groups = {"sex": SEX}
    of_yes = audit(words, words, groups, POSITIVE, positive="yes").to_dict()
    of_no = audit(words, words, groups, [1 - p for p in POSITIVE], positive="no").to_dict()
    assert of_yes["classes"] == ["no", "yes"]
    assert of_no["overall"]["brier"]["value"] == pytest.approx(of_yes["overall"]["brier"]["value"])


def test_integer_groups_and_missing_values() -> None:
    def names(values: Any) -> set[str]:
        found = audit(LABELS[:3], PREDICTED[:3], {"g": values}).to_dict()
        return set(found["by_group"]["g"])

    assert names(torch.tensor([3, 4, 3])) == {"3", "4"}
    assert names(["a", None, float("nan")]) == {"a", "(missing)"}
    assert names(np.array([1, np.nan, 2], dtype=np.float32)) == {"1.0", "2.0", "(missing)"}
    assert names(pd.Series(["a", None, "b"], dtype="string")) == {"a", "b", "(missing)"}
    assert names(pd.Series([1, None, 2], dtype="Int64")) == {"1", "2", "(missing)"}
    assert names([["a", "bc"], None, ["bc", None]]) == {"a", "bc", "(missing)"}
    assert names([["a", "bc"], "bc", ("a",)]) == {"a", "bc"}


def test_classes_may_be_named_and_indexed() -> None:
    names = ["cat", "dog", "owl"]
    by_index = audit([0, 1, 1], [0, 1, 0], {"g": ["a", "a", "b"]}, classes=names).to_dict()
    by_name = audit(
        ["cat", "dog", "dog"], ["cat", "dog", "cat"], {"g": ["a", "a", "b"]}, classes=names
    ).to_dict()
    assert by_index == by_name
    assert by_index["classes"] == names
    tpr = by_index["by_group"]["g"]["a"]["tpr"]["by_class"]
    assert tpr["dog"]["value"] == 1
    assert tpr["owl"]["value"] is None


def test_numbers_are_ordered_by_size_and_words_by_letter() -> None:
    assert audit([10, 9], [9, 9], {"g": ["a", "b"]}).to_dict()["classes"] == ["9", "10"]
    assert audit(["10", "9"], ["9", "9"], {"g": ["a", "b"]}).to_dict()["classes"] == ["10", "9"]


def test_a_predictions_table_gives_the_same_audit_and_its_own_losses() -> None:
    p = np.array(POSITIVE)
    table = Predictions(
        ids=np.arange(8),
        split=np.full(8, "test"),
        labels=np.array(LABELS),
        predictions=np.array(PREDICTED),
        classes=("0", "1"),
        groups={"sex": np.array(SEX)},
        probs=np.stack([1 - p, p], axis=1).astype(np.float32),
    )
    assert audit_predictions(table, positive="1", min_group=1).to_dict() == small().to_dict()
    losses = np.arange(8, dtype=np.float32)
    content = small(loss=losses).to_dict()
    assert content["overall"]["mean_loss"]["value"] == 3.5
    assert content["disparities"]["sex"]["loss_variance"]["value"] == 4


# What it refuses.

OK: dict[str, Any] = {"labels": [0, 1, 1], "predictions": [0, 1, 0], "groups": {"g": list("aba")}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [], "predictions": [], "groups": {}}, "labels: no rows"),
        ({"predictions": [0, 1]}, "predictions: another length (found 2; expected 3)"),
        ({"groups": {"g": ["a"]}}, "groups['g']: another length (found 1; expected 3)"),
        ({"labels": [0, None, 1]}, "labels, row 2: missing value"),
        ({"labels": ["x", "y", float("nan")]}, "labels, row 3: missing value"),
        ({"labels": [0.0, 0.5, 1.0]}, "labels, row 2: a label must be a class (found 0.5)"),
        ({"predictions": [0, float("nan"), 1]}, "predictions, row 2"),
        ({"labels": [[0], [1], [1]]}, "labels: not one value a row (found shape (3, 1))"),
        ({"labels": pd.Series([0, None, 1], dtype="Int64")}, "labels, row 2"),
        ({"positive": "x"}, "positive: no such class (found 'x'; expected one of 0, 1)"),
        ({"positive": "x", "probs": [0.1, 0.2, 0.3]}, "positive: no such class (found 'x'"),
        ({"classes": ["a", "b"], "labels": list("aca")}, "labels: a label is none of the classes"),
        ({"classes": ["a", "b"], "labels": [0, 2, 0]}, "labels: class index out of range"),
        ({"probs": [[0.5, 0.5]]}, "probs: probabilities of another shape (found (1, 2)"),
        ({"probs": [0.1, 0.2, 1.3]}, "probs, row 3: not probabilities"),
        ({"probs": [[0.5, 0.5], [0.7, 0.7], [1, 0]]}, "probs, row 2: not probabilities"),
        ({"probs": [0.1, float("nan"), 0.3]}, "probs, row 2: not probabilities"),
        ({"probs": ["high", "low", "low"]}, "probs: not numbers"),
        ({"loss": [1.0, 2.0]}, "loss: losses of another shape (found (2,); expected (3,))"),
        ({"loss": [1.0, float("inf"), 2.0]}, "loss, row 2: not a finite number"),
        ({"loss": ["much", "less", "none"]}, "loss: not numbers"),
        ({"bins": 0}, "bins: too few bins (found 0"),
        ({"confidence": "high"}, "confidence: unknown confidence (found 'high'"),
        (
            {"confidence": "positive", "labels": [0, 1, 2]},
            "confidence: confidence='positive' needs two classes (found 3)",
        ),
    ],
)
def test_bad_input_is_refused_with_its_place(change: dict[str, Any], message: str) -> None:
    assert audit(**OK).to_dict()["n"] == 3
    with pytest.raises(InputError) as caught:
        audit(**(OK | change))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


# What it says.


def test_the_json_has_the_documented_layout() -> None:
    result = small()
    content = json.loads(result.to_json())
    assert content == result.to_dict()
    assert list(content) == [
        "n",
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


HOSTILE = [
    "<script>alert(1)</script>",
    '"; drop',
    "ünïcode 日本",
    "a|b",
    "[red]x[/red]",
    "all",
    "n",
]


def test_hostile_names_come_through_and_do_no_harm(tmp_path: Path) -> None:
    rows = list(range(len(HOSTILE))) * 2
    result = audit(
        [k % 2 for k in rows],
        [k % 2 for k in rows],
        {"<b>g</b>": [HOSTILE[k] for k in rows]},
        positive=1,
        min_group=1,
    )
    assert set(json.loads(result.to_json())["by_group"]["<b>g</b>"]) == set(HOSTILE)
    page = tmp_path / "deep" / "audit.html"
    result.to_html(page, title="An <i>audit</i>")
    html = page.read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "<i>audit" not in html
    assert "ünïcode 日本" in html
    text = result.to_markdown("The title")
    assert text.startswith("# The title")
    assert "ünïcode 日本" in text


def test_the_package_gives_the_audit_when_asked() -> None:
    assert fairlora.audit is audit
    assert fairlora.AuditResult is AuditResult
    with pytest.raises(AttributeError, match="nothing_such"):
        fairlora.nothing_such  # noqa: B018


# What it costs.


def loaded_after(code: str) -> set[str]:
    """The modules that a fresh Python has loaded after some code."""
    code += "\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_an_audit_loads_neither_torch_nor_pandas() -> None:
    loaded = loaded_after(
        "import fairlora; fairlora.audit([0, 1], [0, 1], {'g': ['a', 'b']}, [0.1, 0.9],"
        " min_group=1).to_json()"
    )
    assert "fairlora.metrics.audit" in loaded
    assert not loaded & {"torch", "pandas", "matplotlib", "scipy.stats", "transformers"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = loaded_after("import fairlora")
    assert "fairlora" in loaded
    assert not loaded & {"numpy", "torch", "pandas", "scipy", "matplotlib", "pyarrow", "rich"}


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


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_loss_that_is_not_finite_is_refused_and_not_written_as_json(bad: float) -> None:
    table = Predictions(
        ids=np.array(["p", "q"]),
        split=np.full(2, "test"),
        labels=np.array([0, 1]),
        predictions=np.array([0, 1]),
        classes=("no", "yes"),
        groups={"g": np.array(["a", "b"])},
        loss=np.array([0.5, bad], dtype=np.float32),
    )
    with pytest.raises(InputError, match="loss of row q.*not a finite number"):
        audit_predictions(table)

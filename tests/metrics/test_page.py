"""An audit as a page: which numbers stand where, and how they are marked."""

from __future__ import annotations

from functools import partial
from typing import Any

from fairlora.metrics import audit
from fairlora.metrics.content import Number
from fairlora.metrics.page import audit_page
from fairlora.metrics.tables import metric_text, with_interval

LABELS = [0, 1] * 20 + [0, 1]
PREDICTED = [0, 1] * 10 + [0, 0] * 10 + [1, 0]
GROUPS = ["good"] * 20 + ["bad"] * 20 + ["tiny"] * 2


def page() -> Any:
    probs = [[0.8, 0.2] if h == 0 else [0.2, 0.8] for h in PREDICTED]
    return audit_page(
        audit(LABELS, PREDICTED, {"skin": GROUPS}, probs, positive=1).content, "The audit"
    )


def table(title: str) -> dict[str, dict[str, Any]]:
    """First cell's text -> column name -> cell."""
    found = next(t for t in page()["tables"] if t["title"] == title)
    columns = [c["name"] for c in found["columns"]]
    return {
        row["cells"][0]["text"]: dict(zip(columns, row["cells"], strict=True))
        for row in found["rows"]
    }


def test_groups_stand_with_their_numbers_and_marks() -> None:
    rows = table("By skin")
    assert list(rows) == ["bad", "good", "tiny"]
    assert rows["good"]["Accuracy"]["text"] == "100.0 [83.9, 100.0]"
    assert rows["bad"]["TPR"]["text"] == "0.0"
    assert rows["bad"]["n"]["text"] == "20"
    # The worst is the worst of those large enough to tell.
    assert [rows[g]["skin"]["mark"] for g in rows] == ["worst", None, "small"]


def test_disparities_stand_with_their_place() -> None:
    rows = table("Disparities by skin")
    gap = rows["Accuracy gap (best - worst)"]
    assert (gap["Value"]["text"], gap["Where"]["text"]) == (
        "50.0 [24.3, 70.1]",
        "best good, worst bad",
    )
    eod = rows["Equalized odds difference"]
    assert eod["Value"]["text"].startswith("100.0 [")
    assert eod["Where"]["text"] == (
        "class 1, TPR, largest good, smallest bad, left out: tiny: all (2 rows)"
    )
    variance = rows["Variance of the groups' losses"]
    assert variance["Value"]["text"].startswith("0.")


def test_the_overall_table_has_the_accuracy_with_its_interval() -> None:
    rows = table("Overall")
    assert rows["Accuracy"]["Value"]["text"].startswith("71.4 [")
    assert rows["Calibration error (ECE)"]["Value"]["text"] != "undefined"


def test_the_page_names_its_facts_and_repeats_the_warnings() -> None:
    whole = page()
    facts = {fact["name"]: fact["value"] for fact in whole["facts"]}
    assert facts == {"Rows": "42", "Classes": "0, 1", "Positive class": "1"}
    assert [note for note in whole["notes"] if "tiny" in note]
    assert [note for note in whole["notes"] if "not evidence of fairness" in note]
    points = {row["label"]: row["points"][0] for row in whole["dots"][0]["panels"][0]["rows"]}
    assert points["bad"]["value"] == 0.5
    assert points["bad"]["low"] < 0.5 < points["bad"]["high"]


def test_shares_are_in_percent_and_losses_as_they_are() -> None:
    number = Number(value=0.1234, low=0.1, high=0.2)
    accuracy = partial(metric_text, "accuracy")
    assert with_interval(number, accuracy) == "12.3 [10.0, 20.0]"
    assert with_interval(number, accuracy, interval=False) == "12.3"
    assert with_interval(number, partial(metric_text, "brier"), interval=False) == "0.1234"
    nothing = Number.undefined("no rows")
    assert with_interval(nothing, accuracy, undefined="undefined") == "undefined"

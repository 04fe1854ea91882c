"""What an audit comes to: which gaps are beyond chance, and the sentence that leads the page."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairlora.metrics import audit
from fairlora.metrics.findings import beyond_chance, lead
from fairlora.metrics.names import GAPS, RATIOS
from fairlora.metrics.page import audit_page


def number(value: float | None, low: float | None, high: float | None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high}


@pytest.mark.parametrize("name", [*GAPS, "loss_variance"])
def test_a_gap_is_beyond_chance_where_its_interval_leaves_out_0(name: str) -> None:
    assert beyond_chance(name, number(0.2, 0.001, 0.3))
    assert not beyond_chance(name, number(0.2, 0.0, 0.3))
    assert not beyond_chance(name, number(0.2, None, None))
    assert not beyond_chance(name, number(None, None, None))


@pytest.mark.parametrize("name", RATIOS)
def test_a_ratio_is_beyond_chance_where_its_interval_leaves_out_1(name: str) -> None:
    assert beyond_chance(name, number(0.7, 0.5, 0.999))
    assert not beyond_chance(name, number(0.7, 0.5, 1.0))
    assert not beyond_chance(name, number(0.7, None, None))


@pytest.mark.parametrize("name", ["accuracy_worst", "f1_min", "auc_worst", "recall_min"])
def test_what_is_no_gap_is_never_beyond_chance(name: str) -> None:
    assert not beyond_chance(name, number(0.2, 0.1, 0.3))


def audited(worse: float, n: int = 2000, **options: Any) -> dict[str, Any]:
    """Group b is right less often by `worse`."""
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 2, n), rng.choice(["a", "b", "c"], n)
    right = rng.random(n) < np.where(groups == "b", 0.9 - worse, 0.9)
    predicted = np.where(right, labels, 1 - labels)
    given = {"positive": 1, "bootstrap": 300, **options}
    return audit(labels, predicted, {"skin": groups}, **given).to_dict()


def test_the_sentence_names_the_worst_group_and_what_is_beyond_chance() -> None:
    content = audited(0.2)
    sentence = lead(content)
    worst = content["disparities"]["skin"]["accuracy_worst"]["value"]
    assert sentence.startswith(f"By skin, accuracy is lowest for b ({100 * worst:.1f} %, ")
    assert "; chance alone would give " in sentence
    assert "Beyond chance: accuracy gap" in sentence
    assert audit_page(content, "Audit")["lead"] == sentence


def test_the_sentence_counts_the_gaps_where_none_is_beyond_chance() -> None:
    content = audited(0.0, 200)
    numbers = content["disparities"]["skin"]
    assert not any(beyond_chance(name, one) for name, one in numbers.items())
    assert lead(content).endswith(". None of 5 gaps is beyond chance.")


def test_without_draws_nothing_is_said_of_chance() -> None:
    assert "chance alone" not in lead(audited(0.2, bootstrap=0))


def test_each_attribute_has_its_sentence() -> None:
    labels = [0, 1] * 50
    groups = {"sex": ["f"] * 50 + ["m"] * 50, "age": ["old", "old", "young", "young"] * 25}
    sentence = lead(audit(labels, labels, groups, positive=1, bootstrap=0).to_dict())
    assert sentence.count("accuracy is 100.0 % for all groups alike") == 2
    assert "By sex, " in sentence
    assert "By age, " in sentence


def test_one_group_alone_has_no_sentence() -> None:
    labels = [0, 1] * 50
    content = audit(labels, labels, {"g": ["a"] * 100}, positive=1, bootstrap=0).to_dict()
    assert lead(content) == ""
    assert "lead" not in audit_page(content, "Audit")


def test_the_page_marks_exactly_what_is_beyond_chance() -> None:
    content = audited(0.2)
    page = audit_page(content, "Audit")
    table = next(t for t in page["tables"] if t["title"] == "Disparities by skin")
    marked = {row["cells"][0]["text"]: row["cells"][1].get("mark") for row in table["rows"]}
    numbers = content["disparities"]["skin"]
    assert marked["Accuracy gap (best - worst)"] == "beyond"
    ratio = "beyond" if numbers["dp_ratio"]["high"] < 1 else None
    assert marked["Demographic parity ratio"] == ratio
    assert marked["Worst group's accuracy"] is None

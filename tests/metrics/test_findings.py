"""What an audit comes to: which gaps are beyond chance, and the sentence that leads the page."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from fairlora.metrics import audit
from fairlora.metrics.content import AuditContent, Number
from fairlora.metrics.findings import beyond_chance, lead, lowest_groups
from fairlora.metrics.labels import GAPS, RATIOS
from fairlora.metrics.page import audit_page


def number(value: float | None, low: float | None, high: float | None) -> Number:
    return Number(value=value, low=low, high=high)


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


def audited(worse: float, n: int = 2000, **options: Any) -> AuditContent:
    """Group b is right less often by `worse`."""
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 2, n), rng.choice(["a", "b", "c"], n)
    right = rng.random(n) < np.where(groups == "b", 0.9 - worse, 0.9)
    predicted = np.where(right, labels, 1 - labels)
    given = {"positive": 1, "bootstrap": 300, **options}
    return audit(labels, predicted, {"skin": groups}, **given).content


def test_the_lead_gives_size_interval_and_what_chance_explains() -> None:
    content = audited(0.2)
    numbers = content.disparities["skin"]
    gap, worst = numbers.accuracy_gap, numbers.accuracy_worst.value
    value, low, high, chance = (
        f"{100 * number:.1f}"
        for number in (gap.value, gap.low, gap.high, gap.expected_by_chance)
        if number is not None
    )
    assert lead(content).startswith(
        f"By skin, accuracy is lowest for b: {100 * (worst or 0):.1f} %, {value} points below "
        f"{gap.best} (95 % interval {low} to {high}). Chance does not explain it: the interval "
        "leaves out 0, as it does only where two groups differ beyond noise (without any "
        f"disparity, the gap of groups of these sizes would be {chance} points on average). "
    )
    assert audit_page(content, "Audit")["lead"] == lead(content)


def test_the_lead_counts_what_is_beyond_chance() -> None:
    content = audited(0.2)
    numbers = content.disparities["skin"].numbers()
    beyond = [beyond_chance(name, numbers[name]) for name in GAPS if name in numbers]
    assert 1 < sum(beyond) < 5
    assert lead(content).endswith(f" In all, {sum(beyond)} of 5 gaps are beyond chance.")


def test_what_is_not_shown_is_not_called_fair() -> None:
    content = audited(0.0, 200)
    numbers = content.disparities["skin"].numbers()
    assert not any(beyond_chance(name, one) for name, one in numbers.items())
    sentence = lead(content)
    assert "Chance may explain it: the interval reaches 0" in sentence
    assert sentence.endswith(
        " In all, none of 5 gaps is beyond chance, which does not show that there is no disparity."
    )
    assert "fair" not in sentence


def test_without_draws_nothing_is_said_of_the_gap_by_chance() -> None:
    assert "on average" not in lead(audited(0.2, bootstrap=0))


def two_attributes() -> AuditContent:
    """Accuracy: sex f 0.9, m 0.8; age old 0.75, young 0.95; f & old 0.8, ... m & old 0.7."""
    rows = {("f", "old"): 80, ("f", "young"): 100, ("m", "old"): 70, ("m", "young"): 90}
    groups: dict[str, list[str]] = {"sex": [], "age": []}
    labels: list[int] = []
    predicted: list[int] = []
    for (sex, age), right in rows.items():
        groups["sex"] += [sex] * 100
        groups["age"] += [age] * 100
        labels += [0, 1] * 50
        predicted += [k % 2 if k < right else 1 - k % 2 for k in range(100)]
    given: dict[str, Any] = {"positive": 1, "bootstrap": 200, "subgroups": 2}
    return audit(labels, predicted, groups, intersect=[("sex", "age")], **given).content


def test_the_worst_of_all_attributes_and_combinations_leads() -> None:
    content = two_attributes()
    gaps = {a: numbers.accuracy_gap for a, numbers in content.disparities.items()}
    assert [round(gap.value, 10) for gap in gaps.values()] == [0.1, 0.2, 0.3]
    content.subgroups = None
    assert lead(content).startswith(
        "By sex&age, accuracy is lowest for m & old: 70.0 %, 30.0 points below f & young (95 % "
    )
    del content.disparities["sex&age"]
    assert lead(content).startswith("By age, accuracy is lowest for old: 75.0 %, 20.0 points below")


def test_a_gap_that_is_shown_leads_before_a_larger_one_that_is_not() -> None:
    content = two_attributes()
    content.subgroups = None
    content.disparities["sex&age"].accuracy_gap.low = 0.0
    assert lead(content).startswith("By age, accuracy is lowest for old")


def test_another_metric_leads_where_it_is_surely_larger() -> None:
    labels = [0, 1] * 200
    predicted = [0] * 100 + [1] * 100 + [0, 1] * 100
    groups = ["never"] * 100 + ["always"] * 100 + ["both"] * 200
    content = audit(labels, predicted, {"g": groups}, positive=1, bootstrap=200).content
    assert content.disparities["g"].dpd.value == 1
    assert content.disparities["g"].accuracy_gap.value == 0.5
    number = content.disparities["g"].dpd
    low, high = (f"{100 * (end or 0):.1f}" for end in (number.low, number.high))
    assert lead(content).startswith(
        "By g, the demographic parity difference is 100.0 points (95 % interval "
        f"{low} to {high}; class 1, largest always, smallest never). Chance does not explain it"
    )


def test_the_searchs_subgroup_leads_where_it_is_the_worst() -> None:
    content = two_attributes()
    del content.disparities["sex&age"], content.disparities["age"]
    search = content.subgroups
    assert search is not None
    assert search.worst is not None
    sentence = lead(content)
    # 150 of 200 against 190 of 200: more standard errors off than 70 of 100 against 270 of 300.
    assert sentence.startswith(
        "Accuracy of the subgroup age: old is 75.0 %, 20.0 points below everyone outside it (95 % "
    )
    assert f"the worst of {search.tested} subgroups, and chance does not explain it" in sentence
    assert f"with p = {search.worst.p:.2g}." in sentence


def test_the_searchs_subgroup_is_told_where_it_does_not_lead() -> None:
    assert lead(two_attributes()).endswith(
        "gaps are beyond chance, and so is the worst subgroup of the search."
    )


def alike(groups: dict[str, int]) -> AuditContent:
    """Of 20 rows a group so many are right."""
    labels, predicted, names = [], [], []
    for name, right in groups.items():
        labels += [0, 1] * 10
        predicted += [k % 2 if k < right else 1 - k % 2 for k in range(20)]
        names += [name] * 20
    probs = [[0.6, 0.4] if h == 0 else [0.4, 0.6] for h in predicted]
    given: dict[str, Any] = {"positive": 1, "bootstrap": 0}
    return audit(labels, predicted, {"g": names}, probs, **given).content


def test_tied_groups_are_named_together() -> None:
    content = alike({"a": 18, "b": 10, "c": 10, "d": 18})
    assert lowest_groups(content.disparities["g"].accuracy_worst) == ["b", "c"]
    assert lead(content).startswith(
        "By g, accuracy is lowest for b and c: 50.0 %, 40.0 points below a and d (95 % "
    )
    page = audit_page(content, "Audit")
    table = next(t for t in page["tables"] if t["title"] == "By g")
    assert [row["cells"][0].get("mark") for row in table["rows"]] == [None, "worst", "worst", None]
    names = [panel["name"] for panel in page["reliability"][0]["panels"]]
    assert names == ["all", "b: lowest accuracy, as of 1 more"]


def test_nobody_is_the_worst_where_all_groups_are_alike() -> None:
    content = alike({"a": 10, "b": 10, "c": 10})
    assert lowest_groups(content.disparities["g"].accuracy_worst) == []
    sentence = lead(content)
    assert sentence.startswith("By g, accuracy is the same for every group (50.0 %).")
    assert "lowest" not in sentence
    page = audit_page(content, "Audit")
    table = next(t for t in page["tables"] if t["title"] == "By g")
    assert not any(row["cells"][0].get("mark") for row in table["rows"])
    assert [panel["name"] for panel in page["reliability"][0]["panels"]] == ["all"]


def test_a_lead_has_three_sentences_at_most() -> None:
    for content in (audited(0.2), audited(0.0), two_attributes(), alike({"a": 10, "b": 10})):
        assert len(re.findall(r"\.( |$)", lead(content))) <= 3


def test_one_group_alone_has_no_sentence() -> None:
    labels = [0, 1] * 50
    content = audit(labels, labels, {"g": ["a"] * 100}, positive=1, bootstrap=0).content
    assert lead(content) == ""
    assert "lead" not in audit_page(content, "Audit")


def test_the_page_marks_exactly_what_is_beyond_chance() -> None:
    content = audited(0.2)
    page = audit_page(content, "Audit")
    table = next(t for t in page["tables"] if t["title"] == "Disparities by skin")
    marked = {row["cells"][0]["text"]: row["cells"][1].get("mark") for row in table["rows"]}
    numbers = content.disparities["skin"]
    assert marked["Accuracy gap (best - worst)"] == "beyond"
    high = numbers.dp_ratio.high
    ratio = "beyond" if high is not None and high < 1 else None
    assert marked["Demographic parity ratio"] == ratio
    assert marked["Worst group's accuracy"] is None


def test_the_lead_says_that_small_groups_are_not_compared() -> None:
    """Group c is right least often, and too small to be compared."""
    groups = ["a"] * 20 + ["b"] * 20 + ["c"] * 4
    right = [1] * 18 + [0] * 2 + [1] * 14 + [0] * 6 + [0] * 4
    found = audit([1, 0] * 22, [y if r else 1 - y for y, r in zip([1, 0] * 22, right, strict=True)],
                  {"g": groups})  # fmt: skip
    assert "lowest for b among groups of 10 rows or more: 70.0 %" in lead(found.content)
    assert "lowest for b among" in repr(found)

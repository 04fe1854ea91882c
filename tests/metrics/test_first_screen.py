"""The first screen: ranked findings, the picture of the first, what could not be told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairlora.metrics import audit, compare
from fairlora.metrics.comparison.content import Verdict, Verdicts
from fairlora.metrics.comparison.first_screen import findings, limits
from fairlora.metrics.comparison.first_screen import first_screen as compared_screen
from fairlora.metrics.first_screen import first_screen


def drawn(n: int = 3000) -> tuple[Any, Any, dict[str, Any]]:
    """By "one" 30 points of accuracy apart, by "two" nothing but chance."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, n)
    one, two = rng.choice(["a", "b"], n), rng.choice(["x", "y"], n)
    right = rng.random(n) < np.where(one == "b", 0.6, 0.9)
    return labels, np.where(right, labels, 1 - labels), {"two": two, "one": one}


def test_what_is_shown_comes_first_with_its_size() -> None:
    labels, predicted, groups = drawn()
    content = audit(labels, predicted, groups, bootstrap=200).content
    page = first_screen(content)
    findings = page["findings"]
    assert [one["verdict"] for one in findings] == ["shown"] * 2 + ["not shown"] * 2
    assert {one["topic"] for one in findings[:2]} == {"By one"}
    by_group, gap = content.by_group["one"], content.disparities["one"].accuracy_gap
    low, high = (f"{100 * (by_group[g].accuracy.value or 0):.1f}" for g in ("b", "a"))
    accuracy = next(one for one in findings if one["text"].startswith("Accuracy"))
    expected = f"Accuracy is lowest for one b: {low}\u00a0%, against {high}\u00a0% for a."
    assert accuracy["text"] == expected
    low, high = (f"{100 * (end or 0):.1f}" for end in (gap.low, gap.high))
    assert accuracy["size"] == f"{100 * (gap.value or 0):.1f} points [{low}, {high}]"


def test_the_picture_is_of_the_first_finding_beside_all_rows() -> None:
    labels, predicted, groups = drawn()
    content = audit(labels, predicted, groups, bootstrap=200).content
    page = first_screen(content)
    picture = page["picture"]
    assert [panel["name"] for panel in picture["panels"]] == ["one", "two"]
    assert page["findings"][0]["text"].startswith("Accuracy")
    points = {row["label"]: row["points"][0]["value"] for row in picture["panels"][0]["rows"]}
    assert points == {g: numbers.accuracy.value for g, numbers in content.by_group["one"].items()}
    assert picture["reference"] == content.overall.accuracy.value


def test_what_cannot_be_told_is_said() -> None:
    labels, predicted, groups = drawn(300)
    groups["two"] = [None, *groups["two"][1:]]
    content = audit(labels, predicted, groups, bootstrap=200).content
    limits = " ".join(first_screen(content)["limits"])
    assert "not shown to be beyond chance" in limits
    assert "is missed more often than one time in five" in limits
    assert content.warnings
    assert all(warning in limits for warning in content.warnings)


def test_groups_that_are_alike_fail_nobody() -> None:
    page = first_screen(audit([0, 1] * 20, [0, 1] * 20, {"g": ["a", "a", "b", "b"] * 10}).content)
    assert page["findings"][0]["text"] == "Accuracy is the same for every group of g."
    assert page["findings"][0]["verdict"] == "no gap"


@pytest.mark.parametrize("better", [True, False])
def test_a_comparison_says_who_is_better(better: bool) -> None:
    rng = np.random.default_rng(0)
    labels, group = rng.integers(0, 2, 2000), rng.choice(["a", "b"], 2000)
    good, bad = (np.where(rng.random(2000) < p, labels, 1 - labels) for p in (0.95, 0.7))
    ways = (good, bad) if better else (bad, good)
    content = compare(labels, *ways, {"g": group}, bootstrap=100).content
    page = compared_screen(content)
    first, second = (content.first, content.second)[:: 1 if better else -1]
    assert page["findings"][0]["text"] == f"{first} is better than {second} in accuracy."
    assert page["findings"][0]["mark"] == ("better" if better else "worse")
    picture = page["picture"]["panels"][0]["rows"]
    values = [row["points"][0]["value"] for row in picture]
    assert all((value > 0) is better for value in values)


def test_of_several_pairs_each_has_its_weightiest_first_and_equivalence_is_named() -> None:
    def row(verdict: Any, value: float) -> Verdict:
        known = {"value": value, "low": value - 0.01, "high": value + 0.01, "error": 0.005}
        more = {"first": 0.5, "second": 0.5 - value, "p": 0.01, "p_corrected": 0.02}
        return Verdict(verdict=verdict, margin=0.05, detectable=0.03, **known, **more)

    def pair(first: str, by: dict[str, dict[str, Verdict]], accuracy: Verdict) -> Verdicts:
        overall = {"accuracy": accuracy}
        return Verdicts(
            first=first, second="plain", n=100, overall=overall, disparities=by, by_group={}
        )

    large = {
        "sex": {"dpd": row("better", -0.3), "eod": row("better", -0.4)},
        "sex&label": {"dpd": row("better", -0.2)},
    }
    small = {"sex": {"dpd": row("worse", 0.1), "eod": row("inconclusive", 0.02)}}
    contents = [
        pair("one", large, row("equivalent", 0.004)),
        pair("two", small, row("equivalent", 0.001)),
    ]
    said = [(one["text"], one.get("size", "")[:4]) for one in findings(contents)]
    assert said == [
        ("one is better than plain in equalized odds difference by sex.", "40.0"),
        ("plain is better than two in demographic parity difference by sex.", "10.0"),
        ("one is better than plain in demographic parity difference by sex.", "30.0"),
        ("4 of 7 measures differ: 1 of them is in the tables alone.", ""),
        ("one and plain are equivalent in accuracy, within 5.0 points.", "0.4 "),
        ("2 of 7 measures are equivalent: any difference is within the margin.", ""),
        ("1 of 7 measures is shown neither to differ nor to be equivalent.", ""),
    ]
    assert limits(contents)[1] == (
        "A difference of less than 3.0 points in the equalized odds difference by sex is missed "
        "more often than one time in five."
    )

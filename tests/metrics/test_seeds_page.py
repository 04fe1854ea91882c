"""The page of a comparison over seeds, and verdicts as answers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from fairlora.metrics.comparison.content import ComparisonContent, Verdict
from fairlora.metrics.comparison.page import comparison_page
from fairlora.metrics.comparison.paired import compare_over_seeds
from fairlora.metrics.comparison.verdict_parts import answer
from fairlora.metrics.inputs import predictions_of
from fairlora.metrics.settings import Settings
from fairlora.report.latex import to_latex
from fairlora.report.markdown import to_markdown


def compared(seeds: int = 5, worse: float = 0.6, **options: Any) -> ComparisonContent:
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 2, 2000), rng.choice(["a", "b"], 2000)
    ways: tuple[dict[int, Any], dict[int, Any]] = ({}, {})
    for k in range(seeds):
        for way, rate in zip(ways, (0.9, worse), strict=True):
            right = rng.random(2000) < np.where(groups == "a", 0.9, rate)
            predicted = np.where(right, labels, 1 - labels)
            probs = np.where(predicted == 1, 0.8, 0.2)
            way[k] = predictions_of(labels, predicted, {"g": groups}, probs)
    settings = Settings(positive="1", bootstrap=200)
    return compare_over_seeds(*ways, settings, names=("LoRA", "<b>full</b>"), **options)


CONTENT = compared()


def test_the_page_has_every_difference_and_every_seed() -> None:
    page = comparison_page(CONTENT, "LoRA or not")
    assert page["title"] == "LoRA or not"
    row = CONTENT.overall["accuracy"]
    value, low, high = (f"{100 * number:.1f}" for number in (row.value, row.low, row.high))
    assert page["lead"].startswith(
        "On the same test rows (2,000) and over 5 seeds each, LoRA is better than <b>full</b> in "
        f"accuracy ({value} points [{low}, {high}])"
    )
    titles = [table["title"] for table in page["tables"]]
    glance = "Verdicts at a glance: LoRA against <b>full</b>"
    assert titles == [glance, "Overall", "Disparities by g", "Groups of g"]
    rows = [len(table["rows"]) for table in page["tables"]]
    assert rows == [9, 9, 9, 8]
    accuracy = page["tables"][1]["rows"][0]["cells"]
    assert accuracy[0]["text"] == "Accuracy"
    assert accuracy[1]["text"] == f"{100 * row.first:.1f} ± {100 * row.first_sd:.1f}"
    assert accuracy[-1] == {"text": "better", "mark": "better"}
    points = [one["points"][0] for one in page["dots"][0]["panels"][0]["rows"]]
    gap = CONTENT.disparities["g"]["accuracy_gap"]
    assert gap.per_seed in [point["marks"] for point in points]
    assert len(points) == 8  # the variance of losses is no share
    assert "LoRA" in to_markdown(page)
    assert "\\toprule" in to_latex(page)
    json.dumps(page, allow_nan=False)


def test_the_page_says_what_it_does_not_show() -> None:
    notes = " ".join(comparison_page(CONTENT, "x")["notes"])
    assert "not evidence of equality" in notes
    assert "more seeds do not make their part smaller" in notes
    one = compared(1)
    page = comparison_page(one, "x")
    assert "over one seed each" in page["lead"]
    assert any("one seed alone" in note for note in page["notes"])
    assert page["dots"][0]["panels"][0]["rows"][0]["points"][0]["marks"] == []
    varied = comparison_page(compared(3, ratio=0.25, margins={"dpd": 0.05, "brier": 0.1}), "x")
    assert "test rows that vary with the seed" in varied["lead"]
    assert "Nadeau and Bengio" in " ".join(varied["notes"])
    facts = {fact["name"]: fact["value"] for fact in varied["facts"]}
    assert facts["Margin of equivalence"] == "2 points, dpd 5.0, brier 0.1000"
    assert facts["Seeds"] == "0, 1, 2"


def verdict_of(word: str, **numbers: Any) -> Verdict:
    """A verdict that has these numbers alone."""
    required = [name for name, field in Verdict.model_fields.items() if field.is_required()]
    return Verdict(**{**dict.fromkeys(required), "verdict": word, **numbers})


def test_verdicts_are_answers() -> None:
    said = {
        "better": "fairer",
        "worse": "less fair",
        "different": "different",
        "equivalent": "equivalent (within 2.0)",
        "inconclusive": "not shown (could find 3.1)",
        "undefined": "undefined: too few rows",
    }

    def text(value: float) -> str:
        return f"{100 * value:.1f}"

    for word, expected in said.items():
        row = verdict_of(word, margin=0.02, detectable=0.031, reason="too few rows")
        assert answer(row, text, could="could find ") == expected
    row = verdict_of("inconclusive", detectable=1.4)
    assert answer(row, text, most=1.0) == "not shown (none)"
    assert answer(verdict_of("inconclusive"), text) == "not shown"
    assert answer(verdict_of("better"), text, words={}) == "better"

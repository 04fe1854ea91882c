"""The summary of verdicts says first how many answers there are of each kind."""

from __future__ import annotations

from typing import Any

import pytest

from fairlora.errors import InputError
from fairlora.metrics import Settings
from fairlora.metrics.comparison.content import ComparisonContent, Verdict
from fairlora.metrics.comparison.paired import compare_predictions
from fairlora.metrics.inputs import predictions_of
from fairlora.study.report.comparisons import pairs_of
from fairlora.study.report.results import ArmResult, Axes, Setting
from fairlora.study.report.verdicts import verdict_summary
from fairlora.study.spec.expand import expand
from fairlora.study.spec.presets import read_preset


def row(word: str, detectable: float = 0.031) -> Verdict:
    required = [name for name, field in Verdict.model_fields.items() if field.is_required()]
    numbers: dict[str, Any] = {"value": 0.05, "margin": 0.02, "detectable": detectable}
    return Verdict(**{**dict.fromkeys(required), "verdict": word, **numbers})


def content_of(names: tuple[str, str], measures: dict[str, Verdict]) -> ComparisonContent:
    table = predictions_of([0, 1], [0, 1], {"race": ["a", "b"]})
    content = compare_predictions(table, table, Settings(bootstrap=0), names=names)
    return content.model_copy(update={"disparities": {"race": measures}})


def test_a_summary_counts_what_it_shows() -> None:
    measures = {
        "accuracy_worst": row("worse"),
        "accuracy_gap": row("inconclusive"),
        "dpd": row("inconclusive"),
        "eod": row("equivalent"),
        "recall_min": row("better"),  # in the full table alone
    }
    content = content_of(("LoRA", "full"), measures)
    table = verdict_summary([("", content)])
    assert table["caption"].startswith("4 answers: 1 less fair, 1 equivalent, 2 not shown. First")
    texts = [cell["text"] for cell in table["rows"][0]["cells"]]
    assert texts[:5] == [
        "LoRA against full",
        "less fair, 5.0",
        "not shown (3.1)",
        "not shown (3.1)",
        "equivalent (within 2.0)",
    ]


def test_what_no_difference_can_reach_is_not_said_to_be_found() -> None:
    blind = row("inconclusive", detectable=1.4)
    measures = {"accuracy_gap": blind, "loss_variance": blind}
    content = content_of(("a", "b"), measures)
    cells = [cell["text"] for cell in verdict_summary([("", content)])["rows"][0]["cells"]]
    # A variance has no largest value.
    assert "not shown (none)" in cells
    assert "not shown (1.4)" in cells


def test_a_summary_of_nothing_counts_nothing() -> None:
    assert verdict_summary([])["caption"].startswith("First minus second")


def test_named_methods_with_ranks_of_their_own_are_compared() -> None:
    small = "{label: small, adapter: {kind: lora, rank: 2}}"
    large = "{label: large, adapter: {kind: lora, rank: 8}}"
    named = ["compare.pairs=[[small, large]]", f"methods=[{small}, {large}]"]
    study = read_preset("demo", named)
    members = [ArmResult(arm, (), arm.method) for arm in expand(study)]
    found = pairs_of(study, Setting("", members, Axes(()), ()))
    assert [(a.name, b.name) for _, a, b in found] == [("small", "large")]


def test_a_pair_of_which_no_arms_go_together_is_refused() -> None:
    swept = ["ranks=[2, 8]", "methods=[lora, {label: small, adapter: {kind: dora, rank: 4}}]"]
    with pytest.raises(InputError, match=r"compare\.pairs.*LoRA and small"):
        expand(read_preset("demo", [*swept, "compare.pairs=[[LoRA, small]]"]))

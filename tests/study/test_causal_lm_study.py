"""A study that trains on several sets: each by itself, and every method over the sets."""

from __future__ import annotations

from typing import Any

import pytest

from fairlora.data.tiny import write_tiny
from fairlora.models.tiny_language import write_tiny_language_model
from fairlora.study import RunFolder
from fairlora.study.report.causal_lm_study import language_study_parts
from fairlora.study.report.measures import Run
from fairlora.study.report.page import settings_of
from fairlora.study.report.results import ArmResult, Results
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.prepare import prepare
from fairlora.study.spec.expand import expand
from fairlora.study.spec.study import StudySpec

pytest.importorskip("sacrebleu")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudySpec, Results]:
    root = tmp_path_factory.mktemp("sets")
    model = write_tiny_language_model("meta-llama/Llama-2-7b-hf", root / "llama")
    content: dict[str, Any] = {
        "name": "sets",
        "data": {"name": "winomt", **write_tiny("winomt", root / "winomt", rows=60)},
        "models": [{"id": str(model), "max_length": 96}],
        "methods": ["base", "lora", "full"],
        "vary": {"data.set": ["balanced", "pro-stereotype"]},
        "seeds": [0],
        "training": {"max_steps": 2, "learning_rate": 0.01, "batch_size": 4, "select": "last"},
        "probes": {"translation": {"max_new_tokens": 3}},
    }
    spec = StudySpec.model_validate(content)
    arms = []
    for k, arm in enumerate(expand(spec)):
        folder = RunFolder(root / str(k))
        run_cell(prepare(arm.spec), folder)
        arms.append(ArmResult(arm, (Run(folder, arm.spec, folder.metrics()),)))
    return spec, Results(tuple(arms))


def test_every_method_is_held_against_itself_on_the_other_set(
    study: tuple[StudySpec, Results],
) -> None:
    parts = language_study_parts(settings_of(*study))
    titles = [table["title"] for table in parts.tables]
    assert "Translations by the stereotype of the occupation (set balanced)" in titles
    assert titles[-1] == "What does another setting change? (Translation)"
    across = {(row["first_name"], row["second_name"]) for row in parts.verdicts[-12:]
              if row["setting"] == ""}  # fmt: skip
    assert across == {
        ("LoRA, set pro-stereotype", "LoRA, set balanced"),
        ("full, set pro-stereotype", "full, set balanced"),
    }
    within = {row["first_name"] for row in parts.verdicts if row["setting"] == "set balanced"}
    assert within == {"LoRA", "full"}
    last = parts.charts[-1]
    assert last["title"] == "Translations by stereotype (settings side by side)"
    assert [one["name"] for one in last["series"]] == [
        "base",  # untrained, and so the same for both
        "LoRA, set balanced",
        "full, set balanced",
        "LoRA, set pro-stereotype",
        "full, set pro-stereotype",
    ]


def test_one_set_alone_has_nothing_beside_it(study: tuple[StudySpec, Results]) -> None:
    settings = settings_of(*study)
    parts = language_study_parts(settings[:1])
    assert not any("another setting" in table["title"] for table in parts.tables)
    assert {row["setting"] for row in parts.verdicts} == {"set balanced"}

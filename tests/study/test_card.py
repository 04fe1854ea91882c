"""The model card: what the hub reads is what the audit found, and nothing of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import HfApi, ModelCard

from fairlora.errors import InputError
from fairlora.study import RunFolder, parse_spec
from fairlora.study.report.card import model_card, push, weights_folder
from fairlora.study.report.measures import Run
from fairlora.study.report.summary import read_runs
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.prepare import prepare


@pytest.fixture(scope="module")
def run(tiny_vit: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("carded") / "run"
    spec = parse_spec(
        {
            "name": "birds: *a* test",
            "data": {"name": "people-emoji", "renderers": ["fluent"]},
            "model": {"id": str(tiny_vit)},
            "adapter": {"kind": "lora", "rank": 2},
            "training": {"max_steps": 1, "select": "last"},
            "audit": {"positive": "male"},
        }
    )
    run_cell(prepare(spec), RunFolder(folder))
    return read_runs([folder])[0]


def test_the_hub_reads_what_the_audit_found(run: Run) -> None:
    card = ModelCard(model_card(run))
    assert card.data.library_name == "peft"
    assert card.data.pipeline_tag == "image-classification"
    assert card.data.base_model is None  # a folder of this machine
    audit = run.audit
    results = {result.metric_name: result for result in card.data.eval_results}
    overall = audit["overall"]["accuracy"]["value"]
    assert results["accuracy"].metric_value == pytest.approx(overall, abs=5e-5)
    attribute, groups = next(iter(audit["by_group"].items()))
    for group, numbers in groups.items():
        named = results[f"accuracy, {attribute} {group}"]
        assert named.metric_value == pytest.approx(numbers["accuracy"]["value"], abs=5e-5)
        assert named.metric_args["rows"] == numbers["n"]
        assert named.metric_args["low"] <= named.metric_value <= named.metric_args["high"]


def test_people_read_groups_limits_and_settings(run: Run) -> None:
    text = model_card(run)
    assert "# birds: \\*a\\* test" in text
    for group in next(iter(run.audit["by_group"].values())):
        assert f"**{group}**" in text or f"| {group} |" in text
    assert "## What this does not show" in text
    settings = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    assert settings["adapter"]["rank"] == 2
    assert settings["model"]["id"] == Path(run.spec.model.id).name


def test_no_folder_of_this_machine_is_in_it(run: Run) -> None:
    text = model_card(run)
    assert str(run.folder.path) not in text
    assert str(Path(run.spec.model.id).parent) not in text


def test_a_push_takes_the_weights_and_the_card(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(HfApi, "create_repo", lambda self, name, **k: told.update(made=(name, k)))
    monkeypatch.setattr(HfApi, "upload_folder", lambda self, **k: told.update(folder=k))
    monkeypatch.setattr(HfApi, "upload_file", lambda self, **k: told.update(file=k))
    assert push(run, "me/birds") == "https://huggingface.co/me/birds"
    assert told["made"] == ("me/birds", {"private": True, "exist_ok": True})
    assert told["folder"]["folder_path"] == weights_folder(run)
    assert told["file"]["path_in_repo"] == "README.md"
    assert told["file"]["path_or_fileobj"].decode() == model_card(run)


def test_what_the_hub_refuses_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="not a repository"):
        push(run, "birds")

    def refuse(self: HfApi, name: str, **_: Any) -> None:
        raise OSError("no token\nand more")

    monkeypatch.setattr(HfApi, "create_repo", refuse)
    with pytest.raises(InputError, match=r"does not take this run \(found no token"):
        push(run, "me/birds")

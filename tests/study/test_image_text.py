"""Vision-language models in runs and studies: trained, predicted, audited, attacked, and proved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fairlora.errors import InputError
from fairlora.models import load_finetuned, load_image_text, save_merged
from fairlora.models.tiny_image_text import write_tiny_image_text
from fairlora.predictions import read_predictions
from fairlora.probes.embedding import embed
from fairlora.study import RunFolder, parse_spec
from fairlora.study.engines.inline import InlineEngine
from fairlora.study.export.writing import export_model
from fairlora.study.membership.scores import Trial, scores_of
from fairlora.study.report.from_disk import report_study
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.plan import plan_study
from fairlora.study.runs.predict import predict_with
from fairlora.study.runs.prepare import prepare
from fairlora.study.runs.runner import StudyRunner
from fairlora.study.runs.sizes import Sizing
from fairlora.study.spec.run import RunSpec
from fairlora.study.spec.smoke import smoke_study
from fairlora.study.spec.study import parse_study, read_study
from fairlora.study.tasks import make_task
from fairlora.training.datasets import inputs_of_rows, logits_of

MODEL = {"prompt": "A woman or a man?", "answers": {"female": "woman", "male": "man"}}
DATA = {"name": "people-emoji", "renderers": ["noto"], "train_rows": 40}


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_image_text("llava", tmp_path_factory.mktemp("vlm") / "llava")


def spec_of(path: Path, **sections: Any) -> RunSpec:
    return parse_spec(
        {
            "data": DATA,
            "model": {"id": str(path), **MODEL, **sections.pop("model", {})},
            "adapter": {"kind": "lora", "rank": 2},
            "training": {"max_steps": 2, "batch_size": 8, "learning_rate": 1e-2,
                         "select": "last", "predict_train": "all",
                         **sections.pop("training", {})},
            "audit": {"positive": "male", "min_group": 2},
            **sections,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def ran(llava: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    """A run of each way: as it is, LoRA with the fairness objective, and in full."""
    root = tmp_path_factory.mktemp("runs")
    ways: dict[str, dict[str, Any]] = {
        "base": {"adapter": {"kind": "base"}},
        "lora": {"objective": {"name": "loss-variance", "groups": "skin_tone"},
                 "queries": ["flip"]},
        "full": {"adapter": {"kind": "full"}, "training": {"max_steps": 1, "precision": "bfloat16"},
                 "model": {"answer_score": "mean"}},
    }  # fmt: skip
    found = {}
    for name, sections in ways.items():
        folder = RunFolder(root / name)
        run_cell(prepare(spec_of(llava, **sections)), folder)
        found[name] = folder
    return found


def test_runs_are_proved_audited_and_say_their_rows(ran: dict[str, RunFolder]) -> None:
    for name, folder in ran.items():
        metrics = folder.metrics()
        assert metrics["proved"]["largest"] < (5e-2 if name == "full" else 1e-3)
        assert "skin_tone" in metrics["audit"]["by_group"]
        table = read_predictions(folder.predictions)
        assert table.classes == ("female", "male")
        assert table.probs is not None
        np.testing.assert_allclose(table.probs.sum(axis=1), 1, atol=1e-5)
        assert np.isfinite(table.margin).all()
    assert ran["base"].metrics()["parameters"]["trainable"] == 0
    assert ran["base"].metrics()["method"] == "base"
    assert ran["lora"].query("flip").is_file()
    log = (ran["lora"].path / "log.jsonl").read_text()
    assert "loss/dark" in log


def test_a_trained_run_answers_otherwise_than_its_base(ran: dict[str, RunFolder]) -> None:
    probs = {name: read_predictions(folder.predictions).probs for name, folder in ran.items()}
    assert np.abs(probs["lora"] - probs["base"]).max() > 1e-3
    flipped = read_predictions(ran["lora"].query("flip")).probs
    assert np.abs(flipped - probs["lora"]).max() > 1e-6


def test_a_folder_holds_the_question_and_loads_alone(ran: dict[str, RunFolder]) -> None:
    card = json.loads((ran["lora"].path / "adapter" / "fairlora.json").read_text())
    assert card["kind"] == "image-text"
    assert (card["prompt"], card["answers"]) == (MODEL["prompt"], ["woman", "man"])
    loaded = load_finetuned(str(ran["lora"].path))
    assert loaded.kind == "image-text"
    assert loaded.classes == ("female", "male")
    assert load_finetuned(str(ran["full"].path)).answers.score == "mean"  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="--image-size"):
        load_finetuned(str(ran["lora"].path), image_size=64)
    with pytest.raises(InputError, match=r"or its prompt as model\.prompt"):
        make_task(spec_without_prompt(ran["lora"]), prepared_of(ran["lora"]), Path("nowhere"))


def spec_without_prompt(folder: RunFolder) -> RunSpec:
    return parse_spec({"data": DATA, "model": {"id": str(folder.path)}})


def prepared_of(folder: RunFolder) -> Any:
    return prepare(folder.spec()).examples


def test_transformers_alone_reads_a_run_in_full_and_peft_an_adapter(
    ran: dict[str, RunFolder], llava: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    whole = AutoModelForImageTextToText.from_pretrained(ran["full"].path / "model")
    ours = load_finetuned(str(ran["full"].path)).model.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in whole.state_dict().items())
    base = AutoModelForImageTextToText.from_pretrained(llava)
    adapted = PeftModel.from_pretrained(base, str(ran["lora"].path / "adapter"))
    mine = load_finetuned(str(ran["lora"].path)).model.state_dict()
    theirs = adapted.state_dict()
    assert set(mine) == set(theirs)
    assert all(torch.equal(value, theirs[name]) for name, value in mine.items())


def test_predicting_with_a_run_gives_its_table_again(
    ran: dict[str, RunFolder], tmp_path: Path
) -> None:
    said = predict_with(str(ran["lora"].path), tmp_path / "again.parquet")
    assert said["classes"] == ["female", "male"]
    again = read_predictions(tmp_path / "again.parquet")
    own = read_predictions(ran["lora"].predictions)
    places = {name: k for k, name in enumerate(own.ids.tolist())}
    index = [places[name] for name in again.ids.tolist()]
    np.testing.assert_allclose(again.probs, own.probs[index], atol=1e-4)  # type: ignore[index]


def test_a_runs_answers_are_those_of_its_own_library(
    ran: dict[str, RunFolder], tmp_path: Path
) -> None:
    for name in ("lora", "full"):
        said = predict_with(str(ran[name].path), tmp_path / f"{name}.parquet", check=2)
        assert said["loaded"]["checked"]["compared"] == ("logits",)
        assert said["loaded"]["checked"]["largest"] < 1e-4


def test_it_has_no_features_of_a_head(ran: dict[str, RunFolder]) -> None:
    loaded = load_finetuned(str(ran["lora"].path))
    with pytest.raises(InputError, match="has no head whose input would be its features"):
        embed(loaded, prepared_of(ran["lora"]).take(np.arange(2)))


def test_exports_hold_no_prompt(ran: dict[str, RunFolder], tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    with pytest.raises(InputError, match="--to: a vision-language model is asked a prompt"):
        export_model(str(ran["lora"].path), tmp_path / "out", to="onnx")


def test_a_run_is_the_base_of_the_next_and_merges(
    ran: dict[str, RunFolder], tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "next")
    run_cell(prepare(spec_of(ran["lora"].path, training={"max_steps": 1})), folder)
    assert folder.metrics()["proved"]["rows"] == 8
    tuned = load_finetuned(str(ran["lora"].path))
    some = prepared_of(ran["lora"]).take(np.arange(3))
    before = logits_of(tuned, inputs_of_rows(tuned, some))
    merged = load_finetuned(str(save_merged(tuned, tmp_path / "merged")))
    torch.testing.assert_close(
        logits_of(merged, inputs_of_rows(merged, some)), before, rtol=1e-4, atol=1e-4
    )
    folded = load_image_text(str(ran["lora"].path), merged=True)
    torch.testing.assert_close(
        logits_of(folded, inputs_of_rows(folded, some)), before, rtol=1e-4, atol=1e-4
    )


def test_membership_attacks_read_its_tables(ran: dict[str, RunFolder]) -> None:
    scores = scores_of([Trial(0, ran["lora"], ())], ["loss"])
    assert set(scores.scores) == {"loss"}
    assert scores.member.any()
    assert not scores.member.all()


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"adapter": {"kind": "linear"}}, "has no new head to train"),
        ({"adapter": {"kind": "lora", "rank": 0}}, "has no new head to train"),
        ({"last_layer": {}}, "last_layer: not a setting of a vision-language model"),
        ({"model": {"image_size": 64}}, "model.image_size: not a setting"),
        ({"model": {"chat": True}}, "model.chat: not a setting"),
        ({"model": {"answers": {"woman": "x"}}}, "model.answers: an answer for a class"),
        ({"model": {"prompt": None}}, "model.answers: answers to no prompt"),
    ],
)
def test_settings_that_it_has_no_use_for(llava: Path, sections: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        prepare(spec_of(llava, **sections))


def test_texts_have_no_place_for_a_prompt(llava: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("text,label,g\n" + "\n".join(f"text {k},{k % 2},a" for k in range(20)))
    data = {"name": "text-table", "path": str(table), "groups": ["g"]}
    content = {"data": data, "model": {"id": str(llava), "prompt": "Which?"}}
    with pytest.raises(InputError, match=r"model\.prompt: a prompt is put beside a picture"):
        prepare(parse_spec(content))


def test_the_question_is_part_of_a_runs_identity(llava: Path) -> None:
    one = prepare(spec_of(llava)).identity
    assert prepare(spec_of(llava)).identity == one
    for change in ({"prompt": "Who?"}, {"answers": {"male": "lad"}}, {"answer_score": "mean"}):
        assert prepare(spec_of(llava, model=change)).identity != one


def test_a_study_plans_counts_runs_and_reports(llava: Path, tmp_path: Path) -> None:
    content = {
        "name": "vlm",
        "data": DATA,
        "models": {"id": str(llava), "label": "tiny", **MODEL},
        "methods": [{"adapter": "base", "label": "as it is"}, "lora"],
        "ranks": [2],
        "seeds": 1,
        "training": {"max_steps": 2, "batch_size": 8},
        "audit": {"positive": "male", "min_group": 2},
        "compare": {"bootstrap": 200},
        "report": {"attribute": "skin_tone", "figures": ["groups"], "formats": ["svg"]},
    }
    study = parse_study(content)
    root = tmp_path / "vlm"
    outcome = StudyRunner(study, root, InlineEngine()).run()
    assert outcome.reasons == {}
    report_study(study, root, outcome)
    page = (root / "report" / "index.html").read_text(encoding="utf-8")
    assert "as it is" in page
    assert "LoRA" in page
    planned = plan_study(study, root, sizing=Sizing(aside=False))
    assert not [note for note in planned.notes if "not counted" in note]


def test_a_smoke_study_asks_a_tiny_stand_in(tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "examples" / "studies" / "vlm-people-emoji.yaml"
    study = smoke_study(read_study(path, smoke=True), tmp_path)
    assert study.models[0].prompt is not None
    config = json.loads((Path(study.models[0].id) / "config.json").read_text())
    assert config["model_type"] == "llava"

"""A model's answers beside those of its own library, and a run's beside those of its folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from fairlora.data import load_examples
from fairlora.errors import InputError, WorkError
from fairlora.models import Adapter, attach, load_image_classifier, merge, save_finetuned
from fairlora.predictions import read_predictions
from fairlora.study import RunFolder, parse_spec
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.predict import predict_with
from fairlora.study.runs.prepare import prepare

Make = Callable[..., dict[str, Any]]
CLASSES = ("female", "male")
EMOJI: dict[str, Any] = {
    "data": "people-emoji",
    "overrides": ("data.renderers=[noto]", "data.groups=[skin_tone]"),
}


@pytest.fixture
def elsewhere(tiny_vit: Path, tmp_path: Path) -> Path:
    """A fine-tuned ViT and an image processor, with nothing of fairlora beside them."""
    classifier = load_image_classifier(str(tiny_vit), CLASSES)
    folder = tmp_path / "elsewhere"
    adapter = Adapter("full")
    save_finetuned(classifier, attach(classifier.model, adapter, ("classifier",)), adapter, folder)
    for path in (folder / "model").iterdir():
        if path.name != "fairlora.json":
            shutil.move(path, folder)
    shutil.rmtree(folder / "model")
    return folder


def adapter_on(base: Path, folder: Path) -> Path:
    """A LoRA on a model made elsewhere, as PEFT saves it."""
    classifier = load_image_classifier(str(base), CLASSES)
    adapter = Adapter("lora", rank=2)
    model = attach(classifier.model, adapter, classifier.head)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight += 0.05
    saved = save_finetuned(classifier, model, adapter, folder)
    (saved / "fairlora.json").unlink()
    return saved


def test_a_model_made_elsewhere_is_checked_by_its_own_library(
    elsewhere: Path, tmp_path: Path
) -> None:
    found = predict_with(str(elsewhere), tmp_path / "p.parquet", **EMOJI)["loaded"]
    assert found["checked"]["rows"] == 4
    assert found["checked"]["compared"] == ("pixels", "logits")
    assert found["checked"]["largest"] < 1e-5
    saved = json.loads(pq.read_schema(tmp_path / "p.parquet").metadata[b"fairlora"])["loaded"]
    assert saved["written_by"]["transformers"]
    assert saved["checked"]["rows"] == 4
    assert len(read_predictions(tmp_path / "p.parquet")) == 994
    none = predict_with(str(elsewhere), tmp_path / "q.parquet", check=0, **EMOJI)
    assert none["loaded"]["checked"] is None


def test_an_adapter_made_elsewhere_is_checked_with_peft(elsewhere: Path, tmp_path: Path) -> None:
    folder = adapter_on(elsewhere, tmp_path / "lora")
    found = predict_with(str(folder), tmp_path / "p.parquet", check=2, **EMOJI)["loaded"]
    assert found["checked"]["rows"] == 2
    assert found["checked"]["compared"] == ("pixels", "logits")


@pytest.mark.parametrize(
    "settings",
    [
        {"resample": 0},
        {
            "do_center_crop": True,
            "crop_size": {"height": 64, "width": 64},
            "size": {"shortest_edge": 80},
            "image_processor_type": "CLIPImageProcessor",
        },
        {"do_rescale": False},
        {"rescale_factor": 0.01},
        {"do_normalize": False},
        {"image_mean": 0.3, "image_std": 0.4},
    ],
    ids=["filter", "crop", "no rescale", "factor", "no normalisation", "single numbers"],
)
def test_pictures_are_prepared_as_the_models_own_processor_does(
    elsewhere: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    path = elsewhere / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    found = predict_with(str(elsewhere), tmp_path / "p.parquet", **EMOJI)["loaded"]
    assert found["checked"]["compared"] == ("pixels", "logits")


def test_other_pixels_than_the_processors_are_refused(
    elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fairlora.training import images

    square = images.squared
    monkeypatch.setattr(images, "squared", lambda *given: square(*given).rotate(180))
    with pytest.raises(InputError, match="the pixels differ .* off by"):
        predict_with(str(elsewhere), tmp_path / "p.parquet", **EMOJI)
    assert not (tmp_path / "p.parquet").exists()


@pytest.mark.parametrize(("part", "named"), [("classifier", "head"), ("layernorm", "weights")])
def test_a_difference_says_which_part_it_is_of(
    elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, named: str
) -> None:
    from fairlora.study.runs import predict

    load = predict.load_finetuned

    def wrong(*args: Any, **kwargs: Any) -> Any:
        classifier = load(*args, **kwargs)
        with torch.no_grad():
            for name, weight in classifier.model.named_parameters():
                if f"{part}.bias" in name:
                    weight += 1.0
        return classifier

    monkeypatch.setattr(predict, "load_finetuned", wrong)
    with pytest.raises(InputError, match=rf"by its own library: the {named} differs?.*{part}"):
        predict_with(str(elsewhere), tmp_path / "p.parquet", **EMOJI)


def test_a_finished_run_has_proved_itself(finished: dict[str, Path]) -> None:
    for name in ("lora-0", "full-0"):
        metrics = RunFolder(finished[name]).metrics()
        assert metrics["proved"]["rows"] == 8
        assert metrics["proved"]["largest"] < 1e-4
        assert metrics["loaded"]["written_by"]["transformers"]


def test_a_run_whose_folder_answers_otherwise_fails_with_the_cause(
    settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fairlora.study.tasks import base

    save = base.save_finetuned

    def loses(*args: Any, **kwargs: Any) -> Path:
        folder = save(*args, **kwargs)
        path = folder / "adapter_model.safetensors"
        weights = load_file(path)
        key = next(key for key in weights if key.endswith("classifier.bias"))
        weights[key] += torch.tensor([1.0, -1.0])
        save_file(weights, path)
        return folder

    monkeypatch.setattr(base, "save_finetuned", loses)
    folder = RunFolder(tmp_path / "run")
    prepared = prepare(parse_spec(settings(adapter={"kind": "lora", "rank": 2})))
    with pytest.raises(WorkError, match=r"answers otherwise.*classifier.*bias"):
        run_cell(prepared, folder)
    assert not folder.is_finished()
    assert "answers otherwise" in getattr(folder.status(), "reason", "")


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_a_run_of_a_network_with_batch_norms_is_what_its_folder_answers(
    settings: Make, tmp_path: Path, kind: str
) -> None:
    from transformers import ResNetConfig, ResNetModel

    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    ResNetModel(config).save_pretrained(tmp_path / "resnet")
    fields = {"target_modules": ["convolution"]} if kind == "lora" else {}
    spec = parse_spec(
        settings(
            model={"id": str(tmp_path / "resnet"), "image_size": 32},
            adapter={"kind": kind, "rank": 2, "fields": fields},
        )
    )
    folder = RunFolder(tmp_path / "run")
    assert run_cell(prepare(spec), folder)
    assert folder.metrics()["proved"]["largest"] < 1e-3


def test_a_merged_run_is_checked_like_any_model(finished: dict[str, Path], tmp_path: Path) -> None:
    from fairlora.models import load_finetuned, save_merged

    merged = merge(load_finetuned(str(finished["lora-0"])))
    folder = save_merged(merged, tmp_path / "merged")
    examples = load_examples("people-emoji", {"renderers": ["noto"]})
    assert examples.classes == CLASSES
    summary = predict_with(str(folder), tmp_path / "p.parquet", check=3, **EMOJI)
    assert summary["loaded"]["checked"]["compared"] == ("pixels", "logits")


OLD = Path(__file__).parent.parent / "models" / "old"


def predict_old(name: str, folder: Path) -> dict[str, Any]:
    """Predict the old pictures with an old adapter."""
    table = folder / "pictures.csv"
    rows = [f"{OLD}/pictures/{k}.png,{['neg', 'neu', 'pos', 'neg'][k]},{k % 2}" for k in range(4)]
    table.write_text("\n".join(["image,label,place", *rows]) + "\n")
    summary: dict[str, Any] = predict_with(
        str(OLD / name),
        folder / "p.parquet",
        data="image-table",
        overrides=(f"data.path={table}", "data.groups=[place]"),
    )["loaded"]
    return summary


@pytest.mark.parametrize("name", ["A/dinov2-lora-dense", "B/vit-lora"])
def test_a_translated_adapter_is_checked_without_the_translation(name: str, tmp_path: Path) -> None:
    """transformers translates the base model's file, to which the adapter was added."""
    found = predict_old(name, tmp_path)
    assert found["translated"] == ("names",)
    assert found["checked"]["compared"] == ("pixels", "logits")
    assert 0 < found["checked"]["largest"] < 1e-4


def test_a_wrong_translation_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fairlora.models.renames import ModuleNames

    look_up = ModuleNames._look_up

    def swapped(self: ModuleNames, name: str) -> str | None:
        other = {"query": "value", "value": "query"}
        *parts, last = name.split(".")
        return look_up(self, ".".join([*parts, other.get(last, last)]))

    monkeypatch.setattr(ModuleNames, "_look_up", swapped)
    with pytest.raises(InputError, match="otherwise than by its own library"):
        predict_old("B/vit-lora", tmp_path)

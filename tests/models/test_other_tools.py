"""Adapters and models of other tools, and such as lack something: read as meant, or refused."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fairlora.errors import InputError
from fairlora.models import load_finetuned, load_image_classifier, load_language, write_tiny_model

MLX = Path(__file__).parent / "mlx"
Edit = Callable[[dict[str, Tensor], dict[str, Any]], tuple[dict[str, Tensor], dict[str, Any]]]


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_an_adapter_of_mlx_lm_answers_as_in_mlx(kind: str) -> None:
    said = json.loads((MLX / "expected.json").read_text())
    language = load_language(str(MLX / kind), base=str(MLX / "base"))
    with torch.no_grad():
        logits = language.model(input_ids=torch.tensor([said["tokens"]])).logits[0, -1]
    torch.testing.assert_close(logits, torch.tensor(said["logits"][kind]), atol=1e-4, rtol=0)


def test_what_mlx_lm_trained_in_full_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "full"
    shutil.copytree(MLX / "lora", folder)
    settings = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**settings, "fine_tune_type": "full"}))
    with pytest.raises(InputError, match=r"mlx-lm .*'full'.*mlx_lm\.fuse"):
        load_language(str(folder), base=str(MLX / "base"))


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT with a head of three classes, and a LoRA on it that PEFT wrote."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageClassification

    folder = tmp_path_factory.mktemp("vit")
    tiny = write_tiny_model("google/vit-base-patch16-224", folder / "tiny")
    model = AutoModelForImageClassification.from_pretrained(tiny, num_labels=3)
    model.save_pretrained(folder / "base")
    shutil.copy(tiny / "preprocessor_config.json", folder / "base")
    model = AutoModelForImageClassification.from_pretrained(folder / "base")
    config = LoraConfig(r=4, target_modules=["q_proj"], modules_to_save=["classifier"])
    get_peft_model(model, config).save_pretrained(folder / "adapter")
    return folder


def edited(vit: Path, folder: Path, change: Edit, part: str = "adapter") -> Path:
    """A copy of the adapter or its base with weights and settings changed."""
    shutil.copytree(vit / part, folder)
    weights_file, settings_file = {
        "adapter": ("adapter_model.safetensors", "adapter_config.json"),
        "base": ("model.safetensors", "config.json"),
    }[part]
    settings = json.loads((folder / settings_file).read_text())
    weights, settings = change(load_file(folder / weights_file), settings)
    save_file(weights, folder / weights_file, {"format": "pt"})
    (folder / settings_file).write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize("start", ["lora_ga", "corda", "loftq", "pissa_niter_4"])
def test_an_adapter_whose_start_changed_its_base_is_refused(
    vit: Path, tmp_path: Path, start: str
) -> None:
    folder = edited(vit, tmp_path / "a", lambda w, s: (w, {**s, "init_lora_weights": start}))
    with pytest.raises(InputError, match=f"changed its base weights.*{start}"):
        load_finetuned(str(folder))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"config": {"architecture": "lora"}, "model_class": "BertAdapterModel"},
            r"AdapterHub.*BertAdapterModel",
        ),
        ({"rank": 8}, r"not the settings of a PEFT adapter.*rank.*peft_type"),
        ({"peft_type": "SUPERLORA"}, r"PEFT [\d.]+ does not have.*SUPERLORA"),
    ],
)
def test_settings_that_are_not_pefts(
    vit: Path, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    folder = edited(vit, tmp_path / "a", lambda w, s: (w, settings))
    with pytest.raises(InputError, match=message):
        load_finetuned(str(folder))


def test_virtual_tokens_on_a_model_of_pictures(vit: Path, tmp_path: Path) -> None:
    def change(w: dict[str, Tensor], s: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
        base = s["base_model_name_or_path"]
        kind = {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 4}
        return w, {**kind, "base_model_name_or_path": base}

    with pytest.raises(InputError, match=r"virtual tokens.*pictures.*PROMPT_TUNING"):
        load_finetuned(str(edited(vit, tmp_path / "a", change)))


def test_a_base_without_its_positions_is_refused_everywhere(vit: Path, tmp_path: Path) -> None:
    base = edited(
        vit,
        tmp_path / "base",
        lambda w, s: ({k: v for k, v in w.items() if "position" not in k}, s),
        "base",
    )
    lost = "lacks weights of the model.*position_embeddings"
    with pytest.raises(InputError, match=lost):
        load_finetuned(str(base))
    with pytest.raises(InputError, match=lost):
        load_finetuned(str(vit / "adapter"), base=str(base))
    with pytest.raises(InputError, match=lost):
        load_image_classifier(str(base), ("a", "b"))


def test_a_model_saved_with_its_adapter_on_it_is_named_so(vit: Path, tmp_path: Path) -> None:
    folder = edited(
        vit,
        tmp_path / "base",
        lambda w, s: ({k.replace("query.", "query.base_layer."): v for k, v in w.items()}, s),
        "base",
    )
    with pytest.raises(InputError, match="saved with an adapter still on it"):
        load_finetuned(str(folder))


class _NotATensor:
    pass


def test_weights_that_would_be_unpickled_are_refused_without_advice(
    vit: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(vit / "base", folder)
    (folder / "model.safetensors").unlink()
    torch.save({"a": _NotATensor()}, folder / "pytorch_model.bin", pickle_module=pickle)
    with pytest.raises(InputError, match="more than tensors, and is not unpickled") as caught:
        load_finetuned(str(folder))
    assert "weights_only" not in str(caught.value)
    assert "trust" not in str(caught.value)

"""Adapters on ViT and the CLIP tower in detail: folders, cards, sizes, bases that moved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors import safe_open
from torch import Tensor, nn
from transformers import ViTConfig, ViTForImageClassification

from fairlora.errors import InputError
from fairlora.models import (
    Adapter,
    ImageClassifier,
    attach,
    load_finetuned,
    load_image_classifier,
    save_finetuned,
)

CLASSES = ("cat", "dog", "owl")
# DINO is a ViT; its checkpoints are of the tower alone, as the tiny ViT's is.
TOWERS = ("tiny_vit", "tiny_clip")
ADAPTERS = {
    "full": Adapter("full"),
    "lora": Adapter("lora", rank=2),
    "linear": Adapter("linear"),
    "rank 0": Adapter("lora", rank=0),
}
EVERY = pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS.keys())
BOTH = pytest.mark.parametrize("tower", TOWERS)


@pytest.fixture
def base(request: pytest.FixtureRequest, tower: str) -> Path:
    folder: Path = request.getfixturevalue(tower)
    return folder


def batch(size: int = 64) -> Tensor:
    return torch.randn(5, 3, size, size, generator=torch.Generator().manual_seed(0))


def logits_of(classifier: ImageClassifier, model: Any = None, size: int = 64) -> Tensor:
    network = classifier.model if model is None else model
    network.eval()
    with torch.no_grad():
        logits: Tensor = network(batch(size), **classifier.forward_arguments).logits
    return logits


def tuned(base: Path, adapter: Adapter, **kwargs: Any) -> tuple[ImageClassifier, Any]:
    """A classifier with its adapter after two steps: LoRA's own matrices move in the second."""
    classifier = load_image_classifier(str(base), CLASSES, **kwargs)
    model = attach(classifier.model, adapter, classifier.head)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    labels = torch.tensor([0, 1, 2, 0, 1])
    for _ in range(2):
        logits = model(batch(classifier.preprocessing.size), **classifier.forward_arguments).logits
        nn.functional.cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    return classifier, model


@EVERY
@BOTH
def test_only_the_adapter_and_the_head_move(base: Path, adapter: Adapter) -> None:
    before = load_image_classifier(str(base), CLASSES).model.state_dict()
    classifier, model = tuned(base, adapter)
    moved = {
        name
        for name, value in (model.unload() if adapter.kind == "lora" and adapter.rank else model)
        .state_dict()
        .items()
        if not torch.equal(value, before[name])
    }
    heads = {name for name in before if name.split(".")[0] in classifier.head}
    assert heads <= moved
    if adapter.kind == "full":
        assert len(moved) > len(before) / 2
    else:
        assert moved == heads


@EVERY
@BOTH
def test_a_saved_model_answers_as_it_did(base: Path, adapter: Adapter, tmp_path: Path) -> None:
    classifier, model = tuned(base, adapter)
    expected = logits_of(classifier, model)
    untrained = logits_of(load_image_classifier(str(base), CLASSES))
    folder = save_finetuned(classifier, model, adapter, tmp_path)
    assert folder.name == ("model" if adapter.kind == "full" else "adapter")
    assert not list(tmp_path.rglob("*.bin"))
    for place in (tmp_path, folder):
        loaded = load_finetuned(str(place))
        assert loaded.classes == CLASSES
        assert loaded.preprocessing == classifier.preprocessing
        torch.testing.assert_close(logits_of(loaded), expected)
    assert not torch.allclose(expected, untrained)


@BOTH
def test_a_lora_folder_loads_with_plain_peft(base: Path, tower: str, tmp_path: Path) -> None:
    adapter = ADAPTERS["lora"]
    classifier, model = tuned(base, adapter)
    expected = logits_of(classifier, model)
    folder = save_finetuned(classifier, model, adapter, tmp_path)
    fresh = load_image_classifier(str(base), CLASSES, head_seed=99).model
    torch.testing.assert_close(
        logits_of(classifier, PeftModel.from_pretrained(fresh, folder)), expected
    )
    settings = json.loads((folder / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == str(base)
    assert settings["r"] == 2
    assert settings["lora_alpha"] == 4
    assert settings["modules_to_save"] == ["classifier"]


def test_an_adapter_made_elsewhere_loads_without_the_card(tiny_vit: Path, tmp_path: Path) -> None:
    classifier, model = tuned(tiny_vit, ADAPTERS["lora"])
    folder = save_finetuned(classifier, model, ADAPTERS["lora"], tmp_path)
    (folder / "fairlora.json").unlink()
    loaded = load_finetuned(str(folder))
    assert loaded.classes == ("LABEL_0", "LABEL_1", "LABEL_2")
    torch.testing.assert_close(logits_of(loaded), logits_of(classifier, model))


@pytest.mark.parametrize("kind", ["lora", "linear"])
def test_a_base_model_that_moved_can_be_named(tiny_vit: Path, tmp_path: Path, kind: str) -> None:
    classifier, model = tuned(tiny_vit, ADAPTERS[kind])
    classifier.base = str(tmp_path / "gone")
    save_finetuned(classifier, model, ADAPTERS[kind], tmp_path)
    with pytest.raises(InputError, match="gone"):
        load_finetuned(str(tmp_path))
    loaded = load_finetuned(str(tmp_path), base=str(tiny_vit))
    torch.testing.assert_close(logits_of(loaded), logits_of(classifier, model))


def test_a_full_model_saved_under_old_key_names_reloads_equal(
    tiny_vit: Path, tmp_path: Path
) -> None:
    classifier, model = tuned(tiny_vit, ADAPTERS["full"])
    folder = save_finetuned(classifier, model, ADAPTERS["full"], tmp_path)
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        stored = set(file.keys())
    assert stored != set(model.state_dict()), "transformers translates no keys any more"
    loaded = load_finetuned(str(folder)).model
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    plain = ViTForImageClassification.from_pretrained(folder)
    assert plain.config.id2label == dict(enumerate(CLASSES))


def test_the_size_it_was_tuned_at_is_remembered(tiny_vit: Path, tmp_path: Path) -> None:
    classifier, model = tuned(tiny_vit, ADAPTERS["full"], image_size=32)
    assert classifier.forward_arguments == {"interpolate_pos_encoding": True}
    save_finetuned(classifier, model, ADAPTERS["full"], tmp_path)
    loaded = load_finetuned(str(tmp_path))
    assert loaded.preprocessing.size == 32
    torch.testing.assert_close(logits_of(loaded, size=32), logits_of(classifier, model, size=32))
    assert load_finetuned(str(tmp_path), image_size=64).preprocessing.size == 64


def test_a_card_of_another_version_is_refused(tiny_vit: Path, tmp_path: Path) -> None:
    classifier, model = tuned(tiny_vit, ADAPTERS["linear"])
    folder = save_finetuned(classifier, model, ADAPTERS["linear"], tmp_path)
    card = json.loads((folder / "fairlora.json").read_text())
    (folder / "fairlora.json").write_text(json.dumps({**card, "version": 99}))
    with pytest.raises(InputError, match="found version 99; expected version 1"):
        load_finetuned(str(tmp_path))


def test_lora_starts_from_its_own_seed(tiny_vit: Path) -> None:
    def matrices(seed: int) -> list[Tensor]:
        torch.manual_seed(seed + 100)  # what the process drew before must not matter
        classifier = load_image_classifier(str(tiny_vit), CLASSES)
        model = attach(classifier.model, ADAPTERS["lora"], classifier.head, seed=seed % 2)
        return [p.detach() for name, p in model.named_parameters() if "lora_A" in name]

    first, again, other = matrices(0), matrices(2), matrices(1)
    assert len(first) == 4
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_model_of_seven_classes_gets_a_new_head(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = ViTConfig(
        image_size=32, patch_size=16, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, num_labels=7,
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(tmp_path)
    assert len(load_finetuned(str(tmp_path)).classes) == 7
    assert logits_of(load_image_classifier(str(tmp_path), CLASSES), size=32).shape == (5, 3)

"""Loading: types, sizes, heads, preprocessing, and what is said when nothing can be loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, CLIPVisionModel

from fairlora.errors import InputError
from fairlora.models import (
    load_finetuned,
    load_image_classifier,
    model_fingerprint,
    resolve_source,
)
from fairlora.models.source import Source

CLASSES = ("cat", "dog")


def copy_of(folder: Path, target: Path) -> Path:
    target.mkdir(parents=True)
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_float16_weights_compute_in_float32(tiny_clip: Path) -> None:
    model = load_image_classifier(str(tiny_clip), CLASSES).model
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    asked = load_image_classifier(str(tiny_clip), CLASSES, dtype=torch.bfloat16).model
    assert {p.dtype for p in asked.parameters()} == {torch.bfloat16}


def test_the_clip_head_reads_the_pooled_output(tiny_clip: Path) -> None:
    classifier = load_image_classifier(str(tiny_clip), CLASSES)
    tower = CLIPVisionModel.from_pretrained(tiny_clip, dtype=torch.float32)
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    model = classifier.model.eval()
    with torch.no_grad():
        pooled = tower.eval()(pixels).pooler_output
        outputs = model(pixels, labels=torch.tensor([0, 1]))
    expected = pooled @ model.classifier.weight.T + model.classifier.bias
    torch.testing.assert_close(outputs.logits, expected)
    loss = torch.nn.functional.cross_entropy(expected, torch.tensor([0, 1]))
    torch.testing.assert_close(outputs.loss, loss)


@pytest.mark.parametrize("tower", ["tiny_vit", "tiny_clip"])
def test_the_head_starts_from_its_own_seed(request: pytest.FixtureRequest, tower: str) -> None:
    base = str(request.getfixturevalue(tower))

    def head(seed: int, noise: int) -> torch.Tensor:
        torch.manual_seed(noise)
        weight: torch.Tensor = load_image_classifier(
            base, CLASSES, head_seed=seed
        ).model.classifier.weight
        return weight

    assert torch.equal(head(1, 0), head(1, 7))
    assert not torch.equal(head(1, 0), head(2, 0))


def test_loading_leaves_the_process_generator_alone(tiny_vit: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_image_classifier(str(tiny_vit), CLASSES)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("tower", ["tiny_vit", "tiny_clip"])
def test_another_size_interpolates_the_positions(
    request: pytest.FixtureRequest, tower: str
) -> None:
    base = str(request.getfixturevalue(tower))
    classifier = load_image_classifier(base, CLASSES, image_size=96)
    assert classifier.preprocessing.size == 96
    logits = classifier.model(torch.zeros(2, 3, 96, 96), **classifier.forward_arguments).logits
    assert logits.shape == (2, 2)
    assert load_image_classifier(base, CLASSES).forward_arguments == {}


@pytest.mark.parametrize("size", [50, 8, 0])
def test_a_size_that_is_no_multiple_of_the_patch_is_refused(tiny_vit: Path, size: int) -> None:
    with pytest.raises(InputError, match=rf"image_size.*found {size}; .*multiple of .* 16"):
        load_image_classifier(str(tiny_vit), CLASSES, image_size=size)


def test_preprocessing_comes_from_the_checkpoint(
    tiny_vit: Path, tiny_clip: Path, tmp_path: Path
) -> None:
    plain = load_image_classifier(str(tiny_vit), CLASSES)
    assert plain.preprocessing.mean == (0.5, 0.5, 0.5)
    assert "preprocessor_config.json" in plain.notes[0]
    assert load_image_classifier(str(tiny_clip), CLASSES).preprocessing.mean[0] == 0.48145466
    own = copy_of(tiny_vit, tmp_path / "own")
    settings = {"image_mean": [0.1, 0.2, 0.3], "image_std": [1, 1, 1], "do_normalize": True}
    (own / "preprocessor_config.json").write_text(json.dumps(settings))
    assert load_image_classifier(str(own), CLASSES).preprocessing.mean == (0.1, 0.2, 0.3)
    (own / "preprocessor_config.json").write_text(json.dumps({**settings, "do_normalize": False}))
    assert load_image_classifier(str(own), CLASSES).preprocessing.mean == (0, 0, 0)


def test_a_tower_without_a_head_is_no_classifier(tiny_vit: Path) -> None:
    with pytest.raises(InputError, match="no classification head.*--untrained-head"):
        load_image_classifier(str(tiny_vit), None)


@pytest.mark.parametrize(
    ("model_id", "message"),
    [
        ("no/such/folder", "no such model folder"),
        ("./nowhere", "no such model folder"),
        ("nobody/nothing-vit", "cannot load this model from the hub"),
    ],
)
def test_a_model_that_is_not_there_is_one_line(model_id: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_image_classifier(model_id, CLASSES)
    assert model_id in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=message):
        load_finetuned(model_id)


def test_a_folder_without_a_model_says_so(tmp_path: Path, tiny_vit: Path) -> None:
    with pytest.raises(InputError, match="no model in this folder"):
        load_finetuned(str(tmp_path))
    with pytest.raises(InputError, match="cannot load this model"):
        load_image_classifier(str(tmp_path), CLASSES)
    broken = copy_of(tiny_vit, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(InputError, match=r"broken: cannot load this model"):
        load_image_classifier(str(broken), CLASSES)


def test_a_model_of_another_task_is_refused(tmp_path: Path) -> None:
    config = BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        vocab_size=10,
    )  # fmt: skip
    BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="not a model that classifies images.*bert"):
        load_image_classifier(str(tmp_path), CLASSES)


def test_the_fingerprint_is_the_weights_not_the_places(tiny_vit: Path, tmp_path: Path) -> None:
    copy = copy_of(tiny_vit, tmp_path / "copy")
    own = model_fingerprint(resolve_source(str(tiny_vit)))
    assert model_fingerprint(resolve_source(str(copy))) == own
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert model_fingerprint(resolve_source(str(copy))) != own
    hub = Source("somebody/vit", None)
    assert model_fingerprint(hub) != model_fingerprint(hub, "another-revision")


def test_the_embedded_model_loads(tmp_path: Path) -> None:
    classifier = load_image_classifier("embedded", CLASSES)
    count = sum(p.numel() for p in classifier.model.parameters())
    assert 2_000_000 < count < 3_000_000
    assert classifier.preprocessing.size == 64
    assert {p.dtype for p in classifier.model.parameters()} == {torch.float32}

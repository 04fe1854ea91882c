"""Loading: types, sizes, heads, preprocessing, and what is said when nothing can be loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    BertConfig,
    BertModel,
    CLIPForImageClassification,
    CLIPModel,
    CLIPVisionModel,
    Swinv2Config,
    Swinv2Model,
)

from fairlora.errors import InputError
from fairlora.models import (
    Adapter,
    Preprocessing,
    attach,
    load_finetuned,
    load_image_classifier,
    merge,
    model_fingerprint,
    resolve_source,
    save_finetuned,
)
from fairlora.models.source import Source

CLASSES = ("cat", "dog")
TinyModel = Callable[[str], Path]


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


def test_a_full_clip_checkpoint_gives_its_image_tower(tiny_model: TinyModel) -> None:
    folder = tiny_model("clip_full")
    classifier = load_image_classifier(str(folder), CLASSES)
    assert type(classifier.model).__name__ == "ClipTowerForImageClassification"
    assert classifier.notes == ()
    assert classifier.preprocessing.mean[0] == 0.48145466
    whole = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    pixels = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    model = classifier.model.eval()
    with torch.no_grad():
        pooled = whole.vision_model(pixel_values=pixels).pooler_output
        own = model.vision_model(pixel_values=pixels).pooler_output
        logits = model(pixel_values=pixels).logits
    assert torch.equal(own, pooled)
    assert torch.equal(logits, model.classifier(pooled))
    assert not [name for name, _ in model.named_parameters() if "text" in name]


def test_what_transformers_made_of_clip_keeps_its_own_head(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    """`CLIPForImageClassification` reads the mean of the patches, and so must what is loaded."""
    theirs = CLIPForImageClassification.from_pretrained(tiny_model("clip_full"), num_labels=2)
    theirs.save_pretrained(tmp_path / "whole")
    loaded = load_finetuned(str(tmp_path / "whole"))
    pixels = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = theirs.eval()(pixel_values=pixels).logits
        torch.testing.assert_close(loaded.model(pixel_values=pixels).logits, expected)
    config = LoraConfig(
        r=2, target_modules=["q_proj"], modules_to_save=["classifier"], init_lora_weights=False
    )
    tuned = get_peft_model(theirs, config).eval()
    tuned.save_pretrained(tmp_path / "adapter")
    loaded = load_finetuned(str(tmp_path / "adapter"), base=str(tiny_model("clip_full")))
    with torch.no_grad():
        expected = tuned(pixel_values=pixels).logits
        torch.testing.assert_close(loaded.model(pixel_values=pixels).logits, expected)


def test_dinov2_takes_the_size_of_its_preprocessor(tiny_model: TinyModel) -> None:
    classifier = load_image_classifier(str(tiny_model("dinov2")), CLASSES)
    assert classifier.model.config.image_size == 56
    assert classifier.preprocessing == Preprocessing(32, (0.4,) * 3, (0.2,) * 3)
    assert classifier.forward_arguments == {}
    for size in (56, 64):
        other = load_image_classifier(str(tiny_model("dinov2")), CLASSES, image_size=size)
        assert other.forward_arguments == {}
        assert other.model(pixel_values=torch.zeros(1, 3, size, size)).logits.shape == (1, 2)
    with pytest.raises(InputError, match="multiple of its patch size 8"):
        load_image_classifier(str(tiny_model("dinov2")), CLASSES, image_size=30)


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"size": 48}, 48),
        ({"size": {"height": 48, "width": 48}}, 48),
        ({"size": {"shortest_edge": 48}, "crop_size": 32}, 32),
        ({"size": {"shortest_edge": 48}, "crop_size": 32, "do_center_crop": False}, 48),
        ({"size": {"height": 48, "width": 64}}, 64),
        ({}, 64),
    ],
)
def test_the_size_is_the_preprocessors(
    tiny_vit: Path, tmp_path: Path, settings: dict[str, object], size: int
) -> None:
    folder = copy_of(tiny_vit, tmp_path / "vit")
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    classifier = load_image_classifier(str(folder), CLASSES)
    assert classifier.preprocessing.size == size
    assert bool(classifier.forward_arguments) == (size != 64)


def test_swin_is_built_anew_for_another_size(tiny_model: TinyModel, tmp_path: Path) -> None:
    folder = tiny_model("swinv2")
    own = load_image_classifier(str(folder), CLASSES)
    assert own.preprocessing.size == 32
    twice = load_image_classifier(str(folder), CLASSES, image_size=64)
    assert twice.forward_arguments == {}
    # The windows that the weights were trained with are what offsets are measured in.
    assert list(twice.model.config.pretrained_window_sizes) == [4, 4]
    assert twice.model.config.image_size == 64
    assert "padded" not in " ".join(twice.notes)
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = twice.model.eval()(pixel_values=pixels).logits
    for name, value in own.model.state_dict().items():
        assert torch.equal(value, twice.model.state_dict()[name]), name
    save_finetuned(
        twice, attach(twice.model, Adapter("full"), twice.head), Adapter("full"), tmp_path
    )
    again = load_finetuned(str(tmp_path))
    with torch.no_grad():
        torch.testing.assert_close(again.model(pixel_values=pixels).logits, expected)
    padded = load_image_classifier(str(folder), CLASSES, image_size=40)
    assert "edges are padded" in " ".join(padded.notes)
    assert padded.model(pixel_values=torch.zeros(1, 3, 40, 40)).logits.shape == (1, 2)
    with pytest.raises(InputError, match=r"image_size.*found 36; expected a multiple of 8"):
        load_image_classifier(str(folder), CLASSES, image_size=36)


def test_swin_positions_are_a_function_of_the_offset(tmp_path: Path) -> None:
    """A last stage smaller than a window: at twice the size, near patches keep their bias."""
    torch.manual_seed(0)
    config = Swinv2Config(
        image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 1], window_size=8,
        mlp_ratio=2.0,
    )  # fmt: skip
    Swinv2Model(config).save_pretrained(tmp_path)

    def nearest(size: int) -> torch.Tensor:
        model = load_image_classifier(str(tmp_path), CLASSES, image_size=size).model
        attention = model.swinv2.encoder.layers[1].blocks[0].attention.self
        table = attention.relative_coords_table[0]
        middle = table.shape[0] // 2
        bias: torch.Tensor = attention.continuous_position_bias_mlp(
            table[middle - 1 : middle + 2, middle - 1 : middle + 2]
        )
        return bias

    torch.testing.assert_close(nearest(64), nearest(32))


def test_a_head_that_the_checkpoint_lacks_is_told(tiny_vit: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny_vit, tmp_path / "vit")
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["ViTForImageClassification"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="lacks weights of its classification head"):
        load_finetuned(str(folder))


@pytest.mark.real_data
def test_the_real_clip_tower_tells_colours_apart(shared: Path, tmp_path: Path) -> None:
    folder = shared / "models" / "clip-vit-base-patch16-vision"
    if not folder.is_dir():
        pytest.skip("the weights of CLIP's image tower are not beside the repository")
    classifier = load_image_classifier(str(folder), CLASSES, image_size=64)
    assert classifier.preprocessing.mean[0] == 0.48145466
    assert classifier.head == ("classifier",)
    assert classifier.notes == ()
    pixels = torch.zeros(2, 3, 64, 64)
    pixels[0, 0] = pixels[1, 2] = 1.0
    features = classifier.model.eval().vision_model(
        pixel_values=pixels, **classifier.forward_arguments
    )
    first, second = features.pooler_output
    assert 0.2 < torch.cosine_similarity(first, second, dim=0) < 0.999
    adapter = Adapter("dora", rank=2)
    model = attach(classifier.model, adapter, classifier.head)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.01
        expected = model.eval()(pixel_values=pixels, **classifier.forward_arguments).logits
        save_finetuned(classifier, model, adapter, tmp_path)
        merged = merge(load_finetuned(str(tmp_path)))
        logits = merged.model(pixel_values=pixels, **merged.forward_arguments).logits
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-3)

"""Tiny checkpoints in the place of published ones: same class, same files, trainable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors import safe_open

from fairlora.data.tiny import FILLERS, WORDS
from fairlora.errors import InputError
from fairlora.models import (
    Adapter,
    ImageClassifier,
    TextClassifier,
    attach,
    load_classifier,
    save_finetuned,
    write_tiny_model,
)
from fairlora.models.tiny import ARCHITECTURES, HUB_NAMES, SIDE, architecture_of

Kind = Literal["image", "text"]
# hub id -> model type, and the class that it is fine-tuned in
KNOWN = {
    "google/vit-base-patch16-224-in21k": ("vit", "ViTForImageClassification"),
    "microsoft/swinv2-large-patch4-window12-192-22k": ("swinv2", "Swinv2ForImageClassification"),
    "facebook/dino-vitb16": ("vit", "ViTForImageClassification"),
    "facebook/dinov2-base": ("dinov2", "Dinov2ForImageClassification"),
    "facebook/dinov2-with-registers-base": (
        "dinov2_with_registers",
        "Dinov2WithRegistersForImageClassification",
    ),
    "openai/clip-vit-base-patch32": ("clip", "ClipTowerForImageClassification"),
    "laion/CLIP-ViT-B-32-laion2B-s34B-b79K": ("clip", "ClipTowerForImageClassification"),
    "meta-llama/Llama-2-7b-hf": ("llama", "LlamaForSequenceClassification"),
    "meta-llama/Llama-2-7b-chat-hf": ("llama", "LlamaForSequenceClassification"),
    "meta-llama/Meta-Llama-3-8B": ("llama", "LlamaForSequenceClassification"),
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": ("llama", "LlamaForSequenceClassification"),
    "mistralai/Mistral-7B-v0.1": ("mistral", "MistralForSequenceClassification"),
    "mistralai/Mistral-7B-Instruct-v0.1": ("mistral", "MistralForSequenceClassification"),
    "sentence-transformers/all-MiniLM-L6-v2": ("bert", "BertForSequenceClassification"),
    "bert-base-uncased": ("bert", "BertForSequenceClassification"),
    "distilbert/distilbert-base-uncased": ("distilbert", "DistilBertForSequenceClassification"),
    "FacebookAI/roberta-base": ("roberta", "RobertaForSequenceClassification"),
}


@pytest.mark.parametrize("like", KNOWN)
def test_a_published_model_has_a_tiny_one_that_trains(like: str, tmp_path: Path) -> None:
    name, in_class = KNOWN[like]
    assert architecture_of(like) == name
    kind = ARCHITECTURES[name].kind
    folder = write_tiny_model(like, tmp_path / "model")
    assert folder == tmp_path / "model"
    assert sum(p.stat().st_size for p in folder.iterdir()) < 300_000
    classifier = load_classifier(str(folder), ("a", "b"), kind=kind)
    assert type(classifier.model).__name__ == in_class
    model = attach(classifier.model, Adapter("lora", rank=2), classifier.head, task=kind)
    if isinstance(classifier, ImageClassifier):
        assert classifier.preprocessing.size == SIDE
        assert classifier.notes == ()
        batch = {"pixel_values": torch.randn(3, 3, SIDE, SIDE)}
    else:
        assert isinstance(classifier, TextClassifier)
        batch = dict(
            classifier.tokenizer(["calm river", "the thunder"], padding=True, return_tensors="pt")
        )
    logits = model(**batch, **classifier.forward_arguments).logits
    assert logits.shape == (len(next(iter(batch.values()))), 2)
    assert len(torch.unique(logits[:, 0])) > 1  # inputs can be told apart
    logits.sum().backward()


def test_every_architecture_and_every_name_is_tried_above() -> None:
    assert {name for _, name in HUB_NAMES} == {name for name, _ in KNOWN.values()}
    # The tower alone has no name of its own on the hub; folders hold it.
    assert set(ARCHITECTURES) == {name for name, _ in KNOWN.values()} | {"clip_vision_model"}


@pytest.mark.parametrize("name", ["clip", "bert"])
def test_the_seed_alone_decides_what_is_written(name: str, tmp_path: Path) -> None:
    like = {"clip": "openai/clip-vit-base-patch32", "bert": "bert-base-uncased"}[name]

    def files(folder: str, seed: int) -> dict[str, bytes]:
        torch.manual_seed(len(folder))  # what was drawn before makes no difference
        path = write_tiny_model(like, tmp_path / folder, seed=seed)
        return {p.name: p.read_bytes() for p in path.iterdir()}

    first = files("first", 0)
    assert files("second", 0) == first
    other = files("other one", 1)
    assert other.pop("model.safetensors") != first.pop("model.safetensors")
    assert other == first


def test_the_global_generator_is_left_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    write_tiny_model("google/vit-base-patch16-224", tmp_path)
    assert torch.equal(torch.rand(1), expected)


def test_clip_is_stored_with_both_towers(tmp_path: Path) -> None:
    folder = write_tiny_model("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", tmp_path)
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        names = {name.split(".")[0] for name in file.keys()}  # noqa: SIM118 - no dict
    assert {"text_model", "vision_model", "visual_projection", "logit_scale"} <= names
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    assert settings["image_mean"][0] == pytest.approx(0.48145466)


def test_the_tokenizer_knows_the_tiny_texts_and_a_decoder_has_no_pad_token(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    for like, pad in (("bert-base-uncased", "[PAD]"), ("mistralai/Mistral-7B-v0.1", None)):
        tokenizer = AutoTokenizer.from_pretrained(write_tiny_model(like, tmp_path / like))
        assert tokenizer.pad_token == pad
        words = [word for row in WORDS.values() for word in row] + list(FILLERS)
        numbers = tokenizer(" ".join(words), add_special_tokens=False)["input_ids"]
        assert len(set(numbers)) == len(words)
        assert tokenizer.unk_token_id not in numbers
        assert tokenizer("zebra", add_special_tokens=False)["input_ids"] == [tokenizer.unk_token_id]
        assert tokenizer.num_special_tokens_to_add() == (2 if pad else 1)


def test_a_model_on_this_machine_is_known_by_its_config(tmp_path: Path) -> None:
    from transformers import CLIPVisionConfig, DistilBertConfig

    DistilBertConfig().save_pretrained(tmp_path / "anything")
    folder = write_tiny_model(str(tmp_path / "anything"), tmp_path / "tiny")
    assert json.loads((folder / "config.json").read_text())["model_type"] == "distilbert"
    CLIPVisionConfig().save_pretrained(tmp_path / "tower")
    folder = write_tiny_model(str(tmp_path / "tower"), tmp_path / "tiny tower")
    classifier = load_classifier(str(folder), ("a", "b"), kind="image")
    assert type(classifier.model).__name__ == "ClipTowerForImageClassification"


def test_an_adapter_is_known_by_its_base(tmp_path: Path) -> None:
    base = write_tiny_model("facebook/dinov2-base", tmp_path / "base")
    adapter = Adapter("lora", rank=2)
    classifier = load_classifier(str(base), ("a", "b"), kind="image")
    model = attach(classifier.model, adapter, classifier.head)
    save_finetuned(classifier, model, adapter, tmp_path / "run")
    assert architecture_of(str(tmp_path / "run")) == "dinov2"


def test_the_embedded_model_is_small_already(tmp_path: Path) -> None:
    assert str(write_tiny_model("embedded", tmp_path / "nothing")) == "embedded"
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    "like",
    [
        "microsoft/deberta-v3-base",
        "albert/albert-base-v2",
        "microsoft/resnet-50",
        "meta-llama/Llama-3.2-11B-Vision",
        "facebook/vit-mae-base",
        "nobody/nothing",
    ],
)
def test_an_unknown_id_names_what_is_known(like: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        write_tiny_model(like, tmp_path)
    assert like in str(error.value)
    assert "Swin-v2" in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_folder_of_another_architecture_and_none_at_all(tmp_path: Path) -> None:
    from transformers import ResNetConfig

    ResNetConfig().save_pretrained(tmp_path / "resnet")
    with pytest.raises(InputError, match="model type resnet"):
        write_tiny_model(str(tmp_path / "resnet"), tmp_path / "tiny")
    with pytest.raises(InputError, match="no such model folder"):
        write_tiny_model(str(tmp_path / "nowhere"), tmp_path / "tiny")

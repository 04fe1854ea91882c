"""Models and adapters that other versions wrote: their own answers, or refused by name.

``old/`` holds some of them with their bases; ``old/expected.json`` says who wrote them and what
they answered there. More lie in the shared folder, and ``scripts/compatibility.py`` writes a
matrix of them.
"""

from __future__ import annotations

import csv
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.models import (
    Adapter,
    ImageClassifier,
    TextClassifier,
    attach,
    load_finetuned,
    load_image_classifier,
    load_language,
    load_text_classifier,
    save_finetuned,
)
from fairlora.models.adapter_translation import pattern_values
from fairlora.models.renames import PREFIX, ModuleNames
from fairlora.training.datasets import inputs_of_rows, logits_of

OLD = Path(__file__).parent / "old"
TOLERANCE = 1e-4
TinyModel = Callable[[str], Path]

REFUSED = {"A/bert-relkey": "relative positions", "A/bert-pruned": "heads were pruned"}
CLASSES = ("neg", "neu", "pos")


def examples_of(inputs: list[Any], kind: str, classes: tuple[str, ...]) -> Examples:
    """Inputs as a data set, whose labels do not matter."""
    return Examples(
        name="old",
        ids=np.array([str(k) for k in range(len(inputs))], dtype=object),
        images=inputs if kind == "image" else None,
        texts=inputs if kind == "text" else None,
        labels=np.zeros(len(inputs), dtype=np.int64),
        classes=classes,
        groups={},
        fingerprint="old",
    )


def answers(model: str, kind: str, inputs: list[Any]) -> list[Tensor]:
    """The logits of each input, as `fairlora predict` and `fairlora probe` load a model."""
    if kind == "language":
        language = load_language(model)
        found = []
        for text in inputs:
            ids = language.tokenizer(text, return_tensors="pt")["input_ids"]
            with torch.no_grad():
                found.append(language.model(input_ids=ids).logits[0, -3:])
        return found
    classifier = load_finetuned(model)
    batch = inputs_of_rows(classifier, examples_of(inputs, kind, classifier.classes))
    return list(logits_of(classifier, batch))


ADAPTERS = [
    name
    for name in json.loads((OLD / "expected.json").read_text())
    if name[:2] in ("A/", "B/", "C/")
]


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_old_adapter_answers_as_it_did(name: str) -> None:
    said = json.loads((OLD / "expected.json").read_text())
    expected = torch.tensor(said[name]["logits"])
    inputs: list[Any] = said["texts"]
    if said[name]["kind"] == "image":
        inputs = [OLD / "pictures" / f"{k}.png" for k in range(len(expected))]
    found = torch.stack(answers(str(OLD / name), said[name]["kind"], inputs))
    torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.real_data
def test_every_old_model_answers_as_it_did_or_is_refused_by_name(shared: Path) -> None:
    folder = shared / "data" / "old-artefacts"
    if not folder.is_dir():
        pytest.skip("models that older versions wrote are not beside the repository")
    with (folder / "texts.csv").open(newline="") as file:
        texts: list[Any] = [row["text"] for row in csv.DictReader(file)]
    with (folder / "pictures.csv").open(newline="") as file:
        pictures: list[Any] = [folder / row["image"] for row in csv.DictReader(file)]
    wrong = {}
    for name, said in json.loads((folder / "expected.json").read_text()).items():
        inputs = pictures if said["kind"] == "image" else texts
        if name in REFUSED:
            with pytest.raises(InputError, match=REFUSED[name]):
                answers(str(folder / name), said["kind"], inputs)
            continue
        expected = [torch.tensor(one) for one in said["logits"]]
        found = answers(str(folder / name), said["kind"], inputs[: len(expected)])
        pairs = zip(found, expected, strict=True)
        off = max(float((a.flatten() - b.flatten()).abs().max()) for a, b in pairs)
        if not off <= TOLERANCE:
            wrong[name] = off
    assert wrong == {}


def test_what_was_found_is_recorded() -> None:
    record = load_finetuned(str(OLD / "A/dinov2-lora-dense")).record
    assert record.written_by == {"transformers": "4.40.2", "peft": "0.10.0"}
    old = "dinov2.encoder.layer.1.attention.attention.query"
    assert record.renamed[old] != old
    assert record.keys == 5 * 2 * 2 + 2  # matrices, layers, A and B; the head's weight and bias
    assert record.dtype == "float32"
    assert record.head == ("classifier",)


# Architectures whose modules transformers renamed, or not: what is adapted, by today's names.
EARLIER: dict[str, tuple[str, ...] | None] = {
    "vit": None,
    "dinov2": ("q_proj", "v_proj", "o_proj", "fc1", "fc2"),
    "dinov2_registers": None,
    "swinv2": ("query", "value", "reduction"),
    "clip_tower": None,
    "clip_full": None,
    "bert": ("query", "value", "dense"),
    "llama": None,
}


def saved_adapter(tiny_model: TinyModel, name: str, folder: Path) -> tuple[Any, dict[str, Tensor]]:
    """A drawn LoRA on a tiny model, saved as PEFT does and as if made elsewhere; its answers."""
    text = name in ("bert", "llama")
    load: Any = load_text_classifier if text else load_image_classifier
    classifier = load(str(tiny_model(name)), CLASSES)
    adapter = Adapter("lora", rank=2, targets=EARLIER.get(name))
    model = attach(classifier.model, adapter, classifier.head, task=classifier.kind)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight += torch.randn_like(weight) * 0.1
    written = save_finetuned(classifier, model, adapter, folder)
    batch = some_inputs(classifier)
    with torch.no_grad():
        logits = model.eval()(**batch, **classifier.forward_arguments).logits
    return written, {"logits": logits, **batch}


def some_inputs(classifier: Any) -> dict[str, Tensor]:
    torch.manual_seed(2)
    if isinstance(classifier, ImageClassifier):
        size = classifier.preprocessing.size
        return {"pixel_values": torch.randn(3, 3, size, size)}
    return {"input_ids": torch.randint(3, 20, (3, 7))}


def rewrite(folder: Path, change: Callable[[str], str], **settings: Any) -> None:
    """Change the names in an adapter's file, and its settings."""
    path = folder / "adapter_model.safetensors"
    save_file({change(key): weight for key, weight in load_file(path).items()}, path)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, **settings}))


def same_answers(folder: Path, expected: dict[str, Tensor]) -> Any:
    classifier = load_finetuned(str(folder))
    batch = {k: v for k, v in expected.items() if k != "logits"}
    found = logits_of(classifier, batch)
    torch.testing.assert_close(found, expected["logits"], atol=1e-5, rtol=0)
    return classifier


@pytest.mark.parametrize("name", list(EARLIER))
def test_names_of_earlier_versions_are_todays(
    tiny_model: TinyModel, tmp_path: Path, name: str
) -> None:
    folder, expected = saved_adapter(tiny_model, name, tmp_path)
    text = name in ("bert", "llama")
    load: Any = load_text_classifier if text else load_image_classifier
    names = ModuleNames(load(str(tiny_model(name)), CLASSES).model)
    adapted: set[str] = set()

    def before(key: str) -> str:
        parts = names.split(key)
        assert parts is not None
        old = names.earlier(parts[1])
        if "lora" in parts[2]:
            adapted.add(old.rsplit(".", 1)[-1])
        return f"{PREFIX}{old}.{parts[2]}"

    rewrite(folder, before)
    rewrite(folder, str, target_modules=sorted(adapted))
    classifier = same_answers(folder, expected)
    assert bool(classifier.record.renamed) == (name not in ("swinv2", "bert", "llama"))


def test_a_clip_tower_of_transformers_5_4_is_read(tiny_model: TinyModel, tmp_path: Path) -> None:
    folder, expected = saved_adapter(tiny_model, "clip_tower", tmp_path)
    rewrite(folder, lambda key: key.replace(".vision_model.", ".vision_model.vision_model."))
    assert same_answers(folder, expected).record.renamed


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("bert", lambda key: f"_orig_mod.{key}"),
        ("bert", lambda key: key.replace(PREFIX, f"{PREFIX}module.")),
        ("bert", lambda key: PREFIX + key),
        ("llama", lambda key: PREFIX + key),
        ("llama", lambda key: key.replace("model.layers", "model.language_model.layers")),
        ("llama", lambda key: key.replace("model.model.layers", "model.language_model.layers")),
        ("bert", lambda key: key.replace(".bert.", ".")),
    ],
)
def test_what_wrappers_put_before_a_name_is_taken_off(
    tiny_model: TinyModel, tmp_path: Path, name: str, change: Callable[[str], str]
) -> None:
    folder, expected = saved_adapter(tiny_model, name, tmp_path)
    rewrite(folder, change)
    same_answers(folder, expected)


def broken(folder: Path, how: str) -> None:
    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    key = next(key for key in weights if "layer.1" in key and "lora_B" in key)
    if how == "lost":
        del weights[key]
    elif how == "extra":
        weights[key.replace("layer.1", "layer.7")] = weights[key].clone()
    elif how == "unknown":
        weights["something.else"] = torch.zeros(3)
    elif how == "shape":
        weights[key] = torch.zeros(5, 2)
    elif how == "nan":
        weights[key][0, 0] = torch.nan
    elif how == "twice":
        weights[f"_orig_mod.{key}"] = weights[key].clone()
    elif how == "head":
        del weights[f"{PREFIX}classifier.bias"]
    save_file(weights, path)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("lost", r"lacks weights of the adapter \(found no .*layer.1.*lora_B"),
        ("extra", r"no place for \(found .*layer.7"),
        ("unknown", r"no place for \(found something.else"),
        ("shape", r"lora_B.weight of 5 x 2; expected 32 x 2"),
        ("nan", r"NaN or infinity in .*layer.1"),
        ("twice", r"two weights of the file are one"),
        ("head", r"lacks weights .*classifier.bias"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(
    tiny_model: TinyModel, tmp_path: Path, how: str, message: str
) -> None:
    folder, _ = saved_adapter(tiny_model, "bert", tmp_path)
    broken(folder, how)
    with pytest.raises(InputError, match=message):
        load_finetuned(str(folder))


def test_settings_that_name_other_modules_than_the_file_are_refused(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    folder, _ = saved_adapter(tiny_model, "bert", tmp_path)
    rewrite(folder, str, target_modules=["query"])
    with pytest.raises(InputError, match="modules that its settings do not name .*value"):
        load_finetuned(str(folder))
    rewrite(folder, str, target_modules=["query", "value", "dense", "key"])
    with pytest.raises(InputError, match="lacks weights of the adapter .*key"):
        load_finetuned(str(folder))


@pytest.mark.parametrize(
    ("version", "ranks", "alphas", "expected"),
    [
        # One key for both, that of the ranks: the other's alpha was never read.
        ("0.10.0", {"q_proj": 2}, {"model.layers.0.q_proj": 128}, {(2, 16.0)}),
        ("0.13.2", {}, {"q_proj": 64}, {(4, 64.0)}),
        # A key of its own for each; before 0.15 a whole name fitted no pattern, but itself.
        ("0.14.0", {"q_proj": 2}, {"model.layers.0.q_proj": 128}, {(2, 128.0)}),
        ("0.18.1", {"q_proj": 2}, {"model.layers.0.q_proj": 128}, {(2, 128.0)}),
        ("0.14.0", {}, {"model.layers.0.(q|k)_proj": 32}, {(4, 16.0)}),
        ("0.15.2", {}, {"model.layers.0.(q|k)_proj": 32}, {(4, 32.0)}),
        # The order of the keys is not in the file.
        ("0.15.2", {}, {"q_proj": 64, "0.q_proj": 32}, {(4, 64.0), (4, 32.0)}),
        (None, {"q_proj": 2}, {"model.layers.0.q_proj": 128}, {(2, 16.0), (2, 128.0)}),
        (None, {"v_proj": 2}, {"v_proj": 128}, {(4, 16.0)}),
    ],
)
def test_patterns_are_read_as_the_version_that_wrote_them(
    version: str | None,
    ranks: dict[str, int],
    alphas: dict[str, int],
    expected: set[tuple[int, float]],
) -> None:
    found = pattern_values("model.layers.0.q_proj", ranks, alphas, 4, 16, version)
    assert found == expected


def test_patterns_that_can_be_read_in_two_ways_are_refused(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    folder, expected = saved_adapter(tiny_model, "bert", tmp_path)
    rewrite(folder, str, alpha_pattern={"query": 64, "self.query": 32})
    with pytest.raises(InputError, match="several patterns .*query: rank and alpha 2, 32 or 2, 64"):
        load_finetuned(str(folder))
    rewrite(folder, str, alpha_pattern={"query": 4, "self.query": 4})
    same_answers(folder, expected)  # alpha 4 is what it was trained with


def test_a_pickle_that_holds_more_than_tensors_is_not_read(tmp_path: Path) -> None:
    shutil.copytree(OLD / "A/bert-lora-bin", tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_model.bin"
    torch.save({"weight": torch.zeros(1), "code": Path}, path)
    damaged = b"\x80\x05\x8c\x01a."
    for content in (path.read_bytes(), damaged):
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # torch's own word on it is no one's line
            with pytest.raises(InputError, match="more than tensors"):
                load_finetuned(str(tmp_path / "adapter"), base=str(OLD / "A/bert-base"))
    path.unlink()
    with pytest.raises(InputError, match="an adapter without weights"):
        load_finetuned(str(tmp_path / "adapter"), base=str(OLD / "A/bert-base"))


def test_a_base_that_moved_names_the_adapter(tmp_path: Path) -> None:
    shutil.copytree(OLD / "B/vit-lora", tmp_path / "adapter")
    with pytest.raises(InputError, match=r"adapter: the base model .*vit-base.*--base"):
        load_finetuned(str(tmp_path / "adapter"))
    load_finetuned(str(tmp_path / "adapter"), base=str(OLD / "B/vit-base"))


def edited(folder: Path, name: str, **settings: Any) -> Path:
    """A copy of an old adapter with other settings, None for one that is taken out."""
    shutil.copytree(OLD / name, folder / "adapter")
    for base in ("vit-base", "bert-base", "dinov2-base"):
        if (OLD / name).with_name(base).is_dir():
            shutil.copytree((OLD / name).with_name(base), folder / base)
    path = folder / "adapter" / "adapter_config.json"
    said = {**json.loads(path.read_text()), **settings}
    path.write_text(json.dumps({k: v for k, v in said.items() if v is not None}))
    return folder / "adapter"


def test_a_setting_of_another_version_is_named_and_refused_where_it_is_switched_on(
    tmp_path: Path,
) -> None:
    off = edited(tmp_path / "off", "B/vit-lora", later=False, later_size=16)
    found = load_finetuned(str(off))
    assert any("does not know: later_size 16" in note for note in found.notes)
    assert found.record.left_out[-1] == "setting later_size"
    on = edited(tmp_path / "on", "B/vit-lora", use_later=True)
    with pytest.raises(InputError, match=r"adapter_config\.json: .*on \(found use_later: true"):
        load_finetuned(str(on))


def test_adalora_that_was_written_without_its_steps_says_that_they_are_not_its_own() -> None:
    assert "settings" in load_finetuned(str(OLD / "A/bert-adalora")).record.translated


def test_oft_that_rotated_outputs_is_refused_by_name(tmp_path: Path) -> None:
    settings = {"peft_type": "OFT", "r": 4, "lora_alpha": None, "lora_dropout": None}
    with pytest.raises(InputError, match=r"rotates what a layer gives.*PEFT 0\.14"):
        load_finetuned(str(edited(tmp_path, "B/vit-lora", **settings)))


def elsewhere(folder: Path) -> None:
    """Take away what fairlora wrote beside an adapter."""
    (folder / "fairlora.json").unlink()
    (folder / "preprocessor_config.json").unlink(missing_ok=True)


def test_an_adapter_from_elsewhere_keeps_the_names_of_its_bases_classes(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    classifier = load_image_classifier(str(tiny_model("vit")), CLASSES)
    classifier.model.save_pretrained(base)
    tuned = load_image_classifier(str(base), CLASSES)
    adapter = Adapter("lora", rank=2)
    model = attach(tuned.model, adapter, tuned.head)
    folder = save_finetuned(tuned, model, adapter, tmp_path)
    elsewhere(folder)
    assert load_finetuned(str(folder)).classes == CLASSES
    config = json.loads((base / "config.json").read_text())
    config["problem_type"] = "multi_label_classification"
    (base / "config.json").write_text(json.dumps(config))
    for path in (folder, base):
        with pytest.raises(InputError, match="does not choose one of several classes"):
            load_finetuned(str(path))


def test_an_adapters_own_image_processor_wins(tiny_model: TinyModel, tmp_path: Path) -> None:
    folder, _ = saved_adapter(tiny_model, "dinov2", tmp_path)
    elsewhere(folder)
    plain = load_finetuned(str(folder))
    assert isinstance(plain, ImageClassifier)
    assert plain.preprocessing.mean == (0.4, 0.4, 0.4)
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "ViTImageProcessor",
                "size": {"height": 32, "width": 32},
                "resample": 2,
                "image_mean": [0.1, 0.2, 0.3],
                "image_std": [0.5, 0.6, 0.7],
            }
        )
    )
    own = load_finetuned(str(folder))
    assert isinstance(own, ImageClassifier)
    assert own.preprocessing.mean == (0.1, 0.2, 0.3)
    assert own.preprocessing.resample == 2
    assert own.record.processor == str(folder)
    assert "own preprocessor_config.json says" in " ".join(own.notes)
    assert not any("own preprocessor" in note for note in plain.notes)


def test_added_tokens_resize_the_embeddings(tiny_model: TinyModel, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    classifier = load_text_classifier(str(tiny_model("bert")), CLASSES)
    classifier.tokenizer.add_tokens(["zebra"])
    classifier.model.resize_token_embeddings(len(classifier.tokenizer))
    config = LoraConfig(r=2, target_modules=["query"], task_type="SEQ_CLS")
    model = get_peft_model(classifier.model, config).eval()
    model.save_pretrained(tmp_path, save_embedding_layers=True)
    classifier.tokenizer.save_pretrained(tmp_path)
    found = load_finetuned(str(tmp_path), base=str(tiny_model("bert")))
    assert isinstance(found, TextClassifier)
    ids = found.tokenizer("zebra cat", return_tensors="pt")["input_ids"]
    assert ids.max() == 20
    with torch.no_grad():
        expected = model(input_ids=ids).logits
        torch.testing.assert_close(found.model(input_ids=ids).logits, expected)
    # Without the embeddings the new token has none.
    model.save_pretrained(tmp_path, save_embedding_layers=False)
    bare = load_finetuned(str(tmp_path), base=str(tiny_model("bert")))
    with pytest.raises(InputError, match="a token that the weights have no embedding of"):
        inputs_of_rows(bare, examples_of(["zebra"], "text", bare.classes))

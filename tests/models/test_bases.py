"""What an earlier run made as the base of a new one, merged models, and quantised bases."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    BitsAndBytesConfig,
)

from fairlora.errors import InputError
from fairlora.models import (
    Adapter,
    Classifier,
    ImageClassifier,
    attach,
    load_classifier,
    load_finetuned,
    load_image_classifier,
    load_text_classifier,
    merge,
    model_fingerprint,
    quantization,
    resolve_source,
    save_finetuned,
    save_merged,
)
from fairlora.models.quantization import keep_trainable_weights

CLASSES = ("cat", "dog", "owl")
TinyModel = Callable[[str], Path]
KINDS = ("full", "linear", "lora", "ia3", "ln_tuning")


def answers(classifier: Classifier, model: Any = None) -> Tensor:
    network = (classifier.model if model is None else model).eval()
    with torch.no_grad():
        if isinstance(classifier, ImageClassifier):
            size = classifier.preprocessing.size
            pixels = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(0))
            images: Tensor = network(pixel_values=pixels, **classifier.forward_arguments).logits
            return images
        ids = torch.tensor([[4, 5, 6, 7], [8, 9, 10, 11]])
        texts: Tensor = network(input_ids=ids).logits
        return texts


def shifted(classifier: Classifier, adapter: Adapter) -> Any:
    """The model with its adapter, every trainable tensor moved a little."""
    model = attach(classifier.model, adapter, classifier.head)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn(parameter.shape, generator=draw)
    return model


def run_of(base: Path, run: Path, kind: str, **options: Any) -> tuple[Classifier, Tensor]:
    """A finished run's folder as far as models go, and what its model answers."""
    data = "text" if (base / "tokenizer.json").is_file() else "image"
    classifier = load_classifier(str(base), CLASSES, kind=data, **options)  # type: ignore[arg-type]
    adapter = Adapter(kind, rank=2)
    model = shifted(classifier, adapter)
    expected = answers(classifier, model)
    save_finetuned(classifier, model, adapter, run)
    (run / "status.json").write_text("{}")
    return classifier, expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["vit", "swinv2", "bert", "llama"])
def test_a_run_is_the_base_of_another(
    tiny_model: TinyModel, tmp_path: Path, name: str, kind: str
) -> None:
    before, expected = run_of(tiny_model(name), tmp_path / "first", kind)
    data = before.kind
    first = str(tmp_path / "first")
    kept = load_classifier(first, CLASSES, kind=data, keep_head=True)
    torch.testing.assert_close(answers(kept), expected, atol=1e-4, rtol=1e-3)
    assert kept.base == first
    # The last layer of it, trained once more: saved and found again through both folders.
    adapter = Adapter("linear")
    model = shifted(kept, adapter)
    assert any(p.requires_grad for p in model.parameters())
    last = answers(kept, model)
    save_finetuned(kept, model, adapter, tmp_path / "second")
    torch.testing.assert_close(answers(load_finetuned(str(tmp_path / "second"))), last)
    assert not torch.allclose(last, expected)
    # A new head on the same body, for the same classes and for others.
    kept = load_classifier(first, CLASSES, kind=data, keep_head=True)
    for classes in (CLASSES, ("yes", "no")):
        new = load_classifier(first, classes, kind=data, head_seed=5)
        assert new.classes == classes
        assert new.model.config.id2label == dict(enumerate(classes))
        assert answers(new).shape[1] == len(classes)
        again = load_classifier(first, classes, kind=data, head_seed=5)
        assert torch.equal(answers(new), answers(again))
        body = {k: v for k, v in kept.model.state_dict().items() if not k.startswith(new.head)}
        assert body
        for key, value in body.items():
            assert torch.equal(value, new.model.state_dict()[key]), key
        assert all(p.requires_grad for p in new.model.parameters())


def test_an_adapter_on_a_run_finds_both_again(tiny_model: TinyModel, tmp_path: Path) -> None:
    run_of(tiny_model("vit"), tmp_path / "first", "lora")
    second = load_image_classifier(str(tmp_path / "first"), ("a", "b"))
    adapter = Adapter("lora", rank=3)
    model = shifted(second, adapter)
    expected = answers(second, model)
    save_finetuned(second, model, adapter, tmp_path / "second")
    loaded = load_finetuned(str(tmp_path / "second"))
    torch.testing.assert_close(answers(loaded), expected, atol=1e-5, rtol=1e-4)
    folder = save_merged(loaded, tmp_path / "merged")
    plain = AutoModelForImageClassification.from_pretrained(folder)
    torch.testing.assert_close(answers(loaded, plain), expected, atol=1e-4, rtol=1e-3)


def test_a_head_is_kept_for_the_same_classes_alone(tiny_model: TinyModel, tmp_path: Path) -> None:
    for kind in ("full", "lora"):
        run_of(tiny_model("vit"), tmp_path / kind, kind)
        with pytest.raises(InputError, match="other classes.*cat, dog, owl.*cat, owl, dog"):
            load_image_classifier(str(tmp_path / kind), ("cat", "owl", "dog"), keep_head=True)
        named = load_image_classifier(str(tmp_path / kind), ("Cat", "Dog", "Owl"), keep_head=True)
        assert named.classes == ("Cat", "Dog", "Owl")
    with pytest.raises(InputError, match="no classification head"):
        load_image_classifier(str(tiny_model("vit")), CLASSES, keep_head=True)


def test_size_and_range_of_the_run_are_kept(tiny_model: TinyModel, tmp_path: Path) -> None:
    base = tiny_model("vit")
    for kind in ("full", "lora"):
        run_of(base, tmp_path / kind, kind, image_size=16)
        assert load_image_classifier(str(tmp_path / kind), CLASSES).preprocessing.size == 16
        other = load_image_classifier(str(tmp_path / kind), CLASSES, image_size=32)
        assert other.preprocessing.size == 32
    run_of(tiny_model("bert"), tmp_path / "text", "lora", max_length=7)
    assert load_text_classifier(str(tmp_path / "text"), CLASSES, max_length=9).max_length == 9


def test_a_model_of_the_other_kind_is_one_line(tiny_model: TinyModel, tmp_path: Path) -> None:
    run_of(tiny_model("vit"), tmp_path / "image", "lora")
    run_of(tiny_model("bert"), tmp_path / "text", "lora")
    run_of(tiny_model("bert"), tmp_path / "whole", "full")
    for call in (
        lambda: load_finetuned(str(tmp_path / "image"), kind="text"),
        lambda: load_classifier(str(tmp_path / "image"), CLASSES, kind="text"),
    ):
        with pytest.raises(InputError, match="classifies pictures, and the data are texts"):
            call()
    for call in (
        lambda: load_finetuned(str(tmp_path / "text"), kind="image"),
        lambda: load_classifier(str(tmp_path / "whole"), CLASSES, kind="image"),
    ):
        with pytest.raises(InputError, match="classifies texts, and the data are pictures"):
            call()


def test_a_card_from_before_there_were_texts_is_of_pictures(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    _, expected = run_of(tiny_model("vit"), tmp_path, "lora")
    card = json.loads((tmp_path / "adapter" / "fairlora.json").read_text())
    assert card.pop("kind") == "image"
    card["adapter"].pop("fields")
    (tmp_path / "adapter" / "fairlora.json").write_text(json.dumps(card))
    loaded = load_finetuned(str(tmp_path), kind="image")
    torch.testing.assert_close(answers(loaded), expected)


def test_the_fingerprint_of_a_run_is_its_weights(tiny_model: TinyModel, tmp_path: Path) -> None:
    def of(path: Path) -> str:
        return model_fingerprint(resolve_source(str(path)))

    run_of(tiny_model("vit"), tmp_path / "run", "lora")
    first = of(tmp_path / "run")
    assert first == of(tmp_path / "run")
    weights = tmp_path / "run" / "adapter" / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert of(tmp_path / "run") != first
    # On another base the same adapter is another model.
    card = json.loads((weights.parent / "fairlora.json").read_text())
    changed = of(tmp_path / "run")
    (tmp_path / "base").mkdir()
    for path in Path(card["base"]).iterdir():
        (tmp_path / "base" / path.name).write_bytes(path.read_bytes())
    card["base"] = str(tmp_path / "base")
    (weights.parent / "fairlora.json").write_text(json.dumps(card))
    moved = of(tmp_path / "run")
    body = tmp_path / "base" / "model.safetensors"
    body.write_bytes(body.read_bytes()[:-1] + b"\x01")
    assert len({changed, moved, of(tmp_path / "run")}) == 3


def test_a_merged_folder_says_how_pictures_are_prepared(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    classifier, _ = run_of(tiny_model("dinov2"), tmp_path / "run", "lora")
    folder = save_merged(load_finetuned(str(tmp_path / "run")), tmp_path / "merged")
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    assert settings["size"] == {"height": 32, "width": 32}
    assert settings["image_mean"] == [0.4, 0.4, 0.4]
    (folder / "fairlora.json").unlink()
    again = load_finetuned(str(folder))
    assert isinstance(again, ImageClassifier)
    assert isinstance(classifier, ImageClassifier)
    assert again.preprocessing == classifier.preprocessing


@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_quantising_says_what_is_missing(
    tiny_model: TinyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: str
) -> None:
    monkeypatch.setattr(quantization.importlib.util, "find_spec", lambda name: None)
    for load in (
        lambda: load_image_classifier("embedded", CLASSES, quantize=bits),
        lambda: load_text_classifier(str(tiny_model("llama")), CLASSES, quantize=bits),
    ):
        with pytest.raises(InputError, match=r"model\.quantize.*pip install bitsandbytes"):
            load()
    monkeypatch.undo()
    pytest.importorskip("bitsandbytes")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(quantization, "version", lambda name: "0.45.5")
    with pytest.raises(InputError, match=r"model\.quantize.*NVIDIA GPU .*or bitsandbytes 0\.50"):
        load_image_classifier("embedded", CLASSES, quantize=bits)
    with pytest.raises(InputError, match=r"found '2bit'; expected 4bit or 8bit"):
        load_image_classifier("embedded", CLASSES, quantize="2bit")
    run_of(tiny_model("vit"), tmp_path, "lora")
    with pytest.raises(InputError, match="cannot be folded into quantised weights"):
        load_image_classifier(str(tmp_path), CLASSES, quantize=bits)


def stored(quantize: str) -> BitsAndBytesConfig:
    """How bitsandbytes is asked by hand for what `model.quantize` names."""
    return BitsAndBytesConfig(
        load_in_4bit=quantize == "4bit",
        load_in_8bit=quantize == "8bit",
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_use_double_quant=True,
        llm_int8_skip_modules=["score"],
    )


@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_a_quantised_base_is_trained_on_saved_and_loaded(
    tiny_model: TinyModel, tmp_path: Path, bits: str
) -> None:
    """On the CPU where there is no GPU; the library's own loading is the oracle."""
    pytest.importorskip("bitsandbytes")
    folder = str(tiny_model("llama"))
    classifier = load_text_classifier(folder, CLASSES, quantize=bits)
    device = next(classifier.model.parameters()).device
    ids = torch.tensor([[3, 4, 5, 6], [7, 8, 9, 3], [5, 5, 4, 8], [9, 3, 7, 7]], device=device)
    theirs = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=len(CLASSES), quantization_config=stored(bits), device_map={"": device}
    )
    keep_trainable_weights(theirs)  # on some processors it could not compute layers so small
    kind = {torch.uint8} if bits == "4bit" else {torch.int8}
    for model in (classifier.model, theirs):
        assert {p.weight.dtype for n, p in model.named_modules() if n.endswith("q_proj")} == kind
    theirs.score.load_state_dict(classifier.model.score.state_dict())
    theirs.config.pad_token_id = classifier.model.config.pad_token_id
    with torch.no_grad():
        expected = theirs.eval()(ids).logits
        torch.testing.assert_close(classifier.model.eval()(ids).logits, expected)

    model = attach(classifier.model, Adapter("lora", rank=4), classifier.head, task="text")
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    labels = torch.tensor([0, 1, 1, 0], device=device)
    losses = []
    for _ in range(30):
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    save_finetuned(classifier, model, Adapter("lora", rank=4), tmp_path)
    with torch.no_grad():
        trained = model.eval()(ids).logits
        again = load_finetuned(str(tmp_path))
        assert again.quantize == bits
        torch.testing.assert_close(again.model(ids).logits, trained)
        # Folded in on full weights: what quantising loses is small beside what was learnt.
        whole = merge(load_finetuned(str(tmp_path), quantize="none"))
        off = (whole.model.to(device)(ids).logits - trained).abs().max()
    assert off < 0.2 * (trained - expected).abs().max()


def test_a_quantised_base_is_trained_on_after_it_has_predicted(
    tiny_model: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on processors with bfloat16 products, where bitsandbytes would repack the weights."""
    modules = pytest.importorskip("bitsandbytes.nn.modules")
    monkeypatch.setattr(modules, "has_avx512bf16", lambda: True)
    classifier = load_text_classifier(str(tiny_model("llama")), CLASSES, quantize="4bit")
    model = attach(classifier.model, Adapter("lora", rank=4), classifier.head, task="text")
    device = next(model.parameters()).device
    ids = torch.tensor([[3, 4, 5, 6], [7, 8, 9, 3]], device=device)

    trained = [p for p in model.parameters() if p.requires_grad]

    def gradients() -> list[Tensor]:
        loss = model(input_ids=ids, labels=torch.tensor([0, 1], device=device)).loss
        return [loss, *torch.autograd.grad(loss, trained)]

    before = gradients()
    with torch.no_grad():
        model.eval()(input_ids=ids)
    model.train()
    torch.testing.assert_close(gradients(), before)


def test_a_quantised_model_is_neither_tuned_in_full_nor_merged(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    classifier = load_image_classifier(str(tiny_model("vit")), CLASSES)
    model = attach(classifier.model, Adapter("lora", rank=2), classifier.head)
    classifier.model.is_loaded_in_4bit = True  # as transformers marks what bitsandbytes stores
    with pytest.raises(InputError, match="quantised weights cannot be trained in full"):
        attach(classifier.model, Adapter("full"), classifier.head)
    with pytest.raises(InputError, match="quantize='none'"):
        merge(replace(classifier, model=model))


def test_what_was_trained_quantised_is_loaded_in_full_with_a_note(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    run_of(tiny_model("vit"), tmp_path, "lora")
    file = tmp_path / "adapter" / "fairlora.json"
    card = json.loads(file.read_text())
    file.write_text(json.dumps({**card, "quantize": "4bit"}))
    if not quantization.can_quantize():
        assert "trained on 4bit weights" in " ".join(load_finetuned(str(tmp_path)).notes)
    assert load_finetuned(str(tmp_path), quantize="none").quantize is None

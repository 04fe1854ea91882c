"""Text models: tokenizers and padding, new heads, lengths, GGUF files, what cannot be loaded."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertModel,
    DebertaV2Config,
    DebertaV2Model,
    GPT2Config,
    GPT2Model,
    LlamaModel,
    PreTrainedTokenizerFast,
    XLNetConfig,
    XLNetForSequenceClassification,
    XLNetTokenizer,
)

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.models import (
    Adapter,
    TextClassifier,
    attach,
    load_classifier,
    load_finetuned,
    load_text_classifier,
    model_fingerprint,
    resolve_source,
    save_finetuned,
)
from fairlora.training import TextCollator, TextDataset

CLASSES = ("no", "yes")
TinyModel = Callable[[str], Path]


def copy_of(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target))


def logits(classifier: TextClassifier, *texts: str) -> torch.Tensor:
    batch = classifier.tokenizer(
        list(texts), padding=True, truncation=True, max_length=classifier.max_length,
        return_tensors="pt", return_token_type_ids=False,
    )  # fmt: skip
    with torch.no_grad():
        output: torch.Tensor = classifier.model.eval()(**batch).logits
    return output


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("bert", ("bert.pooler", "classifier")),
        ("distilbert", ("pre_classifier", "classifier")),
        ("roberta", ("classifier",)),
        ("llama", ("score",)),
        ("mistral", ("score",)),
    ],
)
def test_every_new_module_is_head_and_starts_from_the_seed(
    tiny_model: TinyModel, name: str, head: tuple[str, ...]
) -> None:
    def start(seed: int, noise: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(noise)
        classifier = load_text_classifier(str(tiny_model(name)), CLASSES, head_seed=seed)
        assert classifier.head == head
        return dict(classifier.model.named_parameters())

    first, again, other = start(1, 0), start(1, 7), start(2, 0)
    for key, value in first.items():
        assert torch.equal(value, again[key]), key
        new = key.startswith(head) and not key.endswith("bias")
        assert torch.equal(value, other[key]) != new, key


def test_a_pooler_that_had_to_be_drawn_is_named(tiny_model: TinyModel, tmp_path: Path) -> None:
    notes = load_text_classifier(str(tiny_model("bert")), CLASSES).notes
    assert "bert.pooler" in " ".join(notes)
    whole = copy_of(tiny_model("bert"), tmp_path / "whole")
    config = BertConfig.from_pretrained(whole)
    BertModel(config).save_pretrained(whole)  # with its pooler, as sentence-transformers store it
    classifier = load_text_classifier(str(whole), CLASSES)
    assert classifier.head == ("classifier",)
    assert "bert.pooler" not in " ".join(classifier.notes)


def test_the_body_is_the_checkpoints(tiny_model: TinyModel) -> None:
    classifier = load_text_classifier(str(tiny_model("llama")), CLASSES)
    own = AutoModelForCausalLM.from_pretrained(tiny_model("llama"), dtype=torch.float32)
    assert isinstance(classifier.model.model, LlamaModel)
    for name, value in own.model.state_dict().items():
        assert torch.equal(classifier.model.model.state_dict()[name], value), name
    assert classifier.model.config.use_cache is False


@pytest.mark.parametrize("name", ["llama", "mistral", "bert", "roberta"])
def test_padding_changes_no_answer(tiny_model: TinyModel, name: str) -> None:
    classifier = load_text_classifier(str(tiny_model(name)), CLASSES)
    assert classifier.tokenizer.padding_side == "right"
    assert classifier.model.config.pad_token_id == classifier.tokenizer.pad_token_id
    alone = logits(classifier, "the cat")
    beside = logits(classifier, "the cat", "a dog ran very far away")
    torch.testing.assert_close(beside[:1], alone, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(beside[0], beside[1])


def test_a_missing_pad_token_takes_a_token_that_is_there(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    classifier = load_text_classifier(str(tiny_model("llama")), CLASSES)
    assert classifier.tokenizer.pad_token == "[UNK]"
    assert "no pad token" in classifier.notes[0]
    assert classifier.model.get_input_embeddings().num_embeddings == 20
    # No unknown token, then the end; a pad token outside the embeddings counts as none.
    for missing, taken in (({"unk_token"}, "[END]"), ({"unk_token", "eos_token"}, None)):
        folder = copy_of(tiny_model("llama"), tmp_path / str(len(missing)))
        tokenizer = AutoTokenizer.from_pretrained(folder)
        for token in missing:
            setattr(tokenizer, token, None)
        tokenizer.add_tokens(["more", "and more"])
        tokenizer.add_special_tokens({"pad_token": "[BEYOND]"})
        tokenizer.save_pretrained(folder)
        if taken is None:
            with pytest.raises(InputError, match="no unknown or end token"):
                load_text_classifier(str(folder), CLASSES)
        else:
            assert load_text_classifier(str(folder), CLASSES).tokenizer.pad_token == taken


def test_texts_are_cut_at_the_models_positions(tiny_model: TinyModel) -> None:
    for name, most in (("bert", 40), ("roberta", 39), ("llama", 40)):
        classifier = load_text_classifier(str(tiny_model(name)), CLASSES, max_length=100)
        assert classifier.max_length == most
        assert f"takes {most} tokens" in " ".join(classifier.notes)
        own = load_text_classifier(str(tiny_model(name)), CLASSES)
        assert own.max_length == most
        assert "tokens" not in " ".join(own.notes)
        logits(classifier, "cat " * 100)
    short = load_text_classifier(str(tiny_model("bert")), CLASSES, max_length=8)
    assert short.max_length == 8
    with pytest.raises(InputError, match=r"max_length: no room.*found 0"):
        load_text_classifier(str(tiny_model("bert")), CLASSES, max_length=0)


def test_the_tokenizers_length_counts_where_it_is_shorter(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    folder = copy_of(tiny_model("bert"), tmp_path / "short")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.model_max_length = 30
    tokenizer.save_pretrained(folder)
    assert load_text_classifier(str(folder), CLASSES).max_length == 30


def test_a_model_that_reads_the_last_position_is_padded_before_the_text(tmp_path: Path) -> None:
    words = ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"]
    words += ["▁the", "▁cat", "▁dog", "▁ran"]
    tokenizer = XLNetTokenizer(vocab=[(word, -1.0) for word in words], unk_id=0)
    tokenizer.save_pretrained(tmp_path)
    config = XLNetConfig(
        vocab_size=len(words), d_model=16, n_layer=1, n_head=2, d_inner=32, pad_token_id=5,
        initializer_range=0.5, id2label={0: "no", 1: "yes"},
    )  # fmt: skip
    torch.manual_seed(0)
    model = XLNetForSequenceClassification(config).eval()
    model.save_pretrained(tmp_path)
    classifier = load_finetuned(str(tmp_path))
    assert isinstance(classifier, TextClassifier)
    texts = ["the cat", "the dog ran ran the cat ran the dog"]
    examples = Examples(
        name="texts", ids=np.array(["a", "b"]), texts=texts, labels=np.array([0, 1]),
        classes=CLASSES, groups={}, fingerprint="x",
    )  # fmt: skip
    rows = TextDataset(examples, classifier.tokenizer, classifier.max_length)
    batch = TextCollator(classifier.tokenizer)([rows[0], rows[1]])
    with torch.no_grad():
        theirs = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits
        batch = {name: batch[name] for name in ("input_ids", "attention_mask")}
        ours = classifier.model(**batch).logits
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_other_architectures_load_and_train(tiny_model: TinyModel, tmp_path: Path) -> None:
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    models: dict[str, tuple[Any, tuple[str, ...]]] = {
        # Its pooler belongs to the classifier, and no checkpoint has it.
        "deberta": (
            DebertaV2Model(DebertaV2Config(vocab_size=20, intermediate_size=32, **small)),
            ("pooler", "classifier"),
        ),
        # Query, key and value are one matrix, of transformers' own kind.
        "gpt2": (GPT2Model(GPT2Config(vocab_size=20, n_embd=32, n_layer=1, n_head=2)), ("score",)),
    }
    for name, (model, head) in models.items():
        folder = copy_of(tiny_model("bert"), tmp_path / name)
        (folder / "model.safetensors").unlink()
        model.save_pretrained(folder)
        classifier = load_text_classifier(str(folder), CLASSES)
        assert classifier.head == head
        adapter = Adapter("lora", rank=2)
        tuned = attach(classifier.model, adapter, classifier.head)
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter.data += 0.1
        expected = logits(
            TextClassifier(tuned, CLASSES, "", head, classifier.tokenizer, 20), "the cat"
        )
        save_finetuned(classifier, tuned, adapter, tmp_path / f"{name}-run")
        loaded = load_finetuned(str(tmp_path / f"{name}-run"))
        assert isinstance(loaded, TextClassifier)
        torch.testing.assert_close(logits(loaded, "the cat"), expected)


def test_a_model_fully_tuned_is_an_ordinary_folder(tiny_model: TinyModel, tmp_path: Path) -> None:
    classifier = load_text_classifier(str(tiny_model("bert")), CLASSES, max_length=12)
    model = attach(classifier.model, Adapter("full"), classifier.head)
    folder = save_finetuned(classifier, model, Adapter("full"), tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(folder)
    assert plain.config.id2label == {0: "no", 1: "yes"}
    assert AutoTokenizer.from_pretrained(folder).pad_token == "[PAD]"
    loaded = load_finetuned(str(tmp_path), kind="text")
    assert isinstance(loaded, TextClassifier)
    assert loaded.max_length == 12
    assert load_finetuned(str(tmp_path), max_length=5).max_length == 5  # type: ignore[attr-defined]
    # Elsewhere made, it has no card.
    (folder / "fairlora.json").unlink()
    assert load_finetuned(str(folder)).classes == CLASSES


def test_an_adapter_made_with_plain_peft_loads(tiny_model: TinyModel, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    base = AutoModelForSequenceClassification.from_pretrained(tiny_model("roberta"), num_labels=3)
    config = LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query"], init_lora_weights=False)
    model = get_peft_model(base, config).eval()
    model.save_pretrained(tmp_path)
    loaded = load_finetuned(str(tmp_path))
    assert isinstance(loaded, TextClassifier)
    assert loaded.classes == ("LABEL_0", "LABEL_1", "LABEL_2")
    batch = loaded.tokenizer(["the cat"], return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(**batch).logits, model(**batch).logits)


def test_an_adapter_whose_base_has_moved_is_named_with_the_way_out(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    base = copy_of(tiny_model("bert"), tmp_path / "base")
    for adapter in (Adapter("lora", rank=2), Adapter("linear")):
        classifier = load_text_classifier(str(base), CLASSES)
        model = attach(classifier.model, adapter, classifier.head, task="text")
        save_finetuned(classifier, model, adapter, tmp_path / adapter.kind)
    base.rename(tmp_path / "moved")
    for kind in ("lora", "linear"):
        run = tmp_path / kind
        with pytest.raises(
            InputError, match=rf"^{run}(/adapter)?: the base model .*{base}.*--base"
        ):
            load_finetuned(str(run))
        load_finetuned(str(run), base=str(tmp_path / "moved"))


@pytest.mark.parametrize("kind", ["lora", "linear", "full"])
def test_weights_are_as_readable_as_other_files(
    tiny_model: TinyModel, tmp_path: Path, kind: str
) -> None:
    classifier = load_text_classifier(str(tiny_model("bert")), CLASSES)
    adapter = Adapter(kind)
    model = attach(classifier.model, adapter, classifier.head, task="text")
    before = os.umask(0o027)
    try:
        folder = save_finetuned(classifier, model, adapter, tmp_path)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert any(name.endswith(".safetensors") for name in modes)
    assert set(modes.values()) == {0o640}


def test_a_pooler_that_nobody_saved_is_told(tiny_model: TinyModel, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    base = AutoModelForSequenceClassification.from_pretrained(tiny_model("bert"), num_labels=2)
    config = LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query"])
    get_peft_model(base, config).save_pretrained(tmp_path)
    assert "bert.pooler and does not save it" in " ".join(load_finetuned(str(tmp_path)).notes)


def test_a_gguf_file_is_a_text_classifier(tiny_gguf: Path, tmp_path: Path) -> None:
    classifier = load_text_classifier(str(tiny_gguf), CLASSES)
    assert type(classifier.model).__name__ == "LlamaForSequenceClassification"
    assert classifier.head == ("score",)
    assert {p.dtype for p in classifier.model.parameters()} == {torch.float32}
    adapter = Adapter("lora", rank=2)
    model = attach(classifier.model, adapter, classifier.head)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1
    classifier.model = model
    expected = logits(classifier, "the cat", "owl")
    save_finetuned(classifier, model, adapter, tmp_path)
    loaded = load_finetuned(str(tmp_path))
    assert isinstance(loaded, TextClassifier)
    torch.testing.assert_close(logits(loaded, "the cat", "owl"), expected)
    other = tmp_path / "other.gguf"
    other.write_bytes(tiny_gguf.read_bytes()[:-1] + b"\x01")
    prints = {model_fingerprint(resolve_source(str(path))) for path in (tiny_gguf, other)}
    assert len(prints) == 2


def test_gguf_files_that_cannot_be_read(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF and nothing")
    with pytest.raises(InputError, match=r"broken\.gguf: cannot load this model"):
        load_text_classifier(str(broken), CLASSES)
    with pytest.raises(InputError, match="no such model"):
        load_text_classifier(str(tmp_path / "absent.gguf"), CLASSES)
    with pytest.raises(InputError, match="full precision and cannot be quantised"):
        load_text_classifier(str(tiny_gguf), CLASSES, quantize="4bit")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(InputError, match=r"'gguf' is not installed.*fairlora\[gguf\]"):
        load_text_classifier(str(tiny_gguf), CLASSES)


def test_what_is_no_text_classifier_is_one_line(
    tiny_model: TinyModel, tmp_path: Path, tiny_vit: Path
) -> None:
    with pytest.raises(InputError, match="not a model that classifies texts.*vit"):
        load_text_classifier(str(tiny_vit), CLASSES)
    with pytest.raises(InputError, match="embedded model classifies pictures"):
        load_text_classifier("embedded", CLASSES)
    with pytest.raises(InputError, match="no classification head"):
        load_text_classifier(str(tiny_model("llama")), None)
    for name in ("bert", "llama"):
        folder = copy_of(tiny_model(name), tmp_path / name)
        for file in folder.glob("token*"):
            file.unlink()
        with pytest.raises(InputError, match="tokenizer") as caught:
            load_text_classifier(str(folder), CLASSES)
        assert "\n" not in str(caught.value)


def test_weights_of_another_model_are_refused(tiny_model: TinyModel, tmp_path: Path) -> None:
    folder = copy_of(tiny_model("bert"), tmp_path / "bert")
    shutil.copy(tiny_model("llama") / "model.safetensors", folder)
    with pytest.raises(InputError, match="weights are not this model's"):
        load_text_classifier(str(folder), CLASSES)
    config = json.loads((tiny_model("bert") / "config.json").read_text())
    folder = copy_of(tiny_model("bert"), tmp_path / "wider")
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
    with pytest.raises(InputError, match="another shape.*dense"):
        load_text_classifier(str(folder), CLASSES)


def test_the_kind_of_the_data_chooses_the_loader(tiny_model: TinyModel, tiny_vit: Path) -> None:
    bert = str(tiny_model("bert"))
    classifier = load_classifier(bert, CLASSES, kind="text", max_length=9)
    assert isinstance(classifier, TextClassifier)
    assert classifier.max_length == 9
    assert load_classifier(str(tiny_vit), CLASSES, kind="image", image_size=32).kind == "image"
    with pytest.raises(InputError, match="classifies images.*bert"):
        load_classifier(bert, CLASSES, kind="image")
    with pytest.raises(InputError, match="classifies texts.*vit"):
        load_classifier(str(tiny_vit), CLASSES, kind="text")
    with pytest.raises(InputError, match=r"model\.image_size: the data are texts"):
        load_classifier(bert, CLASSES, kind="text", image_size=32)
    with pytest.raises(InputError, match=r"model\.max_length: the data are pictures"):
        load_classifier(str(tiny_vit), CLASSES, kind="image", max_length=32)


def test_the_tokenizer_is_in_the_fingerprint(tiny_model: TinyModel, tmp_path: Path) -> None:
    own = model_fingerprint(resolve_source(str(tiny_model("bert"))))
    folder = copy_of(tiny_model("bert"), tmp_path / "bert")
    assert model_fingerprint(resolve_source(str(folder))) == own
    tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["new"])
    tokenizer.save_pretrained(folder)
    assert model_fingerprint(resolve_source(str(folder))) != own

"""What a load, a fold-in and an adapter's settings must prove, or be refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fairlora.errors import InputError
from fairlora.models import (
    Adapter,
    attach,
    load_finetuned,
    load_image_classifier,
    load_language,
    load_text_classifier,
    merge,
    save_finetuned,
)
from fairlora.models.merging import fold_in

TinyModel = Callable[[str], Path]
CLASSES = ("neg", "neu", "pos")


def changed(model: Path, folder: Path, change: Callable[[dict[str, Tensor]], None]) -> Path:
    """A copy of a checkpoint with its weights changed."""
    shutil.copytree(model, folder)
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def tuned(tiny_model: TinyModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fine-tuned BERT, as others save it."""
    folder = tmp_path_factory.mktemp("tuned")
    classifier = load_text_classifier(str(tiny_model("bert")), CLASSES)
    classifier.model.save_pretrained(folder)
    classifier.tokenizer.save_pretrained(folder)
    return folder


BROKEN: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "a lost layer": (
        lambda w: [w.pop(k) for k in list(w) if "layer.1." in k],
        r"lacks weights of the model \(found no bert.encoder.layer.1",
    ),
    "a lost weight": (
        lambda w: w.pop("bert.encoder.layer.0.attention.self.key.weight"),
        r"lacks weights of the model \(found no .*key.weight",
    ),
    "a layer too many": (
        lambda w: w.update(
            {
                "bert.encoder.layer.5.output.dense.bias": w[
                    "bert.encoder.layer.1.output.dense.bias"
                ].clone()
            }
        ),
        r"no place for a weight .*layer.5",
    ),
    "a part of another architecture": (
        lambda w: w.update(
            {"bert.encoder.layer.0.attention.self.distance_embedding.weight": torch.zeros(9, 4)}
        ),
        r"no place for a weight .*distance_embedding",
    ),
    "NaN": (
        lambda w: w["bert.encoder.layer.0.output.dense.weight"].fill_(torch.nan),
        r"NaN or infinity in bert.encoder.layer.0.output.dense.weight",
    ),
    "infinity": (
        lambda w: w["classifier.bias"].fill_(torch.inf),
        "NaN or infinity in classifier.bias",
    ),
    "another shape": (
        lambda w: w.update({"bert.embeddings.word_embeddings.weight": torch.zeros(25, 32)}),
        r"another shape than the model's \(found bert.embeddings.word_embeddings",
    ),
}


@pytest.mark.parametrize("how", list(BROKEN))
def test_a_checkpoint_that_does_not_fit_is_refused_by_name(
    tuned: Path, tmp_path: Path, how: str
) -> None:
    change, message = BROKEN[how]
    folder = changed(tuned, tmp_path / "model", change)
    with pytest.raises(InputError, match=message):
        load_finetuned(str(folder))
    if how not in ("infinity",):  # the head's: a new one takes its place
        with pytest.raises(InputError, match=r"lacks weights|no place|NaN|another shape"):
            load_text_classifier(str(folder), ("a", "b"))


def test_what_a_checkpoint_has_besides_is_named(tuned: Path, tmp_path: Path) -> None:
    def add(weights: dict[str, Tensor]) -> None:
        weights["lm_head.weight"] = torch.zeros(3, 3)
        weights["bert.embeddings.position_ids"] = torch.arange(40)[None]

    found = load_finetuned(str(changed(tuned, tmp_path / "model", add)))
    assert found.record.left_out == ("lm_head",)
    assert any("not used: lm_head.weight" in note for note in found.notes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"position_embedding_type": "relative_key"}, "relative positions"),
        ({"pruned_heads": {"0": [1]}}, "heads were pruned"),
        ({"problem_type": "multi_label_classification"}, "does not choose one of several"),
    ],
)
def test_options_that_are_read_no_longer_are_refused(
    tuned: Path, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    shutil.copytree(tuned, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    with pytest.raises(InputError, match=message):
        load_finetuned(str(tmp_path / "model"))


def test_a_new_head_on_a_multi_label_checkpoint_has_one_label(tuned: Path, tmp_path: Path) -> None:
    shutil.copytree(tuned, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = {**json.loads(path.read_text()), "problem_type": "multi_label_classification"}
    path.write_text(json.dumps(config))
    classifier = load_text_classifier(str(tmp_path / "model"), ("a", "b"))
    assert classifier.model.config.problem_type is None


def test_a_classifier_is_not_asked_as_a_language_model(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    classifier = load_text_classifier(str(tiny_model("llama")), CLASSES)
    adapter = Adapter("lora", rank=2)
    model = attach(classifier.model, adapter, classifier.head, task="text")
    folder = save_finetuned(classifier, model, adapter, tmp_path)
    (folder / "fairlora.json").unlink()
    with pytest.raises(InputError, match="of no language model .*SEQ_CLS"):
        load_language(str(folder))
    whole = tmp_path / "whole"
    merge(load_finetuned(str(folder))).model.save_pretrained(whole)
    classifier.tokenizer.save_pretrained(whole)
    with pytest.raises(InputError, match="classifies texts and continues none"):
        load_language(str(whole))


def test_a_tied_output_layer_is_untied_before_it_is_changed(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=20, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, tie_word_embeddings=True, initializer_range=0.2,
    )  # fmt: skip
    tied = LlamaForCausalLM(config)
    model = get_peft_model(tied, LoraConfig(r=2, target_modules=["lm_head", "q_proj"]))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight += torch.randn_like(weight) * 0.3
    ids = torch.randint(0, 20, (2, 6))
    with torch.no_grad():
        before = model.eval()(input_ids=ids).logits
        merged = fold_in(model, "tied")
        torch.testing.assert_close(merged(input_ids=ids).logits, before, atol=1e-5, rtol=1e-4)
        merged.save_pretrained(tmp_path)
        again = LlamaForCausalLM.from_pretrained(tmp_path)
        torch.testing.assert_close(again(input_ids=ids).logits, before, atol=1e-5, rtol=1e-4)


def test_a_fold_in_that_changes_the_answers_is_refused(
    tiny_model: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft.tuners.lora import LoraModel

    classifier = load_image_classifier(str(tiny_model("vit")), CLASSES)
    model = attach(classifier.model, Adapter("lora", rank=2), classifier.head)
    fold = LoraModel.merge_and_unload

    def wrong(self: Any, *args: Any, **kwargs: Any) -> Any:
        merged = fold(self, *args, **kwargs)
        with torch.no_grad():
            merged.vit.layernorm.weight *= 1.5
        return merged

    monkeypatch.setattr(LoraModel, "merge_and_unload", wrong)
    with pytest.raises(InputError, match="folds this adapter in wrongly.*logits off"):
        fold_in(model, "here")


def test_a_fold_in_that_cannot_be_tried_is_refused(tiny_model: TinyModel) -> None:
    classifier = load_image_classifier(str(tiny_model("vit")), CLASSES)
    model = attach(classifier.model, Adapter("lora", rank=2), classifier.head)
    # A network that takes another size than it says answers no drawn picture.
    model.get_base_model().config.image_size = 7
    with pytest.raises(InputError, match="folded in rightly cannot be tried.*ViTFor"):
        fold_in(model, "here")


def test_older_transformers_read_the_same_base_frequency(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    classifier = load_text_classifier(str(tiny_model("llama")), CLASSES)
    classifier.model.config.rope_parameters["rope_theta"] = 5e5
    adapter = Adapter("full")
    model = attach(classifier.model, adapter, classifier.head)
    folder = save_finetuned(classifier, model, adapter, tmp_path)
    assert json.loads((folder / "config.json").read_text())["rope_theta"] == 5e5
    again = load_finetuned(str(folder)).model.config.rope_parameters
    assert again["rope_theta"] == 5e5


def resnet() -> Any:
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3
    )
    return ResNetForImageClassification(config)


@pytest.mark.parametrize("kind", ["linear", "lora"])
def test_running_means_stay_while_the_weights_beside_them_are_frozen(kind: str) -> None:
    targets = None if kind == "linear" else ("convolution",)
    fields = {} if targets is None else {"target_modules": list(targets)}
    model = attach(resnet(), Adapter(kind, rank=2, fields=fields), ("classifier",))
    statistics = {k: v.clone() for k, v in model.state_dict().items() if "running_" in k}
    assert statistics
    model.train()
    logits = model(pixel_values=torch.randn(4, 3, 32, 32)).logits
    assert logits.requires_grad
    for name, before in statistics.items():
        assert torch.equal(model.state_dict()[name], before)
    whole = attach(resnet(), Adapter("full"), ("classifier",)).train()
    whole(pixel_values=torch.randn(4, 3, 32, 32))
    assert not torch.equal(
        whole.state_dict()["resnet.embedder.embedder.normalization.running_mean"], torch.zeros(8)
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"modules_to_save": ["poolr"]}, r"modules_to_save: no module .*'poolr'.*pooler"),
        ({"target_modules": ["querry"]}, r"target_modules: no module .*query"),
        ({"target_modules": r".*\.querry"}, r"target_modules: no module"),
        ({"exclude_modules": ["layer.9.query"]}, r"exclude_modules: no module"),
        ({"rank_pattern": {"querry": 4}}, r"rank_pattern: no module"),
        ({"alpha_pattern": {"query": 4, "self.query": 8}}, r"alpha_pattern: two keys fit"),
    ],
)
def test_a_setting_that_names_no_module_is_refused(
    tiny_model: TinyModel, fields: dict[str, Any], message: str
) -> None:
    classifier = load_text_classifier(str(tiny_model("bert")), CLASSES)
    with pytest.raises(InputError, match=message):
        attach(classifier.model, Adapter("lora", rank=2, fields=fields), classifier.head)


@pytest.mark.parametrize("how", ["type", "scale", "factors"])
def test_a_gguf_file_with_scaled_positions_is_refused(
    tiny_gguf: Path, tmp_path: Path, how: str
) -> None:
    import gguf
    import numpy as np

    reader = gguf.GGUFReader(str(tiny_gguf))
    path = tmp_path / "scaled.gguf"
    writer = gguf.GGUFWriter(str(path), "llama")
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        inner = field.types[-1] if len(field.types) > 1 else None
        writer.add_key_value(name, field.contents(), field.types[0], inner)
    if how == "type":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(4.0)
    elif how == "scale":
        writer.add_float32("llama.rope.scale_linear", 4.0)
    else:
        writer.add_tensor("rope_freqs.weight", np.ones(8, dtype=np.float32))
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, np.array(tensor.data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    for load in (load_language, lambda name: load_text_classifier(name, CLASSES)):
        with pytest.raises(InputError, match="scaled positions, which transformers drops"):
            load(str(path))


def test_a_tokenizer_is_what_its_file_says(tuned: Path, tmp_path: Path) -> None:
    """transformers builds BERT's tokenizer anew out of its vocabulary."""
    from tokenizers import Tokenizer, normalizers
    from transformers import BertTokenizer

    folder = tmp_path / "model"
    shutil.copytree(tuned, folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "dog", "café", "cafe"]
    BertTokenizer(vocab={word: k for k, word in enumerate(words)}).save_pretrained(folder)
    own = Tokenizer.from_file(str(folder / "tokenizer.json"))
    own.normalizer = normalizers.Sequence([normalizers.Replace("cat", "dog")])
    own.save(str(folder / "tokenizer.json"))
    tokenizer = load_finetuned(str(folder)).tokenizer  # type: ignore[attr-defined]
    for text in ("cat", "café dog"):
        assert tokenizer(text)["input_ids"] == own.encode(text).ids

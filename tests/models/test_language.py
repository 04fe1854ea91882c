"""Language models: loaded from everywhere, with every kind of adapter, saved and loaded again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from fairlora.errors import InputError
from fairlora.models import (
    Adapter,
    LanguageModel,
    attach,
    load_finetuned,
    load_language,
    model_fingerprint,
    resolve_source,
    save_finetuned,
    write_tiny_model,
)
from fairlora.models.quantization import keep_trainable_weights
from fairlora.models.tiny_language import write_tiny_language_model

LLAMA, MISTRAL = "meta-llama/Llama-2-7b-hf", "mistralai/Mistral-7B-v0.1"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("language")
    return {
        like: write_tiny_language_model(like, root / str(k))
        for k, like in enumerate((LLAMA, MISTRAL, "mistralai/Mistral-7B-Instruct-v0.2"))
    }


def logits(language: LanguageModel, model: Any = None) -> torch.Tensor:
    ids = language.tokenizer("The nurse met the guard", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        found: torch.Tensor = (model or language.model)(input_ids=ids).logits
    return found


@pytest.mark.parametrize("like", [LLAMA, MISTRAL])
def test_a_tiny_model_stands_for_a_published_one(folders: dict[str, Path], like: str) -> None:
    language = load_language(str(folders[like]))
    assert type(language.model).__name__ == f"{like.split('/')[1].split('-')[0]}ForCausalLM"
    assert sum(p.numel() for p in language.model.parameters()) < 60_000
    text = "Öğretmen, “quoted” 🟠 text."
    ids = language.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert language.tokenizer.decode(ids) == text
    assert language.context == 1024
    assert language.max_length == 256
    assert language.tokenizer.pad_token_id is not None


@pytest.mark.parametrize(
    "adapter",
    [Adapter("lora", rank=1), Adapter("lora", rank=32), Adapter("full"), Adapter("base")],
    ids=["rank 1", "rank of the width", "full", "base"],
)
def test_what_was_trained_is_loaded_again(
    folders: dict[str, Path], tmp_path: Path, adapter: Adapter
) -> None:
    language = load_language(str(folders[LLAMA]))
    before = logits(language)
    model = attach(language.model, adapter, (), seed=1, task="language")
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.05
    after = logits(language, model)
    folder = save_finetuned(language, model, adapter, tmp_path / "run")
    assert folder.name == ("model" if adapter.kind == "full" else "adapter")
    again = load_language(str(tmp_path / "run"))
    torch.testing.assert_close(logits(again), after, rtol=1e-4, atol=1e-4)
    assert (adapter.kind == "base") == bool(torch.equal(before, after))
    merged = load_language(str(tmp_path / "run"), merged=True)
    torch.testing.assert_close(logits(merged), after, rtol=1e-3, atol=1e-3)
    assert all(p.requires_grad for p in merged.model.parameters()) or adapter.kind == "base"
    assert model_fingerprint(resolve_source(str(tmp_path / "run")))


def test_an_adapter_on_an_adapter_keeps_both(folders: dict[str, Path], tmp_path: Path) -> None:
    first = load_language(str(folders[LLAMA]))
    model = attach(first.model, Adapter("lora", rank=2), (), task="language")
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1
    save_finetuned(first, model, Adapter("lora", rank=2), tmp_path / "one")
    second = load_language(str(tmp_path / "one"), merged=True)
    model = attach(second.model, Adapter("lora", rank=1), (), task="language")
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1
    expected = logits(second, model)
    save_finetuned(second, model, Adapter("lora", rank=1), tmp_path / "two")
    torch.testing.assert_close(
        logits(load_language(str(tmp_path / "two"))), expected, rtol=1e-3, atol=1e-3
    )


def test_an_adapter_made_elsewhere_loads(folders: dict[str, Path], tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    language = load_language(str(folders[MISTRAL]))
    config = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(language.model, config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1
    expected = logits(language, model)
    model.save_pretrained(tmp_path)
    again = load_language(str(tmp_path))
    torch.testing.assert_close(logits(again), expected, rtol=1e-4, atol=1e-4)
    settings = tmp_path / "adapter_config.json"
    content = json.loads(settings.read_text())
    settings.write_text(json.dumps({**content, "base_model_name_or_path": ""}))
    with pytest.raises(InputError, match="does not say what its base model is"):
        load_language(str(tmp_path))
    load_language(str(tmp_path), base=str(folders[MISTRAL]))
    settings.write_text(json.dumps({**content, "base_model_name_or_path": "/models/moved"}))
    expected_line = rf"{tmp_path}: the base model .* not where .*/models/moved; .*--base"
    with pytest.raises(InputError, match=expected_line):
        load_language(str(tmp_path))


def test_a_chat_template_is_needed_where_one_is_asked_for(folders: dict[str, Path]) -> None:
    instruct = str(folders["mistralai/Mistral-7B-Instruct-v0.2"])
    assert load_language(instruct, chat=True).chat
    assert not load_language(instruct).chat
    with pytest.raises(InputError, match=r"model.chat: this model's tokenizer has no chat templ"):
        load_language(str(folders[LLAMA]), chat=True)


def test_what_is_no_language_model_is_refused(
    tmp_path: Path, tiny_vit: Path, folders: dict[str, Path]
) -> None:
    bert = write_tiny_model("google-bert/bert-base-uncased", tmp_path / "bert")
    for model_id, says in (
        (str(bert), "not a causal language model .*bert"),
        (str(tiny_vit), "not a causal language model .*vit"),
        ("embedded", "embedded model classifies pictures"),
        (str(tmp_path / "nowhere"), "no such model folder"),
    ):
        with pytest.raises(InputError, match=says):
            load_language(model_id)
    language = load_language(str(folders[LLAMA]))
    save_finetuned(language, language.model, Adapter("full"), tmp_path / "run")
    with pytest.raises(InputError, match="a language model, which classifies nothing"):
        load_finetuned(str(tmp_path / "run"))


@pytest.mark.parametrize(
    ("adapter", "says"),
    [
        (Adapter("linear"), "no new head to train"),
        (Adapter("lora", rank=0), "no new head to train"),
        (Adapter("prefix_tuning"), "virtual tokens are not supported"),
    ],
)
def test_what_cannot_be_trained_is_said(
    folders: dict[str, Path], adapter: Adapter, says: str
) -> None:
    language = load_language(str(folders[LLAMA]))
    with pytest.raises(InputError, match=says):
        attach(language.model, adapter, (), task="language")
    with pytest.raises(InputError, match="head drawn by chance"):
        attach(language.model, Adapter("base"), ("score",), task="text")


def test_a_language_model_is_quantised_but_for_its_output_layer(
    folders: dict[str, Path],
) -> None:
    pytest.importorskip("bitsandbytes")
    four = load_language(str(folders[LLAMA]), quantize="4bit")
    dtypes = {name: p.dtype for name, p in four.model.named_parameters()}
    assert {t for n, t in dtypes.items() if n.endswith("_proj.weight")} == {torch.uint8}
    assert dtypes["lm_head.weight"] == torch.float32
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_use_double_quant=True,
    )
    theirs = AutoModelForCausalLM.from_pretrained(
        folders[LLAMA], quantization_config=config, device_map={"": four.device}
    )
    keep_trainable_weights(theirs)  # on some processors it could not compute layers so small
    torch.testing.assert_close(logits(four), logits(four, theirs.eval()))
    assert not torch.equal(logits(four), logits(load_language(str(folders[LLAMA]))))


def test_a_gguf_file_is_read(folders: dict[str, Path], tmp_path: Path) -> None:
    """Written with gguf's own writer, in float32, from a tiny Llama."""
    gguf = pytest.importorskip("gguf")
    source = load_language(str(folders[LLAMA]))
    path = tmp_path / "tiny.gguf"
    write_gguf(gguf, source, path)
    language = load_language(str(path))
    ids = torch.tensor([[5, 60, 300, 7]])
    with torch.no_grad():
        found = language.model(input_ids=ids).logits
        expected = source.model(input_ids=ids).logits
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def write_gguf(gguf: Any, source: LanguageModel, path: Path) -> None:
    config, state = source.model.config, source.model.state_dict()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    tokenizer = source.tokenizer
    words = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    names = {"embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output"}
    parts = {
        "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }  # fmt: skip
    for name, tensor in state.items():
        key = name.removeprefix("model.").removesuffix(".weight")
        values = tensor.float()
        if key.startswith("layers."):
            _, layer, part = key.split(".", 2)
            if part.endswith(("q_proj", "k_proj")):
                # llama.cpp keeps these two with the halves of each head's rotation interleaved.
                keys = part.endswith("k_proj")
                heads = config.num_key_value_heads if keys else config.num_attention_heads
                rows, width = values.shape
                values = values.view(heads, 2, rows // heads // 2, width).swapaxes(1, 2)
                values = values.reshape(rows, width)
            key = f"blk.{layer}.{parts[part]}"
        else:
            key = names[key]
        writer.add_tensor(f"{key}.weight", values.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

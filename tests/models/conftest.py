"""Tiny checkpoints of every architecture, made from configs, as their authors store them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

SENTENCE = "the a cat dog owl sat ran flew far away on mat and not very fast today"
WORDS = tuple(SENTENCE.split())
WIDE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
# Weights larger than usual, so that what an adapter does to two layers can be seen at the end.
SEEN = {"initializer_range": 0.2}
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}

TinyModel = Callable[[str], Path]


def write_tokenizer(folder: Path, *, pad: bool) -> None:
    """A tokenizer of whole words; without a pad token if it is a decoder's."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    special = (["[PAD]"] if pad else []) + ["[UNK]", "[END]"]
    tokens = [*special, *WORDS]
    tokenizer = Tokenizer(WordLevel({t: k for k, t in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        eos_token="[END]",
        pad_token="[PAD]" if pad else None,
    ).save_pretrained(folder)


def _vit(t: Any) -> Any:
    return t.ViTModel(t.ViTConfig(image_size=32, patch_size=8, **WIDE, **SEEN))


def _dinov2(t: Any) -> Any:
    # As the real one: the config has the size of the last training stage, the preprocessor less.
    config = t.Dinov2Config(image_size=56, patch_size=8, mlp_ratio=2, **WIDE, **SEEN)
    return t.Dinov2Model(config)


def _dinov2_registers(t: Any) -> Any:
    config = t.Dinov2WithRegistersConfig(image_size=32, patch_size=8, mlp_ratio=2, **WIDE, **SEEN)
    return t.Dinov2WithRegistersModel(config)


def _swinv2(t: Any) -> Any:
    return t.Swinv2Model(
        t.Swinv2Config(
            image_size=32, patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[2, 2],
            window_size=4, mlp_ratio=2.0, **STILL, **SEEN,
        )
    )  # fmt: skip


def _clip_tower(t: Any) -> Any:
    config = t.CLIPVisionConfig(image_size=32, patch_size=8, projection_dim=8, **WIDE)
    return t.CLIPVisionModelWithProjection(config)


def _clip_full(t: Any) -> Any:
    return t.CLIPModel(
        t.CLIPConfig(
            vision_config={"image_size": 32, "patch_size": 8, **WIDE},
            text_config={"vocab_size": 20, "max_position_embeddings": 16, **WIDE},
            projection_dim=8,
        )
    )


def _bert(t: Any) -> Any:
    config = t.BertConfig(vocab_size=20, max_position_embeddings=40, **WIDE, **STILL, **SEEN)
    return t.BertModel(config, add_pooling_layer=False)


def _distilbert(t: Any) -> Any:
    return t.DistilBertModel(
        t.DistilBertConfig(
            vocab_size=20, max_position_embeddings=40, dim=32, n_layers=2, n_heads=2,
            hidden_dim=64, dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0, **SEEN,
        )
    )  # fmt: skip


def _roberta(t: Any) -> Any:
    config = t.RobertaConfig(
        vocab_size=20, max_position_embeddings=40, pad_token_id=0, **WIDE, **STILL, **SEEN
    )
    return t.RobertaModel(config, add_pooling_layer=False)


def _llama(t: Any) -> Any:
    return t.LlamaForCausalLM(
        t.LlamaConfig(vocab_size=20, max_position_embeddings=40, **WIDE, **SEEN)
    )


def _mistral(t: Any) -> Any:
    config = t.MistralConfig(
        vocab_size=20, max_position_embeddings=40, num_key_value_heads=1, **WIDE, **SEEN
    )
    return t.MistralForCausalLM(config)


# name -> how to make it. Adding an architecture to every test is one row here.
IMAGES = {
    "vit": _vit,
    "dinov2": _dinov2,
    "dinov2_registers": _dinov2_registers,
    "swinv2": _swinv2,
    "clip_tower": _clip_tower,
    "clip_full": _clip_full,
}
ENCODERS = {"bert": _bert, "distilbert": _distilbert, "roberta": _roberta}
DECODERS = {"llama": _llama, "mistral": _mistral}


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """The folder of a tiny checkpoint by its architecture's name (never to be written in)."""
    import transformers

    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            torch.manual_seed(0)
            {**IMAGES, **ENCODERS, **DECODERS}[name](transformers).save_pretrained(folder)
            if name not in IMAGES:
                write_tokenizer(folder, pad=name in ENCODERS)
            if name == "dinov2":
                (folder / "preprocessor_config.json").write_text(
                    '{"crop_size": {"height": 32, "width": 32}, "size": {"shortest_edge": 40}, '
                    '"do_center_crop": true, "image_mean": [0.4, 0.4, 0.4], '
                    '"image_std": [0.2, 0.2, 0.2]}'
                )
            made[name] = folder
        return made[name]

    return make


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers in a GGUF file, with a tokenizer of bytes."""
    gguf = pytest.importorskip("gguf", reason="the package gguf reads GGUF files")
    import numpy as np

    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(2)
    writer.add_context_length(40)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    tokens = ["<unk>", "<end>", "Ġ", *"abcdefghijklmnopqrstuvwxyz", "th", "the"]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, *[1] * (len(tokens) - 2)])
    writer.add_token_merges(["t h", "th e"])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(1)
    draw = np.random.default_rng(0)
    shapes = {"token_embd": (len(tokens), 32), "output_norm": (32,)}
    for block in (0, 1):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            shapes[f"blk.{block}.{name}"] = (32, 32)
        shapes[f"blk.{block}.ffn_gate"] = shapes[f"blk.{block}.ffn_up"] = (64, 32)
        shapes[f"blk.{block}.ffn_down"] = (32, 64)
        shapes[f"blk.{block}.attn_norm"] = shapes[f"blk.{block}.ffn_norm"] = (32,)
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", draw.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path

"""Tiny checkpoints of the architectures that studies name, for tests and smoke runs.

`write_tiny_model` writes a folder that loads as the model it stands for does: the same class, the
same module names, the same files beside the weights. Its weights are random and hang on the seed
alone; pictures are of 32 x 32, and the tokenizer knows the words of `fairlora.data.tiny`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from fairlora.data.tiny import FILLERS, WORDS
from fairlora.errors import InputError
from fairlora.models.card import Kind, is_adapter_folder
from fairlora.models.image_input import CLIP_MEAN, CLIP_STD, processor_config
from fairlora.models.preprocessing import Preprocessing
from fairlora.models.source import (
    EMBEDDED,
    base_of,
    quiet_libraries,
    read_config,
    resolve_source,
    weights_source,
)

SIDE = 32  # of the pictures, in pixels
POSITIONS = 64  # of the texts, in tokens

_WIDE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
# Weights larger than usual: what goes in can still be told apart at the end of so small a network.
_SEEN = {"initializer_range": 0.2}
_STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
_PICTURES = {"image_size": SIDE, "patch_size": 8, **_WIDE}
# Special tokens by their part; a language model has no pad token, as Llama and Mistral have none.
_ENCODER_TOKENS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
_DECODER_TOKENS = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}


class Architecture(NamedTuple):
    """One model type: what it classifies, its name, and how a tiny one is made."""

    kind: Kind
    title: str
    build: Callable[[Any, int], Any]  # of the module transformers and the number of words
    special: dict[str, str] | None = None


def _vit(t: Any, _: int) -> Any:
    return t.ViTModel(t.ViTConfig(**_PICTURES, **_SEEN))


def _dinov2(t: Any, _: int) -> Any:
    # As the published one: the config has the last training stage's size, the preprocessor less.
    size = {**_PICTURES, "image_size": 56}
    return t.Dinov2Model(t.Dinov2Config(**size, mlp_ratio=2, **_SEEN))


def _dinov2_with_registers(t: Any, _: int) -> Any:
    size = {**_PICTURES, "image_size": 56}
    config = t.Dinov2WithRegistersConfig(**size, mlp_ratio=2, **_SEEN)
    return t.Dinov2WithRegistersModel(config)


def _swinv2(t: Any, _: int) -> Any:
    return t.Swinv2Model(
        t.Swinv2Config(
            image_size=SIDE, patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[2, 2],
            window_size=4, mlp_ratio=2.0, drop_path_rate=0.0, **_STILL, **_SEEN,
        )
    )  # fmt: skip


def _clip_tower(t: Any, _: int) -> Any:
    return t.CLIPVisionModelWithProjection(t.CLIPVisionConfig(**_PICTURES, projection_dim=8))


def _clip(t: Any, words: int) -> Any:
    text = {"vocab_size": words, "max_position_embeddings": POSITIONS, "pad_token_id": 0,
            "bos_token_id": 1, "eos_token_id": 2, **_WIDE}  # fmt: skip
    return t.CLIPModel(
        t.CLIPConfig(vision_config=dict(_PICTURES), text_config=text, projection_dim=8)
    )


def _bert(t: Any, words: int) -> Any:
    config = t.BertConfig(
        vocab_size=words, max_position_embeddings=POSITIONS, **_WIDE, **_STILL, **_SEEN
    )
    return t.BertModel(config)


def _distilbert(t: Any, words: int) -> Any:
    return t.DistilBertModel(
        t.DistilBertConfig(
            vocab_size=words, max_position_embeddings=POSITIONS, dim=32, n_layers=2, n_heads=2,
            hidden_dim=64, dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0, **_SEEN,
        )
    )  # fmt: skip


def _roberta(t: Any, words: int) -> Any:
    # Its positions count from behind the padding row.
    config = t.RobertaConfig(
        vocab_size=words, max_position_embeddings=POSITIONS + 1, pad_token_id=0, bos_token_id=2,
        eos_token_id=3, **_WIDE, **_STILL, **_SEEN,
    )  # fmt: skip
    return t.RobertaModel(config, add_pooling_layer=False)


def _llama(t: Any, words: int) -> Any:
    config = t.LlamaConfig(vocab_size=words, max_position_embeddings=POSITIONS, **_WIDE, **_SEEN)
    return t.LlamaForCausalLM(config)


def _mistral(t: Any, words: int) -> Any:
    config = t.MistralConfig(
        vocab_size=words, max_position_embeddings=POSITIONS, num_key_value_heads=1, **_WIDE, **_SEEN
    )
    return t.MistralForCausalLM(config)


# model_type of a config -> how it is made. Adding an architecture is one row here, and one below
# for the names that its checkpoints have on the hub.
ARCHITECTURES: dict[str, Architecture] = {
    "vit": Architecture("image", "ViT and DINO", _vit),
    "dinov2": Architecture("image", "DINOv2", _dinov2),
    "dinov2_with_registers": Architecture("image", "DINOv2 with registers", _dinov2_with_registers),
    "swinv2": Architecture("image", "Swin-v2", _swinv2),
    "clip": Architecture("image", "CLIP", _clip, _ENCODER_TOKENS),
    "clip_vision_model": Architecture("image", "the CLIP image tower", _clip_tower),
    "bert": Architecture("text", "BERT and MiniLM", _bert, _ENCODER_TOKENS),
    "distilbert": Architecture("text", "DistilBERT", _distilbert, _ENCODER_TOKENS),
    "roberta": Architecture("text", "RoBERTa", _roberta, _ENCODER_TOKENS),
    "llama": Architecture("text", "Llama", _llama, _DECODER_TOKENS),
    "mistral": Architecture("text", "Mistral 7B", _mistral, _DECODER_TOKENS),
}
# How checkpoints are called on the hub, behind the owner's name and in lower case; the first that
# matches. An id is never looked up: a smoke run needs no hub.
HUB_NAMES: tuple[tuple[str, str], ...] = (
    (r"^dinov2-with-registers", "dinov2_with_registers"),
    (r"^dinov2", "dinov2"),
    (r"^dino-vit", "vit"),
    (r"^swinv2", "swinv2"),
    (r"\bclip-vit-", "clip"),
    (r"^vit-(tiny|small|base|large|huge)", "vit"),
    (r"^(distilbert|multi-qa-distilbert|msmarco-distilbert)", "distilbert"),
    (r"^(all-|paraphrase-|multi-qa-|msmarco-)?(multilingual-)?minilm", "bert"),
    (r"^bert-", "bert"),
    (r"^(xlm-)?(distil)?roberta-", "roberta"),
    (r"^((meta-|code)?llama-[23]|tinyllama)(?!.*vision)", "llama"),
    (r"^(open)?mistral-7b", "mistral"),
)


def write_tiny_model(like: str, folder: Path, *, seed: int = 0) -> Path:
    """Write a small checkpoint with random weights, of the architecture of another model.

    Parameters
    ----------
    like : a hub id (known by its name, nothing is asked of the hub), or a folder, run or .gguf file
        on this machine (known by its config). "embedded" is small already: its id comes back as it
        is, and nothing is written.
    folder : made if it is not there; files in it are overwritten.
    seed : of the weights. The same seed writes the same files.

    Returns the folder. Raises `InputError` for an id that no known architecture has, and for a path
    where no model lies.
    """
    if like == EMBEDDED:
        return Path(EMBEDDED)
    name = architecture_of(like)
    made = ARCHITECTURES[name]
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    special = made.special or {}
    words = [*special.values(), *(w for row in WORDS.values() for w in row), *FILLERS]
    with quiet_libraries(), torch.random.fork_rng():
        torch.manual_seed(seed)
        made.build(transformers, len(words)).save_pretrained(folder)
        if special:
            _tokenizer(words, special).save_pretrained(folder)
    if made.kind == "image":
        clip = name.startswith("clip")
        mean, std = (CLIP_MEAN, CLIP_STD) if clip else ((0.5,) * 3, (0.5,) * 3)
        settings = processor_config(Preprocessing(SIDE, mean, std))
        (folder / "preprocessor_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    return folder


def architecture_of(like: str) -> str:
    """The model type (a key of `ARCHITECTURES`) of a hub id or of what lies on this machine.

    >>> architecture_of("laion/CLIP-ViT-B-32-laion2B-s34B-b79K")
    'clip'
    >>> architecture_of("mistralai/Mistral-7B-Instruct-v0.2")
    'mistral'
    """
    source = weights_source(resolve_source(like))
    while source.folder is not None and is_adapter_folder(source.folder):
        base = base_of(source.folder)
        if base is None:
            break
        source = weights_source(resolve_source(base))
    if source.folder is not None:
        name = str(read_config(source).model_type)
        described = f"model type {name}"
    else:
        word = source.id.rsplit("/", 1)[-1].lower()
        name = next((kind for pattern, kind in HUB_NAMES if re.search(pattern, word)), "")
        described = repr(source.id)
    if name not in ARCHITECTURES:
        raise InputError(
            "no tiny model is known to be of this one's architecture",
            where="model.id",
            found=described,
            expected="a model such as " + ", ".join(a.title for a in ARCHITECTURES.values()),
        )
    return name


def _tokenizer(words: list[str], special: dict[str, str]) -> Any:
    """A tokenizer of whole words, with the special tokens that its kind puts around a text."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import Lowercase
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    numbers = {word: k for k, word in enumerate(words)}
    tokenizer = Tokenizer(WordLevel(numbers, unk_token=special["unk_token"]))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    around = (
        ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", ("[CLS]", "[SEP]"))
        if "cls_token" in special
        else ("<s> $A", "<s> $A <s> $B", ("<s>",))
    )
    single, pair, tokens = around
    tokenizer.post_processor = TemplateProcessing(
        single=single, pair=pair, special_tokens=[(t, numbers[t]) for t in tokens]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)

"""Tiny vision-language models of real architectures, for tests and smoke runs.

Each folder loads as the model it stands for does: its class, its module names, its processor and
chat template. The tokenizer reads bytes, so that it knows any prompt and any answer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from fairlora.errors import require_known
from fairlora.models.source import quiet_libraries

SIDE, PATCH, POSITIONS = 32, 8, 1024
_WIDE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
# Weights larger than usual: what goes in can still be told apart at the end of so small a network.
_SEEN = {"initializer_range": 0.3}
# A turn each, as most instruction-tuned models have them.
_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}IMAGE{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Idefics3's own: the answer stands behind a space.
_USER = (
    "{% for m in messages %}{{ m['role'] | capitalize }}:{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %}{{ ' ' + c['text'] }}{% endif %}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)


class Built(NamedTuple):
    """A model and the processor beside it."""

    model: Any
    processor: Any


def write_tiny_image_text(name: str, folder: Path, *, seed: int = 0, **changes: Any) -> Path:
    """Write a small vision-language checkpoint with random weights.

    Parameters
    ----------
    name : of `BUILDERS`: a config's model type.
    folder : made if it is not there.
    seed : of the weights.
    changes : passed to the builder, such as ``chat=False`` for no chat template.

    Returns the folder. Raises `InputError` for an unknown architecture.
    """
    require_known([name], BUILDERS, "architecture", "model type")
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    with quiet_libraries(), torch.random.fork_rng():
        torch.manual_seed(seed)
        built = BUILDERS[name](transformers, **changes)
        built.model.save_pretrained(folder)
        built.processor.save_pretrained(folder)
    return folder


def _tokenizer(*special: str) -> Any:
    """Bytes as tokens, and special ones."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["<pad>", "<s>", "</s>"]
    vocabulary = {token: k for k, token in enumerate([*names, *letters])}
    tokenizer = Tokenizer(BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=list(special),
    )


def _text(t: Any, words: int, **more: Any) -> Any:
    return t.LlamaConfig(
        vocab_size=words, max_position_embeddings=POSITIONS, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, **_WIDE, **_SEEN, **more,
    )  # fmt: skip


def _llava(t: Any, *, chat: bool = True) -> Built:
    tokenizer = _tokenizer("<image>", "<|im_start|>", "<|im_end|>")
    vision = t.CLIPVisionConfig(image_size=SIDE, patch_size=PATCH, projection_dim=8, **_WIDE)
    config = t.LlavaConfig(
        vision_config=vision,
        text_config=_text(t, len(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=(SIDE // PATCH) ** 2,
    )
    square = {"height": SIDE, "width": SIDE}
    processor = t.LlavaProcessor(
        image_processor=t.CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=square),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_CHAT.replace("IMAGE", "<image>\n") if chat else None,
    )
    return Built(t.LlavaForConditionalGeneration(config), processor)


def _idefics3(t: Any, *, chat: bool = True, split: bool = False) -> Built:
    tokenizer = _tokenizer(
        "<image>", "<fake_token_around_image>", "<end_of_utterance>", "<global-img>",
        *(f"<row_{i + 1}_col_{j + 1}>" for i in range(6) for j in range(6)),
    )  # fmt: skip
    config = t.Idefics3Config(
        vision_config={"image_size": SIDE, "patch_size": PATCH, **_WIDE},
        text_config=_text(t, len(tokenizer)),
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=0,
    )
    edge = {"longest_edge": SIDE}
    processor = t.Idefics3Processor(
        t.Idefics3ImageProcessor(
            size={"longest_edge": 2 * SIDE} if split else edge,
            max_image_size=edge,
            do_image_splitting=split,
        ),
        tokenizer,
        image_seq_len=(SIDE // PATCH // 2) ** 2,
        chat_template=_USER if chat else None,
    )
    return Built(t.Idefics3ForConditionalGeneration(config), processor)


def _paligemma(t: Any) -> Built:
    tokenizer = _tokenizer()
    tokens = (SIDE // PATCH) ** 2
    square = {"height": SIDE, "width": SIDE}
    pictures = t.SiglipImageProcessor(size=square)
    pictures.image_seq_length = tokens
    processor = t.PaliGemmaProcessor(image_processor=pictures, tokenizer=tokenizer)
    config = t.PaliGemmaConfig(
        vision_config={"model_type": "siglip_vision_model", "image_size": SIDE,
                       "patch_size": PATCH, "vision_use_head": False, **_WIDE},
        text_config={"model_type": "gemma", "vocab_size": len(tokenizer), "head_dim": 16,
                     "num_key_value_heads": 1, "max_position_embeddings": POSITIONS,
                     "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, **_WIDE, **_SEEN},
        image_token_index=processor.image_token_id,
        projection_dim=32,
        hidden_size=32,
        vocab_size=len(tokenizer),
    )  # fmt: skip
    config.text_config.num_image_tokens = tokens
    return Built(t.PaliGemmaForConditionalGeneration(config), processor)


# How checkpoints are called on the hub, in lower case; all others are stood for by LLaVA.
HUB_NAMES = (("smolvlm", "idefics3"), ("idefics3", "idefics3"), ("paligemma", "paligemma"))


def stand_in(like: str) -> str:
    """The architecture of `BUILDERS` that stands for a hub id or a folder, known by its name."""
    word = like.rstrip("/").rsplit("/", 1)[-1].lower()
    return next((kind for part, kind in HUB_NAMES if part in word), "llava")


BUILDERS: dict[str, Callable[..., Built]] = {
    "llava": _llava,
    "idefics3": _idefics3,
    "paligemma": _paligemma,
}

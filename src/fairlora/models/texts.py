"""What text classifiers and language models share: loading arguments, tokenizer, length."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from fairlora.errors import InputError
from fairlora.models.quantization import quantization_arguments
from fairlora.models.source import Source, quiet_libraries

# Tokens of a language model's examples and blocks, where nothing else is said.
MAX_LENGTH = 256
NO_END = 1 << 20  # the length of models that have none


def loading_arguments(
    source: Source, dtype: torch.dtype, quantize: str | None, **whole: tuple[str, ...]
) -> dict[str, Any]:
    """What `from_pretrained` takes of a folder, a hub id or a GGUF file.

    A GGUF file's few-bit weights become numbers of `dtype`, to be trained. `whole` is that of
    `quantization_arguments`, which says what is raised.
    """
    arguments: dict[str, Any] = {
        "dtype": dtype,
        **quantization_arguments(quantize, gguf=source.gguf is not None, **whole),
        **source.arguments,
    }
    if source.gguf is not None:
        from transformers import GgufConfig

        arguments["quantization_config"] = GgufConfig(dequantize=True)
    return arguments


def read_tokenizer(source: Source) -> Any:
    """The checkpoint's tokenizer; `InputError` if it has none."""
    from transformers import AutoTokenizer

    try:
        with quiet_libraries():
            tokenizer = AutoTokenizer.from_pretrained(source.location, **source.arguments)
    except Exception as error:  # what a missing tokenizer raises depends on the model's type
        raise InputError(
            "cannot load this model's tokenizer",
            where=source.location,
            found=str(error).strip().split("\n")[0][:160] or type(error).__name__,
            expected="tokenizer.json, or a vocabulary, beside the weights",
        ) from error
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        # Without files, some architectures' tokenizers come with their special tokens alone.
        raise InputError(
            "this model has no tokenizer",
            where=source.location,
            expected="tokenizer.json, or a vocabulary, beside the weights",
        )
    return tokenizer


def set_padding(tokenizer: Any, model: Any, name: str) -> tuple[str, ...]:
    """Pad on the right, with a token that the model has; returns what a user should know.

    A model that reads the last position, whatever stands there (XLNet), is padded on the left.

    A tokenizer without a pad token takes the unknown or the end token: a new one would need a new
    row in the embeddings. Attention never sees padding, and Llama's kind of head reads the last
    token that is not it.
    """
    tokenizer.padding_side = "left" if _reads_last_position(model) else "right"
    tokenizer.truncation_side = "right"
    rows = model.get_input_embeddings().num_embeddings
    notes: tuple[str, ...] = ()
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id >= rows:
        for token in (tokenizer.unk_token, tokenizer.eos_token):
            known = None if token is None else tokenizer.convert_tokens_to_ids(token)
            if known is not None and known < rows:
                tokenizer.pad_token = token
                notes = (f"{name} has no pad token: padded with {token!r}, which is not attended",)
                break
        else:
            raise InputError(
                "the tokenizer has no pad token, and no unknown or end token to take its place",
                where=name,
                expected="a tokenizer with one of the three",
            )
    model.config.pad_token_id = tokenizer.pad_token_id
    return notes


def _reads_last_position(model: nn.Module) -> bool:
    summaries = (m for m in model.modules() if type(m).__name__.endswith("SequenceSummary"))
    return any(getattr(m, "summary_type", None) == "last" for m in summaries)


def fit_length(
    wanted: int | None, tokenizer: Any, model: Any, name: str, *, default: int | None = None
) -> tuple[int, tuple[str, ...]]:
    """How many tokens a text may have; cut to the model's positions with a note.

    Where nothing is `wanted` it is `default`, or the model's and tokenizer's own length. Raises
    `InputError` for a length that leaves no room beside the special tokens.
    """
    limit = positions(model)
    own = min(limit or NO_END, int(getattr(tokenizer, "model_max_length", None) or NO_END))
    length = (own if default is None else default) if wanted is None else wanted
    special = tokenizer.num_special_tokens_to_add()
    if length <= special:
        raise InputError(
            "no room for a text",
            where="model.max_length",
            found=length,
            expected=f"more than the {special} special tokens",
        )
    if limit is None or length <= limit:
        return length, ()
    return limit, (f"{name} takes {limit} tokens: texts are cut there, not at {length}",)


def positions(model: nn.Module) -> int | None:
    """How many tokens a model has positions for; None if they have no end."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            # RoBERTa's kind counts from behind its padding row.
            offset = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - offset
    limit = getattr(model.config, "max_position_embeddings", None)
    return limit if isinstance(limit, int) and limit > 0 else None

"""Text classifiers out of pretrained weights: Llama, Mistral, BERT and its kind, GGUF files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from fairlora.errors import InputError
from fairlora.models.classifier import TextClassifier
from fairlora.models.heads import (
    has_head,
    head_of_loaded,
    own_classes,
    set_classes,
    start_head,
)
from fairlora.models.quantization import quantization_arguments
from fairlora.models.source import Source, model_errors, quiet_libraries, read_config

MAX_LENGTH = 256


def classifies_texts(config: Any) -> bool:
    """Whether a checkpoint with this config can become a text classifier."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

    return type(config) in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING


def text_from_pretrained(
    source: Source,
    classes: Sequence[str] | None,
    *,
    max_length: int | None = None,
    head_seed: int = 0,
    dtype: torch.dtype = torch.float32,
    quantize: str | None = None,
    tokenizer: Any = None,
) -> TextClassifier:
    """A `TextClassifier` from a Hugging Face folder or hub id; see `load_text_classifier`.

    `tokenizer` is one that was saved elsewhere (beside an adapter); None reads the checkpoint's.
    """
    from transformers import AutoModelForSequenceClassification

    config = read_config(source)
    if not classifies_texts(config):
        raise InputError(
            "not a model that classifies texts",
            where="model.id",
            found=f"{source.id} (model type {config.model_type})",
            expected="a language model such as Llama, Mistral or BERT",
        )
    if classes is None and not has_head(config):
        raise InputError(
            "this checkpoint has no classification head",
            where="model.id",
            found=f"{source.id} ({', '.join(config.architectures or ['no architecture named'])})",
            expected="a fine-tuned classifier, or a new head (--untrained-head)",
        )
    tokenizer = tokenizer or read_tokenizer(source)
    arguments: dict[str, Any] = {
        "dtype": dtype,
        **quantization_arguments(quantize, gguf=source.gguf is not None),
        **source.arguments,
    }
    if source.gguf is not None:
        from transformers import GgufConfig

        arguments["quantization_config"] = GgufConfig(dequantize=True)
    if classes is not None:
        arguments["num_labels"] = len(classes)
        arguments["ignore_mismatched_sizes"] = True
    with model_errors(source), quiet_libraries(), torch.random.fork_rng():
        torch.manual_seed(head_seed)
        model, info = AutoModelForSequenceClassification.from_pretrained(
            source.location, output_loading_info=True, **arguments
        )
    head = head_of_loaded(model, source, info, new=classes is not None)
    if classes is not None:
        start_head(model, head.names, head_seed)
        set_classes(model.config, classes)
    if hasattr(model.config, "use_cache"):
        model.config.use_cache = False  # a cache of keys and values is for generation alone
    notes = [*head.notes, *set_padding(tokenizer, model, source.id)]
    length, cut = fit_length(max_length, tokenizer, model, source.id)
    return TextClassifier(
        model=model,
        classes=tuple(classes) if classes is not None else own_classes(model.config),
        base=source.id,
        head=head.names,
        tokenizer=tokenizer,
        max_length=length,
        notes=(*notes, *cut),
        quantize=quantize,
    )


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

    A tokenizer without a pad token takes the unknown or the end token: a new one would need a new
    row in the embeddings. Attention never sees padding, and Llama's kind of head reads the last
    token that is not it.
    """
    tokenizer.padding_side = "right"
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


def fit_length(
    wanted: int | None, tokenizer: Any, model: Any, name: str
) -> tuple[int, tuple[str, ...]]:
    """How many tokens a text may have; cut to the model's positions with a note.

    Raises `InputError` for a length that leaves no room beside the special tokens.
    """
    length = MAX_LENGTH if wanted is None else wanted
    special = tokenizer.num_special_tokens_to_add()
    if length <= special:
        raise InputError(
            "no room for a text",
            where="model.max_length",
            found=length,
            expected=f"more than the {special} special tokens",
        )
    limit = positions(model)
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

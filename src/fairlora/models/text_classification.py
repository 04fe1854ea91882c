"""Text classifiers out of pretrained weights: Llama, Mistral, BERT and its kind, GGUF files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from fairlora.errors import InputError
from fairlora.models.adapter_files import AdapterFiles
from fairlora.models.adapter_loading import resize_for
from fairlora.models.classifier import TextClassifier
from fairlora.models.heads import (
    check_head,
    check_single_label,
    head_of_loaded,
    own_classes,
    record_of,
    set_classes,
    start_head,
)
from fairlora.models.load_checks import check_options, check_values
from fairlora.models.quantization import keep_trainable_weights
from fairlora.models.source import Source, model_errors, quiet_libraries, read_config
from fairlora.models.texts import fit_length, loading_arguments, read_tokenizer, set_padding


def check_text_model(config: Any, source: Source) -> None:
    """Raise `InputError` for a checkpoint that can become no text classifier."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise InputError(
            "not a model that classifies texts",
            where="model.id",
            found=f"{source.id} (model type {config.model_type})",
            expected="a language model such as Llama, Mistral or BERT",
        )


def text_from_pretrained(
    source: Source,
    classes: Sequence[str] | None,
    *,
    max_length: int | None = None,
    head_seed: int = 0,
    dtype: torch.dtype = torch.float32,
    quantize: str | None = None,
    tokenizer: Any = None,
    files: AdapterFiles | None = None,
) -> TextClassifier:
    """A `TextClassifier` from a Hugging Face folder or hub id; see `load_text_classifier`.

    Parameters
    ----------
    source : where the checkpoint lies.
    classes, max_length, head_seed, dtype, quantize : those of `load_text_classifier`.
    tokenizer : one that was saved elsewhere (beside an adapter); None reads the checkpoint's.
    files : an adapter that may bring embeddings of more tokens.

    Raises
    ------
    InputError : the checkpoint is no language model, or has no tokenizer, or no head of its own
        where one is to be kept; its weights are not the model's.
    """
    from transformers import AutoModelForSequenceClassification

    config = read_config(source)
    check_text_model(config, source)
    if classes is None:
        check_head(config, source)
    tokenizer = tokenizer or read_tokenizer(source)
    arguments = loading_arguments(source, dtype, quantize)
    arguments["ignore_mismatched_sizes"] = True  # `head_of_loaded` names them
    check_options(config, source.location)
    if classes is None:
        check_single_label(config, source)
    else:
        arguments["num_labels"] = len(classes)
    with model_errors(source), quiet_libraries(), torch.random.fork_rng():
        torch.manual_seed(head_seed)
        model, info = AutoModelForSequenceClassification.from_pretrained(
            source.location, output_loading_info=True, **arguments
        )
    keep_trainable_weights(model)
    head = head_of_loaded(model, source, info, new=classes is not None)
    resize_for(model, files)
    if classes is not None:
        start_head(model, head.names, head_seed)
        set_classes(model.config, classes)
        model.config.problem_type = None
    check_values(model, source.location)
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
        record=record_of(model, config, head, tokenizer=tokenizer, max_length=length),
    )

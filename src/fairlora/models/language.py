"""Language models out of pretrained weights: Llama, Mistral and their relatives, GGUF files, runs.

The same kinds of ids as classifiers take: a hub id, a folder, a ``.gguf`` file, a run of fairlora
(full, adapter or base), or an adapter's folder.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from fairlora.errors import InputError
from fairlora.models.adapter_files import AdapterFiles, read_adapter
from fairlora.models.adapter_loading import put_on, resize_for
from fairlora.models.heads import Head, has_head, record_of
from fairlora.models.language_model import LanguageModel
from fairlora.models.load_checks import check_generator, check_options, check_values
from fairlora.models.merging import fold_in
from fairlora.models.methods import BASE
from fairlora.models.quantization import keep_trainable_weights, quantization_of
from fairlora.models.source import (
    ADAPTER_CONFIG,
    CARD,
    Source,
    base_name,
    model_errors,
    quiet_libraries,
    read_config,
    read_json,
    resolve_source,
    source_of,
    weights_source,
)
from fairlora.models.texts import (
    MAX_LENGTH,
    fit_length,
    loading_arguments,
    positions,
    read_tokenizer,
    set_padding,
)


def continues_texts(config: Any) -> bool:
    """Whether a checkpoint with this config is a causal language model (BERT's kind is none)."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_MASKED_LM_MAPPING,
    )

    kind = type(config)
    return kind in MODEL_FOR_CAUSAL_LM_MAPPING and kind not in MODEL_FOR_MASKED_LM_MAPPING


def load_language(
    model_id: str,
    *,
    max_length: int | None = None,
    chat: bool | None = None,
    dtype: torch.dtype = torch.float32,
    quantize: str | None = None,
    base: str | None = None,
    merged: bool = False,
) -> LanguageModel:
    """Load a causal language model, as it is or as a run left it.

    Parameters
    ----------
    model_id : hub id, folder, path of a .gguf file, a run's folder, or an adapter's folder.
    max_length : examples are cut to this many tokens; None is what it was fine-tuned with, or 256.
    chat : put prompts to it through the chat template; None is as it was fine-tuned, or no.
    dtype : the type to compute in, whatever the checkpoint is stored in.
    quantize : "4bit" or "8bit" stores the pretrained weights so (QLoRA); "none" never; None is as
        it was fine-tuned, where this machine can.
    base : overrides where an adapter's base model lies (it may have moved).
    merged : fold an adapter into the weights, to train on from there.

    Raises
    ------
    InputError : the model or its tokenizer is not there, it is no causal language model, has no
        chat template where one is asked for, or cannot be quantised here.
    """
    source = source_of(model_id, texts=True)
    card = _card(source)
    kept, notes = quantization_of(quantize, card)
    settings: dict[str, Any] = {"dtype": dtype, "quantize": kept}
    length = max_length if max_length is not None else card.get("max_length")
    adapted = source.folder is not None and source.gguf is None
    peft = adapted and (source.folder / ADAPTER_CONFIG).is_file()  # type: ignore[operator]
    if peft or card.get("adapter", {}).get("kind") == BASE:
        loaded = _load_tuned(source, card, base, length, settings, peft=bool(peft), merged=merged)
    else:
        loaded = _from_pretrained(source, length, **settings)
    loaded.base, loaded.notes = model_id, (*loaded.notes, *notes)
    wrote = {**loaded.record.written_by, **card.get("written_by", {})}
    loaded.record = replace(loaded.record, written_by=wrote)
    loaded.chat = bool(card.get("chat", False)) if chat is None else chat
    if loaded.chat and not getattr(loaded.tokenizer, "chat_template", None):
        raise InputError(
            "this model's tokenizer has no chat template",
            where="model.chat",
            found=model_id,
            expected="the instruction-tuned version of the model, or model.chat: false",
        )
    loaded.model.eval()
    return loaded


def _card(source: Source) -> dict[str, Any]:
    """What fairlora wrote beside a language model; empty where it wrote nothing."""
    if source.folder is None or not (source.folder / CARD).is_file():
        return {}
    card = read_json(source.folder / CARD)
    if card.get("kind") != "language":
        raise InputError(
            "this run is of a classifier, which continues no texts",
            where="model.id",
            found=source.id,
            expected="a language model",
        )
    return card


def _from_pretrained(
    source: Source,
    max_length: int | None,
    *,
    dtype: torch.dtype,
    quantize: str | None,
    tokenizer: Any = None,
    files: AdapterFiles | None = None,
) -> LanguageModel:
    from transformers import AutoModelForCausalLM

    config = read_config(source)
    if not continues_texts(config):
        raise InputError(
            "not a causal language model",
            where="model.id",
            found=f"{source.id} (model type {config.model_type})",
            expected="a model such as Llama or Mistral",
        )
    if has_head(config):
        raise InputError(
            "this model classifies texts and continues none",
            where="model.id",
            found=f"{source.id} ({', '.join(config.architectures)})",
            expected="a language model",
        )
    check_options(config, source.location)
    tokenizer = tokenizer or read_tokenizer(source)
    arguments = loading_arguments(source, dtype, quantize, whole=("lm_head",))
    arguments["ignore_mismatched_sizes"] = True  # named below
    loader: Any = AutoModelForCausalLM
    with model_errors(source), quiet_libraries(), torch.random.fork_rng():
        model, info = loader.from_pretrained(source.location, output_loading_info=True, **arguments)
    keep_trainable_weights(model)
    left_out = check_generator(
        model, info, source.location, "a causal language model with its output layer"
    )
    check_values(model, source.location)
    resize_for(model, files)
    notes = set_padding(tokenizer, model, source.id)
    length, cut = fit_length(max_length, tokenizer, model, source.id, default=MAX_LENGTH)
    return LanguageModel(
        model=model,
        tokenizer=tokenizer,
        base=source.id,
        max_length=length,
        context=positions(model),
        notes=(*notes, *cut),
        quantize=quantize,
        record=record_of(
            model, config, Head((), left_out=left_out), tokenizer=tokenizer, max_length=length
        ),
    )


def _load_tuned(
    source: Source,
    card: dict[str, Any],
    base: str | None,
    max_length: int | None,
    settings: dict[str, Any],
    *,
    peft: bool,
    merged: bool,
) -> LanguageModel:
    """What an adapter, or nothing, made of a base model that lies elsewhere."""
    folder = source.folder
    assert folder is not None
    files = read_adapter(source) if peft else None
    if files is not None and files.task not in (None, "CAUSAL_LM"):
        raise InputError(
            "this adapter is of no language model",
            where=source.location,
            found=f"task_type {files.task}",
            expected="CAUSAL_LM; fairlora predict takes classifiers",
        )
    said = None if files is None else files.config.base_model_name_or_path
    name = base_name(source, base or card.get("base") or said)
    own = None
    if (folder / "tokenizer_config.json").is_file():
        own = read_tokenizer(Source(str(folder), folder))
    below = weights_source(resolve_source(name))
    if below.folder is not None and (below.folder / CARD).is_file() and _is_tuned(below.folder):
        # An adapter on what another run made: that one's adapter is part of its weights.
        loaded = load_language(
            str(name), max_length=max_length, merged=True,
            dtype=settings["dtype"], quantize=settings["quantize"],
        )  # fmt: skip
    else:
        loaded = _from_pretrained(below, max_length, tokenizer=own, files=files, **settings)
    if files is None:
        return loaded
    loaded.notes += files.notes
    loaded.model, loaded.record = put_on(loaded.model, files, loaded.record)
    if merged:
        if settings["quantize"] is not None:
            raise InputError(
                "an adapter cannot be folded into quantised weights",
                where="model.quantize",
                found=repr(settings["quantize"]),
                expected="no quantisation",
            )
        loaded.model = fold_in(loaded.model, source.location)
        loaded.model.requires_grad_(True)
    return loaded


def _is_tuned(folder: Path) -> bool:
    return (folder / ADAPTER_CONFIG).is_file() or not (folder / "config.json").is_file()

"""How large a language model with its adapter will be, told from its config alone."""

from __future__ import annotations

import torch

from fairlora.errors import InputError
from fairlora.models.adapter_attach import attach
from fairlora.models.adapter_spec import Adapter
from fairlora.models.counting import ModelCount
from fairlora.models.language import continues_texts
from fairlora.models.methods import field_names
from fairlora.models.parameters import count_parameters
from fairlora.models.source import (
    base_of,
    model_errors,
    quiet_libraries,
    read_config,
    resolve_source,
    weights_source,
)


def count_language(model_id: str, adapter: Adapter) -> ModelCount:
    """Count a language model with an adapter, without its weights.

    Raises `InputError` where the config cannot be had, or is no causal language model's.
    """
    from transformers import AutoModelForCausalLM

    source = weights_source(resolve_source(model_id))
    while source.folder is not None and source.gguf is None:
        base = base_of(source.folder)
        if base is None:
            break
        source = weights_source(resolve_source(base))
    config = read_config(source)
    if not continues_texts(config):
        raise InputError("not a causal language model", where="model.id", found=model_id)
    with model_errors(source), quiet_libraries(), torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    embeddings = {id(p) for p in model.get_input_embeddings().parameters()}
    encoder = sum(p.numel() for p in model.parameters() if id(p) not in embeddings)
    started = "init_lora_weights" in field_names(adapter.method) and adapter.kind == "pissa"
    with torch.device("meta"):
        # What starts from the weights is of plain LoRA's size.
        counted = adapter.model_copy(update={"kind": "lora"}) if started else adapter
        model = attach(model, counted, (), task="language")
    return ModelCount(count_parameters(model, ()), encoder, None)

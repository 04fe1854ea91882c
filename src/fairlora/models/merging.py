"""Fold an adapter into the weights that it adapts: an ordinary model with the same answers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from fairlora.errors import InputError
from fairlora.models.adapter_spec import Adapter
from fairlora.models.classifier import Classifier
from fairlora.models.quantization import is_quantized
from fairlora.models.saving import write_beside
from fairlora.models.source import first_line, quiet_libraries

AnyClassifier = TypeVar("AnyClassifier", bound=Classifier)
# How far logits may move when an adapter is folded in, as a part of the largest: rounding alone.
MERGED = 1e-3
MERGED_HALF = 5e-2


def merge(classifier: AnyClassifier) -> AnyClassifier:
    """The classifier with its adapter folded into the weights; unchanged if it has none.

    The given classifier's network is used for it and must not be used on. After training, pass the
    network with its adapter: ``merge(dataclasses.replace(classifier, model=model))``.

    Raises `InputError` for an adapter that is no change of weights (virtual tokens) or that PEFT
    cannot merge, and for quantised weights, which would lose what the adapter learned.
    """
    from peft import PeftModel

    model = classifier.model
    if not isinstance(model, PeftModel):
        return classifier
    kind = model.active_peft_config.peft_type.value.lower()
    if is_quantized(model.get_base_model()):
        raise InputError(
            "an adapter cannot be folded into quantised weights",
            where=classifier.base,
            expected="the model loaded in full precision (quantize='none')",
        )
    if not hasattr(model.base_model, "merge_and_unload"):
        raise InputError(
            "this adapter adds tokens and changes no weights: there is nothing to fold in",
            where=classifier.base,
            found=kind,
            expected="an adapter of the layers, such as lora",
        )
    merged = fold_in(model, classifier.base, classifier.forward_arguments)
    return replace(classifier, model=merged)


def fold_in(model: Any, where: str, arguments: Mapping[str, Any] | None = None) -> Any:
    """PEFT's model with its adapter folded into the weights: an ordinary model.

    An output layer that shares its weights with the embeddings of tokens gets weights of its own
    first, if it is adapted: else the embeddings would change too.

    Raises `InputError` if PEFT cannot fold the adapter in, or if the answers to a few drawn inputs
    are not the same afterwards, or cannot be had.

    Parameters
    ----------
    model : a PEFT model; not to be used on.
    where : what to call it in the message.
    arguments : passed to every call of the model.
    """
    model.eval()
    kind = model.active_peft_config.peft_type.value.lower()
    inputs = _drawn_inputs(model.get_base_model().config, model)
    before = _answers(model, inputs, arguments)
    if before is None:
        base = type(model.get_base_model()).__name__
        raise InputError(
            "whether this adapter is folded in rightly cannot be tried",
            where=where,
            found=f"{base}, which takes neither pictures nor tokens alone",
            expected="the adapter left as it is",
        )
    _untie(model)
    _place_heads(model)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            merged = model.merge_and_unload()
    except (NotImplementedError, AttributeError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            "PEFT cannot fold this adapter in",
            where=where,
            found=f"{kind}: {first_line(error)}",
        ) from error
    after = _answers(merged, inputs, arguments)
    scale = 1 + float(before.abs().max())
    off = math.inf if after is None else float((after - before).abs().max()) / scale
    loose = next(merged.parameters()).dtype in (torch.float16, torch.bfloat16)
    if not off <= (MERGED_HALF if loose else MERGED):
        raise InputError(
            "PEFT folds this adapter in wrongly: the answers change",
            where=where,
            found=f"{kind}: logits off by {off * scale:.3g}",
            expected="the adapter left as it is",
        )
    return merged


def _drawn_inputs(config: Any, model: Any) -> dict[str, Tensor]:
    """Two drawn pictures, or two drawn texts of eight tokens; always the same."""
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(0)
    if getattr(model.get_base_model(), "main_input_name", "") == "pixel_values":
        config = getattr(config, "vision_config", config)
        size = getattr(config, "image_size", None) or 64
        sides = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
        shape = (2, getattr(config, "num_channels", 3), *sides)
        return {"pixel_values": torch.randn(shape, generator=generator).to(device)}
    rows = model.get_base_model().get_input_embeddings().num_embeddings
    ids = torch.randint(0, rows, (2, 8), generator=generator).to(device)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def _answers(
    model: Any, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any] | None
) -> Tensor | None:
    """The logits; None where the model does not take such inputs."""
    with torch.no_grad():
        try:
            logits: Tensor = model(**inputs, **(arguments or {})).logits
        except (RuntimeError, ValueError, TypeError, IndexError):
            return None
    return logits.float()


def _untie(model: Any) -> None:
    base = model.get_base_model()
    output = base.get_output_embeddings()
    if output is None:
        return  # classifiers; of some, transformers refuses to name the input embeddings
    embedded = base.get_input_embeddings()
    layer = getattr(output, "base_layer", None)
    inner = getattr(embedded, "base_layer", embedded)
    tied = layer or (output if hasattr(embedded, "base_layer") else None)
    if tied is None or tied.weight is not inner.weight:
        return
    tied.weight = nn.Parameter(inner.weight.detach().clone(), requires_grad=False)
    base.config.tie_word_embeddings = False
    if hasattr(base, "_tied_weights_keys"):
        base._tied_weights_keys = None
    if hasattr(base, "all_tied_weights_keys"):
        base.all_tied_weights_keys = {}


def _place_heads(model: Any) -> None:
    """Put every trained head in the place of PEFT's wrapper around it.

    Some of PEFT's methods lose it when they unload, and some stumble over a head of several layers.
    """
    from peft.utils.other import ModulesToSaveWrapper

    for name, module in list(model.named_modules()):
        if isinstance(module, ModulesToSaveWrapper):
            parent, _, last = name.rpartition(".")
            trained = module.modules_to_save[module.active_adapters[0]]
            setattr(model.get_submodule(parent), last, trained)


def save_merged(classifier: Classifier, folder: Path) -> Path:
    """Write the classifier, its adapter folded in, as an ordinary Hugging Face folder.

    transformers alone loads it (``AutoModelFor...Classification``), with the image processor or the
    tokenizer beside the weights. Of CLIP's image tower, transformers loads the tower; fairlora
    loads it with its head. Raises `InputError` as `merge` does.
    """
    merged = merge(classifier)
    folder.mkdir(parents=True, exist_ok=True)
    with quiet_libraries():
        merged.model.save_pretrained(folder)
    write_beside(merged, Adapter("full"), folder)
    return folder

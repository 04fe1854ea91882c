"""Fold an adapter into the weights that it adapts: an ordinary model with the same answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from fairlora.errors import InputError
from fairlora.models.adapter import Adapter
from fairlora.models.classifier import Classifier
from fairlora.models.quantization import is_quantized
from fairlora.models.saving import write_beside
from fairlora.models.source import first_line, quiet_libraries

AnyClassifier = TypeVar("AnyClassifier", bound=Classifier)


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
    _place_heads(model)
    try:
        merged = model.merge_and_unload()
    except (NotImplementedError, AttributeError, ValueError, TypeError) as error:
        raise InputError(
            "PEFT cannot fold this adapter in",
            where=classifier.base,
            found=f"{kind}: {first_line(error)}",
        ) from error
    return replace(classifier, model=merged)


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

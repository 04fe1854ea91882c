"""Room `models`: load by hub id or folder, attach an adapter, count parameters.

Importing this package loads none of torch, transformers and peft: each name below brings what it
needs when it is first used, and `fairlora.models.methods` and `fairlora.models.source` do without.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairlora.models.adapter_attach import after_step, attach
    from fairlora.models.adapter_spec import Adapter
    from fairlora.models.classifier import (
        Classifier,
        ImageClassifier,
        ImageTextClassifier,
        TextClassifier,
    )
    from fairlora.models.counting import ModelCount, count_of
    from fairlora.models.exact_head import keep_logits_exact
    from fairlora.models.image_text import load_image_text
    from fairlora.models.language import load_language
    from fairlora.models.language_model import LanguageModel
    from fairlora.models.loading import (
        load_classifier,
        load_finetuned,
        load_image_classifier,
        load_text_classifier,
    )
    from fairlora.models.merging import merge, save_merged
    from fairlora.models.methods import ADAPTERS, adapter_kinds
    from fairlora.models.parameters import ParameterCount, count_parameters
    from fairlora.models.preprocessing import Preprocessing
    from fairlora.models.saving import save_finetuned
    from fairlora.models.source import model_fingerprint, resolve_source
    from fairlora.models.targets import resolve_targets
    from fairlora.models.tiny import write_tiny_model
else:
    _HOMES = {
        "ADAPTERS": "methods",
        "Adapter": "adapter_spec",
        "Classifier": "classifier",
        "ImageClassifier": "classifier",
        "ImageTextClassifier": "classifier",
        "LanguageModel": "language_model",
        "ModelCount": "counting",
        "ParameterCount": "parameters",
        "Preprocessing": "preprocessing",
        "TextClassifier": "classifier",
        "adapter_kinds": "methods",
        "after_step": "adapter_attach",
        "attach": "adapter_attach",
        "count_of": "counting",
        "count_parameters": "parameters",
        "keep_logits_exact": "exact_head",
        "load_classifier": "loading",
        "load_finetuned": "loading",
        "load_image_classifier": "loading",
        "load_image_text": "image_text",
        "load_language": "language",
        "load_text_classifier": "loading",
        "merge": "merging",
        "model_fingerprint": "source",
        "resolve_source": "source",
        "resolve_targets": "targets",
        "save_finetuned": "saving",
        "save_merged": "merging",
        "write_tiny_model": "tiny",
    }

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


# PEFT imports bitsandbytes where it is installed, which warns of a kernel that is never used here
# (`fairlora.models.quantization.keep_trainable_weights`).
logging.getLogger("bitsandbytes.backends.cpu.ops").addFilter(
    lambda record: "gemm_4bit_forward" not in str(record.msg)
)

__all__ = [
    "ADAPTERS",
    "Adapter",
    "Classifier",
    "ImageClassifier",
    "ImageTextClassifier",
    "LanguageModel",
    "ModelCount",
    "ParameterCount",
    "Preprocessing",
    "TextClassifier",
    "adapter_kinds",
    "after_step",
    "attach",
    "count_of",
    "count_parameters",
    "keep_logits_exact",
    "load_classifier",
    "load_finetuned",
    "load_image_classifier",
    "load_image_text",
    "load_language",
    "load_text_classifier",
    "merge",
    "model_fingerprint",
    "resolve_source",
    "resolve_targets",
    "save_finetuned",
    "save_merged",
    "write_tiny_model",
]


def __dir__() -> list[str]:
    return sorted(__all__)

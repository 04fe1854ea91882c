"""Room `models`: load by hub id or folder, attach an adapter, count parameters."""

from __future__ import annotations

from fairlora.models.adapters import ADAPTERS, Adapter, attach, resolve_targets
from fairlora.models.checkpoint import load_finetuned, save_finetuned
from fairlora.models.image_classification import (
    ImageClassifier,
    Preprocessing,
    load_image_classifier,
)
from fairlora.models.parameters import ParameterCount, count_parameters
from fairlora.models.source import model_fingerprint, resolve_source

__all__ = [
    "ADAPTERS",
    "Adapter",
    "ImageClassifier",
    "ParameterCount",
    "Preprocessing",
    "attach",
    "count_parameters",
    "load_finetuned",
    "load_image_classifier",
    "model_fingerprint",
    "resolve_source",
    "resolve_targets",
    "save_finetuned",
]

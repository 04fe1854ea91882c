"""Room `models`: load by hub id or folder, attach an adapter, count parameters."""

from __future__ import annotations

from fairlora.models.adapters import Adapter, after_step, attach
from fairlora.models.checkpoint import load_finetuned
from fairlora.models.classifier import Classifier, ImageClassifier, TextClassifier
from fairlora.models.loading import load_classifier, load_image_classifier, load_text_classifier
from fairlora.models.merging import merge, save_merged
from fairlora.models.methods import ADAPTERS, adapter_kinds
from fairlora.models.parameters import ParameterCount, count_parameters
from fairlora.models.preprocessing import Preprocessing
from fairlora.models.saving import save_finetuned
from fairlora.models.source import model_fingerprint, resolve_source
from fairlora.models.targets import resolve_targets

__all__ = [
    "ADAPTERS",
    "Adapter",
    "Classifier",
    "ImageClassifier",
    "ParameterCount",
    "Preprocessing",
    "TextClassifier",
    "adapter_kinds",
    "after_step",
    "attach",
    "count_parameters",
    "load_classifier",
    "load_finetuned",
    "load_image_classifier",
    "load_text_classifier",
    "merge",
    "model_fingerprint",
    "resolve_source",
    "resolve_targets",
    "save_finetuned",
    "save_merged",
]

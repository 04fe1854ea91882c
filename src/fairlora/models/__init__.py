"""Room `models`: load by hub id or folder, attach an adapter, count parameters."""

from __future__ import annotations

from fairlora.models.adapters import ADAPTERS, Adapter, attach, resolve_targets
from fairlora.models.checkpoint import load_finetuned, save_finetuned
from fairlora.models.classifier import Classifier, ImageClassifier, TextClassifier
from fairlora.models.image_classification import load_image_classifier
from fairlora.models.parameters import ParameterCount, count_parameters
from fairlora.models.preprocessing import Preprocessing
from fairlora.models.source import model_fingerprint, resolve_source

__all__ = [
    "ADAPTERS",
    "Adapter",
    "Classifier",
    "ImageClassifier",
    "ParameterCount",
    "Preprocessing",
    "TextClassifier",
    "attach",
    "count_parameters",
    "load_finetuned",
    "load_image_classifier",
    "model_fingerprint",
    "resolve_source",
    "resolve_targets",
    "save_finetuned",
]

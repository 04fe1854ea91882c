"""A loaded classifier of pictures or texts, with what prepares its input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Literal

from fairlora.models.load_checks import LoadRecord
from fairlora.models.preprocessing import Preprocessing


@dataclass
class Classifier(ABC):
    """A pretrained model with a classification head.

    Attributes
    ----------
    model : the network; called with a batch and `forward_arguments`, its ``.logits`` are
        (N, classes).
    classes : class names, in the order of the logits.
    base : the id or folder that the pretrained weights came from.
    head : names of the head's modules, which are trained whatever the adapter.
    forward_arguments : what every call passes besides the batch.
    notes : what a user should know, a sentence each.
    quantize : "4bit" or "8bit" where the pretrained weights are stored so (QLoRA).
    record : what was found when it was loaded.
    """

    model: Any
    classes: tuple[str, ...]
    base: str
    head: tuple[str, ...]
    forward_arguments: dict[str, Any] = field(default_factory=dict, kw_only=True)
    notes: tuple[str, ...] = field(default=(), kw_only=True)
    quantize: str | None = field(default=None, kw_only=True)
    record: LoadRecord = field(default_factory=LoadRecord, kw_only=True)

    @property
    @abstractmethod
    def kind(self) -> Literal["image", "text"]:
        """What it classifies."""


@dataclass
class ImageClassifier(Classifier):
    """Classifies pictures: ``model(pixel_values=...)``.

    Attributes
    ----------
    preprocessing : size, mean and standard deviation of its input.
    """

    preprocessing: Preprocessing

    @property
    def kind(self) -> Literal["image", "text"]:
        return "image"


@dataclass
class TextClassifier(Classifier):
    """Classifies texts: ``model(input_ids=..., attention_mask=...)``.

    Attributes
    ----------
    tokenizer : Hugging Face's, with a pad token, padding on the right.
    max_length : texts are cut to this many tokens.
    """

    tokenizer: Any
    max_length: int

    @property
    def kind(self) -> Literal["image", "text"]:
        return "text"

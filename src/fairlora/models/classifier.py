"""A loaded classifier of pictures or texts, or a model that answers for one, with its input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Literal

from fairlora.models.answers import Answers
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
    def kind(self) -> Literal["image", "text", "image-text"]:
        """What it classifies."""

    @property
    def output(self) -> tuple[str, ...]:
        """Names of the modules that its logits come from."""
        return self.head


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


@dataclass
class ImageTextClassifier(Classifier):
    """Classifies pictures by the likelihood of an answer: a vision-language model without a head.

    Attributes
    ----------
    processor : Hugging Face's, with a tokenizer that pads on the right and an image processor.
    question : the prompt as a run file says it.
    prompt : the text put to the model with each picture, with the place of the picture in it.
    answers : of the classes.
    answer_texts : of the classes, as a run file says them.
    max_length : the most tokens of picture, prompt and answer; None where there is no end.
    """

    processor: Any
    question: str
    prompt: str
    answers: Answers
    answer_texts: tuple[str, ...]
    max_length: int | None

    @property
    def kind(self) -> Literal["image", "text", "image-text"]:
        return "image-text"

    @property
    def output(self) -> tuple[str, ...]:
        """The layer that gives each token its logit."""
        return ("lm_head",)

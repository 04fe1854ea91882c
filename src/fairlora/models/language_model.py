"""A loaded language model: it continues texts, and has no head and no classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from fairlora.models.load_checks import LoadRecord


@dataclass
class LanguageModel:
    """A pretrained causal language model with its tokenizer.

    Attributes
    ----------
    model : the network; its ``.logits`` at a place are of the next token.
    tokenizer : Hugging Face's, with a pad token.
    base : the id or folder that the pretrained weights came from.
    max_length : examples are cut to this many tokens.
    context : how many tokens the model has positions for; None if they have no end.
    chat : whether prompts are put to it as a user's message, by the tokenizer's chat template.
    notes : what a user should know, a sentence each.
    quantize : "4bit" or "8bit" where the pretrained weights are stored so (QLoRA).
    record : what was found when it was loaded.
    """

    model: Any
    tokenizer: Any
    base: str
    max_length: int
    context: int | None
    chat: bool = False
    notes: tuple[str, ...] = field(default=(), kw_only=True)
    quantize: str | None = field(default=None, kw_only=True)
    record: LoadRecord = field(default_factory=LoadRecord, kw_only=True)
    forward_arguments: dict[str, Any] = field(default_factory=dict, kw_only=True)

    # What a classifier has, for those who write either of them down.
    head: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @property
    def kind(self) -> Literal["language"]:
        """What its card says it is."""
        return "language"

    @property
    def device(self) -> Any:
        """Where its weights are."""
        return next(self.model.parameters()).device

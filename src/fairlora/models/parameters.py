"""How many parameters an adapter trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ParameterCount:
    """Counts of one model with its adapter.

    Attributes
    ----------
    trainable, total : every parameter once.
    head : the classification head's, trainable in each method.
    total_as_stored : PEFT keeps a frozen copy of a head that it trains, and its own printout counts
        both; so does the table of the FairLoRA paper.
    """

    trainable: int
    total: int
    head: int
    total_as_stored: int

    @property
    def percent(self) -> float:
        """Share of the parameters that is trained, in percent, head included."""
        return 100 * self.trainable / self.total

    @property
    def trainable_without_head(self) -> int:
        return self.trainable - self.head

    @property
    def total_without_head(self) -> int:
        return self.total - self.head

    @property
    def percent_without_head(self) -> float:
        return 100 * self.trainable_without_head / self.total_without_head

    def to_dict(self) -> dict[str, float]:
        return {
            **asdict(self),
            "percent": self.percent,
            "trainable_without_head": self.trainable_without_head,
            "total_without_head": self.total_without_head,
            "percent_without_head": self.percent_without_head,
        }


def count_parameters(model: Any, head: Sequence[str]) -> ParameterCount:
    """Count a model's parameters; `head` names the head's modules (`ImageClassifier.head`)."""
    trainable = total = in_head = stored = 0
    for name, parameter in model.named_parameters():
        size = parameter.numel()
        stored += size
        parts = name.split(".")
        if "original_module" in parts:  # the frozen copy that PEFT keeps
            continue
        total += size
        if parameter.requires_grad:
            trainable += size
        if any(part in head for part in parts):
            in_head += size
    return ParameterCount(trainable, total, in_head, stored)

"""How many parameters an adapter trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fairlora.models.heads import in_head


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
    """Count a model's parameters; `head` names the head's modules (`Classifier.head`)."""
    trainable = total = own = stored = 0
    names = {name for name, _ in model.named_parameters()}
    # A norm that ln_tuning trains stands beside the one that it replaces.
    copied = ".base_layer.", ".ln_tuning_layers.default."
    replaced = {n for n in names if copied[0] in n and n.replace(*copied) in names}
    for name, parameter in model.named_parameters():
        size = parameter.numel()
        stored += size
        parts = name.split(".")
        if "original_module" in parts or name in replaced:  # the frozen copy that PEFT keeps
            continue
        total += size
        if parameter.requires_grad:
            trainable += size
        if in_head(name, head):
            own += size
    return ParameterCount(trainable, total, own, stored)

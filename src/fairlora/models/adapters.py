"""Adapters: what of a pretrained model is trained.

``full`` trains every weight, ``linear`` the head alone (rank 0), ``lora`` low-rank updates of the
query and value matrices (Hu et al. 2022) and the head. LoRA is PEFT's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from fairlora.errors import InputError

# The names that transformers has given to query and value matrices over its versions.
QUERY_NAMES = ("q_proj", "query", "q_lin", "q")
VALUE_NAMES = ("v_proj", "value", "v_lin", "v")


@dataclass(frozen=True)
class Adapter:
    """Which weights are trained.

    Attributes
    ----------
    kind : "full", "lora" or "linear".
    rank : LoRA's rank; 0 is the head alone.
    alpha : LoRA's scale is alpha / rank; None is twice the rank.
    dropout : on LoRA's input.
    targets : last parts of module names to adapt; None is the query and value matrices.
    """

    kind: Literal["full", "lora", "linear"] = "lora"
    rank: int = 8
    alpha: float | None = None
    dropout: float = 0.0
    targets: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind not in ADAPTERS:
            raise InputError(
                "unknown adapter",
                where="adapter.kind",
                found=repr(self.kind),
                expected="one of " + ", ".join(ADAPTERS),
            )
        if self.rank < 0:
            raise InputError(
                "negative rank", where="adapter.rank", found=self.rank, expected=">= 0"
            )
        if not 0 <= self.dropout < 1:
            raise InputError(
                "not a share",
                where="adapter.dropout",
                found=self.dropout,
                expected="0 <= share < 1",
            )
        if self.alpha is not None and not (math.isfinite(self.alpha) and self.alpha > 0):
            raise InputError("not a scale", where="adapter.alpha", found=self.alpha, expected="> 0")


ADAPTERS = ("full", "lora", "linear")


def attach(model: Any, adapter: Adapter, head: Sequence[str], *, seed: int = 0) -> Any:
    """The model with only the adapter's weights and the head trainable.

    Parameters
    ----------
    model : a transformers model with its head in place; changed in place.
    head : names of the head's modules (`ImageClassifier.head`).
    seed : LoRA's initial matrices come from this generator alone.

    Raises `InputError` if no module of the model has a target's name; it lists the candidates.
    """
    if adapter.kind == "full":
        model.requires_grad_(True)
        return model
    if adapter.kind == "linear" or adapter.rank == 0:
        model.requires_grad_(False)
        for name in head:
            model.get_submodule(name).requires_grad_(True)
        return model
    from peft import LoraConfig, get_peft_model

    targets = resolve_targets(model, adapter.targets, head)
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=2 * adapter.rank if adapter.alpha is None else adapter.alpha,  # type: ignore[arg-type]
        lora_dropout=adapter.dropout,
        target_modules=list(targets),
        modules_to_save=list(head),
        bias="none",
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return get_peft_model(model, config)


def resolve_targets(
    model: nn.Module, wanted: Sequence[str] | None, head: Sequence[str] = ()
) -> tuple[str, ...]:
    """The module names that LoRA adapts, found among the model's own.

    Raises `InputError` listing the model's linear layers if a wanted name matches none, or if no
    query and value matrices are found.
    """
    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name.split(".")[0] not in head
    ]
    last = {name.rsplit(".", 1)[-1] for name in linear}
    if wanted is not None:
        for name in wanted:
            if not any(full == name or full.endswith("." + name) for full in linear):
                raise InputError(
                    f"no layer is named {name!r}",
                    where="adapter.targets",
                    expected="some of " + ", ".join(sorted(last)),
                )
        return tuple(wanted)
    query = [name for name in QUERY_NAMES if name in last]
    value = [name for name in VALUE_NAMES if name in last]
    if not query or not value:
        raise InputError(
            f"no query and value matrices found in {type(model).__name__}",
            where="adapter.targets",
            expected="names to adapt, out of " + (", ".join(sorted(last)) or "no linear layers"),
        )
    return (query[0], value[0])

"""Frozen weights stored in bfloat16 while a model trains under autocast to bfloat16.

Autocast casts every weight for every product, and keeps the cast of none that has no gradient: the
whole base is read and written once more a step. Cast once, products are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

# Their products are autocast's. Others (norms, embeddings, attention as one module) read their
# weights otherwise.
_CAST = (nn.Linear, nn.Conv2d)


@contextmanager
def frozen_in_bfloat16(model: Any) -> Iterator[int]:
    """Store the frozen weights of linear layers and convolutions in bfloat16 while inside.

    Adapters, heads, and what is computed in float32 outside training stay as they are. Outside,
    every weight is again the float32 one that it was.

    Yields
    ------
    How many weights and biases are cast.
    """
    kept: list[tuple[nn.Parameter, torch.Tensor]] = []
    for parameter in _castable(model):
        kept.append((parameter, parameter.data))
        parameter.data = parameter.data.to(torch.bfloat16)
    try:
        yield len(kept)
    finally:
        for parameter, data in kept:
            parameter.data = data


def _castable(model: nn.Module) -> list[nn.Parameter]:
    """Frozen float32 weights that only linear layers and convolutions of the usual kind read."""
    cast: dict[int, nn.Parameter] = {}
    others: set[int] = set()
    # A forward of its own (a head that stays exact), and PEFT's copy of the head as it was.
    apart = [name for name, module in model.named_modules() if "forward" in vars(module) and name]
    for name, module in model.named_modules():
        own = {id(p): p for p in module._parameters.values() if p is not None}
        kept = "original_module" in name.split(".") or any(
            name == one or name.startswith(f"{one}.") for one in apart
        )
        frozen = all(not p.requires_grad and p.dtype == torch.float32 for p in own.values())
        if type(module) in _CAST and frozen and not kept:
            cast.update(own)
        else:
            others.update(own)
    return [parameter for key, parameter in cast.items() if key not in others]

"""Logits in float32 where the rest of a network computes in bfloat16."""

from __future__ import annotations

from collections.abc import Sequence
from types import MethodType
from typing import Any

import torch
from torch import nn


def keep_logits_exact(model: nn.Module, head: Sequence[str]) -> None:
    """Outside training, compute the head in float32 although autocast has bfloat16.

    Bfloat16 has three digits: logits of 20 come in steps of 1/8, so that many rows share one margin
    or one log-likelihood, which attacks and probes tell rows and options by. Training is left as it
    is, and so is a head whose weights are not float32.

    Parameters
    ----------
    head : names of the head's modules, as in `Classifier.head`.
    """
    for name, module in model.named_modules():
        if any(name == part or name.endswith(f".{part}") for part in head) and _is_float32(module):
            # A method, not a closure: a copy of the module gets one of its own.
            module.forward = MethodType(_forward, module)


def _is_float32(module: nn.Module) -> bool:
    weights = list(module.parameters())
    return bool(weights) and all(weight.dtype == torch.float32 for weight in weights)


def _forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
    plain = type(self).forward
    device = next(self.parameters()).device.type
    if self.training or not torch.is_autocast_enabled(device):
        return plain(self, *args, **kwargs)
    with torch.autocast(device, enabled=False):
        named = {name: _exact(value) for name, value in kwargs.items()}
        return plain(self, *(_exact(value) for value in args), **named)


def _exact(value: Any) -> Any:
    floats = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.float() if floats else value

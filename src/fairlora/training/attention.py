"""Attention whose gradient is taken in float32 on a processor, whatever else is bfloat16.

PyTorch's fused attention for processors goes forward in bfloat16 as fast as in float32, but
backward many times more slowly where the products of the processor's library are not made for it:
3 to 5 times on one with AVX512-BF16, which was a third of a training step of a small ViT.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface

_FUSED = "sdpa"  # what Transformers calls it
_lock = threading.Lock()
_inside = 0
_before: Callable[..., Any]  # what stood there when the first went inside


@contextmanager
def float32_gradients(device: torch.device) -> Iterator[None]:
    """Compute fused attention that is trained in float32 while inside, on a processor.

    What needs no gradient (predictions, blocks before the first adapter) stays as it is, and so
    does attention on other devices and of models that have a way of their own. Several threads may
    be inside at a time.

    Parameters
    ----------
    device : what trains; on another than a processor nothing is changed.
    """
    global _before, _inside
    if device.type != "cpu":
        yield
        return
    with _lock:
        _inside += 1
        if _inside == 1:
            _before = AttentionInterface()[_FUSED]
            AttentionInterface.register(_FUSED, _in_float32(_before))
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                AttentionInterface.register(_FUSED, _before)


@lru_cache(maxsize=1)
def _in_float32(inner: Callable[..., Any]) -> Callable[..., Any]:
    # One object for all steps: torch.compile would compile again for each other one.
    return partial(_attention, inner)


def _attention(
    inner: Callable[..., tuple[Tensor, Any]],
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **more: Any,
) -> tuple[Tensor, Any]:
    trained = query.requires_grad or key.requires_grad or value.requires_grad
    short = torch.is_autocast_enabled("cpu") or query.dtype in (torch.bfloat16, torch.float16)
    if not trained or not short:
        return inner(module, query, key, value, attention_mask, **more)
    if attention_mask is not None and attention_mask.is_floating_point():
        attention_mask = attention_mask.float()
    if more.get("position_bias") is not None:
        more["position_bias"] = more["position_bias"].float()
    with torch.autocast("cpu", enabled=False):
        output, weights = inner(
            module, query.float(), key.float(), value.float(), attention_mask, **more
        )
    return output.to(value.dtype), weights

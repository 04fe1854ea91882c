"""Refuse Trainer settings that would silently give another training."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from fairlora.errors import InputError

# Settings of TRL's SFTTrainer under which a loss is no longer that of one example, or not the one
# that was asked for; and the values under which it is.
_FINE: dict[str, tuple[Any, ...]] = {
    "packing": (False, None),
    "eval_packing": (False, None),
    "padding_free": (False, None),
    "loss_type": ("nll", None),
}


def check_loss_settings(args: Any, compute_loss_func: Callable[..., Any] | None) -> None:
    """Raise `InputError` where an objective could not have the loss of each example, or an
    evaluation all rows."""
    for name, fine in _FINE.items():
        value = getattr(args, name, None)
        if value not in fine:
            raise InputError(
                "FairTrainer needs the cross-entropy of each example by itself",
                where=name,
                found=value,
                expected=fine[0],
            )
    if getattr(args, "dataloader_drop_last", False):
        raise InputError(
            "the Trainer would leave the last rows out of every evaluation too",
            where="dataloader_drop_last",
            found=True,
            expected=False,
        )
    if compute_loss_func is not None:
        raise InputError(
            "FairTrainer computes the loss itself",
            where="compute_loss_func",
            found=getattr(compute_loss_func, "__name__", "a function"),
            expected="an objective",
        )


def check_sharding(args: Any, accelerator: Any) -> None:
    """Raise `InputError` where FSDP was asked for, by the arguments or by ``accelerate launch
    --use_fsdp``, and the Trainer would go on without."""
    kind = accelerator.distributed_type
    launched = os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("1", "true", "yes")
    # One process has nothing to share, and may have the variable from earlier arguments.
    asked = getattr(args, "fsdp", None) or (launched and accelerator.num_processes > 1)
    if asked and kind.value != "FSDP":
        raise InputError(
            "the Trainer cannot shard the model here, and would train it whole on each process",
            where="fsdp",
            found=kind.value,
            expected="several processes with an accelerator each, started by torchrun or "
            "accelerate launch",
        )

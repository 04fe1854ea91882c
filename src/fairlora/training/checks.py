"""Refuse Trainer settings that would silently give another training."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch

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
    # accelerate starts DeepSpeed's processes without a GPU too, and takes itself for the only one.
    started = torch.distributed.is_available() and torch.distributed.is_initialized()
    if kind.value == "DEEPSPEED" and started:
        several = torch.distributed.get_world_size()
        if several != accelerator.num_processes:
            raise InputError(
                "every process would train on all rows",
                where="deepspeed",
                found=f"{several} processes, of which accelerate knows {accelerator.num_processes}",
                expected="an accelerator for each process",
            )


def check_clipping(args: Any) -> None:
    """Raise `InputError` where DeepSpeed would clip gradients otherwise than `max_grad_norm`.

    A config that says nothing of clipping clips to a norm of 1, and the Trainer leaves it to it.
    """
    settings = getattr(getattr(args, "hf_deepspeed_config", None), "config", None)
    if settings is None or "gradient_clipping" in settings or args.max_grad_norm == 1.0:
        return
    raise InputError(
        "DeepSpeed would cut gradients to a norm of 1",
        where="gradient_clipping of its config",
        found=f"left out, with max_grad_norm {args.max_grad_norm:g}",
        expected="auto",
    )


def warn_of_idle_adapter(
    model: Any, inputs: Mapping[str, Any], call: Callable[[Any, Mapping[str, Any]], Any]
) -> None:
    """Warn where a trained adapter changes nothing of what the model answers.

    Some modules read the weights below an adapter's layers and not their outputs: torch's
    ``nn.TransformerEncoder`` has such a fast path, in eval mode alone.

    Parameters
    ----------
    model : a PEFT model, in eval mode.
    inputs : of one batch, as the model takes them.
    call : the model's outputs for such inputs.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    if not layers:  # virtual tokens, which are not read past
        return
    with torch.no_grad(), torch.random.fork_rng():
        answers = logits_in(call(model, inputs))
        try:
            # Not `disable_adapter`, which also puts the untrained head back.
            for layer in layers:
                layer._disable_adapters = True
            without = logits_in(call(model, inputs))
        finally:
            for layer in layers:
                layer._disable_adapters = False
    if torch.equal(answers, without):
        warnings.warn(
            "with and without the adapter the model gives the same answers: it learnt nothing, or "
            "a module reads its weights past it, as torch.nn.TransformerEncoder does in eval mode "
            "(torch.backends.mha.set_fastpath_enabled(False) before predicting)",
            stacklevel=3,
        )


def logits_in(outputs: Any) -> torch.Tensor:
    """The logits of a model's outputs."""
    logits: torch.Tensor = outputs["logits"] if isinstance(outputs, Mapping) else outputs.logits
    return logits

"""The ``dp`` section of a run: differentially private training (DP-SGD).

It is called ``dp``, and not ``privacy``: a study's ``privacy`` section says who attacks its runs,
and measures what leaks; this one bounds it. A study may have both.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from fairlora.settings import SettingsModel

# Adapters whose gradients opacus gives example by example: linear layers beside the frozen weights.
# Others keep weights of their own outside of layers (DoRA's magnitudes, IA3's and VeRA's vectors),
# or read the gradients of all examples together (AdaLoRA).
DP_ADAPTERS = ("lora", "rslora", "linear", "full")


class DPSpec(SettingsModel):
    """How much one training row may change the model: (epsilon, delta), for rows added or removed.

    Each step takes every training row with the same chance (``batch_size`` x
    ``gradient_accumulation`` over the rows), cuts each row's gradient to a norm of `clip`, and adds
    Gaussian noise of `clip` x the noise multiplier, which is the smallest that keeps the promise
    over all steps (Abadi et al. 2016, https://arxiv.org/abs/1607.00133).

    Attributes
    ----------
    epsilon : the promise; smaller is more private.
    delta : the chance that it does not hold; below one over the training rows.
    clip : the largest norm of a row's gradient.
    accountant : "prv" (Gopi et al. 2021) or "rdp" (Mironov 2017), which needs more noise.
    draws : where rows and noise are drawn from: "seed", the run's, so that the same run is made
        again; or "secret", the system's, which nobody can draw again. Whoever knows the seed can
        take the noise away: weights that are given out need "secret", or a seed that is not told.
    """

    epsilon: float = Field(gt=0, allow_inf_nan=False)
    delta: float = Field(default=1e-5, gt=0, lt=1, allow_inf_nan=False)
    clip: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    accountant: Literal["prv", "rdp"] = "prv"
    draws: Literal["seed", "secret"] = "seed"


def check_dp(spec: Any) -> None:
    """Raise `ValueError` for settings under which the promise of a run's ``dp`` would not hold.

    `spec` is a `RunSpec`, whose file imports this one.
    """
    objective, adapter, training = spec.objective, spec.adapter, spec.training
    if objective.fair:
        raise ValueError(f"dp with objective {objective.name}: {_COUPLES[objective.name]}")
    start = str(adapter.fields.get("init_lora_weights", True))
    if (
        adapter.kind not in DP_ADAPTERS
        or adapter.fields.get("use_dora")
        or "bias" in adapter.fields
    ):
        raise ValueError(
            f"dp with adapter {adapter.kind}: gradients of single rows are there for "
            f"{', '.join(DP_ADAPTERS)} alone, without use_dora and bias"
        )
    if start.lower() in ("pissa", "olora"):
        raise ValueError(f"dp with init_lora_weights {start}: it changes the base weights")
    if spec.model.quantize is not None:
        raise ValueError("dp with model.quantize: gradients are proved in float32 alone")
    if training.bf16:
        raise ValueError(
            "dp with training.precision bfloat16: norms of rounded gradients may be above clip; "
            "float32, or auto, which is float32 there"
        )
    if training.until_loss is not None:
        raise ValueError(
            "dp with training.until_loss: when training ends would tell of the training rows, and "
            "the noise is made for a number of steps that is known before"
        )
    if training.exact_accumulation:
        raise ValueError(
            "dp with training.exact_accumulation: rows count one by one, and a step's rows come in "
            "parts of batch_size anyway"
        )
    if spec.last_layer is not None and spec.last_layer.split == "train":
        raise ValueError(
            "dp with last_layer on the training rows: they would be read again, without noise; "
            "last_layer.split: validation"
        )


_COUPLES = {
    "loss-gap": "a row's weight hangs on which group is worst, by the losses of all, so that "
    "clipping one row's gradient bounds nothing; only erm can be trained with dp",
    "loss-variance": "a row's weight is made of the losses of the others, so that clipping one "
    "row's gradient bounds nothing; only erm can be trained with dp",
    "group-dro": "a row's weight is made of the losses of all groups, so that clipping one row's "
    "gradient bounds nothing; only erm can be trained with dp",
    "reweight": "a row's weight is made of how many rows its group has, which is itself counted "
    "from the private rows: one row more would change every row of its group; only erm can be "
    "trained with dp",
}

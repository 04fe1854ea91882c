"""LoRA and DoRA of mlx-lm, read as PEFT's.

mlx-lm calls its settings ``adapter_config.json`` as PEFT does, and means other things by them: its
``scale`` multiplies the product as it is (PEFT divides alpha by the rank), and its matrices lie
transposed, (inputs, rank) and (rank, outputs).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from fairlora.errors import InputError

WEIGHTS = "adapters.safetensors"
_NAMES = {
    "lora_a": "lora_A.weight",
    "lora_b": "lora_B.weight",
    "m": "lora_magnitude_vector",
}


def is_mlx(settings: Mapping[str, Any]) -> bool:
    """Whether the settings of an adapter are mlx-lm's."""
    return "peft_type" not in settings and (
        "lora_parameters" in settings or "fine_tune_type" in settings
    )


def peft_settings(settings: Mapping[str, Any], keys: Iterable[str], where: Path) -> dict[str, Any]:
    """PEFT's settings of the same adapter.

    Parameters
    ----------
    settings : mlx-lm's.
    keys : names in the weights' file, which alone says what modules are adapted.
    where : the file of the settings, for the message.

    Raises
    ------
    InputError : every weight was trained, or the settings say no rank or scale.
    """
    kind = settings.get("fine_tune_type", "lora")
    said = settings.get("lora_parameters")
    said = said if isinstance(said, Mapping) else {}
    rank, scale = _positive(said.get("rank")), _positive(said.get("scale"))
    if kind not in ("lora", "dora") or rank is None or scale is None:
        raise InputError(
            "an adapter of mlx-lm that is not read",
            where=where,
            found=f"fine_tune_type {kind!r}, lora_parameters {said}",
            expected="'lora' or 'dora' with a rank and a scale, or the model that mlx_lm.fuse "
            "writes",
        )
    modules = {key.rpartition(".")[0] for key in keys}
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": settings.get("model"),
        "r": int(rank),
        "lora_alpha": scale * rank,
        # Whole names: of mlx-lm's numbered layers only the last may be adapted.
        "target_modules": "|".join(re.escape(name) for name in sorted(modules)),
        "use_dora": kind == "dora",
    }


def peft_weights(weights: Mapping[str, Tensor], where: Path) -> dict[str, Tensor]:
    """The same weights by PEFT's names, (rank, inputs) and (outputs, rank).

    Raises `InputError` for what is no matrix of a linear layer or of token embeddings.
    """
    translated = {}
    for key, weight in weights.items():
        module, _, last = key.rpartition(".")
        if last not in _NAMES or weight.ndim != (1 if last == "m" else 2):
            raise InputError(
                "an adapter of mlx-lm with a weight that PEFT has no place for",
                where=where,
                found=f"{key} of {' x '.join(map(str, weight.shape))}",
                expected="lora_a, lora_b or m of a linear layer, or the model that mlx_lm.fuse "
                "writes",
            )
        translated[f"base_model.model.{module}.{_NAMES[last]}"] = weight.t().contiguous()
    return translated


def _positive(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number and value > 0 else None

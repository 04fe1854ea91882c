"""Quantised base models (QLoRA, Dettmers et al. 2023): frozen weights in 4 or 8 bits.

The weights are stored as NF4 or int8 and computed with in bfloat16; adapter and head stay float32.
bitsandbytes does it, on a GPU or on the CPU.
"""

from __future__ import annotations

import importlib.util
import logging
from importlib.metadata import version
from typing import Any, Literal

import torch

from fairlora.errors import InputError
from fairlora.models.heads import HEAD_NAMES

Bits = Literal["4bit", "8bit"]
# The first version that has been tried on a CPU.
_FOR_A_CPU = (0, 50)
BITS: tuple[Bits, ...] = ("4bit", "8bit")


def can_quantize() -> bool:
    """Whether this machine can load a quantised model."""
    return _missing() is None


def _missing() -> str | None:
    if importlib.util.find_spec("bitsandbytes") is None:
        return "the package bitsandbytes (pip install bitsandbytes)"
    if not torch.cuda.is_available():
        found = tuple(int(part) for part in version("bitsandbytes").split(".")[:2])
        if found < _FOR_A_CPU:
            return "an NVIDIA GPU that torch can use, or bitsandbytes 0.50, which needs none"
    return None


def quantization_arguments(
    quantize: str | None, *, gguf: bool = False, whole: tuple[str, ...] = (*HEAD_NAMES, "pooler")
) -> dict[str, Any]:
    """What `from_pretrained` takes to quantise a model; empty for None.

    Raises `InputError` for another word than "4bit" or "8bit", and if something is missing for it.

    Parameters
    ----------
    quantize : "4bit", "8bit" or None.
    gguf : the weights are a GGUF file's, which cannot be quantised again.
    whole : names of the modules that stay in full precision: a new head, or the output embeddings.
    """
    if quantize is None:
        return {}
    if quantize not in BITS:
        raise InputError(
            "unknown quantisation",
            where="model.quantize",
            found=repr(quantize),
            expected="4bit or 8bit",
        )
    if gguf:
        raise InputError(
            "a GGUF file is read at full precision and cannot be quantised again",
            where="model.quantize",
            found=repr(quantize),
            expected="no quantisation, or the model's Hugging Face folder",
        )
    missing = _missing()
    if missing is not None:
        raise InputError(
            "this machine cannot quantise a model",
            where="model.quantize",
            found=repr(quantize),
            expected=missing,
        )
    from transformers import BitsAndBytesConfig

    # At every layer it says that float32 is rounded, which is what was asked for.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    four = quantize == "4bit"
    config = BitsAndBytesConfig(
        load_in_4bit=four,
        load_in_8bit=not four,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_use_double_quant=True,
        # A new head has no weights to keep: it is trained, in full precision.
        # As expressions, for a plain name also skips every layer whose name ends in it.
        llm_int8_skip_modules=[rf"(?:.*\.)?(?:{name})" for name in whole],
    )
    device = torch.cuda.current_device() if torch.cuda.is_available() else "cpu"
    return {"quantization_config": config, "device_map": {"": device}}


def keep_trainable_weights(model: Any) -> None:
    """Let the 4-bit layers of a loaded model compute the same way in training and in prediction.

    On processors with bfloat16 products bitsandbytes repacks the weights at the first prediction:
    nothing can be trained on them afterwards, and layers whose sizes do not fit (32 outputs, blocks
    of 64 inputs) raise.
    """
    for module in model.modules():
        if getattr(module, "support_avx512bf16_for_cpu", False):
            module.support_avx512bf16_for_cpu = False


def is_quantized(model: Any) -> bool:
    """Whether a model's weights are stored in 4 or 8 bits."""
    return bool(
        getattr(model, "is_loaded_in_4bit", False) or getattr(model, "is_loaded_in_8bit", False)
    )


def prepare_quantized(model: Any) -> Any:
    """Freeze a quantised model for training an adapter on it; norms become float32."""
    from peft import prepare_model_for_kbit_training

    return prepare_model_for_kbit_training(
        model,
        use_gradient_checkpointing=bool(getattr(model, "supports_gradient_checkpointing", False)),
        gradient_checkpointing_kwargs={"use_reentrant": False},
    )


def quantization_of(wanted: str | None, card: dict[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """How weights are to be quantised, as `wanted` or as they were trained; and notes."""
    trained = card.get("quantize")
    if wanted == "none" or (wanted is None and trained is None):
        return None, ()
    if wanted is not None:
        return wanted, ()
    if can_quantize():
        return str(trained), ()
    return None, (
        f"trained on {trained} weights, and loaded on full ones: this machine cannot quantise",
    )

"""Find the modules that an adapter changes, by the model's own names.

Names change between architectures and between versions of transformers, so they are looked up in
the model and never assumed.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from transformers.pytorch_utils import Conv1D

from fairlora.errors import InputError
from fairlora.models.answers import language_part
from fairlora.models.heads import in_head

# The names that transformers has given to these matrices over its versions.
QUERY_NAMES = ("q_proj", "query", "q_lin", "query_proj", "q")
KEY_NAMES = ("k_proj", "key", "k_lin", "key_proj", "k")
VALUE_NAMES = ("v_proj", "value", "v_lin", "value_proj", "v")
# Query, key and value as one matrix.
FUSED_NAMES = ("query_key_value", "qkv_proj", "c_attn", "qkv", "in_proj", "Wqkv")
# The second layer of the MLP, as the end of its path.
MLP_NAMES = (
    "mlp.fc2",
    "mlp.down_proj",
    "mlp.weights_out",
    "mlp.c_proj",
    "mlp.dense_4h_to_h",
    "ffn.lin2",
    "output.dense",
    "fc2",
    "wo",
)


def resolve_targets(
    model: nn.Module, wanted: Sequence[str] | None, head: Sequence[str] = ()
) -> tuple[str, ...]:
    """The module names that LoRA adapts, found among the model's own.

    Raises `InputError` listing the model's linear layers if a wanted name matches none, or if no
    query and value matrices are found.

    Parameters
    ----------
    model : the model that is to get the adapter.
    wanted : names of linear layers, in full or their last parts; None takes query and value, of a
        vision-language model those of its language part.
    head : names of the head's modules, which are not adapted.
    """
    linear = _linear(model, head, everywhere=wanted is not None)
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
    query, value = _first(QUERY_NAMES, last), _first(VALUE_NAMES, last)
    fused = _first(FUSED_NAMES, last)
    found = (query, value) if query and value else (fused,) if fused else ()
    if found and language_part(model) is not None:
        # In full: by their last parts alone, those of what sees the pictures would be meant too.
        return tuple(name for name in linear if name.rsplit(".", 1)[-1] in found)
    if found:
        return found
    raise InputError(
        f"no query and value matrices found in {type(model).__name__}",
        where="adapter.targets",
        expected="names to adapt, out of " + (", ".join(sorted(last)) or "no linear layers"),
    )


def ia3_targets(model: nn.Module, head: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What IA3 scales (Liu et al. 2022): keys, values, and the MLP's second layer at its input.

    Returns all modules, and those of the MLP. Raises `InputError` if one of the three is not found.
    """
    linear = _linear(model, head)
    last = {name.rsplit(".", 1)[-1] for name in linear}
    key, value = _first(KEY_NAMES, last), _first(VALUE_NAMES, last)
    fused = _first(FUSED_NAMES, last)
    attention = [key, value] if key and value else [fused]
    # In full, for "output.dense" is also the end of BERT's attention.
    feedforward = [
        name
        for ending in MLP_NAMES
        for name in linear
        if f".{name}".endswith("." + ending) and "attention" not in name and "attn" not in name
    ]
    if not attention[0] or not feedforward:
        raise InputError(
            f"no key, value and MLP layers found in {type(model).__name__}",
            where="adapter.targets",
            expected="fields target_modules and feedforward_modules, out of "
            + (", ".join(sorted(last)) or "no linear layers"),
        )
    names = dict.fromkeys(feedforward)
    if language_part(model) is not None:
        attention = [name for name in linear if name.rsplit(".", 1)[-1] in attention]
    return (*(str(name) for name in attention), *names), tuple(names)


def norm_targets(model: nn.Module, head: Sequence[str]) -> tuple[str, ...]:
    """Every layer norm and RMS norm outside the head, by its full name."""
    within = language_part(model)
    norms = tuple(
        name
        for name, module in model.named_modules()
        if _inside(name, within)
        and ("LayerNorm" in type(module).__name__ or "RMSNorm" in type(module).__name__)
        and list(module.parameters(recurse=False))
        and not in_head(name, head)
    )
    if not norms:
        raise InputError(f"no layer norms found in {type(model).__name__}", where="adapter.targets")
    return norms


def _linear(model: nn.Module, head: Sequence[str], *, everywhere: bool = False) -> list[str]:
    """Full names of the linear layers outside the head; quantised ones are linear layers too.

    Of a vision-language model those of its language part, unless they are wanted `everywhere`.
    """
    within = None if everywhere else language_part(model)
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
        and not in_head(name, head)
        and _inside(name, within)
    ]


def _inside(name: str, part: str | None) -> bool:
    return part is None or f".{name}".startswith(f".{part}.")


def _first(names: Sequence[str], among: set[str]) -> str | None:
    return next((name for name in names if name in among), None)

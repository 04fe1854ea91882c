"""Check a load: which weights were expected, which arrived, and which were used.

The libraries load leniently: a key that fits nowhere is dropped, a weight that is not in the file
stays as it was drawn, and a warning at most says so. Here every difference is one line that names
the weight, and what was loaded is written down.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn

from fairlora.errors import InputError

# What other versions saved and no answer depends on: computed anew, or of pretraining.
UNUSED = (
    "position_ids",
    "relative_position_index",
    "relative_coords_table",
    "inv_freq",
    "attn_mask",
    "masked_bias",
    "attn.bias",
    "attention.bias",
    "num_batches_tracked",
    # Stands for a hidden patch in pretraining alone.
    "mask_token",
)


@dataclass
class LoadRecord:
    """What a load found, for the record of a run or of predictions.

    Attributes
    ----------
    written_by : versions of the libraries that wrote the files, as far as they say so.
    keys : weights of the adapter's file that are used, or of the model where there is no adapter.
    renamed : names in the adapter's file -> names in the model, where they differ.
    translated : what of an adapter's file or settings PEFT alone would read otherwise today.
    left_out : parts of the checkpoint that this model has no place for.
    dtype : the type computed in.
    head : names of the head's modules.
    processor, tokenizer : the file or folder that they were read from.
    max_length : tokens that a text is cut to.
    """

    written_by: dict[str, str] = field(default_factory=dict)
    keys: int = 0
    renamed: dict[str, str] = field(default_factory=dict)
    translated: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    dtype: str = ""
    head: tuple[str, ...] = ()
    processor: str | None = None
    tokenizer: str | None = None
    max_length: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain values, without what is empty."""
        return {k: v for k, v in asdict(self).items() if v not in (None, "", {}, (), 0)}


def check_keys(
    expected: Mapping[str, Collection[int]],
    given: Mapping[str, Collection[int]],
    where: object,
    *,
    said: Mapping[str, str] | None = None,
) -> None:
    """Raise `InputError` unless the weights of a file are those that the model has a place for.

    Parameters
    ----------
    expected, given : shapes by name.
    said : the names in `given` -> as the file has them, for the message.
    """
    said = said or {}
    missing = [name for name in expected if name not in given]
    extra = [said.get(name, name) for name in given if name not in expected]
    if missing:
        raise InputError(
            f"the file lacks weights of the adapter{_more(extra, ', and has others')}",
            where=where,
            found=f"no {some_of(missing)}",
            expected=f"{len(expected)} weights, as its settings say",
        )
    if extra:
        raise InputError(
            "the file has weights that the model has no place for",
            where=where,
            found=some_of(extra),
            expected="the base model that it was trained on, with settings that name its modules",
        )
    for name, shape in expected.items():
        if tuple(given[name]) != tuple(shape):
            raise InputError(
                "a weight of the file has another shape than the model's",
                where=where,
                found=f"{said.get(name, name)} of {_times(given[name])}",
                expected=_times(shape),
            )


def check_values(model: nn.Module, where: object) -> None:
    """Raise `InputError` for a weight that is not a number, or that was never loaded."""
    for name, weight in _weights(model):
        if weight.is_meta:
            raise InputError("a weight was not loaded", where=where, found=name)
        if not weight.is_floating_point() or not weight.numel() or weight.dtype.itemsize < 2:
            continue
        low, high = torch.aminmax(weight.detach())
        if not (torch.isfinite(low) and torch.isfinite(high)):
            raise InputError(
                "a weight is not a number",
                where=where,
                found=f"NaN or infinity in {name}",
                expected="finite weights",
            )


def _weights(model: nn.Module) -> Iterable[tuple[str, torch.Tensor]]:
    yield from model.named_parameters()
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            yield name, buffer


def check_options(config: Any, where: object) -> None:
    """Raise `InputError` for options of an architecture that transformers no longer has."""
    pruned = getattr(config, "pruned_heads", None)
    if pruned:
        raise InputError(
            "heads were pruned from this model, which transformers no longer reads",
            where=where,
            found=f"pruned_heads in {len(pruned)} layers",
            expected="a model with all its attention heads, or transformers 4",
        )
    positions = getattr(config, "position_embedding_type", None)
    if positions is not None and str(positions).startswith("relative") and _dropped(config):
        raise InputError(
            "relative positions, which this model of transformers no longer has",
            where=where,
            found=f"position_embedding_type {positions!r}",
            expected="'absolute', or transformers 4",
        )


def _dropped(config: Any) -> bool:
    """Whether the architecture's code no longer reads ``position_embedding_type``."""
    import inspect
    import sys
    from importlib import import_module

    name = type(config).__module__.replace(".configuration_", ".modeling_")
    try:
        code = sys.modules.get(name) or import_module(name)
        return "position_embedding_type" not in inspect.getsource(code)
    except (ImportError, OSError, TypeError):
        return False


def check_unexpected(model: nn.Module, keys: Iterable[str], where: object) -> tuple[str, ...]:
    """The checkpoint's weights that this model has no place for, if it can do without.

    A pretrained model brings heads of its own, which a classifier leaves out. Raises `InputError`
    for a weight inside a module that the model has: then it computes something else than the model
    that was saved.

    Parameters
    ----------
    model : the loaded model.
    keys : names of the checkpoint's weights that were not used.
    where : what to call the checkpoint in the message.
    """
    modules = {name for name, _ in model.named_modules() if name}
    body = {"", getattr(model, "base_model_prefix", "")}
    left = []
    for key in sorted(str(key) for key in keys):
        if key.endswith(UNUSED):
            continue
        inside = _deepest(key, modules)
        if ".base_layer." in key or ".lora_" in key:
            raise InputError(
                "this model was saved with an adapter still on it",
                where=where,
                found=key,
                expected="the adapter saved by itself, or the model after merge_and_unload",
            )
        if inside not in body:
            raise InputError(
                f"{type(model).__name__} of this version of transformers has no place for a weight "
                "of the checkpoint: its answers would be others",
                where=where,
                found=key,
                expected="a model whose options this version still has",
            )
        left.append(key)
    return tuple(left)


def check_generator(
    model: Any, info: Mapping[str, Any], where: object, expected: str
) -> tuple[str, ...]:
    """The checkpoint's weights that a model which writes has no place for, if it can do without.

    Parameters
    ----------
    model : just loaded.
    info : its loading info: ``missing_keys``, ``mismatched_keys`` and ``unexpected_keys``.
    where : what to call the checkpoint in the message.
    expected : what it should have been.

    Raises
    ------
    InputError : weights are missing, misshaped, or lie inside modules that have no place for them.
    """
    missing = sorted(str(name) for name in info["missing_keys"] if "lm_head" not in str(name))
    tied = bool(getattr(model.config, "tie_word_embeddings", False))
    if missing or (info["missing_keys"] and not tied):
        raise InputError(
            "the checkpoint lacks weights of a language model",
            where=where,
            found=", ".join(missing[:3] or ["lm_head"]),
            expected=expected,
        )
    for key in info["mismatched_keys"]:
        raise InputError(
            "a weight of the checkpoint has another shape than the model's",
            where=where,
            found=key if isinstance(key, str) else key[0],
        )
    return check_unexpected(model, info["unexpected_keys"], where)


def _deepest(key: str, modules: set[str]) -> str:
    """The innermost module of the model that a weight's name lies in."""
    name = key.rpartition(".")[0]
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


def some_of(names: Collection[str], most: int = 3) -> str:
    """The first names, and how many more there are.

    >>> some_of(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    names = list(names)
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _more(names: Collection[str], words: str) -> str:
    return f"{words} ({some_of(names)})" if names else ""


def _times(shape: Collection[int]) -> str:
    return " x ".join(map(str, shape)) or "a number"

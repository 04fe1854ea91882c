"""Attach adapters: which parts of a pretrained model are trained.

``full`` trains every weight, ``linear`` the head alone (rank 0), every other kind a few new weights
and the head; they are PEFT's. The kinds stand in `fairlora.models.methods`.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from types import MethodType
from typing import Any, Literal

import torch
from torch import nn

from fairlora.errors import InputError
from fairlora.models.adapter_spec import Adapter
from fairlora.models.heads import in_head
from fairlora.models.methods import (
    BASE,
    DROPOUT_FIELDS,
    SEED_FIELDS,
    Method,
    check_keys_and_values,
    config_class,
    field_names,
    first_field,
    is_prompt,
    rank_fields,
)
from fairlora.models.quantization import is_quantized, prepare_quantized
from fairlora.models.source import first_line
from fairlora.models.targets import ia3_targets, norm_targets, resolve_targets

# Prompts that become the model's input vectors; Llama's kind of head then takes the last vector
# for the last token, which is padding in all but the longest text.
INPUT_PROMPTS = ("PROMPT_TUNING", "P_TUNING")


def attach(
    model: Any,
    adapter: Adapter,
    head: Sequence[str],
    *,
    seed: int = 0,
    task: Literal["image", "text", "image-text", "language"] | None = None,
) -> Any:
    """The model with only the adapter's weights and the head trainable.

    Parameters
    ----------
    model : a transformers model with its head in place; changed in place.
    head : names of the head's modules (`Classifier.head`).
    seed : the adapter's initial values come from this generator alone.
    task : what the model classifies, or "language" for one that continues texts. That and
        "image-text" have no head; None is told by the model's main input. Of these alone, ``base``
        trains nothing.

    Raises `InputError` if no module of the model has a target's name (it lists the candidates), if
    PEFT refuses the settings, and for ``full`` on a quantised model.
    """
    headless = task in ("language", "image-text")
    if adapter.kind == BASE or (headless and adapter.trains_head_alone):
        return _untrained(model, adapter, task)
    if adapter.kind == "full":
        if is_quantized(model):
            raise InputError(
                "quantised weights cannot be trained in full",
                where="adapter.kind",
                found="'full'",
                expected="an adapter such as 'lora', or model.quantize left out",
            )
        model.requires_grad_(True)
        return model
    if is_quantized(model):
        model = prepare_quantized(model)
    if adapter.trains_head_alone:
        model.requires_grad_(False)
        for name in head:
            model.get_submodule(name).requires_grad_(True)
        freeze_statistics(model, head)
        return model
    from peft import get_peft_model

    if task is None:
        task = "text" if getattr(model, "main_input_name", "") == "input_ids" else "image"
    settings = peft_settings(model, adapter, head, seed=seed, task=task)
    check_names(model, adapter)
    freeze_statistics(model, head)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            return get_peft_model(model, config_class(adapter.method)(**settings))
        except Exception as error:  # PEFT checks values where it uses them, with any exception
            raise InputError(
                f"PEFT refuses this {adapter.kind} adapter",
                where="adapter",
                found=first_line(error),
            ) from error


def freeze_statistics(model: nn.Module, head: Sequence[str]) -> None:
    """Keep the running means of batch norms outside the head as they were pretrained.

    They would move in training although every weight beside them is frozen, and no adapter's file
    holds them: the model that is loaded again would be another.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not in_head(name, head):
            module.eval()
            # A method, not a closure: a copy of the module gets one of its own.
            module.train = MethodType(_stays, module)  # type: ignore[method-assign]


def _stays(self: nn.Module, mode: bool = True) -> nn.Module:
    return nn.Module.train(self, False)


def check_names(model: nn.Module, adapter: Adapter) -> None:
    """Raise `InputError` for a setting that names a module which the model does not have.

    PEFT ignores what matches nothing: the module would stay untrained without a word. The same of
    patterns that give one module two ranks or scales: which one counts depends on their order, and
    that is not saved.

    Parameters
    ----------
    model : the model that is to get the adapter.
    adapter : its `fields` are looked at.
    """
    names = [name for name, _ in model.named_modules() if name]
    last = sorted({name.rsplit(".", 1)[-1] for name in names if not name[-1].isdigit()})
    for field in ("target_modules", "modules_to_save", "feedforward_modules", "exclude_modules"):
        given = adapter.fields.get(field)
        if not given or given == "all-linear":
            continue
        for wanted in [given] if isinstance(given, str) else given:
            if isinstance(given, str):
                matched = any(_fits(wanted, name) for name in names)
            else:
                matched = any(name == wanted or name.endswith(f".{wanted}") for name in names)
            if not matched:
                close = difflib.get_close_matches(str(wanted).rsplit(".", 1)[-1], last, n=5)
                raise InputError(
                    "no module has this name",
                    where=f"adapter.fields.{field}",
                    found=repr(wanted),
                    expected="some of " + ", ".join(close or last[:20]),
                )
    for field in ("rank_pattern", "alpha_pattern"):
        _check_pattern(names, adapter.fields.get(field) or {}, field)


def _check_pattern(names: Sequence[str], pattern: Mapping[str, Any], field: str) -> None:
    for key in pattern:
        if not any(_fits(rf"(.*\.)?({key})", name) for name in names):
            raise InputError(
                "no module has this name", where=f"adapter.fields.{field}", found=repr(key)
            )
    for name in names:
        keys = [key for key in pattern if _fits(rf"(.*\.)?({key})", name)]
        if len({pattern[key] for key in keys}) > 1:
            raise InputError(
                "two keys fit one module and say different things",
                where=f"adapter.fields.{field}",
                found=f"{' and '.join(keys)} for {name}",
                expected="one key for each module",
            )


def _fits(pattern: str, name: str) -> bool:
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error:
        return False


def _untrained(model: Any, adapter: Adapter, task: str | None) -> Any:
    """The model with nothing to train; `InputError` where that is no method."""
    if task not in ("language", "image-text"):
        raise InputError(
            "a classifier without training has a head drawn by chance",
            where="adapter.kind",
            found=repr(adapter.kind),
            expected="'linear', which trains the head alone",
        )
    if adapter.kind != BASE:
        raise InputError(
            "a model that writes has no new head to train",
            where="adapter",
            found=f"{adapter.kind!r} of rank {adapter.rank}",
            expected="'base', which trains nothing, or a rank above 0",
        )
    model.requires_grad_(False)
    return model


def peft_settings(
    model: Any, adapter: Adapter, head: Sequence[str], *, seed: int, task: str
) -> dict[str, Any]:
    """What PEFT's config of this adapter is made with.

    Parameters
    ----------
    model : the model that is to get the adapter.
    adapter : of a kind that is PEFT's.
    head : names of the head's modules, which are trained and saved whole.
    seed : of the adapter's initial values.
    task : "image", "text", "image-text" or "language".

    Raises
    ------
    InputError : the model cannot take virtual tokens; the kind has no such scale or dropout; no
        module is found to adapt.
    """
    method, names = adapter.method, field_names(adapter.method)
    prompt = is_prompt(method)
    if prompt and task in ("image", "image-text"):
        raise InputError(
            "virtual tokens stand before a text, and this model takes pictures",
            where="adapter.kind",
            found=repr(adapter.kind),
            expected="an adapter of the layers, such as 'lora'",
        )
    if prompt and task == "language":
        raise InputError(
            "virtual tokens are not supported where a language model is trained",
            where="adapter.kind",
            found=repr(adapter.kind),
            expected="an adapter of the layers, such as 'lora'",
        )
    check_keys_and_values(model, method.peft, "adapter.kind")
    if method.peft in INPUT_PROMPTS and "score" in head:
        raise InputError(
            f"{type(model).__name__} finds the last token of a text by its number, and this "
            "adapter gives it vectors",
            where="adapter.kind",
            found=repr(adapter.kind),
            expected="'prefix_tuning', or an encoder such as BERT",
        )
    settings: dict[str, Any] = dict(method.settings)
    for name, factor in rank_fields(method).items():
        settings[name] = max(1, math.ceil(factor * adapter.rank))
    settings.update(_scale_and_dropout(adapter, method))
    for name in SEED_FIELDS:
        if name in names:
            settings[name] = seed % 2**31
    if "target_modules" in names and "target_modules" not in adapter.fields:
        settings.update(_targets(model, adapter, head))
    if "progressbar" in names:
        settings["progressbar"] = False
    settings.update(adapter.fields)
    saved = [*head, *(adapter.fields.get("modules_to_save") or ())]
    settings["modules_to_save"] = list(dict.fromkeys(saved)) or None
    if task in ("text", "language"):
        settings["task_type"] = "SEQ_CLS" if task == "text" else "CAUSAL_LM"
    return settings


def _scale_and_dropout(adapter: Adapter, method: Method) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    alpha = adapter._alpha()
    if alpha is not None and rank_fields(method):
        name, value = alpha
        # PEFT's own defaults are whole numbers, and some configs are compared as text.
        settings[name] = int(value) if float(value).is_integer() else value
    elif adapter.alpha is not None:
        raise InputError(
            "this adapter has no such scale",
            where="adapter.alpha",
            found=f"{adapter.alpha} for {adapter.kind!r}",
            expected="no alpha; its own settings under adapter.fields",
        )
    name_of_dropout = first_field(adapter.kind, method, DROPOUT_FIELDS, "_dropout")
    if name_of_dropout is not None:
        settings[name_of_dropout] = adapter.dropout
    elif adapter.dropout > 0:
        raise InputError(
            "this adapter has no dropout",
            where="adapter.dropout",
            found=f"{adapter.dropout} for {adapter.kind!r}",
            expected="0",
        )
    return settings


def _targets(model: Any, adapter: Adapter, head: Sequence[str]) -> dict[str, list[str]]:
    rule = adapter.method.targets
    if rule == "norms" and adapter.targets is None:
        return {"target_modules": list(norm_targets(model, head))}
    if rule == "ia3":
        if adapter.targets is None:
            every, feedforward = ia3_targets(model, head)
            return {"target_modules": list(every), "feedforward_modules": list(feedforward)}
        return {
            "target_modules": list(resolve_targets(model, adapter.targets, head)),
            "feedforward_modules": [],
        }
    if rule == "norms":
        return {"target_modules": list(adapter.targets or ())}
    return {"target_modules": list(resolve_targets(model, adapter.targets, head))}


def after_step(model: Any, step: int) -> None:
    """Tell an adapter that a training step is done; gradients must still be there.

    AdaLoRA moves its rank budget to the matrices that matter most after every step, by their
    gradients (between ``optimizer.step()`` and ``zero_grad()``); for other kinds this does nothing.
    """
    update = getattr(getattr(model, "base_model", None), "update_and_allocate", None)
    if update is not None:
        update(step)

"""Adapters: what of a pretrained model is trained.

``full`` trains every weight, ``linear`` the head alone (rank 0), every other kind a few new weights
and the head; they are PEFT's. The kinds stand in `fairlora.models.methods`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from fairlora.errors import InputError
from fairlora.models.methods import (
    ALPHA_FIELDS,
    DROPOUT_FIELDS,
    SEED_FIELDS,
    Method,
    check_fields,
    config_class,
    default_alpha,
    field_names,
    first_field,
    is_prompt,
    method_of,
    rank_fields,
)
from fairlora.models.quantization import is_quantized, prepare_quantized
from fairlora.models.source import first_line
from fairlora.models.targets import ia3_targets, norm_targets, resolve_targets

# Prompts that become the model's input vectors; Llama's kind of head then takes the last vector
# for the last token, which is padding in all but the longest text.
INPUT_PROMPTS = ("PROMPT_TUNING", "P_TUNING")


@dataclass(frozen=True)
class Adapter:
    """Which weights are trained.

    Attributes
    ----------
    kind : "full", "linear", "lora", "dora", ... or another method of PEFT by its lower-case name;
        `adapter_kinds` lists them.
    rank : of the low-rank kinds; 0 is the head alone. Kinds without a rank ignore it.
    alpha : LoRA's scale is alpha / rank; None is twice the rank for LoRA's family, PEFT's own ratio
        for others.
    dropout : on the adapter's input.
    targets : last parts of module names to adapt; None is the query and value matrices (IA3: keys,
        values and the MLP's second layer; ln_tuning: the norms).
    fields : further fields of PEFT's config, by name; they have the last word.

    Raises `InputError` for an unknown kind or field and for values that make no adapter.
    """

    kind: str = "lora"
    rank: int = 8
    alpha: float | None = None
    dropout: float = 0.0
    targets: tuple[str, ...] | None = None
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        check_fields(self.kind, self.fields)
        if self.rank < 0:
            raise InputError(
                "negative rank", where="adapter.rank", found=self.rank, expected=">= 0"
            )
        if not 0 <= self.dropout < 1:
            raise InputError(
                "not a share",
                where="adapter.dropout",
                found=self.dropout,
                expected="0 <= share < 1",
            )
        if self.alpha is not None and not (math.isfinite(self.alpha) and self.alpha > 0):
            raise InputError("not a scale", where="adapter.alpha", found=self.alpha, expected="> 0")
        if self.targets is not None and "target_modules" in self.fields:
            raise InputError(
                "given twice",
                where="adapter.targets",
                found="targets and fields.target_modules",
                expected="one of them",
            )

    @property
    def method(self) -> Method:
        """The kind's row in the table of methods."""
        return method_of(self.kind)

    @property
    def trains_head_alone(self) -> bool:
        """Whether nothing but the head is trained: ``linear``, and any rank of 0."""
        if self.kind in ("full", "linear"):
            return self.kind == "linear"
        return self.rank == 0 and bool(rank_fields(self.method))

    def describe(self) -> str:
        """What is trained, as a sentence.

        >>> Adapter("lora", rank=8).describe()
        'Trains LoRA of rank 8, alpha 16, on the query and value matrices, and the head.'
        >>> Adapter("ia3").describe()[-30:]
        'The rank has no meaning there.'
        """
        if self.kind == "full":
            return "Trains every weight, the head's too."
        if self.trains_head_alone:
            return "Trains the head alone."
        ranked = rank_fields(self.method)
        words = self.method.title
        if ranked and not set(ranked) & set(self.fields):
            words += f" of rank {self.rank}"
            alpha = self._alpha()
            words += f", alpha {alpha[1]:g}," if alpha else ""
        if "target_modules" in field_names(self.method) and self.method.targets == "attention":
            named = self.targets or self.fields.get("target_modules")
            if isinstance(named, str):
                named = (named,)
            where = ", ".join(map(str, named)) if named else "the query and value matrices"
            words += f" on {where}"
        comma = "" if words.endswith(",") else ","
        sentence = f"Trains {words}{comma} and the head."
        return sentence if ranked else f"{sentence} The rank has no meaning there."

    def _alpha(self) -> tuple[str, float] | None:
        """The config's field for the scale and its value; None if it has none."""
        name = first_field(self.kind, self.method, ALPHA_FIELDS, "_alpha")
        if name is None or name in self.fields:
            return None
        return name, self.alpha or default_alpha(self.method, name, self.rank)


def attach(
    model: Any,
    adapter: Adapter,
    head: Sequence[str],
    *,
    seed: int = 0,
    task: Literal["image", "text"] | None = None,
) -> Any:
    """The model with only the adapter's weights and the head trainable.

    Parameters
    ----------
    model : a transformers model with its head in place; changed in place.
    head : names of the head's modules (`Classifier.head`).
    seed : the adapter's initial values come from this generator alone.
    task : what the model classifies; None is told by the model's main input.

    Raises `InputError` if no module of the model has a target's name (it lists the candidates), if
    PEFT refuses the settings, and for ``full`` on a quantised model.
    """
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
        return model
    from peft import get_peft_model

    if task is None:
        task = "text" if getattr(model, "main_input_name", "") == "input_ids" else "image"
    settings = peft_settings(model, adapter, head, seed=seed, task=task)
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


def peft_settings(
    model: Any, adapter: Adapter, head: Sequence[str], *, seed: int, task: str
) -> dict[str, Any]:
    """What PEFT's config of this adapter is made with."""
    method, names = adapter.method, field_names(adapter.method)
    prompt = is_prompt(method)
    if prompt and task == "image":
        raise InputError(
            "virtual tokens stand before a text, and this model takes pictures",
            where="adapter.kind",
            found=repr(adapter.kind),
            expected="an adapter of the layers, such as 'lora'",
        )
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
    settings["modules_to_save"] = list(dict.fromkeys(saved))
    if task == "text":
        settings["task_type"] = "SEQ_CLS"
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

"""Settings of an adapter, checked without torch; `adapter_attach` attaches it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fairlora.errors import InputError
from fairlora.models.methods import (
    ALPHA_FIELDS,
    BASE,
    Method,
    check_fields,
    default_alpha,
    field_names,
    first_field,
    method_of,
    rank_fields,
)


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
        if self.targets is not None:
            # From JSON or YAML it comes as a list, which could not be hashed.
            object.__setattr__(self, "targets", tuple(self.targets))
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
        if self.kind == BASE:
            return "Trains nothing: the pretrained model as it is."
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

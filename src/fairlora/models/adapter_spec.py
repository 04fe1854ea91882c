"""Settings of an adapter, checked without torch; `adapter_attach` attaches it."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, model_validator

from fairlora.errors import InputError
from fairlora.models.methods import (
    ALPHA_FIELDS,
    BASE,
    METHODS,
    Method,
    check_fields,
    default_alpha,
    field_names,
    first_field,
    method_of,
    rank_fields,
)
from fairlora.settings import SettingsModel

# Starts that PEFT would leave as plain LoRA's, or that change the base in a way no file tells.
STARTS = {
    "eva": "that PEFT makes of activations of training rows; it would be plain LoRA",
    "lora_ga": "that PEFT makes of gradients of training rows; it would be plain LoRA",
    "corda": "that PEFT makes of activations of training rows",
    "loftq": "that changes the base weights, which an adapter's file does not hold",
    "pissa_niter": "that is drawn by chance and changes the base weights, which no file holds",
}


class Adapter(SettingsModel):
    """Which weights are trained.

    Made in Python, it raises `InputError` for an unknown kind or field too. In a run file these are
    left to `check`, which may need PEFT.
    """

    section: ClassVar[str] = "adapter"

    kind: str = Field(
        default="lora",
        description='"full", "linear", "lora", "dora", ... or another method of PEFT by its '
        "lower-case name; `adapter_kinds` lists them",
    )
    rank: int = Field(
        default=8,
        ge=0,
        description="of the low-rank kinds; 0 is the head alone. Kinds without a rank ignore it",
    )
    alpha: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="LoRA's scale is alpha / rank; default: twice the rank for LoRA's family, "
        "PEFT's own ratio for others",
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="on the adapter's input")
    targets: tuple[str, ...] | None = Field(
        default=None,
        description="last parts of module names to adapt; default: the query and value matrices "
        "(IA3: keys, values and the MLP's second layer; ln_tuning: the norms)",
    )
    fields: dict[str, Any] = Field(
        default_factory=dict,
        description="further fields of PEFT's config, by name; they have the last word",
    )

    def __init__(self, kind: str = "lora", **settings: Any) -> None:
        super().__init__(kind=kind, **settings)
        self.check()

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        # Equal adapters have equal hashes; the mapping of fields has none.
        return hash((self.kind, self.rank, self.alpha, self.dropout, self.targets))

    @model_validator(mode="after")
    def _targets_once(self) -> Adapter:
        if self.targets is not None and "target_modules" in self.fields:
            raise ValueError("targets and fields.target_modules are one setting, given twice")
        return self

    def check(self) -> None:
        """Raise `InputError` for an unknown kind, for a field that the kind does not have, and for
        a start that is not made or cannot be saved."""
        check_fields(self.kind, self.fields)
        start = str(self.fields.get("init_lora_weights", "")).lower()
        reason = next((why for name, why in STARTS.items() if start.startswith(name)), None)
        if reason is not None:
            raise InputError(
                f"a start {reason}",
                where="adapter.fields.init_lora_weights",
                found=repr(self.fields["init_lora_weights"]),
                expected="true, 'gaussian', 'orthogonal', 'olora' or 'pissa'",
            )

    @property
    def method(self) -> Method:
        """The kind's row in the table of methods."""
        return method_of(self.kind)

    @property
    def ranked(self) -> bool:
        """Whether the kind has a rank; one that is in no row of `METHODS` is taken to have one."""
        row = METHODS.get(self.kind)
        ranked = row is None or (row.peft is not None and row.rank_fields != {})
        return ranked and self.kind != BASE

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

"""The table of adapter kinds: what each trains, and what it asks of PEFT.

A kind is a row of `METHODS`; adding an adapter is one row. Any other method that PEFT registers
works without a row, by its lower-case name: rank and scale are found among its config's fields.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import Any, Literal

from fairlora.errors import InputError

TargetRule = Literal["attention", "ia3", "norms"]


@dataclass(frozen=True)
class Method:
    """One kind of adapter.

    Attributes
    ----------
    title : its name as papers write it, with what it trains.
    peft : PEFT's name of it; None for what needs no PEFT.
    settings : fields of PEFT's config that make this kind.
    rank_fields : fields that take the rank, as multiples of it; empty for a kind without a rank,
        None finds them.
    targets : which modules are adapted by default.
    alpha_per_rank : the scale's default as a multiple of the rank; None is PEFT's own.
    """

    title: str
    peft: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    rank_fields: Mapping[str, float] | None = None
    targets: TargetRule = "attention"
    alpha_per_rank: float | None = None


METHODS: dict[str, Method] = {
    "full": Method("every weight"),
    "linear": Method("the head alone"),
    "lora": Method("LoRA", "LORA", alpha_per_rank=2),
    "dora": Method("DoRA", "LORA", {"use_dora": True}, alpha_per_rank=2),
    "rslora": Method("rank-stabilised LoRA", "LORA", {"use_rslora": True}, alpha_per_rank=2),
    "pissa": Method(
        "PiSSA (LoRA from the principal singular vectors)",
        "LORA",
        {"init_lora_weights": "pissa"},
        alpha_per_rank=2,
    ),
    "adalora": Method(
        "AdaLoRA", "ADALORA", rank_fields={"target_r": 1, "init_r": 1.5}, alpha_per_rank=2
    ),
    "ia3": Method("IA3 (a factor for each activation)", "IA3", rank_fields={}, targets="ia3"),
    "ln_tuning": Method("layer norms", "LN_TUNING", rank_fields={}, targets="norms"),
    "vera": Method("VeRA (vectors between shared random matrices)", "VERA"),
    "loha": Method("LoHa (Hadamard products of low ranks)", "LOHA"),
    "lokr": Method("LoKr (Kronecker products of low ranks)", "LOKR"),
    # The r of OFT's config is a number of blocks: more of them train less.
    "oft": Method("OFT (orthogonal rotations in blocks)", "OFT", rank_fields={}),
    "boft": Method("BOFT (butterfly rotations)", "BOFT"),
    "hra": Method("HRA (Householder reflections)", "HRA"),
    "fourierft": Method("FourierFT (coefficients of a spectrum)", "FOURIERFT"),
    "vblora": Method("VB-LoRA (shared vector banks)", "VBLORA"),
    "randlora": Method("RandLoRA (sums of random low ranks)", "RANDLORA"),
    "prefix_tuning": Method(
        "prefix tuning (keys and values before the text)",
        "PREFIX_TUNING",
        {"num_virtual_tokens": 20},
        rank_fields={},
    ),
    "prompt_tuning": Method(
        "prompt tuning (vectors before the text)",
        "PROMPT_TUNING",
        {"num_virtual_tokens": 20},
        rank_fields={},
    ),
    "p_tuning": Method(
        "P-tuning (vectors before the text, from an encoder)",
        "P_TUNING",
        {"num_virtual_tokens": 20},
        rank_fields={},
    ),
}
ADAPTERS = tuple(METHODS)
# Of language models alone: a classifier without training has a head drawn by chance.
BASE = "base"

# PEFT's methods that no classifier of fairlora can be trained with.
EXCLUDED = {
    "ADAPTION_PROMPT": "saves no head with it",
    "TRAINABLE_TOKENS": "saves no head with it",
    "XLORA": "mixes adapters that are trained already",
    "POLY": "needs a task number with every example",
    "MULTITASK_PROMPT_TUNING": "needs a task number with every example",
    "CPT": "is for text generation",
    "SHADOW": "is for text generation",
}
ALPHA_FIELDS = ("lora_alpha", "alpha")
DROPOUT_FIELDS = ("lora_dropout", "module_dropout", "rank_dropout", "encoder_dropout")
SEED_FIELDS = (
    "projection_prng_key",
    "random_loc_seed",
    "random_seed",
    "proj_seed",
    "projection_seed",
    "generator_seed",
)
# Fields that fairlora fills by itself.
OWN_FIELDS = {
    "peft_type",
    "peft_version",
    "task_type",
    "inference_mode",
    "auto_mapping",
    "base_model_name_or_path",
    "revision",
}


def adapter_kinds() -> tuple[str, ...]:
    """Every kind of adapter: the table's, then PEFT's others in alphabetical order."""
    have = {method.peft for method in METHODS.values()}
    others = sorted(name.lower() for name in _registry() if name not in have | set(EXCLUDED))
    return (*METHODS, *others)


def method_of(kind: str) -> Method:
    """The kind's row, made up for a PEFT method that has none.

    Raises `InputError` listing the known kinds.
    """
    if kind in METHODS:
        return METHODS[kind]
    if kind == BASE:
        return Method("nothing: the pretrained model as it is")
    if kind in adapter_kinds():
        return Method(kind.replace("_", " "), kind.upper())
    if kind.upper() in EXCLUDED:
        raise InputError(
            f"this method of PEFT {EXCLUDED[kind.upper()]}", where="adapter.kind", found=repr(kind)
        )
    word = kind.lower().replace("-", "_")
    close = difflib.get_close_matches(word, METHODS, n=1)
    close = close or difflib.get_close_matches(word, adapter_kinds(), n=1)
    guess = f"{close[0]!r}? Known: " if close else "one of "
    raise InputError(
        "unknown adapter",
        where="adapter.kind",
        found=repr(kind),
        expected=guess + ", ".join(adapter_kinds()),
    )


def check_keys_and_values(model: Any, peft_type: str | None, where: str) -> None:
    """Raise `InputError` where PEFT cannot hand a model the keys and values that it has learnt.

    PEFT 0.21 knows them as ``past_key_values``, a name that transformers 5.24 gave up; it would say
    so at the first step.

    Parameters
    ----------
    model : a transformers model without an adapter.
    peft_type : PEFT's name of the method.
    where : the setting or the file that asks for it, for the message.
    """
    if peft_type not in ("PREFIX_TUNING", "CARTRIDGE"):
        return
    # PEFT asks the model, and then the network below its head.
    takers = (model, *model.children())
    if not any("past_key_values" in inspect.signature(m.forward).parameters for m in takers):
        raise InputError(
            f"PEFT {version('peft')} and transformers {version('transformers')} do not understand "
            "each other's keys and values",
            where=where,
            found=repr(peft_type),
            expected="transformers below 5.24, or an adapter of the layers, such as LoRA",
        )


def config_class(method: Method) -> Any:
    """PEFT's config class of a method that is PEFT's."""
    return _registry()[str(method.peft)]


def field_names(method: Method) -> frozenset[str]:
    """Names of the config's fields; empty for a method that is not PEFT's."""
    if method.peft is None:
        return frozenset()
    return frozenset(f.name for f in dataclasses.fields(config_class(method))) - OWN_FIELDS


def check_fields(kind: str, fields: Mapping[str, Any]) -> None:
    """Raise `InputError` for a field that the kind's config does not have."""
    method = method_of(kind)
    if not fields:
        return
    if method.peft is None:
        raise InputError(
            f"the kind {kind!r} has no fields", where="adapter.fields", found=", ".join(fields)
        )
    known = sorted(field_names(method))
    for name in fields:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3)
            raise InputError(
                f"{config_class(method).__name__} has no such field",
                where=f"adapter.fields.{name}",
                expected=" or ".join(repr(word) for word in close) + "?"
                if close
                else "one of " + ", ".join(known),
            )


def rank_fields(method: Method) -> dict[str, float]:
    """The config's fields that take the rank, as multiples of it; empty if it has no rank."""
    if method.rank_fields is not None:
        return dict(method.rank_fields)
    return {"r": 1.0} if "r" in field_names(method) else {}


def first_field(kind: str, method: Method, names: tuple[str, ...], ending: str) -> str | None:
    """The first of `names`, or of the kind's own name with an ending, that the config has.

    Parameters
    ----------
    kind : the adapter's kind.
    method : its row, whose config is looked at.
    names : fields to look for once those of the method's and the kind's own name are not there.
    ending : of those, as in ``_dropout``.
    """
    known = field_names(method)
    own = f"{method.peft or ''}".lower() + ending
    return next((name for name in (own, f"{kind}{ending}", *names) if name in known), None)


def default_alpha(method: Method, name: str, rank: int) -> float:
    """The scale where none is given: a multiple of the rank.

    Parameters
    ----------
    method : the adapter's row; the multiple is its own, else that of PEFT's defaults.
    name : the config's field of the scale.
    rank : the adapter's rank.
    """
    if method.alpha_per_rank is not None:
        return method.alpha_per_rank * rank
    defaults = {f.name: f.default for f in dataclasses.fields(config_class(method))}
    own, own_rank = defaults.get(name), defaults.get("r")
    ratio = own / own_rank if isinstance(own, int | float) and isinstance(own_rank, int) else 1.0
    return ratio * rank


def is_prompt(method: Method) -> bool:
    """Whether the method adds virtual tokens before a text, and leaves the layers as they are."""
    from peft import PromptLearningConfig

    return method.peft is not None and issubclass(config_class(method), PromptLearningConfig)


@cache
def _registry() -> dict[str, Any]:
    """PEFT's methods: name in capitals -> config class."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    return {kind.value: config for kind, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()}

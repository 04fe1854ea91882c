"""The settings of a study: the file that `fairlora study` reads, as pydantic models.

A study is a grid. Data sets x models x methods (x ranks, x strengths, x whatever `vary` names) are
its arms; every arm runs once a seed. A run's own settings have the keys of `fairlora train`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from fairlora.metrics.settings import AuditSettings
from fairlora.models.adapter_spec import Adapter
from fairlora.settings import SettingsModel
from fairlora.study.spec.engine import EngineSpec
from fairlora.study.spec.privacy import PrivacySpec
from fairlora.study.spec.run import (
    DataSpec,
    Deploy,
    LastLayerSpec,
    ModelSpec,
    ObjectiveSpec,
    ProbeName,
    apply_overrides,
    read_yaml,
)
from fairlora.study.spec.search import SearchSpec
from fairlora.study.spec.shift import ShiftSpec

MOST_SEEDS = 10_000
# Names that people know, for an adapter with an objective.
NAMED_METHODS: dict[str, dict[str, Any]] = {
    "fairlora": {"adapter": {"kind": "lora"}, "objective": {"name": "loss-variance"}},
    "fair-full": {"adapter": {"kind": "full"}, "objective": {"name": "loss-variance"}},
}


def _model(value: Any) -> Any:
    return {"id": value} if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    """One thing stands for a list of one."""
    return [value] if isinstance(value, str | Mapping) else value


class StudyModelSpec(ModelSpec):
    """A model of the study; `label` is what the report calls it."""

    label: str | None = None


class StudyDataSpec(DataSpec):
    """A data set of the study; `label` is what the report calls it, `audit` is over the study's."""

    label: str | None = None
    audit: dict[str, Any] = Field(default_factory=dict)


class MethodSpec(SettingsModel):
    """A way of fine-tuning: an adapter and an objective, and settings of its own.

    A string is the name of an adapter ("lora", "full", "linear", "dora", ...), or "fairlora" or
    "fair-full" (the loss-variance objective). An adapter that takes a rank and names none takes the
    study's `ranks`; a method that names no objective takes the study's `strengths` (0 is plain
    training), and one whose objective is loss-variance or loss-gap without a strength those above
    0.

    `label` replaces the name in reports; `training`, `data` and `dp` are over the study's. A method
    whose `dp` names no epsilon takes the study's `epsilons`.
    """

    label: str | None = None
    adapter: Adapter = Adapter()
    objective: ObjectiveSpec | None = None
    training: dict[str, Any] = Field(default_factory=dict)
    data: dict[str, Any] = Field(default_factory=dict)
    dp: dict[str, Any] = Field(default_factory=dict)
    last_layer: LastLayerSpec | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, str):
            return NAMED_METHODS.get(value.lower(), {"adapter": {"kind": value}})
        if not isinstance(value, Mapping):
            return value
        out = dict(value)
        if isinstance(out.get("adapter"), str):
            out["adapter"] = {"kind": out["adapter"]}
        if isinstance(out.get("objective"), str):
            out["objective"] = {"name": out["objective"]}
        return out


class CompareSpec(SettingsModel):
    """Which methods are compared: pairs of their names, the first against the second.

    None: every adapter against full fine-tuning with the same objective, and every objective
    against plain training with the same adapter.
    """

    pairs: tuple[tuple[str, str], ...] | None = None
    bootstrap: int = Field(default=2000, ge=200)


class ReportSpec(SettingsModel):
    """What the report shows; None is everything that the study's axes allow.

    See `fairlora.study.report.figures.FIGURES` for the names; `probes` are those of language
    models.
    """

    figures: tuple[str, ...] | None = None
    probes: tuple[str, ...] | None = None
    formats: tuple[Literal["png", "svg", "pdf"], ...] = ("png", "svg", "pdf")
    attribute: str | None = None
    question: str | None = None


# None is without privacy; in a file, "none".
Epsilon = Annotated[
    Annotated[float, Field(gt=0, allow_inf_nan=False)] | None,
    BeforeValidator(lambda value: None if value == "none" else value),
]
Models = Annotated[tuple[Annotated[StudyModelSpec, BeforeValidator(_model)], ...], Field()]


class StudySpec(SettingsModel):
    """One study file.

    Attributes
    ----------
    name : the study's folder below the output folder.
    data, models : one, or a list.
    epsilons : how private each method is trained, "none" without privacy; smaller is more private.
    dp : what differential privacy shares but for its epsilon (delta, clip, ...): `RunSpec.dp`.
    vary : further axes: key path of a run -> values, or name of a value -> value.
    seeds : a list, or how many (0, 1, ...).
    training, objective, audit : what every run shares; a method may have its own.
    deploy : what every trained classifier is shipped as, beside the run as it was trained: folded
        in ("float32", "bfloat16", "nf4") or as ONNX ("onnx", "onnx-int8", "onnx-int8-static").
    privacy : membership inference on every method, with its shadow models.
    shift : distances of the data sets' pictures from others, in the models' features.
    probes : what every run's language model is asked once it is trained.
    margins : metric -> differences below it count as none.
    reuse : other studies beside this one whose finished cells are used where they lie.
    train : false for a study that is planned and counted, and runs nothing.
    smoke : overrides of the smoke form, as nested keys of this file.
    """

    name: str = "study"
    title: str = ""
    lead: str = ""
    notes: tuple[str, ...] = ()
    data: Annotated[tuple[StudyDataSpec, ...], BeforeValidator(_listed)] = (StudyDataSpec(),)
    models: Annotated[Models, BeforeValidator(_listed)] = (StudyModelSpec(),)
    methods: Annotated[tuple[MethodSpec, ...], BeforeValidator(_listed)] = (MethodSpec(),)
    ranks: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    strengths: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...] | None = None
    epsilons: tuple[Epsilon, ...] | None = None
    dp: dict[str, Any] = Field(default_factory=dict)
    vary: dict[str, dict[str, Any]] = Field(default_factory=dict)
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = (0, 1, 2)
    training: dict[str, Any] = Field(default_factory=dict)
    objective: dict[str, Any] = Field(default_factory=dict)
    audit: AuditSettings = AuditSettings()
    deploy: Annotated[tuple[Deploy, ...], BeforeValidator(_listed)] = ()
    search: SearchSpec | None = None
    probes: dict[ProbeName, dict[str, Any]] = Field(default_factory=dict)
    privacy: PrivacySpec | None = None
    shift: ShiftSpec | None = None
    margins: dict[str, Annotated[float, Field(gt=0, lt=1)]] = Field(default_factory=dict)
    compare: CompareSpec = CompareSpec()
    report: ReportSpec = ReportSpec()
    engine: EngineSpec = EngineSpec()
    reuse: tuple[str, ...] = ()
    train: bool = True
    smoke: dict[str, Any] = Field(default_factory=dict)

    @field_validator("seeds", mode="before")
    @classmethod
    def _count(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            if not 1 <= value <= MOST_SEEDS:
                raise ValueError(f"a study has at least one seed and at most {MOST_SEEDS:,}")
            return tuple(range(value))
        if isinstance(value, list | tuple) and len(value) > MOST_SEEDS:
            raise ValueError(f"a study has at least one seed and at most {MOST_SEEDS:,}")
        return value

    @field_validator("vary", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {
            key: {str(v): v for v in values} if isinstance(values, list) else values
            for key, values in value.items()
        }

    @field_validator("data", "models", "methods", "seeds")
    @classmethod
    def _some(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if not value:
            raise ValueError("an empty list: nothing would run")
        return value

    @field_validator("seeds", "ranks", "strengths", "epsilons", "deploy")
    @classmethod
    def _once(cls, value: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        if value is not None and len(set(value)) < len(value):
            raise ValueError("a value stands twice")
        return value

    @model_validator(mode="after")
    def _ships(self) -> StudySpec:
        if self.deploy and (self.search is not None or not self.train):
            raise ValueError(
                "deploy is of runs that are trained as the file says: a study that searches, or "
                "trains nothing, has none"
            )
        return self

    @field_validator("name", "reuse")
    @classmethod
    def _folder(cls, value: Any) -> Any:
        # The name is a folder's: it must not lead anywhere else.
        for name in (value,) if isinstance(value, str) else value:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
                raise ValueError("a study's name is letters, digits, dots, dashes, underscores")
        return value


def read_study(path: Path, overrides: Sequence[str] = (), *, smoke: bool = False) -> StudySpec:
    """Read a study file.

    Parameters
    ----------
    path : the file, in YAML.
    overrides : ``key.path=value`` each, with the value in YAML.
    smoke : lay the file's own `smoke` section over the rest, before the overrides.

    Raises `InputError` that names the file, the key's path, and what was expected.
    """
    content = read_yaml(path)
    if smoke:
        content = merged(content, content.get("smoke") or {})
    return parse_study(apply_overrides(content, overrides), where=str(path))


def parse_study(content: Mapping[str, Any], *, where: str = "study") -> StudySpec:
    """A `StudySpec` from plain values."""
    return StudySpec.parse(content, where)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings, the second laid over the first; lists and values are replaced whole.

    >>> merged({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 3}, "d": [2]})
    {'a': {'b': 3, 'c': 2}, 'd': [2]}
    """
    out = dict(below)
    for key, value in above.items():
        inner = out.get(key)
        if isinstance(value, Mapping) and isinstance(inner, Mapping):
            out[key] = merged(inner, value)
        else:
            out[key] = value
    return out


def study_schema() -> dict[str, Any]:
    """The JSON schema of a study file, for editors."""
    schema = StudySpec.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "fairlora study"
    return schema

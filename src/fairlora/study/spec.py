"""What one run is: the file that `fairlora train` reads, as pydantic models.

Room `study`. The spec on disk is the API: a run's folder holds it as ``spec.yaml``.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fairlora.errors import InputError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SplitSpec(_Strict):
    """Shares of all rows; "fixed" keeps the test rows the same for every seed."""

    validation: float = Field(default=0.08, gt=0, lt=1)
    test: float = Field(default=0.20, gt=0, lt=1)
    mode: Literal["fixed", "papers"] = "fixed"


class DataSpec(BaseModel):
    """The data set by name; its own options (``path``, ``target``, ...) stand beside."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = "people-emoji"
    split: SplitSpec = SplitSpec()
    scarcity: dict[str, dict[str, float]] = Field(default_factory=dict)
    train_rows: int | None = Field(default=None, ge=1)

    @property
    def options(self) -> dict[str, Any]:
        """The data set's own options."""
        return dict(self.model_extra or {})


class ModelSpec(_Strict):
    """A pretrained model: hub id, folder, or "embedded"."""

    id: str = "embedded"
    image_size: int | None = Field(default=None, ge=1)


class AdapterSpec(_Strict):
    """Which weights are trained; see `fairlora.models.Adapter`."""

    kind: Literal["full", "lora", "linear"] = "lora"
    rank: int = Field(default=8, ge=0)
    alpha: float | None = Field(default=None, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] | None = None


class ObjectiveSpec(_Strict):
    """What is minimised. `groups` is "label" (the classes) or a group column."""

    name: Literal["erm", "loss-variance"] = "erm"
    strength: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    reduction: Literal["sum", "mean"] = "sum"
    groups: str = "label"

    @property
    def fair(self) -> bool:
        """Whether groups enter the loss at all: strength 0 is plain training."""
        return self.name != "erm" and self.strength > 0


class TrainingSpec(_Strict):
    """How it is trained. `arguments` goes to Hugging Face's TrainingArguments as it is."""

    epochs: float = Field(default=4, gt=0, allow_inf_nan=False)
    max_steps: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=32, ge=1)
    gradient_accumulation: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=3e-4, gt=0, allow_inf_nan=False)
    weight_decay: float = Field(default=0.001, ge=0, allow_inf_nan=False)
    schedule: str = "cosine"
    warmup: float = Field(default=0.01, ge=0, lt=1)
    flip: bool = True
    bf16: bool = False
    select: Literal["accuracy", "loss", "accuracy_worst", "last"] = "accuracy"
    workers: int = Field(default=0, ge=0)
    report_to: tuple[str, ...] = ()
    resume: Literal["beginning", "checkpoint"] = "beginning"
    arguments: dict[str, Any] = Field(default_factory=dict)


class AuditSpec(_Strict):
    """How the test predictions are audited."""

    positive: str | None = None
    bins: int = Field(default=15, ge=1)
    min_group: int = Field(default=10, ge=0)


class RunSpec(_Strict):
    """One fine-tuning run."""

    name: str = "run"
    data: DataSpec = DataSpec()
    model: ModelSpec = ModelSpec()
    adapter: AdapterSpec = AdapterSpec()
    objective: ObjectiveSpec = ObjectiveSpec()
    training: TrainingSpec = TrainingSpec()
    audit: AuditSpec = AuditSpec()
    seed: int = Field(default=0, ge=0)

    @property
    def method(self) -> str:
        """The method's name as people say it: LoRA, FairLoRA, full, fair full, linear."""
        fair = self.objective.fair
        if self.adapter.kind == "full":
            return "fair full" if fair else "full"
        if self.adapter.kind == "linear" or self.adapter.rank == 0:
            return "fair linear" if fair else "linear"
        return "FairLoRA" if fair else "LoRA"

    def to_yaml(self) -> str:
        """The spec as a file that `read_spec` reads back."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def read_spec(path: Path, overrides: Sequence[str] = ()) -> RunSpec:
    """Read a run file; `overrides` are ``key.path=value`` with the value in YAML.

    Raises `InputError` that names the file and the key at fault.
    """
    return parse_spec(read_yaml(path), overrides, where=str(path))


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping from a file; `InputError` if it is missing or is not one."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("cannot read this file", where=path, found=type(error).__name__) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise InputError("not valid YAML", where=f"{path}{line}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(
            "not a mapping", where=path, found=type(content).__name__, expected="key: value lines"
        )
    return content


def parse_spec(
    content: Mapping[str, Any], overrides: Sequence[str] = (), *, where: str = "settings"
) -> RunSpec:
    """A `RunSpec` from plain values, with overrides applied."""
    values = apply_overrides(content, overrides)
    try:
        return RunSpec.model_validate(values)
    except ValidationError as error:
        raise _first_error(error, where) from None


def apply_overrides(content: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of `content` with ``key.path=value`` strings applied.

    >>> apply_overrides({"a": {"b": 1}}, ["a.b=2", "a.c=[x, y]"])
    {'a': {'b': 2, 'c': ['x', 'y']}}
    """
    values: dict[str, Any] = yaml.safe_load(yaml.safe_dump(dict(content)))
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise InputError(
                "not an override", where="--set", found=repr(override), expected="key.path=value"
            )
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = text
        if isinstance(value, str):
            # YAML reads 3e-4 as a word, for want of a point.
            with contextlib.suppress(ValueError):
                value = float(value) if value.lower().count("e") == 1 else value
        *parents, last = key.strip().split(".")
        place = values
        for parent in parents:
            inner = place.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise InputError("not a section", where=f"--set {key}", found=repr(parent))
            place = inner
        place[last] = value
    return values


def _first_error(error: ValidationError, where: str) -> InputError:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join(path)
    if first["type"] == "extra_forbidden":
        known = _known_keys(path[:-1])
        close = difflib.get_close_matches(path[-1], known, n=1)
        expected = f"{close[0]!r}?" if close else "one of " + ", ".join(known)
        return InputError("unknown key", where=f"{where}: {key}", expected=expected)
    message = first["msg"].removeprefix("Value error, ")
    return InputError(message, where=f"{where}: {key}", found=repr(first["input"])[:80])


def _known_keys(path: Sequence[str]) -> list[str]:
    model: Any = RunSpec
    for part in path:
        field = model.model_fields.get(part)
        if field is None or not hasattr(field.annotation, "model_fields"):
            return []
        model = field.annotation
    return list(model.model_fields)

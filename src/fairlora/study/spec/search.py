"""The ``search`` section of a study file, as pydantic models."""

from __future__ import annotations

import difflib
import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    field_serializer,
    field_validator,
    model_validator,
)

from fairlora.errors import InputError
from fairlora.settings import SettingsModel
from fairlora.study.spec.run import RunSpec

# YAML reads 3e-4 as a word, for want of a point.
_EXPONENT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d+")
# Keys of a run that are no settings: where a search may not look.
_NOT_SEARCHED = {
    "name": "a run's name changes nothing",
    "seed": "the seeds of the trials are run_seeds",
}


class RangeSpec(SettingsModel):
    """Numbers from `low` to `high`, both included; `int: true` for whole ones.

    `log` draws by order of magnitude; `step` keeps to multiples of it above `low`.
    """

    low: Annotated[float, Field(allow_inf_nan=False)]
    high: Annotated[float, Field(allow_inf_nan=False)]
    log: bool = False
    step: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    whole: bool = Field(default=False, validation_alias=AliasChoices("int", "whole"))

    @model_validator(mode="after")
    def _sound(self) -> RangeSpec:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low:g}) must be below high ({self.high:g})")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range begins above 0, not at {self.low:g}")
        if self.log and self.step is not None:
            raise ValueError("a range has log or step, not both")
        if self.whole and not all(x == int(x) for x in (self.low, self.high, self.step or 1)):
            raise ValueError("a range of whole numbers has whole low, high and step")
        return self

    @property
    def spacing(self) -> float | None:
        """From one number to the next; None where every number between the ends may come."""
        return 1.0 if self.whole and self.step is None else self.step

    @property
    def count(self) -> int | None:
        """How many numbers there are; None where they cannot be counted."""
        step = self.spacing
        return None if step is None else math.floor((self.high - self.low) / step + 1e-9) + 1

    def number(self, place: int) -> float:
        """The number at a place, where they can be counted."""
        return self.rounded(self.low + place * (self.spacing or 0))

    def probes(self) -> list[float]:
        """Some of its numbers, for a look at whether a key can have them."""
        if self.count is not None:
            return [self.number(0), self.number(self.count - 1)]
        # One that is not round: a key may take whole numbers alone.
        return [self.low, self.high, self.low + (self.high - self.low) / math.pi]

    def rounded(self, number: float) -> float:
        """A number of the range without the crumbs that adding up steps leaves."""
        if self.whole:
            return round(number)
        return number if self.step is None else float(f"{number:.12g}")


def _number(value: Any) -> Any:
    if isinstance(value, str) and _EXPONENT.fullmatch(value):
        return float(value)
    return value


def _space(value: Any) -> Any:
    """A list of choices, or a range; anything else in one line that says which."""
    if isinstance(value, RangeSpec) or value is None:
        return value
    if isinstance(value, Mapping):
        return RangeSpec.parse(value)
    if not isinstance(value, list | tuple):
        raise ValueError("neither a list of choices nor a range such as {low: 1, high: 8}")
    if not value:
        raise ValueError("an empty list of choices")
    choices = tuple(_number(choice) for choice in value)
    try:
        words = [flat_choice(choice) for choice in choices]
    except (TypeError, ValueError):
        raise ValueError("choices are numbers, words, true, false, null, lists or keys") from None
    for k, word in enumerate(words):
        if word in words[:k]:
            raise ValueError(f"the choice {word} stands twice")
    return choices


def flat_choice(choice: Any) -> str | float | None:
    """A choice as a word or a number: what is neither becomes JSON.

    Raises `TypeError` or `ValueError` for what JSON does not have.
    """
    flat = choice is None or isinstance(choice, str | int | float)
    if isinstance(choice, bool) or not flat or choice != choice:
        return json.dumps(choice, sort_keys=True, allow_nan=False)
    return choice  # type: ignore[no-any-return]


def _key(path: str) -> str:
    """Raise `ValueError` for what is no key path of a run."""
    if path in _NOT_SEARCHED:
        raise ValueError(f"nothing to search: {_NOT_SEARCHED[path]}")
    model: Any = RunSpec
    parts = path.split(".")
    for k, part in enumerate(parts):
        field = model.model_fields.get(part)
        if field is None:
            if model.model_config.get("extra") == "allow":
                return path  # an option of the data set, which knows its own
            known = [".".join([*parts[:k], name]) for name in model.model_fields]
            close = difflib.get_close_matches(".".join(parts[: k + 1]), known, n=1)
            raise ValueError("unknown key" + (f"; {close[0]!r}?" if close else ""))
        kinds = (field.annotation, *get_args(field.annotation))
        section = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
        if section is None:
            free = getattr(field.annotation, "__origin__", None) is dict
            if k + 1 < len(parts) and not free:
                raise ValueError(f"{'.'.join(parts[: k + 1])} has no keys of its own")
            return path
        model = section
    return path


def _objective(value: Any) -> Any:
    return {"metric": value} if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str | Mapping) else value


Choices = tuple[Any, ...]
Space = Annotated[Choices | RangeSpec, BeforeValidator(_space)]
Key = Annotated[str, AfterValidator(_key)]


class SearchObjective(SettingsModel):
    """What a trial is judged by, on validation rows: a metric, or a disparity of an `attribute`.

    `attribute` may cross several, as "race&sex".
    """

    metric: str = "accuracy"
    attribute: str | None = None

    @model_validator(mode="after")
    def _known(self) -> SearchObjective:
        overall, disparities = metric_names()
        known = overall if self.attribute is None else disparities
        if self.metric in known:
            return self
        if self.attribute is None and self.metric in disparities:
            raise ValueError(f"{self.metric} is of groups: name their attribute")
        if self.metric in overall:
            raise ValueError(f"{self.metric} is of all rows: it takes no attribute")
        raise ValueError(f"unknown metric {self.metric!r}; one of " + ", ".join(known))

    @property
    def direction(self) -> int:
        """+1 where more is better, -1 where less is."""
        from fairlora.metrics.comparison.values import BETTER

        return BETTER[self.metric]

    @property
    def name(self) -> str:
        """As people say it: "accuracy", "eod of race"."""
        return self.metric if self.attribute is None else f"{self.metric} of {self.attribute}"


def metric_names() -> tuple[list[str], list[str]]:
    """Metrics of all rows, and disparities of an attribute, that a search can go by."""
    from fairlora.metrics.comparison.values import BETTER
    from fairlora.metrics.labels import DISPARITY, OVERALL

    return [name for name in OVERALL if name in BETTER], [n for n in DISPARITY if n in BETTER]


class MethodSearch(SettingsModel):
    """What a method searches otherwise: keys that replace the shared ones; null drops one."""

    space: dict[Key, Space | None] = Field(default_factory=dict)


class SearchSpec(SettingsModel):
    """How settings are chosen, on validation rows.

    Attributes
    ----------
    sampler : "grid" tries every combination of the choices, in the order of the file; "tpe"
        (Optuna's tree-structured Parzen estimator) and "random" try `trials` of them.
    space : key path of a run -> a list of choices, or a range.
    trials : how many settings "tpe" and "random" try; fewer where there are no more.
    batch : how many trials "tpe" asks for together, which is what can run in parallel. The others
        learn nothing from results and ask for all at once.
    objectives : what trials are judged by, the first first.
    per : axes of the study that have a search of their own; what differs in the others shares one.
    methods : method -> what it searches otherwise.
    seed : of the sampler.
    run_seeds : seeds of the trials' runs; an objective is its mean over them. None: see
        `seeds_for`.
    choose : of several objectives: "first" takes the best by the first, "knee" the point of the
        Pareto front nearest to the ideal one, "front" every point of the front.
    storage : Optuna's, a URL; None is a file ``search.db`` in the study's folder.
    """

    sampler: Literal["grid", "tpe", "random"] = "grid"
    space: dict[Key, Space] = Field(default_factory=dict)
    trials: int = Field(default=20, ge=1)
    batch: int = Field(default=1, ge=1)
    objectives: Annotated[
        tuple[Annotated[SearchObjective, BeforeValidator(_objective)], ...],
        BeforeValidator(_listed),
    ] = (SearchObjective(),)
    per: tuple[str, ...] = ("data", "model", "method")
    methods: dict[str, MethodSearch] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0)
    run_seeds: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    choose: Literal["first", "knee", "front"] = "first"
    storage: str | None = None

    @field_validator("objectives", "run_seeds")
    @classmethod
    def _some(cls, value: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        if value is not None and not value:
            raise ValueError("an empty list")
        if value is not None and len(set(value)) < len(value):
            raise ValueError("one of them stands twice")
        return value

    @model_validator(mode="after")
    def _sound(self) -> SearchSpec:
        spaces: dict[str, Mapping[str, Any]] = {"space": self.space}
        spaces |= {f"methods.{name}.space": own.space for name, own in self.methods.items()}
        for where, space in spaces.items():
            for key, values in space.items():
                if self.sampler == "grid" and isinstance(values, RangeSpec):
                    raise ValueError(
                        f"{where}.{key}: a grid takes lists of choices; a range needs "
                        "sampler tpe or random"
                    )
                above = [other for other in space if key.startswith(f"{other}.")]
                if above:
                    raise ValueError(f"{where}: {key} is part of {above[0]}, searched too")
        return self

    @field_serializer("storage")
    def _without_password(self, storage: str | None) -> str | None:
        # The study's own record repeats this section.
        return None if storage is None else re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", storage)

    def for_method(self, *names: str) -> SearchSpec:
        """The search of one method: its own keys over the shared ones.

        `names` are what the search may call it, the most special first: where the section has
        several of them, the keys of the first win.
        """
        space: dict[str, Any] = dict(self.space)
        for wanted in reversed(names):
            for name, method in self.methods.items():
                if name.casefold() == wanted.casefold():
                    space.update(method.space)
        kept = {key: values for key, values in space.items() if values is not None}
        content = {name: getattr(self, name) for name in type(self).model_fields}
        return SearchSpec.parse({**content, "space": kept, "methods": {}}, "search")

    def check_methods(self, names: Iterable[str]) -> None:
        """Raise `InputError` for a search of a method that the study does not have."""
        known = list(dict.fromkeys(names))
        for name in self.methods:
            if name.casefold() not in {k.casefold() for k in known}:
                raise InputError(
                    "no such method", where=f"search.methods.{name}", expected=", ".join(known)
                )

    def seeds_for(self, seeds: Sequence[int], mode: Literal["fixed", "papers"]) -> tuple[int, ...]:
        """The trials' seeds in a study of these seeds.

        By default its first; where the test rows change with the seed, one after its last, so that
        settings are never chosen on rows that are reported.
        """
        if self.run_seeds is not None:
            return self.run_seeds
        return (max(seeds) + 1,) if mode == "papers" else (seeds[0],)

    @property
    def size(self) -> int | None:
        """How many settings there are; None where they cannot be counted."""
        sizes = [len(v) if isinstance(v, tuple) else v.count for v in self.space.values()]
        return None if None in sizes else math.prod(s for s in sizes if s is not None)

    def settings(self) -> Iterator[dict[str, Any]]:
        """Every combination, in the order of the file; the last key changes fastest.

        Raises `ValueError` where they cannot be counted.
        """
        if self.size is None:
            raise ValueError("a range without steps has no end of numbers")
        axes = [
            v if isinstance(v, tuple) else [v.number(k) for k in range(v.count or 0)]
            for v in self.space.values()
        ]
        return (dict(zip(self.space, point, strict=True)) for point in itertools.product(*axes))


def parse_search(content: Mapping[str, Any], *, where: str = "search") -> SearchSpec:
    """A `SearchSpec` from plain values; `InputError` in one line for what is none."""
    return SearchSpec.parse(content, where)

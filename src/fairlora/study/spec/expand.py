"""Expand a study file into arms: one `RunSpec` for every point of the grid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fairlora.errors import InputError, require_known
from fairlora.models.adapter_spec import Adapter
from fairlora.study.spec.run import PENALISED, Deploy, ObjectiveSpec, RunSpec
from fairlora.study.spec.study import MethodSpec, StudySpec, merged

# Coordinates whose values need no name before them.
SAID_ALONE = ("data", "model", "method", "deploy")


@dataclass(frozen=True)
class Arm:
    """A point of the grid: runs that differ in their seed alone.

    Attributes
    ----------
    data, model, method : what the report calls them.
    rank : None where the adapter has none (0 is the head alone).
    strength : of the penalty of loss-variance or loss-gap; 0 is plain training, None another
        objective.
    varied : the values of the study's further axes, by key path.
    spec : the run of the first seed.
    deploy : what the trained run is shipped as; None is as it was trained.
    epsilon : of differential privacy, infinite without; None where no arm of the study has it.
    """

    data: str
    model: str
    method: str
    rank: int | None
    strength: float | None
    varied: Mapping[str, str] = field(hash=False)
    spec: RunSpec = field(hash=False)
    deploy: str | None = None
    epsilon: float | None = None

    @property
    def place(self) -> dict[str, str]:
        """The coordinates as words, for tables; what has no value here is left out."""
        words = {"data": self.data, "model": self.model, "method": self.method}
        if self.rank is not None:
            words["rank"] = str(self.rank)
        if self.strength is not None:
            words["strength"] = f"{self.strength:g}"
        if self.deploy is not None:
            words["deploy"] = self.deploy
        if self.epsilon is not None:
            words["epsilon"] = "none" if math.isinf(self.epsilon) else f"{self.epsilon:g}"
        return {**words, **self.varied}

    @property
    def name(self) -> str:
        """All of the coordinates, as one line."""
        return ", ".join(
            v if k in SAID_ALONE else f"{k.rsplit('.', 1)[-1]} {v}" for k, v in self.place.items()
        )

    def at(self, seed: int) -> RunSpec:
        """The run of one seed."""
        return self.spec.model_copy(update={"seed": seed})

    def shipped(self, form: Deploy) -> Arm:
        """What the arm's runs are shipped as."""
        return replace(self, deploy=form, spec=self.spec.model_copy(update={"deploy": form}))

    def with_settings(self, settings: Mapping[str, Any]) -> Arm:
        """The arm with other settings (key path of a run -> value), as a search chose them."""
        return replace(self, spec=with_values(self.spec, settings, "search.space"))


def with_values(spec: RunSpec, values: Mapping[str, Any], where: str) -> RunSpec:
    """A run with keys set by their path.

    Parameters
    ----------
    spec : the run to start from, which stays as it is.
    values : key path (``training.learning_rate``) -> value.
    where : which part of the study they come from, for errors.

    Raises `InputError` naming the key at fault.
    """
    if not values:
        return spec
    content = spec.model_dump(mode="json")
    for path, value in values.items():
        *parents, last = path.split(".")
        section = content
        for parent in parents:
            if not isinstance(section.get(parent), dict):
                section[parent] = {}
            section = section[parent]
        section[last] = value
    return parse(content, where)


def parse(content: Mapping[str, Any], where: str) -> RunSpec:
    """A `RunSpec` from plain values; `where` says which part of the study they come from."""
    return RunSpec.parse(content, where)


def expand(study: StudySpec) -> list[Arm]:
    """Every arm, in the order of the file: data, then models, then methods, ranks, strengths,
    epsilons.

    An arm that two methods lead to (``linear``, and LoRA of rank 0) stands once.

    Raises `InputError` for settings that make no run, for axes that no method has, and for a pair
    to compare of a method that there is not.
    """
    variants = [(m, *v) for m in study.methods for v in _variants(study, m)]
    _check_axes(study, [spec for _, spec, _, _ in variants])
    private_study = any(private is not None for *_, private in variants) or "dp" in study.vary
    models = _labels([(m.label, m.id.rstrip("/").rsplit("/", 1)[-1]) for m in study.models])
    datasets = _labels([(d.label, _data_word(d)) for d in study.data])
    attacked = {} if study.privacy is None else {"predict_train": "all"}
    arms: list[Arm] = []
    seen: set[tuple[str, str, str]] = set()
    for (d, data_name), (m, model_name) in itertools.product(
        enumerate(datasets), enumerate(models)
    ):
        data = study.data[d].model_dump(mode="json", exclude={"label", "audit"})
        model = study.models[m].model_dump(mode="json", exclude={"label"})
        for method, adapter, objective, private in variants:
            content = {
                "name": study.name,
                "data": merged(data, method.data),
                "model": model,
                "adapter": adapter.model_dump(mode="json"),
                "objective": objective.model_dump(mode="json"),
                "training": merged(merged(study.training, method.training), attacked),
                "dp": private,
                "last_layer": method.last_layer and method.last_layer.model_dump(mode="json"),
                "audit": merged(study.audit.model_dump(mode="json"), study.data[d].audit),
                "queries": study.privacy.queries if study.privacy is not None else (),
                "probes": study.probes,
                "seed": study.seeds[0],
            }
            spec = parse(content, "study")
            for varied, settings in _varied(study):
                run = with_values(spec, settings, "vary")
                key = (data_name, model_name, run.model_dump_json())
                if key in seen:
                    continue
                seen.add(key)
                arm = Arm(
                    data_name,
                    model_name,
                    method.label or run.method,
                    _rank(adapter),
                    _strength(objective),
                    varied,
                    run,
                    epsilon=_epsilon(run) if private_study else None,
                )
                arms += [arm, *map(arm.shipped, study.deploy)]
    _check_names(arms)
    known = sorted({arm.method for arm in arms})
    for names in study.compare.pairs or ():
        require_known(names, known, "method", "compare.pairs")
        if not compared_arms(arms, *names):
            raise InputError(
                "no arm of the first goes with one of the second",
                where="compare.pairs",
                found=" and ".join(names),
                expected="a rank and a strength that both are run at",
            )
    return arms


def compared_arms(arms: Sequence[Arm], first: str, second: str) -> list[tuple[Arm, Arm]]:
    """The arms of two methods that go together: at one rank, strength and epsilon, where both are
    swept.

    A method with a rank, a strength or an epsilon of its own is meant with it.

    Parameters
    ----------
    arms : of a study.
    first, second : the methods' names.
    """
    trained = [arm for arm in arms if arm.deploy is None]
    of = [[arm for arm in trained if arm.method == name] for name in (first, second)]
    own_rank = all(len({arm.rank for arm in each}) == 1 for each in of)
    own_strength = all(len({arm.strength for arm in each}) == 1 for each in of)
    own_epsilon = all(len({arm.epsilon for arm in each}) == 1 for each in of)
    return [
        (a, b)
        for a in of[0]
        for b in of[1]
        if (own_rank or _alike(a.rank, b.rank))
        and (own_strength or _alike(a.strength, b.strength))
        and (own_epsilon or a.epsilon == b.epsilon)
    ]


def _alike(first: float | None, second: float | None) -> bool:
    """Whether two coordinates go together: equal, or one of them has no value to speak of."""
    return first == second or not first or not second


def _check_names(arms: Sequence[Arm]) -> None:
    names = [arm.name for arm in arms]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                "two methods of one name",
                where="methods",
                found=name,
                expected="a label for each, to tell them apart",
            )


def _variants(
    study: StudySpec, method: MethodSpec
) -> Iterator[tuple[Adapter, ObjectiveSpec, dict[str, Any] | None]]:
    """A method's adapters (one a rank) with its objectives (one a strength) and its ``dp`` (one an
    epsilon)."""
    adapters = [method.adapter]
    ranked = method.adapter.ranked and "rank" not in method.adapter.model_fields_set
    if study.ranks is not None and ranked:
        adapters = [method.adapter.model_copy(update={"rank": r}) for r in study.ranks]
    for adapter, objective, private in itertools.product(
        adapters, _objectives(study, method), _privacies(study, method)
    ):
        if adapter.rank == 0 and adapter.ranked:
            # The head alone is the same run whatever the adapter would have been.
            yield Adapter(kind="linear"), objective, private
        else:
            yield adapter, objective, private


def _privacies(study: StudySpec, method: MethodSpec) -> list[dict[str, Any] | None]:
    """A method's ``dp``, one an epsilon; None is without privacy."""
    shared = {**study.dp, **method.dp}
    if "epsilon" in method.dp or (study.epsilons is None and shared):
        return [None if shared.get("epsilon", 0) in (None, "none") else shared]
    if study.epsilons is None:
        return [None]
    return [None if e is None else {**shared, "epsilon": e} for e in study.epsilons]


def _epsilon(spec: RunSpec) -> float:
    return math.inf if spec.dp is None else spec.dp.epsilon


def _objectives(study: StudySpec, method: MethodSpec) -> list[ObjectiveSpec]:
    shared = study.objective
    strengths = study.strengths
    own = method.objective
    if own is None:
        if strengths is None:
            return [_objective({"name": "erm", **shared})]
        return [_of_strength(strength, shared) for strength in strengths]
    given = {**shared, **own.model_dump(include=own.model_fields_set)}
    if own.penalised and strengths and "strength" not in own.model_fields_set:
        return [_of_strength(strength, given) for strength in strengths if strength > 0]
    return [_objective(given)]


def _of_strength(strength: float, shared: Mapping[str, Any]) -> ObjectiveSpec:
    if strength == 0:
        return _objective({**shared, "name": "erm"})
    named = shared.get("name")
    name = named if named in PENALISED else "loss-variance"
    return _objective({**shared, "name": name, "strength": strength})


def _objective(content: Mapping[str, Any]) -> ObjectiveSpec:
    content = dict(content)
    if content["name"] == "erm":
        # Plain training has no settings: with them, two equal runs would count as different.
        content = {"name": "erm"}
    elif content["name"] not in PENALISED:
        content.pop("strength", None)
    return ObjectiveSpec.parse(content, "objective")


def _strength(objective: ObjectiveSpec) -> float | None:
    if not objective.fair:
        return 0.0
    return objective.strength if objective.penalised else None


def _rank(adapter: Adapter) -> int | None:
    if adapter.kind == "linear":
        return 0
    return adapter.rank if adapter.ranked else None


def _varied(study: StudySpec) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Points of the study's further axes: their names, and the settings that they stand for."""
    axes = [[(key, name, value) for name, value in v.items()] for key, v in study.vary.items()]
    for point in itertools.product(*axes):
        yield {k: name for k, name, _ in point}, {k: value for k, _, value in point}


def _check_axes(study: StudySpec, adapters: Sequence[Adapter]) -> None:
    if study.ranks is not None and all(
        not a.ranked or "rank" in a.model_fields_set for a in (m.adapter for m in study.methods)
    ):
        raise InputError(
            "no method takes the study's ranks",
            where="ranks",
            found=", ".join(sorted({a.kind for a in adapters})),
            expected="a method such as lora that names no rank of its own",
        )
    for key, values in study.vary.items():
        if not values:
            raise InputError("an axis without values", where=f"vary.{key}")


def _data_word(data: Any) -> str:
    target = data.options.get("target")
    return f"{data.name}, {target}" if target else data.name


def _labels(named: Sequence[tuple[str | None, str]]) -> list[str]:
    """What each is called: its label, or its own word; words that repeat are numbered."""
    words = [label or word for label, word in named]
    return [
        word if words.count(word) == 1 else f"{word} ({words[: k + 1].count(word)})"
        for k, word in enumerate(words)
    ]

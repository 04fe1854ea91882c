"""Choose settings of an arm on validation rows: by a grid, at random, or by Optuna's TPE.

A trial is settings, run once a seed; its cells are cells like any other. The test rows are never
looked at. A search that was killed goes on where it was, and ends where it would have ended.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from fairlora.errors import InputError, require_known
from fairlora.metrics.settings import AuditSettings
from fairlora.predictions import Predictions, read_predictions
from fairlora.study.report.pareto import knee, pareto_front
from fairlora.study.runs.folder import RunFolder, result_settings, take_out
from fairlora.study.runs.trials import Trial, opened
from fairlora.study.spec.expand import with_values
from fairlora.study.spec.run import RunSpec
from fairlora.study.spec.search import RangeSpec, SearchObjective, SearchSpec

Run = Callable[[Sequence[RunSpec]], Sequence[RunFolder | None]]
_WHERE = "search.space"


@dataclass(frozen=True)
class SearchResult:
    """What a search of one arm found.

    Attributes
    ----------
    objectives : what trials were judged by.
    trials : all of them, in the order in which they were asked.
    front : numbers of the trials on the Pareto front; with one objective, of the best.
    best : numbers of the chosen trials: one, or the front; none where no trial finished.
    """

    arm: str
    objectives: tuple[SearchObjective, ...]
    trials: tuple[Trial, ...]
    front: tuple[int, ...]
    best: tuple[int, ...]

    @property
    def chosen(self) -> list[dict[str, Any]]:
        """The settings chosen: one, or those of the front. Nothing to search chooses nothing."""
        if not self.trials:
            return [{}]
        return [self.trials[number].params for number in self.best]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the study's record and its report."""
        return {
            "arm": self.arm,
            "objectives": [
                {**o.model_dump(), "name": o.name, "direction": o.direction}
                for o in self.objectives
            ],
            "trials": [asdict(trial) for trial in self.trials],
            "front": list(self.front),
            "best": list(self.best),
            "chosen": self.chosen,
        }


def search_arm(
    arm_name: str,
    base: RunSpec,
    spec: SearchSpec,
    run: Run,
    storage_folder: Path,
    *,
    inputs: str = "",
) -> SearchResult:
    """Try settings of an arm, and choose.

    Parameters
    ----------
    arm_name : its name in the record; another one in a study for every arm with its own search.
    base : the arm's run; trials change the keys of the search's space. Its seed is the trials',
        unless ``spec.run_seeds`` names others.
    spec : the search, of this arm's method (`SearchSpec.for_method`).
    run : runs what is missing of these runs, and returns the folder of each, None where one failed.
        What it raises stops the search, which goes on from there when it is called again.
    storage_folder : where the record lies, unless ``spec.storage`` says otherwise.
    inputs : fingerprints of the data and weights: trials of others are not compared.

    A failed run fails its trial, and the search goes on. A trial that failed stays failed, but
    where all of them did nothing was learned, and the next call begins anew. A search that is done
    asks nothing and runs nothing; a grid, which has no record, asks `run` for all of its runs.

    Raises `InputError` for settings that make no run, and for a record of another search (see
    `fairlora.study.runs.trials.opened`).
    """
    if not spec.space:
        return _result(arm_name, spec, [])
    _check_space(base, spec)
    measure = _Measure(base, spec, run)
    if spec.sampler == "grid":
        return _result(arm_name, spec, measure(dict(enumerate(spec.settings()))))
    return _result(arm_name, spec, _recorded(arm_name, spec, measure, storage_folder, inputs))


def _recorded(
    arm: str, spec: SearchSpec, measure: _Measure, folder: Path, inputs: str
) -> list[Trial]:
    """All trials of a search that has a record, once they are done."""
    planned = spec.trials if spec.size is None else min(spec.trials, spec.size)
    # Results are nothing to a random sampler: all can run together.
    batch = spec.batch if spec.sampler == "tpe" else planned
    settings = _settings(measure.base, spec, inputs)
    with opened(arm, spec.model_copy(update={"batch": batch}), folder, settings) as record:
        known = record.trials()
        if len(known) >= planned and all(trial.state == "failed" for trial in known):
            record.restart(settings)
        while True:
            known = record.trials()
            unknown = [trial.number for trial in known if trial.state == "open"]
            if not unknown and len(known) >= planned:
                return known
            # A batch that was asked in part is asked whole before anything of it is told.
            first = min(unknown, default=len(known))
            for number in range(len(known), min(first - first % batch + batch, planned)):
                record.ask(number)
            waiting = {t.number: t.params for t in record.trials() if t.state == "open"}
            for trial in measure(waiting):
                record.tell(trial.number, trial.state, trial.values, trial.runs)


def validation_value(
    source: RunFolder | Predictions, objective: SearchObjective, audit: AuditSettings | None = None
) -> float | None:
    """A metric of the validation rows of a run, or of predictions; None where it is undefined.

    Parameters
    ----------
    source : a finished run's folder, or predictions.
    objective : the metric, and the attribute if it is a disparity.
    audit : which class is positive, how many bins and how large a group; None is a run's own, or
        the default for predictions.

    Raises `InputError` for an attribute that the predictions do not have, and where there are no
    validation rows.
    """
    from fairlora.metrics import audit_predictions

    if isinstance(source, RunFolder):
        audit = audit or source.spec().audit
        source = read_predictions(source.predictions)
    audit = audit or AuditSettings()
    rows = source.select("validation")
    attribute = objective.attribute
    crossed: tuple[str, ...] = ()
    if attribute is not None and attribute not in rows.groups:
        crossed = tuple(attribute.split("&"))
    wanted = crossed or (() if attribute is None else (attribute,))
    require_known(wanted, rows.groups, "group column", "search.objectives.attribute")
    # Nothing but what is asked for: an audit of every attribute takes its time.
    rows = replace(rows, groups={name: rows.groups[name] for name in wanted})
    content = audit_predictions(
        rows,
        bootstrap=0,
        intersect=(crossed,) if crossed else (),
        **audit.model_dump(exclude={"suggests"}),
    ).to_dict()
    numbers = content["overall"] if attribute is None else content["disparities"][attribute]
    value = numbers.get(objective.metric, {}).get("value")
    return None if value is None else float(value)


class _Task(NamedTuple):
    """Settings to try, and their runs."""

    number: int
    params: dict[str, Any]
    runs: list[RunSpec]


class _Measure:
    """Runs trials, and reads their objectives."""

    def __init__(self, base: RunSpec, spec: SearchSpec, run: Run) -> None:
        self.base, self.spec, self.run = base, spec, run
        self.seeds = spec.run_seeds or (base.seed,)

    def __call__(self, asked: Mapping[int, dict[str, Any]]) -> list[Trial]:
        """One trial for each number -> settings."""
        tasks = []
        for number, params in asked.items():
            arm = with_values(self.base, params, _WHERE)
            runs = [arm.model_copy(update={"seed": seed}) for seed in self.seeds]
            tasks.append(_Task(number, params, runs))
        specs = {run.model_dump_json(): run for task in tasks for run in task.runs}
        folders = dict(zip(specs, self.run(list(specs.values())), strict=True))
        return [
            self._trial(task, [folders[run.model_dump_json()] for run in task.runs])
            for task in tasks
        ]

    def _trial(self, task: _Task, folders: Sequence[RunFolder | None]) -> Trial:
        there = [folder for folder in folders if folder is not None]
        runs = tuple(folder.path.name for folder in there)
        if len(there) < len(folders):
            return Trial(task.number, task.params, "failed", None, runs)
        tables = [read_predictions(folder.predictions) for folder in there]
        values = []
        for objective in self.spec.objectives:
            seeds = [validation_value(table, objective, task.runs[0].audit) for table in tables]
            known = [value for value in seeds if value is not None]
            if len(known) < len(seeds):
                return Trial(task.number, task.params, "undefined", None, runs)
            values.append(sum(known) / len(known))
        return Trial(task.number, task.params, "finished", tuple(values), runs)


def _check_space(base: RunSpec, spec: SearchSpec) -> None:
    """Raise `InputError` for a choice that its key cannot have, before anything runs."""
    if spec.sampler == "grid":
        for params in spec.settings():
            with_values(base, params, _WHERE)
        return
    for key, values in spec.space.items():
        for value in values.probes() if isinstance(values, RangeSpec) else values:
            try:
                with_values(base, {key: value}, _WHERE)
            except InputError as error:
                # What is wrong with it beside the base may be right beside other choices.
                if str(error).startswith(f"{_WHERE}: {key}"):
                    raise


def _settings(base: RunSpec, spec: SearchSpec, inputs: str) -> dict[str, str]:
    """Hashes of what the trials of one search have in common."""
    run = result_settings(base.model_copy(update={"seed": 0}))
    for key in spec.space:
        take_out(run, key)  # every trial has its own
    content = spec.model_dump(mode="json")
    parts: dict[str, Any] = {
        "run settings": run,
        "data or weights": inputs or base.model.id,
        "run seeds": spec.run_seeds or (base.seed,),
        "space": content["space"],
        "objectives": content["objectives"],
        "sampler": [spec.sampler, spec.seed],
    }
    return {
        name: hashlib.blake2b(json.dumps(part, sort_keys=True).encode(), digest_size=8).hexdigest()
        for name, part in parts.items()
    }


def _result(arm: str, spec: SearchSpec, trials: Sequence[Trial]) -> SearchResult:
    directions = [objective.direction for objective in spec.objectives]
    nothing = (float("nan"),) * len(directions)
    values = [nothing if trial.values is None else trial.values for trial in trials]
    front = tuple(pareto_front(values, directions))
    if spec.choose == "front":
        best: tuple[int, ...] = front
    elif spec.choose == "knee":
        point = knee(values, directions)
        best = () if point is None else (point,)
    else:
        # The front of the first objective alone: the best by it, the first of equals.
        best = tuple(pareto_front([v[:1] for v in values], directions[:1]))
    return SearchResult(arm, spec.objectives, tuple(trials), front, best)

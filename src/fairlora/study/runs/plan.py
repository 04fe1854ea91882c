"""Plan a study before it does anything: cells, parameters, power, time and disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fairlora.errors import InputError
from fairlora.study.engines.devices import threads_each
from fairlora.study.runs.cells import Cell, CellMaker
from fairlora.study.runs.cost import Estimator, disk_bytes, row_counts
from fairlora.study.runs.precision import needs_measuring, settled, shape_of
from fairlora.study.runs.prepare import Prepared
from fairlora.study.runs.runner import finished_searches, read_record
from fairlora.study.runs.shadow_models import attacked_runs, check_attacks
from fairlora.study.runs.sizes import Question, Size, Sizing
from fairlora.study.runs.stale import left_over
from fairlora.study.runs.status import state_of
from fairlora.study.runs.tuning import count_trials
from fairlora.study.spec.expand import Arm, expand
from fairlora.study.spec.run import ObjectiveSpec, RunSpec
from fairlora.study.spec.study import StudySpec


@dataclass
class PlanRow:
    """Cells of one data set, model, method and rank.

    Attributes
    ----------
    cells, done, failed : how many there are, are finished, have failed.
    trainable, total, percent : parameters, or None where the model's config is not at hand.
    seconds : what the cells that are not done may take, one after another; None where unknown.
    measured : whether that comes from finished cells of the kind, and not from arithmetic.
    bytes : on disk, of all of its cells.
    """

    data: str
    model: str
    method: str
    rank: int | None
    cells: int = 0
    done: int = 0
    failed: int = 0
    trainable: int | None = None
    total: int | None = None
    percent: float | None = None
    seconds: float | None = 0.0
    measured: bool = True
    bytes: int = 0


@dataclass
class StudyPlan:
    """A plan: rows as printed, and what they add up to."""

    name: str
    folder: str
    rows: list[PlanRow]
    trials: int
    searches: int
    seeds: int
    slots: int
    power: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def cells(self) -> int:
        return sum(row.cells for row in self.rows)

    @property
    def done(self) -> int:
        return sum(row.done for row in self.rows)

    @property
    def bytes(self) -> int:
        return sum(row.bytes for row in self.rows)

    @property
    def seconds(self) -> float | None:
        """Time left on `slots` cells at a time, the search included; None where unknown."""
        parts = [row.seconds for row in self.rows]
        if any(part is None for part in parts):
            return None
        left = sum(part or 0.0 for part in parts)
        todo = self.cells - self.done
        # A trial takes what a cell of the study takes: the search's space may say otherwise.
        if self.trials and todo:
            left += left / todo * self.trials
        return left / self.slots

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain values."""
        return {
            **asdict(self),
            "cells": self.cells,
            "done": self.done,
            "seconds": self.seconds,
            "bytes": self.bytes,
        }


def plan_study(
    study: StudySpec, root: Path, *, slots: int = 1, sizing: Sizing | None = None
) -> StudyPlan:
    """Plan a study whose folder is `root`. Nothing is trained or written.

    Parameters
    ----------
    slots : how many cells run at a time.
    sizing : counts parameters, for which it loads torch; None does without.

    Raises `InputError` for anything wrong with the study, its data or its models.
    """
    arms = expand(study)
    precision = settled(root)
    if precision is None and sizing is not None and study.train and needs_measuring(root):
        shapes = [shape_of(arm.spec) for arm in arms]
        precision = sizing.precision(shapes, threads_each(slots))
    maker = CellMaker(root, [root.parent / name for name in study.reuse], precision=precision)
    tuned = finished_searches(study, arms, root, maker)
    searching = study.train and tuned is None
    if tuned is not None:
        arms = tuned.arms
    grouped: dict[tuple[Any, ...], list[tuple[Arm, Cell]]] = {}
    for arm in arms:
        for seed in study.seeds:
            key = (arm.data, arm.model, arm.method, arm.rank)
            cell = maker.cell(arm.at(seed))
            check_attacks(study, cell)
            grouped.setdefault(key, []).append((arm, cell))
    _add_shadows(study, arms, maker, grouped)
    estimator = Estimator(threads_each(slots), None if sizing is None else sizing.flops)
    counter = _Counter(sizing)
    broken: list[str] = []
    states = _states(maker, grouped, estimator, broken)
    rows = []
    for (data, model, method, rank), cells in grouped.items():
        row = PlanRow(data, model, method, rank)
        if study.train:
            for _, cell in cells:
                _add(row, cell, counter, estimator, states)
        else:
            _count(row, cells[0][1], counter)
        # A study of distances alone is not about parameters.
        if study.train or study.shift is None:
            rows.append(row)
    trials, searches = count_trials(study, arms) if searching else (0, 0)
    known = {cell.name for cells in grouped.values() for _, cell in cells}
    record = read_record(root)
    notes = [
        *_baselines(study),
        *counter.notes,
        *_private(study, arms),
        *(f"{why}; the next run sets it aside, and makes it again" for why in broken),
        *left_over(root, record, maker.all_inputs(arms), known),
    ]
    if not study.train:
        notes.append(
            "nothing is trained (train is false): the report is made from the data and the models."
        )
    elif precision is not None:
        advice = precision.advice(arm.spec for arm in arms)
        notes.append(advice or precision.line())
    if searching:
        notes.append(
            f"{trials} runs of {searches} searches come first, and choose the settings of the "
            "others; which of these cells are done is not known before."
        )
    return StudyPlan(
        study.name,
        str(root),
        rows,
        trials,
        searches,
        len(study.seeds),
        slots,
        _power(study, arms, maker) if study.train else [],
        notes,
    )


def _baselines(study: StudySpec) -> list[str]:
    """A note where no method is trained plainly, because `strengths` has no 0."""
    every = [method for method in study.methods if method.objective is None]
    strengths = study.strengths
    if not strengths or 0 in strengths or not every:
        return []
    plain = {"objective": ObjectiveSpec(name="erm")}
    names = [RunSpec(adapter=m.adapter, **plain).method for m in every]  # type: ignore[arg-type]
    listed = ", ".join(dict.fromkeys(m.label or n for m, n in zip(every, names, strict=True)))
    return [
        f"no baseline of {listed}: a method that names no objective takes the study's strengths "
        f"({', '.join(f'{s:g}' for s in strengths)}); with 0 among them it is trained plainly too"
    ]


def _private(study: StudySpec, arms: Sequence[Arm]) -> list[str]:
    """Notes of what private runs do otherwise than plain ones beside them."""
    private = [arm.spec.dp is not None for arm in arms]
    notes = []
    if any(private) and study.engine.stack > 1:
        notes.append("runs with differential privacy are not stacked: each is trained alone")
    unlike = any(arm.spec.dp is None and arm.spec.training.precision != "float32" for arm in arms)
    if any(private) and unlike:
        notes.append(
            "runs with differential privacy compute in float32; 'training: {precision: float32}' "
            "has those without compute alike"
        )
    return notes


def _add_shadows(
    study: StudySpec,
    arms: Sequence[Arm],
    maker: CellMaker,
    grouped: dict[tuple[Any, ...], list[tuple[Arm, Cell]]],
) -> None:
    """Rows of shadow models, below the methods; those that several arms share are counted once."""
    seen: set[str] = set()
    for attacked in attacked_runs(study, arms):
        arm = attacked.arm
        for spec in attacked.extra:
            cell = maker.cell(spec)
            if cell.identity not in seen:
                seen.add(cell.identity)
                key = (arm.data, arm.model, f"shadows: {spec.method}", arm.rank)
                grouped.setdefault(key, []).append((arm, cell))


def _states(
    maker: CellMaker,
    grouped: Mapping[Any, Sequence[tuple[Arm, Cell]]],
    estimator: Estimator,
    broken: list[str],
) -> dict[str, str]:
    """The state of every cell on disk; the estimator learns from a few finished ones of a kind.

    Parameters
    ----------
    maker, grouped : of the cells.
    estimator : learns.
    broken : takes why cells are not whole.
    """
    states: dict[str, str] = {}
    for cells in grouped.values():
        learnt = 0
        for _, cell in cells:
            if not cell.folder.path.exists():
                continue
            found = state_of(cell.folder, cell.identity)
            states[cell.identity] = state = found.state
            if state == "broken" and found.reason not in broken:
                broken.append(found.reason)
            if state == "done" and learnt < 3:
                estimator.learn(cell.spec, cell.folder)
                learnt += 1
    return states


def _count(row: PlanRow, cell: Cell, counter: _Counter) -> Size | None:
    size = counter.of(cell.spec, cell.prepared)
    if size is not None:
        row.trainable, row.total, row.percent = size.trainable, size.total, size.percent
    return size


def _add(
    row: PlanRow,
    cell: Cell,
    counter: _Counter,
    estimator: Estimator,
    states: Mapping[str, str],
) -> None:
    state = states.get(cell.identity, "waiting")
    row.cells += 1
    row.done += state == "done"
    row.failed += state in ("failed", "broken")
    prepared = cell.prepared
    rows = counter.rows(prepared)
    size = _count(row, cell, counter)
    kept = row.trainable if cell.spec.deploy is None else 0  # what is shipped is not kept
    row.bytes += disk_bytes(rows, len(prepared.examples.classes), kept)
    if state == "done":
        return
    encoder = None if size is None else size.encoder
    tokens = None if size is None else size.tokens
    seconds, measured = estimator.seconds(cell.spec, rows, encoder, tokens)
    row.measured = row.measured and measured
    row.seconds = None if seconds is None or row.seconds is None else row.seconds + seconds


class _Counter:
    """Parameters and rows, once for all cells that share them."""

    def __init__(self, sizing: Sizing | None) -> None:
        self.notes: dict[str, None] = {}
        self._sizing = sizing
        self._sizes: dict[Any, Size | None] = {}
        self._rows: dict[int, dict[str, int]] = {}

    def rows(self, prepared: Prepared) -> dict[str, int]:
        key = id(prepared)
        if key not in self._rows:
            self._rows[key] = row_counts(prepared.examples)
        return self._rows[key]

    def of(self, spec: RunSpec, prepared: Prepared) -> Size | None:
        """How large the run's model and adapter are, or None where that cannot be known."""
        if self._sizing is None:
            return None
        key = (id(prepared), spec.model, repr(spec.adapter))
        if key not in self._sizes:
            examples = prepared.examples
            question = Question(
                spec.model.id,
                spec.adapter.model_dump_json(),
                "language" if examples.language else spec.model.kind_of(examples.kind),
                len(examples.classes),
                spec.model.image_size,
            )
            try:
                self._sizes[key] = self._sizing.count(question)
            except InputError as error:
                self._sizes[key] = None
                self.notes.setdefault(f"parameters are not counted: {error}")
        return self._sizes[key]


def _power(study: StudySpec, arms: Sequence[Arm], maker: CellMaker) -> list[dict[str, Any]]:
    """What each data set's test split can resolve, before anything runs."""
    import numpy as np

    from fairlora.metrics.comparison.power import power_of_study

    out, seen = [], set()
    for arm in arms:
        examples = maker.cell(arm.spec).prepared.examples
        if arm.data in seen or examples.split is None or examples.language:
            continue
        seen.add(arm.data)
        test = examples.take(examples.split == "test")
        sizes = {
            name: {group: int(n) for group, n in zip(column.names, _sizes(column), strict=True)}
            for name, column in test.groups.items()
        }
        rows = power_of_study(int(np.sum(examples.split == "test")), sizes, len(study.seeds))
        out += [{"data": arm.data, **row} for row in rows]
    return out


def _sizes(column: Any) -> Any:
    import numpy as np

    patterns = column.patterns()
    if patterns is None:
        return np.bincount(column.codes, minlength=len(column.names))
    return patterns[column.codes].sum(axis=0)

"""Run a study: its search, then every arm over all seeds; only what is missing is run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlora.errors import InputError, WorkError, require_packages
from fairlora.io import read_content, write_text
from fairlora.study.engines.base import Engine
from fairlora.study.engines.jobs import Report
from fairlora.study.runs.cells import Cell, CellMaker
from fairlora.study.runs.content import StudyRecord
from fairlora.study.runs.folder import FolderBusy, RunFolder, dump_json
from fairlora.study.runs.seal import BrokenRun
from fairlora.study.runs.shadow_models import Attacked, attacked_runs, check_attacks
from fairlora.study.runs.stale import left_over
from fairlora.study.runs.tuning import Tuned, chosen_arms, forget_searches, tune
from fairlora.study.spec.expand import Arm, expand
from fairlora.study.spec.run import RunSpec
from fairlora.study.spec.study import StudySpec

RECORD = "study.json"
# Where cells go that are not whole, below a study's folder.
ASIDE = "set-aside"
_WHOLE = "the file as it was written; removed, it is made again by the next 'fairlora study run'"
# How long to wait before asking again for a cell that another process holds.
BUSY_SECONDS = 3.0
Watch = Callable[[Sequence[Cell]], None]


@dataclass
class Outcome:
    """What a study's run did.

    `done` has every finished cell of the study and of its searches, by identity: whether it was run
    just now. `reasons` are those of failed cells by name, and of searches that found nothing;
    `stopped` are cells whose process or machine went away; `notes` say which cells were set aside,
    and what else lies in the folder from before (`left_over`); `attacked` are the cells that
    attacks read.
    """

    arms: list[Arm]
    cells: dict[str, list[Cell]]
    done: dict[str, bool] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    searches: dict[str, dict[str, Any]] = field(default_factory=dict)
    attacked: list[Attacked[Cell]] = field(default_factory=list)

    @property
    def ran(self) -> int:
        return sum(self.done.values())

    @property
    def kept(self) -> int:
        return len(self.done) - self.ran

    @property
    def failed(self) -> int:
        return len(self.reasons)


class StudyRunner:
    """Runs a study's cells on an engine.

    Parameters
    ----------
    root : the study's folder; its cells lie in it.
    engine : where cells run.
    watch : told the cells that are about to run, before each batch.
    ended : told each report as it comes.
    search_again : forget what the searches found, but not their runs: failed trials are tried anew.
    """

    def __init__(
        self,
        study: StudySpec,
        root: Path,
        engine: Engine,
        *,
        watch: Watch | None = None,
        ended: Callable[[Report], None] | None = None,
        search_again: bool = False,
    ) -> None:
        self.search_again = search_again
        self.study, self.root, self.engine = study, root, engine
        self.maker = CellMaker(root, [root.parent / name for name in study.reuse])
        self.watch, self.ended = watch, ended
        self._outcome = Outcome([], {})

    def run(self) -> Outcome:
        """Search, then run. A failing cell stops no other.

        Raises `InputError` for anything wrong with the study, before a cell runs.
        """
        arms = self.check()
        self._make_root()
        out = self._outcome
        before = read_record(self.root)
        if self.search_again and self.study.search is not None:
            forget_searches(self.study, arms, self.root)
            tuned = None
        else:
            # Where nothing can have changed, the trials need not even be looked at.
            tuned = finished_searches(self.study, arms, self.root, self.maker)
        if tuned is None:
            tuned = tune(self.study, arms, self._run_trials, self.root, self._inputs)
        arms = out.arms = tuned.arms
        out.searches = tuned.searches
        out.reasons.update({f"search {name}": why for name, why in tuned.failed.items()})
        # Seed by seed, so that every arm has a result early.
        specs = [arm.at(seed) for seed in self.study.seeds for arm in arms]
        # The runs themselves first: their shadow models are many.
        attacked_specs = attacked_runs(self.study, arms)
        self.run_specs([*specs, *(spec for attack in attacked_specs for spec in attack.extra)])
        out.attacked = [attack.map(self.maker.cell) for attack in attacked_specs]
        for arm in arms:
            out.cells[arm.name] = [self.maker.cell(arm.at(s)) for s in self.study.seeds]
        inputs = self.maker.all_inputs(out.arms)
        known = {cell.name for cells in out.cells.values() for cell in cells}
        known |= {cell.name for attack in out.attacked for cell in attack.runs}
        out.notes += [f"{why}; the cell is run in this study" for why in self.maker.broken.values()]
        out.notes += left_over(self.root, before, inputs, known)
        write_record(self.root, self.study, out, inputs)
        return out

    def check(self) -> list[Arm]:
        """The study's arms. Raises `InputError` for anything wrong with the study or its data."""
        arms = expand(self.study)
        for arm in arms:
            check_attacks(self.study, self.maker.cell(arm.spec))
        for attacked in attacked_runs(self.study, arms):
            for spec in attacked.extra[:1]:  # the loss alone needs no further run
                self.maker.cell(spec)
        return arms

    def _run_trials(self, specs: Sequence[RunSpec]) -> list[RunFolder | None]:
        """Run a search's trials. Raises `WorkError` if some were stopped: they have no result yet,
        and a search that took them for failures would choose without them for good."""
        folders = self.run_specs(specs)
        if self._outcome.stopped:
            raise WorkError(
                f"{len(self._outcome.stopped)} trials of the search were stopped; run the same "
                "command again to go on"
            )
        return folders

    def run_specs(self, specs: Sequence[RunSpec]) -> list[RunFolder | None]:
        """Run what is missing of these runs; their folders, None where a run failed."""
        shipped = [spec for spec in specs if spec.deploy is not None]
        if shipped and len(shipped) < len(specs):
            # What is shipped is trained before.
            self.run_specs([spec for spec in specs if spec.deploy is None])
        out = self._outcome
        cells = [self.maker.cell(spec) for spec in specs]
        # A cell that failed in this very run is not tried again by a later batch.
        missing: dict[str, Cell] = {}
        for cell in cells:
            if cell.name in out.reasons:
                continue
            try:
                finished = cell.folder.whole(cell.identity) is not None
            except BrokenRun as error:
                finished = False
                try:
                    out.notes.append(f"{error}; {set_aside(cell.folder)}, and run again")
                except FolderBusy:
                    pass  # another process has seen to it
                except (InputError, OSError) as second:
                    out.reasons[cell.name] = f"{error}; cannot be set aside: {second}"
                    continue
            if finished:
                out.done.setdefault(cell.identity, False)
            else:
                missing[cell.identity] = cell
        waiting = list(missing.values())
        if waiting:
            # Here, or every single cell would fail for it.
            require_packages("torch", "transformers", "peft", "accelerate", "sklearn")
            if self.study.deploy:
                from fairlora.study.export.deployed import check_packages

                for form in self.study.deploy:
                    check_packages(form)
        while waiting:
            if self.watch is not None:
                self.watch(waiting)
            reports = self.engine.run([c.job() for c in waiting], self.ended or (lambda _: None))
            busy = []
            for cell, report in zip(waiting, reports, strict=True):
                if report.state == "busy":
                    busy.append(cell)
                elif report.done:
                    out.done[cell.identity] = report.state == "finished"
                else:
                    out.reasons[cell.name] = report.reason or report.state
                    if report.state in ("preempted", "lost"):
                        out.stopped.add(cell.name)
            waiting = busy
            if waiting:
                # Another process has them: wait for it, and take over what it leaves.
                time.sleep(BUSY_SECONDS)
        return [c.folder if c.identity in out.done else None for c in cells]

    def _inputs(self, arm: Arm) -> str:
        return self.maker.inputs(arm.spec)

    def _make_root(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                "cannot write here", where=self.root, found=error.strerror or type(error).__name__
            ) from error


def grouped_reasons(reasons: Mapping[str, str]) -> list[tuple[list[str], str]]:
    """Why cells failed: the cells of each reason, with the reason, the most frequent first.

    >>> grouped_reasons({"a": "no room", "b": "a/b: cut", "c": "no room"})
    [(['a', 'c'], 'no room'), (['b'], 'a/...: cut')]
    """
    groups: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        # Its own name is no part of why a cell failed.
        groups.setdefault(reason.replace(name, "..."), []).append(name)
    pairs = [(names, reason) for reason, names in groups.items()]
    return sorted(pairs, key=lambda pair: -len(pair[0]))


def set_aside(folder: RunFolder) -> str:
    """Move a cell that is not whole out of the way, nothing of it lost; says where to.

    Raises
    ------
    FolderBusy : another process is at work in it.
    InputError, OSError : it cannot be moved.
    """
    with folder.writing():
        shelf = folder.path.parent / ASIDE
        shelf.mkdir(exist_ok=True)
        number = 1
        while (target := shelf / f"{folder.path.name}.{number}").exists():
            number += 1
        os.rename(folder.path, target)
    return f"set aside as {target}"


# Sections of a study file that no run and no search depends on.
_AFTERWARDS = (
    "title",
    "lead",
    "notes",
    "privacy",
    "shift",
    "margins",
    "compare",
    "report",
    "engine",
    "smoke",
)


def finished_searches(
    study: StudySpec, arms: list[Arm], root: Path, maker: CellMaker
) -> Tuned | None:
    """The arms with what the searches of this very study chose; None where they have not ended.

    Parameters
    ----------
    study : as it would be run; without a search the arms are as they are.
    arms : as expanded.
    root : its folder, with the record of the last run.
    maker : knows the fingerprints of its data and weights as they are now.

    Raises
    ------
    InputError : the record cannot be read.
    """
    if study.search is None:
        return Tuned(arms, {}, {})
    record = read_record(root)
    if record is None or not record.get("searched") or record.get("runs") != _settings(study):
        return None
    if record.get("inputs") != maker.all_inputs(arms):
        return None
    return Tuned(chosen_arms(study, arms, record["searches"]), record["searches"], {})


def _settings(study: StudySpec) -> dict[str, Any]:
    """The study without what is done when all has run."""
    content = study.model_dump(mode="json", exclude=set(_AFTERWARDS), exclude_defaults=True)
    # Where data and models lie may change; what they are is in their fingerprints.
    for data in content["data"]:
        data.pop("path", None)
    return content


def as_read(study: StudySpec) -> dict[str, Any]:
    """A study as plain values that are read as the same study.

    A method says what it said: one that names no rank takes the study's `ranks`.
    """
    methods = [one.model_dump(mode="json", exclude_unset=True) for one in study.methods]
    return {**study.model_dump(mode="json"), "methods": methods}


def write_record(root: Path, study: StudySpec, outcome: Outcome, inputs: str) -> None:
    """Write ``study.json``: the study as read, what its searches chose, and which cells it is.

    Parameters
    ----------
    root : the study's folder.
    study : as it was read.
    outcome : what its run did.
    inputs : the fingerprint of its data and weights (`CellMaker.all_inputs`).
    """
    record = {
        "study": as_read(study),
        "runs": _settings(study),
        "inputs": inputs,
        "searched": not any(name.startswith("search ") for name in outcome.reasons),
        "searches": outcome.searches,
        "arms": [
            {
                "name": arm.name,
                "place": arm.place,
                "cells": [os.path.relpath(c.folder.path, root) for c in outcome.cells[arm.name]],
            }
            for arm in outcome.arms
        ],
    }
    write_text(root / RECORD, dump_json(record))


def read_record(root: Path) -> dict[str, Any] | None:
    """What ``study.json`` says; None where the study was never run to its end."""
    try:
        record = read_content(root / RECORD, StudyRecord)
    except InputError as error:
        raise InputError(str(error), expected=_WHOLE) from error
    return None if record is None else record.model_dump()

"""From a study's folder to its report, whether it was run just now or long ago."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairlora.errors import InputError
from fairlora.study.cells import CellMaker
from fairlora.study.expand import expand
from fairlora.study.report import Tell, write_report
from fairlora.study.runner import Outcome, finished_searches, results_of
from fairlora.study.status import state_of
from fairlora.study.study_file import StudySpec


def report_study(
    study: StudySpec,
    root: Path,
    outcome: Outcome | None = None,
    *,
    tell: Tell = lambda what, done, total: None,
    again: bool = False,
) -> Path:
    """Write the report of what is finished; returns the page's path.

    `outcome` is that of a run that just ended; without it the cells are found on disk.

    Raises `InputError` if nothing is finished, or the study's search has not ended.
    """
    if outcome is None:
        outcome = _found(study, root)
    failures = dict(outcome.reasons)
    results = results_of(outcome.arms, outcome.cells, failures)
    if study.train and not results.finished:
        raise InputError("no finished cell yet", where=root, expected="fairlora study run")
    for cells in outcome.cells.values():
        for cell in cells:
            if cell.name not in failures and cell.folder.path.exists():
                state = state_of(cell.folder)
                if state.state in ("failed", "unreadable"):
                    failures[cell.name] = state.reason
    counts = [] if results.finished else _counted(study, outcome)
    return write_report(
        study,
        results,
        root,
        counts=counts,
        failures=failures,
        searches=outcome.searches,
        tell=tell,
        again=again,
    )


def _found(study: StudySpec, root: Path) -> Outcome:
    arms = expand(study)
    searches: dict[str, Any] = {}
    maker = CellMaker(root, [root.parent / name for name in study.reuse])
    if study.search is not None and study.train:
        from fairlora.study.tuning import chosen_arms

        found = finished_searches(study, root, maker.all_inputs(arms))
        if found is None:
            raise InputError(
                "the search of this study has not ended",
                where=root,
                expected="fairlora study run, then the report",
            )
        searches = found
        arms = chosen_arms(study, arms, searches)
    cells = {arm.name: [maker.cell(arm.at(seed)) for seed in study.seeds] for arm in arms}
    return Outcome(arms, cells, searches=searches)


def _counted(
    study: StudySpec, outcome: Outcome
) -> list[tuple[str, str, int | None, dict[str, float]]]:
    """Parameters by arithmetic, for a study that trains nothing."""
    from fairlora.models.adapter import Adapter
    from fairlora.models.counting import count_of

    found: dict[tuple[Any, ...], dict[str, float]] = {}
    for arm in outcome.arms:
        cell = outcome.cells[arm.name][0]
        spec = cell.spec
        maker = CellMaker(cell.folder.path.parent)
        examples = maker.examples(spec)
        kind = "linear" if arm.rank == 0 else spec.adapter.kind
        name = f"{arm.model}, {len(examples.classes)} classes"
        if (name, kind, arm.rank) in found:
            continue
        counted = count_of(
            spec.model.id,
            len(examples.classes),
            kind=examples.kind,
            adapter=Adapter(**spec.adapter.model_dump()),
            image_size=spec.model.image_size,
        )
        found[name, kind, arm.rank] = counted.parameters.to_dict()
    return [(*key, counts) for key, counts in found.items()]

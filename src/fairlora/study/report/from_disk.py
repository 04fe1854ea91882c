"""Make the report of a study from its folder, whether it was run just now or long ago."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairlora.errors import InputError
from fairlora.study.report.files import Tell
from fairlora.study.report.page import write_report
from fairlora.study.report.privacy import PrivacyFindings, find_privacy
from fairlora.study.report.shift import find_shifts
from fairlora.study.runs.cells import CellMaker
from fairlora.study.runs.runner import RECORD, Outcome, finished_searches, read_record, results_of
from fairlora.study.runs.shadow_models import attacked_cells
from fairlora.study.runs.status import state_of
from fairlora.study.spec.expand import expand
from fairlora.study.spec.study import StudySpec, parse_study


def report_study(
    study: StudySpec,
    root: Path,
    outcome: Outcome | None = None,
    *,
    tell: Tell = lambda what, done, total: None,
    again: bool = False,
) -> Path:
    """Write the report of what is finished; returns the page's path.

    Parameters
    ----------
    study : as it was read.
    root : its folder, with the cells; the report goes into ``root/report``.
    outcome : that of a run that just ended; None finds the cells on disk.
    tell : gets what is being done, and (done, total).
    again : make it even if nothing has changed since.

    Raises `InputError` if nothing is finished, or the study's search has not ended.
    """
    if outcome is None:
        outcome = _found(study, root)
    failures = dict(outcome.reasons)
    results = results_of(outcome.arms, outcome.cells, failures)
    if study.train and not results.finished:
        raise InputError("no finished cell yet", where=root, expected="fairlora study run")
    for cells in [*outcome.cells.values(), *(one.cells for one in outcome.attacked)]:
        for cell in cells:
            if cell.name not in failures and cell.folder.path.exists():
                state = state_of(cell.folder)
                if state.state in ("failed", "unreadable"):
                    failures[cell.name] = state.reason
    # A study of distances alone is not about parameters.
    counted = study.shift is None and not results.finished
    counts = _counted(study, outcome) if counted else []
    return write_report(
        study,
        results,
        root,
        counts=counts,
        failures=failures,
        searches=outcome.searches,
        attacked=outcome.attacked,
        shifts=find_shifts(study, root / "report", tell),
        tell=tell,
        again=again,
    )


def find_study_privacy(
    root: Path, tell: Tell = lambda what, done, total: None
) -> tuple[StudySpec, PrivacyFindings]:
    """What the attacks of a study found, of its folder alone; with the study as it was run.

    Raises `InputError` for a folder that no study was run in, a study that names no attack, or data
    that are no longer there.
    """
    record = read_record(root)
    if record is None:
        raise InputError("no study was run here", where=root, expected="fairlora study run")
    study = parse_study(record.get("study", {}), where=str(root / RECORD))
    if study.privacy is None:
        raise InputError(
            "this study names no attacks",
            where=root,
            expected="a privacy section in the study's file, and fairlora study run",
        )
    outcome = _found(study, root)
    results = results_of(outcome.arms, outcome.cells, {})
    found = find_privacy(
        study,
        results,
        outcome.attacked,
        root / "report",
        lambda done, total: tell("attacking", done, total),
    )
    assert found is not None
    return study, found


def _found(study: StudySpec, root: Path) -> Outcome:
    arms = expand(study)
    searches: dict[str, Any] = {}
    maker = CellMaker(root, [root.parent / name for name in study.reuse])
    if study.search is not None and study.train:
        from fairlora.study.runs.tuning import chosen_arms

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
    attacked = attacked_cells(study, arms, maker) if study.train else []
    return Outcome(arms, cells, searches=searches, attacked=attacked)


def _counted(
    study: StudySpec, outcome: Outcome
) -> list[tuple[str, str, int | None, dict[str, float]]]:
    """Parameters by arithmetic, for a study that trains nothing."""
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
            adapter=spec.adapter,
            image_size=spec.model.image_size,
        )
        found[name, kind, arm.rank] = counted.parameters.to_dict()
    return [(*key, counts) for key, counts in found.items()]

"""Make the report of a study from its folder, whether it was run just now or long ago.

    report/  index.html  report.md  report.json
             tables/NAME.csv .tex    figures/NAME.png .svg .pdf .csv

All of it is made from the finished cells; it can be thrown away and made again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from fairlora.errors import InputError
from fairlora.study.report.causal_lm import is_language
from fairlora.study.report.comparisons import compare_pairs, pairs_of
from fairlora.study.report.files import PAGES, Tell, write_pages, write_parts
from fairlora.study.report.page import study_page, study_parts
from fairlora.study.report.privacy import PrivacyFindings, find_privacy
from fairlora.study.report.records import measure_records, run_records
from fairlora.study.report.results import Results, results_of
from fairlora.study.report.shift import find_shifts, shift_notes
from fairlora.study.report.verify import verify_cells, without
from fairlora.study.runs.cache import Cache, content_key
from fairlora.study.runs.cells import Cell, CellMaker
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.runner import (
    RECORD,
    Outcome,
    finished_searches,
    grouped_reasons,
    read_record,
)
from fairlora.study.runs.shadow_models import attacked_runs
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
    verify: bool = False,
) -> Path:
    """Write the report of what is finished into ``root/report``; returns the page's path.

    Nothing is computed if it was made from the very same cells, and its files are as written. Cells
    that are not whole count as failed.

    Parameters
    ----------
    study : as it was read.
    root : its folder, with the cells.
    outcome : that of a run that just ended; None finds the cells on disk.
    tell : gets what is being done, and (done, total).
    again : make it even if nothing has changed since.
    verify : recompute every cell's metrics from its predictions, and read its weights; what differs
        counts as failed, and is raised once the report of the others is written.

    Raises
    ------
    InputError : nothing is finished, the study's search has not ended, the report is to show or
        compare what there is not, or a cell is not what `verify` found.
    """
    outcome = outcome or _found(study, root)
    failures = dict(outcome.reasons)
    results = results_of(outcome.arms, outcome.cells, failures)
    cells = _cells_of(outcome)
    changed: dict[str, str] = {}
    unfinished: list[str] = []
    for cell in cells:
        if cell.name in failures:
            continue
        state = state_of(cell.folder, cell.identity)
        if state.state in ("failed", "broken"):
            failures[cell.name] = state.reason
        elif state.state != "done":
            unfinished.append(cell.name)
        elif state.reason:
            changed[cell.name] = state.reason
    wrong: dict[str, str] = {}
    if verify:
        sound = [cell for cell in cells if cell.name not in failures]
        wrong = verify_cells(sound, partial(tell, "verifying"))
        results, failures = without(results, wrong), {**failures, **wrong}
        kept = [a for a in outcome.attacked if not any(cell.name in wrong for cell in a.runs)]
        outcome = replace(outcome, attacked=kept)
    if study.train and not results.finished:
        raise InputError(
            "no finished cell yet",
            where=root,
            found="; ".join(_counted_reason(*one) for one in grouped_reasons(failures)) or None,
            expected="fairlora study run",
        )
    page = root / "report" / "index.html"
    shifts = find_shifts(study, page.parent, tell)
    key = content_key(
        [
            study.model_dump(mode="json", exclude={"engine"}),
            [[a.arm.place, [_status(run.folder) for run in a.runs]] for a in results.arms],
            failures,
            unfinished,
            [[_status(cell.folder) for cell in read.runs] for read in outcome.attacked],
            shifts,
        ]
    )
    cache = Cache(page.parent)
    if again or not cache.is_current(page.name, key):
        cache.record(page.name, None)
        more = [f"{name}: {why}" for name, why in changed.items()]
        more += _unfinished_words(unfinished)
        _write(study, results, outcome, failures, shifts, page.parent, tell, more)
        cache.record(page.name, key, _written(page.parent))
    if wrong:
        raise InputError(
            f"{len(wrong)} of {len(sound)} cells are not what they say; {page} is of the others",
            where=root,
            found="; ".join(f"{name}: {why}" for name, why in wrong.items()),
        )
    return page


def _unfinished_words(names: Sequence[str]) -> list[str]:
    """Notes of cells that no number has, a few by name."""
    words = [f"{name} is not finished: the numbers are without it" for name in names[:3]]
    left = len(names) - len(words)
    return [*words, f"and so are {left:,} more cells"] if left else words


def _counted_reason(names: Sequence[str], reason: str) -> str:
    return f"{len(names)} failed: {reason}"


def _cells_of(outcome: Outcome) -> list[Cell]:
    """Every cell of a study, those that only attacks read among them, each once."""
    groups = [*outcome.cells.values(), *(read.runs for read in outcome.attacked)]
    return list({cell.name: cell for cells in groups for cell in cells}.values())


def _status(folder: RunFolder) -> dict[str, Any] | None:
    status = folder.status()
    return None if status is None else status.model_dump()


def _written(folder: Path) -> list[str]:
    """The files of a report, by their paths in its folder."""
    files = [*folder.glob("tables/*"), *folder.glob("figures/*")]
    return [*PAGES, *sorted(str(path.relative_to(folder)) for path in files if path.is_file())]


def _write(
    study: StudySpec,
    results: Results,
    outcome: Outcome,
    failures: Mapping[str, str],
    shifts: Sequence[Mapping[str, Any]],
    folder: Path,
    tell: Tell,
    notes: Sequence[str],
) -> None:
    """Results -> verdicts, attacks and other findings -> parts -> page and files."""
    settings = results.settings()
    # Language models have verdicts of their own.
    pairs = [] if any(map(is_language, results.runs)) else settings
    verdicts, without = compare_pairs(
        [pair for setting in pairs for pair in pairs_of(study, setting)],
        study.compare.bootstrap,
        margins=study.margins,
        cache=Cache(folder / "verdicts"),
        tell=partial(tell, "comparing"),
    )
    attacked = partial(tell, "attacking")
    privacy = find_privacy(study, results, outcome.attacked, folder, attacked)
    # A study of distances alone is not about parameters.
    counted = study.shift is None and not results.finished
    counts = _counted(study, outcome) if counted else []
    parts = study_parts(study, results, verdicts, counts, outcome.searches, privacy, shifts)
    more = [*notes, *without, *([] if privacy is None else privacy.notes), *shift_notes(shifts)]
    write_pages(study_page(study, results, parts, failures, more), folder)
    records = {"runs": run_records(results), "measures": measure_records(results)}
    if parts.verdicts:
        records["verdicts"] = parts.verdicts
    write_parts(parts, records, folder, study.report.formats, tell)


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
    broken: dict[str, str] = {}
    results = results_of(outcome.arms, outcome.cells, broken)
    findings = find_privacy(
        study,
        results,
        outcome.attacked,
        root / "report",
        lambda done, total: tell("attacking", done, total),
    )
    assert findings is not None
    findings.notes += [f"{name} failed: {why}" for name, why in broken.items()]
    return study, findings


def _found(study: StudySpec, root: Path) -> Outcome:
    arms = expand(study)
    maker = CellMaker(root, [root.parent / name for name in study.reuse])
    searches: dict[str, Any] = {}
    if study.train:
        tuned = finished_searches(study, arms, root, maker)
        if tuned is None:
            raise InputError(
                "the search of this study has not ended",
                where=root,
                expected="fairlora study run, then the report",
            )
        arms, searches = tuned.arms, tuned.searches
    cells = {arm.name: [maker.cell(arm.at(seed)) for seed in study.seeds] for arm in arms}
    specs = attacked_runs(study, arms) if study.train else []
    attacked = [attack.map(maker.cell) for attack in specs]
    return Outcome(arms, cells, searches=searches, attacked=attacked)


def _counted(
    study: StudySpec, outcome: Outcome
) -> list[tuple[str, str, int | None, dict[str, float]]]:
    """Parameters by arithmetic, for a study that trains nothing."""
    from fairlora.models.counting import count_of

    counts: dict[tuple[Any, ...], dict[str, float]] = {}
    for arm in outcome.arms:
        cell = outcome.cells[arm.name][0]
        spec, examples = cell.spec, cell.prepared.examples
        kind = "linear" if arm.rank == 0 else spec.adapter.kind
        key = (f"{arm.model}, {len(examples.classes)} classes", kind, arm.rank)
        if key not in counts:
            counts[key] = count_of(
                spec.model.id,
                len(examples.classes),
                kind=spec.model.kind_of(examples.kind),
                adapter=spec.adapter,
                image_size=spec.model.image_size,
            ).parameters.to_dict()
    return [(*key, count) for key, count in counts.items()]

"""A study's report: one page, and every table and figure as files of their own.

    report/  index.html  report.md  report.json
             tables/NAME.csv .tex    figures/NAME.png .svg .pdf .csv

All of it is made from the finished cells; it can be thrown away and made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fairlora
from fairlora.errors import InputError
from fairlora.report.page import Page, check_page
from fairlora.study.report.causal_lm import is_language
from fairlora.study.report.causal_lm_study import language_study_parts
from fairlora.study.report.comparisons import Comparison, compare_study
from fairlora.study.report.figures import FIGURES, USUAL, Setting
from fairlora.study.report.files import Parts, Tell, write_pages, write_parts
from fairlora.study.report.privacy import (
    PrivacyFindings,
    find_privacy,
    privacy_charts,
    privacy_tables,
)
from fairlora.study.report.results import Results, attributes_of
from fairlora.study.report.search import chosen_table, front_charts
from fairlora.study.report.shift import shift_notes, shift_parts
from fairlora.study.report.tables import (
    measure_records,
    measure_tables,
    parameter_table,
    parameters_of,
    run_records,
)
from fairlora.study.report.verdicts import verdict_summary, verdict_table
from fairlora.study.runs.cost import readable_time
from fairlora.study.runs.shadow_models import AttackedCells
from fairlora.study.spec.study import StudySpec

MADE = ".made.json"
_MOST_VERDICTS = 24


def study_parts(
    study: StudySpec,
    results: Results,
    comparisons: Sequence[Comparison],
    counts: Sequence[tuple[str, str, int | None, dict[str, float]]] = (),
    searches: Mapping[str, Any] | None = None,
    privacy: PrivacyFindings | None = None,
    shifts: Sequence[Mapping[str, Any]] = (),
) -> Parts:
    """All tables and charts of a study.

    Parameters
    ----------
    study : for what its report shows.
    results : its arms with their finished runs.
    comparisons : verdicts between arms; none of language models, which have their own.
    counts : rows of the parameter table where no run has counted them: model, kind of adapter,
        rank, and the counts.
    searches : what was chosen, as the study's record has it; None without searches.
    privacy : what attacks found; None without attacks.
    shifts : distances of the data sets' pictures, one content a model.

    Raises
    ------
    InputError : the report is to show a figure, group column or probe that there is not.
    """
    parts = Parts()
    names = _figures_of(study)
    spoken: list[Setting] = []
    for setting in settings_of(study, results):
        if is_language(setting.members[0].runs[0]):
            spoken.append(setting)
            continue
        for table in measure_tables(setting):
            parts.add(parts.tables, table["title"], table)
        for name in names:
            kind = parts.reliability if name == "calibration" else parts.charts
            for chart in FIGURES[name](setting):
                parts.add(kind, chart["title"], chart)
    if spoken:
        _add_language(parts, study, spoken)
    if comparisons:
        contents = [(c.setting, c.content) for c in comparisons]
        summary = verdict_summary(contents, study.report.question)
        parts.add(parts.tables, "verdict-summary", summary)
        parts.add(parts.tables, "verdicts", verdict_table(contents, study.report.question))
    if privacy is not None:
        for table in privacy_tables(privacy, study.report.attribute):
            parts.add(parts.tables, table["title"], table)
        for chart in privacy_charts(privacy, study.report.attribute):
            parts.add(parts.charts, chart["title"], chart)
    for table in shift_parts(shifts, "tables"):
        parts.add(parts.tables, table["title"], table)
    for chart in shift_parts(shifts, "charts"):
        parts.add(parts.charts, chart["title"], chart)
    chosen = chosen_table(searches or {})
    if chosen is not None:
        parts.add(parts.tables, "settings-chosen", chosen)
    for chart in front_charts(searches or {}):
        parts.add(parts.charts, chart["title"], chart)
    parameters = parameter_table(parameters_of(results.finished) or list(counts))
    if parameters is not None:
        parts.add(parts.tables, "parameters", parameters)
    return parts


def _add_language(parts: Parts, study: StudySpec, settings: Sequence[Setting]) -> None:
    """Losses, probes and verdicts of language models, in the place of audits."""
    found = language_study_parts(settings, study.report.question, study.report.probes)
    for table in found.tables:
        parts.add(parts.tables, table["title"], table)
    for chart in found.charts:
        parts.add(parts.charts, chart["title"], chart)
    parts.verdicts += found.verdicts
    parts.notes += found.notes


def settings_of(study: StudySpec, results: Results) -> list[Setting]:
    """What the figures are each about. Raises `InputError` for an attribute that is not there."""
    out = []
    for name, members in results.settings():
        attributes = attributes_of(members)
        if study.report.attribute is not None:
            if study.report.attribute not in attributes:
                raise InputError(
                    "no such group column",
                    where="report.attribute",
                    found=repr(study.report.attribute),
                    expected="one of " + ", ".join(attributes),
                )
            attributes = [study.report.attribute]
        out.append(Setting(name, members, results.axes, tuple(attributes)))
    return out


def _figures_of(study: StudySpec) -> list[str]:
    wanted = USUAL if study.report.figures is None else study.report.figures
    for name in wanted:
        if name not in FIGURES and name != "parameters":
            raise InputError(
                "no such figure",
                where="report.figures",
                found=repr(name),
                expected="one of " + ", ".join([*FIGURES, "parameters"]),
            )
    return [name for name in wanted if name in FIGURES]


def study_page(
    study: StudySpec,
    results: Results,
    parts: Parts,
    failures: Mapping[str, str],
    more: Sequence[str] = (),
) -> Page:
    """The page that people read.

    Parameters
    ----------
    study : for title, lead and notes.
    results : its arms with their finished runs.
    parts : the tables, charts and notes of the page.
    failures : name of a cell -> why it failed.
    more : notes that come after the study's own.
    """
    runs = [run for arm in results.arms for run in arm.runs]
    notes = [*study.notes, *_notes(study, results), *parts.notes, *more]
    notes += [f"{name} failed: {reason}" for name, reason in failures.items()]
    page: dict[str, Any] = {
        "title": study.title or study.name,
        "lead": study.lead,
        "facts": _facts(study, results),
        "tables": [table for name, table in parts.tables.items() if _on_page(name, table)],
        "charts": list(parts.charts.values()),
        "reliability": list(parts.reliability.values()),
        "notes": [*notes, *_warnings(runs)],
    }
    return check_page(page)


def _on_page(name: str, table: Mapping[str, Any]) -> bool:
    """Whether the page shows a table: of many verdicts their summary is enough to read."""
    return name != "verdicts" or len(table["rows"]) <= _MOST_VERDICTS


def _facts(study: StudySpec, results: Results) -> list[dict[str, str]]:
    arms = [a.arm for a in results.arms]
    runs = [run for a in results.arms for run in a.runs]
    seconds = sum((run.folder.status() or {}).get("seconds", 0.0) for run in runs)
    cells = len(arms) * len(study.seeds)
    facts = {
        "Data": "; ".join(dict.fromkeys(a.data for a in arms)),
        "Rows": _rows(results),
        "Models": "; ".join(dict.fromkeys(a.model for a in arms)),
    }
    if study.train:
        facts |= {
            "Methods": ", ".join(dict.fromkeys(a.method for a in arms)),
            "Seeds": ", ".join(map(str, study.seeds)),
            "Runs": f"{len(runs)} of {cells} finished, {readable_time(seconds)} of computing",
        }
    facts["Made with"] = f"fairlora {fairlora.__version__}"
    return [{"name": name, "value": value} for name, value in facts.items() if value]


def _rows(results: Results) -> str:
    seen: dict[str, None] = {}
    for one in results.finished:
        rows = one.runs[0].metrics["rows"]
        seen.setdefault(", ".join(f"{n:,} {split}" for split, n in rows.items()))
    return "; ".join(seen)


def _notes(study: StudySpec, results: Results) -> list[str]:
    notes = []
    few = len(study.seeds)
    if few < 5 and results.finished:
        notes.append(
            f"{few} seeds are few. Two methods whose intervals overlap are not shown to be equal, "
            "and no evidence of a difference is not evidence of none."
            if few > 1
            else "One seed: another seed moves every number, and nothing here says by how much."
        )
    apart = _losses_apart(results)
    if apart:
        notes.append(apart)
    return notes


def _losses_apart(results: Results) -> str:
    """A warning where methods that are compared ended at different training losses."""
    for _, members in results.settings():
        losses = {}
        for one in members:
            values = [run.metrics["mean_loss"]["train"] for run in one.runs]
            known = [v for v in values if v is not None]
            if known:
                losses[results.axes.name(one.arm)] = sum(known) / len(known)
        if len(losses) > 1 and max(losses.values()) > 1.25 * min(losses.values()) + 0.02:
            low, high = min(losses, key=losses.__getitem__), max(losses, key=losses.__getitem__)
            return (
                "The methods did not end at the same training loss (from "
                f"{losses[low]:.3f}, {low}, to {losses[high]:.3f}, {high}): part of a difference "
                "between them may be how far each was trained. training.until_loss stops all at "
                "one loss."
            )
    return ""


def _warnings(runs: Sequence[Any]) -> list[str]:
    seen: dict[str, None] = {}
    for run in runs:
        for text in [*run.metrics.get("notes", []), *run.audit.get("warnings", [])]:
            seen.setdefault(text)
    return list(seen)


def write_report(
    study: StudySpec,
    results: Results,
    root: Path,
    *,
    counts: Sequence[tuple[str, str, int | None, dict[str, float]]] = (),
    failures: Mapping[str, str] | None = None,
    searches: Mapping[str, Any] | None = None,
    attacked: Sequence[AttackedCells] = (),
    shifts: Sequence[Mapping[str, Any]] = (),
    tell: Tell = lambda what, done, total: None,
    again: bool = False,
) -> Path:
    """Write the report of a study into ``root/report``; returns the page's path.

    Nothing is computed if it was made from the very same cells, unless `again`.

    Parameters
    ----------
    study : as it was read.
    results : its arms with their finished runs.
    root : the study's folder.
    counts, searches, shifts : as of `study_parts`.
    failures : name of a cell -> why it failed; None is no failure.
    attacked : the cells that attacks read.
    tell : gets what is being done, and (done, total).
    again : make it anew whatever there is.

    Raises
    ------
    InputError : as `study_parts`, and for a pair to compare that names no method.
    """
    folder = root / "report"
    page_file = folder / "index.html"
    failures = dict(failures or {})
    key = _key(study, results, failures, attacked, shifts)
    if not again and page_file.is_file() and _made(folder) == key:
        return page_file
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MADE).unlink(missing_ok=True)
    spoken = any(is_language(run) for one in results.finished for run in one.runs)
    comparisons = (
        []
        if spoken
        else compare_study(
            study, results, folder, lambda done, total: tell("comparing", done, total)
        )
    )
    privacy = find_privacy(
        study, results, attacked, folder, lambda done, total: tell("attacking", done, total)
    )
    parts = study_parts(study, results, comparisons, counts, searches, privacy, shifts)
    more = [*([] if privacy is None else privacy.notes), *shift_notes(shifts)]
    page = study_page(study, results, parts, failures, more)
    write_pages(page, folder)
    records = {"runs": run_records(results), "measures": measure_records(results)}
    if parts.verdicts:
        records["verdicts"] = parts.verdicts
    write_parts(parts, records, folder, study.report.formats, tell)
    (folder / MADE).write_text(json.dumps({"key": key}), encoding="utf-8")
    return page_file


def _key(
    study: StudySpec,
    results: Results,
    failures: Mapping[str, str],
    attacked: Sequence[AttackedCells] = (),
    shifts: Sequence[Mapping[str, Any]] = (),
) -> str:
    """A hash of all that the report is made from."""
    content = [
        fairlora.__version__,
        study.model_dump(mode="json", exclude={"engine"}),
        [[a.arm.place, [run.folder.status() for run in a.runs]] for a in results.arms],
        dict(failures),
        [[cell.folder.status() for cell in one.cells] for one in attacked],
        list(shifts),
    ]
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _made(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / MADE).read_text(encoding="utf-8"))["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None

"""Results as the parts of a report, and these as one page: of studies and of runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import fairlora
from fairlora.errors import require_known
from fairlora.metrics.comparison.content import ComparisonContent
from fairlora.metrics.comparison.first_screen import findings, limits
from fairlora.metrics.terms import terms_of
from fairlora.report.page import Page, check_page
from fairlora.study.report.causal_lm import is_language
from fairlora.study.report.causal_lm_study import language_study_parts
from fairlora.study.report.dp import QUESTION as PRIVATE
from fairlora.study.report.dp import dp_tables, privacy_changes, private_epsilon
from fairlora.study.report.figures import FIGURES, USUAL
from fairlora.study.report.files import Kind, Parts
from fairlora.study.report.measures import Run, mean_of, overall_columns
from fairlora.study.report.privacy import (
    PrivacyFindings,
    privacy_charts,
    privacy_lead,
    privacy_tables,
)
from fairlora.study.report.results import Results, Setting, over_common_seeds
from fairlora.study.report.scarce import Change, scarce_findings
from fairlora.study.report.search import chosen_tables, front_charts
from fairlora.study.report.shift import shift_parts
from fairlora.study.report.shipped import QUESTION as SHIPPED
from fairlora.study.report.shipped import (
    TOPIC,
    find_shipped,
    shipped_charts,
    shipped_findings,
    shipped_tables,
)
from fairlora.study.report.tables import measure_tables, parameter_tables, parameters_of
from fairlora.study.report.verdicts import verdict_summary, verdict_table
from fairlora.study.runs.cost import readable_time
from fairlora.study.spec.study import StudySpec

_MOST_VERDICTS = 24
_QUESTION = "Is one way of fine-tuning less fair than another?"


def study_parts(
    study: StudySpec,
    results: Results,
    verdicts: Sequence[tuple[str, ComparisonContent]] = (),
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
    verdicts : (setting, comparison) of `compare_pairs`; none of language models, which have their
        own.
    counts : rows of the parameter table where no run has counted them: model, kind of adapter,
        rank, and the counts.
    searches : what was chosen, as the study's record has it; None without searches.
    privacy : what attacks found; None without attacks.
    shifts : distances of the data sets' pictures, one content a model.

    Raises
    ------
    InputError : the report is to show a figure, group column or probe that there is not.
    """
    shown, searches = study.report, searches or {}
    parts = method_parts(
        settings_of(study, results),
        verdicts,
        figures=_figures_of(study),
        question=shown.question or _question(study, results),
        probes=shown.probes,
    )
    shipped = find_shipped(settings_of(study, results)) if study.deploy else []
    parts.add("tables", shipped_tables(shipped), topic=TOPIC)
    charts = shipped_charts(shipped, verdicts)
    parts.add("charts", charts, topic=TOPIC)
    if charts:
        parts.findings = shipped_findings(shipped, verdicts)
        parts.lead_with(charts[0]["title"])
    if privacy is not None:
        topic = "Membership inference"
        parts.lead = privacy_lead(privacy)
        parts.add("tables", privacy_tables(privacy, shown.attribute), topic=topic)
        parts.add("charts", privacy_charts(privacy, shown.attribute), topic=topic)
    parts.add("tables", shift_parts(shifts, "tables"), topic="Distances of pictures")
    parts.add("charts", shift_parts(shifts, "charts"), topic="Distances of pictures")
    parts.add("tables", chosen_tables(searches), topic="Settings searched")
    parts.add("charts", front_charts(searches), topic="Settings searched")
    counted = parameter_tables(parameters_of(results.finished) or list(counts))
    parts.add("tables", counted, topic="Parameters")
    return parts


def method_parts(
    settings: Sequence[Setting],
    verdicts: Sequence[tuple[str, ComparisonContent]],
    *,
    figures: Sequence[str],
    question: str | None = None,
    probes: Sequence[str] | None = None,
) -> Parts:
    """Tables, charts and verdicts of methods side by side, of studies and of `fairlora compare`.

    Parameters
    ----------
    settings : the methods, by what is comparable.
    verdicts : as of `study_parts`.
    figures : which to show, keys of `FIGURES`.
    question : what is asked, for the titles of verdicts; None is the usual one.
    probes : of language models; None is all there are.

    Raises
    ------
    InputError : a probe that is none.
    """
    parts = Parts()
    private: list[Change] = []
    language = [s for s in settings if is_language(s.members[0].runs[0])]
    for setting in (s for s in settings if s not in language):
        topic = setting.name or "Methods"
        parts.add("tables", measure_tables(setting), topic=topic)
        # What is shipped has a figure of its own, of what it changes.
        setting = replace(setting, members=[m for m in setting.members if m.arm.deploy is None])
        scarce = privacy_changes(setting)
        private += scarce
        parts.add("tables", dp_tables(setting, scarce), topic=topic)
        for name in figures if setting.members else ():
            kind: Kind = "reliability" if name == "calibration" else "charts"
            parts.add(kind, FIGURES[name](setting), topic=topic)
    if language:
        for setting in language:
            parts.add("tables", dp_tables(setting), topic=setting.name or "Methods")
        # Losses, probes and their own verdicts in the place of audits.
        spoken = language_study_parts(language, question, probes)
        parts.add("tables", spoken.tables)
        parts.add("charts", spoken.charts)
        parts.verdicts += spoken.verdicts
        parts.notes += spoken.notes
    if verdicts:
        contents = [content for _, content in verdicts]
        parts.findings = [*scarce_findings(private, "epsilon"), *findings(contents)]
        parts.limits = limits(contents)
        parts.question = question or ""
        summary = {**verdict_summary(verdicts, question), "main": True}
        parts.add("tables", [summary], "verdict-summary", "Verdicts")
        parts.add("tables", [verdict_table(verdicts, question)], "verdicts", "Verdicts")
    return parts


def _question(study: StudySpec, results: Results) -> str | None:
    """What a study asks by its axes; None for the usual."""
    if study.deploy:
        return SHIPPED
    private = any(private_epsilon(one.arm) is not None for one in results.arms)
    return PRIVATE if private and not any(map(is_language, results.runs)) else None


def settings_of(study: StudySpec, results: Results) -> list[Setting]:
    """What the figures are each about. Raises `InputError` for an attribute that is not there."""
    settings, wanted = results.settings(), study.report.attribute
    if wanted is None:
        return settings
    for setting in settings:
        require_known([wanted], setting.attributes, "group column", "report.attribute")
    return [replace(setting, attributes=(wanted,)) for setting in settings]


def _figures_of(study: StudySpec) -> list[str]:
    wanted = USUAL if study.report.figures is None else study.report.figures
    require_known(wanted, [*FIGURES, "parameters"], "figure", "report.figures")
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
    notes = [*study.notes, *_notes(study, results), *parts.notes, *more]
    notes += [f"{name} failed: {reason}" for name, reason in failures.items()]
    notes += warnings_of(results.runs)
    lead = f"{study.lead} {parts.lead}".strip()
    return page_of(parts, study.title or study.name, lead, _facts(study, results), notes)


def page_of(
    parts: Parts,
    title: str,
    lead: str,
    facts: Mapping[str, str],
    notes: Sequence[str],
) -> Page:
    """The page of these parts; of many verdicts their summary alone.

    Parameters
    ----------
    title, lead : the page's heading, and what stands below it.
    facts : name -> value, at the head; empty ones are left out.
    notes : what the reader must not conclude.
    """
    tables = [
        table
        for name, table in parts.tables.items()
        if name != "verdicts" or len(table["rows"]) <= _MOST_VERDICTS
    ]
    if tables and not tables[0].get("main"):
        tables[0] = {**tables[0], "main": True}
    # The answer stands before what it is an answer from.
    opening: dict[str, Any] = {"topics": ["Verdicts", TOPIC]}
    if parts.findings:
        opening |= {"findings": parts.findings, "limits": parts.limits}
    if parts.findings or parts.question:
        opening["question"] = parts.question or _QUESTION
    page: dict[str, Any] = {
        "title": title,
        **opening,
        "lead": lead,
        "facts": [{"name": name, "value": value} for name, value in facts.items() if value],
        "tables": tables,
        "terms": terms_of(tables),
        "charts": list(parts.charts.values()),
        "reliability": list(parts.reliability.values()),
        "notes": list(notes),
    }
    return check_page(page)


def _facts(study: StudySpec, results: Results) -> dict[str, str]:
    arms = [a.arm for a in results.arms]
    seconds = sum(status.seconds for run in results.runs if (status := run.folder.status()))
    runs = f"{len(results.runs)} of {len(arms) * len(study.seeds)} finished"
    facts = {
        "Data": "; ".join(dict.fromkeys(a.data for a in arms)),
        "Rows": rows_words([result.runs[0] for result in results.finished]),
        "Models": "; ".join(dict.fromkeys(a.model for a in arms)),
    }
    if study.train:
        facts |= {
            "Methods": ", ".join(dict.fromkeys(a.method for a in arms)),
            "Seeds": ", ".join(map(str, study.seeds)),
            "Runs": f"{runs}, {readable_time(seconds)} of computing",
        }
    return {**facts, "Made with": f"fairlora {fairlora.__version__}"}


def rows_words(runs: Sequence[Run]) -> str:
    """How many rows the splits have; several ways, where runs differ in it."""
    words = (", ".join(f"{n:,} {s}" for s, n in run.metrics["rows"].items()) for run in runs)
    return "; ".join(dict.fromkeys(words))


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
    column = next(c for c in overall_columns() if c.key == "training_loss")
    for setting in results.settings():
        losses = {
            results.axes.name(member.arm): mean
            for member in over_common_seeds(setting.members, [column])
            if (mean := mean_of(column.values(member.runs))) is not None
        }
        if len(losses) > 1 and max(losses.values()) > 1.25 * min(losses.values()) + 0.02:
            low, high = min(losses, key=losses.__getitem__), max(losses, key=losses.__getitem__)
            return (
                "The methods did not end at the same training loss (from "
                f"{losses[low]:.3f}, {low}, to {losses[high]:.3f}, {high}): part of a difference "
                "between them may be how far each was trained. training.until_loss stops all at "
                "one loss."
            )
    return ""


def warnings_of(runs: Sequence[Run]) -> list[str]:
    """Notes of the runs and warnings of their audits, each once."""
    texts = ([*run.metrics.get("notes", []), *run.audit.get("warnings", [])] for run in runs)
    return list(dict.fromkeys(text for some in texts for text in some))

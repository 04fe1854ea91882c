"""A probe's answers as parts of a page: tables, charts and verdicts, for one model or several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairlora.probes.answers import Answers, check_alike, verdicts
from fairlora.probes.figures import (
    choice_charts,
    cloze_charts,
    token_bias_charts,
    translation_charts,
)
from fairlora.probes.run import PROBES
from fairlora.probes.tables import (
    choice_tables,
    cloze_tables,
    token_bias_tables,
    translation_tables,
    verdict_table,
)

Make = Callable[[Sequence[Answers]], list[dict[str, Any]]]
_MAKERS: dict[str, tuple[Make, Make]] = {
    "translation": (translation_tables, translation_charts),
    "cloze": (cloze_tables, cloze_charts),
    "choice": (choice_tables, choice_charts),
    "token-bias": (token_bias_tables, token_bias_charts),
}


@dataclass
class Parts:
    """What a probe adds to a page; `verdicts` are the rows behind the table of verdicts."""

    tables: list[dict[str, Any]] = field(default_factory=list)
    charts: list[dict[str, Any]] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Parts) -> None:
        """Append another probe's parts."""
        self.tables += other.tables
        self.charts += other.charts
        self.verdicts += other.verdicts
        self.notes += other.notes


def overview(name: str, answers: Sequence[Answers]) -> dict[str, Any]:
    """The first figure of a probe, which is the one that shows all of its measures."""
    return _MAKERS[name][1](answers)[0]


def probe_parts(
    name: str, answers: Sequence[Answers], *, question: str | None = None, setting: str = ""
) -> Parts:
    """Tables, charts and verdicts of one probe.

    Parameters
    ----------
    name : of the probe, a key of `PROBES`.
    answers : of each model; of several there are verdicts.
    question : what the table of verdicts is headed with; None is the usual question.
    setting : stands in the titles where a page has several.

    Raises
    ------
    InputError : models that were not asked the same.
    """
    check_alike(answers)
    tables, charts = _MAKERS[name]
    out = Parts(tables(answers), charts(answers))
    if len(answers) > 1:
        rows, out.notes = verdicts(answers)
        out.verdicts = [row.to_dict() for row in rows]
        out.tables.insert(0, verdict_table(rows, f"({PROBES[name].title})", question))
    for answer in answers:
        for asked in answer.asked[:1]:
            out.notes += [f"{answer.name}: {note}" for note in asked.summary.get("notes", [])]
    if setting:
        for part in (*out.tables, *out.charts):
            part["title"] = f"{part['title']} ({setting})"
    return out


def probe_page(name: str, answers: Sequence[Answers], facts: dict[str, str]) -> dict[str, Any]:
    """A page of one probe.

    Parameters
    ----------
    name, answers : as of `probe_parts`, which raises for models that were not asked the same.
    facts : name -> value, shown at the head of the page.
    """
    parts = probe_parts(name, answers)
    return {
        "title": f"{PROBES[name].title} probe: " + ", ".join(answer.name for answer in answers),
        "facts": [{"name": key, "value": value} for key, value in facts.items()],
        "tables": parts.tables,
        "charts": parts.charts,
        "notes": list(dict.fromkeys(parts.notes)),
    }

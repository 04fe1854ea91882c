"""Parts of a report, and the files that they become."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fairlora.io import write_text
from fairlora.report.page import Page

Tell = Callable[[str, int, int], None]
Kind = Literal["tables", "charts", "reliability"]
# A study's page in its formats.
PAGES = ("index.html", "report.md", "report.json")


@dataclass
class Parts:
    """The parts of a report, each under the name that its files have."""

    tables: dict[str, Any] = field(default_factory=dict)
    charts: dict[str, Any] = field(default_factory=dict)
    reliability: dict[str, Any] = field(default_factory=dict)
    verdicts: list[dict[str, Any]] = field(default_factory=list)  # of language models
    notes: list[str] = field(default_factory=list)
    question: str = ""  # what is asked, "" for the usual
    lead: str = ""  # what attacks found, below the study's own
    findings: list[dict[str, Any]] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)

    def add(
        self,
        kind: Kind,
        parts: Iterable[dict[str, Any]],
        name: str | None = None,
        topic: str = "",
    ) -> None:
        """Keep parts, each under a name that no other of its kind has.

        Parameters
        ----------
        kind : what they are.
        parts : tables or charts.
        name : what their files are called; None is their titles. What is taken gets a number.
        topic : under what the page has them.
        """
        kept = getattr(self, kind)
        for part in parts:
            stem = free = slug(name or part["title"])
            number = 1
            while free in kept:
                number += 1
                free = f"{stem}-{number}"
            kept[free] = {**part, "topic": topic} if topic else part

    def lead_with(self, title: str) -> None:
        """Put the chart of that title first: a page opens with it."""
        first = next(name for name, chart in self.charts.items() if chart["title"] == title)
        self.charts = {first: self.charts[first], **self.charts}


def slug(text: str) -> str:
    """A file name out of any text.

    >>> slug("Accuracy by race (UTKFace, age)")
    'accuracy-by-race-utkface-age'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:80] or "part"


def write_pages(page: Page, folder: Path) -> None:
    """Write a page as HTML, Markdown and JSON."""
    from fairlora.report.html import write_html
    from fairlora.report.json import to_json
    from fairlora.report.markdown import to_markdown

    html, markdown, json = (folder / name for name in PAGES)
    write_html(page, html)
    write_text(markdown, to_markdown(page))
    write_text(json, to_json(page))


def write_parts(
    parts: Parts,
    records: Mapping[str, Sequence[Mapping[str, Any]]],
    folder: Path,
    formats: Sequence[str],
    tell: Tell,
) -> None:
    """Write every table and figure, and the records that they were made from.

    Parameters
    ----------
    parts : their tables, charts and reliability diagrams are written.
    records : name of a table -> its rows, for a CSV file each.
    folder : the report's, which must be there; files in its ``tables`` and ``figures`` are removed.
    formats : of figures, as of `ReportSpec`.
    tell : gets what is being done, and (done, total).
    """
    from fairlora.report import (
        chart_csv,
        chart_figure,
        records_csv,
        reliability_csv,
        reliability_figure,
        table_csv,
        to_latex,
    )

    tables, figures = folder / "tables", folder / "figures"
    for subfolder in (tables, figures):
        subfolder.mkdir(exist_ok=True)
        # What an earlier report of other arms left would be taken for this one's.
        for old in subfolder.iterdir():
            if old.is_file():
                old.unlink()
    for name, table in parts.tables.items():
        write_text(tables / f"{name}.csv", table_csv(table))
        latex = to_latex({"title": table["title"], "tables": [table]})
        write_text(tables / f"{name}.tex", latex)
    for name, rows in records.items():
        write_text(tables / f"{name}.csv", records_csv(rows))
    drawn: list[tuple[str, Any, Any, Any]] = [
        *((name, chart, chart_csv, chart_figure) for name, chart in parts.charts.items()),
        *(
            (name, chart, reliability_csv, reliability_figure)
            for name, chart in parts.reliability.items()
        ),
    ]
    for done, (name, chart, as_csv, as_figure) in enumerate(drawn):
        tell("drawing", done, len(drawn))
        write_text(figures / f"{name}.csv", as_csv(chart))
        for kind in formats:
            as_figure(chart, figures / f"{name}.{kind}")
    tell("drawing", len(drawn), len(drawn))

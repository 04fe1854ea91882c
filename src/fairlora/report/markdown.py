"""A page as Markdown (GitHub's dialect), for a README, a pull request or a model card."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fairlora.report.chart_table import chart_table
from fairlora.report.dots_view import numbers_table, reference_text, series_names
from fairlora.report.page import Cell, Dots, Page, Reliability, Table, clean_page, marks_used
from fairlora.report.reliability_view import bins_table, panel_facts
from fairlora.report.text import MARK_SIGNS, one_line

# An underscore inside a word starts no emphasis, so names like skin_tone stay readable.
_SPECIAL = re.compile(r"[\\`*{}\[\]<>|~$&]|(?<!\w)_|_(?!\w)")
# What makes a heading, a list or a rule, and only there: "-0.5" and "1.0" stay as they are.
_BLOCK_START = re.compile(r"^(?=#{1,6}(?:\s|$)|[+-](?:\s|$)|[-=]+$)|^(\d{1,9})(?=[.)](?:\s|$))")


def to_markdown(page: Page) -> str:
    """Return `page` as Markdown. Dot plots, charts and diagrams become tables of their numbers.

    Raises
    ------
    InputError (a ValueError): `page` is malformed; the message names the key.
    """
    return "\n\n".join(_blocks(clean_page(page))) + "\n"


def escape(text: str) -> str:
    """Return `text` on one line and with everything that Markdown would read as markup escaped.

    >>> print(escape("a|b\\n*c* <script> skin_tone"))
    a\\|b \\*c\\* \\<script\\> skin_tone
    """
    text = _SPECIAL.sub(lambda found: "\\" + found[0], one_line(text))
    return _BLOCK_START.sub(lambda found: (found[1] or "") + "\\", text)


def _blocks(page: Page) -> Iterator[str]:
    yield f"# {escape(page['title'])}"
    if page.get("lead"):
        yield escape(page["lead"])
    if page.get("facts"):
        yield "\n".join(
            f"- **{escape(fact['name'])}:** {escape(fact['value'])}" for fact in page["facts"]
        )
    for table in page.get("tables", []):
        yield from table_markdown(table, "##")
    for dots in page.get("dots", []):
        yield from _dots_blocks(dots)
    for drawn in page.get("charts", []):
        yield from table_markdown(chart_table(drawn), "##")
    for chart in page.get("reliability", []):
        yield from _reliability_blocks(chart)
    if page.get("notes"):
        yield "## What this does not show"
        yield "\n".join(f"- {escape(note)}" for note in page["notes"])


def table_markdown(table: Table, heading: str) -> Iterator[str]:
    """The blocks of a table: its title behind `heading`, its caption, itself, and its marks."""
    if table["title"]:
        yield f"{heading} {escape(table['title'])}"
    if table.get("caption"):
        yield escape(table["caption"])
    lines = [
        _line([escape(column["name"]) for column in table["columns"]]),
        _line(["---:" if column.get("align") == "right" else "---" for column in table["columns"]]),
    ]
    for row in table["rows"]:
        texts = [_cell(cell) for cell in row["cells"]]
        if row.get("header") and not row["cells"][0].get("mark") and texts[0]:
            texts[0] = f"**{texts[0]}**"
        lines.append(_line(texts))
    yield "\n".join(lines)
    marks = marks_used(table)
    if marks:
        yield "; ".join(f"{MARK_SIGNS[mark].symbol} {MARK_SIGNS[mark].meaning}" for mark in marks)


def _dots_blocks(dots: Dots) -> Iterator[str]:
    yield f"## {escape(dots['title'])}"
    if dots.get("caption"):
        yield escape(dots["caption"])
    if "reference" in dots:
        yield f"To compare with: {escape(reference_text(dots))}."
    names = series_names(dots)
    for panel in dots["panels"]:
        yield from table_markdown(numbers_table(panel, names, dots["unit"]), "###")


def _reliability_blocks(chart: Reliability) -> Iterator[str]:
    yield f"## {escape(chart['title'])}"
    if chart.get("caption"):
        yield escape(chart["caption"])
    for panel in chart["panels"]:
        if panel["name"]:
            yield f"### {escape(panel['name'])}"
        yield "  \n".join(escape(fact) for fact in panel_facts(panel))
        yield from table_markdown({**bins_table(panel, chart), "title": ""}, "####")


def _cell(cell: Cell) -> str:
    text = escape(cell["text"])
    mark = cell.get("mark")
    if mark is None:
        return text
    shown = f"**{text}**" if mark == "best" and text else text
    return f"{shown} {MARK_SIGNS[mark].symbol}"


def _line(texts: list[str]) -> str:
    return "| " + " | ".join(texts) + " |"

"""A page in the terminal: one screen of it, or all its tables and notes.

Pictures are left to the page and the figures: of a chart its numbers are printed as a table, of a
reliability diagram a line a panel.
"""

from __future__ import annotations

from rich.box import Box
from rich.cells import cell_len
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from fairlora.report.chart_table import chart_table
from fairlora.report.page import (
    Cell,
    Column,
    Finding,
    Page,
    Reliability,
    Row,
    Table,
    clean_page,
    marks_used,
)
from fairlora.report.reliability_view import panel_facts
from fairlora.report.text import MARK_SIGNS, one_line

# Heavier than rich's plain boxes at the head alone, and with nothing beside the cells.
_BOX = Box("    \n    \n ── \n    \n    \n    \n    \n    \n")
_ASCII_BOX = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
_MARK_STYLES = {
    "best": "bold green",
    "worst": "bold red",
    "small": "yellow",
    "beyond": "bold magenta",
    "better": "bold green",
    "worse": "bold red",
    "equal": "cyan",
    "open": "dim",
}
# Two spaces between columns, in the box's divider and the cell's padding; in a narrow table one.
_GAP, _NARROW_GAP = 3, 2
# A column of words is at least so wide where its table does not fit otherwise.
_WORDS = 14
# One screen has so many findings, and so many rows of a table that stands in their place.
_MOST_FINDINGS, _MOST_ROWS = 4, 12


def print_page(
    page: Page, console: Console | None = None, *, full: bool = True, rest: str = ""
) -> None:
    """Print `page`, or one screen of it.

    A table wider than the terminal breaks its headings, its words and its intervals into lines; one
    that is still too wide is printed a row at a time, as names with values. Nothing is cut off, and
    no table is torn. Marked cells carry a symbol beside their colour. Text from data is printed as
    it is: rich reads no markup in it, and characters that the output's encoding lacks become
    question marks.

    Parameters
    ----------
    page : to be printed.
    console : where to; None is standard output.
    full : all tables and notes; else the lead, the findings (or the page's main tables), and what
        the data cannot tell.
    rest : how to see more, said last of one screen where there is more.

    Raises
    ------
    InputError (a ValueError): `page` is malformed; the message names the key.
    """
    ready = clean_page(page)
    printer = _Printer(console or Console())
    if full:
        printer.page(ready)
    else:
        printer.screen(ready, rest)


class _Printer:
    """Prints the parts of one page to one console."""

    def __init__(self, console: Console) -> None:
        self.console = console
        encoding = console.encoding or "utf-8"
        self.encoding = encoding
        self.unicode = encoding.lower().replace("-", "").startswith("utf")

    def page(self, page: Page) -> None:
        """Print everything, notes last, where the eye is when the prompt comes back."""
        self._print(self._text(page["title"], "bold"))
        if page.get("lead"):
            self._print(self._text(page["lead"]))
        if page.get("facts"):
            self._print(Text())
            self._print(self._facts(page))
        if page.get("findings"):
            self._table(_findings_table(page["findings"]), signs=False)
        for table in page.get("tables", []):
            self._table(table)
        for drawn in page.get("charts", []):
            self._table(chart_table(drawn, compact=True))
        for chart in page.get("reliability", []):
            self._reliability(chart)
        self._limits(page)

    def _limits(self, page: Page, notes: bool = True) -> None:
        """Print what the data cannot tell, and what the page does not show, each line once."""
        limits = page.get("limits", [])
        others = [note for note in page.get("notes", []) if note not in limits] if notes else []
        for title, said in (
            ("What the data cannot tell", limits),
            ("What this does not show", others),
        ):
            if said:
                self._print(Text(f"\n{title}", "bold yellow"))
            for one in said:
                self._print(self._item(one))

    def screen(self, page: Page, rest: str) -> None:
        """Print what matters most, and say how much more there is."""
        self._print(self._text(page["title"], "bold"))
        if page.get("facts"):
            facts = "; ".join(f"{fact['name']}: {fact['value']}" for fact in page["facts"])
            self._print(self._text(facts, "dim"))
        if page.get("lead"):
            self._print(self._text(page["lead"]))
        tables = page.get("tables", [])
        main = [table for table in tables if table.get("main")]
        if page.get("findings") and not main:
            self._table(_findings_table(page["findings"][:_MOST_FINDINGS]), signs=False)
        shown = main or ([] if page.get("findings") else tables[:1])
        for table in [*shown, *(t for t in tables if t.get("asked") and t not in shown)]:
            self._table(table, most=_MOST_ROWS)
        # Of studies both: what a verdict leaves open, and what seeds and settings do.
        self._limits(page, notes=bool(main) or "limits" not in page)
        drawn = (page.get("dots", []), page.get("charts", []), page.get("reliability", []))
        figures = sum(len(some) for some in drawn)
        counts = ((len(tables), "table"), (figures, "figure"))
        there = [f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts if count]
        if rest and there:
            self._print(self._text(f"\nIn all {' and '.join(there)}: {rest}.".lstrip(), "dim"))

    def _print(self, thing: Text | RichTable | Padding | Group) -> None:
        self.console.print(thing, highlight=False, emoji=False, markup=False)

    def _text(self, text: str, style: str = "") -> Text:
        # A Text is never parsed, so "[red]x" stays what it is.
        return Text(self._sayable(one_line(text)), style)

    def _sayable(self, text: str) -> str:
        if self.unicode:
            return text
        return text.encode(self.encoding, "replace").decode(self.encoding)

    def _facts(self, page: Page) -> RichTable:
        grid = RichTable.grid(padding=(0, 2, 0, 0))
        grid.add_column(max_width=max(12, self.console.width // 3), overflow="fold")
        grid.add_column(overflow="fold")
        for fact in page["facts"]:
            grid.add_row(self._text(fact["name"], "dim"), self._text(fact["value"]))
        return grid

    def _item(self, note: str) -> RichTable:
        grid = RichTable.grid(padding=(0, 1, 0, 0))
        grid.add_column(width=1)
        grid.add_column(overflow="fold")
        grid.add_row(Text("•" if self.unicode else "-"), self._text(note))
        return grid

    def _table(self, table: Table, *, most: int | None = None, signs: bool = True) -> None:
        """Print a table.

        Parameters
        ----------
        table : to be printed.
        most : rows at most, and columns as far as there is room: how many more there are is said.
            None is all.
        signs : whether the meaning of its signs is said.
        """
        self._print(Text("\n").append_text(self._text(table["title"], "bold")))
        caption = table.get("caption", "")
        if caption:
            # On one screen its first sentence has to do.
            first = caption if most is None else caption.partition(". ")[0].rstrip(".") + "."
            self._print(self._text(first, "dim"))
        shown: Table = {**table, "rows": table["rows"][:most]}
        if most is not None:
            shown = self._fitting(shown)
        widths = self._widths(shown)
        if sum(widths) + _GAP * (len(widths) - 1) <= self.console.width:
            self._print(self._grid(shown, widths))
        else:
            room = self.console.width - _NARROW_GAP * (len(widths) - 1)
            narrow = self._narrowed(shown, widths, room)
            if narrow is not None:
                self._print(self._grid(shown, narrow, narrow=True))
            else:
                self._rows(shown)
        if not table["rows"]:
            self._print(Text("No rows.", "dim italic"))
        left = [
            f"{more} {name}{'' if more == 1 else 's'}"
            for more, name in (
                (len(table["rows"]) - len(shown["rows"]), "row"),
                (len(table["columns"]) - len(shown["columns"]), "column"),
            )
            if more
        ]
        if left:
            self._print(Text(f"and {' and '.join(left)} more", "dim italic"))
        if signs:
            self._signs(shown)

    def _fitting(self, table: Table) -> Table:
        """The table with as many of its columns as stand side by side."""
        for count in range(len(table["columns"]), 2, -1):
            part: Table = {
                **table,
                "columns": table["columns"][:count],
                "rows": [{**row, "cells": row["cells"][:count]} for row in table["rows"]],
            }
            room = self.console.width - _NARROW_GAP * (count - 1)
            if self._narrowed(part, self._widths(part), room) is not None:
                return part
        return table

    def _rows(self, table: Table) -> None:
        """Print a table that no lines are wide enough for: each row as names with values."""
        names = [self._sayable(one_line(column["name"])) for column in table["columns"]]
        for row in table["rows"]:
            text = self._cell(row, 0)
            pairs = [
                f"{name} {shown}" if name else shown
                for index, name in enumerate(names)
                if index and (shown := self._shown(row["cells"][index]))
            ]
            text.append(": " if str(text) and pairs else "")
            text.append("; ".join(pairs), "")
            self._print(text)

    def _signs(self, table: Table) -> None:
        signs = Text()
        for mark in marks_used(table):
            signs.append(f"{self._symbol(mark)} ", _MARK_STYLES[mark])
            signs.append(f"{MARK_SIGNS[mark].meaning}   ", "dim")
        if signs:
            signs.rstrip()
            self._print(signs)

    def _reliability(self, chart: Reliability) -> None:
        self._print(Text("\n").append_text(self._text(chart["title"], "bold")))
        for panel in chart["panels"]:
            self._print(self._item(f"{panel['name']}: {'; '.join(panel_facts(panel))}"))

    def _grid(self, table: Table, widths: list[int], *, narrow: bool = False) -> RichTable:
        grid = RichTable(
            box=_BOX if self.unicode else _ASCII_BOX,
            show_edge=False,
            pad_edge=False,
            padding=(0, 1, 0, 0) if narrow else (0, 1),
            header_style="bold",
        )
        for column, width in zip(table["columns"], widths, strict=True):
            grid.add_column(
                self._text(column["name"]),
                justify="right" if column.get("align") == "right" else "left",
                max_width=width,
                overflow="fold",
            )
        for row in table["rows"]:
            cells = [self._cell(row, index) for index in range(len(widths))]
            if narrow:
                # An interval that has no room beside its value stands whole beneath it.
                cells = [
                    _broken(cell) if cell.cell_len > width else cell
                    for cell, width in zip(cells, widths, strict=True)
                ]
            grid.add_row(*cells)
        return grid

    def _cell(self, row: Row, index: int) -> Text:
        cell = row["cells"][index]
        mark = cell.get("mark")
        if mark is not None:
            return Text(self._shown(cell), _MARK_STYLES[mark])
        return Text(self._shown(cell), "bold" if index == 0 and row.get("header") else "")

    def _shown(self, cell: Cell) -> str:
        mark = cell.get("mark")
        text = self._sayable(one_line(cell["text"]))
        return text if mark is None else f"{text} {self._symbol(mark)}"

    def _symbol(self, mark: str) -> str:
        sign = MARK_SIGNS[mark]
        return sign.symbol if self.unicode else sign.plain_symbol

    def _widths(self, table: Table) -> list[int]:
        bodies = self._body_widths(table)
        return [
            max(cell_len(self._sayable(one_line(column["name"]))), body, 1)
            for column, body in zip(table["columns"], bodies, strict=True)
        ]

    def _body_widths(self, table: Table) -> list[int]:
        return [
            max((cell_len(self._shown(row["cells"][index])) for row in table["rows"]), default=0)
            for index in range(len(table["columns"]))
        ]

    def _narrowed(self, table: Table, widths: list[int], room: int) -> list[int] | None:
        """Return widths that fit in `room`, at the price of more lines; None where none do.

        Numbers keep their line as far as there is room, then words.
        """
        least, columns = [], table["columns"]
        for index, (column, width) in enumerate(zip(columns, widths, strict=True)):
            heading = self._sayable(one_line(column["name"])).split()
            word = max((cell_len(part) for part in heading), default=1)
            if column.get("align") == "right":
                cells = [self._shown(row["cells"][index]) for row in table["rows"]]
                parts = [part for cell in cells for part in cell.replace(" [", "\n[").split("\n")]
                word = max([word, *(cell_len(part) for part in parts)])
            else:
                word = max(word, _WORDS)
            least.append(min(width, word))
        spare = room - sum(least)
        if spare < 0:
            return None
        # Numbers first: a broken interval reads worse than a broken sentence.
        order = sorted(range(len(widths)), key=lambda k: columns[k].get("align") != "right")
        for index in order:
            more = min(widths[index] - least[index], spare)
            if columns[index].get("align") == "right" and more < widths[index] - least[index]:
                continue
            least[index] += more
            spare -= more
        return least


def _broken(cell: Text) -> Text:
    """A cell whose interval begins a line."""
    place = cell.plain.find(" [")
    if place < 0:
        return cell
    return Text("\n").join([cell[:place], cell[place + 1 :]])


def _findings_table(findings: list[Finding]) -> Table:
    """The findings as a table: what, how much, and whether it is shown."""
    rows: list[Row] = [
        {
            "cells": [
                {"text": finding["text"]},
                {"text": finding.get("size", "")},
                {"text": finding["verdict"], "mark": finding.get("mark")},
            ]
        }
        for finding in findings
    ]
    columns: list[Column] = [{"name": "Finding"}, {"name": "Size"}, {"name": "Verdict"}]
    return {"title": "Findings", "columns": columns, "rows": rows}

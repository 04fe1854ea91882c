"""A page in the terminal: tables and notes. Pictures are left to the page and the figures.

Of a chart its numbers are printed as a table, of a reliability diagram a line a panel.
"""

from __future__ import annotations

from rich.box import Box
from rich.cells import cell_len
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from fairlora.report.chart_table import chart_table
from fairlora.report.page import Cell, Page, Reliability, Row, Table, clean_page, marks_used
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
}
# Two spaces between columns, in the box's divider and the cell's padding.
_GAP = 3
# In a table that does not fit, a heading longer than this breaks into lines.
_HEADING = 14


def print_page(page: Page, console: Console | None = None) -> None:
    """Print `page` to `console` (standard output by default).

    A table wider than the terminal breaks its headings and its first column into lines, and is
    printed in parts that repeat the first column if it is still too wide. Nothing is cut off.
    Marked cells carry a symbol beside their colour. Text from data is printed as it is: rich reads
    no markup in it, and characters that the output's encoding lacks become question marks.

    Raises
    ------
    InputError (a ValueError): `page` is malformed; the message names the key.
    """
    ready = clean_page(page)
    printer = _Printer(console or Console())
    printer.page(ready)


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
        for table in page.get("tables", []):
            self._table(table)
        for drawn in page.get("charts", []):
            self._table(chart_table(drawn, compact=True))
        for chart in page.get("reliability", []):
            self._reliability(chart)
        if page.get("notes"):
            self._print(Text("\nWhat this does not show", "bold yellow"))
            for note in page["notes"]:
                self._print(self._item(note))

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

    def _table(self, table: Table) -> None:
        self._print(Text("\n").append_text(self._text(table["title"], "bold")))
        if table.get("caption"):
            self._print(self._text(table["caption"], "dim"))
        widths = self._widths(table)
        if sum(widths) + _GAP * (len(widths) - 1) > self.console.width:
            widths = self._narrowed(table, widths)
        for number, columns in enumerate(_parts(widths, self.console.width)):
            if number:
                self._print(Text())
            self._print(self._part(table, columns, widths))
        if not table["rows"]:
            self._print(Text("No rows.", "dim italic"))
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

    def _part(self, table: Table, columns: list[int], widths: list[int]) -> RichTable:
        part = RichTable(
            box=_BOX if self.unicode else _ASCII_BOX,
            show_edge=False,
            pad_edge=False,
            padding=(0, 1),
            header_style="bold",
        )
        for index in columns:
            column = table["columns"][index]
            part.add_column(
                self._text(column["name"]),
                justify="right" if column.get("align") == "right" else "left",
                max_width=widths[index],
                overflow="fold",
            )
        for row in table["rows"]:
            part.add_row(*(self._cell(row, index) for index in columns))
        return part

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

    def _narrowed(self, table: Table, widths: list[int]) -> list[int]:
        """Return widths that let more columns stand side by side, at the price of more lines."""
        narrowed = [min(widths[0], max(8, self.console.width // 3))]
        bodies = self._body_widths(table)
        for column, width, body in zip(table["columns"][1:], widths[1:], bodies[1:], strict=True):
            words = self._sayable(one_line(column["name"])).split()
            longest = max((cell_len(word) for word in words), default=0)
            narrowed.append(min(width, max(body, longest, _HEADING)))
        return narrowed


def _parts(widths: list[int], room: int) -> list[list[int]]:
    """Return the columns of each part: the first column, then as many others as fit in `room`."""
    parts: list[list[int]] = []
    current, used = [0], widths[0]
    for index in range(1, len(widths)):
        needed = widths[index] + _GAP
        if len(current) > 1 and used + needed > room:
            parts.append(current)
            current, used = [0], widths[0]
        current.append(index)
        used += needed
    return [*parts, current]

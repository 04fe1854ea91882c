"""A page's tables as LaTeX (booktabs), for a paper, and the numbers of its charts as tables.

Pictures are left to the figures.

Names in a table come from files that anyone may have written, and TeX can read files and run
commands: so every character that TeX gives a meaning is written out as a command for its shape, and
no text from data can name a command of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fairlora.report.chart_table import chart_table
from fairlora.report.page import Cell, Column, Page, Row, Table, clean_page, marks_used
from fairlora.report.text import MARK_SIGNS, one_line, slug

_HEAD = """\
% Made by fairlora. The preamble needs \\usepackage{booktabs}.
% Names in other scripts than Latin stand here as they are: compile with XeLaTeX or LuaLaTeX and a
% font that has the letters."""

# A bracket or star after \\ would be read as its option, and quotes and grave accents make
# ligatures or, with babel, commands.
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\char34{}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "-": "-{}",
    "\u2212": r"\ensuremath{-}",
    "\u00d7": r"\ensuremath{\times}",
    "\u00b1": r"\ensuremath{\pm}",
    "\u2264": r"\ensuremath{\leq}",
    "\u2265": r"\ensuremath{\geq}",
    "\u2192": r"\ensuremath{\rightarrow}",
    "\ufffd": "?",
    **{character: "\\" + character for character in "&%$#_{}"},
}
# A lone hyphen stays; two would become a dash.
_SPECIAL = re.compile(r'[\\~^<>|`"\[\]*&%$#_{}\u2212\u00d7\u00b1\u2264\u2265\u2192\ufffd]|-(?=-)')
_MARKED = {
    "best": r"\textbf{%s}",
    "worst": r"\textit{%s}$^\ddagger$",
    "small": r"%s$^\dagger$",
    "beyond": r"%s$^\bullet$",
    "better": r"\textbf{%s}$^\uparrow$",
    "worse": r"\textit{%s}$^\downarrow$",
    "equal": r"%s$^\approx$",
    "open": r"%s$^\circ$",
}
_LEGEND = {
    "best": r"\textbf{Bold}",
    "worst": r"\textit{Italics}$^\ddagger$",
    "small": r"$^\dagger$",
    "beyond": r"$^\bullet$",
    "better": r"$^\uparrow$",
    "worse": r"$^\downarrow$",
    "equal": r"$^\approx$",
    "open": r"$^\circ$",
}

# Longer texts than this get a column that breaks lines, longer headings two lines.
_LONG_CELL = 36
_LONG_HEADING = 11
_MANY_COLUMNS = 6


def to_latex(page: Page) -> str:
    """Return the tables of `page` as LaTeX tables, and its notes as a small paragraph.

    The numbers of its charts follow as tables; draw the charts with `chart_figure`. Labels are
    ``tab:`` and the title in plain letters. Dot plots and reliability diagrams are left out: draw
    those with `dots_figure` and `reliability_figure`.

    Raises
    ------
    InputError (a ValueError): `page` is malformed; the message names the key.
    """
    return "\n\n".join(_blocks(clean_page(page))) + "\n"


def escape(text: str) -> str:
    r"""Return `text` on one line and with everything that TeX would read as a command escaped.

    >>> print(escape("\\input{/etc/passwd} 50% of skin_tone"))
    \textbackslash{}input\{/etc/passwd\} 50\% of skin\_tone
    """
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], one_line(text))


def _blocks(page: Page) -> Iterator[str]:
    yield f"{_HEAD}\n% Page: {escape(page['title'])}"
    labels: dict[str, int] = {}
    charts = [chart_table(chart, compact=True) for chart in page.get("charts", [])]
    for table in [*page.get("tables", []), *charts]:
        name = slug(table["title"] or page["title"])
        labels[name] = labels.get(name, 0) + 1
        # Two hyphens never come out of a slug, so a number cannot make another title's label.
        label = name if labels[name] == 1 else f"{name}--{labels[name]}"
        yield "\n".join(_table_lines(table, label, page["title"]))
    if page.get("notes"):
        notes = "\n".join(_sentence(note) for note in page["notes"])
        yield f"{{\\footnotesize\\noindent\\textbf{{What this does not show.}}\n{notes}\\par}}"


def _table_lines(table: Table, label: str, page_title: str) -> Iterator[str]:
    many = len(table["columns"]) > _MANY_COLUMNS
    # A table without a title is the page's; without any title it still has its number.
    caption_words = [table["title"] or page_title, table.get("caption", "")]
    yield r"\begin{table}[htbp]"
    yield r"\centering"
    yield r"\footnotesize\setlength{\tabcolsep}{3pt}" if many else r"\small"
    yield f"\\caption{{{' '.join(_sentence(text) for text in caption_words if one_line(text))}}}"
    yield f"\\label{{tab:{label}}}"
    yield f"\\begin{{tabular}}{{@{{}}{_layout(table)}@{{}}}}"
    yield r"\toprule"
    yield " & ".join(_heading(column) for column in table["columns"]) + r" \\"
    yield r"\midrule"
    for row in table["rows"]:
        yield _row(row)
    if not table["rows"]:
        yield f"\\multicolumn{{{len(table['columns'])}}}{{@{{}}l@{{}}}}{{No rows.}} \\\\"
    yield r"\bottomrule"
    yield r"\end{tabular}"
    marks = marks_used(table)
    if marks:
        signs = ". ".join(f"{_LEGEND[mark]}: {MARK_SIGNS[mark].meaning}" for mark in marks)
        yield f"\\par\\smallskip{{\\footnotesize {signs}.\\par}}"
    yield r"\end{table}"


def _layout(table: Table) -> str:
    """Return the column letters: r, l, or p for texts too long for one line."""
    letters = []
    for index, column in enumerate(table["columns"]):
        longest = max((len(row["cells"][index]["text"]) for row in table["rows"]), default=0)
        right = column.get("align") == "right"
        letters.append("r" if right else "p" if longest > _LONG_CELL else "l")
    broken = f"p{{{0.6 / max(letters.count('p'), 2):.2f}\\linewidth}}"
    return "".join(broken if letter == "p" else letter for letter in letters)


def _heading(column: Column) -> str:
    """Return the column's name, a long one broken in two at the space nearest its middle."""
    name = one_line(column["name"])
    spaces = [found.start() for found in re.finditer(" ", name)]
    if len(name) <= _LONG_HEADING or not spaces:
        return escape(name)
    place = min(spaces, key=lambda space: abs(2 * space - len(name)))
    side = "r" if column.get("align") == "right" else "l"
    return f"\\shortstack[{side}]{{{escape(name[:place])}\\\\{escape(name[place:])}}}"


def _row(row: Row) -> str:
    return " & ".join(_cell(cell) for cell in row["cells"]) + r" \\"


def _cell(cell: Cell) -> str:
    text = escape(cell["text"])
    mark = cell.get("mark")
    return text if mark is None else _MARKED[mark] % text


def _sentence(text: str) -> str:
    text = one_line(text)
    return escape(text if text.endswith((".", "!", "?", ":")) else f"{text}.")

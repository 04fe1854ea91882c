"""The numbers of a chart, a dot plot or a table as CSV: as plotted, one row a point, not rounded.

Names come from data, and a spreadsheet runs a cell that begins like a formula. So a text that does
gets an apostrophe before it, by which every spreadsheet knows a text; numbers stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral, Real

from fairlora.errors import clean
from fairlora.report.chart import Chart, clean_chart
from fairlora.report.dots_view import finite
from fairlora.report.page import (
    Dots,
    Reliability,
    Table,
    clean_dots,
    clean_reliability,
    clean_table,
)

# What begins a formula in some spreadsheet; full-width signs count as the plain ones.
_FORMULA = re.compile("[=+\\-@\uff1d\uff0b\uff0d\uff20\t\r\n]")
# A number written out may begin with its sign, and with "%" it is one still.
_NUMBER = re.compile(r"[+-]?(\d[\d,]*)?\.?\d+([eE][+-]?\d+)?%?")
# A semicolon or tab inside quotes cannot begin a cell where the file is read by those.
_QUOTED = re.compile(r"""[",;'\t\r\n]|^\s|\s$""")

_Cell = str | float | int | None


def chart_csv(chart: Chart) -> str:
    """Return the numbers of `chart` as CSV, with a row of names first.

    The columns are ``role`` (point or reference), ``series``, then ``category`` and ``n`` of bars,
    or ``x`` (a scatter's with ``x_low`` and ``x_high``), then ``y``, ``low``, ``high``; ``label``
    if any point has one, and ``mark_1``, ``mark_2`` ... if any has marks. Shares are 0 to 1. What
    is missing or not finite is empty.

    Raises
    ------
    InputError (a ValueError): `chart` is malformed; the message names the key.
    """
    ready = clean_chart(chart)
    points = [(series["name"], point) for series in ready["series"] for point in series["points"]]
    most = max((len(point.get("marks", [])) for _, point in points), default=0)
    labelled = any(point.get("label") for _, point in points)
    places = {"bars": ("category", "n"), "lines": ("x",), "scatter": ("x", "x_low", "x_high")}
    rows: list[dict[str, _Cell]] = []
    for name, point in points:
        row: dict[str, _Cell] = {"role": "point", "series": name}
        if ready["kind"] == "bars":
            category = ready["categories"][int(point["x"] or 0)]
            row |= {"category": category["label"], "n": category.get("n")}
        else:
            row |= {key: _number(point.get(key)) for key in ("x", "x_low", "x_high")}
        row |= {key: _number(point.get(key)) for key in ("y", "low", "high")}
        row["label"] = point.get("label")
        rows.append(row | _marks(point.get("marks", [])))
    for reference in ready.get("references", []):
        ends = {key: _number(reference.get(key)) for key in ("low", "high")}
        rows.append(
            {
                "role": "reference",
                "series": reference["name"],
                "y": _number(reference["value"]),
                **ends,
            }
        )
    names = ["role", "series", *(["label"] if labelled else []), *places[ready["kind"]]]
    return _written([*names, "y", "low", "high", *_mark_names(most)], rows)


def dots_csv(dots: Dots) -> str:
    """Return the numbers of `dots` as CSV, with a row of names first.

    The columns are ``role`` (point or reference), ``panel``, ``label``, ``n``, ``series``,
    ``value``, ``low``, ``high``; ``strong`` if any point says so, and ``mark_1``, ``mark_2`` ... if
    any has marks. Shares are 0 to 1. What is missing or not finite is empty.

    Raises
    ------
    InputError (a ValueError): `dots` is malformed; the message names the key.
    """
    ready = clean_dots(dots)
    most, any_strong = 0, False
    rows: list[dict[str, _Cell]] = []
    for panel in ready["panels"]:
        for line in panel["rows"]:
            for point in line["points"]:
                marks = point.get("marks", [])
                most, any_strong = max(most, len(marks)), any_strong or "strong" in point
                row: dict[str, _Cell] = {"role": "point", "panel": panel["name"]}
                row |= {"label": line["label"], "n": line.get("n"), "series": point["series"]}
                row |= {key: _number(point.get(key)) for key in ("value", "low", "high")}
                strong = point.get("strong")
                row["strong"] = None if strong is None else str(strong).lower()
                rows.append(row | _marks(marks))
    if "reference" in ready:
        rows.append({"role": "reference", "value": _number(ready["reference"])})
    names = ["role", "panel", "label", "n", "series", "value", "low", "high"]
    return _written([*names, *(["strong"] if any_strong else []), *_mark_names(most)], rows)


def table_csv(table: Table) -> str:
    """Return `table` as CSV: its columns' names, then its cells as they read. Marks are left out.

    Raises
    ------
    InputError (a ValueError): `table` is malformed; the message names the key.
    """
    ready = clean_table(table)
    lines = [[column["name"] for column in ready["columns"]]]
    lines += [[cell["text"] for cell in row["cells"]] for row in ready["rows"]]
    return "".join(_line(line) for line in lines)


def reliability_csv(chart: Reliability) -> str:
    """Return the bins of reliability diagrams as CSV, a row a bin; what is not known is empty.

    Raises
    ------
    InputError (a ValueError): `chart` is malformed; the message names the key.
    """
    ready = clean_reliability(chart)
    names = ["low", "high", "rows", "confidence", "accuracy", "accuracy_low", "accuracy_high"]
    rows: list[dict[str, _Cell]] = [
        {"panel": panel["name"], **{name: _number(dict(each_bin)[name]) for name in names}}
        for panel in ready["panels"]
        for each_bin in panel["bins"]
    ]
    return _written(["panel", *names], rows)


def records_csv(rows: Sequence[Mapping[str, str | float | int | None]]) -> str:
    """Return plain records as CSV, with their keys as names; a key that a record lacks is empty.

    >>> print(records_csv([{"run": "a", "accuracy": 0.9}, {"run": "=b", "seed": 1}]), end="")
    run,accuracy,seed
    a,0.9,
    "'=b",,1
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    return _written(names, [dict(row) for row in rows])


def _written(names: Sequence[str], rows: Iterable[dict[str, _Cell]]) -> str:
    lines: Iterator[list[_Cell]] = ([row.get(name) for name in names] for row in rows)
    return _line(names) + "".join(_line(line) for line in lines)


def _line(cells: Sequence[_Cell]) -> str:
    return ",".join(_cell(cell) for cell in cells) + "\n"


def _cell(cell: _Cell) -> str:
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return repr(cell)
    text = clean(cell)
    if _FORMULA.match(text.lstrip(" ")) and not _NUMBER.fullmatch(text):
        text = f"'{text}"
    quoted = text.replace('"', '""')
    return f'"{quoted}"' if _QUOTED.search(text) else text


def _number(value: object) -> float | int | None:
    """Return a number as Python writes it in full, or None where none is known."""
    if isinstance(value, Integral):
        return int(value)
    return finite(float(value)) if isinstance(value, Real) else None


def _mark_names(most: int) -> list[str]:
    return [f"mark_{index + 1}" for index in range(most)]


def _marks(marks: Sequence[float]) -> dict[str, _Cell]:
    return {f"mark_{index + 1}": _number(mark) for index, mark in enumerate(marks)}

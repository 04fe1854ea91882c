"""Draw a dot plot: a row a group with its label and number of cases, a marker and line a series."""

from __future__ import annotations

import os
from typing import Any

from matplotlib.figure import Figure

from fairlora.report.chart_scale import Tick
from fairlora.report.dots_view import (
    Axis,
    axis_for,
    count_text,
    finite,
    has_counts,
    has_weak,
    number_text,
    point_marks,
    point_span,
    point_text,
    reference_text,
    series_names,
    tick_text,
    weak,
)
from fairlora.report.page import DotRow, Dots, Panel, Point, clean_dots
from fairlora.report.picture import written
from fairlora.report.sheet import WIDE, Drawing, Plot, Sheet, fitting, width_of
from fairlora.report.style import (
    GREY,
    HAIR,
    INK,
    LEADING,
    PAPER,
    SIZE,
    SMALL,
    SeriesLook,
    compared,
    look_of,
)
from fairlora.report.text import one_line, wrapped

# Letters to a line of a row's label, as a share of the figure's width.
_LABEL_SHARE = 0.33
_LINE = LEADING * SIZE
_MARKS_TOLD = 12


def dots_figure(dots: Dots, path: str | os.PathLike[str] | None = None) -> Figure:
    """Draw `dots` to `path` as PNG, SVG or PDF, by its suffix; whole or not at all.

    Returns the figure; without a path it is drawn and not written.

    Series differ in marker, and in colours that the colour-blind tell apart. The same input gives
    the same file. Long labels break into lines.

    Raises
    ------
    InputError (a ValueError): `dots` is malformed (the message names the key), or the suffix is
        not .png, .svg or .pdf.
    OSError: the file cannot be written; what was there before stays.
    """
    ready = clean_dots(dots)
    return written(path, ready["title"], lambda: draw_dots(ready, WIDE, ready["title"]))


def draw_dots(dots: Dots, width: float, title: str = "") -> Drawing:
    """Draw `dots` (checked and clean).

    Parameters
    ----------
    dots : what to draw.
    width : of the drawing, in points.
    title : what stands above it; nothing where a page has the title.
    """
    names = series_names(dots)
    panels = [panel for panel in dots["panels"] if panel["rows"]]
    sheet = Sheet(width, title)
    if not panels:
        sheet.lines_of_text(["No rows."], color=GREY)
        return sheet.finished()
    sheet.legend(_legend(names, dots))
    axis = axis_for(dots)
    labels = [[_label(row, width) for row in panel["rows"]] for panel in panels]
    heads = [wrapped(panel["name"], fitting(_LABEL_SHARE * width, SIZE * 1.08)) for panel in panels]
    widths = [width_of(line, SIZE) for panel in labels for label in panel for line in label]
    named = max(*widths, *(1.1 * width_of(line, SIZE) for head in heads for line in head))
    counts = [count_text(row) for panel in panels for row in panel["rows"]]
    counted = max(width_of(text, SIZE) for text in counts)
    left = named + (counted + 14 if counted else 0.0) + 10
    for panel, head, lines in zip(panels, heads, labels, strict=True):
        sheet.y += _LINE + 4
        if len(panels) > 1 or one_line(panel["name"]).casefold() not in one_line(title).casefold():
            for line in head:
                sheet.write(0, sheet.y, line, weight="bold")
                sheet.y += _LINE
            sheet.y -= _LINE
        if has_counts(panel):
            sheet.write(left - 10, sheet.y, "n", color=GREY, ha="right")
        sheet.y += 4
        _draw_panel(sheet, panel, lines, left, names, axis, dots)
    marks = any(point_marks(p) for panel in panels for row in panel["rows"] for p in row["points"])
    ticks = " Thin ticks: the individual values behind it." if marks else ""
    sheet.notes(f"Marker: the value. Line: its interval.{ticks}")
    return sheet.finished()


def _label(row: DotRow, width: float) -> list[str]:
    return wrapped(row["label"], fitting(_LABEL_SHARE * width, SIZE))


def _draw_panel(
    sheet: Sheet,
    panel: Panel,
    labels: list[list[str]],
    left: float,
    names: list[str],
    axis: Axis,
    dots: Dots,
) -> None:
    """Draw the rows of a panel beneath each other, and the axis beneath them.

    Parameters
    ----------
    sheet : what to draw on.
    panel : what to draw.
    labels : of the rows, in lines.
    left : where the axis begins, in points from the left edge.
    names : of the series.
    axis : of all panels.
    dots : whose panel it is.
    """
    # All rows are as high as the highest, so that the plot counts in rows.
    row_height = max(11.0 * len(names) + 6, _LINE * max(map(len, labels)) + 7)
    top, count = sheet.y, len(panel["rows"])
    plot = sheet.plot(left, sheet.width - 10, row_height * count)
    plot.limits = ((axis.low, axis.high), (count - 0.5, -0.5))
    places = [axis.place(tick) for tick in axis.ticks]
    plot.grid(upright=places)
    start = -left / plot.width
    rules = [[(start, row / count), (1.0, row / count)] for row in range(1, count + 1)]
    plot.lines(rules, color=HAIR, lw=0.8, zorder=0.4)
    if "reference" in dots:
        x = axis.place(dots["reference"])
        plot.lines([[(x, 0.0), (x, 1.0)]], zorder=1, **compared())
    for index, (row, lines) in enumerate(zip(panel["rows"], labels, strict=True)):
        middle = top + row_height * (index + 0.5) + 0.36 * SIZE
        for number, line in enumerate(lines):
            sheet.write(0, middle + _LINE * (number - (len(lines) - 1) / 2), line)
        if count_text(row):
            sheet.write(left - 10, middle, count_text(row), color=GREY, ha="right")
    lane = 0.8 / max(len(names), 1)
    for index, name in enumerate(names):
        shown = [
            (1 - (row_index + 0.1 + lane * (index + 0.5)) / count, row, point)
            for row_index, row in enumerate(panel["rows"])
            for point in row["points"]
            if point["series"] == name
        ]
        _draw_series(sheet, plot, look_of(index), [(y, point) for y, _, point in shown], axis)
        for y, row, point in shown:
            text = f"{_row_words(row)}, {one_line(name)}: {_point_words(point, dots)}"
            height = lane * row_height
            sheet.tip(text, (left, plot.y(y) - height / 2, plot.width, height))
    texts = [tick_text(tick, axis.step, dots["unit"]) for tick in axis.ticks]
    sheet.x_axis(plot, [Tick(*pair) for pair in zip(places, texts, strict=True)])


def _draw_series(
    sheet: Sheet, plot: Plot, look: SeriesLook, points: list[tuple[float, Point]], axis: Axis
) -> None:
    """Draw whiskers, marks and markers of a series, and hollow ones where values are missing.

    Parameters
    ----------
    sheet, plot : what to draw on.
    look : of the series.
    points : each with its place on the upright axis.
    axis : of the values.
    """
    place = axis.place
    whiskers = [[(place(end), y) for end in span] for y, p in points if (span := point_span(p))]
    plot.lines(whiskers, color=look.ink, lw=1.2, alpha=0.8)
    half = 2.5 / plot.height
    marks = [(place(mark), y) for y, point in points for mark in point_marks(point)]
    plot.lines([[(x, y - half), (x, y + half)] for x, y in marks], color=look.ink, lw=1, alpha=0.6)
    for hollow in (False, True):
        values = [
            [(place(value), y)]
            for y, point in points
            if weak(point) == hollow and (value := finite(point["value"])) is not None
        ]
        plot.lines(values, ls="", zorder=3, **look.marker(hollow=hollow))
    missing = [y for y, p in points if finite(p["value"]) is None and point_span(p) is None]
    plot.lines([[(6 / plot.width, y)] for y in missing], **look.missing())
    for y in missing:
        sheet.write(plot.left + 12, plot.y(y) + 0.36 * SMALL, "no value", SMALL, color=GREY)


def _row_words(row: DotRow) -> str:
    return one_line(row["label"]) + (f", n = {count_text(row)}" if count_text(row) else "")


def _point_words(point: Point, dots: Dots) -> str:
    text = point_text(point, dots["unit"])
    if weak(point):
        text += f", not shown to differ from {_compared_with(dots)}"
    marks = point_marks(point)
    if marks:
        each = ", ".join(number_text(mark, dots["unit"]) for mark in marks[:_MARKS_TOLD])
        more = f" and {len(marks) - _MARKS_TOLD} more" if len(marks) > _MARKS_TOLD else ""
        text += f"; each: {each}{more}"
    return text


def _compared_with(dots: Dots) -> str:
    """The reference's value without its name, which may be "no difference"."""
    return number_text(dots["reference"], dots["unit"]) if "reference" in dots else "the reference"


def _legend(names: list[str], dots: Dots) -> list[tuple[str, dict[str, Any]]]:
    """Return the entries of the legend: the series, then what the line and hollow markers are."""
    entries: list[tuple[str, dict[str, Any]]] = []
    for index, name in enumerate(names):
        look = look_of(index)
        entries.append((name, {"color": look.ink, "lw": 1.2, **look.marker()}))
    if "reference" in dots:
        entries.append((f"to compare with: {reference_text(dots)}", compared()))
    if has_weak(dots):
        hollow = {"ls": "", "marker": "o", "ms": 6, "mfc": PAPER, "mec": INK, "mew": 1.1}
        entries.append((f"hollow: not shown to differ from {_compared_with(dots)}", hollow))
    return entries

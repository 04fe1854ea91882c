"""Draw a chart: bars over categories, lines over a number, or a scatter."""

from __future__ import annotations

import os
from typing import Any

from matplotlib.figure import Figure

from fairlora.report.chart import Chart, clean_chart
from fairlora.report.chart_view import (
    GROUP,
    ChartView,
    PointView,
    SeriesView,
    axis_name,
    chart_view,
    obstacles,
    reference_words,
)
from fairlora.report.labels import AxisLabels, beside_points, under_bars
from fairlora.report.picture import written
from fairlora.report.sheet import (
    NARROW,
    WIDE,
    Drawing,
    Plot,
    Sheet,
    Tip,
    fitting,
    width_of,
)
from fairlora.report.style import GREY, INK, LEADING, LETTER, PAPER, SIZE, SMALL, reference_line
from fairlora.report.text import one_line, wrapped

_HEIGHT, _NARROW_HEIGHT = 223.0, 190.0
_RIGHT = 10.0
# Where points without a value stand, above the plot.
_ABOVE = 7.0
_LEAST_SIZE = 4.2
_LABEL_LETTERS = 24
# Letters that a label of a category may have: turned upright, and leaning.
_UPRIGHT_LETTERS, _LEANING_LETTERS = 34, 18
# The least room of a category, a bar and a marker in a page, in points.
_SLOT, _BAR, _MARKER = 8.0, 3.0, 7.0
# Half a side of the square round a point that answers a pointer.
_REACH = 7.0
# Bars narrower than this have no room for a white seam beside their whisker.
_SEAM = 9.0


def chart_figure(chart: Chart, path: str | os.PathLike[str] | None = None) -> Figure:
    """Draw `chart` to `path` as PNG, SVG or PDF, by its suffix; whole or not at all.

    Returns the figure; without a path it is drawn and not written. Its axes count in the data's own
    numbers, but for a "rank" scale and the categories of bars, which count from 0.

    Series differ in marker, dash and hatching as well as in colour, so that they can be told in
    grey. The same input gives the same file. Labels of points that would cover something are left
    out.

    Raises
    ------
    InputError (a ValueError): `chart` is malformed (the message names the key), or the suffix is
        not .png, .svg or .pdf.
    OSError: the file cannot be written; what was there before stays.
    """
    ready = clean_chart(chart)
    return written(path, ready["title"], lambda: draw_chart(ready, WIDE, ready["title"]))


def least_width(chart: Chart) -> float:
    """Return how wide, in points, the drawing must be to tell every bar from the next."""
    if chart["kind"] != "bars":
        return NARROW
    lane = _BAR if chart_view(chart).solid else _MARKER
    slot = max(_SLOT, lane * len(chart["series"]) / GROUP)
    return max(NARROW, 40 + slot * len(chart["categories"]))


def draw_chart(chart: Chart, width: float, title: str = "") -> Drawing:
    """Draw `chart` (checked and clean).

    Parameters
    ----------
    chart : what to draw.
    width : of the drawing, in points.
    title : what stands above it; nothing where a page has the title.
    """
    view = chart_view(chart)
    sheet = Sheet(width, title)
    sheet.legend(_legend(view))
    sheet.lines_of_text(wrapped(axis_name(chart, "y"), fitting(width, SIZE), 2), color=GREY)
    sheet.y += 2 * _ABOVE + 2 if view.has_missing() else 8
    left = max((width_of(tick.text, SIZE) for tick in view.y.ticks), default=0.0) + 6
    plot = sheet.plot(left, width - _RIGHT, _HEIGHT if width >= WIDE else _NARROW_HEIGHT)
    plot.limits = ((view.x.low, view.x.high), (view.y.low, view.y.high))
    plot.logs = tuple(key for key, scale in (("x", view.x), ("y", view.y)) if scale.kind == "log")
    sheet.y_axis(plot, view.y.ticks)
    if chart["kind"] == "scatter":
        plot.grid(upright=[tick.place for tick in view.x.ticks])
    sheet.x_axis(plot, view.x.ticks)
    if 0 < view.floor < 1:
        plot.lines([[(0, view.floor), (1, view.floor)]], color=GREY, lw=0.8)
    _draw_references(plot, view)
    for index, series in enumerate(view.series):
        _draw_series(plot, view, series, index)
        _note_points(sheet, plot, view, series)
    sheet.tips += [Tip(reference_words(r, chart), None) for r in chart.get("references", [])]
    whole = _write_labels(sheet, plot, view) if chart["kind"] == "scatter" else True
    if not any(series.points for series in view.series):
        sheet.write(plot.x(0.5), plot.y(0.5), "No points.", color=GREY, ha="center")
    if chart["kind"] == "bars":
        _name_categories(sheet, plot, chart)
    for line in wrapped(axis_name(chart, "x"), fitting(plot.width, SIZE), 2):
        sheet.y += LEADING * SIZE
        sheet.write(plot.x(0.5), sheet.y, line, color=GREY, ha="center")
    sheet.y += 3
    sheet.notes(" ".join(_notes(view, whole)))
    return sheet.finished()


def _draw_references(plot: Plot, view: ChartView) -> None:
    for index, reference in enumerate(view.references):
        if reference.span is not None:
            band = (0.0, reference.span[0], 1.0, reference.span[1] - reference.span[0])
            plot.boxes([band], fc=INK, alpha=0.09, lw=0, zorder=0.8)
        if reference.y is not None:
            ends = [(0.0, reference.y), (1.0, reference.y)]
            plot.lines([ends], zorder=1.8, **reference_line(index))


def _draw_series(plot: Plot, view: ChartView, series: SeriesView, index: int) -> None:
    """Draw bars or lines, whiskers, marks and markers of a series.

    Parameters
    ----------
    plot : what to draw on.
    view : of the chart.
    series : what to draw.
    index : how many series are drawn already, which this one's markers stand above.
    """
    look = series.look
    # Narrow lanes of many categories get markers that fit; on a line they may touch.
    lane = view.lane * plot.width
    size = min(look.size, max(2.2, lane)) if view.lane and not view.apart else look.size
    if view.solid:
        _draw_bars(plot, view, series, lane)
    bands = [
        [(x, high) for x, _, high in band] + [(x, low) for x, low, _ in reversed(band)]
        for band in series.bands
    ]
    plot.areas(bands, fc=look.ink, alpha=0.15, lw=0, zorder=1.6)
    plot.lines(series.lines, zorder=2.7 if look.plain else 2.4, **look.line())
    upright = [[(p.x, end) for end in p.y_span] for p in series.points if p.y_span is not None]
    level = [
        [(end, point.y) for end in point.x_span]
        for point in series.points
        if point.x_span is not None and point.y is not None
    ]
    width = min(1.2, size / 4.5)
    if view.solid and lane >= _SEAM:
        # On a bar, a white seam keeps the whisker apart from a dark filling.
        plot.lines(upright, color=PAPER, lw=width + 1.2, zorder=2.45)
    whisker = INK if view.solid else look.ink
    # Whiskers in both directions would cover much, so they are paler.
    style = {"color": whisker, "lw": width, "alpha": 0.5 if level else 1.0, "zorder": 2.5}
    plot.lines(upright, **style)
    plot.lines(level, **style)
    half = min(2.5, size / 2) / plot.width
    marks = [[(p.x - half, mark), (p.x + half, mark)] for p in series.points for mark in p.marks]
    plot.lines(marks, color=whisker, lw=1.0, alpha=0.55, zorder=2.6)
    if not view.solid:
        values = [[(p.x, p.y)] for p in series.points if p.y is not None and p.marked]
        plot.lines(values, ls="", zorder=3 + index, **look.marker(size))
    above = 1 + _ABOVE / plot.height
    missing = [[(point.x, above)] for point in series.points if point.missing]
    plot.lines(missing, **look.missing() | {"ms": size})


def _draw_bars(plot: Plot, view: ChartView, series: SeriesView, lane: float) -> None:
    width = 0.94 * view.lane
    bars = [
        (point.x - width / 2, view.floor, width, point.y - view.floor)
        for point in series.points
        if point.y is not None
    ]
    plot.boxes(bars, zorder=2, **series.look.bar(thin=lane < 5))


def _note_points(sheet: Sheet, plot: Plot, view: ChartView, series: SeriesView) -> None:
    """Note what each point says: in the lane of its bar, or in a square round its marker."""
    for point in series.points:
        text = f"{one_line(series.name)}, {point.words}"
        if series.look.plain or (point.y is None and point.y_span is None and not point.missing):
            sheet.tip(text)
        elif view.solid:
            width = view.lane * plot.width
            sheet.tip(text, (plot.x(point.x) - width / 2, plot.top, width, plot.height))
        elif point.marked or point.missing:
            y = plot.top - _ABOVE if point.y is None else plot.y(point.y)
            if point.y is None and point.y_span is not None:
                y = plot.y(sum(point.y_span) / 2)
            sheet.tip(text, (plot.x(point.x) - _REACH, y - _REACH, 2 * _REACH, 2 * _REACH))
        else:
            sheet.tip(text)


def _name_categories(sheet: Sheet, plot: Plot, chart: Chart) -> None:
    """Write the labels of categories under their bars: level, leaning, upright or in part."""
    categories = chart["categories"]
    labels = [one_line(category["label"]) for category in categories]
    counts = [f"n = {n:,}" if (n := c.get("n")) is not None else "" for c in categories]
    slot = plot.width / max(len(categories), 1)
    size = min(SIZE, max(_LEAST_SIZE, slot / 1.06))
    # On a phone a leaning label would reach out of the page.
    leaning = _LEANING_LETTERS if sheet.width >= WIDE else 0
    laid = under_bars(labels, counts, slot, LETTER * size, _UPRIGHT_LETTERS, leaning)
    top = plot.top + plot.height
    for index, lines in enumerate(laid.lines):
        _write_category(sheet, plot.x((index + 0.5) / len(categories)), top, lines, laid, size)
    longest = max((width_of(line, size) for lines in laid.lines for line in lines), default=0.0)
    heights = {0: LEADING * size * laid.most_lines + 4, 40: 0.65 * longest + size + 6}
    sheet.y = top + heights.get(laid.angle, longest + 6)


def _write_category(
    sheet: Sheet, x: float, top: float, lines: list[str], laid: AxisLabels, size: float
) -> None:
    for index, line in enumerate(lines):
        # A text turned about its end begins with its baseline, beside the middle of its bar.
        beside = (index - (len(lines) - 1) / 2) * LEADING * size + 0.36 * size
        if laid.angle == 0:
            sheet.write(x, top + LEADING * size * (index + 1) + 1, line, size, ha="center")
        elif laid.angle == 90:
            sheet.write(x + beside, top + 4, line, size, ha="right", rotation=90)
        else:
            sheet.write(x + beside, top + size, line, size, ha="right", rotation=laid.angle)


def _write_labels(sheet: Sheet, plot: Plot, view: ChartView) -> bool:
    """Write the labels of points beside them where they cover nothing; whether all had room."""
    points = [point for series in view.series for point in series.points]
    texts = [
        wrapped(point.label, _LABEL_LETTERS, most=2) if point.label else [] for point in points
    ]
    sizes = [
        (max(width_of(line, SMALL) for line in lines), LEADING * SMALL * len(lines))
        if lines
        else None
        for lines in texts
    ]
    area = (plot.width, plot.height)
    places = [(point.x * area[0], (point.y or 0.0) * area[1]) for point in points]
    boxes = beside_points(places, sizes, area, obstacles(view, area))
    for lines, box in zip(texts, boxes, strict=True):
        for index, line in enumerate(lines if box is not None else []):
            assert box is not None
            down = (index - (len(lines) - 1) / 2) * LEADING * SMALL + 0.36 * SMALL
            y = plot.top + plot.height - box.y + down
            sheet.write(plot.left + box.x, y, line, SMALL, ha="center")
    return all((box is None) == (size is None) for box, size in zip(boxes, sizes, strict=True))


def _notes(view: ChartView, whole: bool) -> list[str]:
    """Return what the reader must know of the drawing's marks, in sentences."""
    points: list[PointView] = [point for series in view.series for point in series.points]
    notes = {
        "Whisker: the interval.": view.has_spans(),
        "Band: the interval.": any(series.bands for series in view.series),
        "Thin ticks: the individual values behind a point.": any(p.marks for p in points),
        "Points at one place are set a little apart.": view.apart,
        "Grey band: the interval of a line to compare with.": any(r.span for r in view.references),
        "Hollow, above the plot: no value.": view.has_missing(),
        f"{view.unplaced_words()}.": bool(view.unplaced),
        "Labels that would cover something are left out.": not whole,
    }
    return [text for text, applies in notes.items() if applies]


def _legend(view: ChartView) -> list[tuple[str, dict[str, Any]]]:
    entries: list[tuple[str, dict[str, Any]]] = []
    for series in view.series:
        look = series.look
        if view.solid:
            entries.append((series.name, look.bar()))
            continue
        line = look.line() if series.lines else {"ls": ""}
        entries.append((series.name, line | ({} if look.plain else look.marker())))
    entries += [(r.text, reference_line(index)) for index, r in enumerate(view.references)]
    return entries

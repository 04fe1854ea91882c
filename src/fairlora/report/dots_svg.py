"""A dot plot as inline SVG: one strip a row, so that the labels beside it stay real text.

Positions along the axis are percentages of the strip's width: the plot fills a phone and a wide
screen alike while its letters and markers keep their size. Colours are classes (``s0`` to ``s7``)
that the page's style sheet fills, for light and dark.
"""

from __future__ import annotations

from typing import NamedTuple
from xml.sax.saxutils import escape

from fairlora.report.chart import Unit
from fairlora.report.dots_view import (
    SHAPES,
    Axis,
    axis_for,
    finite,
    has_weak,
    number_text,
    point_marks,
    point_span,
    point_text,
    reference_text,
    series_names,
    style_of,
    tick_text,
    weak,
)
from fairlora.report.page import Cell, Column, DotRow, Dots, Panel, Point, Row, Table
from fairlora.report.text import one_line

# Each shape is drawn round the origin, about ten pixels wide, and of about the same area.
_SHAPE_PATHS = {
    "circle": "M-4.4,0a4.4,4.4 0 1,0 8.8,0a4.4,4.4 0 1,0 -8.8,0z",
    "diamond": "M0,-5.6L5.6,0L0,5.6L-5.6,0z",
    "square": "M-3.9,-3.9H3.9V3.9H-3.9z",
    "up": "M0,-5.2L5.3,4H-5.3z",
    "down": "M0,5.2L5.3,-4H-5.3z",
    "plus": "M-1.6,-5H1.6V-1.6H5V1.6H1.6V5H-1.6V1.6H-5V-1.6H-1.6z",
    "cross": (
        "M-4.7,-2.4L-2.4,-4.7L0,-2.3L2.4,-4.7L4.7,-2.4L2.3,0"
        "L4.7,2.4L2.4,4.7L0,2.3L-2.4,4.7L-4.7,2.4L-2.3,0z"
    ),
    "hexagon": "M-2.5,-4.4H2.5L5,0L2.5,4.4H-2.5L-5,0z",
}
_EDGE = 7.0
_AXIS_HEIGHT = 24
_MARKS_TOLD = 12


class Strip(NamedTuple):
    """One row of the plot: its label and number of cases as text, its dots as SVG."""

    label: str
    n: str
    svg: str


class PanelDrawing(NamedTuple):
    """One panel: its strips, its axis, and the same numbers as a table."""

    name: str
    has_n: bool
    strips: list[Strip]
    axis_svg: str
    numbers: Table


class LegendEntry(NamedTuple):
    """A series and its marker."""

    name: str
    svg: str


class Drawing(NamedTuple):
    """A whole dot plot, ready for a page to lay out.

    `has_marks`: some points show theirs; `has_weak`: some are hollow; `reference`: the value of the
    reference line as text, or "".
    """

    legend: list[LegendEntry]
    panels: list[PanelDrawing]
    has_marks: bool
    has_weak: bool
    reference: str


def marker_sprite() -> str:
    """Return the hidden SVG that holds every marker shape once; strips refer to it by id."""
    shapes = "".join(
        f'<path id="marker-{index}" d="{_SHAPE_PATHS[name]}"/>' for index, name in enumerate(SHAPES)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" class="sprite" width="0" height="0" '
        f'aria-hidden="true" focusable="false"><defs>{shapes}</defs></svg>'
    )


def draw_dots(dots: Dots, identity: str) -> Drawing:
    """Draw `dots`. `identity` starts every id in the SVG, and must be unique in the page."""
    names = series_names(dots)
    axis = axis_for(dots)
    panels = [
        _panel(panel, names, axis, dots, f"{identity}-{index}")
        for index, panel in enumerate(dots["panels"])
    ]
    marks = any(
        point_marks(point)
        for panel in dots["panels"]
        for row in panel["rows"]
        for point in row["points"]
    )
    legend = [_legend_entry(name, i) for i, name in enumerate(names)]
    return Drawing(legend, panels, marks, has_weak(dots), reference_text(dots))


def numbers_table(panel: Panel, names: list[str], unit: Unit) -> Table:
    """Return the numbers that a panel draws as a table: a row a group, a column a series.

    Parameters
    ----------
    panel : what is drawn.
    names : of the series, in the order of the columns.
    unit : of the numbers, "share" (written in percent) or "number".
    """
    columns: list[Column] = [{"name": "", "align": "left"}]
    has_n = _has_n(panel)
    if has_n:
        columns.append({"name": "n", "align": "right"})
    columns.extend({"name": name, "align": "right"} for name in names)
    rows: list[Row] = []
    for row in panel["rows"]:
        cells: list[Cell] = [{"text": row["label"]}]
        if has_n:
            cells.append({"text": _n_text(row)})
        points = {point["series"]: point for point in row["points"]}
        cells.extend(
            {"text": point_text(points[name], unit) if name in points else "–"} for name in names
        )
        rows.append({"cells": cells, "header": True})
    return {"title": panel["name"], "columns": columns, "rows": rows}


def _panel(panel: Panel, names: list[str], axis: Axis, dots: Dots, identity: str) -> PanelDrawing:
    strips = [
        Strip(row["label"], _n_text(row), _strip(row, names, axis, dots, f"{identity}-{index}"))
        for index, row in enumerate(panel["rows"])
    ]
    return PanelDrawing(
        panel["name"],
        _has_n(panel),
        strips,
        _axis_svg(axis, dots["unit"]),
        numbers_table(panel, names, dots["unit"]),
    )


def _has_n(panel: Panel) -> bool:
    return any(row.get("n") is not None for row in panel["rows"])


def _n_text(row: DotRow) -> str:
    n = row.get("n")
    return "" if n is None else f"{n:,}"


def _lane_height(series: int) -> float:
    """Return the height of a series' lane: lanes get tighter as they get more."""
    if series <= 4:
        return 13.0
    return 11.5 if series <= 7 else 10.0


def _strip(row: DotRow, names: list[str], axis: Axis, dots: Dots, identity: str) -> str:
    unit = dots["unit"]
    lane = _lane_height(len(names))
    height = 2 * _EDGE + lane * max(len(names), 1)
    points = {point["series"]: point for point in row["points"]}
    told = "; ".join(
        f"{one_line(name)} {point_text(points[name], unit)}" + _weakness(points[name], dots)
        for name in names
        if name in points
    )
    if "reference" in dots:
        told = f"{told or 'no values'}; the reference line is at {reference_text(dots)}"
    label = one_line(row["label"]) + (f", n = {_n_text(row)}" if _n_text(row) else "")
    lanes = "".join(
        _lane(points[name], index, _EDGE + lane * (index + 0.5), lane, axis, dots)
        for index, name in enumerate(names)
        if name in points
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="strip" width="100%" height="{height:g}" '
        f'role="img" aria-labelledby="{identity}-t {identity}-d">'
        f'<title id="{identity}-t">{escape(label)}</title>'
        f'<desc id="{identity}-d">{escape(told or "no values")}</desc>'
        f"{_grid(axis, height)}{_reference(dots, axis, height)}{lanes}</svg>"
    )


def _weakness(point: Point, dots: Dots) -> str:
    if not weak(point):
        return ""
    return f", which does not exclude {reference_text(dots) or 'the reference'}"


def _reference(dots: Dots, axis: Axis, height: float) -> str:
    if "reference" not in dots:
        return ""
    x = _percent(axis, dots["reference"])
    return f'<line class="reference" x1="{x}" x2="{x}" y1="0" y2="{height:g}"/>'


def _lane(point: Point, index: int, y: float, lane: float, axis: Axis, dots: Dots) -> str:
    unit = dots["unit"]
    colour, shape = style_of(index)
    title = f"{one_line(point['series'])}: {point_text(point, unit)}{_weakness(point, dots)}"
    marks = point_marks(point)
    if marks:
        told = ", ".join(number_text(mark, unit) for mark in marks[:_MARKS_TOLD])
        more = f" and {len(marks) - _MARKS_TOLD} more" if len(marks) > _MARKS_TOLD else ""
        title += f"\neach: {told}{more}"
    # The invisible box makes the whole lane answer the mouse, not the small marker alone.
    parts = [
        f"<title>{escape(title)}</title>",
        f'<rect class="hit" x="0" y="{y - lane / 2:g}" width="100%" height="{lane:g}"/>',
    ]
    span = point_span(point)
    if span is not None:
        parts.append(
            f'<line class="whisker" x1="{_percent(axis, span[0])}" x2="{_percent(axis, span[1])}" '
            f'y1="{y:g}" y2="{y:g}"/>'
        )
    parts.extend(
        f'<line class="mark" x1="{_percent(axis, mark)}" x2="{_percent(axis, mark)}" '
        f'y1="{y - 3.5:g}" y2="{y + 3.5:g}"/>'
        for mark in marks
    )
    value = finite(point["value"])
    if value is not None:
        look = "marker weak" if weak(point) else "marker"
        parts.append(
            f'<use class="{look}" href="#marker-{shape}" x="{_percent(axis, value)}" y="{y:g}"/>'
        )
    elif span is None:
        parts.append(f'<use class="marker missing" href="#marker-{shape}" x="6" y="{y:g}"/>')
        parts.append(f'<text class="missing" x="16" y="{y + 3.5:g}">no value</text>')
    return f'<g class="s{colour}">{"".join(parts)}</g>'


def _grid(axis: Axis, height: float) -> str:
    places = (_percent(axis, tick) for tick in axis.ticks)
    return "".join(f'<line class="grid" x1="{x}" x2="{x}" y1="0" y2="{height:g}"/>' for x in places)


def _axis_svg(axis: Axis, unit: Unit) -> str:
    parts = []
    for tick in axis.ticks:
        x = _percent(axis, tick)
        parts.append(f'<line class="tick" x1="{x}" x2="{x}" y1="0" y2="5"/>')
        text = escape(tick_text(tick, axis.step, unit))
        parts.append(f'<text x="{x}" y="18" text-anchor="middle">{text}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="axis" width="100%" '
        f'height="{_AXIS_HEIGHT}" aria-hidden="true" focusable="false">{"".join(parts)}</svg>'
    )


def _percent(axis: Axis, value: float) -> str:
    return f"{100 * axis.place(value):.2f}%"


def _legend_entry(name: str, index: int) -> LegendEntry:
    colour, shape = style_of(index)
    return LegendEntry(
        name,
        '<svg xmlns="http://www.w3.org/2000/svg" class="key" width="26" height="14" '
        f'aria-hidden="true" focusable="false"><g class="s{colour}">'
        '<line class="whisker" x1="1" x2="25" y1="7" y2="7"/>'
        f'<use class="marker" href="#marker-{shape}" x="13" y="7"/></g></svg>',
    )

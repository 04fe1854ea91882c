"""A chart as inline SVG for a page: its plot, its two axes, and its labels as real text.

Places across the plot are percentages, so that it fills a phone and a wide screen alike while its
letters and markers keep their size; heights are pixels. What depends on the width (labels that must
not touch) is drawn twice, for wide screens and narrow ones, and the style sheet shows the one that
fits (classes ``roomy`` and ``tight``). Colours are classes that it fills, for light and dark.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from xml.sax.saxutils import escape

from fairlora.report.chart import Chart
from fairlora.report.chart_axes import (
    HEIGHT,
    LETTER,
    LINE,
    OPENING,
    ROOMY,
    TIGHT,
    UNITS,
    Frame,
    x_axes,
    y_axis,
)
from fairlora.report.chart_style import HATCHES, SeriesLook, reference_dash
from fairlora.report.chart_table import chart_table
from fairlora.report.chart_view import (
    GROUP,
    ChartView,
    PointView,
    SeriesView,
    axis_name,
    chart_view,
    obstacles,
    reference_told,
)
from fairlora.report.labels import beside_points
from fairlora.report.page import Table
from fairlora.report.picture import letters, wrapped
from fairlora.report.text import one_line

# Every category and every bar gets so many pixels; where that is more than a phone has, the plot
# can be pushed sideways. The style sheet knows these widths, in rem of 16 pixels, by name.
_SLOT, _BAR, _MARKER = 9.9, 3.9, 9.0
_WIDTHS = (20, 30, 45, 62, 90, 130)
# A plot that needs as much as this gets the page's whole width; others look better with less.
_FULL_WIDTH = 45
_LABEL_LETTERS = 24
# Bars narrower than this on a wide screen have no room for a seam beside their whisker.
_SEAM = 14.0


class ChartKey(NamedTuple):
    """An entry of the legend."""

    name: str
    svg: str


class ChartDrawing(NamedTuple):
    """A chart, ready for a page to lay out.

    `wide` is the name of the least width that the plot needs, or "" if it fits everywhere; `full`
    says that it takes all the width of the page. `x_axes` are SVGs, of which the page shows the one
    that fits.
    """

    wide: str
    full: bool
    legend: list[ChartKey]
    x_name: str
    y_name: str
    y_axis: str
    plot: str
    x_axes: list[str]
    notes: list[str]
    numbers: Table


def draw_chart(chart: Chart, identity: str) -> ChartDrawing:
    """Draw `chart`. `identity` starts every id in the SVG, and must be unique in the page."""
    view = chart_view(chart)
    frame = Frame(view)
    labels, whole = _labels(view, frame) if chart["kind"] == "scatter" else ([], True)
    wide = _least_width(chart, view.solid)
    return ChartDrawing(
        f"wide-{wide}" if wide else "",
        wide >= _FULL_WIDTH,
        _legend(view),
        axis_name(chart, "x"),
        axis_name(chart, "y"),
        y_axis(view, frame),
        _plot(chart, view, frame, labels, identity),
        x_axes(chart, view, 16.0 * wide),
        _notes(view, whole),
        # The page has the caption above the drawing already.
        chart_table({**chart, "caption": ""}),
    )


def chart_sprite() -> str:
    """Return the hidden SVG that holds the hatching of bars once; charts refer to it by id.

    A hatching stands on a filling of the series' colour in the colour of the paper, or on a pale
    filling in the series' colour.
    """
    lines = {
        "rising": ("45", "M0,0V6"),
        "falling": ("-45", "M0,0V6"),
        "level": ("0", "M0,3H6"),
        "crossed": ("45", "M0,0V6M0,0H6"),
        "upright": ("0", "M3,0V6"),
        "grid": ("0", "M3,0V6M0,3H6"),
    }
    patterns = []
    for colour in range(len(HATCHES)):
        for index, name in enumerate(HATCHES[1:], start=1):
            ink = f"s{colour}" if index % 2 else "on-colour"
            turn, path = lines.get(name, ("45", ""))
            inside = f'<path class="bar-hatching" d="{path}"/>'
            if name == "dots":
                inside = '<circle class="bar-dots" cx="3" cy="3" r="1.1"/>'
            patterns.append(
                f'<pattern id="bar-{colour}-{index}" class="{ink}" width="6" height="6" '
                f'patternUnits="userSpaceOnUse" patternTransform="rotate({turn})">'
                f"{inside}</pattern>"
            )
    return (
        f'{OPENING} class="sprite" width="0" height="0" aria-hidden="true" focusable="false">'
        f"<defs>{''.join(patterns)}</defs></svg>"
    )


def _least_width(chart: Chart, solid: bool) -> int:
    """Return the least width of the plot in rem, one of `_WIDTHS`, or 0 if a phone's will do."""
    if chart["kind"] != "bars":
        return 0
    lane = _BAR if solid else _MARKER
    slot = max(_SLOT, lane * len(chart["series"]) / GROUP)
    needed = slot * len(chart["categories"])
    if needed <= TIGHT:
        return 0
    return next((width for width in _WIDTHS if 16.0 * width >= needed), _WIDTHS[-1])


def _plot(chart: Chart, view: ChartView, frame: Frame, labels: list[str], identity: str) -> str:
    title = f"{one_line(axis_name(chart, 'y'))} by {one_line(axis_name(chart, 'x'))}"
    parts = [_grid(chart, view, frame), *_references(chart, view, frame), _lines(view, frame)]
    parts += [_plain(series, frame) for series in view.series if series.look.plain]
    parts += [_series(series, view, frame) for series in view.series]
    parts += labels
    if not any(series.points for series in view.series):
        place = f'x="50%" y="{frame.y(0.5)}"'
        parts.append(f'<text class="missing" {place} text-anchor="middle">no points</text>')
    return (
        f'{OPENING} class="chart-plot" width="100%" height="{frame.height:g}" role="img" '
        f'aria-labelledby="{identity}-t {identity}-d">'
        f'<title id="{identity}-t">{escape(title)}</title>'
        f'<desc id="{identity}-d">{escape(_told(chart, view))}</desc>{"".join(parts)}</svg>'
    )


def _told(chart: Chart, view: ChartView) -> str:
    """Return the chart in words, for those who cannot see it."""
    texts = []
    for series in view.series:
        points = "; ".join(point.told for point in series.points)
        texts.append(f"{one_line(series.name)}. {points or 'no points'}.")
    texts += [f"{reference_told(one, chart)}." for one in chart.get("references", [])]
    return " ".join(texts) or "no series"


def _grid(chart: Chart, view: ChartView, frame: Frame) -> str:
    lines = [
        f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>'
        for y in (frame.y(tick.place) for tick in view.y.ticks)
    ]
    if chart["kind"] == "scatter":
        lines += [
            f'<line class="grid" x1="{x}" x2="{x}" y1="{frame.top:g}" y2="{frame.height:g}"/>'
            for x in (frame.x(tick.place) for tick in view.x.ticks)
        ]
    floors = [0.0] if not 0 < view.floor < 1 else [0.0, view.floor]
    lines += [
        f'<line class="tick" x1="0" x2="100%" y1="{frame.y(floor)}" y2="{frame.y(floor)}"/>'
        for floor in floors
    ]
    return "".join(lines)


def _references(chart: Chart, view: ChartView, frame: Frame) -> Iterable[str]:
    for index, (one, drawn) in enumerate(
        zip(chart.get("references", []), view.references, strict=True)
    ):
        parts = [f"<title>{escape(reference_told(one, chart))}</title>"]
        if drawn.span is not None:
            low, high = (frame.y(place) for place in drawn.span)
            place = f'x="0" y="{high}" width="100%" height="{float(low) - float(high):.2f}"'
            parts.append(f'<rect class="reference-band" {place}/>')
        if drawn.y is not None:
            y = frame.y(drawn.y)
            parts.append(
                f'<line class="reference-line" x1="0" x2="100%" y1="{y}" y2="{y}" '
                f'stroke-dasharray="{_dash(reference_dash(index))}"/>'
            )
        yield f"<g>{''.join(parts)}</g>"


def _lines(view: ChartView, frame: Frame) -> str:
    """Return the lines and bands of all series, stretched to the plot's width."""
    parts = []
    for series in view.series:
        if series.look.plain:
            continue
        shapes = "".join(_band(band, frame) for band in series.bands)
        shapes += "".join(_line(line, series.look, frame) for line in series.lines)
        if shapes:
            parts.append(f'<g class="s{series.look.colour}">{shapes}</g>')
    return _stretched("".join(parts), frame) if parts else ""


def _plain(series: SeriesView, frame: Frame) -> str:
    return _stretched("".join(_line(line, series.look, frame) for line in series.lines), frame)


def _stretched(shapes: str, frame: Frame) -> str:
    return (
        f'<svg class="stretched" width="100%" height="{frame.height:g}" '
        f'viewBox="0 0 {UNITS:g} {frame.height:g}" preserveAspectRatio="none">{shapes}</svg>'
    )


def _line(line: list[tuple[float, float]], look: SeriesLook, frame: Frame) -> str:
    name = "plain-line" if look.plain else "series-line"
    dash = f' stroke-dasharray="{_dash(look.dash)}"' if look.dash else ""
    return f'<path class="{name}" d="{frame.path(line)}" vector-effect="non-scaling-stroke"{dash}/>'


def _band(band: list[tuple[float, float, float]], frame: Frame) -> str:
    edge = [(x, high) for x, _, high in band] + [(x, low) for x, low, _ in reversed(band)]
    return f'<path class="band" d="{frame.path(edge)}Z"/>'


def _dash(dash: Iterable[float]) -> str:
    return " ".join(f"{length:g}" for length in dash)


def _series(series: SeriesView, view: ChartView, frame: Frame) -> str:
    if series.look.plain:
        return ""
    points = "".join(_point(point, series, view, frame) for point in series.points)
    return f'<g class="s{series.look.colour}">{points}</g>' if points else ""


def _point(point: PointView, series: SeriesView, view: ChartView, frame: Frame) -> str:
    parts = [f"<title>{escape(one_line(series.name))}, {escape(point.told)}</title>"]
    x = frame.x(point.x)
    if view.solid and point.y is not None:
        parts.append(_bar(point.x, point.y, series.look, view, frame))
    if point.y_span is not None:
        low, high = (frame.y(place) for place in point.y_span)
        if view.solid and view.lane * ROOMY >= _SEAM:
            parts.append(f'<line class="whisker-seam" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>')
        look = "bar-whisker" if view.solid else "whisker pale" if point.x_span else "whisker"
        parts.append(f'<line class="{look}" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>')
    if point.x_span is not None and point.y is not None:
        left, right, y = *(frame.x(place) for place in point.x_span), frame.y(point.y)
        parts.append(f'<line class="whisker pale" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>')
    parts += [_mark(x, mark, view, frame) for mark in point.marks]
    marker = f'href="#marker-{series.look.shape}" x="{x}"'
    if point.missing:
        parts.append(f'<use class="marker missing" {marker} y="7"/>')
    elif point.y is not None and point.marked and not view.solid:
        parts.append(f'<use class="marker" {marker} y="{frame.y(point.y)}"/>')
    return f"<g>{''.join(parts)}</g>" if len(parts) > 1 else ""


def _mark(x: str, mark: float, view: ChartView, frame: Frame) -> str:
    # A percentage and a few pixels cannot be added in an attribute, so the mark is a little SVG.
    look = "bar-mark" if view.solid else "mark"
    return (
        f'<svg x="{x}" y="{frame.y(mark)}" overflow="visible">'
        f'<line class="{look}" x1="-3.5" x2="3.5" y1="0" y2="0"/></svg>'
    )


def _bar(x: float, y: float, look: SeriesLook, view: ChartView, frame: Frame) -> str:
    ends = sorted((float(frame.y(y)), float(frame.y(view.floor))))
    # Hairlines between the bars of a category, as wide as a tenth of a bar.
    place = (
        f'x="{frame.x(x - 0.46 * view.lane)}" width="{frame.x(0.92 * view.lane)}" '
        f'y="{ends[0]:.2f}" height="{max(ends[1] - ends[0], 0.5):.2f}"'
    )
    shapes = f'<rect class="{"bar-pale" if look.pale else "bar-solid"}" {place}/>'
    if look.hatch != "none":
        shapes += f'<rect fill="url(#bar-{look.colour}-{look.shape})" {place}/>'
    return shapes


def _labels(view: ChartView, frame: Frame) -> tuple[list[str], bool]:
    """Return the labels of points, once as they fit on wide screens and once on phones.

    And whether there is room for all, on both.
    """
    points = [point for series in view.series for point in series.points]
    drawn, whole = [], True
    for look, width in (("roomy", ROOMY), ("tight", TIGHT)):
        area = (width, HEIGHT)
        lines = [wrapped(point.label, _LABEL_LETTERS, most=2) for point in points]
        sizes = [
            (
                max(letters(line) for line in told) * 0.92 * LETTER,
                0.9 * LINE * len(told),
            )
            if point.label
            else None
            for point, told in zip(points, lines, strict=True)
        ]
        places = [(point.x * width, (point.y or 0.0) * HEIGHT) for point in points]
        boxes = beside_points(places, sizes, area, obstacles(view, area))
        texts = [
            _label(point, told, box.x - place[0], place[1] - box.y, frame)
            for point, told, place, box in zip(points, lines, places, boxes, strict=True)
            if box is not None
        ]
        whole = whole and len(texts) == sum(size is not None for size in sizes)
        if texts:
            drawn.append(f'<g class="point-labels {look}">{"".join(texts)}</g>')
    return drawn, whole


def _label(point: PointView, lines: list[str], right: float, down: float, frame: Frame) -> str:
    first = down - 0.45 * LINE * (len(lines) - 1) + 3.6
    text = "".join(
        f'<text x="{right:.1f}" y="{first + 0.9 * LINE * index:.1f}" '
        f'text-anchor="middle">{escape(line)}</text>'
        for index, line in enumerate(lines)
    )
    place = f'x="{frame.x(point.x)}" y="{frame.y(point.y or 0.0)}"'
    return f'<svg {place} overflow="visible">{text}</svg>'


def _notes(view: ChartView, whole: bool) -> list[str]:
    """Return what the reader must know of the drawing's marks, in sentences."""
    notes = []
    if view.has_spans():
        notes.append("Whisker: the interval.")
    if any(series.bands for series in view.series):
        notes.append("Band: the interval.")
    if view.has_marks():
        notes.append("Thin ticks: the individual values behind a point.")
    if view.apart:
        notes.append("Points at one place are set a little apart.")
    if any(one.span for one in view.references):
        notes.append("Grey band: the interval of a line to compare with.")
    if view.has_missing():
        notes.append("Hollow, above the plot: no value.")
    if view.unplaced:
        told = view.unplaced_told()
        notes.append(f"{told[0].upper()}{told[1:]}.")
    if not whole:
        notes.append("Labels that would cover something are left out.")
    return notes


def _legend(view: ChartView) -> list[ChartKey]:
    keys = [ChartKey(series.name, _series_key(series, view)) for series in view.series]
    keys += [
        ChartKey(
            one.text,
            _key(
                '<line class="reference-line" x1="1" x2="33" y1="7" y2="7" '
                f'stroke-dasharray="{_dash(reference_dash(index))}"/>'
            ),
        )
        for index, one in enumerate(view.references)
    ]
    return keys


def _series_key(series: SeriesView, view: ChartView) -> str:
    look = series.look
    if view.solid:
        place = 'x="5" y="1" width="24" height="12"'
        shapes = f'<rect class="{"bar-pale" if look.pale else "bar-solid"}" {place}/>'
        if look.hatch != "none":
            shapes += f'<rect fill="url(#bar-{look.colour}-{look.shape})" {place}/>'
    else:
        name = "plain-line" if look.plain else "series-line"
        dash = f' stroke-dasharray="{_dash(look.dash)}"' if look.dash else ""
        line = f'<line class="{name}" x1="1" x2="33" y1="7" y2="7"{dash}/>'
        marker = f'<use class="marker" href="#marker-{look.shape}" x="17" y="7"/>'
        shapes = (line if series.lines else "") + ("" if look.plain else marker)
    return _key(f'<g class="s{look.colour}">{shapes}</g>')


def _key(shapes: str) -> str:
    return (
        f'{OPENING} class="key" width="34" height="14" aria-hidden="true" '
        f'focusable="false">{shapes}</svg>'
    )

"""Layout shared by the drawings of a chart: positions in a square from 0 to 1, and words.

Places are shares of the plot's width and height, from its lower left corner. So a picture file and
a page draw the same chart, and what one shows the other does not leave out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal, NamedTuple

from fairlora.report.chart import (
    Chart,
    ChartPoint,
    Reference,
    Series,
    from_zero,
    scale_of,
    unit_of,
)
from fairlora.report.chart_scale import ChartScale, value_text, x_scale, y_scale
from fairlora.report.dots_view import finite, number_text, point_text
from fairlora.report.labels import Box, along
from fairlora.report.style import SeriesLook, look_of
from fairlora.report.text import one_line

# The share of a category's place that its bars take together.
GROUP = 0.8
# Lines with more points than this show intervals as bands, and a marker at some points alone.
_MANY_POINTS = 20
# How far apart two lines' points at one x are set at most, and all lines' points together as a
# share of the distance to the next x.
_LANE, _LANES = 0.014, 0.55
# More points than these are not named but counted.
_MOST_UNPLACED = 4

Place = tuple[float, float]


class PointView(NamedTuple):
    """A point: its place, the ends of its whiskers, its marks; `words` says all of that.

    `y` is None where the value is missing; if `y_span` is None as well, nothing of it is known.
    `marked` is false where a line or another series' marker stands for the point.
    """

    x: float
    y: float | None
    x_span: Place | None
    y_span: Place | None
    marks: tuple[float, ...]
    label: str
    words: str
    marked: bool

    @property
    def missing(self) -> bool:
        """Whether the point has no value and no interval."""
        return self.y is None and self.y_span is None


class SeriesView(NamedTuple):
    """A series: how it looks, its points, the lines between them, and a band round those lines.

    A line breaks where a value is missing, so there may be several. A band is a list of the places
    x, low and high.
    """

    name: str
    look: SeriesLook
    points: list[PointView]
    lines: list[list[Place]]
    bands: list[list[tuple[float, float, float]]]


class ReferenceView(NamedTuple):
    """A reference: its text for the legend, its height, and the ends of its band."""

    text: str
    y: float | None
    span: Place | None


class ChartView(NamedTuple):
    """A chart, ready to draw.

    `solid`: bars are drawn as such, from the height `floor` on, each `lane` wide. `unplaced`: the
    points of a scatter that lack a coordinate, in words. `apart`: points at one x are set apart.
    """

    x: ChartScale
    y: ChartScale
    series: list[SeriesView]
    references: list[ReferenceView]
    solid: bool
    floor: float
    lane: float
    unplaced: list[str]
    apart: bool

    def unplaced_words(self) -> str:
        """Return in words which points cannot be drawn, or "" if all can."""
        if not self.unplaced:
            return ""
        names = "; ".join(self.unplaced[:_MOST_UNPLACED])
        more = len(self.unplaced) - _MOST_UNPLACED
        return f"Not drawn, for want of a value: {names}" + (f" and {more} more" * (more > 0))

    def has_spans(self) -> bool:
        """Return whether any point has an interval."""
        return any(p.y_span or p.x_span for s in self.series for p in s.points)

    def has_missing(self) -> bool:
        """Return whether any point is shown as missing."""
        return any(point.missing for series in self.series for point in series.points)


def chart_view(chart: Chart) -> ChartView:
    """Return where everything in `chart` (checked and clean) stands."""
    x, y = x_scale(chart), y_scale(chart)
    lane, apart = _lane(chart, x)
    plain = [_plain(series, chart) for series in chart["series"]]
    series: list[SeriesView] = []
    for index, content in enumerate(chart["series"]):
        look = look_of(plain[:index].count(""))._replace(plain=plain[index])
        shift = (index - (len(chart["series"]) - 1) / 2) * lane if apart else 0.0
        series.append(_series_view(content, chart, look, x, y, shift))
    return ChartView(
        x,
        y,
        series,
        [_reference_view(content, chart, y) for content in chart.get("references", [])],
        chart["kind"] == "bars" and from_zero(chart),
        y.place(0.0) if scale_of(chart["y"]) == "linear" else 0.0,
        lane,
        list(_unplaced(chart)),
        apart and chart["kind"] == "lines",
    )


def axis_name(chart: Chart, key: str) -> str:
    """Return what is written along the axis "x" or "y": its label, and which way is better."""
    axis = chart["x"] if key == "x" else chart["y"]
    if "better" not in axis:
        return axis["label"]
    return f"{axis['label']} ({axis['better']} is better)"


def point_words(point: ChartPoint, chart: Chart) -> str:
    """Return where a point stands, in words: "8: 84.1% (80.2% to 87.5%)"."""
    y = _interval_text(point, chart, "y")
    if chart["kind"] == "scatter":
        label = f"{one_line(point['label'])}: " if point.get("label") else ""
        x = _interval_text(point, chart, "x")
        return f"{label}{one_line(chart['x']['label'])} {x}; {one_line(chart['y']['label'])} {y}"
    label = f", {one_line(point['label'])}" if point.get("label") else ""
    return f"{place_text(point, chart)}{label}: {y}"


def place_text(point: ChartPoint, chart: Chart) -> str:
    """Return the x of a point as the reader sees it: its category's label, or the number."""
    if chart["kind"] == "bars":
        return one_line(chart["categories"][int(point["x"] or 0)]["label"])
    number = finite(point["x"])
    return "–" if number is None else value_text(number, unit_of(chart["x"]))


def reference_words(reference: Reference, chart: Chart) -> str:
    """Return a reference in words: "full fine-tuning: 94.1% (93.8% to 94.4%)"."""
    text = _text_of(reference["value"], reference.get("low"), reference.get("high"), chart, "y")
    return f"{one_line(reference['name'])}: {text}"


def span_of(
    value: float | None, low: float | None, high: float | None
) -> tuple[float, float] | None:
    """Return the ends of a whisker, or None; one missing end is the value (as in a dot plot).

    Parameters
    ----------
    value : what the whisker is of; None, NaN or an infinity is missing, here and below.
    low, high : ends of its interval.
    """
    if finite(low) is None and finite(high) is None:
        return None
    ends = [end for end in map(finite, (low, value, high)) if end is not None]
    return (min(ends), max(ends)) if len(ends) > 1 else None


def obstacles(view: ChartView, area: Place) -> list[Box]:
    """Return what labels in a plot of that width and height had better not cover.

    Lines count more than whiskers.
    """
    width, height = area
    joined = [line for series in view.series for line in series.lines] * 4
    whiskers: list[list[Place]] = []
    for series in view.series:
        for point in series.points:
            if point.y_span is not None:
                whiskers.append([(point.x, place) for place in point.y_span])
            if point.x_span is not None and point.y is not None:
                whiskers.append([(place, point.y) for place in point.x_span])
    across = [
        [(0.0, reference.y), (1.0, reference.y)]
        for reference in view.references
        if reference.y is not None
    ]
    lines = [*joined, *whiskers, *across]
    return [box for line in lines for box in along([(x * width, y * height) for x, y in line])]


def _interval_text(point: ChartPoint, chart: Chart, key: str) -> str:
    if key == "x":
        return _text_of(point["x"], point.get("x_low"), point.get("x_high"), chart, "x")
    return _text_of(point["y"], point.get("low"), point.get("high"), chart, "y")


def _text_of(
    value: float | None, low: float | None, high: float | None, chart: Chart, key: str
) -> str:
    unit = unit_of(chart["x"] if key == "x" else chart["y"])
    return point_text({"series": "", "value": value, "low": low, "high": high}, unit)


def _lane(chart: Chart, x: ChartScale) -> tuple[float, bool]:
    """Return the distance between two series' points at one x, and whether there is one."""
    number = max(len(chart["series"]), 1)
    if chart["kind"] == "bars":
        return GROUP / number / max(len(chart["categories"]), 1), True
    whiskers = any(
        span_of(point["y"], point.get("low"), point.get("high")) or point.get("marks")
        for series in chart["series"]
        for point in series["points"]
    )
    if chart["kind"] == "scatter" or number == 1 or not whiskers or _banded(chart):
        return 0.0, False
    values = {point["x"] for series in chart["series"] for point in series["points"]}
    places = sorted(x.place(value) for value in values if value is not None)
    gap = min((right - left for left, right in pairwise(places)), default=1.0)
    return min(_LANE, _LANES * gap / number), True


def _banded(chart: Chart) -> bool:
    return chart["kind"] == "lines" and any(
        len(series["points"]) > _MANY_POINTS for series in chart["series"]
    )


def _plain(series: Series, chart: Chart) -> Literal["", "front", "reference"]:
    """Return whether a series is a reference, or only connects points that other series show."""
    if series.get("reference"):
        return "reference"
    if "connected" not in series or not series["points"]:
        return ""
    others = {
        (point["x"], point["y"])
        for other in chart["series"]
        if other is not series and "connected" not in other
        for point in other["points"]
    }
    return "front" if all((own["x"], own["y"]) in others for own in series["points"]) else ""


def _series_view(
    series: Series, chart: Chart, look: SeriesLook, x: ChartScale, y: ChartScale, shift: float
) -> SeriesView:
    points = series["points"]
    if chart["kind"] == "lines":
        points = sorted(points, key=lambda point: point["x"] or 0.0)
    banded = _banded(chart)
    # A marker at every few points tells a long line from others, and does not cover it.
    every = -(-len(points) // 12) if banded else 1
    views = [
        _point_view(point, chart, x, y, shift)._replace(
            marked=not look.plain and index % every == 0
        )
        for index, point in enumerate(points)
        if finite(point["x"]) is not None
        and (chart["kind"] != "scatter" or finite(point["y"]) is not None)
    ]
    lines: list[list[Place]] = []
    bands: list[list[tuple[float, float, float]]] = []
    if chart["kind"] == "lines":
        lines = list(_runs([(view.x, view.y) for view in views]))
        if banded:
            bands = list(_bands(views))
            views = [view if view.missing else view._replace(y_span=None) for view in views]
    elif "connected" in series:
        ends = [(view.x, view.y) for view in views if view.y is not None]
        if series["connected"] == "stairs":
            ends = _stairs(sorted(ends), chart["x"].get("better") == "lower")
        lines = [ends]
    if look.plain:
        # The points' own series show their whiskers.
        views = [view._replace(x_span=None, y_span=None, marks=(), label="") for view in views]
    return SeriesView(
        series["name"],
        look,
        views,
        [line for line in lines if len(line) > 1],
        [band for band in bands if len(band) > 1],
    )


def _point_view(
    point: ChartPoint, chart: Chart, x: ChartScale, y: ChartScale, shift: float
) -> PointView:
    value, height = finite(point["x"]) or 0.0, finite(point["y"])
    x_span = span_of(point["x"], point.get("x_low"), point.get("x_high"))
    y_span = span_of(point["y"], point.get("low"), point.get("high"))
    marks = tuple(y.place(mark) for mark in map(finite, point.get("marks", [])) if mark is not None)
    return PointView(
        x.place(value) + shift,
        None if height is None else y.place(height),
        None if x_span is None else (x.place(x_span[0]), x.place(x_span[1])),
        None if y_span is None else (y.place(y_span[0]), y.place(y_span[1])),
        marks,
        one_line(point.get("label", "")),
        point_words(point, chart),
        True,
    )


def _reference_view(reference: Reference, chart: Chart, y: ChartScale) -> ReferenceView:
    value = finite(reference["value"])
    span = span_of(value, reference.get("low"), reference.get("high"))
    text = number_text(value, unit_of(chart["y"])) if value is not None else "no value"
    return ReferenceView(
        f"{one_line(reference['name'])}: {text}",
        None if value is None else y.place(value),
        None if span is None else (y.place(span[0]), y.place(span[1])),
    )


def _runs(places: list[tuple[float, float | None]]) -> Iterator[list[Place]]:
    """Yield the stretches between missing values."""
    run: list[Place] = []
    for x, y in places:
        if y is None:
            yield run
            run = []
        else:
            run.append((x, y))
    yield run


def _bands(views: list[PointView]) -> Iterator[list[tuple[float, float, float]]]:
    band: list[tuple[float, float, float]] = []
    for view in views:
        if view.y_span is None:
            yield band
            band = []
        else:
            band.append((view.x, *view.y_span))
    yield band


def _stairs(ends: list[Place], lower: bool) -> list[Place]:
    """Return the corners of the front that `ends`, in order of x, attain together.

    Where less is better, what a point attains can be had at any greater x too, so a step keeps its
    height until the next point; where more is better, from the point before.
    """
    corners = ends[:1]
    for (x, y), (next_x, next_y) in pairwise(ends):
        corners.append((next_x, y) if lower else (x, next_y))
        corners.append((next_x, next_y))
    return corners


def _unplaced(chart: Chart) -> Iterator[str]:
    if chart["kind"] != "scatter":
        return
    for series in chart["series"]:
        for point in series["points"]:
            if finite(point["x"]) is None or finite(point["y"]) is None:
                label = one_line(point.get("label", ""))
                yield one_line(series["name"]) + (f" ({label})" if label else "")

"""The chart: a plain dict of named series of points, for bars, lines over a number, or a scatter.

It is the general picture of this room: what a study shows that a dot plot or a reliability diagram
does not, such as accuracy by rank, a disparity by strength, or one against the other. Like every
part of a page it is a plain dict, so that it can be stored as JSON and drawn again later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NotRequired, TypedDict, cast

from fairlora.errors import InputError
from fairlora.report import checks
from fairlora.report.text import cleaned

Unit = Literal["share", "number"]
ChartKind = Literal["bars", "lines", "scatter"]
AxisScale = Literal["linear", "log", "rank"]
Connection = Literal["line", "stairs"]


class ChartAxis(TypedDict):
    """An axis: what it measures and how.

    `unit` is "number" if absent; with "share" the values 0 to 1 are shown as 0 % to 100 %. `scale`
    is "linear" if absent; "rank" sets the distinct values at equal distances in numeric order, so
    that 0, 1, 2, 4 ... 768 can all be read where no logarithm has a place for 0. With `zero` the
    axis reaches to 0. `better` says which way is better, and the axis says so too.
    """

    label: str
    unit: NotRequired[Unit]
    scale: NotRequired[AxisScale]
    zero: NotRequired[bool]
    better: NotRequired[Literal["higher", "lower"]]


class Category(TypedDict):
    """A place on the x axis of bars, and how many cases it stands for."""

    label: str
    n: NotRequired[int | None]


class ChartPoint(TypedDict):
    """One point of a series: where it is, its intervals, and the individual values behind it.

    Of bars, `x` is the index of a category. A `y` that is None (or not finite) is missing and is
    shown as missing. `low` and `high` are the interval of `y`, `x_low` and `x_high` that of `x`, in
    a scatter alone. `marks` are the values that `y` sums up, such as one a seed. `label` stands
    beside the point in a scatter, and with its numbers everywhere.
    """

    x: float | None
    y: float | None
    low: NotRequired[float | None]
    high: NotRequired[float | None]
    x_low: NotRequired[float | None]
    x_high: NotRequired[float | None]
    marks: NotRequired[list[float]]
    label: NotRequired[str]


class Series(TypedDict):
    """Points that belong together.

    The points of lines are always connected, by x. Those of a scatter are if `connected` says so:
    by a "line" in the order given, or by "stairs", the front that the points attain together, which
    needs the x axis to say which way is `better`. A `reference` is a line to compare with, such as
    what chance gives: drawn in the colour of the text, dashed, without markers.
    """

    name: str
    points: list[ChartPoint]
    connected: NotRequired[Connection]
    reference: NotRequired[bool]


class Reference(TypedDict):
    """A horizontal line to compare with, and the band of its interval: another way's result."""

    name: str
    value: float | None
    low: NotRequired[float | None]
    high: NotRequired[float | None]


class Chart(TypedDict):
    """A chart: bars over `categories` (in the order given), lines over a number, or a scatter.

    Bars begin at 0. With ``"zero": False`` on the y axis, or a log scale, bars would mislead, and
    markers with their intervals stand in their place.
    """

    title: str
    topic: NotRequired[str]
    caption: NotRequired[str]
    kind: ChartKind
    x: ChartAxis
    y: ChartAxis
    categories: NotRequired[list[Category]]
    series: list[Series]
    references: NotRequired[list[Reference]]


_OPTIONAL_NUMBER = checks.or_none(checks.number)
_AXIS = checks.record(
    {"label": checks.text},
    {
        "unit": checks.one_of("share", "number"),
        "scale": checks.one_of("linear", "log", "rank"),
        "zero": checks.flag,
        "better": checks.one_of("higher", "lower"),
    },
)
_CATEGORY = checks.record({"label": checks.text}, {"n": checks.or_none(checks.count)})
_POINT = checks.record(
    {"x": _OPTIONAL_NUMBER, "y": _OPTIONAL_NUMBER},
    {
        "low": _OPTIONAL_NUMBER,
        "high": _OPTIONAL_NUMBER,
        "x_low": _OPTIONAL_NUMBER,
        "x_high": _OPTIONAL_NUMBER,
        "marks": checks.list_of(checks.number),
        "label": checks.text,
    },
)
_SERIES = checks.record(
    {"name": checks.text, "points": checks.list_of(_POINT)},
    {"connected": checks.one_of("line", "stairs"), "reference": checks.flag},
)
_REFERENCE = checks.record(
    {"name": checks.text, "value": _OPTIONAL_NUMBER},
    {"low": _OPTIONAL_NUMBER, "high": _OPTIONAL_NUMBER},
)
_SHAPE = checks.record(
    {
        "title": checks.text,
        "kind": checks.one_of("bars", "lines", "scatter"),
        "x": _AXIS,
        "y": _AXIS,
        "series": checks.list_of(_SERIES),
    },
    {
        "caption": checks.text,
        "topic": checks.text,
        "categories": checks.list_of(_CATEGORY),
        "references": checks.list_of(_REFERENCE),
    },
)


def check_chart(chart: object) -> Chart:
    """Check that `chart` has the shape of a `Chart`, and return it as one, unchanged.

    Raises
    ------
    InputError (a ValueError): a key is missing, unknown or holds the wrong thing, or does not go
        with the chart's kind or scales; the message names the key, as in
        ``chart.series[0].points[2].x``.
    """
    require_chart(chart, "chart")
    return cast(Chart, chart)


def clean_chart(chart: object) -> Chart:
    """Check `chart` and return a copy whose every text is safe to lay out (see `text.clean`)."""
    return cast(Chart, cleaned(check_chart(chart)))


def require_chart(value: object, where: str) -> None:
    """Let a chart pass (a check of `checks`): first its shape, then what must agree in it."""
    _SHAPE(value, where)
    chart = cast(Chart, value)
    _axes(chart, where)
    if (chart["kind"] == "bars") != ("categories" in chart):
        raise InputError(
            "missing" if chart["kind"] == "bars" else "only bars have categories",
            where=f"{where}.categories",
        )
    _unique([series["name"] for series in chart["series"]], f"{where}.series")
    _unique([reference["name"] for reference in chart.get("references", [])], f"{where}.references")
    for index, series in enumerate(chart["series"]):
        _series(series, chart, f"{where}.series[{index}]")
    if scale_of(chart["y"]) == "log":
        for index, reference in enumerate(chart.get("references", [])):
            _positive(reference["value"], f"{where}.references[{index}].value")


def scale_of(axis: ChartAxis) -> AxisScale:
    """Return the scale of `axis`, which is linear unless it says otherwise."""
    return axis.get("scale", "linear")


def unit_of(axis: ChartAxis) -> Unit:
    """Return the unit of `axis`, which is plain numbers unless it says otherwise."""
    return axis.get("unit", "number")


def from_zero(chart: Chart) -> bool:
    """Return whether the y axis reaches to 0: if it says so, and for bars unless it says not."""
    bars = chart["kind"] == "bars" and scale_of(chart["y"]) == "linear"
    return chart["y"].get("zero", bars)


def _axes(chart: Chart, where: str) -> None:
    allowed: dict[str, tuple[AxisScale, ...]] = {
        "bars": ("linear",),
        "lines": ("linear", "log", "rank"),
        "scatter": ("linear", "log"),
    }
    fitting = {"x": allowed[chart["kind"]], "y": ("linear", "log")}
    for key, axis in (("x", chart["x"]), ("y", chart["y"])):
        if scale_of(axis) not in fitting[key]:
            raise InputError(
                f"not a scale of this axis of {chart['kind']}",
                where=f"{where}.{key}.scale",
                found=repr(scale_of(axis)),
                expected=", ".join(map(repr, fitting[key])),
            )
        if axis.get("zero") and scale_of(axis) != "linear":
            raise InputError(
                "only a linear scale reaches to 0", where=f"{where}.{key}.zero", found="true"
            )


def _series(series: Series, chart: Chart, where: str) -> None:
    if "connected" in series:
        if chart["kind"] != "scatter":
            raise InputError("only the series of a scatter say so", where=f"{where}.connected")
        if series["connected"] == "stairs" and "better" not in chart["x"]:
            raise InputError(
                "stairs need to know which way is better on the x axis",
                where=f"{where}.connected",
                expected="better, 'higher' or 'lower', on the x axis",
            )
    seen: set[float] = set()
    for index, point in enumerate(series["points"]):
        _point(point, chart, f"{where}.points[{index}]")
        x = point["x"]
        if chart["kind"] != "scatter" and x is not None:
            if x in seen:
                raise InputError(
                    "given twice in one series", where=f"{where}.points[{index}].x", found=repr(x)
                )
            seen.add(x)


def _point(point: ChartPoint, chart: Chart, where: str) -> None:
    if chart["kind"] == "bars":
        checks.count(point["x"], f"{where}.x")
        number = len(chart["categories"])
        if cast(int, point["x"]) >= number:
            raise InputError(
                "no such category",
                where=f"{where}.x",
                found=repr(point["x"]),
                expected=f"an index of the {number} categories",
            )
    elif chart["kind"] == "lines":
        checks.finite(point["x"], f"{where}.x")
    if chart["kind"] != "scatter":
        for key in ("x_low", "x_high"):
            if key in point:
                raise InputError("only a scatter has intervals of x", where=f"{where}.{key}")
    if scale_of(chart["x"]) == "log":
        _positive(point["x"], f"{where}.x")
    if scale_of(chart["y"]) == "log":
        _positive(point["y"], f"{where}.y")
        for index, mark in enumerate(point.get("marks", [])):
            _positive(mark, f"{where}.marks[{index}]")


def _positive(value: float | None, where: str) -> None:
    # NaN compares false, and so passes as missing.
    if value is not None and value <= 0:
        raise InputError(
            "not on a log scale", where=where, found=repr(value), expected="a number above 0"
        )


def _unique(names: Sequence[str], where: str) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InputError("name given twice", where=f"{where}[{index}].name", found=repr(name))

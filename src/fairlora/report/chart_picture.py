"""A chart as a picture file, by matplotlib: for a paper, a slide or a README."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from fairlora.report.chart import Chart, clean_chart
from fairlora.report.chart_scale import spaced
from fairlora.report.chart_style import SeriesLook, reference_dash
from fairlora.report.chart_view import (
    ChartView,
    PointView,
    SeriesView,
    axis_name,
    chart_view,
    obstacles,
)
from fairlora.report.dots_view import PALETTE, SHAPES
from fairlora.report.labels import AxisLabels, beside_points, under_bars
from fairlora.report.picture import (
    GREY,
    HAIR,
    INK,
    MARKERS,
    SIZES,
    Legend,
    letters,
    new_figure,
    wrapped,
    write_picture,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

# Inches; the plot's own width is about what is left of the figure's beside the y axis.
_WIDTH, _PLOT_WIDTH, _PLOT_HEIGHT = 7.2, 6.3, 3.1
_TITLE_LETTERS, _NAME_LETTERS, _LABEL_LETTERS = 72, 60, 34
# Points. A letter is about this share of its size wide.
_TICK_SIZE, _LEAST_SIZE, _LABEL_SIZE = 8.0, 4.2, 7.0
_LETTER = 0.6
# Above the axis, where no value lies.
_MISSING_PLACE = 1.035
# The palette's yellow alone is too pale for a line on white paper; the page has it darker too.
_COLOURS = (*PALETTE[:7], "#A39B00")
_HATCHING = {
    "none": "",
    "rising": "////",
    "falling": "\\\\\\\\",
    "dots": "....",
    "level": "----",
    "crossed": "xxxx",
    "upright": "||||",
    "grid": "++++",
}


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
    return write_picture(path, lambda: _figure(ready))


def _figure(chart: Chart) -> Figure:
    view = chart_view(chart)
    title = wrapped(chart["title"], _TITLE_LETTERS)
    categories, size = _category_labels(chart)
    legend = Legend(_legend_texts(view))
    below = {0: categories.most_lines, 40: 0.45 * categories.longest, 90: 0.6 * categories.longest}
    figure = new_figure(
        _WIDTH,
        _PLOT_HEIGHT
        + 0.75
        + 0.19 * (len(title) - 1)
        + 1.2 * below[categories.angle] * size / 72
        + legend.inches,
    )
    figure.suptitle(
        "\n".join(title), x=0.01, ha="left", fontsize=11, weight="bold", parse_math=False
    )
    axes = figure.subplots()
    _dress(axes, chart, view)
    if chart["kind"] == "bars":
        _name_categories(axes, categories, size)
    if not any(series.points for series in view.series):
        axes.text(0.5, 0.5, "No points.", ha="center", color=GREY, size=8, transform=axes.transAxes)
    _draw_references(axes, view)
    for index, series in enumerate(view.series):
        if view.solid:
            _draw_bars(axes, view, series)
        _draw_lines(axes, view, series)
        _draw_points(axes, view, series, index)
    legend.draw(figure, _legend_handles(view))
    if chart["kind"] == "scatter":
        _draw_labels(figure, axes, view)
    return figure


def _dress(axes: Axes, chart: Chart, view: ChartView) -> None:
    """Set the axes' reach, scales, ticks and names: hairlines across, an axis below."""
    for key, scale in (("x", view.x), ("y", view.y)):
        if scale.kind == "log":
            axes.set(**{f"{key}scale": "log"})
        axis = axes.xaxis if key == "x" else axes.yaxis
        axis.set_ticks([], minor=True)
        ticks = scale.ticks
        if key == "x" and ticks:
            width = _PLOT_WIDTH * 72
            ticks = tuple(spaced(ticks, [_text_width(tick.text, 8) / width for tick in ticks]))
        axis.set_ticks([scale.at(tick.place) for tick in ticks], [tick.text for tick in ticks])
    axes.set_xlim(view.x.low, view.x.high)
    axes.set_ylim(view.y.low, view.y.high)
    for key, setter in (("x", axes.set_xlabel), ("y", axes.set_ylabel)):
        name = "\n".join(wrapped(axis_name(chart, key), _NAME_LETTERS, most=2))
        setter(name, fontsize=8, color=GREY, parse_math=False)
    axes.tick_params(axis="both", labelsize=_TICK_SIZE, length=0, labelcolor=GREY)
    axes.tick_params(axis="x", length=3, color=GREY)
    axes.grid(axis="both" if chart["kind"] == "scatter" else "y", color=HAIR, lw=0.8)
    axes.set_axisbelow(True)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    if view.y.kind == "linear" and view.y.low < 0 < view.y.high:
        axes.axhline(0.0, color=GREY, lw=0.8, zorder=2.2)


def _category_labels(chart: Chart) -> tuple[AxisLabels, float]:
    """Return the labels under bars, and the size of their letters: small ones where many stand."""
    if chart["kind"] != "bars":
        return AxisLabels(0, [[""]]), _TICK_SIZE
    categories = chart["categories"]
    labels = ["\n".join(wrapped(one["label"], 10**6, most=1)) for one in categories]
    counts = [f"n = {n:,}" if (n := one.get("n")) is not None else "" for one in categories]
    slot = _PLOT_WIDTH * 72 / max(len(categories), 1)
    size = min(_TICK_SIZE, max(_LEAST_SIZE, slot / 1.06))
    return under_bars(labels, counts, slot, _LETTER * size, _LABEL_LETTERS, 18), size


def _name_categories(axes: Axes, labels: AxisLabels, size: float) -> None:
    texts = ["\n".join(lines) for lines in labels.lines]
    axes.set_xticks(range(len(texts)), texts)
    for label in axes.get_xticklabels():
        label.set_parse_math(False)
        label.set(size=size, rotation=labels.angle, rotation_mode="anchor", color=INK)
        if labels.angle:
            label.set_horizontalalignment("right")
            label.set_verticalalignment("center" if labels.angle == 90 else "top")
    axes.tick_params(axis="x", length=0 if len(texts) < 30 else 2, pad=4)


def _draw_references(axes: Axes, view: ChartView) -> None:
    for index, one in enumerate(view.references):
        if one.span is not None:
            ends = [view.y.at(place) for place in one.span]
            axes.axhspan(*ends, color=INK, alpha=0.09, lw=0, zorder=0.8)
        if one.y is not None:
            dashes = (0, reference_dash(index))
            axes.axhline(view.y.at(one.y), color=INK, lw=1.1, ls=dashes, zorder=1.8)


def _draw_bars(axes: Axes, view: ChartView, series: SeriesView) -> None:
    width = view.lane * (view.x.high - view.x.low)
    floor = view.y.at(view.floor)
    for point in series.points:
        if point.y is not None:
            axes.bar(
                view.x.at(point.x),
                view.y.at(point.y) - floor,
                width,
                bottom=floor,
                zorder=2,
                **_filling(series.look, thin=width * _slot_points(view) < 5),
            )


def _slot_points(view: ChartView) -> float:
    """Return how wide the place of a category, or of a rank, is in points of print."""
    return _PLOT_WIDTH * 72 / (view.x.high - view.x.low)


def _filling(look: SeriesLook, thin: bool = False) -> dict[str, Any]:
    colour = _COLOURS[look.colour]
    hatch = _HATCHING[look.hatch]
    if look.pale:
        return {"fc": _pale(colour), "ec": colour, "lw": 0.4 if thin else 0.8, "hatch": hatch}
    return {"fc": colour, "ec": "white", "lw": 0.2 if thin else 0.6, "hatch": hatch}


def _pale(colour: str) -> tuple[float, ...]:
    """Return `colour` mixed with much white: paler than any colour of the palette by itself."""
    parts = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return tuple(0.2 * part + 0.8 for part in parts)


def _draw_lines(axes: Axes, view: ChartView, series: SeriesView) -> None:
    colour = _colour(series.look)
    for band in series.bands:
        x, low, high = zip(*band, strict=True)
        axes.fill_between(
            [view.x.at(place) for place in x],
            [view.y.at(place) for place in low],
            [view.y.at(place) for place in high],
            color=colour,
            alpha=0.15,
            lw=0,
            zorder=1.6,
        )
    for line in series.lines:
        axes.plot(
            [view.x.at(x) for x, _ in line],
            [view.y.at(y) for _, y in line],
            color=colour,
            lw=1.2 if series.look.plain else 1.4,
            ls=_dashes(series.look),
            zorder=2.7 if series.look.plain else 2.4,
        )


def _draw_points(axes: Axes, view: ChartView, series: SeriesView, index: int) -> None:
    colour = _colour(series.look)
    shape = SHAPES[series.look.shape]
    room = view.lane * _slot_points(view) * (view.x.high - view.x.low)
    # Narrow lanes of many categories get markers that fit; on a line they may touch.
    size = min(SIZES[shape], max(2.2, room)) if view.lane and not view.apart else SIZES[shape]
    whisker = INK if view.solid else colour
    for point in series.points:
        x = view.x.at(point.x)
        _draw_whiskers(axes, view, point, whisker, min(1.2, size / 4.5))
        if point.marks:
            axes.plot(
                [x] * len(point.marks),
                [view.y.at(mark) for mark in point.marks],
                ls="",
                marker="_",
                ms=min(5.0, size),
                color=whisker,
                alpha=0.55,
                zorder=2.6,
            )
        style: dict[str, Any] = {"ls": "", "marker": MARKERS[shape], "ms": size, "clip_on": False}
        if point.missing:
            place = axes.get_xaxis_transform()
            axes.plot(x, _MISSING_PLACE, mfc="none", mec=colour, mew=0.8, transform=place, **style)
        elif point.y is not None and point.marked and not view.solid:
            axes.plot(
                x, view.y.at(point.y), mfc=colour, mec="white", mew=0.6, zorder=3 + index, **style
            )


def _draw_whiskers(
    axes: Axes, view: ChartView, point: PointView, colour: str, width: float
) -> None:
    from matplotlib.patheffects import withStroke

    # On a bar, a white seam keeps the whisker apart from a dark filling.
    seamed = view.solid and width >= 1.0
    seam = [withStroke(linewidth=width + 1.0, foreground="white")] if seamed else None
    # Whiskers in both directions would cover much, so they are paler.
    alpha = 0.5 if point.x_span is not None else 1.0
    style: dict[str, Any] = {"color": colour, "lw": width, "alpha": alpha, "zorder": 2.5}
    if point.y_span is not None:
        x = view.x.at(point.x)
        axes.plot((x, x), [view.y.at(place) for place in point.y_span], path_effects=seam, **style)
    if point.x_span is not None and point.y is not None:
        y = view.y.at(point.y)
        axes.plot([view.x.at(place) for place in point.x_span], (y, y), **style)


def _draw_labels(figure: Figure, axes: Axes, view: ChartView) -> None:
    """Write the labels of points beside them, where they cover nothing."""
    points = [(point, series) for series in view.series for point in series.points]
    notes = [_note(axes, view, point) if point.label else None for point, _ in points]
    if not any(notes):
        return
    # The places of things in points of print are known once the figure has been laid out.
    figure.draw_without_rendering()
    box, scale = axes.get_window_extent(), 72 / figure.dpi
    area = (box.width * scale, box.height * scale)
    sizes: list[tuple[float, float] | None] = []
    for note in notes:
        extent = None if note is None else note.get_window_extent()
        sizes.append(None if extent is None else (extent.width * scale, extent.height * scale))
    places = [(point.x * area[0], (point.y or 0.0) * area[1]) for point, _ in points]
    boxes = beside_points(places, sizes, area, obstacles(view, area))
    for note, place, label in zip(notes, places, boxes, strict=True):
        if note is None:
            continue
        if label is None:
            note.remove()
        else:
            note.set_position((label.x - place[0], label.y - place[1]))


def _note(axes: Axes, view: ChartView, point: PointView) -> Annotation:
    from matplotlib.patheffects import withStroke

    note = axes.annotate(
        "\n".join(wrapped(point.label, _LABEL_LETTERS, most=2)),
        (view.x.at(point.x), view.y.at(point.y or 0.0)),
        xytext=(0, 0),
        textcoords="offset points",
        ha="center",
        va="center",
        size=_LABEL_SIZE,
        color=INK,
        parse_math=False,
        path_effects=[withStroke(linewidth=1.6, foreground="white")],
        zorder=2.9,
    )
    # It stays within the axes, so the layout need not make room for it.
    note.set_in_layout(False)
    return note


def _legend_texts(view: ChartView) -> list[str]:
    texts = [series.name for series in view.series] + [one.text for one in view.references]
    if view.has_missing():
        texts.append("hollow, above the plot: no value")
    if view.unplaced:
        texts.append(view.unplaced_told())
    return texts


def _legend_handles(view: ChartView) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Artist] = []
    for series in view.series:
        look = series.look
        if view.solid:
            handles.append(Patch(**_filling(look)))
            continue
        shape = SHAPES[look.shape]
        handles.append(
            Line2D(
                [],
                [],
                color=_colour(look),
                lw=(1.2 if look.plain else 1.4) if series.lines else 0,
                ls=_dashes(look),
                marker="" if look.plain else MARKERS[shape],
                ms=SIZES[shape],
                mec="white",
                mew=0.6,
            )
        )
    handles.extend(
        Line2D([], [], color=INK, lw=1.1, ls=(0, reference_dash(index)))
        for index in range(len(view.references))
    )
    if view.has_missing():
        handles.append(Line2D([], [], ls="", marker="o", ms=6, mfc="none", mec=INK, mew=0.8))
    if view.unplaced:
        handles.append(Line2D([], [], ls=""))
    return handles


def _colour(look: SeriesLook) -> str:
    return INK if look.plain else _COLOURS[look.colour]


def _dashes(look: SeriesLook) -> Any:
    """Return the dash as matplotlib takes it (its types have no name for it)."""
    # Its lengths count in widths of the line.
    return (0, tuple(length / 1.4 for length in look.dash)) if look.dash else "-"


def _text_width(text: str, size: float) -> float:
    """Return about how wide a text on an axis is, with a gap to the next, in points of print."""
    return (letters(text) * _LETTER + 0.8) * size

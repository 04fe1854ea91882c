"""A dot plot as a picture file, by matplotlib: for a paper, a slide or a README."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fairlora.report.dots_view import (
    PALETTE,
    SHAPES,
    Axis,
    axis_for,
    finite,
    has_weak,
    point_marks,
    point_span,
    reference_text,
    series_names,
    style_of,
    tick_text,
    weak,
)
from fairlora.report.page import Dots, Panel, clean_dots
from fairlora.report.picture import (
    DASHED,
    GREY,
    HAIR,
    INK,
    MARKERS,
    SIZES,
    Legend,
    new_figure,
    wrapped,
    write_picture,
)
from fairlora.report.text import one_line

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 7.2
# Letters to a line, by the size that each kind of text is drawn in.
_TITLE_LETTERS, _LABEL_LETTERS = 72, 34
_LINE_INCHES = 0.14


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
    return write_picture(path, lambda: _figure(ready))


def _figure(dots: Dots) -> Figure:
    names = series_names(dots)
    panels = [panel for panel in dots["panels"] if panel["rows"]]
    title = wrapped(dots["title"], _TITLE_LETTERS)
    legend = Legend(_legend_texts(names, dots))
    heights = [_row_inches(panel, len(names)) * len(panel["rows"]) for panel in panels] or [1.0]
    figure = new_figure(
        _WIDTH,
        sum(heights) + 0.55 * len(heights) + 0.65 + 0.19 * (len(title) - 1) + legend.inches,
    )
    figure.suptitle(
        "\n".join(title), x=0.01, ha="left", fontsize=11, weight="bold", parse_math=False
    )
    if not panels:
        figure.text(0.5, 0.4, "No rows.", ha="center", color=GREY)
        return figure
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
    axis = axis_for(dots)
    for axes, panel in zip(grid[:, 0], panels, strict=True):
        _draw_panel(axes, panel, names, axis, dots)
        if len(panels) > 1 or not _repeats(panel["name"], dots["title"]):
            name = "\n".join(wrapped(panel["name"], _TITLE_LETTERS))
            axes.set_title(name, loc="left", fontsize=9, weight="bold", parse_math=False)
    legend.draw(figure, _legend_handles(names, dots))
    return figure


def _repeats(name: str, title: str) -> bool:
    """Return whether the figure's title says already what the panel's name would."""
    return one_line(name).casefold() in one_line(title).casefold()


def _row_label(panel: Panel, index: int) -> list[str]:
    row = panel["rows"][index]
    n = row.get("n")
    lines = wrapped(row["label"], _LABEL_LETTERS)
    if n is None:
        return lines
    told = f"(n = {n:,})"
    # The number stays whole, on a line of its own if need be.
    if len(lines[-1]) + 2 + len(told) <= _LABEL_LETTERS:
        return [*lines[:-1], f"{lines[-1]}  {told}"]
    return [*lines, told]


def _row_inches(panel: Panel, series: int) -> float:
    lines = max(len(_row_label(panel, index)) for index in range(len(panel["rows"])))
    return max(0.3, 0.14 * series + 0.1, _LINE_INCHES * lines + 0.1)


def _draw_panel(axes: Axes, panel: Panel, names: list[str], axis: Axis, dots: Dots) -> None:
    lane = 0.8 / max(len(names), 1)
    for row_index, row in enumerate(panel["rows"]):
        for point in row["points"]:
            index = names.index(point["series"])
            y = row_index - 0.4 + lane * (index + 0.5)
            style = style_of(index)
            colour, shape = PALETTE[style.colour], SHAPES[style.shape]
            span, value = point_span(point), finite(point["value"])
            if span is not None:
                axes.plot(span, (y, y), color=colour, lw=1.2, alpha=0.8, solid_capstyle="round")
            marks = point_marks(point)
            axes.plot(marks, [y] * len(marks), ls="", marker="|", ms=5, color=colour, alpha=0.6)
            if value is not None:
                axes.plot(
                    value,
                    y,
                    ls="",
                    marker=MARKERS[shape],
                    ms=SIZES[shape],
                    color=colour,
                    mfc="white" if weak(point) else colour,
                    mec=colour if weak(point) else "white",
                    mew=1.1 if weak(point) else 0.6,
                    clip_on=False,
                    zorder=3,
                )
            elif span is None:
                room = (axis.high - axis.low) * 0.01
                axes.plot(
                    axis.low + room,
                    y,
                    ls="",
                    marker=MARKERS[shape],
                    ms=SIZES[shape],
                    mfc="none",
                    mec=colour,
                    mew=0.8,
                )
                axes.text(
                    axis.low + 2.2 * room, y, "no value", color=GREY, size=6, va="center_baseline"
                )
    _dress(axes, panel, axis, dots)


def _dress(axes: Axes, panel: Panel, axis: Axis, dots: Dots) -> None:
    """Set the panel's labels, ticks and grid: an axis below, hairlines, and nothing else."""
    count = len(panel["rows"])
    axes.set_xlim(axis.low, axis.high)
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_xticks(axis.ticks, [tick_text(tick, axis.step, dots["unit"]) for tick in axis.ticks])
    labels = ["\n".join(_row_label(panel, index)) for index in range(count)]
    axes.set_yticks(range(count), labels)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.tick_params(axis="both", labelsize=8, length=0, colors=INK)
    axes.tick_params(axis="x", length=3, color=GREY, labelcolor=GREY)
    axes.grid(axis="x", color=HAIR, lw=0.8)
    axes.set_axisbelow(True)
    if "reference" in dots:
        axes.axvline(dots["reference"], color=INK, lw=1.0, ls=DASHED, zorder=1)
    for y in range(1, count):
        axes.axhline(y - 0.5, color=HAIR, lw=0.8, zorder=0)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GREY)


def _legend_texts(names: list[str], dots: Dots) -> list[str]:
    """Return the entries of the legend: the series, then what the line and hollow markers are."""
    texts = list(names)
    if "reference" in dots:
        texts.append(f"to compare with: {reference_text(dots)}")
    if has_weak(dots):
        texts.append(f"hollow: does not exclude {reference_text(dots) or 'the reference'}")
    return texts


def _legend_handles(names: list[str], dots: Dots) -> list[Artist]:
    from matplotlib.lines import Line2D

    handles: list[Artist] = []
    for index in range(len(names)):
        style = style_of(index)
        shape = SHAPES[style.shape]
        handles.append(
            Line2D(
                [],
                [],
                color=PALETTE[style.colour],
                lw=1.2,
                marker=MARKERS[shape],
                ms=SIZES[shape],
                mec="white",
                mew=0.6,
            )
        )
    if "reference" in dots:
        handles.append(Line2D([], [], color=INK, lw=1.0, ls=DASHED))
    if has_weak(dots):
        handles.append(Line2D([], [], ls="", marker="o", ms=6, mfc="white", mec=INK, mew=1.1))
    return handles

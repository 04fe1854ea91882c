"""A dot plot as a picture file, by matplotlib: for a paper, a slide or a README."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlora.errors import InputError
from fairlora.report.files import replacing
from fairlora.report.page import Dots, Panel, clean_dots
from fairlora.report.scale import (
    PALETTE,
    SHAPES,
    Axis,
    axis_for,
    finite,
    point_marks,
    point_span,
    series_names,
    style_of,
    tick_text,
)
from fairlora.report.text import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = dict(zip(SHAPES, ("o", "D", "s", "^", "v", "P", "X", "h"), strict=True))
# Diamonds and squares look larger than circles of the same nominal size.
_SIZES = dict(zip(SHAPES, (6.0, 5.2, 5.2, 6.2, 6.2, 6.8, 6.6, 6.6), strict=True))
_FORMATS = ("png", "svg", "pdf")
_WIDTH = 7.2
_GREY = "#59636e"


def dots_figure(dots: Dots, path: str | os.PathLike[str]) -> None:
    """Draw `dots` to `path` as PNG, SVG or PDF, by its suffix; whole or not at all.

    Series differ in marker, and in colours that the colour-blind tell apart. The same input gives
    the same file.

    Raises
    ------
    InputError (a ValueError): `dots` is malformed (the message names the key), or the suffix is
        not .png, .svg or .pdf.
    OSError: the file cannot be written; what was there before stays.
    """
    ready = clean_dots(dots)
    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in _FORMATS:
        raise InputError(
            "unknown picture format", where=path, found=repr(suffix), expected="png, svg or pdf"
        )

    from matplotlib import rc_context

    # A date in the file, or ids from a random salt, would make every run's picture differ.
    undated = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[suffix]
    # Any, because matplotlib's type of a settings dict changes between its versions.
    settings: Any = {"svg.hashsalt": "fairlora", "pdf.fonttype": 42, "font.family": "DejaVu Sans"}
    with rc_context(settings), warnings.catch_warnings(), replacing(path) as temporary:
        # A script that the font lacks is drawn as boxes; a warning a glyph would help nobody.
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*missing.*")
        figure = _figure(ready)
        figure.savefig(temporary, format=suffix, dpi=200, metadata=undated)


def _figure(dots: Dots) -> Figure:
    # A Figure of its own: pyplot would keep it, and would choose a backend for the whole process.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = series_names(dots)
    panels = [panel for panel in dots["panels"] if panel["rows"]]
    row_inches = max(0.3, 0.14 * len(names) + 0.1)
    heights = [row_inches * len(panel["rows"]) for panel in panels] or [1.0]
    figure = Figure(
        figsize=(_WIDTH, sum(heights) + 0.55 * len(heights) + 1.1),
        layout="constrained",
        facecolor="white",
    )
    FigureCanvasAgg(figure)
    figure.suptitle(
        one_line(dots["title"]), x=0.01, ha="left", fontsize=11, weight="bold", parse_math=False
    )
    if not panels:
        figure.text(0.5, 0.4, "No rows.", ha="center", color=_GREY)
        return figure
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
    axis = axis_for(dots)
    for axes, panel in zip(grid[:, 0], panels, strict=True):
        _draw_panel(axes, panel, names, axis, dots)
    _legend(figure, names)
    return figure


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
                    marker=_MARKERS[shape],
                    ms=_SIZES[shape],
                    color=colour,
                    mec="white",
                    mew=0.6,
                    clip_on=False,
                    zorder=3,
                )
            elif span is None:
                room = (axis.high - axis.low) * 0.01
                axes.plot(
                    axis.low + room,
                    y,
                    ls="",
                    marker=_MARKERS[shape],
                    ms=_SIZES[shape],
                    mfc="none",
                    mec=colour,
                    mew=0.8,
                )
                axes.text(
                    axis.low + 2.2 * room, y, "no value", color=_GREY, size=6, va="center_baseline"
                )
    _dress(axes, panel, axis, dots)


def _dress(axes: Axes, panel: Panel, axis: Axis, dots: Dots) -> None:
    """Set the panel's labels, ticks and grid: an axis below, hairlines, and nothing else."""
    count = len(panel["rows"])
    axes.set_xlim(axis.low, axis.high)
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_xticks(axis.ticks, [tick_text(tick, axis.step, dots["unit"]) for tick in axis.ticks])
    labels = []
    for row in panel["rows"]:
        n = row.get("n")
        labels.append(one_line(row["label"]) + ("" if n is None else f"  (n = {n:,})"))
    axes.set_yticks(range(count), labels)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.set_title(one_line(panel["name"]), loc="left", fontsize=9, weight="bold", parse_math=False)
    axes.tick_params(axis="both", labelsize=8, length=0, colors="#1c2127")
    axes.tick_params(axis="x", length=3, color=_GREY, labelcolor=_GREY)
    axes.grid(axis="x", color="#e6e9ed", lw=0.8)
    axes.set_axisbelow(True)
    for y in range(1, count):
        axes.axhline(y - 0.5, color="#e6e9ed", lw=0.8, zorder=0)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_GREY)


def _legend(figure: Figure, names: list[str]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for index in range(len(names)):
        style = style_of(index)
        shape = SHAPES[style.shape]
        handles.append(
            Line2D(
                [],
                [],
                color=PALETTE[style.colour],
                lw=1.2,
                marker=_MARKERS[shape],
                ms=_SIZES[shape],
                mec="white",
                mew=0.6,
            )
        )
    if not handles:
        return
    legend = figure.legend(
        handles,
        [one_line(name) for name in names],
        loc="outside lower left",
        ncols=min(len(names), 4),
        frameon=False,
        fontsize=8,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)

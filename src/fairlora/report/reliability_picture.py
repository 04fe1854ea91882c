"""Reliability diagrams as a picture file, by matplotlib: for a paper, a slide or a README."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fairlora.report import reliability_view as bins
from fairlora.report.dots_view import PALETTE, tick_text
from fairlora.report.page import Reliability, ReliabilityPanel, clean_reliability
from fairlora.report.picture import DASHED, GREY, HAIR, INK, new_figure, wrapped, write_picture
from fairlora.report.reliability_view import (
    BinView,
    PanelView,
    histogram_top,
    panel_facts,
    panel_view,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _ORANGE = PALETTE[0], PALETTE[1]
_LIGHT_BLUE = "#8cbfe0"
_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_PANEL_WIDTH = 3.1
_MARGIN = 0.5
# What a line of a panel's head takes, and the two labels of means beneath the head.
_LINE_POINTS, _LABELS_POINTS = 10.5, 24.0
_DOTTED = (0, (1.5, 1.5))


def reliability_figure(chart: Reliability, path: str | os.PathLike[str] | None = None) -> Figure:
    """Draw `chart` to `path` as PNG, SVG or PDF, by its suffix; whole or not at all.

    Returns the figure; without a path it is drawn and not written.

    Panels stand side by side, each with the histogram of its confidence above. Gaps are hatched, so
    that they can be told in grey. The same input gives the same file.

    Raises
    ------
    InputError (a ValueError): `chart` is malformed (the message names the key), or the suffix is
        not .png, .svg or .pdf.
    OSError: the file cannot be written; what was there before stays.
    """
    ready = clean_reliability(chart)
    return write_picture(path, lambda: _figure(ready))


def _figure(chart: Reliability) -> Figure:
    panels = chart["panels"]
    columns = max(len(panels), 1)
    # One panel alone gets room for the legend beneath it.
    width = max(_PANEL_WIDTH * columns, 4.4) + _MARGIN
    title = wrapped(chart["title"], round(10.2 * width))
    heads = [_head(panel) for panel in panels]
    # All heads get the room of the longest, so that all histograms are as high.
    room = max((len(names) + len(facts) for names, facts in heads), default=0)
    figure = new_figure(width, 5.1 + 0.19 * len(title) + room * _LINE_POINTS / 72)
    figure.suptitle(
        "\n".join(title), x=0.01, ha="left", fontsize=11, weight="bold", parse_math=False
    )
    if not panels:
        figure.text(0.5, 0.4, "No panels.", ha="center", color=GREY)
        return figure
    grid = figure.subplots(2, columns, squeeze=False, sharex=True, height_ratios=(1, 2.4))
    top = histogram_top(chart)
    for column, panel in enumerate(panels):
        view = panel_view(panel)
        upper, lower = grid[0, column], grid[1, column]
        _draw_histogram(upper, view, top)
        _draw_diagram(lower, view)
        _draw_head(upper, *heads[column], _LABELS_POINTS + room * _LINE_POINTS)
        if column == 0:
            upper.set_ylabel("Share of rows", fontsize=8, color=GREY)
            lower.set_ylabel("Accuracy", fontsize=8, color=GREY)
        name = "\n".join(wrapped(chart["confidence"], 38))
        lower.set_xlabel(name, fontsize=8, color=GREY, parse_math=False)
    figure.align_ylabels()
    _legend(figure, columns, chart)
    return figure


def _head(panel: ReliabilityPanel) -> tuple[list[str], list[str]]:
    """Return what stands above a panel in lines: its name; its number of rows and summary."""
    facts = panel_facts(panel, means=False)
    return wrapped(panel["name"], 36), [line for fact in facts for line in wrapped(fact, 44)]


def _draw_head(axes: Axes, names: list[str], facts: list[str], top: float) -> None:
    for lines, weight in ((names, "bold"), (facts, "normal")):
        axes.annotate(
            "\n".join(lines),
            (0, 1),
            xycoords="axes fraction",
            xytext=(0, top),
            textcoords="offset points",
            va="top",
            size=8,
            weight=weight,
            color=INK,
            parse_math=False,
        )
        top -= len(lines) * _LINE_POINTS


def _draw_histogram(axes: Axes, view: PanelView, top: float) -> None:
    for one in view.bins:
        left, width = _place(one)
        axes.bar(left, one.share, width, align="edge", color="#a4abb3", ec="white", lw=_edge(view))
    for row, label in enumerate(bins.mean_labels(view)):
        style = "-" if label.is_accuracy else _DOTTED
        height = 1.23 - 0.14 * row
        axes.plot(
            (label.value, label.value),
            (0, top * height),
            color=INK,
            lw=1.3,
            ls=style,
            clip_on=False,
        )
        axes.annotate(
            label.text,
            (label.value, top * height),
            xytext=(-3 if label.leftwards else 3, 0),
            textcoords="offset points",
            ha="right" if label.leftwards else "left",
            va="top",
            size=7,
            color=GREY,
            annotation_clip=False,
        )
    axes.set_ylim(0, top)
    shares = (0.0, top / 2, top)
    axes.set_yticks(shares, [tick_text(share, top / 2, "share") for share in shares])
    _dress(axes)
    # The diagram below has the same axis, with labels.
    axes.tick_params(axis="x", labelbottom=False)


def _draw_diagram(axes: Axes, view: PanelView) -> None:
    many = len(view.bins) > bins.MANY_BINS
    for one in view.bins:
        if one.accuracy is None:
            continue
        left, width = _place(one)
        axes.bar(
            left, one.accuracy, width, align="edge", color=_LIGHT_BLUE, ec="white", lw=_edge(view)
        )
        if one.confidence is not None:
            axes.bar(
                left,
                abs(one.confidence - one.accuracy),
                width,
                bottom=min(one.accuracy, one.confidence),
                align="edge",
                fc=(1, 1, 1, 0.55),
                ec=_ORANGE,
                lw=0.4 if many else 0.8,
                hatch="////",
            )
        axes.plot(
            (left, left + width),
            (one.accuracy, one.accuracy),
            color=_BLUE,
            lw=1.2 if many else 1.8,
            solid_capstyle="butt",
        )
        if one.interval is not None:
            axes.plot(
                (one.middle, one.middle),
                one.interval,
                color=INK,
                lw=0.6 if many else 1.0,
                marker="_",
                ms=min(5.0, 90 * width),
                mew=0.6 if many else 1.0,
                clip_on=False,
                zorder=4,
            )
    axes.plot((0, 1), (0, 1), color=INK, lw=1.0, ls=DASHED, zorder=3)
    if not view.bins:
        axes.text(0.5, 0.5, "no rows", ha="center", color=GREY, size=8, style="italic")
    labels = [tick_text(tick, 0.2, "share") for tick in _TICKS]
    axes.set_ylim(0, 1)
    axes.set_xticks(_TICKS, labels)
    axes.set_yticks(_TICKS, labels)
    _dress(axes)


def _place(one: BinView) -> tuple[float, float]:
    """Return where a bin's bar begins and how wide it is; one of no width can still be seen."""
    width = max(one.high - one.low, 0.004)
    return min(one.low, 1 - width), width


def _edge(view: PanelView) -> float:
    return 0.3 if len(view.bins) > bins.MANY_BINS else 0.8


def _dress(axes: Axes) -> None:
    axes.set_xlim(0, 1)
    axes.tick_params(axis="both", labelsize=7.5, length=0, labelcolor=GREY)
    axes.tick_params(axis="x", length=3, color=GREY)
    axes.grid(axis="y", color=HAIR, lw=0.8)
    axes.set_axisbelow(True)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GREY)


def _legend(figure: Figure, columns: int, chart: Reliability) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    whisker = bins.whisker_text(chart)
    handles = [
        Patch(fc=_LIGHT_BLUE, ec=_BLUE, lw=1.0, label=bins.BAR),
        Patch(fc="white", ec=_ORANGE, lw=0.8, hatch="//////", label=bins.GAP),
        Line2D([], [], color=INK, lw=1.0, marker="|", ms=7, ls="", mew=1.2, label=whisker),
        Line2D([], [], color=INK, lw=1.0, ls=DASHED, label=bins.DIAGONAL),
        Line2D([], [], color=INK, lw=1.3, label=bins.MEAN_ACCURACY),
        Line2D([], [], color=INK, lw=1.3, ls=_DOTTED, label=bins.MEAN_CONFIDENCE),
    ]
    figure.legend(
        handles=handles,
        loc="outside lower left",
        ncols=min(columns, 3),
        frameon=False,
        fontsize=7.5,
    )

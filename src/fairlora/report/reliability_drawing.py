"""Draw reliability diagrams, the histogram of the confidence above each (Guo et al., 2017)."""

from __future__ import annotations

import os
from typing import Any

from matplotlib.figure import Figure

from fairlora.report import reliability_view as bins
from fairlora.report.chart_scale import Tick
from fairlora.report.dots_view import tick_text
from fairlora.report.page import Reliability, ReliabilityPanel, clean_reliability
from fairlora.report.picture import written
from fairlora.report.reliability_view import (
    BinView,
    PanelView,
    histogram_top,
    panel_facts,
    panel_view,
)
from fairlora.report.sheet import WIDE, Drawing, Plot, Sheet, fitting
from fairlora.report.style import GREY, INK, LEADING, PALETTE, PAPER, SIZE, SMALL, compared
from fairlora.report.text import one_line, wrapped

_BLUE, _ORANGE = PALETTE[0], PALETTE[1]
_BAR: dict[str, Any] = {"fc": _BLUE, "alpha": 0.45, "ec": PAPER, "lw": 0.6}
_GAP: dict[str, Any] = {"fc": (PAPER, 0.55), "ec": _ORANGE, "lw": 0.8, "hatch": "////"}
_MEAN: dict[str, Any] = {"color": INK, "lw": 1.3}
_DOTTED = (0, (1.5, 1.5))
_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
# A panel is this wide at most, and at least unless it is alone.
_MOST, _LEAST = 225.0, 165.0
_LEFT, _RIGHT = 44.0, 14.0
_HISTOGRAM = 62.0
# The room between the histogram and the diagram, and of each line of the labels of means.
_BETWEEN, _LABEL = 14.0, 10.0
# What is left to see of a bin of no width.
_THIN = 0.004


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
    return written(path, ready["title"], lambda: draw_reliability(ready, WIDE, ready["title"]))


def draw_reliability(chart: Reliability, width: float, title: str = "") -> Drawing:
    """Draw `chart` (checked and clean).

    Parameters
    ----------
    chart : what to draw.
    width : of the drawing, in points.
    title : what stands above it; nothing where a page has the title.
    """
    sheet = Sheet(width, title)
    panels = chart["panels"]
    if not panels:
        sheet.lines_of_text(["No panels."], color=GREY)
        return sheet.finished()
    sheet.legend(_legend(chart))
    columns = max(1, min(len(panels), int(width / _LEAST)))
    across = min(_MOST, width / columns)
    top = histogram_top(chart)
    for first in range(0, len(panels), columns):
        row = panels[first : first + columns]
        heads = [_head(panel, across) for panel in row]
        # All heads get the room of the longest, so that all histograms are as high.
        room = max(len(names) + len(facts) for names, facts in heads)
        start = sheet.y + 4
        for column, (panel, head) in enumerate(zip(row, heads, strict=True)):
            sheet.y = start
            _draw_panel(sheet, panel, head, room, column * across, across, top)
            for line in wrapped(chart["confidence"], fitting(across - _LEFT, SIZE), 2):
                sheet.y += LEADING * SIZE
                middle = column * across + (_LEFT + across - _RIGHT) / 2
                sheet.write(middle, sheet.y, line, color=GREY, ha="center")
        sheet.y += 6
    return sheet.finished()


def _head(panel: ReliabilityPanel, width: float) -> tuple[list[str], list[str]]:
    """Return what stands above a panel in lines: its name; its number of rows and summary."""
    most = fitting(width - 8, SIZE)
    facts = panel_facts(panel, means=False)
    return wrapped(panel["name"], most), [line for fact in facts for line in wrapped(fact, most)]


def _draw_panel(
    sheet: Sheet,
    panel: ReliabilityPanel,
    head: tuple[list[str], list[str]],
    room: int,
    left: float,
    width: float,
    top: float,
) -> None:
    """Draw a panel where the sheet has come to.

    Parameters
    ----------
    sheet : what to draw on.
    panel : what to draw.
    head : lines of its name, and of what is known of it.
    room : lines that the head of any panel of this row has.
    left, width : of the panel, in points.
    top : the upper end of the histogram's axis.
    """
    view = panel_view(panel)
    start = sheet.y
    sheet.tip(f"{one_line(panel['name'])}: {one_line('; '.join(panel_facts(panel)))}")
    for index, line in enumerate((*head[0], *head[1])):
        weight = "bold" if index < len(head[0]) else "normal"
        sheet.write(left, start + LEADING * SIZE * (index + 1), line, weight=weight)
    y = start + LEADING * SIZE * room + 6
    sides = (left + _LEFT, left + width - _RIGHT)
    histogram = sheet.plot(*sides, _HISTOGRAM, y + 2 * _LABEL)
    diagram = sheet.plot(*sides, sides[1] - sides[0], histogram.top + _HISTOGRAM + _BETWEEN)
    _draw_histogram(sheet, histogram, view, top, y)
    _draw_diagram(sheet, diagram, view)
    for plot, name in ((histogram, "Share of rows"), (diagram, "Accuracy")):
        sheet.write(left + SIZE, plot.y(0.5), name, color=GREY, ha="center", rotation=90)
    for one_bin in view.bins:
        box = (diagram.x(one_bin.low), histogram.top, diagram.width * (one_bin.high - one_bin.low))
        words = f"{one_line(panel['name'])}, {bins.bin_words(one_bin)}"
        sheet.tip(words, (*box, diagram.top + diagram.height - histogram.top))


def _draw_histogram(sheet: Sheet, plot: Plot, view: PanelView, top: float, start: float) -> None:
    plot.limits = ((0.0, 1.0), (0.0, top))
    shares = (0.0, top / 2, top)
    sheet.y_axis(plot, [Tick(s / top, tick_text(s, top / 2, "share")) for s in shares])
    bars = [(*_side(one_bin), one_bin.share / top) for one_bin in view.bins]
    boxes = [(x, 0.0, width, height) for x, width, height in bars]
    plot.boxes(boxes, fc=GREY, alpha=0.55, ec=PAPER, lw=_edge(view), zorder=2)
    plot.lines([[(0, 0), (1, 0)]], color=GREY, lw=0.8, zorder=2.1)
    for row, label in enumerate(bins.mean_labels(view)):
        y = start + _LABEL * row + SMALL
        upper = (plot.top + _HISTOGRAM - y + SMALL) / _HISTOGRAM
        style = _MEAN if label.is_accuracy else _MEAN | {"ls": _DOTTED}
        plot.lines([[(label.value, 0), (label.value, upper)]], zorder=3, **style)
        side = -3 if label.leftwards else 3
        anchor = "right" if label.leftwards else "left"
        x = plot.x(label.value) + side
        sheet.write(x, y, label.text, SMALL, color=GREY, ha=anchor)


def _draw_diagram(sheet: Sheet, plot: Plot, view: PanelView) -> None:
    ticks = [Tick(tick, tick_text(tick, 0.2, "share")) for tick in _TICKS]
    sheet.y_axis(plot, ticks)
    sheet.x_axis(plot, ticks)
    many = len(view.bins) > bins.MANY_BINS
    cap = min(2.5 / plot.width, 0.2 / max(len(view.bins), 1))
    bars, gaps, tops, whiskers = [], [], [], []
    for one_bin in view.bins:
        if one_bin.accuracy is None:
            continue
        x, width = _side(one_bin)
        bars.append((x, 0.0, width, one_bin.accuracy))
        tops.append([(x, one_bin.accuracy), (x + width, one_bin.accuracy)])
        if one_bin.confidence is not None:
            ends = sorted((one_bin.accuracy, one_bin.confidence))
            gaps.append((x, ends[0], width, ends[1] - ends[0]))
        if one_bin.interval is not None:
            middle, low, high = one_bin.middle, *one_bin.interval
            whiskers += [[(middle, low), (middle, high)]]
            whiskers += [[(middle - cap, end), (middle + cap, end)] for end in (low, high)]
    plot.boxes(bars, zorder=2, **_BAR | {"lw": _edge(view)})
    plot.boxes(gaps, zorder=2.1, **_GAP | {"lw": 0.4 if many else 0.8})
    plot.lines(tops, color=_BLUE, lw=1.2 if many else 1.8, zorder=2.2)
    plot.lines([[(0, 0), (1, 1)]], zorder=3, **compared())
    thin = 0.6 if many else 1.0
    plot.lines(whiskers, color=INK, lw=thin, zorder=4)
    if not view.bins:
        sheet.write(plot.x(0.5), plot.y(0.5), "no rows", color=GREY, ha="center", style="italic")


def _side(one_bin: BinView) -> tuple[float, float]:
    """Return where a bin's bar begins and how wide it is; one of no width can still be seen."""
    width = max(one_bin.high - one_bin.low, _THIN)
    return min(one_bin.low, 1 - width), width


def _edge(view: PanelView) -> float:
    return 0.3 if len(view.bins) > bins.MANY_BINS else 0.8


def _legend(chart: Reliability) -> list[tuple[str, dict[str, Any]]]:
    whisker = {"color": INK, "lw": 1.0, "marker": "|", "ms": 7, "ls": "", "mew": 1.2}
    return [
        (bins.BAR, _BAR | {"ec": _BLUE}),
        (bins.GAP, _GAP),
        (bins.whisker_text(chart), whisker),
        (bins.DIAGONAL, compared()),
        (bins.MEAN_ACCURACY, _MEAN),
        (bins.MEAN_CONFIDENCE, _MEAN | {"ls": _DOTTED}),
    ]

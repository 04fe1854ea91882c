"""Reliability diagrams as inline SVG, a histogram of the confidence above each (Guo et al., 2017).

Each panel is one drawing that scales with its column. Its names, its axis label and its summary
stand beside it as text of the page, where they can wrap; only numbers are drawn. Colours are
classes that the page's style sheet fills, for light and dark; a gap is hatched besides.
"""

from __future__ import annotations

from typing import NamedTuple
from xml.sax.saxutils import escape

from fairlora.report import reliability_view as bins
from fairlora.report.dots_view import number_text, tick_text
from fairlora.report.page import Reliability, ReliabilityPanel, Table
from fairlora.report.reliability_view import (
    BinView,
    PanelView,
    bins_table,
    histogram_top,
    panel_facts,
)
from fairlora.report.text import one_line

# The drawing's own units; letters are about 11 of them high.
_WIDTH, _HEIGHT = 288.0, 380.0
_LEFT, _RIGHT = 52.0, 270.0
_HISTOGRAM_TOP, _HISTOGRAM_BOTTOM = 34.0, 112.0
_TOP, _BOTTOM = 138.0, 356.0
_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
# An attribute, because the page's style sheet must hold no address, not even one in the page.
_HATCH = ' fill="url(#hatch)"'
_OPENING = '<svg xmlns="http://www.w3.org/2000/svg"'


class DiagramPanel(NamedTuple):
    """One panel: its name, the lines beneath the name, its drawing, the same as a table."""

    name: str
    facts: list[str]
    svg: str
    numbers: Table


class DiagramKey(NamedTuple):
    """An entry of the legend."""

    name: str
    svg: str


class Diagram(NamedTuple):
    """Reliability diagrams side by side, ready for a page to lay out."""

    legend: list[DiagramKey]
    confidence: str
    panels: list[DiagramPanel]


def hatch_sprite() -> str:
    """Return the hidden SVG that holds the hatching of gaps once; drawings refer to it by id."""
    return (
        f'{_OPENING} class="sprite" width="0" height="0" aria-hidden="true" focusable="false">'
        '<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><line class="hatching" x1="0" x2="0" y1="0" y2="5"/>'
        "</pattern></defs></svg>"
    )


def draw_reliability(chart: Reliability, identity: str) -> Diagram:
    """Draw `chart`. `identity` starts every id in the SVG, and must be unique in the page."""
    top = histogram_top(chart)
    panels = [
        DiagramPanel(
            panel["name"],
            panel_facts(panel, means=False),
            _panel_svg(panel, chart["confidence"], top, f"{identity}-{index}"),
            bins_table(panel, chart),
        )
        for index, panel in enumerate(chart["panels"])
    ]
    return Diagram(_legend(chart) if panels else [], chart["confidence"], panels)


def _panel_svg(panel: ReliabilityPanel, confidence: str, top: float, identity: str) -> str:
    view = bins.panel_view(panel)
    title = f"{one_line(panel['name'])}: accuracy by {one_line(confidence)}, n = {panel['n']:,}"
    # Axes before bars, so that bars hide the grid; the diagonal last, so that no bar hides it.
    parts = [
        _histogram_axes(top),
        *(_histogram_bar(one, top) for one in view.bins),
        *_means(view),
        _axes(),
        *(_bar(one) for one in view.bins),
        f'<line class="diagonal" x1="{_x(0)}" x2="{_x(1)}" y1="{_y(0)}" y2="{_y(1)}"/>',
        *(_whisker(one) for one in view.bins),
    ]
    if not view.bins:
        middle = f'x="{_x(0.5)}" y="{_y(0.5)}"'
        parts.append(f'<text class="missing" {middle} text-anchor="middle">no rows</text>')
    look = "diagram fine" if len(view.bins) > bins.MANY_BINS else "diagram"
    return (
        f'{_OPENING} class="{look}" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" '
        f'aria-labelledby="{identity}-t {identity}-d">'
        f'<title id="{identity}-t">{escape(title)}</title>'
        f'<desc id="{identity}-d">{escape(bins.told(view))}</desc>{"".join(parts)}</svg>'
    )


def _histogram_axes(top: float) -> str:
    parts = [_name("Share of rows", (_HISTOGRAM_TOP + _HISTOGRAM_BOTTOM) / 2)]
    for share in (0.0, top / 2, top):
        y = _histogram_y(share, top)
        parts.append(f'<line class="grid" x1="{_LEFT:g}" x2="{_RIGHT:g}" y1="{y}" y2="{y}"/>')
        parts.append(_text(_LEFT - 6, float(y) + 3.5, tick_text(share, top / 2, "share"), "end"))
    y = _histogram_y(0, top)
    parts.append(f'<line class="tick" x1="{_LEFT:g}" x2="{_RIGHT:g}" y1="{y}" y2="{y}"/>')
    return "".join(parts)


def _axes() -> str:
    parts = [_name("Accuracy", (_TOP + _BOTTOM) / 2)]
    for tick in _TICKS:
        x, y = _x(tick), _y(tick)
        parts.append(f'<line class="grid" x1="{_LEFT:g}" x2="{_RIGHT:g}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<line class="tick" x1="{x}" x2="{x}" y1="{_BOTTOM:g}" y2="{_BOTTOM + 4:g}"/>'
        )
        text = tick_text(tick, 0.2, "share")
        parts.append(_text(_LEFT - 6, float(y) + 3.5, text, "end"))
        parts.append(_text(float(x), _BOTTOM + 17, text, "middle"))
    parts.append(f'<line class="tick" x1="{_x(0)}" x2="{_x(1)}" y1="{_y(0)}" y2="{_y(0)}"/>')
    return "".join(parts)


def _histogram_bar(one: BinView, top: float) -> str:
    title = f"{bins.bin_text(one)}: {number_text(one.share, 'share')} of the rows"
    bar = _rect("share", one, _histogram_y(one.share, top), _histogram_y(0, top))
    return f"<g><title>{escape(title)}</title>{bar}</g>"


def _means(view: PanelView) -> list[str]:
    """Return the lines of mean accuracy and mean confidence, each named on a row of its own."""
    lines, texts = [], []
    for row, label in enumerate(bins.mean_labels(view)):
        x, y = _x(label.value), 10.0 + 13 * row
        look = "mean-accuracy" if label.is_accuracy else "mean-confidence"
        lines.append(
            f'<line class="{look}" x1="{x}" x2="{x}" y1="{y - 8:g}" y2="{_HISTOGRAM_BOTTOM:g}"/>'
        )
        if label.leftwards:
            texts.append(_text(float(x) - 5, y, label.text, "end"))
        else:
            texts.append(_text(float(x) + 5, y, label.text, "start"))
    return lines + texts


def _bar(one: BinView) -> str:
    """Return a bin's accuracy as a bar, and the gap from there to its mean confidence."""
    if one.accuracy is None:
        return ""
    title = (
        f"{bins.bin_text(one)}: accuracy {number_text(one.accuracy, 'share')}, "
        f"mean confidence {number_text(one.confidence, 'share')}"
    )
    parts = [f"<title>{escape(title)}</title>", _rect("bar", one, _y(one.accuracy), _y(0))]
    if one.confidence is not None:
        ends = sorted((one.accuracy, one.confidence))
        parts.append(_rect("gap", one, _y(ends[1]), _y(ends[0])))
        parts.append(_rect("hatched", one, _y(ends[1]), _y(ends[0]), _HATCH))
    x, y = (_x(one.low), _x(one.high)), _y(one.accuracy)
    parts.append(f'<line class="bar-top" x1="{x[0]}" x2="{x[1]}" y1="{y}" y2="{y}"/>')
    return f"<g>{''.join(parts)}</g>"


def _whisker(one: BinView) -> str:
    if one.interval is None:
        return ""
    half = min((_RIGHT - _LEFT) * (one.high - one.low) / 4, 3.0)
    return _whisker_path(float(_x(one.middle)), _y(one.interval[0]), _y(one.interval[1]), half)


def _whisker_path(x: float, low: str, high: str, half: float) -> str:
    caps = f"M{x - half:.2f},{low}H{x + half:.2f}M{x - half:.2f},{high}H{x + half:.2f}"
    return f'<path class="bin-interval" d="M{x:.2f},{low}V{high}{caps}"/>'


def _rect(look: str, one: BinView, upper: str, lower: str, more: str = "") -> str:
    left, right = float(_x(one.low)), float(_x(one.high))
    # A hairline between bars, and a bin of no width still to be seen.
    room = 0.5 if right - left > 3 else 0.0
    width = max(right - left - 2 * room, 0.8)
    height = float(lower) - float(upper)
    return (
        f'<rect class="{look}" x="{left + room:.2f}" y="{upper}" width="{width:.2f}" '
        f'height="{height:.2f}"{more}/>'
    )


def _name(text: str, y: float) -> str:
    place = f'transform="translate(11 {y:g}) rotate(-90)"'
    return f'<text class="name" {place} text-anchor="middle">{text}</text>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _x(share: float) -> str:
    return f"{_LEFT + (_RIGHT - _LEFT) * share:.2f}"


def _y(share: float) -> str:
    return f"{_BOTTOM - (_BOTTOM - _TOP) * share:.2f}"


def _histogram_y(share: float, top: float) -> str:
    return f"{_HISTOGRAM_BOTTOM - (_HISTOGRAM_BOTTOM - _HISTOGRAM_TOP) * share / top:.2f}"


def _legend(chart: Reliability) -> list[DiagramKey]:
    upright = 'x1="13" x2="13" y1="0" y2="14"'
    entries = (
        (
            bins.BAR,
            '<rect class="bar" x="7" y="2" width="12" height="12"/>'
            '<line class="bar-top" x1="7" x2="19" y1="2" y2="2"/>',
        ),
        (
            bins.GAP,
            '<rect class="gap" x="7" y="1" width="12" height="12"/>'
            f'<rect class="hatched" x="7" y="1" width="12" height="12"{_HATCH}/>',
        ),
        (bins.whisker_text(chart), _whisker_path(13, "13", "1", 3)),
        (bins.DIAGONAL, '<line class="diagonal" x1="2" x2="24" y1="13" y2="1"/>'),
        (bins.MEAN_ACCURACY, f'<line class="mean-accuracy" {upright}/>'),
        (bins.MEAN_CONFIDENCE, f'<line class="mean-confidence" {upright}/>'),
    )
    return [
        DiagramKey(
            name,
            f'{_OPENING} class="key" width="26" height="14" aria-hidden="true" '
            f'focusable="false">{svg}</svg>',
        )
        for name, svg in entries
    ]

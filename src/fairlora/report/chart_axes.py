"""The frame of a chart in a page, as SVG: where things stand in the plot, and its two axes."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

from fairlora.report.chart import Chart
from fairlora.report.chart_scale import Tick, spaced
from fairlora.report.chart_view import ChartView
from fairlora.report.labels import AxisLabels, under_bars
from fairlora.report.picture import letters
from fairlora.report.text import one_line

OPENING = '<svg xmlns="http://www.w3.org/2000/svg"'
# Pixels: the plot, the strip above it where no value lies, a letter, a line.
HEIGHT, ABOVE = 300.0, 18.0
LETTER, LINE = 6.6, 14.0
# How wide a plot is at least on a wide screen and on a phone.
ROOMY, TIGHT = 500.0, 250.0
# Lines are drawn in a square that the browser stretches, this many units wide.
UNITS = 1000.0
# Letters that a label of a category may have: turned upright, on a phone so, leaning.
_UPRIGHT_LETTERS, _PHONE_LETTERS, _LEANING_LETTERS = 36, 26, 14
# Categories with less room than this get small letters of the other width.
_FINE_SLOT, _FINE_LETTER = 12.5, 5.2


class Frame:
    """Turns places of the view into what the SVG writes: percentages across, pixels down."""

    def __init__(self, view: ChartView) -> None:
        self.top = ABOVE if view.has_missing() else 6.0
        self.height = self.top + HEIGHT

    def x(self, place: float) -> str:
        """Return how far across a place is."""
        return f"{100 * place:.2f}%"

    def y(self, place: float) -> str:
        """Return how far down a place is."""
        return f"{self.top + HEIGHT * (1 - place):.2f}"

    def path(self, line: Iterable[tuple[float, float]]) -> str:
        """Return a line as the path that is stretched with the plot."""
        corners = [f"{UNITS * x:.1f},{self.y(y)}" for x, y in line]
        return f"M{'L'.join(corners)}"


def y_axis(view: ChartView, frame: Frame) -> str:
    """Return the labels of the y axis, as an SVG to stand left of the plot."""
    width = 10 + LETTER * max((letters(tick.text) for tick in view.y.ticks), default=0)
    texts = "".join(
        f'<text x="{width - 7:g}" y="{float(frame.y(tick.place)) + 4:g}" '
        f'text-anchor="end">{escape(tick.text)}</text>'
        for tick in view.y.ticks
    )
    return (
        f'{OPENING} class="axis" width="{width:g}" height="{frame.height:g}" aria-hidden="true" '
        f'focusable="false">{texts}</svg>'
    )


def x_axes(chart: Chart, view: ChartView, least: float) -> list[str]:
    """Return the x axis for wide screens and for phones, or one if both are the same.

    Parameters
    ----------
    chart, view : the chart, and its view.
    least : pixels that the plot is wide at least, on any screen.
    """
    widths = [max(width, least) for width in (ROOMY, TIGHT)]
    if chart["kind"] == "bars":
        drawn = [_category_axis(chart, view, width) for width in widths]
    else:
        drawn = [_tick_axis(view.x.ticks, width) for width in widths]
    if drawn[0] == drawn[1]:
        return [drawn[0].replace(' class="axis', ' class="x-axis axis', 1)]
    return [
        svg.replace(' class="axis', f' class="{look} x-axis axis', 1)
        for svg, look in zip(drawn, ("roomy", "tight"), strict=True)
    ]


def _tick_axis(ticks: tuple[Tick, ...], width: float) -> str:
    shown = spaced(ticks, [(letters(tick.text) * LETTER + 8) / width for tick in ticks])
    parts = []
    for tick in ticks:
        x = f"{100 * tick.place:.2f}%"
        parts.append(f'<line class="tick" x1="{x}" x2="{x}" y1="0" y2="5"/>')
        if tick in shown:
            text = escape(tick.text)
            parts.append(f'<text x="{x}" y="18" text-anchor="middle">{text}</text>')
    return _axis_svg(24.0, "".join(parts))


def _category_axis(chart: Chart, view: ChartView, width: float) -> str:
    categories = chart["categories"]
    labels = [one_line(one["label"]) for one in categories]
    counts = [f"n = {n:,}" if (n := one.get("n")) is not None else "" for one in categories]
    slot = width / max(len(categories), 1)
    letter = _FINE_LETTER if slot < _FINE_SLOT else LETTER
    # On a phone a leaning label would reach out of the page.
    phone = width <= TIGHT
    laid = under_bars(
        labels,
        counts,
        slot,
        letter,
        _PHONE_LETTERS if phone else _UPRIGHT_LETTERS,
        0 if phone else _LEANING_LETTERS,
    )
    texts = "".join(
        _category_label(lines, laid, view.x.place(float(index)))
        for index, lines in enumerate(laid.lines)
    )
    heights = {0: LINE * laid.most_lines, 40: 0.68 * letter * laid.longest + 10}
    svg = _axis_svg(10 + heights.get(laid.angle, letter * laid.longest), texts)
    return svg.replace(' class="axis"', ' class="axis fine"', 1) if letter < LETTER else svg


def _category_label(lines: list[str], labels: AxisLabels, place: float) -> str:
    texts = []
    for index, line in enumerate(lines):
        if labels.angle == 0:
            turn, x, y = "", 0.0, 16 + LINE * index
            anchor = "middle"
        else:
            first = -0.5 * (len(lines) - 1) * (LINE - 1) + 3.6
            turn, x, y = f' transform="rotate(-{labels.angle})"', -7.0, first + (LINE - 1) * index
            anchor = "end"
        texts.append(
            f'<text{turn} x="{x:g}" y="{y:.1f}" text-anchor="{anchor}">{escape(line)}</text>'
        )
    if not texts:
        return ""
    return f'<svg x="{100 * place:.2f}%" overflow="visible">{"".join(texts)}</svg>'


def _axis_svg(height: float, parts: str) -> str:
    return (
        f'{OPENING} class="axis" width="100%" height="{height:.1f}" aria-hidden="true" '
        f'focusable="false">{parts}</svg>'
    )

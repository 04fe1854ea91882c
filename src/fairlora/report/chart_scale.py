"""The axes of a chart: where a number stands, linear, logarithmic or at its rank, and the ticks.

Places are shares of the axis, 0 at its start and 1 at its end, for every kind of drawing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from fairlora.report.chart import AxisScale, Chart, Unit, from_zero, scale_of, unit_of
from fairlora.report.dots_view import axis_over, finite, linear_axis, tick_text

# The numbers that lines have points at make the ticks while they are few and stand this far apart.
_OWN_TICKS, _OWN_GAP = 12, 0.05
_MOST_DECADES = 7


class Tick(NamedTuple):
    """A tick: where it stands, as a share of the axis, and its label."""

    place: float
    text: str


class ChartScale(NamedTuple):
    """An axis from `low` to `high`, in the data's own numbers or, of a "rank" scale, their ranks.

    `values` are then the distinct numbers in order, or the indices of the categories.
    """

    kind: AxisScale
    low: float
    high: float
    ticks: tuple[Tick, ...]
    values: tuple[float, ...] = ()

    def place(self, value: float) -> float:
        """Return where `value` stands: 0 at the start of the axis, 1 at its end.

        What a log axis has no place for (the end of an interval, at 0 or below) is at its start.
        """
        if self.kind == "rank":
            return (self.values.index(value) + 0.5) / len(self.values)
        if self.kind == "log":
            if value <= self.low:
                return 0.0
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def x_scale(chart: Chart) -> ChartScale:
    """Return the x axis of `chart`. Bars have a place a category, and no ticks."""
    if chart["kind"] == "bars":
        return _ranks([float(index) for index in range(len(chart["categories"]))], None)
    axis, unit = chart["x"], unit_of(chart["x"])
    own = [
        number
        for series in chart["series"]
        for point in series["points"]
        if (number := finite(point["x"])) is not None
    ]
    if scale_of(axis) == "rank":
        return _ranks(sorted(set(own)), unit)
    numbers = own + [
        number
        for series in chart["series"]
        for point in series["points"]
        for key in (point.get("x_low"), point.get("x_high"))
        if (number := finite(key)) is not None
    ]
    if scale_of(axis) == "log":
        return _log(numbers, unit, own if chart["kind"] == "lines" else [])
    scale = _linear(numbers, unit, axis.get("zero", False))
    own = _own_values(own if chart["kind"] == "lines" else [], scale)
    return _ticked(scale, own, unit) if own else scale


def y_scale(chart: Chart) -> ChartScale:
    """Return the y axis of `chart`, which covers the points, their intervals, and references."""
    unit = unit_of(chart["y"])
    numbers = [
        number
        for series in chart["series"]
        for point in series["points"]
        for key in (point["y"], point.get("low"), point.get("high"), *point.get("marks", []))
        if (number := finite(key)) is not None
    ]
    numbers += [
        number
        for reference in chart.get("references", [])
        for key in (reference["value"], reference.get("low"), reference.get("high"))
        if (number := finite(key)) is not None
    ]
    if scale_of(chart["y"]) == "log":
        return _log(numbers, unit, [])
    return _linear(numbers, unit, from_zero(chart))


def value_text(value: float, unit: Unit) -> str:
    """Return a number of the x axis as it was chosen: "768", "0.01", "25%".

    >>> value_text(768, "number"), value_text(0.01, "number"), value_text(0.25, "share")
    ('768', '0.01', '25%')
    """
    text = f"{100 * value:.4g}%" if unit == "share" else f"{value:.6g}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def spaced(ticks: Sequence[Tick], room: Sequence[float]) -> list[Tick]:
    """Return the ticks whose labels fit beside each other: all, or every second, third ... one.

    `room` is what each label takes, as a share of the axis.
    """
    for step in range(1, len(ticks)):
        shown = range(0, len(ticks), step)
        if all(
            ticks[right].place - ticks[left].place >= (room[left] + room[right]) / 2
            for left, right in pairwise(shown)
        ):
            return [ticks[index] for index in shown]
    return list(ticks[:1])


def _ranks(values: Sequence[float], unit: Unit | None) -> ChartScale:
    number = max(len(values), 1)
    ticks = (
        ()
        if unit is None
        else tuple(
            Tick((index + 0.5) / number, value_text(value, unit))
            for index, value in enumerate(values)
        )
    )
    return ChartScale("rank", -0.5, number - 0.5, ticks, tuple(values))


def _linear(numbers: Iterable[float], unit: Unit, zero: bool) -> ChartScale:
    axis = axis_over(numbers, unit, zero, tight=True)
    ticks = tuple(
        Tick(axis.place(value), tick_text(value, axis.step, unit)) for value in axis.ticks
    )
    return ChartScale("linear", axis.low, axis.high, ticks)


def _log(numbers: Sequence[float], unit: Unit, own: Sequence[float]) -> ChartScale:
    # Ends of intervals may lie at 0 or below, where this axis does not reach.
    above = [number for number in numbers if number > 0]
    low, high = (min(above), max(above)) if above else (1.0, 10.0)
    # A factor of its own to one value alone; else a little room at both ends.
    room = (high / low) ** 0.04 if high > low * (1 + 1e-9) else 1.5
    scale = ChartScale("log", low / room, high * room, ())
    return _ticked(scale, _own_values(own, scale) or _decades(scale), unit)


def _ticked(scale: ChartScale, values: Iterable[float], unit: Unit) -> ChartScale:
    return scale._replace(ticks=tuple(Tick(scale.place(v), value_text(v, unit)) for v in values))


def _own_values(own: Sequence[float], scale: ChartScale) -> list[float]:
    values = sorted(set(own))
    apart = all(scale.place(b) - scale.place(a) >= _OWN_GAP for a, b in pairwise(values))
    return values if len(values) <= _OWN_TICKS and apart else []


def _decades(scale: ChartScale) -> list[float]:
    first, last = math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high))
    for factors in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0)):
        step = max(1, math.ceil((last - first) / _MOST_DECADES))
        values = [
            factor * 10.0**power for power in range(first, last + 1, step) for factor in factors
        ]
        inside = [value for value in values if scale.low <= value <= scale.high]
        if len(inside) >= 3:
            return inside
    # Less than a factor of a few between the ends: ticks as on a linear axis.
    return [v for v in linear_axis(scale.low, scale.high).ticks if v > 0]

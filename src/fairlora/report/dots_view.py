"""What a dot plot shows: its axis and ticks, its numbers in words, and its table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fairlora.report.chart import Unit
from fairlora.report.page import Cell, Column, DotRow, Dots, Panel, Point, Row, Table

# More would crowd the labels on a phone.
_MOST_INTERVALS = 6
# The least room beside shares that differ, half a point: less would make noise look large.
_TIGHT_ROOM = 0.005


def finite(value: float | None) -> float | None:
    """Return `value` as a Python float, or None if it is missing, NaN or infinite."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)


def series_names(dots: Dots) -> list[str]:
    """Return the names of the series in order of first appearance."""
    names = (
        point["series"]
        for panel in dots["panels"]
        for row in panel["rows"]
        for point in row["points"]
    )
    return list(dict.fromkeys(names))


def point_span(point: Point) -> tuple[float, float] | None:
    """Return the ends of the point's whisker, or None if there is nothing to span.

    An interval with one missing end reaches from the known end to the value.
    """
    ends = [
        number
        for number in (finite(point.get("low")), finite(point["value"]), finite(point.get("high")))
        if number is not None
    ]
    return (min(ends), max(ends)) if len(ends) > 1 else None


def point_marks(point: Point) -> list[float]:
    """Return the individual values behind the point that are finite."""
    return [mark for mark in map(finite, point.get("marks", [])) if mark is not None]


def has_counts(panel: Panel) -> bool:
    """Return whether any row of `panel` says how many cases it stands for."""
    return any(row.get("n") is not None for row in panel["rows"])


def count_text(row: DotRow) -> str:
    """Return the number of cases of a row as the reader sees it, or "" if it says none."""
    n = row.get("n")
    return "" if n is None else f"{n:,}"


def weak(point: Point) -> bool:
    """Return whether the point is drawn hollow: its interval does not exclude the reference."""
    return point.get("strong") is False


def has_weak(dots: Dots) -> bool:
    """Return whether any point of `dots` is drawn hollow."""
    return any(
        weak(point) for panel in dots["panels"] for row in panel["rows"] for point in row["points"]
    )


def reference_text(dots: Dots) -> str:
    """Return the value of the reference line as the reader sees it, or "" if there is none."""
    if "reference" not in dots:
        return ""
    number = number_text(dots["reference"], dots["unit"])
    return f"{dots['reference_name']}, {number}" if dots.get("reference_name") else number


class Axis(NamedTuple):
    """A linear axis: its ends, and the ticks between them at multiples of `step`."""

    low: float
    high: float
    step: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Return where `value` lies between the ends: 0 at `low`, 1 at `high`."""
        return (value - self.low) / (self.high - self.low)


def axis_for(dots: Dots) -> Axis:
    """Return an axis that covers every number of `dots`, with a little room at both ends.

    The reference is one of the numbers. Shares that lie within 0 to 1 never get an axis that goes
    beyond.
    """
    return axis_over(_numbers(dots), dots["unit"])


def axis_over(
    numbers: Iterable[float], unit: Unit, zero: bool = False, tight: bool = False
) -> Axis:
    """Return an axis that covers `numbers` (finite), with a little room at both ends.

    Shares that lie within 0 to 1 never get an axis that goes beyond.

    Parameters
    ----------
    numbers : what to cover; of none the axis is 0 to 1.
    unit : of the numbers, "share" or "number".
    zero : whether to cover 0 as well, and to end there if no number lies beyond.
    tight : leave shares that differ less room, so that lines between them are not flat.
    """
    covered = [*numbers, *([0.0] if zero else [])]
    if not covered or (zero and not any(covered)):
        return linear_axis(0.0, 1.0)
    low, high = min(covered), max(covered)
    # One value alone gets room in proportion to itself. The smallest room keeps two numbers that
    # differ in their last bits from an axis too short to divide.
    size = max(abs(low), abs(high))
    least = 0.02 if unit == "share" else (size * 1e-3 or 1.0)
    if tight and high > low:
        least = _TIGHT_ROOM if unit == "share" else least
    room = max((0.06 if tight else 0.03) * (high - low), least)
    below = 0.0 if zero and low == 0 else room
    above = 0.0 if zero and high == 0 else room
    if unit == "share" and low >= 0 and high <= 1:
        return linear_axis(max(low - below, 0.0), min(high + above, 1.0))
    return linear_axis(low - below, high + above)


def _numbers(dots: Dots) -> Iterator[float]:
    if "reference" in dots:
        yield float(dots["reference"])
    for panel in dots["panels"]:
        for row in panel["rows"]:
            for point in row["points"]:
                yield from point_span(point) or ()
                yield from point_marks(point)
                for key in (point["value"], point.get("low"), point.get("high")):
                    number = finite(key)
                    if number is not None:
                        yield number


def linear_axis(low: float, high: float) -> Axis:
    """Return an axis from `low` to `high` (which is more), with ticks at round numbers."""
    rough = (high - low) / _MOST_INTERVALS
    magnitude = 10.0 ** math.floor(math.log10(rough))
    # The allowance keeps a rounding error in the last digit from costing a whole step or tick.
    step = next(
        size * magnitude for size in (1.0, 2.0, 5.0, 10.0) if size * magnitude >= rough * (1 - 1e-9)
    )
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    ticks = tuple(index * step for index in range(first, last + 1))
    return Axis(low, high, step, ticks)


def tick_text(value: float, step: float, unit: Unit) -> str:
    """Return the label of a tick, with as many decimals as the step needs.

    Parameters
    ----------
    value : where the tick stands.
    step : from one tick to the next, above 0.
    unit : of both, "share" (written in percent) or "number".
    """
    if unit == "share":
        value, step = 100 * value, 100 * step
    if step >= 1e6 or step < 1e-6:
        return _minus(f"{value:.3g}") + ("%" if unit == "share" else "")
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return _minus(f"{value:,.{decimals}f}") + ("%" if unit == "share" else "")


def number_text(value: float | None, unit: Unit) -> str:
    """Return a value as the reader sees it: "84.1%" or "0.5124"; a missing one is a dash.

    >>> number_text(0.8412, "share"), number_text(-0.51239, "number"), number_text(None, "share")
    ('84.1%', '−0.5124', '–')
    """
    number = finite(value)
    if number is None:
        return "–"
    return _minus(f"{100 * number:.1f}%" if unit == "share" else f"{number:.4g}")


def point_text(point: Point, unit: Unit) -> str:
    """Return a point in words: "84.1% (80.2% to 87.5%)", or "no value"."""
    if finite(point["value"]) is None and point_span(point) is None:
        return "no value"
    text = number_text(point["value"], unit)
    low, high = finite(point.get("low")), finite(point.get("high"))
    if low is None and high is None:
        return text
    return f"{text} ({number_text(low, unit)} to {number_text(high, unit)})"


def numbers_table(panel: Panel, names: list[str], unit: Unit) -> Table:
    """Return the numbers that a panel draws as a table: a row a group, a column a series.

    Parameters
    ----------
    panel : what is drawn.
    names : of the series, in the order of the columns.
    unit : of the numbers, "share" (written in percent) or "number".
    """
    columns: list[Column] = [{"name": "", "align": "left"}]
    has_n = has_counts(panel)
    if has_n:
        columns.append({"name": "n", "align": "right"})
    columns.extend({"name": name, "align": "right"} for name in names)
    rows: list[Row] = []
    for row in panel["rows"]:
        cells: list[Cell] = [{"text": row["label"]}]
        if has_n:
            cells.append({"text": count_text(row)})
        points = {point["series"]: point for point in row["points"]}
        cells.extend(
            {"text": point_text(points[name], unit) if name in points else "–"} for name in names
        )
        rows.append({"cells": cells, "header": True})
    return {"title": panel["name"], "columns": columns, "rows": rows}


def _minus(text: str) -> str:
    """Use the true minus sign, and none before a zero."""
    if text.startswith("-"):
        digits = text[1:]
        return digits if not any(digit in digits for digit in "123456789") else "−" + digits
    return text

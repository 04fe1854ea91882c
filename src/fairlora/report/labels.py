"""Where the labels of a chart go: beside their points without overlap, and along an axis.

All in lengths of one unit (points of print, pixels), and the same for every kind of drawing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from fairlora.report.text import letters, wrapped

# Eight sides of a point, the best first: where the middle of a label lies from there.
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
_MARKER = 5.0
_DISTANCES = (6.0, 12.0)
_MOST_LINES = 3
# What it costs a label to lie nearer to another point than to its own, in obstacles covered.
_STRAY = 15


class Box(NamedTuple):
    """An upright rectangle by its middle, width and height."""

    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: Box) -> bool:
        """Return whether the two share more than an edge."""
        return (
            abs(self.x - other.x) * 2 < self.width + other.width
            and abs(self.y - other.y) * 2 < self.height + other.height
        )

    def gap(self, x: float, y: float) -> float:
        """Return how far the box is from a point outside it."""
        across = max(abs(self.x - x) - self.width / 2, 0.0)
        return math.hypot(across, max(abs(self.y - y) - self.height / 2, 0.0))

    def inside(self, width: float, height: float) -> bool:
        """Return whether the box lies within 0 to `width` and 0 to `height`."""
        return (
            self.width / 2 <= self.x <= width - self.width / 2
            and self.height / 2 <= self.y <= height - self.height / 2
        )


def beside_points(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float] | None],
    area: tuple[float, float],
    obstacles: Sequence[Box] = (),
) -> list[Box | None]:
    """Return a place for the label of each of `points`, or None where there is none.

    Parameters
    ----------
    points : x and y of every marker, labelled or not: no label covers a marker.
    sizes : width and height of each point's label; None for a point without.
    area : width and height that labels stay within.
    obstacles : what labels had better not cover, such as whiskers.
    """
    markers = [Box(x, y, 2 * _MARKER, 2 * _MARKER) for x, y in points]
    placed: list[Box] = []
    places: list[Box | None] = []
    for (x, y), size in zip(points, sizes, strict=True):
        best, least = None, math.inf
        for box in _candidates(x, y, size) if size is not None else ():
            if not box.inside(*area) or any(
                box.overlaps(other_box) for other_box in [*markers, *placed]
            ):
                continue
            cost = sum(box.overlaps(other_box) for other_box in obstacles)
            # A label that is nearer to another point would be taken for that one's.
            own = box.gap(x, y)
            cost += _STRAY * sum(box.gap(*other) < own for other in points)
            if cost < least:
                best, least = box, cost
        if best is not None:
            placed.append(best)
        places.append(best)
    return places


def along(line: Sequence[tuple[float, float]], step: float = 4.0) -> list[Box]:
    """Return a line as the small boxes that it goes through, as obstacles."""
    boxes = []
    for (x, y), (next_x, next_y) in pairwise(line):
        number = max(1, round((abs(next_x - x) + abs(next_y - y)) / step))
        for index in range(number + 1):
            share = index / number
            boxes.append(Box(x + share * (next_x - x), y + share * (next_y - y), 1.0, 1.0))
    return boxes


def _candidates(x: float, y: float, size: tuple[float, float]) -> list[Box]:
    width, height = size
    return [
        Box(
            x + side_x * (width / 2 + distance * (1 if side_y == 0 else 0.6)),
            y + side_y * (height / 2 + distance * (1 if side_x == 0 else 0.6)),
            width,
            height,
        )
        for distance in _DISTANCES
        for side_x, side_y in _SIDES
    ]


class AxisLabels(NamedTuple):
    """Labels along an axis: turned by `angle` degrees (0, 40 or 90), each in lines.

    A label without lines is left out, as there is no room for it.
    """

    angle: int
    lines: list[list[str]]

    @property
    def most_lines(self) -> int:
        """The lines of the label that has most."""
        return max((len(lines) for lines in self.lines), default=0)

    @property
    def longest(self) -> int:
        """The letters of the longest line."""
        return max((letters(line) for lines in self.lines for line in lines), default=0)


def under_bars(
    labels: Sequence[str],
    counts: Sequence[str],
    slot: float,
    letter: float,
    most: int,
    slanted: int,
) -> AxisLabels:
    """Return how the labels of categories stand under an axis.

    Parameters
    ----------
    labels, counts : the label of each category, and its number of cases as text ("" for none),
        which is left out where it would crowd.
    slot : the width that a category has.
    letter : the width of a letter; a line takes about twice that.
    most : letters that a turned label may have; the rest becomes an ellipsis.
    slanted : letters that a label may have if it is to lean rather than stand upright.
    """
    width = int((slot - letter) / letter)
    if width >= 3 and _fits(labels, width):
        lines = [wrapped(label, width, most=_MOST_LINES) for label in labels]
        if all(letters(count) <= width for count in counts):
            lines = [
                [*label_lines, count] if count else label_lines
                for label_lines, count in zip(lines, counts, strict=True)
            ]
        return AxisLabels(0, lines)
    longest = max((letters(label) for label in labels), default=0)
    if longest <= slanted and slot >= 3.4 * letter:
        return AxisLabels(40, [[label] for label in labels])
    step = max(1, -int(-1.75 * letter // slot))
    number = min(_MOST_LINES, max(1, int(slot / (2.4 * letter))))
    # In lines a long label needs less height; each is as long as the longest word at least.
    width = most if number == 1 else max(most * 3 // (2 * number), min(longest, 12))
    return AxisLabels(
        90,
        [
            wrapped(label, width, most=number) if index % step == 0 else []
            for index, label in enumerate(labels)
        ],
    )


def _fits(labels: Sequence[str], width: int) -> bool:
    """Return whether each label fits in a few lines of so many letters, without breaking a word."""
    return all(
        max((letters(word) for word in label.split()), default=0) <= width
        and len(wrapped(label, width, most=99)) <= _MOST_LINES
        for label in labels
    )

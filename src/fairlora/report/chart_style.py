"""How the series of a chart look: no two alike in grey, by marker, dash, and filling of a bar."""

from __future__ import annotations

from typing import Literal, NamedTuple

from fairlora.report.dots_view import style_of

# Lengths of line and gap in turn; an unbroken line has none. In the order of `scale.SHAPES`.
DASHES: tuple[tuple[float, ...], ...] = (
    (),
    (7, 3),
    (2, 2),
    (8, 2, 2, 2),
    (4, 2),
    (10, 3, 2, 2, 2, 3),
    (1, 3),
    (12, 3),
)
# The hatching of a bar, in the same order; every second one stands on a pale filling.
HATCHES = ("none", "rising", "falling", "dots", "level", "crossed", "upright", "grid")
# What lines of references look like, one after the other.
REFERENCE_DASHES: tuple[tuple[float, ...], ...] = ((5, 3), (1.5, 2.5), (9, 3, 2, 3), (3, 5))


class SeriesLook(NamedTuple):
    """A series' colour (an index into `PALETTE`) and shape (an index into `SHAPES`).

    `shape` is also the index of its dash and hatching. What is `plain` is drawn in the colour of
    the text, without markers: a front, whose points have those of their own series, and, dashed,
    a reference.
    """

    colour: int
    shape: int
    plain: Literal["", "front", "reference"] = ""

    @property
    def dash(self) -> tuple[float, ...]:
        """Lengths of line and gap in turn; empty for an unbroken line."""
        if self.plain == "reference":
            return REFERENCE_DASHES[0]
        return () if self.plain else DASHES[self.shape]

    @property
    def hatch(self) -> str:
        """The name of the hatching of a bar, one of `HATCHES`."""
        return HATCHES[self.shape]

    @property
    def pale(self) -> bool:
        """Whether a bar is filled pale and hatched in its colour, or the other way round."""
        return self.shape % 2 == 1


def look_of(index: int) -> SeriesLook:
    """Return the look of series number `index`: no two of the first 64 are alike."""
    style = style_of(index)
    return SeriesLook(style.colour, style.shape)


def reference_dash(index: int) -> tuple[float, ...]:
    """Return the dash of reference number `index`."""
    return REFERENCE_DASHES[index % len(REFERENCE_DASHES)]

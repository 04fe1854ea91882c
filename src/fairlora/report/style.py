"""How figures look: colours, sizes of letters, and series no two of which are alike in grey."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

INK, GREY, HAIR, PAPER = "#1c2127", "#59636e", "#e6e9ed", "#ffffff"
# Sizes of letters in points, the height of a line, and about how wide a letter is, in sizes.
SIZE, SMALL, TITLE = 8.0, 7.0, 11.0
LEADING, LETTER = 1.3, 0.6

# Okabe and Ito's colour-blind-safe palette, those that stand out best from white first; its yellow
# is darker, to be seen as a line on white. Black stands for "the colour of the text", which a dark
# page turns round: its style sheet has another tone for each of these.
PALETTE = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#000000",
    "#e69f00",
    "#56b4e9",
    "#a39b00",
)
# Circle, diamond, square, triangles up and down, plus, cross, hexagon. Diamonds and squares look
# larger than circles of the same nominal size.
MARKERS = ("o", "D", "s", "^", "v", "P", "X", "h")
_SIZES = (6.0, 5.2, 5.2, 6.2, 6.2, 6.8, 6.6, 6.6)
# Lengths of line and gap in turn; an unbroken line has none.
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
# The hatching of a bar; every second one stands on a pale filling.
HATCHES = ("", "////", "\\\\\\\\", "----", "||||", "xxxx", "++++", "//--")
# What lines of references look like, one after the other.
REFERENCE_DASHES: tuple[tuple[float, ...], ...] = ((5, 3), (1.5, 2.5), (9, 3, 2, 3), (3, 5))
_PALE = 0.2


class SeriesLook(NamedTuple):
    """A series' colour (an index into `PALETTE`) and shape (an index into `MARKERS`).

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
    def pale(self) -> bool:
        """Whether a bar is filled pale and hatched in its colour, or the other way round."""
        return self.shape % 2 == 1

    @property
    def ink(self) -> str:
        """The colour."""
        return INK if self.plain else PALETTE[self.colour]

    @property
    def size(self) -> float:
        """The size of a marker, in points."""
        return _SIZES[self.shape]

    def line(self) -> dict[str, Any]:
        """Return how matplotlib draws a line of the series."""
        return {"color": self.ink, "lw": 1.2 if self.plain else 1.4, "ls": dashes(self.dash)}

    def marker(self, size: float | None = None, hollow: bool = False) -> dict[str, Any]:
        """Return how matplotlib draws the markers of the series; hollow ones are less certain."""
        return {
            "marker": MARKERS[self.shape],
            "ms": size or self.size,
            "mfc": PAPER if hollow else self.ink,
            "mec": self.ink if hollow else PAPER,
            "mew": 1.1 if hollow else 0.6,
        }

    def missing(self) -> dict[str, Any]:
        """Return how matplotlib draws a marker that says that there is no value."""
        return self.marker() | {"mfc": "none", "mec": self.ink, "mew": 0.8, "ls": ""}

    def bar(self, thin: bool = False) -> dict[str, Any]:
        """Return how matplotlib fills a bar of the series."""
        edge = self.ink if self.pale else PAPER
        width = (0.4 if thin else 0.8) if self.pale else (0.2 if thin else 0.6)
        filling: Any = (self.ink, _PALE) if self.pale else self.ink
        return {"fc": filling, "ec": edge, "lw": width, "hatch": HATCHES[self.shape]}


def look_of(index: int) -> SeriesLook:
    """Return the look of series number `index`: no two of the first 64 are alike."""
    # After one turn of the palette the shapes move on by one, so that pairs do not repeat.
    return SeriesLook(index % len(PALETTE), (index + index // len(PALETTE)) % len(MARKERS))


def reference_line(index: int) -> dict[str, Any]:
    """Return how matplotlib draws the line of reference number `index`."""
    dash = REFERENCE_DASHES[index % len(REFERENCE_DASHES)]
    return {"color": INK, "lw": 1.1, "ls": dashes(dash)}


def compared() -> dict[str, Any]:
    """Return how matplotlib draws a line to compare with that is no series."""
    return {"color": INK, "lw": 1.0, "ls": (0, (4, 3))}


def dashes(lengths: tuple[float, ...]) -> Any:
    """Return a dash as matplotlib takes it, whose lengths count in widths of the line."""
    return (0, tuple(length / 1.4 for length in lengths)) if lengths else "-"

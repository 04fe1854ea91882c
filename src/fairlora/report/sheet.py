"""One drawing of a figure for page and files: text, legend and plots set from the top down.

Every length is in points of print (1/72 inch), from the upper left corner. Axes, ticks and legends
of matplotlib cost two thirds of the time of a figure, so a sheet sets texts and lines by itself,
and a figure gets axes only where it is handed out.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple, cast

from matplotlib import rc_context
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as Outline
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Transform

from fairlora.report.chart_scale import Tick, spaced
from fairlora.report.style import (
    GREY,
    HAIR,
    INK,
    LEADING,
    LETTER,
    PAPER,
    SIZE,
    SMALL,
    TITLE,
)
from fairlora.report.text import letters, wrapped

# Widths of a figure: in files and on wide screens, and on phones.
WIDE, NARROW = 518.4, 266.0
_MARGIN, _FILE_MARGIN = 4.0, 7.0
_KEY, _KEY_GAP, _ENTRY_GAP = 24.0, 6.0, 16.0
_FONT = "DejaVu Sans"
# Any, because matplotlib's type of a settings dict changes between its versions. A salt of its own
# would give every file other ids.
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fairlora",
    "pdf.fonttype": 42,
    "font.family": _FONT,
    "hatch.linewidth": 0.7,
    "text.usetex": False,
    "path.simplify": False,
}


class Tip(NamedTuple):
    """What a place of a drawing says in words, and its x, y, width and height (None: nowhere)."""

    text: str
    box: tuple[float, float, float, float] | None


class Drawing(NamedTuple):
    """A finished figure, and what its marks say to who points at them or cannot see them."""

    figure: Figure
    tips: list[Tip]
    plots: list[Plot]
    margin: float


class _Words(Text):
    """A line of text on its baseline, without matplotlib's layout, which measures it twice."""

    def draw(self, renderer: RendererBase) -> None:
        """Draw it; `write` gives no other alignment than left, center and right."""
        x, y = self.get_transform().transform(self.get_position())
        share = ("left", "center", "right").index(self.get_horizontalalignment()) / 2
        angle = self.get_rotation()
        pixels = cast(float, renderer.points_to_pixels(self.get_fontsize()))
        width = share * _font_width(self.get_text()) * pixels
        turn = math.radians(angle)
        x, y = x - width * math.cos(turn), y - width * math.sin(turn)
        if renderer.flipy():
            y = renderer.get_canvas_width_height()[1] - y
        gc = renderer.new_gc()
        gc.set_foreground(self.get_color())
        font = self.get_fontproperties()
        renderer.draw_text(gc, x, y, self.get_text(), font, angle, ismath=False, mtext=self)
        gc.restore()


class Plot:
    """A part of a sheet with two axes. Things in it stand at places, from 0 to 1 on each axis.

    `limits` are the ends of both axes in the data's numbers, and `logs` the axes ("x", "y") on
    which these stand by their logarithms.
    """

    def __init__(self, sheet: Sheet, left: float, top: float, width: float, height: float) -> None:
        self.left, self.top, self.width, self.height = left, top, width, height
        self.limits = ((0.0, 1.0), (0.0, 1.0))
        self.logs: tuple[str, ...] = ()
        self._figure = sheet.figure
        own = Affine2D().scale(width, -height).translate(left, top + height)
        self._places = own + sheet.points

    def x(self, place: float) -> float:
        """Return where a place stands on the sheet: 0 is the left end of the axis, 1 the right."""
        return self.left + place * self.width

    def y(self, place: float) -> float:
        """Return where a place stands on the sheet: 0 is the lower end of the axis, 1 the upper."""
        return self.top + (1 - place) * self.height

    def lines(self, lines: Iterable[Sequence[tuple[float, float]]], **style: Any) -> None:
        """Draw lines, given by their corners, in one stroke: a hundred whiskers are one path."""
        nowhere = (float("nan"), float("nan"))
        corners = [corner for line in lines for corner in (*line, nowhere)]
        if corners:
            x, y = zip(*corners, strict=True)
            line = Line2D(x, y, transform=self._places, **{"solid_capstyle": "butt", **style})
            self._figure.add_artist(line)

    def boxes(self, boxes: Iterable[tuple[float, float, float, float]], **style: Any) -> None:
        """Draw rectangles (x, y, width, height) as one patch."""
        self.areas(
            [
                [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
                for x, y, width, height in boxes
            ],
            **style,
        )

    def areas(self, areas: Iterable[Sequence[tuple[float, float]]], **style: Any) -> None:
        """Draw filled areas, given by their corners, as one patch."""
        corners: list[tuple[float, float]] = []
        codes: list[Any] = []
        for area in areas:
            corners += [*area, area[0]]
            codes += [Outline.MOVETO, *[Outline.LINETO] * (len(area) - 1), Outline.CLOSEPOLY]
        for layer in _layers(style) if corners else []:
            outline = Outline(corners, codes)
            self._figure.add_artist(PathPatch(outline, transform=self._places, **layer))

    def grid(self, across: Iterable[float] = (), upright: Iterable[float] = ()) -> None:
        """Draw hairlines through the places of ticks, beneath everything else."""
        lines = [[(0.0, y), (1.0, y)] for y in across] + [[(x, 0.0), (x, 1.0)] for x in upright]
        self.lines(lines, color=HAIR, lw=0.8, zorder=0.5)


class Sheet:
    """A figure that is filled from the top down; `y` is how far it has come."""

    def __init__(self, width: float, title: str = "") -> None:
        # Only a file has a title, and so a margin: a page has both of its own.
        self.margin = _FILE_MARGIN if title else 0.0
        # A Figure of its own: pyplot would keep it, and would choose a backend for the process.
        self.figure = Figure(figsize=((width + 2 * self.margin) / 72, 1), facecolor=PAPER)
        FigureCanvasAgg(self.figure)
        self.width, self.y = width, _MARGIN
        self.tips: list[Tip] = []
        self._downward = Affine2D()
        self.points: Transform = self._downward + self.figure.dpi_scale_trans
        self._plots: list[Plot] = []
        if title:
            lines = wrapped(title, fitting(self.width, TITLE * 1.08))
            self.lines_of_text(lines, TITLE, weight="bold")
            self.y += 5

    def write(self, x: float, y: float, text: str, size: float = SIZE, **style: Any) -> None:
        """Write one line whose baseline begins (or ends, by `ha`) at a point of the sheet.

        Parameters
        ----------
        x, y : the point, in points from the sheet's upper left corner.
        text : the line.
        size : of its letters, in points.
        style : of the text, as matplotlib takes it.
        """
        style = {"color": INK, "rotation_mode": "anchor", "transform": self.points, **style}
        self.figure.add_artist(_Words(x, y, text, size=size, parse_math=False, **style))

    def lines_of_text(self, texts: Sequence[str], size: float = SIZE, **style: Any) -> None:
        """Write lines at the left margin, and go on beneath them."""
        for text in texts:
            self.y += LEADING * size
            self.write(0, self.y, text, size, **style)

    def notes(self, text: str) -> None:
        """Write what the reader must know of the drawing's marks, in small letters."""
        if text:
            self.y += 2
            self.lines_of_text(wrapped(text, fitting(self.width, SMALL), 9), SMALL, color=GREY)

    def legend(self, entries: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Draw entries beside each other, on as many lines as they need.

        A style with a face colour (`fc`) is a small patch, any other a short line.
        """
        x = 0.0
        for text, style in entries:
            lines = wrapped(text, fitting(self.width - _KEY - _KEY_GAP, SIZE))
            width = _KEY + _KEY_GAP + max(width_of(line, SIZE) for line in lines)
            if x + width > self.width or x == 0.0 or len(lines) > 1:
                x, self.y = 0.0, self.y + LEADING * SIZE + 2
            y = self.y - 0.36 * SIZE
            if "fc" in style:
                for layer in _layers(style):
                    patch = Rectangle((x, y - 4.5), _KEY, 9, transform=self.points, **layer)
                    self.figure.add_artist(patch)
            else:
                ends = (x, x + _KEY / 2, x + _KEY)
                key = Line2D(ends, (y, y, y), markevery=[1], transform=self.points, **style)
                self.figure.add_artist(key)
            for index, line in enumerate(lines):
                self.write(x + _KEY + _KEY_GAP, self.y + LEADING * SIZE * index, line)
            self.y += LEADING * SIZE * (len(lines) - 1)
            x += width + _ENTRY_GAP
        self.y += 5 * bool(entries)

    def plot(self, left: float, right: float, height: float, top: float | None = None) -> Plot:
        """Return a plot between two distances from the sheet's left edge.

        Parameters
        ----------
        left, right : the distances, in points.
        height : in points.
        top : its top; None is where the sheet has come to, which then goes on beneath the plot.
        """
        plot = Plot(self, left, self.y if top is None else top, right - left, height)
        self._plots.append(plot)
        if top is None:
            self.y += height
        return plot

    def x_axis(self, plot: Plot, ticks: Sequence[Tick]) -> None:
        """Draw the axis below a plot, and the labels of ticks that do not touch."""
        down = -3.0 / plot.height
        lines = [[(0.0, 0.0), (1.0, 0.0)], *([(t.place, 0.0), (t.place, down)] for t in ticks)]
        plot.lines(lines, color=GREY, lw=0.8, zorder=2.1)
        room = [(width_of(tick.text, SIZE) + 6) / plot.width for tick in ticks]
        y = plot.top + plot.height + LEADING * SIZE + 2
        for tick in spaced(ticks, room):
            self.write(plot.x(tick.place), y, tick.text, color=GREY, ha="center")
        self.y = max(self.y, y + 4)

    def y_axis(self, plot: Plot, ticks: Iterable[Tick]) -> None:
        """Write the labels of ticks left of a plot, and draw hairlines through it."""
        plot.grid(across=[tick.place for tick in ticks])
        for tick in ticks:
            y = plot.y(tick.place) + 0.36 * SIZE
            self.write(plot.left - 5, y, tick.text, color=GREY, ha="right")

    def tip(self, text: str, box: tuple[float, float, float, float] | None = None) -> None:
        """Note what a mark says, and where it stands."""
        self.tips.append(Tip(text, box))

    def finished(self) -> Drawing:
        """Return the drawing, now that its height is known."""
        height = self.y + _MARGIN
        self.figure.set_size_inches((self.width + 2 * self.margin) / 72, height / 72)
        self._downward.scale(1, -1).translate(self.margin, height).scale(1 / 72)
        return Drawing(self.figure, self.tips, self._plots, self.margin)


def drawn(draw: Callable[[], Drawing]) -> Drawing:
    """Return what `draw` draws, in this room's fonts and settings."""
    with rc_context(_SETTINGS):
        return draw()


def save(figure: Figure, target: Any, kind: str) -> None:
    """Save `figure` to a file or buffer, the same bytes each time.

    Parameters
    ----------
    figure : what to save.
    target : a path or a buffer.
    kind : "png", "svg" or "pdf".
    """
    # A date in the file would make every run's picture differ.
    undated = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    with rc_context(_SETTINGS), warnings.catch_warnings():
        # A script that the font lacks is drawn as boxes; a warning a glyph would help nobody.
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*missing.*")
        figure.savefig(target, format=kind, dpi=200, metadata=undated)


def _layers(style: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the style of a filling and, over it, of its hatching, which an SVG would pale too."""
    plain = {name: value for name, value in style.items() if name != "hatch"}
    hatching = {**style, "fc": "none", "lw": 0, "alpha": None}
    return [plain, hatching] if style.get("hatch") else [plain]


def fitting(width: float, size: float) -> int:
    """Return how many letters of a size fit on a line of that width, in points."""
    return max(int(width / (LETTER * size)), 4)


def width_of(text: str, size: float) -> float:
    """Return about how wide `text` is in points, in the pictures' font and in a browser's."""
    width: float = _font_width(text) * size
    # The font lacks letters of double width, and measures a box in their place.
    return width if text.isascii() else max(width, LETTER * letters(text) * size)


@cache
def _font() -> Any:
    font = get_font(findfont(_FONT))
    font.set_size(100.0, 72)
    return font


@lru_cache(maxsize=4096)
def _font_width(text: str) -> float:
    """Return the width of `text` in letters of size 1."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*missing.*")
        font = _font()
        font.set_size(100.0, 72)
        font.set_text(text, 0.0)
    width: float = font.get_width_height()[0] / 64 / 100
    return width

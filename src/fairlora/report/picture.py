"""Write picture files: formats, fonts, and the same bytes for the same input."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

from fairlora.errors import InputError
from fairlora.io import replacing
from fairlora.report.dots_view import SHAPES
from fairlora.report.text import one_line

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

INK = "#1c2127"
GREY = "#59636e"
HAIR = "#e6e9ed"
DASHED = (0, (4, 3))
# matplotlib's names of the shapes. Diamonds and squares look larger than circles of the same
# nominal size.
MARKERS = dict(zip(SHAPES, ("o", "D", "s", "^", "v", "P", "X", "h"), strict=True))
SIZES = dict(zip(SHAPES, (6.0, 5.2, 5.2, 6.2, 6.2, 6.8, 6.6, 6.6), strict=True))
_FORMATS = ("png", "svg", "pdf")
# Letters to a line of a legend as wide as the figure, and in all columns together.
_LEGEND_LETTERS, _LEGEND_ROW = 88, 100


def write_picture(path: str | os.PathLike[str] | None, draw: Callable[[], Figure]) -> Figure:
    """Write the figure that `draw` returns to `path`, by its suffix; whole or not at all.

    Without a path the figure is drawn and returned alone.

    Raises
    ------
    InputError (a ValueError): the suffix is not .png, .svg or .pdf.
    OSError: the file cannot be written; what was there before stays.
    """
    suffix = "png" if path is None else Path(path).suffix.lower().lstrip(".")
    if suffix not in _FORMATS:
        raise InputError(
            "unknown picture format", where=path, found=repr(suffix), expected="png, svg or pdf"
        )

    from matplotlib import rc_context

    # A date in the file, or ids from a random salt, would make every run's picture differ.
    undated = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[suffix]
    # Any, because matplotlib's type of a settings dict changes between its versions.
    settings: Any = {
        "svg.hashsalt": "fairlora",
        "pdf.fonttype": 42,
        "font.family": "DejaVu Sans",
        "hatch.linewidth": 0.7,
    }
    with rc_context(settings), warnings.catch_warnings():
        # A script that the font lacks is drawn as boxes; a warning a glyph would help nobody.
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*missing.*")
        figure = draw()
        if path is not None:
            with replacing(path) as temporary:
                figure.savefig(temporary, format=suffix, dpi=200, metadata=undated)
        return figure


def new_figure(width: float, height: float) -> Figure:
    """Return an empty white figure of that size in inches.

    A Figure of its own: pyplot would keep it, and would choose a backend for the whole process.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


class Legend:
    """The legend beneath a picture: entries in lines, in as many columns as they leave room for.

    Parameters
    ----------
    texts : what the entries say.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = ["\n".join(wrapped(text, _LEGEND_LETTERS)) for text in texts]
        self.columns = next(
            number for number in (4, 3, 2, 1) if number == 1 or self._width(number) <= _LEGEND_ROW
        )

    def _width(self, columns: int) -> int:
        """Return how many letters wide the legend is in so many columns, filled one by one."""
        rows = -(-len(self.texts) // columns)
        # An entry needs room for its letters and about seven more for its marker.
        wide = [7 + max(letters(line) for line in text.split("\n")) for text in self.texts]
        return sum(max(wide[start : start + rows]) for start in range(0, len(wide), max(rows, 1)))

    @property
    def inches(self) -> float:
        """The height that the legend needs."""
        rows = -(-len(self.texts) // self.columns)
        most = max((text.count("\n") + 1 for text in self.texts), default=0)
        return 0.17 * rows * most + 0.1 * (rows > 0)

    def draw(self, figure: Figure, handles: list[Artist]) -> None:
        """Draw the legend, a handle an entry."""
        if not handles:
            return
        legend = figure.legend(
            handles,
            self.texts,
            loc="outside lower left",
            ncols=self.columns,
            frameon=False,
            fontsize=8,
        )
        for text in legend.get_texts():
            text.set_parse_math(False)


def wrapped(text: str, width: int, most: int = 4) -> list[str]:
    """Return `text` in lines of at most `width` letters; beyond `most` lines an ellipsis says so.

    Letters of double width count as two. A word longer than a line is broken.

    Parameters
    ----------
    text : what to write; line breaks in it count as spaces.
    width : letters a line.
    most : lines at most.

    >>> wrapped("a label of several words", 10), wrapped("unbroken", 5, most=1)
    (['a label of', 'several', 'words'], ['unbr…'])
    """
    lines = [""]
    for word in one_line(text).split(" "):
        if lines[-1] and letters(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and letters(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    if len(lines) > most:
        last = lines[most - 1]
        while last and letters(last) >= width:
            last = last[:-1]
        lines = [*lines[: most - 1], last.rstrip() + "…"]
    return lines


def letters(text: str) -> int:
    """Return how many letters wide `text` is; those of double width count as two."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)

"""What every picture file has in common: formats, fonts, and the same bytes for the same input."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

from fairlora.errors import InputError
from fairlora.report.files import replacing
from fairlora.report.text import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1c2127"
GREY = "#59636e"
HAIR = "#e6e9ed"
_FORMATS = ("png", "svg", "pdf")


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


def wrapped(text: str, width: int, most: int = 4) -> list[str]:
    """Return `text` in lines of at most `width` letters; beyond `most` lines an ellipsis says so.

    Letters of double width count as two. A word longer than a line is broken.

    >>> wrapped("a label of several words", 10), wrapped("unbroken", 5, most=1)
    (['a label of', 'several', 'words'], ['unbr…'])
    """
    lines = [""]
    for word in one_line(text).split(" "):
        if lines[-1] and _cells(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and _cells(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    if len(lines) > most:
        last = lines[most - 1]
        while last and _cells(last) >= width:
            last = last[:-1]
        lines = [*lines[: most - 1], last.rstrip() + "…"]
    return lines


def _cells(text: str) -> int:
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)

"""Write a drawing as a PNG, SVG or PDF file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from fairlora.errors import InputError
from fairlora.io import replacing
from fairlora.report.sheet import Drawing, drawn, save
from fairlora.report.svg import svg_file

_FORMATS = ("png", "svg", "pdf")


def written(path: str | os.PathLike[str] | None, title: str, draw: Callable[[], Drawing]) -> Figure:
    """Draw a figure and write it to `path`, by its suffix; whole or not at all.

    Parameters
    ----------
    path : a .png, .svg or .pdf file; None writes none.
    title : of the figure, for who cannot see it.
    draw : makes the drawing.

    Raises
    ------
    InputError (a ValueError): another suffix.
    OSError: the file cannot be written; what was there before stays.
    """
    suffix = "png" if path is None else Path(path).suffix.lower().lstrip(".")
    if suffix not in _FORMATS:
        raise InputError(
            "unknown picture format", where=path, found=repr(suffix), expected="png, svg or pdf"
        )
    drawing = drawn(draw)
    _lay_axes(drawing)
    if path is not None:
        with replacing(path) as temporary:
            if suffix == "svg":
                temporary.write_text(svg_file(drawing, title), encoding="utf-8", newline="\n")
            else:
                save(drawing.figure, temporary, suffix)
    return drawing.figure


def _lay_axes(drawing: Drawing) -> None:
    """Lay empty axes in the data's own numbers over each plot, for who adds to the figure."""
    width, height = (72 * inches for inches in drawing.figure.get_size_inches())
    for plot in drawing.plots:
        bottom = height - plot.top - plot.height
        axes = drawing.figure.add_axes(
            (
                (plot.left + drawing.margin) / width,
                bottom / height,
                plot.width / width,
                plot.height / height,
            )
        )
        axes.set_axis_off()
        axes.set(**{f"{key}scale": "log" for key in plot.logs})
        axes.set(xlim=plot.limits[0], ylim=plot.limits[1])

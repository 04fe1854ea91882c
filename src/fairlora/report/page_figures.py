"""Draw a page's figures for wide screens and for phones, with the tables of their numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple
from xml.sax.saxutils import quoteattr

from markupsafe import Markup

from fairlora.report.chart import Chart
from fairlora.report.chart_drawing import draw_chart, least_width
from fairlora.report.chart_table import chart_table
from fairlora.report.dots_drawing import draw_dots
from fairlora.report.dots_view import numbers_table, series_names
from fairlora.report.layout import opens_with_picture
from fairlora.report.page import Dots, Page, Reliability, Table
from fairlora.report.reliability_drawing import draw_reliability
from fairlora.report.reliability_view import bins_table
from fairlora.report.sheet import NARROW, WIDE, Drawing, drawn
from fairlora.report.svg import description, page_svg, sprite
from fairlora.report.text import one_line


class PageFigure(NamedTuple):
    """A figure as the page shows it: drawings, what they say in words, and tables of the numbers.

    Of a `wide` figure a narrow screen shows a part, and the rest on scrolling.
    """

    title: str
    topic: str
    caption: str
    svgs: list[Markup]
    id: str
    words: str
    wide: bool
    tables: list[Table]


def figures_of(page: Page) -> tuple[list[PageFigure], Markup]:
    """Return the figures of `page` (checked and clean), and the markers and hatchings of them all.

    The page's picture comes first, then dot plots, charts and reliability diagrams.
    """
    figures: list[tuple[Any, Callable[[float], Drawing], float, list[Table]]] = []
    picture = [page["picture"]] if "picture" in page else []
    for dots in [*picture, *page.get("dots", [])]:
        names = series_names(dots)
        numbers = [numbers_table(panel, names, dots["unit"]) for panel in dots["panels"]]
        figures.append((dots, partial(draw_dots, dots), NARROW, numbers))
    for chart in page.get("charts", []):
        # The page has the caption above the drawing already.
        numbers = [chart_table({**chart, "caption": ""})]
        figures.append((chart, partial(draw_chart, chart), least_width(chart), numbers))
    for diagram in page.get("reliability", []):
        numbers = [bins_table(panel, diagram) for panel in diagram["panels"]]
        figures.append((diagram, partial(draw_reliability, diagram), NARROW, numbers))
    shared: dict[str, str] = {}
    shown = [
        _shown(*figure, f"words-{index}", shared, first=index == 1 and opens_with_picture(page))
        for index, figure in enumerate(figures, start=1)
    ]
    return shown, Markup(sprite(shared))


def _shown(
    content: Dots | Chart | Reliability,
    draw: Callable[[float], Drawing],
    least: float,
    tables: list[Table],
    words: str,
    shared: dict[str, str],
    first: bool = False,
) -> PageFigure:
    """Draw a figure as wide screens show it, and as phones do where it fits on them.

    Parameters
    ----------
    content : the figure.
    draw : draws it at a width, in points.
    least : the least width at which it can be read.
    tables : of its numbers.
    words : the id of the figure's description.
    shared : what drawings refer to, see `page_svg`.
    first : whether it stands on the first screen, beside the findings unless it is wide.
    """
    title = content["title"]
    name = f'aria-label={quoteattr(one_line(title))} aria-describedby="{words}"'
    wide = least > NARROW
    small = first and not wide  # and the same on every screen
    drawing = drawn(partial(draw, NARROW if small else max(WIDE, least)))
    look = "drawn" if wide or small else "drawn roomy"
    svgs = [page_svg(drawing, shared, f'class="{look}" {name}')]
    if not wide and not small:
        narrow = drawn(partial(draw, NARROW))
        svgs.append(page_svg(narrow, shared, f'class="drawn tight" {name}', pointed=False))
    return PageFigure(
        title,
        content.get("topic", ""),
        content.get("caption", ""),
        [Markup(svg) for svg in svgs],
        words,
        description(drawing),
        wide,
        [table for table in tables if table["rows"]],
    )

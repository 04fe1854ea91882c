"""A page as one HTML file: no request to anywhere, no script, nothing to install.

The file can be mailed, archived beside the run that it reports, and opened years later. Names in it
come from data, so the template escapes everything and the page's own content security policy lets a
browser run no script and load nothing, should an escape ever fail.
"""

from __future__ import annotations

import base64
import hashlib
import os
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from fairlora.io import replacing
from fairlora.report.chart_svg import ChartDrawing, chart_sprite, draw_chart
from fairlora.report.dots_svg import Drawing, PanelDrawing, draw_dots, marker_sprite
from fairlora.report.page import Page, clean_page, marks_used
from fairlora.report.reliability_svg import Diagram, draw_reliability, hatch_sprite
from fairlora.report.text import MARK_SIGNS, one_line


def to_html(page: Page) -> str:
    """Return `page` as a self-contained HTML document.

    Raises
    ------
    InputError (a ValueError): `page` is malformed; the message names the key.
    """
    ready = clean_page(page)
    drawings = [
        _trusted(draw_dots(dots, f"dots-{index}"))
        for index, dots in enumerate(ready.get("dots", []))
    ]
    diagrams = [
        _trusted_diagram(draw_reliability(chart, f"reliability-{index}"))
        for index, chart in enumerate(ready.get("reliability", []))
    ]
    charts = [
        _trusted_chart(draw_chart(chart, f"chart-{index}"))
        for index, chart in enumerate(ready.get("charts", []))
    ]
    sprite = marker_sprite()
    sprite += (hatch_sprite() if diagrams else "") + (chart_sprite() if charts else "")
    style = _resource("page.css")
    return _template("page.html.j2").render(
        page=ready,
        marks=[marks_used(table) for table in ready.get("tables", [])],
        drawings=drawings,
        charts=charts,
        diagrams=diagrams,
        signs=MARK_SIGNS,
        sprite=Markup(sprite),
        style=Markup(style),
        style_hash=_hash(style),
    )


def to_fragment(page: Page) -> str:
    """Return the lead, tables and notes of `page` as HTML to set into a notebook or another page.

    It needs no script and no file beside it; its style reaches nothing outside it.

    Raises
    ------
    InputError (a ValueError): `page` is malformed; the message names the key.
    """
    ready = clean_page(page)
    marks = [marks_used(table) for table in ready.get("tables", [])]
    return _template("fragment.html.j2").render(page=ready, marks=marks, signs=MARK_SIGNS)


def write_html(page: Page, path: str | os.PathLike[str]) -> None:
    """Write `page` to `path` as one HTML file, whole or not at all; parent folders are made.

    Raises
    ------
    InputError (a ValueError): `page` is malformed; the message names the key.
    OSError: the file cannot be written; what was there before stays.
    """
    document = to_html(page)
    with replacing(path) as temporary:
        temporary.write_text(document, encoding="utf-8", newline="\n")


def _trusted(drawing: Drawing) -> Drawing:
    """Mark the SVG, which this room escaped itself, as not to be escaped again."""
    return drawing._replace(
        legend=[entry._replace(svg=Markup(entry.svg)) for entry in drawing.legend],
        panels=[_trusted_panel(panel) for panel in drawing.panels],
    )


def _trusted_panel(panel: PanelDrawing) -> PanelDrawing:
    return panel._replace(
        strips=[strip._replace(svg=Markup(strip.svg)) for strip in panel.strips],
        axis_svg=Markup(panel.axis_svg),
    )


def _trusted_diagram(diagram: Diagram) -> Diagram:
    return diagram._replace(
        legend=[entry._replace(svg=Markup(entry.svg)) for entry in diagram.legend],
        panels=[panel._replace(svg=Markup(panel.svg)) for panel in diagram.panels],
    )


def _trusted_chart(drawing: ChartDrawing) -> ChartDrawing:
    return drawing._replace(
        legend=[entry._replace(svg=Markup(entry.svg)) for entry in drawing.legend],
        y_axis=Markup(drawing.y_axis),
        plot=Markup(drawing.plot),
        x_axes=[Markup(svg) for svg in drawing.x_axes],
    )


def _resource(name: str) -> str:
    return files("fairlora.report").joinpath("templates", name).read_text(encoding="utf-8")


def _hash(style: str) -> str:
    """Return the policy's name for the one style sheet that the browser may apply."""
    digest = hashlib.sha256(style.encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=FunctionLoader(_resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["one_line"] = one_line
    return environment.get_template(name)

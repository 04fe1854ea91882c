"""A page as one HTML file: no request to anywhere, nothing to install, readable without a script.

The file can be mailed, archived beside the run that it reports, and opened years later. Names in it
come from data, so the template escapes everything and the page's own content security policy lets a
browser load nothing, and run no script but the one of this room, named by its hash, should an
escape ever fail. That script filters, sorts and moves thresholds; all it shows stands in the page.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from fairlora.io import replacing
from fairlora.report.layout import laid_out
from fairlora.report.page import Page, clean_page, marks_used
from fairlora.report.text import MARK_SIGNS, one_line
from fairlora.report.thresholds import rate_rows


def to_html(page: Page) -> str:
    """Return `page` as a self-contained HTML document.

    Raises
    ------
    InputError (a ValueError): `page` is malformed; the message names the key.
    """
    ready = clean_page(page)
    style, script = _resource("page.css"), _resource("page.js")
    figures, defined = _figures(ready)
    return _template("page.html.j2").render(
        page=ready,
        layout=laid_out(ready, figures),
        sprite=defined,
        signs=MARK_SIGNS,
        terms={fact["name"]: fact["value"] for fact in ready.get("terms", [])},
        style=Markup(style),
        style_hash=_hash(style),
        script=Markup(script),
        script_hash=_hash(script),
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


def _figures(page: Page) -> tuple[Sequence[object], str]:
    """Return the figures of `page`; only a page that has some loads what draws."""
    if not any(page.get(kind) for kind in ("picture", "dots", "charts", "reliability")):
        return [], ""
    from fairlora.report.page_figures import figures_of

    return figures_of(page)


def _resource(name: str) -> str:
    return files("fairlora.report").joinpath("templates", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the policy's name for the one style sheet, or script, that the browser may apply."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
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
    environment.filters["rate_rows"] = rate_rows
    return environment.get_template(name)

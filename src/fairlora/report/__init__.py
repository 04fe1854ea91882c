"""The report room: a plain dict (a `Page`) in; terminal, Markdown, HTML, LaTeX, JSON, figures out.

It knows no metric: whoever makes a page decides what its texts and numbers mean. Importing this
package loads none of rich, jinja2 and matplotlib; each loads with the first output that needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from fairlora.report.chart import Chart, check_chart
from fairlora.report.page import (
    Dots,
    Page,
    Reliability,
    Table,
    check_dots,
    check_page,
    check_reliability,
)

if TYPE_CHECKING:
    from fairlora.report.chart_drawing import chart_figure
    from fairlora.report.csv import chart_csv, dots_csv, records_csv, reliability_csv, table_csv
    from fairlora.report.dots_drawing import dots_figure
    from fairlora.report.html import to_html, write_html
    from fairlora.report.json import to_json
    from fairlora.report.latex import to_latex
    from fairlora.report.markdown import to_markdown
    from fairlora.report.reliability_drawing import reliability_figure
    from fairlora.report.terminal import print_page
else:
    _HOMES = {
        "chart_csv": "csv",
        "chart_figure": "chart_drawing",
        "dots_csv": "csv",
        "dots_figure": "dots_drawing",
        "print_page": "terminal",
        "records_csv": "csv",
        "reliability_csv": "csv",
        "reliability_figure": "reliability_drawing",
        "table_csv": "csv",
        "to_html": "html",
        "to_json": "json",
        "to_latex": "latex",
        "to_markdown": "markdown",
        "write_html": "html",
    }

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


__all__ = [
    "Chart",
    "Dots",
    "Page",
    "Reliability",
    "Table",
    "chart_csv",
    "chart_figure",
    "check_chart",
    "check_dots",
    "check_page",
    "check_reliability",
    "dots_csv",
    "dots_figure",
    "print_page",
    "records_csv",
    "reliability_csv",
    "reliability_figure",
    "table_csv",
    "to_html",
    "to_json",
    "to_latex",
    "to_markdown",
    "write_html",
]


def __dir__() -> list[str]:
    return sorted(__all__)

"""One figure of a result as a picture file: `plot` of audits, comparisons and targets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from fairlora.errors import InputError, require_known
from fairlora.metrics.charts import (
    accuracy_dots,
    difference_dots,
    disparity_dots,
    reliability_charts,
)
from fairlora.metrics.content import AuditContent
from fairlora.metrics.curves.page import CURVES, curve_chart
from fairlora.report.chart import Chart
from fairlora.report.page import Dots, Page, Reliability

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("disparities", "groups", "differences", "reliability", *CURVES)


def plot(content: AuditContent, path: Path | None, kind: str, attribute: str | None) -> Figure:
    """See `AuditResult.plot`.

    Parameters
    ----------
    content : of the audit.
    path : the file to write; None writes none.
    kind : one of `KINDS`.
    attribute : the one to draw; None is the first, or all for "disparities".

    Raises
    ------
    InputError : another kind or attribute, or there is nothing to draw.
    """
    attributes = list(content.by_group)
    if kind not in KINDS:
        raise InputError("unknown figure", where="kind", found=kind, expected=", ".join(KINDS))
    place = _place(attribute, attributes)
    percent = f"{100 * content.settings.level:g} %"
    if kind == "reliability":
        charts = reliability_charts(content)
        if not charts:
            raise InputError("nothing to draw: no probabilities were given", where=path)
        from fairlora.report import reliability_figure

        return reliability_figure(cast(Reliability, charts[place]), path)
    name = attributes[place]
    if kind in CURVES:
        if content.curves is None:
            raise InputError("nothing to draw: no curves were asked for", where=path, found=kind)
        chart = curve_chart(kind, name, content.curves, percent)
        if not chart["series"]:
            raise InputError("nothing to draw: no group is large enough", where=path, found=kind)
        from fairlora.report import chart_figure

        return chart_figure(cast(Chart, chart), path)
    if kind == "disparities":
        every = content.disparities
        chosen = every if attribute is None else {name: every[name]}
        drawn = disparity_dots(chosen, percent)
    elif kind == "groups":
        drawn = accuracy_dots(name, content.by_group[name], percent)
    else:
        drawn = difference_dots(name, content.by_group[name], percent)
    return _drawn(cast(Dots, drawn), path, kind)


def plot_page(
    page: Page, path: Path | None, attributes: list[str], attribute: str | None
) -> Figure:
    """The figure of an attribute on a page that has one of each.

    Parameters
    ----------
    page : with as many dots as attributes, in their order.
    path : the file to write; None writes none.
    attributes : all.
    attribute : the one to draw; None is the first.

    Raises
    ------
    InputError : an unknown attribute, or there is nothing to draw.
    """
    return _drawn(page["dots"][_place(attribute, attributes)], path, page["title"])


def _place(attribute: str | None, attributes: list[str]) -> int:
    if attribute is None:
        return 0
    require_known([attribute], attributes, "attribute", "attribute")
    return attributes.index(attribute)


def _drawn(drawn: Dots, path: Path | None, kind: str) -> Figure:
    from fairlora.report import dots_figure

    points = [p for panel in drawn["panels"] for row in panel["rows"] for p in row["points"]]
    if not any(point["value"] is not None for point in points):
        raise InputError("nothing to draw: no value is defined", where=path, found=kind)
    return dots_figure(drawn, path)

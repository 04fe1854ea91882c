"""`AuditResult.plot`: one figure of an audit as a picture file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fairlora.errors import InputError
from fairlora.metrics.charts import (
    accuracy_dots,
    difference_dots,
    disparity_dots,
    reliability_charts,
)
from fairlora.report.page import Dots, Reliability

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("disparities", "groups", "differences", "reliability")


def plot(content: Mapping[str, Any], path: Path | None, kind: str, attribute: str | None) -> Figure:
    """See `AuditResult.plot`."""
    attributes = list(content["by_group"])
    if kind not in KINDS:
        raise InputError("unknown figure", where="kind", found=kind, expected=", ".join(KINDS))
    if attribute is not None and attribute not in attributes:
        raise InputError(
            "no such attribute",
            where="attribute",
            found=attribute,
            expected="one of " + ", ".join(attributes),
        )
    place = 0 if attribute is None else attributes.index(attribute)
    percent = f"{100 * content['settings']['level']:g} %"
    if kind == "reliability":
        charts = reliability_charts(content)
        if not charts:
            raise InputError("nothing to draw: no probabilities were given", where=path)
        from fairlora.report import reliability_figure

        return reliability_figure(cast(Reliability, charts[place]), path)
    from fairlora.report import dots_figure

    name = attributes[place]
    if kind == "disparities":
        chosen = (
            content["disparities"] if attribute is None else {name: content["disparities"][name]}
        )
        drawn = disparity_dots(chosen, percent)
    elif kind == "groups":
        drawn = accuracy_dots(name, content["by_group"][name], percent)
    else:
        drawn = difference_dots(name, content["by_group"][name], percent)
    points = [p for panel in drawn["panels"] for row in panel["rows"] for p in row["points"]]
    if not any(point["value"] is not None for point in points):
        raise InputError("nothing to draw: no value is defined", where=path, found=kind)
    return dots_figure(cast(Dots, drawn), path)

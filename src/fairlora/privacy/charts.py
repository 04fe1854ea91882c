"""The figures of attacks as plain dicts: ROCs on log-log axes, resistance against group size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fairlora.errors import InputError
from fairlora.metrics.content import CurvePoint
from fairlora.metrics.curves.charts import roc_chart
from fairlora.privacy.content import Resistance
from fairlora.report.chart import Chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def resistance_chart(
    attribute: str, found: Resistance, level: str, of: str
) -> dict[str, Any] | None:
    """One minus the AUC of each group against its size; None where no group has one.

    Parameters
    ----------
    attribute : whose groups they are.
    found : what `resistance` gives; groups that are small are left out.
    level : of the intervals, as text ("95 %").
    of : what the title ends with, such as the attack's name.
    """
    points = [
        {
            "x": row.examples,
            "y": row.auc.value,
            "low": row.auc.low,
            "high": row.auc.high,
            "label": row.group,
        }
        for row in found.groups
        if row.auc.value is not None and not row.small
    ]
    if not points:
        return None
    rank = found.rank_correlation
    words = f"No rank correlation: {rank.reason}."
    if rank.value is not None:
        words = (
            f"Rank correlation with size {rank.value:.2f} (p = {rank.p:.3f}, {rank.groups} groups)."
        )
    return {
        "title": f"Resistance and size by {attribute}{of}",
        "caption": "Resistance is 1 - AUC: 50 % where the attack tells nothing. With "
        f"{level} intervals. {words}",
        "kind": "scatter",
        "x": {"label": "Examples of the group", "scale": "log"},
        "y": {"label": "Resistance", "unit": "share", "better": "higher"},
        "series": [{"name": attribute, "points": points}],
        "references": [{"name": "nothing told", "value": 0.5}],
    }


def draw_roc(
    title: str,
    curves: Mapping[str, Sequence[CurvePoint]],
    level: str,
    path: str | Path | None,
) -> Figure:
    """Draw a `roc_chart`, and write it where a path is given.

    Parameters
    ----------
    title, curves, level : as of `roc_chart`.
    path : a .png, .svg or .pdf file; None writes none.

    Raises
    ------
    InputError : no curve has a point above 0, or the file has another suffix.
    """
    from fairlora.report import chart_figure

    chart = roc_chart(title, curves, level)
    if not chart["series"]:
        raise InputError("nothing to draw: no curve has a point", where=title)
    return chart_figure(cast(Chart, chart), path)

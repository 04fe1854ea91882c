"""The figures of attacks as plain dicts: ROCs on log-log axes, resistance against group size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fairlora.errors import InputError
from fairlora.privacy.content import CurvePoint, Resistance
from fairlora.report.chart import Chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# More lines than this, with bands, are no picture.
_MOST_LINES = 8


def roc_chart(title: str, curves: Mapping[str, Sequence[CurvePoint]], level: str) -> dict[str, Any]:
    """ROCs on log-log axes with their bands, and what chance gives.

    A TPR of 0 has no place on the axis and is left out.

    Parameters
    ----------
    title : of the chart.
    curves : name -> points of `operating_points.curve`; of more than eight those of the most
        points, which are of the most non-members, are drawn.
    level : of the intervals, as text ("95 %").
    """
    known = {name: points for name, points in curves.items() if points}
    shown = dict(known)
    if len(known) > _MOST_LINES:
        finest = sorted(known, key=lambda name: known[name][0]["fpr"])[:_MOST_LINES]
        shown = {name: points for name, points in known.items() if name in finest}
    series: list[dict[str, Any]] = [
        {
            "name": name if name != "chance" else "chance (attack)",
            "points": [
                {"x": point["fpr"], "y": point["tpr"], "low": point["low"], "high": point["high"]}
                for point in points
                if point["tpr"] > 0
            ],
        }
        for name, points in shown.items()
    ]
    series = [line for line in series if line["points"]]
    if series:
        least = min(point["x"] for line in series for point in line["points"])
        ends = sorted({least, 1.0})
        points = [{"x": x, "y": x} for x in ends]
        series.append({"name": "chance", "points": points, "reference": True})
    more = "" if len(shown) == len(known) else f" The {len(shown)} finest of {len(known)}."
    return {
        "title": title,
        "caption": f"Intervals: {level}, pointwise, of the TPR at that FPR among all non-members. "
        f"Each line begins at one non-member.{more}",
        "kind": "lines",
        "x": {"label": "False positive rate", "unit": "share", "scale": "log"},
        "y": {"label": "True positive rate", "unit": "share", "scale": "log"},
        "series": series,
    }


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

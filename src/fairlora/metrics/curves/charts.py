"""ROC and precision-recall curves with bands as plain dicts that the `report` room draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from fairlora.metrics.content import CurvePoint, PrecisionPoint

# More lines than this, with bands, are no picture.
_MOST_LINES = 8


def roc_chart(
    title: str,
    curves: Mapping[str, Sequence[CurvePoint]],
    level: str,
    scale: Literal["linear", "log"] = "log",
    negative: str = "non-member",
) -> dict[str, Any]:
    """ROCs with their bands, and what chance gives.

    On log axes a TPR of 0 has no place, and is left out.

    Parameters
    ----------
    title : of the chart.
    curves : name -> points of `roc_points`; of more than eight those of the most points, which are
        of the most negatives, are drawn.
    level : of the intervals, as text ("95 %").
    scale : of both axes.
    negative : what a row of the negative class is called.
    """
    known = {name: points for name, points in curves.items() if points}
    shown = dict(known)
    if len(known) > _MOST_LINES:
        finest = sorted(known, key=lambda name: known[name][0]["fpr"])[:_MOST_LINES]
        shown = {name: points for name, points in known.items() if name in finest}
    series: list[dict[str, Any]] = [
        {
            "name": name if name != "chance" else "chance (name)",
            "points": [
                {"x": point["fpr"], "y": point["tpr"], "low": point["low"], "high": point["high"]}
                for point in points
                if point["tpr"] > 0 or scale == "linear"
            ],
        }
        for name, points in shown.items()
    ]
    series = [line for line in series if line["points"]]
    if series:
        least = min(point["x"] for line in series for point in line["points"])
        ends = sorted({least if scale == "log" else 0.0, 1.0})
        points = [{"x": x, "y": x} for x in ends]
        series.append({"name": "chance", "points": points, "reference": True})
    more = "" if len(shown) == len(known) else f" The {len(shown)} finest of {len(known)}."
    return {
        "title": title,
        "caption": f"Intervals: {level}, pointwise, of the TPR at that FPR among all {negative}s. "
        f"Each line begins at one {negative}.{more}",
        "kind": "lines",
        "x": {"label": "False positive rate", "unit": "share", "scale": scale},
        "y": {"label": "True positive rate", "unit": "share", "scale": scale},
        "series": series,
    }


def precision_chart(
    title: str, curves: Mapping[str, Sequence[PrecisionPoint]], level: str
) -> dict[str, Any]:
    """Precision at each recall with bands.

    Parameters
    ----------
    title : of the chart.
    curves : name -> points of `precision_points`; of more than eight those of the most points.
    level : of the intervals, as text ("95 %").
    """
    known = {name: points for name, points in curves.items() if points}
    finest = sorted(known, key=lambda name: -len(known[name]))[:_MOST_LINES]
    shown = {name: points for name, points in known.items() if name in finest}
    more = "" if len(shown) == len(known) else f" The {len(shown)} finest of {len(known)}."
    return {
        "title": title,
        "caption": f"Intervals: {level}, pointwise, of the precision at that recall. Without skill "
        f"a group's precision is its share of positives, at every recall.{more}",
        "kind": "lines",
        "x": {"label": "Recall", "unit": "share"},
        "y": {"label": "Precision", "unit": "share", "zero": True},
        "series": [
            {
                "name": name,
                "points": [
                    {"x": one["recall"], "y": one["precision"], "low": one["low"]}
                    | {"high": one["high"]}
                    for one in points
                ],
            }
            for name, points in shown.items()
        ],
    }

"""Curves and operating points as tables and charts of an audit's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from fairlora.metrics.content import (
    Curves,
    GroupCurves,
    GroupRatesAt,
    Number,
    OperatingPoint,
    RatesAt,
)
from fairlora.metrics.curves.charts import precision_chart, roc_chart
from fairlora.metrics.tables import gap_table, metric_text, with_interval
from fairlora.report.tables import cell

CURVES = ("roc", "precision_recall")
_GAPS = {
    "sensitivity_gap_own": "Sensitivity gap, each group at its own threshold",
    "specificity_gap_own": "Specificity gap, each group at its own threshold",
    "sensitivity_gap": "Sensitivity gap at the common threshold",
    "specificity_gap": "Specificity gap at the common threshold",
}


def curve_tables(
    curves: Curves | None,
    points: Sequence[OperatingPoint],
    percent: str,
    of: str = "",
) -> list[dict[str, Any]]:
    """AUC and average precision by group, and the rates and gaps at each operating point.

    Parameters
    ----------
    curves, points : of the audit.
    percent : the level of the intervals as text, "95 %".
    of : what titles end with, such as the target's name.
    """
    tables = []
    if curves is not None:
        for attribute in curves.by_group:
            tables.append(_curves(attribute, curves, percent))
    for point in points:
        for attribute, groups in point.by_group.items():
            tables.append(_rates(attribute, point, groups, percent))
            tables.append(_gaps(attribute, point, percent))
    return [{**table, "title": table["title"] + of} for table in tables]


def curve_charts(curves: Curves | None, percent: str, of: str = "") -> list[dict[str, Any]]:
    """ROC and precision-recall curves of each attribute's groups that are large enough.

    Parameters
    ----------
    curves : of the audit; None has no charts.
    percent : the level of the bands as text, "95 %".
    of : what titles end with, such as the target's name.
    """
    if curves is None:
        return []
    charts = [
        curve_chart(kind, attribute, curves, percent, of)
        for attribute in curves.by_group
        for kind in CURVES
    ]
    return [chart for chart in charts if chart["series"]]


def curve_chart(
    kind: str, attribute: str, curves: Curves, percent: str, of: str = ""
) -> dict[str, Any]:
    """The curves of an attribute's groups that are large enough.

    Parameters
    ----------
    kind : one of `CURVES`.
    attribute : whose groups.
    curves : of the audit.
    percent : the level of the bands as text, "95 %".
    of : what the title ends with.
    """
    groups = {g: o for g, o in curves.by_group[attribute].items() if not (o.small or o.missing)}
    if kind == "roc":
        roc = {group: one.roc for group, one in groups.items()}
        return roc_chart(f"ROC by {attribute}{of}", roc, percent, "linear", "negative")
    precision = {group: one.precision_recall for group, one in groups.items()}
    return precision_chart(f"Precision and recall by {attribute}{of}", precision, percent)


def point_words(point: OperatingPoint) -> str:
    """An operating point in words.

    >>> nothing = Number.undefined("no rows")
    >>> rates = RatesAt(threshold=None, sensitivity=nothing, specificity=nothing)
    >>> point_words(
    ...     OperatingPoint(of="specificity", value=0.9, overall=rates, by_group={}, gaps={})
    ... )
    'a specificity of 90 %'
    """
    if point.of == "threshold":
        return f"a threshold of {point.value:g}"
    return f"a {point.of} of {100 * point.value:g} %"


def _curves(attribute: str, curves: Curves, percent: str) -> dict[str, Any]:
    def row(name: str, one: GroupCurves) -> dict[str, Any]:
        share = f"{100 * one.positives / one.n:.1f}" if one.n else ""
        label = f"{name}, not compared" if one.missing else name
        texts = (f"{one.n:,}", f"{one.positives:,}", share, _text(one.auc))
        cells = [cell(label, "small" if one.small else None), *map(cell, texts)]
        return {"header": True, "cells": [*cells, cell(_text(one.average_precision))]}

    groups = curves.by_group[attribute]
    return {
        "title": f"AUC and average precision by {attribute}",
        "caption": f"In percent, with {percent} intervals. Without skill the AUC is 50 and the "
        "average precision the share of positives: groups of other shares cannot be compared by "
        "it.",
        "columns": _columns(
            attribute, "n", "Positives", "Share of positives", "AUC", "Average precision"
        ),
        "rows": [row("everyone", curves.overall), *(row(g, one) for g, one in groups.items())],
    }


def _rates(
    attribute: str,
    point: OperatingPoint,
    groups: Mapping[str, GroupRatesAt],
    percent: str,
) -> dict[str, Any]:
    given = point.of == "threshold"
    names = [attribute, "Positives", "Negatives", "Sensitivity", "Specificity"]
    if not given:
        names += ["Own threshold", "Sensitivity there", "Specificity there"]

    def row(name: str, mark: str | None, sizes: tuple[str, str], rates: list[RatesAt]) -> Any:
        cells = [cell(name, mark), *map(cell, sizes)]
        for k, one in enumerate(rates):
            cells += [cell("" if one.threshold is None else f"{one.threshold:.4g}")] * (k > 0)
            cells += [cell(_text(one.sensitivity)), cell(_text(one.specificity))]
        cells += [cell("")] * (len(names) - len(cells))
        return {"header": True, "cells": cells}

    rows = [row("everyone", None, ("", ""), [point.overall])]
    for group, one in groups.items():
        label = f"{group}, not compared" if one.missing else group
        rates = [one.common] if one.own is None else [one.common, one.own]
        mark = "small" if one.small else None
        rows.append(row(label, mark, (f"{one.positives:,}", f"{one.negatives:,}"), rates))
    caption = f"In percent, with {percent} intervals."
    if not given:
        caption += (
            f" First at the threshold of everyone, {point.overall.threshold:.4g}, then at the one "
            f"by which the group itself reaches {point_words(point)}. Both were chosen on these "
            "rows, and the intervals say how uncertain that makes the rates."
        )
    return {
        "title": f"At {point_words(point)} by {attribute}",
        "caption": caption,
        "columns": _columns(*names),
        "rows": rows,
    }


def _gaps(attribute: str, point: OperatingPoint, percent: str) -> dict[str, Any]:
    return gap_table(
        f"Gaps at {point_words(point)} by {attribute}",
        f"In percentage points; in brackets {percent} intervals, which take account of the many "
        "pairs of groups.",
        _GAPS,
        point.gaps[attribute],
    )


def _text(number: Number) -> str:
    return with_interval(number, partial(metric_text, "share"), undefined="undefined")


def _columns(*names: str) -> list[dict[str, str]]:
    return [{"name": name, "align": "right" if k else "left"} for k, name in enumerate(names)]

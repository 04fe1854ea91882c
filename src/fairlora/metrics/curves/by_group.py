"""ROC and precision-recall curves of everyone and of each group of an audit."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from fairlora.metrics.content import AuditContent, Curves, GroupCurves, Number
from fairlora.metrics.counts.auc import NO_AUC, Auc, auc_number, auc_of_rows
from fairlora.metrics.curves.operating import operating_points
from fairlora.metrics.curves.precision import average_precision, precision_points
from fairlora.metrics.curves.roc_intervals import BAND
from fairlora.metrics.curves.roc_scores import Sides, roc_points
from fairlora.metrics.curves.rows import BinaryRows, binary_rows
from fairlora.metrics.settings import Settings
from fairlora.predictions import GroupColumn, Predictions
from fairlora.predictions.weights import refuse_weights

# Of a linear axis: the left end, where decisions are made, is finer.
_FPRS = np.array([0.01, 0.02, 0.03, 0.05, 0.075, *(round(0.05 * k, 2) for k in range(2, 20))])
_RECALLS = np.array([0.02, 0.03, *(round(0.05 * k, 2) for k in range(1, 20)), 0.97, 0.98])


def add_curves(
    content: AuditContent,
    predictions: Predictions,
    settings: Settings,
) -> None:
    """Add to an audit's content the curves and operating points that its settings ask for.

    Parameters
    ----------
    content : of the audit of these predictions.
    predictions : of two classes, with probabilities.
    settings : of the audit.

    Raises
    ------
    InputError : no probabilities, not two classes, a rate of a class that has no rows, or weights.
    """
    refuse_weights(predictions, "a curve or an operating point")
    named = content.positive
    positive = None if named is None else predictions.classes.index(named)
    rows = binary_rows(predictions, settings, positive)
    assert positive is not None
    if settings.curves:
        content.curves = curves_by_group(rows, settings)
    if settings.at:
        content.operating_points = operating_points(predictions, rows, settings, positive)


def curves_by_group(rows: BinaryRows, settings: Settings) -> Curves:
    """The curves of everyone and of each group.

    Parameters
    ----------
    rows : scores of both classes.
    settings : of the audit.
    """
    n = len(rows.scores)
    alone = GroupColumn(("all",), np.zeros(n, dtype=np.int32))
    sizes = {
        "n": n,
        "positives": len(rows.whole.positives),
        "negatives": len(rows.whole.negatives),
        "small": False,
        "missing": False,
    }
    by_group = {}
    for name, attribute in rows.attributes.items():
        auc = _auc(rows, attribute.column)
        by_group[name] = {
            group: _curves(
                attribute.sides[g], auc, g, attribute.sizes(g, settings.min_group), settings.level
            )
            for g, group in enumerate(attribute.column.names)
        }
    overall = _curves(rows.whole, _auc(rows, alone), 0, sizes, settings.level)
    return Curves(band=BAND, overall=overall, by_group=by_group)


def _auc(rows: BinaryRows, column: GroupColumn) -> Auc:
    # Written for single precision, and right in any.
    return auc_of_rows(cast(Any, rows.scores), rows.labels, column, cast(Any, rows.clusters))


def _curves(sides: Sides, auc: Auc, g: int, sizes: dict[str, Any], level: float) -> GroupCurves:
    if not len(sides.positives) or not len(sides.negatives):
        nothing = Number.undefined(NO_AUC)
        return GroupCurves(
            **sizes, auc=nothing, average_precision=nothing, roc=[], precision_recall=[]
        )
    return GroupCurves(
        **sizes,
        auc=auc_number(auc, g, level),
        average_precision=average_precision(sides, level),
        roc=roc_points(sides, _FPRS, level),
        precision_recall=precision_points(sides, _RECALLS, level),
    )

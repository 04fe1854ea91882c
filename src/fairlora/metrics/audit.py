"""The audit: every group metric of a set of predictions, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics import calibration, rates
from fairlora.metrics.coerce import (
    encode,
    group_column,
    label_column,
    loss_column,
    probability_matrix,
)
from fairlora.metrics.disparity import disparities
from fairlora.metrics.intervals import Number, undefined
from fairlora.metrics.result import AuditResult
from fairlora.metrics.tally import Tally, membership, tally
from fairlora.predictions import Predictions

Confidence = Literal["top", "positive"]


def audit(
    labels: Any,
    predictions: Any,
    groups: Mapping[str, Any],
    probs: Any = None,
    *,
    loss: Any = None,
    classes: Sequence[str] | None = None,
    positive: Any = None,
    min_group: int = 10,
    bins: int = 15,
    confidence: Confidence = "top",
) -> AuditResult:
    """Audit predictions across subgroups.

    Parameters
    ----------
    labels, predictions : (n,) true and predicted classes, numbers or words: NumPy, pandas, torch,
        lists.
    groups : attribute -> (n,) group names, or lists of names for overlapping groups. A missing
        value is a group of its own, ``"(missing)"``.
    probs : (n, c) probabilities in the order of the classes, or (n,) of the positive class.
    loss : (n,) losses, for the loss variance; default: cross-entropy from `probs`.
    classes : class names; then labels and predictions may be indices into them.
    positive : the positive class of a binary label; default the last in order.
    min_group : a rate with a smaller denominator is left out of maxima and spreads.
    bins, confidence : of the calibration; "top" is the predicted label's probability, "positive"
        the positive class's.

    Raises `InputError` for lengths that differ, missing labels, probabilities that are none, or an
    unknown positive class.

    >>> result = audit([1, 1, 0, 0], [1, 0, 0, 0], {"sex": ["f", "f", "m", "m"]}, min_group=1)
    >>> result.to_dict()["overall"]["accuracy"]["value"]
    0.75
    >>> gap = result.to_dict()["disparities"]["sex"]["accuracy_gap"]
    >>> gap["value"], gap["worst"]
    (0.5, 'f')
    """
    true, predicted = label_column(labels, "labels"), label_column(predictions, "predictions")
    n = len(true)
    if n == 0:
        raise InputError("no rows", where="labels")
    if len(predicted) != n:
        raise InputError("another length", where="predictions", found=len(predicted), expected=n)
    if classes is None or true.dtype.kind not in "iu" or predicted.dtype.kind not in "iu":
        names, y, h = encode(true, predicted, classes)
    else:
        names, y, h = tuple(classes), true.astype(np.int64), predicted.astype(np.int64)
        if min(y.min(), h.min()) < 0 or max(y.max(), h.max()) >= len(names):
            raise InputError(
                "class index out of range", where="labels", expected=f"0 to {len(names) - 1}"
            )
    columns = {}
    for attribute, values in groups.items():
        column = group_column(values)
        if len(column) != n:
            raise InputError(
                "another length", where=f"groups[{attribute!r}]", found=len(column), expected=n
            )
        columns[str(attribute)] = column
    matrix = None
    if probs is not None:
        matrix = probability_matrix(probs, n, names, None if positive is None else str(positive))
    losses = None if loss is None else loss_column(loss, n)
    table = Predictions(
        ids=np.arange(n),
        split=np.full(n, "test"),
        labels=y,
        predictions=h,
        classes=names,
        groups=columns,
        probs=matrix,
        loss=losses,
    )
    return audit_predictions(
        table,
        positive=None if positive is None else str(positive),
        min_group=min_group,
        bins=bins,
        confidence=confidence,
    )


def audit_predictions(
    predictions: Predictions,
    *,
    positive: str | None = None,
    min_group: int = 10,
    bins: int = 15,
    confidence: Confidence = "top",
) -> AuditResult:
    """Audit a predictions table; see `audit`. Rows of all its splits are counted together."""
    names = predictions.classes
    if bins < 1:
        raise InputError("too few bins", where="bins", found=bins, expected=">= 1")
    if confidence not in ("top", "positive"):
        raise InputError(
            "unknown confidence",
            where="confidence",
            found=repr(confidence),
            expected="top or positive",
        )
    warnings: list[str] = []
    index = _positive_class(names, positive, warnings)
    if confidence == "positive" and index is None:
        raise InputError(
            "confidence='positive' needs two classes", where="confidence", found=len(names)
        )
    loss: NDArray[Any] | None = predictions.loss
    if loss is None and predictions.probs is not None:
        own = predictions.probs[np.arange(len(predictions)), predictions.labels]
        loss = -np.log(np.maximum(own.astype(np.float64), np.finfo(np.float32).tiny))
    if loss is not None and not np.isfinite(loss).all():
        row = int(np.flatnonzero(~np.isfinite(loss))[0])
        raise InputError(
            "not a finite number",
            where=f"loss of row {predictions.ids[row]!s}",
            found=loss[row],
            expected="finite losses",
        )

    def count(values: NDArray[Any]) -> Tally:
        return tally(
            predictions.labels,
            predictions.predictions,
            len(names),
            membership(values),
            probs=predictions.probs,
            loss=loss,
            bins=bins,
            confidence_of=index if confidence == "positive" else None,
        )

    everyone = count(np.full(len(predictions), "all"))
    by_group: dict[str, dict[str, Any]] = {}
    summaries: dict[str, dict[str, Any]] = {}
    for attribute, values in predictions.groups.items():
        table = count(values)
        found = disparities(table, names, index, min_group)
        by_group[attribute] = {
            group: {
                "n": int(table.sizes[g]),
                "small": bool(table.sizes[g] < min_group),
                **_dicts(_group_numbers(table, g, names, index)),
                **_dicts(found.by_group[g]),
            }
            for g, group in enumerate(table.names)
        }
        summaries[attribute] = _dicts(found.summary)
        if _tells_the_label(table):
            warnings.append(
                f"{attribute} tells the label: every group has rows of one class alone, so its "
                "disparities are differences between classes"
            )
        if len(table.names) == 1:
            warnings.append(f"{attribute} has one group alone: nothing to compare")
        if found.left_out:
            parts = [f"{group}: {'; '.join(what)}" for group, what in found.left_out.items()]
            shown = " | ".join(parts[:8]) + (" | ..." if len(parts) > 8 else "")
            needed = max(1, min_group)
            warnings.append(
                f"{attribute}: fewer than {needed} rows, so left out of maxima and spreads: {shown}"
            )
    return AuditResult(
        {
            "n": len(predictions),
            "classes": list(names),
            "positive": None if index is None else names[index],
            "overall": _dicts(_overall(everyone, names, index)),
            "by_group": by_group,
            "disparities": summaries,
            "warnings": warnings,
        }
    )


def _tells_the_label(table: Tally) -> bool:
    """Whether each group has rows of one class alone, and not all groups of the same class.

    Groups of one row (an id column by mistake) have one class each without telling anything.
    """
    present = table.counts.sum(axis=2) > 0
    one_class = bool((present.sum(axis=1) == 1).all())
    return one_class and int(present.any(axis=0).sum()) > 1 and bool((table.sizes > 1).any())


def _positive_class(names: Sequence[str], positive: str | None, warnings: list[str]) -> int | None:
    if positive is not None and positive not in names:
        raise InputError(
            "no such class",
            where="positive",
            found=repr(positive),
            expected="one of " + ", ".join(names),
        )
    if len(names) != 2:
        if positive is not None:
            warnings.append(
                f"a positive class needs two classes, and there are {len(names)}: {positive!r} is "
                "not used, each class is taken against the rest"
            )
        return None
    if positive is not None:
        return list(names).index(positive)
    warnings.append(
        f"no positive class was named: {names[1]!r} is taken, the last in order (--positive)"
    )
    return 1


def _overall(table: Tally, names: Sequence[str], positive: int | None) -> dict[str, Number]:
    counts = table.counts[0]
    f1 = {c: n.value for c in range(len(names)) if (n := rates.f1(counts, c)).value is not None}
    recall = {
        c: n.value
        for c in range(len(names))
        if (n := rates.true_positive_rate(counts, c)).value is not None
    }
    out = {"accuracy": rates.accuracy(counts), "f1": rates.group_f1(counts, positive)}
    out["recall"] = rates.group_recall(counts, positive)
    worst_f1 = min(f1, key=lambda c: f1[c] or 0.0)
    worst_recall = min(recall, key=lambda c: recall[c] or 0.0)
    out["f1_min"] = Number(f1[worst_f1], detail={"class": names[worst_f1]})
    recalled = rates.true_positive_rate(counts, worst_recall)
    out["recall_min"] = Number(recalled.value, reason=None, detail={"class": names[worst_recall]})
    out["f1_gap"] = undefined("one class alone")
    if len(f1) > 1:
        best_f1 = max(f1, key=lambda c: f1[c] or 0.0)
        out["f1_gap"] = Number(
            (f1[best_f1] or 0.0) - (f1[worst_f1] or 0.0),
            detail={"best": names[best_f1], "worst": names[worst_f1]},
        )
    return {**out, **_calibration(table, 0), "mean_loss": _mean_loss(table, 0)}


def _group_numbers(
    table: Tally, g: int, names: Sequence[str], positive: int | None
) -> dict[str, Number]:
    counts = table.counts[g]
    out = {
        "accuracy": rates.accuracy(counts),
        "f1": rates.group_f1(counts, positive),
    }
    kinds = {
        "selection_rate": rates.selection_rate,
        "tpr": rates.true_positive_rate,
        "fpr": rates.false_positive_rate,
        "precision": rates.precision,
    }
    for name, rate in kinds.items():
        if positive is not None:
            out[name] = rate(counts, positive)
            continue
        each = {names[c]: rate(counts, c) for c in range(len(names))}
        values = [v.value for v in each.values() if v.value is not None]
        detail = {"by_class": {c: v.to_dict() for c, v in each.items()}}
        # Selection rates of all classes sum to one: their mean says nothing.
        out[name] = (
            undefined("more than two classes: see by_class", **detail)
            if name == "selection_rate" or not values
            else Number(float(np.mean(values)), detail=detail)
        )
    return {**out, **_calibration(table, g), "mean_loss": _mean_loss(table, g)}


def _calibration(table: Tally, g: int) -> dict[str, Number]:
    return {
        "ece": calibration.ece(table, g),
        "mce": calibration.mce(table, g),
        "confidence_gap": calibration.signed_gap(table, g),
        "brier": calibration.brier(table, g),
        "nll": calibration.negative_log_likelihood(table, g),
    }


def _mean_loss(table: Tally, g: int) -> Number:
    if table.losses is None:
        return undefined("no losses given")
    n, total, _ = table.losses[g]
    return Number(float(total / n)) if n else undefined("no rows")


def _dicts(numbers: Mapping[str, Number]) -> dict[str, Any]:
    return {name: number.to_dict() for name, number in numbers.items()}

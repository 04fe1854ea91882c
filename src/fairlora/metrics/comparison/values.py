"""Values of the disparities alone, of many tables at once: for the bootstrap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.counts import macro
from fairlora.metrics.groups.chance import range_of
from fairlora.metrics.inference.intervals import Float

# Whether more is better (+1), or less (-1), or neither (0).
BETTER = {
    "accuracy": +1,
    "f1": +1,
    "recall": +1,
    "tpr": +1,
    "fpr": -1,
    "accuracy_worst": +1,
    "accuracy_gap": -1,
    "dpd": -1,
    "eod": -1,
    "eopp_max": -1,
    "f1_min": +1,
    "recall_min": +1,
    "f1_gap": -1,
    "loss_variance": -1,
    "mean_loss": -1,
    "brier": -1,
    "ece": -1,
}
# Of a score a row; whether more is better depends on the score.
BETTER_SCORES = {"score": 0, "score_gap": -1}
# Of predictions that are numbers; whether more bias is better depends on its sign.
BETTER_SCORES |= {"bias": 0, "mae": -1, "rmse": -1, "bias_gap": -1, "mae_gap": -1, "rmse_gap": -1}


def values_of(
    counts: Float,
    total: Float,
    *,
    positive: int | None,
    least: int,
    reference: Float,
    everyone: Float,
) -> dict[str, Float]:
    """Disparities, and the groups' rates as "accuracy/0", of B tables.

    Parameters
    ----------
    counts : (B, G, C, C) rows by group, label and prediction.
    total : (B, C, C) all rows once.
    positive : as of an audit.
    least : denominators from so many rows count, by (G, C) `reference` and (C,) `everyone`: rows of
        a label in the data, so that draws and data leave out the same groups.

    Returns (B,) each; NaN where undefined.
    """
    classes = counts.shape[-1]
    cs = range(classes) if positive is None else [positive]
    sizes = reference.sum(axis=1)
    large = sizes >= least
    n = counts.sum(axis=(2, 3))
    right = np.einsum("bgcc->bg", counts)
    accuracy = _share(right, n)
    out = {
        "accuracy": _share(np.einsum("bcc->b", total), total.sum(axis=(1, 2))),
        "accuracy_worst": _least(accuracy, large),
        "accuracy_gap": range_of(accuracy, large),
    }
    whole, each = macro.sums_of(total), macro.sums_of(counts)
    out["f1"], f1 = (_of(s, "f1", positive) for s in (whole, each))
    out["recall"], recall = (_of(s, "tpr", positive) for s in (whole, each))
    few = np.full(len(counts), np.nan)
    dpd, eod, eopp = few.copy(), few.copy(), few.copy()
    for c in cs:
        selected = _share(each.chosen[..., c], n)
        dpd = np.fmax(dpd, range_of(selected, large))
        positives, negatives = reference[:, c], sizes - reference[:, c]
        tpr = _share(each.hits[..., c], each.rows[..., c])
        fpr = _share(each.chosen[..., c] - each.hits[..., c], n - each.rows[..., c])
        # Equalized odds needs both rates of a group, in the data and in a draw.
        odds = (positives >= least) & (negatives >= least)
        lacking = np.isnan(tpr) | np.isnan(fpr)
        for rate in (tpr, fpr):
            eod = np.fmax(eod, range_of(np.where(lacking, np.nan, rate), odds))
        outside = _share(
            whole.hits[:, None, c] - each.hits[..., c], whole.rows[:, None, c] - each.rows[..., c]
        )
        both = (positives >= least) & (everyone[c] - positives >= least)
        if both.any():
            eopp = np.fmax(eopp, np.fmax.reduce(np.abs(tpr - outside)[:, both], axis=1))
        if positive is not None:
            for g in range(counts.shape[1]):
                out[f"tpr/{g}"], out[f"fpr/{g}"] = tpr[:, g], fpr[:, g]
    out |= {"dpd": dpd, "eod": eod, "eopp_max": eopp}
    enough = large if positive is None else reference[:, positive] >= least
    out["f1_min"], out["recall_min"] = _least(f1, enough), _least(recall, enough)
    out["f1_gap"] = range_of(f1, enough)
    for g in range(counts.shape[1]):
        out[f"accuracy/{g}"] = accuracy[:, g]
    return out


def _of(sums: macro.Sums, name: str, positive: int | None) -> Float:
    if positive is None:
        return macro.mean_over_classes(macro.per_class(sums, name))
    return class_rates(sums, name)[..., positive]


def class_rates(sums: macro.Sums, name: str) -> Float:
    """(..., C) a class's F1 or recall by itself: of a class without rows it is undefined.

    F1 could be nothing but 0 there. In a mean over classes it is, where the class is predicted.
    """
    return np.where(sums.rows > 0, macro.per_class(sums, name), np.nan)


def _share(top: Float, bottom: Float) -> Float:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(bottom > 0, top / bottom, np.nan)


def _least(rates: Float, known: NDArray[np.bool_]) -> Float:
    if not known.any():
        return np.full(len(rates), np.nan)
    return np.asarray(np.fmin.reduce(rates[:, known], axis=1))

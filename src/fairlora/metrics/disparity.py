"""Disparities between the groups of one attribute.

A is the attribute, g one of its groups, "not g" everyone outside it, y the label, h the prediction.
More than two classes are taken one against the rest, and the largest value is named with its class.
A group whose denominator is below `min_group` is left out of maxima and spreads, and listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics import rates
from fairlora.metrics.intervals import Number, undefined
from fairlora.metrics.tally import Tally

SELECTION, TPR, FPR = 0, 1, 2
TOO_FEW = "fewer than two groups are large enough"


@dataclass(frozen=True)
class Disparities:
    """All disparities of one attribute.

    Attributes
    ----------
    summary : metric name -> its number, with the group or class in `detail`.
    by_group : per group, "dpd", "eod" and "eopp": the group against everyone outside it.
    left_out : groups left out of a maximum or spread for want of rows, with what of them.
    """

    summary: dict[str, Number]
    by_group: list[dict[str, Number]]
    left_out: dict[str, list[str]] = field(default_factory=dict)


def disparities(
    tally: Tally, classes: Sequence[str], positive: int | None, min_group: int
) -> Disparities:
    """Compute them all from the attribute's tally.

    `positive` is the positive class of a binary label; None takes every class against the rest.
    """
    cs = list(range(len(classes))) if positive is None else [positive]
    values, bottoms = rates.rate_table(tally.counts)
    known = bottoms >= max(1, min_group)
    left_out: dict[str, list[str]] = {}
    sizes = tally.sizes
    large = sizes >= max(1, min_group)
    for g, name in enumerate(tally.names):
        if not large[g]:
            left_out.setdefault(name, []).append(f"all ({int(sizes[g])} rows)")
            continue
        for what, label in ((TPR, "TPR"), (FPR, "FPR")):
            # Of many classes, one that a group has no row of is no finding about its rates.
            few = [c for c in cs if not known[what, g, c] and (bottoms[what, g, c] or len(cs) == 1)]
            if few:
                named = ", ".join(classes[c] for c in few[:3]) + (" ..." if len(few) > 3 else "")
                left_out.setdefault(name, []).append(f"{label} of {named}")
    outside = tally.total[None] - tally.counts
    other, other_bottoms = rates.rate_table(outside)
    against = np.abs(values - other)
    against_known = known & (other_bottoms >= max(1, min_group))
    summary = {
        **_accuracy(tally, large),
        "dpd": _spread(values, known, cs, classes, tally.names, (SELECTION,)),
        "eod": _spread(values, known, cs, classes, tally.names, (TPR, FPR)),
        "eopp_max": _largest(against[TPR], against_known[TPR], cs, classes, tally.names),
        **_f1_and_recall(tally, positive, large, known[TPR]),
        **_loss_variance(tally, large),
    }
    by_group = []
    for g in range(len(tally.names)):
        one = slice(g, g + 1)
        only = tally.names[one]
        selection = _largest(
            against[SELECTION][one],
            _at_least_one(bottoms, other_bottoms, SELECTION)[one],
            cs,
            classes,
            only,
        )
        tpr_ok = _at_least_one(bottoms, other_bottoms, TPR)[one]
        fpr_ok = _at_least_one(bottoms, other_bottoms, FPR)[one]
        tpr = _largest(against[TPR][one], tpr_ok, cs, classes, only)
        fpr = _largest(against[FPR][one], fpr_ok, cs, classes, only)
        both = [n for n in (tpr, fpr) if n.value is not None]
        eod = max(both, key=lambda n: n.value or 0.0) if both else tpr
        by_group.append({"dpd": selection, "eod": eod, "eopp": tpr})
    return Disparities(summary, by_group, left_out)


def _at_least_one(
    bottoms: NDArray[np.float64], others: NDArray[np.float64], what: int
) -> NDArray[np.bool_]:
    return np.asarray((bottoms[what] > 0) & (others[what] > 0))


def _accuracy(tally: Tally, large: NDArray[np.bool_]) -> dict[str, Number]:
    if not large.any():
        nothing = undefined("no group is large enough")
        return {"accuracy_worst": nothing, "accuracy_gap": nothing}
    right = np.einsum("gcc->g", tally.counts)
    sizes = np.maximum(tally.sizes, 1)
    value = np.where(large, right / sizes, np.nan)
    worst, best = int(np.nanargmin(value)), int(np.nanargmax(value))
    gap = undefined(TOO_FEW)
    if large.sum() > 1:
        gap = Number(
            float(value[best] - value[worst]),
            detail={"best": tally.names[best], "worst": tally.names[worst]},
        )
    return {
        "accuracy_worst": Number(float(value[worst]), detail={"group": tally.names[worst]}),
        "accuracy_gap": gap,
    }


def _spread(
    values: NDArray[np.float64],
    known: NDArray[np.bool_],
    cs: Sequence[int],
    classes: Sequence[str],
    names: Sequence[str],
    kinds: Sequence[int],
) -> Number:
    """The largest over classes and kinds of (largest group's rate - smallest group's)."""
    best: Number | None = None
    labels = {SELECTION: "selection_rate", TPR: "tpr", FPR: "fpr"}
    for kind in kinds:
        for c in cs:
            groups = np.flatnonzero(known[kind, :, c])
            if len(groups) < 2:
                continue
            column = values[kind, groups, c]
            spread = float(column.max() - column.min())
            if best is None or spread > (best.value or 0.0):
                best = Number(
                    spread,
                    detail={
                        "class": classes[c],
                        "rate": labels[kind],
                        "largest": names[groups[int(column.argmax())]],
                        "smallest": names[groups[int(column.argmin())]],
                    },
                )
    return best or undefined(TOO_FEW)


def _largest(
    values: NDArray[np.float64],
    known: NDArray[np.bool_],
    cs: Sequence[int],
    classes: Sequence[str],
    names: Sequence[str],
) -> Number:
    """The largest entry of (G, C) differences, with its group and class."""
    masked = np.where(known[:, cs], values[:, cs], -np.inf)
    if not np.isfinite(masked).any():
        return undefined("no group with rows enough, and rows enough outside it")
    g, k = np.unravel_index(int(masked.argmax()), masked.shape)
    return Number(
        float(masked[g, k]), detail={"group": names[int(g)], "class": classes[cs[int(k)]]}
    )


def _f1_and_recall(
    tally: Tally, positive: int | None, large: NDArray[np.bool_], present: NDArray[np.bool_]
) -> dict[str, Number]:
    # A binary recall is a rate of the group's positives, not of all its rows.
    enough = large if positive is None else present[:, positive]
    f1 = {g: rates.group_f1(tally.counts[g], positive).value for g in np.flatnonzero(large)}
    recall = {
        g: rates.group_recall(tally.counts[g], positive).value for g in np.flatnonzero(enough)
    }
    f1_known = {g: v for g, v in f1.items() if v is not None}
    recall_known = {g: v for g, v in recall.items() if v is not None}
    out = {}
    for name, known in (("f1_min", f1_known), ("recall_min", recall_known)):
        if known:
            worst = min(known, key=lambda g: known[g])
            out[name] = Number(known[worst], detail={"group": tally.names[worst]})
        else:
            out[name] = undefined("no group is large enough")
    out["f1_gap"] = undefined(TOO_FEW)
    if len(f1_known) > 1:
        best, worst = max(f1_known, key=lambda g: f1_known[g]), out["f1_min"].detail["group"]
        out["f1_gap"] = Number(
            f1_known[best] - min(f1_known.values()),
            detail={"best": tally.names[best], "worst": worst},
        )
    return out


def _loss_variance(tally: Tally, large: NDArray[np.bool_]) -> dict[str, Number]:
    """Mean over groups of (L_g - mean of the L_g)^2, and its unbiased value.

    The unbiased value takes (G - 1) / G^2 times the sum of s_g^2 / n_g away, what the noise of the
    groups' mean losses adds on average; it may be negative.
    """
    if tally.losses is None:
        nothing = undefined("no losses given")
        return {"loss_variance": nothing, "loss_variance_unbiased": nothing}
    n, total, squares = (tally.losses[large, k] for k in range(3))
    if len(n) < 2:
        nothing = undefined(TOO_FEW)
        return {"loss_variance": nothing, "loss_variance_unbiased": nothing}
    mean = total / n
    value = float(((mean - mean.mean()) ** 2).mean())
    if (n < 2).any():
        unbiased = undefined("a group of one row has no variance")
    else:
        variance = np.maximum(squares - n * mean**2, 0) / (n - 1)
        groups = len(n)
        unbiased = Number(value - float((groups - 1) / groups**2 * (variance / n).sum()))
    return {"loss_variance": Number(value), "loss_variance_unbiased": unbiased}

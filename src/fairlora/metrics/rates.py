"""Rates of one group from its counts of label x prediction.

``counts[y, h]`` is the number of rows with true label y and prediction h. A rate whose denominator
is 0 is undefined: None with a reason, never 0 and never 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.intervals import Number, proportion, undefined

Counts = NDArray[np.int64]


def accuracy(counts: Counts) -> Number:
    """Share of rows predicted right."""
    return proportion(float(np.trace(counts)), float(counts.sum()), "no rows")


def selection_rate(counts: Counts, c: int) -> Number:
    """P(h = c): the share of rows predicted as class c."""
    return proportion(float(counts[:, c].sum()), float(counts.sum()), "no rows")


def true_positive_rate(counts: Counts, c: int) -> Number:
    """P(h = c | y = c): recall of class c."""
    return proportion(float(counts[c, c]), float(counts[c].sum()), "no rows of this class")


def false_positive_rate(counts: Counts, c: int) -> Number:
    """P(h = c | y != c)."""
    wrong = counts[:, c].sum() - counts[c, c]
    negatives = counts.sum() - counts[c].sum()
    return proportion(float(wrong), float(negatives), "no rows of the other classes")


def precision(counts: Counts, c: int) -> Number:
    """P(y = c | h = c)."""
    return proportion(float(counts[c, c]), float(counts[:, c].sum()), "class never predicted")


def f1(counts: Counts, c: int) -> Number:
    """2 TP / (2 TP + FP + FN): 0 for a class that is present and never predicted.

    Undefined where the class is neither present nor predicted.
    """
    denominator = float(counts[c].sum() + counts[:, c].sum())
    if denominator == 0:
        return undefined("class neither present nor predicted")
    return Number(float(2 * counts[c, c] / denominator))


def macro_f1(counts: Counts) -> Number:
    """Mean of the classes' F1, over the classes where it is defined."""
    return _mean([f1(counts, c) for c in range(len(counts))])


def macro_recall(counts: Counts) -> Number:
    """Mean of the classes' recalls (balanced accuracy), over the classes that occur."""
    recalls = [true_positive_rate(counts, c) for c in range(len(counts))]
    return _mean(recalls)


def group_f1(counts: Counts, positive: int | None) -> Number:
    """The positive class's F1 if there is one, else the macro mean."""
    return macro_f1(counts) if positive is None else f1(counts, positive)


def group_recall(counts: Counts, positive: int | None) -> Number:
    """The positive class's recall if there is one, else the macro mean."""
    return macro_recall(counts) if positive is None else true_positive_rate(counts, positive)


def _mean(numbers: list[Number]) -> Number:
    values = [n.value for n in numbers if n.value is not None]
    return Number(float(np.mean(values))) if values else undefined("no rows")


def rate_table(counts: Counts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rates of all groups at once: values and denominators (3, G, C), for maxima over them.

    The first axis is selection rate, TPR, FPR; `counts` is (G, C, C). Undefined rates are NaN.
    """
    n = counts.sum(axis=(1, 2))[:, None].astype(np.float64)
    present = counts.sum(axis=2).astype(np.float64)
    chosen = counts.sum(axis=1).astype(np.float64)
    right = np.einsum("gcc->gc", counts).astype(np.float64)
    tops = np.stack([chosen, right, chosen - right])
    bottoms = np.stack([np.broadcast_to(n, present.shape), present, n - present])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(bottoms > 0, tops / bottoms, np.nan), bottoms

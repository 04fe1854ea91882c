"""Streams of predictions of a released model: counts by look and group, from a known truth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LOOKS, ROWS, BASELINE = 500, 1_000, 50_000
GROUPS = {"a": 0.50, "b": 0.30, "c": 0.15, "d": 0.05}
POSITIVE, RIGHT, DROP, CHANGE = 0.4, 0.90, 0.05, 100
Counts = NDArray[np.int64]


class Stream(NamedTuple):
    """(1 + LOOKS, G) counts; the first is the baseline."""

    positives: Counts
    negatives: Counts
    true_positives: Counts
    false_positives: Counts


def stream(number: int, changes: bool) -> Stream:
    """One stream. Where it changes, group d loses 5 points of accuracy after CHANGE looks."""
    rng = np.random.default_rng([27, number, changes])
    sizes = np.array(list(GROUPS.values()))
    n = np.rint(np.concatenate([[BASELINE * sizes], np.tile(ROWS * sizes, (LOOKS, 1))]))
    right = np.full(n.shape, RIGHT)
    if changes:
        right[1 + CHANGE :, -1] -= DROP
    positives = rng.binomial(n.astype(int), POSITIVE)
    negatives = n.astype(int) - positives
    return Stream(
        positives,
        negatives,
        rng.binomial(positives, right),
        rng.binomial(negatives, 1 - right),
    )


def rows(counts: Stream, group: int, looks: slice) -> tuple[Counts, Counts, Counts]:
    """Label, prediction and look of every row of a group, as a file of predictions has them."""
    labels, predictions, at = [], [], []
    number = np.arange(1 + LOOKS)[looks]
    tp, fp = counts.true_positives[looks, group], counts.false_positives[looks, group]
    fn, tn = counts.positives[looks, group] - tp, counts.negatives[looks, group] - fp
    for label, prediction, size in ((1, 1, tp), (1, 0, fn), (0, 1, fp), (0, 0, tn)):
        at.append(np.repeat(number, size))
        labels.append(np.full(int(size.sum()), label))
        predictions.append(np.full(int(size.sum()), prediction))
    order = np.argsort(np.concatenate(at), kind="stable")
    label, prediction, look = (np.concatenate(v)[order] for v in (labels, predictions, at))
    return label, prediction, look

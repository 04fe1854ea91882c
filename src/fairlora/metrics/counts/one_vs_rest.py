"""Exact AUC of each class against the rest, from rows that come block by block.

An AUC and its variance depend on where a row's score stands among the scores of the class's own
rows, and on nothing else of it. Those scores are kept, one a row of the table; every row is then
counted at one of them, or between two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.counts.auc import Auc, auc_of_histogram, mean_auc
from fairlora.metrics.counts.sums import Counts, Float
from fairlora.predictions.columns import GroupColumn

# Classes whose scores are copied together: one by one they would be gathered from all over memory.
_CLASSES = 16


class OwnScores:
    """The distinct scores of each class's own rows, in order.

    Parameters
    ----------
    labels : (n,) class indices.
    scores : (n,) the score of each row's own class.
    classes : how many classes there are.
    """

    def __init__(self, labels: NDArray[Any], scores: NDArray[np.float32], classes: int) -> None:
        order = np.lexsort((scores, labels))
        label, score = labels[order], scores[order]
        new = np.ones(len(label), dtype=bool)
        new[1:] = (label[1:] != label[:-1]) | (score[1:] != score[:-1])
        self._scores = score[new]
        self._ends = np.cumsum(np.bincount(label[new], minlength=classes))

    def of(self, c: int) -> NDArray[np.float32]:
        """Those of one class."""
        return self._scores[self._ends[c - 1] if c else 0 : self._ends[c]]

    def levels(self, c: int) -> int:
        """How many levels one class has: at each of its scores, between them and beyond."""
        return 2 * len(self.of(c)) + 1

    def level_of(self, c: int, scores: NDArray[np.float32]) -> NDArray[np.int64]:
        """(n,) the level of each score of class c, in order of the scores.

        >>> own = OwnScores(np.array([0, 0]), np.array([0.25, 0.5], dtype=np.float32), 1)
        >>> own.level_of(0, np.array([0, 0.25, 0.3, 0.5, 1], dtype=np.float32)).tolist()
        [0, 1, 2, 3, 4]
        """
        own = self.of(c)
        if not len(own):
            return np.zeros(len(scores), dtype=np.int64)
        place = np.searchsorted(own, scores)
        return np.asarray(2 * place + (own[np.minimum(place, len(own) - 1)] == scores))


def counts_by_level(
    column: GroupColumn,
    hits: NDArray[np.bool_],
    level: NDArray[np.int64],
    levels: int,
    weights: Float | None = None,
) -> Counts:
    """(G, 2, levels) rows, or their weights, by group, of the class or not, and level.

    Parameters
    ----------
    column : the attribute's.
    hits : (n,) whether a row is of the class.
    level : (n,) from 0 to `levels`.
    levels : how many there are.
    weights : (n,) or None, which counts rows.
    """
    patterns = column.patterns()
    size = len(column.names) if patterns is None else len(patterns)
    place = column.codes.astype(np.int64) * (2 * levels) + (hits * levels + level)
    counts = np.bincount(place, weights=weights, minlength=size * 2 * levels)
    counts = counts.reshape(size, 2, levels)
    if patterns is None:
        return counts
    return np.asarray(np.tensordot(patterns.T.astype(counts.dtype), counts, axes=1))


def auc_against_rest(
    probs: NDArray[np.float32],
    labels: NDArray[Any],
    columns: Mapping[str, GroupColumn],
    weights: Float | None = None,
) -> dict[str, Auc]:
    """Attribute -> the mean of the classes' AUCs by group, of rows in memory.

    Parameters
    ----------
    probs : (n, c) probabilities.
    labels : (n,) class indices.
    columns : attribute -> its column.
    weights : (n,) above 0; None counts all alike.
    """
    n, classes = probs.shape
    own = OwnScores(labels, probs[np.arange(n), labels], classes)
    parts: dict[str, list[Auc]] = {name: [] for name in columns}
    for c, scores in by_class(probs, range(classes)):
        level, levels, hits = own.level_of(c, scores), own.levels(c), labels == c
        for name, column in columns.items():
            counts = counts_by_level(column, hits, level, levels, weights)
            squares = None
            if weights is not None:
                squares = counts_by_level(column, hits, level, levels, weights**2)
            parts[name].append(auc_of_histogram(counts, squares))
    return {name: mean_auc(each) for name, each in parts.items()}


def by_class(
    probs: NDArray[np.float32], classes: range
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Class and its scores (n,), one by one.

    Parameters
    ----------
    probs : (n, c) probabilities.
    classes : whose scores.
    """
    for start in range(classes.start, classes.stop, _CLASSES):
        stop = min(start + _CLASSES, classes.stop)
        yield from zip(
            range(start, stop), np.ascontiguousarray(probs[:, start:stop].T), strict=True
        )

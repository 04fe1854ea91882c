"""Exact AUC of each class against the rest, where rows stream: one pass more, or a few.

While rows are counted, each row's label and the probability of its own class are kept. Then every
row is counted between the scores of each class's own rows, a block of classes a pass if all at once
would be too many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.counts.auc import Auc, auc_of_histogram, mean_auc
from fairlora.metrics.counts.one_vs_rest import OwnScores, by_class, counts_by_level
from fairlora.predictions import GroupColumn
from fairlora.predictions.streaming import Chunk, PredictionStream

# Bytes of the tables of one pass, and the most passes.
_MOST_BYTES = 256 << 20
_MOST_PASSES = 16


def passes(rows: int, classes: int, groups: int, weighted: bool) -> int:
    """How many passes it takes at most.

    Parameters
    ----------
    rows, classes : of the table.
    groups : of all attributes together.
    weighted : whether rows have weights.
    """
    return -(-(2 * rows + classes) * groups * _bytes(weighted) // _MOST_BYTES)


def exact_is_possible(rows: int, classes: int, groups: int, weighted: bool) -> bool:
    """Whether it is worth the passes.

    Parameters
    ----------
    rows, classes, groups, weighted : as of `passes`.
    """
    return passes(rows, classes, groups, weighted) <= _MOST_PASSES


def _bytes(weighted: bool) -> int:
    """Of one level of one group: the class's rows and the others."""
    return 2 * (16 if weighted else 4)


class ExactAuc:
    """What is kept of each row, and the AUCs that it gives."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._labels: list[NDArray[np.int32]] = []
        self._own: list[NDArray[np.float32]] = []

    def see(self, labels: NDArray[Any], probs: NDArray[np.float32]) -> None:
        """Take note of some rows: labels (n,) and probabilities (n, c)."""
        self._labels.append(labels.astype(np.int32))
        self._own.append(probs[np.arange(len(labels)), labels])

    def aucs(
        self,
        stream: PredictionStream,
        groups: Mapping[str, int],
        parts: Callable[[Chunk], Mapping[str, GroupColumn]],
    ) -> dict[str, Auc]:
        """Attribute -> the mean of the classes' AUCs by group.

        Parameters
        ----------
        stream : whose rows were all seen.
        groups : attribute -> how many groups it has.
        parts : the columns of a chunk, over those groups.
        """
        own = OwnScores(np.concatenate(self._labels), np.concatenate(self._own), self._classes)
        self._labels, self._own = [], []
        weighted = stream.weighted_by is not None
        each = sum(groups.values()) * _bytes(weighted)
        blocks = list(self._blocks(own, each))
        found: dict[str, list[Auc]] = {name: [] for name in groups}
        for block, chunks in zip(blocks, stream.again(len(blocks)), strict=True):
            counts = {
                (name, c): _Counts(size, own.levels(c), weighted)
                for name, size in groups.items()
                for c in block
            }
            for chunk in chunks:
                assert chunk.probs is not None
                columns = parts(chunk)
                for c, scores in by_class(chunk.probs, block):
                    level, hits = own.level_of(c, scores), chunk.labels == c
                    for name, column in columns.items():
                        counts[name, c].add(column, hits, level, chunk.weights)
            for (name, _), one in counts.items():
                found[name].append(auc_of_histogram(one.rows, one.squares))
        return {name: mean_auc(each) for name, each in found.items()}

    def _blocks(self, own: OwnScores, each: int) -> Iterator[range]:
        """Classes that one pass has room for; a level of a class is of `each` bytes."""
        start, size = 0, 0
        for c in range(self._classes):
            more = own.levels(c) * each
            if c > start and size + more > _MOST_BYTES:
                yield range(start, c)
                start, size = c, 0
            size += more
        yield range(start, self._classes)


class _Counts:
    """One attribute's rows, or their weights and the squares of those, by level of one class."""

    def __init__(self, groups: int, levels: int, weighted: bool) -> None:
        shape, kind = (groups, 2, levels), np.float64 if weighted else np.uint32
        self.rows: NDArray[Any] = np.zeros(shape, kind)
        self.squares: NDArray[Any] | None = np.zeros(shape, kind) if weighted else None

    def add(
        self,
        column: GroupColumn,
        hits: NDArray[np.bool_],
        level: NDArray[np.int64],
        weights: NDArray[np.float64] | None,
    ) -> None:
        levels = self.rows.shape[2]
        counts = counts_by_level(column, hits, level, levels, weights)
        self.rows += counts.astype(self.rows.dtype, copy=False)
        if self.squares is not None and weights is not None:
            self.squares += counts_by_level(column, hits, level, levels, weights**2)

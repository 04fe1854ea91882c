"""One pass over the rows makes small tables that add up. Everything else reads the tables.

`Tally` holds, for one attribute, counts of group x label x prediction, and each group's losses and
confidence bins. Two tallies over the same groups and classes add with ``+``, so chunks, files and
processes need no special case. The overall tally is the one of a single group that holds all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]


class Membership(NamedTuple):
    """Which rows are in which group. A row is in several groups where groups overlap.

    `rows` and `codes` (m,) are pairs of a row's number and a group's number.
    """

    names: tuple[str, ...]
    rows: Int
    codes: Int


def membership(values: NDArray[Any], names: Sequence[str] | None = None) -> Membership:
    """Membership from a column of group names, or of lists of group names.

    `names` fixes the groups and their order, so that a chunk without a group still has its place.
    """
    overlapping = values.dtype == object and any(isinstance(v, list | tuple) for v in values)
    if not overlapping:
        text = values.astype(str)
        found, codes = np.unique(text, return_inverse=True)
        rows = np.arange(len(text), dtype=np.int64)
    else:
        lengths = np.array([len(set(v)) for v in values])
        rows = np.repeat(np.arange(len(values), dtype=np.int64), lengths)
        flat = np.array([str(name) for v in values for name in dict.fromkeys(v)])
        found, codes = np.unique(flat, return_inverse=True)
    if names is None:
        return Membership(tuple(str(f) for f in found), rows, codes.astype(np.int64))
    place = {name: k for k, name in enumerate(names)}
    table = np.array([place[str(f)] for f in found], dtype=np.int64)
    return Membership(tuple(names), rows, table[codes])


class Bins(NamedTuple):
    """Rows by group and confidence bin: counts, sums of confidence, hits. Each (G, B)."""

    rows: Float
    confidence: Float
    hits: Float


@dataclass(frozen=True)
class Tally:
    """What the rows of each group of one attribute add up to.

    Attributes
    ----------
    names : (G,) group names.
    counts : (G, C, C) rows by group, true label and prediction.
    total : (C, C) all rows once, whatever their groups; "not g" is ``total - counts[g]``.
    losses : (G, 3) per group: number of rows with a loss, sum, sum of squares; or None.
    bins : confidence bins, or None without probabilities.
    squares : (G, 2) per group: sums of the Brier score and of the negative log-likelihood; or None.
    """

    names: tuple[str, ...]
    counts: Int
    total: Int
    losses: Float | None = None
    bins: Bins | None = None
    squares: Float | None = None

    def __add__(self, other: Tally) -> Tally:
        if self.names != other.names or self.counts.shape != other.counts.shape:
            raise ValueError("tallies of other groups or classes do not add up")

        def both(a: Float | None, b: Float | None) -> Float | None:
            return None if a is None or b is None else a + b

        bins = None
        if self.bins is not None and other.bins is not None:
            bins = Bins(*(a + b for a, b in zip(self.bins, other.bins, strict=True)))
        return Tally(
            self.names,
            self.counts + other.counts,
            self.total + other.total,
            both(self.losses, other.losses),
            bins,
            both(self.squares, other.squares),
        )

    @property
    def sizes(self) -> Int:
        """(G,) rows a group."""
        return np.asarray(self.counts.sum(axis=(1, 2)))


def bin_numbers(confidence: NDArray[Any], bins: int) -> Int:
    """The bin of each confidence: equal widths, closed on the right, the first includes 0.

    Compared in float32, as confidences are stored: 0.6 stored so is above 0.6 in float64, and would
    fall into the bin beyond its edge.

    >>> bin_numbers(np.array([0.0, 0.1, 0.11, 0.5, 1.0]), 10).tolist()
    [0, 0, 1, 4, 9]
    >>> bin_numbers(np.array([0.6, 0.7], dtype=np.float32), 10).tolist()
    [5, 6]
    """
    edges = (np.arange(1, bins, dtype=np.float64) / bins).astype(np.float32)
    place = np.searchsorted(edges, np.asarray(confidence, dtype=np.float32), side="left")
    return place.astype(np.int64)


def tally(
    labels: Int,
    predictions: Int,
    num_classes: int,
    groups: Membership,
    *,
    probs: NDArray[Any] | None = None,
    loss: NDArray[Any] | None = None,
    bins: int = 15,
    confidence_of: int | None = None,
) -> Tally:
    """Count one chunk of rows.

    Parameters
    ----------
    labels, predictions : (n,) class indices.
    probs : (n, c) probabilities, for the confidence bins.
    loss : (n,) losses.
    confidence_of : None takes the confidence of the predicted class and whether it was right; a
        class index takes that class's probability and whether the label is that class.
    """
    g, c = len(groups.names), num_classes
    cells = (groups.codes * c + labels[groups.rows]) * c + predictions[groups.rows]
    counts = np.bincount(cells, minlength=g * c * c).reshape(g, c, c)
    total = np.bincount(labels * c + predictions, minlength=c * c).reshape(c, c)

    def by_group(values: NDArray[Any]) -> Float:
        return _sums(groups.codes, values[groups.rows], g)

    losses = None
    if loss is not None:
        x = np.asarray(loss, dtype=np.float64)
        losses = np.stack([by_group(np.ones_like(x)), by_group(x), by_group(x * x)], axis=1)
    tables = squares = None
    if probs is not None:
        rows = np.arange(len(labels))
        p = np.asarray(probs, dtype=np.float64)
        if confidence_of is None:
            confidence, hits = p[rows, predictions], predictions == labels
        else:
            confidence, hits = p[:, confidence_of], labels == confidence_of
        place = groups.codes * bins + bin_numbers(confidence, bins)[groups.rows]
        weights = (np.ones(len(labels)), confidence, hits.astype(np.float64))
        tables = Bins(*(_sums(place, w[groups.rows], g * bins).reshape(g, bins) for w in weights))
        own = p[rows, labels]
        brier = (p * p).sum(axis=1) - 2 * own + 1
        # A class given probability 0 that was true: as surprised as float32 can be.
        surprise = -np.log(np.maximum(own, np.finfo(np.float32).tiny))
        squares = np.stack([by_group(brier), by_group(surprise)], axis=1)
    return Tally(groups.names, counts, total, losses, tables, squares)


def _sums(places: Int, weights: NDArray[Any], size: int) -> Float:
    """The weights added up by place, (size,)."""
    return np.asarray(np.bincount(places, weights=weights, minlength=size), dtype=np.float64)

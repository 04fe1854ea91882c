"""Count rows into small tables that add up, in one pass; everything else reads the tables.

`Tally` holds, for one attribute, counts of group x label x prediction, the groups' confidence bins,
and the first three powers of their losses and scores. Two tallies over the same groups and classes
add with ``+``, so chunks, files and processes need no special case. The overall tally is the one of
a single group that holds all rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.predictions.columns import GroupColumn

Float = NDArray[np.float64]
Int = NDArray[np.int64]


class Membership(NamedTuple):
    """Which rows are in which group, as pairs: a row is in several groups where groups overlap.

    `rows` and `codes` (m,) are pairs of a row's number and a group's number.
    """

    names: tuple[str, ...]
    rows: Int
    codes: Int


def membership(column: GroupColumn) -> Membership:
    """The pairs of a column of groups."""
    patterns = column.patterns()
    if patterns is None:
        rows = np.arange(len(column), dtype=np.int64)
        return Membership(column.names, rows, column.codes.astype(np.int64))
    rows, codes = np.nonzero(patterns[column.codes])
    return Membership(column.names, rows.astype(np.int64), codes.astype(np.int64))


class Bins(NamedTuple):
    """Rows by group and confidence bin, each (G, B).

    Counts, sums of confidence, hits, and sums of (confidence - hit)^2.
    """

    rows: Float
    confidence: Float
    hits: Float
    squares: Float


class Powers(NamedTuple):
    """The number of rows and the sums of a value's first three powers, each (G,) or (P,)."""

    n: Float
    first: Float
    second: Float
    third: Float


class Means(NamedTuple):
    """Means of groups with what their intervals need, each (G,).

    The mean, its rows, the sums of the second and third powers of the residuals (of the rows, or of
    the clusters' sums of them), and how many rows or clusters those are.
    """

    mean: Float
    n: Float
    squares: Float
    cubes: Float
    units: Float


@dataclass(frozen=True)
class Tally:
    """What the rows of each group of one attribute add up to.

    Attributes
    ----------
    names : (G,) group names.
    cells : (P, C, C) rows by pattern, true label and prediction. A pattern is a set of groups that
        some row is in; where groups do not overlap, pattern p is group p.
    patterns : (P, G) which groups a pattern holds, or None where groups do not overlap.
    bins : confidence bins, or None without probabilities.
    raw : by pattern, the powers of "loss", "score", "brier", "nll" and "confidence_gap"
        (confidence - hit), where known; `powers` has them by group.
    """

    names: tuple[str, ...]
    cells: Int
    patterns: NDArray[np.bool_] | None = None
    bins: Bins | None = None
    raw: Mapping[str, Powers] = field(default_factory=dict)

    def __add__(self, other: Tally) -> Tally:
        one, two = self, other
        alike = (one.patterns is None) == (two.patterns is None)
        if one.names != two.names or one.cells.shape[1:] != two.cells.shape[1:] or not alike:
            raise ValueError("tallies of other groups or classes do not add up")
        merge = one.patterns is not two.patterns and not np.array_equal(one.patterns, two.patterns)  # type: ignore[arg-type]
        if merge and one.patterns is not None and two.patterns is not None:
            patterns, place = np.unique(
                np.concatenate([one.patterns, two.patterns]), axis=0, return_inverse=True
            )
            place = place.reshape(-1)
            one = one._over(patterns, place[: len(one.patterns)])
            two = two._over(patterns, place[len(self.cells) :])
        bins = None
        if self.bins is not None and other.bins is not None:
            bins = Bins(*(a + b for a, b in zip(self.bins, other.bins, strict=True)))
        raw = {
            name: Powers(*(a + b for a, b in zip(mine, two.raw[name], strict=True)))
            for name, mine in one.raw.items()
            if name in two.raw
        }
        return Tally(one.names, one.cells + two.cells, one.patterns, bins, raw)

    def _over(self, patterns: NDArray[np.bool_], place: Int) -> Tally:
        """The same rows over more patterns; this one's pattern p is number ``place[p]`` of them."""

        def spread(values: NDArray[Any]) -> NDArray[Any]:
            out = np.zeros((len(patterns), *values.shape[1:]), dtype=values.dtype)
            np.add.at(out, place, values)
            return out

        raw = {name: Powers(*(spread(v) for v in powers)) for name, powers in self.raw.items()}
        return Tally(self.names, spread(self.cells), patterns, self.bins, raw)

    @cached_property
    def powers(self) -> dict[str, Powers]:
        """The powers by group."""
        return {
            name: Powers(*(self.by_group(values) for values in raw))
            for name, raw in self.raw.items()
        }

    @cached_property
    def counts(self) -> Int:
        """(G, C, C) rows by group, true label and prediction."""
        return self.by_group(self.cells)

    @cached_property
    def total(self) -> Int:
        """(C, C) all rows once, whatever their groups; "not g" is ``total - counts[g]``."""
        return np.asarray(self.cells.sum(axis=0))

    @property
    def sizes(self) -> Int:
        """(G,) rows a group."""
        return np.asarray(self.counts.sum(axis=(1, 2)))

    def present(self) -> tuple[Tally, NDArray[np.bool_]]:
        """The tally over the groups that have rows, and which of the groups (G,) those are."""
        here = self.sizes > 0
        rows = here if self.patterns is None else np.ones(len(self.cells), dtype=bool)
        return self._part(here, rows), here

    def without(self, name: str) -> Tally:
        """The rows outside the group of that name, over the other groups; bins as they are."""
        groups = np.array([own != name for own in self.names], dtype=bool)
        if self.patterns is None:
            return self._part(groups, groups)
        return self._part(groups, np.asarray(~self.patterns[:, ~groups].any(axis=1)))

    def alone(self, name: str) -> Tally:
        """The rows of the group of that name, and no other group."""
        groups = np.array([own == name for own in self.names], dtype=bool)
        if self.patterns is None:
            return self._part(groups, groups)
        return self._part(groups, np.asarray(self.patterns[:, groups].any(axis=1)))

    def _part(self, groups: NDArray[np.bool_], rows: NDArray[np.bool_]) -> Tally:
        """The tally over some groups (G,) and patterns (P,)."""
        names = tuple(name for name, here in zip(self.names, groups, strict=True) if here)
        bins = None if self.bins is None else Bins(*(v[groups] for v in self.bins))
        patterns = None if self.patterns is None else self.patterns[rows][:, groups]
        raw = {key: Powers(*(v[rows] for v in powers)) for key, powers in self.raw.items()}
        return Tally(names, self.cells[rows], patterns, bins, raw)

    def collapsed(self, name: str) -> Tally:
        """The tally of one group of that name that holds all rows; where groups do not overlap."""
        if self.patterns is not None:
            raise ValueError("overlapping groups do not add up to all rows")

        def whole(values: NDArray[Any]) -> NDArray[Any]:
            return np.asarray(values.sum(axis=0, keepdims=True))

        bins = None if self.bins is None else Bins(*(whole(v) for v in self.bins))
        raw = {key: Powers(*(whole(v) for v in powers)) for key, powers in self.raw.items()}
        return Tally((name,), whole(self.cells), None, bins, raw)

    def by_group(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sums by pattern (P, ...) as sums by group (G, ...)."""
        if self.patterns is None:
            return values
        return np.asarray(np.tensordot(self.patterns.T.astype(values.dtype), values, axes=1))

    def by_group_last(self, values: NDArray[Any]) -> NDArray[Any]:
        """As `by_group`, of draws (B, P) -> (B, G)."""
        return values if self.patterns is None else values @ self.patterns.astype(values.dtype)


def bin_numbers(confidence: NDArray[Any], bins: int) -> Int:
    """The bin of each confidence: equal widths, closed on the right, the first includes 0.

    Compared in float32, as confidences are stored: 0.6 stored so is above 0.6 in float64, and would
    fall into the bin beyond its edge.

    >>> bin_numbers(np.array([0.0, 0.1, 0.11, 0.5, 1.0]), 10).tolist()
    [0, 0, 1, 4, 9]
    >>> bin_numbers(np.array([0.6, 0.7], dtype=np.float32), 10).tolist()
    [5, 6]
    """
    x = np.asarray(confidence, dtype=np.float32)
    edges = (np.arange(1, bins, dtype=np.float64) / bins).astype(np.float32)
    # A guess by arithmetic, corrected against the edges: several times faster than a search.
    place = np.clip((x * np.float32(bins)).astype(np.int64), 0, bins - 1)
    padded = np.concatenate([[-np.inf], edges, [np.inf]]).astype(np.float32)
    place -= x <= padded[place]
    place += x > padded[place + 1]
    return np.asarray(place)


def tally(
    labels: NDArray[Any],
    predictions: NDArray[Any],
    num_classes: int,
    groups: GroupColumn,
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
    groups : the attribute's column, see `fairlora.predictions.group_column`.
    probs : (n, c) probabilities, for the confidence bins.
    loss : (n,) losses.
    confidence_of : None takes the confidence of the predicted class and whether it was right; a
        class index takes that class's probability and whether the label is that class.
    """
    scores = None if probs is None else row_scores(labels, predictions, probs, confidence_of)
    return tally_scores(labels, predictions, num_classes, groups, scores, loss=loss, bins=bins)


class RowScores(NamedTuple):
    """What the probabilities of each row come to, each (n,)."""

    confidence: NDArray[np.float32]
    hits: NDArray[np.bool_]
    brier: Float
    nll: Float


def row_scores(
    labels: NDArray[Any],
    predictions: NDArray[Any],
    probs: NDArray[Any],
    confidence_of: int | None = None,
) -> RowScores:
    """Confidence, hit, Brier score and negative log-likelihood of each row; see `tally`.

    The Brier score is the sum over classes of (probability - hit)^2, from 0 to 2 (Brier 1950); of
    two classes it is twice scikit-learn's default.

    Computed once, however many attributes are tallied.

    Parameters
    ----------
    labels, predictions : (n,) class indices.
    probs : (n, c) probabilities.
    confidence_of : index of the class whose probability is the confidence; None is the predicted
        class's.
    """
    n, c = probs.shape
    flat = np.ascontiguousarray(probs).reshape(-1)
    starts = np.arange(n, dtype=np.int64) * c
    if confidence_of is None:
        confidence, hits = flat[starts + predictions], predictions == labels
    else:
        confidence, hits = probs[:, confidence_of], labels == confidence_of
    own = flat[starts + labels].astype(np.float64)
    squares = np.einsum("nc,nc->n", probs, probs, dtype=np.float64)
    # A class given probability 0 that was true: as surprised as float32 can be.
    surprise = -np.log(np.maximum(own, np.finfo(np.float32).tiny))
    return RowScores(np.asarray(confidence), hits, squares - 2 * own + 1, surprise)


def tally_scores(
    labels: NDArray[Any],
    predictions: NDArray[Any],
    num_classes: int,
    groups: GroupColumn,
    scores: RowScores | None,
    *,
    loss: NDArray[Any] | None = None,
    score: NDArray[Any] | None = None,
    bins: int = 15,
) -> Tally:
    """`tally`, from scores that `row_scores` made.

    Parameters
    ----------
    labels, predictions : (n,) class indices.
    num_classes : how many classes there are.
    groups : the attribute's column.
    scores : of the rows; None without probabilities, and then there are no bins.
    loss, score : (n,) losses and scores, or None.
    bins : how many confidence bins.
    """
    c = num_classes
    patterns = groups.patterns()
    p = len(groups.names) if patterns is None else len(patterns)
    codes = groups.codes.astype(np.intp)
    place = (codes * c + labels) * c + predictions
    cells = np.bincount(place, minlength=p * c * c).reshape(p, c, c)
    rows = cells.sum(axis=(1, 2)).astype(np.float64)
    out = Tally(groups.names, cells, patterns)

    def powers(values: NDArray[Any]) -> Powers:
        x = np.asarray(values, dtype=np.float64)
        square = x * x
        return Powers(rows, *(_sums(codes, v, p) for v in (x, square, square * x)))

    if scores is None:
        given = {"loss": loss, "score": score}
        return replace(out, raw={k: powers(v) for k, v in given.items() if v is not None})
    gap = scores.confidence.astype(np.float64) - scores.hits
    table = _bins(codes, p, scores, gap, bins)
    raw = {name: powers(v) for name, v in (("brier", scores.brier), ("confidence_gap", gap))}
    raw["nll"] = powers(scores.nll)
    if loss is not None:
        raw["loss"] = raw["nll"] if loss is scores.nll else powers(loss)
    return replace(out, bins=Bins(*(out.by_group(v) for v in table)), raw=raw)


def _bins(codes: Int, size: int, scores: RowScores, gap: Float, bins: int) -> Bins:
    """Bins by pattern, (P, B) each."""
    place = codes * bins + bin_numbers(scores.confidence, bins)
    rows = np.bincount(place, minlength=size * bins).astype(np.float64)
    weights = (scores.confidence, scores.hits, gap * gap)
    sums = [rows, *(_sums(place, w, size * bins) for w in weights)]
    return Bins(*(v.reshape(size, bins) for v in sums))


def _sums(places: NDArray[Any], weights: NDArray[Any], size: int) -> Float:
    """The weights added up by place, (size,)."""
    return np.asarray(np.bincount(places, weights=weights, minlength=size), dtype=np.float64)

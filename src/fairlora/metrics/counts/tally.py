"""Count rows into small tables that add up, in one pass; everything else reads the tables.

`Tally` holds, for one attribute, counts of group x label x prediction, the groups' confidence bins,
and the first three powers of their losses and scores. Two tallies over the same groups and classes
add with ``+``, so chunks, files and processes need no special case. The overall tally is the one of
a single group that holds all rows.

Rows may have weights. What is counted is then their sum, and beside it stand what its variance
needs, the sums of the weights' squares, and the rows. Without weights all three are one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.counts.sums import Bins, Counts, Float, Int, Means, Powers, kish
from fairlora.predictions.columns import GroupColumn


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


@dataclass(frozen=True)
class Tally:
    """What the rows of each group of one attribute add up to.

    Attributes
    ----------
    names : (G,) group names.
    cells : (P, C, C) rows, or their weights, by pattern, true label and prediction. A pattern is a
        set of groups that some row is in; where groups do not overlap, pattern p is group p.
    patterns : (P, G) which groups a pattern holds, or None where groups do not overlap.
    bins : confidence bins, or None without probabilities.
    raw : by pattern, the powers of "loss", "score", "brier", "nll" and "confidence_gap"
        (confidence - hit), where known; `powers` has them by group.
    weighed : the sums of the weights' squares (P, C, C), and the rows (P, C, C); None where rows
        have no weights.
    """

    names: tuple[str, ...]
    cells: Counts
    patterns: NDArray[np.bool_] | None = None
    bins: Bins | None = None
    raw: Mapping[str, Powers] = field(default_factory=dict)
    weighed: tuple[Float, Int] | None = None

    def __add__(self, other: Tally) -> Tally:
        one, two = self, other
        alike = (one.patterns is None) == (two.patterns is None)
        alike &= (one.weighed is None) == (two.weighed is None)
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
        weighed = None
        if one.weighed is not None and two.weighed is not None:
            weighed = one.weighed[0] + two.weighed[0], one.weighed[1] + two.weighed[1]
        return Tally(one.names, one.cells + two.cells, one.patterns, bins, raw, weighed)

    def in_order(self) -> Tally:
        """The same with each pattern once, in the order of its groups' names.

        What is drawn by pattern then hangs on the counts alone, and not on how the rows came.
        """
        if self.patterns is None:
            return self
        sets = [tuple(self.names[g] for g in np.flatnonzero(one)) for one in self.patterns]
        at = {one: k for k, one in enumerate(sorted(set(sets)))}
        if sets == list(at):
            return self
        place = np.array([at[one] for one in sets])
        return self._over(self.patterns[np.unique(place, return_index=True)[1]], place)

    def _over(self, patterns: NDArray[np.bool_], place: Int) -> Tally:
        """The same rows over more patterns; this one's pattern p is number ``place[p]`` of them."""

        def spread(values: NDArray[Any]) -> NDArray[Any]:
            out = np.zeros((len(patterns), *values.shape[1:]), dtype=values.dtype)
            np.add.at(out, place, values)
            return out

        raw = {name: Powers(*(spread(v) for v in powers)) for name, powers in self.raw.items()}
        return Tally(self.names, spread(self.cells), patterns, self.bins, raw, self._each(spread))

    def _each(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> tuple[Any, Any] | None:
        return None if self.weighed is None else (change(self.weighed[0]), change(self.weighed[1]))

    @cached_property
    def powers(self) -> dict[str, Powers]:
        """The powers by group."""
        return {
            name: Powers(*(self.by_group(values) for values in raw))
            for name, raw in self.raw.items()
        }

    @cached_property
    def means(self) -> dict[str, Means]:
        """The means by group, of rows that are draws of their own."""
        return {name: powers.means() for name, powers in self.powers.items()}

    @cached_property
    def counts(self) -> Counts:
        """(G, C, C) rows, or their weights, by group, true label and prediction."""
        return self.by_group(self.cells)

    @cached_property
    def total(self) -> Counts:
        """(C, C) all rows once, whatever their groups, or their weights."""
        return np.asarray(self.cells.sum(axis=0))

    @property
    def sizes(self) -> Counts:
        """(G,) rows a group, or their weights."""
        return np.asarray(self.counts.sum(axis=(1, 2)))

    @cached_property
    def rest(self) -> NDArray[Any]:
        """(G,) as `effective`, of everyone outside each group."""
        sizes, squares = (
            self.outside(cells.sum(axis=(1, 2))) for cells in (self.cells, self.squares)
        )
        return np.asarray(sizes if self.weighed is None else kish(sizes, squares))

    @property
    def squares(self) -> Counts:
        """(P, C, C) sums of the weights' squares; rows where they have none."""
        return self.cells if self.weighed is None else self.weighed[0]

    @property
    def rows(self) -> Counts:
        """(P, C, C) rows, whatever they weigh."""
        return self.cells if self.weighed is None else self.weighed[1]

    @cached_property
    def row_counts(self) -> Int:
        """(G, C, C) rows by group, true label and prediction, whatever they weigh."""
        return self.by_group(self.rows)

    @cached_property
    def n(self) -> Int:
        """(G,) rows a group, whatever they weigh."""
        return np.asarray(self.row_counts.sum(axis=(1, 2)))

    @cached_property
    def effective(self) -> NDArray[Any]:
        """(G,) rows of one weight that would say as much as the group's (Kish); else its rows."""
        if self.weighed is None:
            return np.asarray(self.sizes)
        return kish(self.sizes, self.by_group(self.squares).sum(axis=(1, 2)))

    def present(self) -> tuple[Tally, NDArray[np.bool_]]:
        """The tally over the groups that have rows, and which of the groups (G,) those are."""
        here = self.n > 0
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
        weighed = self._each(lambda values: values[rows])
        return Tally(names, self.cells[rows], patterns, bins, raw, weighed)

    def collapsed(self, name: str) -> Tally:
        """The tally of one group of that name that holds all rows; where groups do not overlap."""
        if self.patterns is not None:
            raise ValueError("overlapping groups do not add up to all rows")

        def whole(values: NDArray[Any]) -> NDArray[Any]:
            return np.asarray(values.sum(axis=0, keepdims=True))

        bins = None if self.bins is None else Bins(*(whole(v) for v in self.bins))
        raw = {key: Powers(*(whole(v) for v in powers)) for key, powers in self.raw.items()}
        return Tally((name,), whole(self.cells), None, bins, raw, self._each(whole))

    def by_group(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sums by pattern (P, ...) as sums by group (G, ...)."""
        if self.patterns is None:
            return values
        return np.asarray(np.tensordot(self.patterns.T.astype(values.dtype), values, axes=1))

    def outside(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sums by pattern (P, ...) over all rows that are not in each group (G, ...).

        Not the difference to the whole: of weights that would leave a rest of rounding.
        """
        if self.patterns is not None:
            return np.asarray(np.tensordot((~self.patterns.T).astype(values.dtype), values, axes=1))
        before, after = np.zeros_like(values), np.zeros_like(values)
        before[1:] = np.cumsum(values[:-1], axis=0)
        after[:-1] = np.cumsum(values[:0:-1], axis=0)[::-1]
        return np.asarray(before + after)

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
    weights: Float | None = None,
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
    weights : (n,) above 0; None counts every row once.
    """
    scores = None if probs is None else row_scores(labels, predictions, probs, confidence_of)
    return tally_scores(
        labels, predictions, num_classes, groups, scores, loss=loss, bins=bins, weights=weights
    )


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
    weights: Float | None = None,
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
    weights : (n,) above 0; None counts every row once.
    """
    c = num_classes
    patterns = groups.patterns()
    p = len(groups.names) if patterns is None else len(patterns)
    codes = groups.codes.astype(np.intp)
    place = (codes * c + labels) * c + predictions
    rows = np.bincount(place, minlength=p * c * c).reshape(p, c, c)
    if weights is None:
        out = Tally(groups.names, rows, patterns)
    else:
        cells, squares = (_sums(place, v, rows.size) for v in (weights, weights**2))
        weighed = squares.reshape(rows.shape), rows
        out = Tally(groups.names, cells.reshape(rows.shape), patterns, weighed=weighed)
    n = out.cells.sum(axis=(1, 2)).astype(np.float64)

    def powers(values: NDArray[Any]) -> Powers:
        x = np.asarray(values, dtype=np.float64)
        if weights is None:
            square = x * x
            return Powers.of_rows(n, *(_sums(codes, v, p) for v in (x, square, square * x)))
        w, wx = weights, weights * x
        terms = (wx, wx**2, wx**3, w * wx, w**2, w * wx**2, w**2 * wx, w**3)
        return Powers(n, *(_sums(codes, v, p) for v in terms))

    if scores is None:
        given = {"loss": loss, "score": score}
        return replace(out, raw={k: powers(v) for k, v in given.items() if v is not None})
    gap = scores.confidence.astype(np.float64) - scores.hits
    table = _bins(codes, p, scores, gap, bins, weights)
    raw = {name: powers(v) for name, v in (("brier", scores.brier), ("confidence_gap", gap))}
    raw["nll"] = powers(scores.nll)
    if loss is not None:
        raw["loss"] = raw["nll"] if loss is scores.nll else powers(loss)
    return replace(out, bins=Bins(*(out.by_group(v) for v in table)), raw=raw)


def _bins(
    codes: Int, size: int, scores: RowScores, gap: Float, bins: int, weights: Float | None
) -> Bins:
    """Bins by pattern, (P, B) each."""
    place = codes * bins + bin_numbers(scores.confidence, bins)
    n = np.bincount(place, minlength=size * bins).astype(np.float64)

    def sums(*values: NDArray[Any]) -> list[Float]:
        return [_sums(place, v, size * bins) for v in values]

    c, h = scores.confidence, scores.hits
    if weights is None:
        confidence, hits, squares = sums(c, h, gap * gap)
        table = [n, confidence, hits, squares, n, n, confidence - hits, hits]
    else:
        w, w2 = weights, weights**2
        table = sums(w, w * c, w * h, w2 * gap * gap)
        table += [n, *sums(w2, w2 * gap, w2 * h)]
    return Bins(*(v.reshape(size, bins) for v in table))


def _sums(places: NDArray[Any], weights: NDArray[Any], size: int) -> Float:
    """The weights added up by place, (size,)."""
    return np.asarray(np.bincount(places, weights=weights, minlength=size), dtype=np.float64)

"""Resample rows by cluster (a person, a family of pictures), for intervals that respect them.

Rows of one cluster tell less than as many rows of their own. Rates keep Wilson's interval at the
size that the variance between clusters amounts to (Korn and Graubard 1998, Survey Methodology
24:193; Dean and Pagano 2015), with Student's quantile for few clusters; means take the clusters'
sums of residuals for rows; correlations between groups that share clusters are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.counts.sums import Int, Means, kish
from fairlora.metrics.counts.tally import Membership, Tally
from fairlora.metrics.inference.design import (
    MANY,
    Extras,
    Kind,
    Known,
    expected_range,
    kind_cells,
    top_and_bottom,
)
from fairlora.metrics.inference.intervals import Float, t_of, z_of
from fairlora.metrics.inference.linearised import centred_gaps, effective_size, more

_DRAWS = 500


class Clustered:
    """The design of an attribute's rates where rows are drawn by cluster.

    Parameters
    ----------
    tally : of the attribute.
    labels, predictions : (n,) class indices.
    members : the attribute's membership.
    clusters : (n,) code of each row's cluster.
    values : of the rows, by name.
    weights : (n,) of the rows, above 0; None counts every row once.
    """

    def __init__(
        self,
        tally: Tally,
        labels: NDArray[np.integer],
        predictions: NDArray[np.integer],
        members: Membership,
        clusters: NDArray[np.integer],
        rng: np.random.Generator,
        level: float,
        values: dict[str, Float] | None = None,
        weights: Float | None = None,
    ) -> None:
        self.tally, self.members, self.rng, self.level = tally, members, rng, level
        self.labels, self.predictions = labels, predictions
        self.values = values or {}
        self.groups = len(tally.names)
        self.count = int(clusters.max()) + 1
        self.place = clusters[members.rows].astype(np.int64) * self.groups + members.codes
        self.clusters = clusters
        self.weights = np.ones(len(labels)) if weights is None else weights

    def extras(self, kind: Kind, c: int) -> Extras:
        top, bottom = self._sums(kind, c)
        off, p, n = _residuals(top, bottom)
        effective = self._effective(off, bottom, p, n, self._rows(kind, c, self.tally.by_group))
        return Extras(effective=effective, correlation=_correlation(off.T @ off))

    def outside(self, kind: Kind, c: int) -> Extras:
        top, bottom = self._sums(kind, c)
        inside, _, _ = _residuals(top, bottom)
        every_top, every_bottom = self._everyone(kind, c)
        top, bottom = every_top[:, None] - top, every_bottom[:, None] - bottom
        off, p, n = _residuals(top, bottom)
        cross = (inside * off).sum(axis=0)
        scale = np.sqrt((inside**2).sum(axis=0) * (off**2).sum(axis=0))
        correlation = np.where(scale > 0, cross / np.where(scale > 0, scale, 1), 0.0)
        effective = self._effective(off, bottom, p, n, self._rows(kind, c, self.tally.outside))
        return Extras(effective=effective, correlation=correlation)

    def influence(self, influence: Float) -> Float:
        """(G,) variances from the clusters' sums of their rows' influence."""
        rows, codes = self.members.rows, self.members.codes
        moved = influence[codes, self.labels[rows], self.predictions[rows]] * self.weights[rows]
        sums = np.bincount(self.place, weights=moved, minlength=self.count * self.groups)
        off = sums.reshape(self.count, self.groups)
        clusters = self._in_group.sum(axis=0)
        return np.asarray((off**2).sum(axis=0) * clusters / np.maximum(clusters - 1, 1))

    def units(self) -> Float:
        """(G,) clusters of even size that would say as much as each group's."""
        return _even(self._total())

    def covariance(self, name: str) -> Float | None:
        off, n = self._means(name)
        if off is None:
            return None
        cross = off.T @ off
        scale = np.where(n > 0, n, 1)
        return np.asarray(cross / scale[:, None] / scale[None, :])

    def stretch(self) -> Float:
        """(G,) how much wider than the normal's is an interval from few clusters."""
        even = self.units()
        z = z_of(self.level)
        return np.array([t_of(self.level, k - 1) / z if k > 1.5 else 10.0 for k in even])

    def cluster_sums(self, name: str, g: int) -> tuple[float, float, float] | None:
        """Sums of squares and cubes of the clusters' residuals of a mean, and their number."""
        off, _ = self._means(name)
        if off is None:
            return None
        here = off[self._in_group[:, g], g]
        return float((here**2).sum()), float((here**3).sum()), float(self.units()[g])

    def means(self, name: str, *, outside: bool = False) -> tuple[Means, Float]:
        """The groups' means of a row's value, or those of everyone outside each group.

        The correlation with them is of every two groups (G, G), or of each with its outside (G,).
        """
        top, bottom = self._mean_sums(name)
        off, mean, n = _residuals(top, bottom)
        correlation = _correlation(off.T @ off)
        if outside:
            inside, values = off, self.values[name]
            bottom = self._every()[:, None] - bottom
            off, mean, n = _residuals(self._every(values)[:, None] - top, bottom)
            scale = np.sqrt((inside**2).sum(axis=0) * (off**2).sum(axis=0))
            cross = (inside * off).sum(axis=0)
            correlation = np.where(scale > 0, cross / np.where(scale > 0, scale, 1), 0.0)
        found = Means(mean, n, (off**2).sum(axis=0), (off**3).sum(axis=0), _even(bottom))
        return found, correlation

    def mean_chance(self, name: str, known: NDArray[np.bool_]) -> float | None:
        """The gap of means that are equal but for the clusters drawn, its mean; see `chance`.

        Parameters
        ----------
        name : of the row's value.
        known : (G,) which groups count.
        """
        off, _, n = _residuals(*self._mean_sums(name))
        if known.sum() < 2:
            return None
        if self._in_group.sum(axis=0)[known].min() >= MANY:
            here = off[:, known] / n[known]
            return expected_range(here.T @ here, self.rng)
        moved = (self._weights(self.count, _DRAWS) @ off / np.where(n > 0, n, 1))[:, known]
        return float((moved.max(axis=1) - moved.min(axis=1)).mean())

    def bin_noise(self, gaps: Float, place: Int, bins: int, g: int, draws: int = 1000) -> Float:
        """(B, bins) draws of how far the bins' sums of confidence - hit are off in group g.

        Parameters
        ----------
        gaps : (n,) the rows' confidence - hit.
        place : (n,) the rows' bins, from 0 on.
        bins : how many there are.
        g : number of the group.
        draws : how many, B.
        """
        mine = self.members.codes == g
        rows = self.members.rows[mine]
        # The group's own clusters, numbered from 0.
        found, cluster = np.unique(self.clusters[rows], return_inverse=True)
        weights = self.weights[rows]
        sums = np.bincount(
            cluster * bins + place[rows], weights=weights * gaps[rows], minlength=len(found) * bins
        ).reshape(len(found), bins)
        sizes = np.bincount(cluster, weights=weights, minlength=len(found))
        # A draw with more rows is divided by more rows.
        off = sums - (sizes / sizes.sum())[:, None] * sums.sum(axis=0)
        return np.asarray(self._weights(len(found), draws) @ off * self.stretch()[g])

    def bin_sizes(self, hits: Float, place: Int, bins: int, g: int) -> Float:
        """(bins,) rows of their own that would tell as much of each bin's accuracy in group g.

        Parameters
        ----------
        hits : (n,) 1 where a row's confidence came true, else 0.
        place : (n,) the rows' bins, from 0 on.
        bins : how many there are.
        g : number of the group.
        """
        rows = self.members.rows[self.members.codes == g]
        found, cluster = np.unique(self.clusters[rows], return_inverse=True)
        at, size = cluster * bins + place[rows], len(found) * bins
        weights = self.weights[rows]
        top, bottom = (
            np.bincount(at, weights=values, minlength=size).astype(np.float64).reshape(-1, bins)
            for values in (weights * hits[rows], weights)
        )
        off, p, n = _residuals(top, bottom)
        return self._effective(off, bottom, p, n, np.bincount(place[rows], minlength=bins))

    def agreement(self, named: Mapping[int, int]) -> float:
        """Rows of their own that would tell as much of how often a prediction is its group's class.

        `named` has the class of each group that counts.
        """
        top, bottom, rows = np.zeros(self.count), np.zeros(self.count), np.zeros(1)
        for g, c in named.items():
            tops, bottoms = self._sums("selection_rate", c)
            top, bottom = top + tops[:, g], bottom + bottoms[:, g]
            rows += self.tally.n[g]
        off, p, n = _residuals(top[:, None], bottom[:, None])
        return float(self._effective(off, bottom[:, None], p, n, rows)[0])

    def chance(self, classes: Sequence[int], known: Known) -> dict[str, float] | None:
        """Gaps of rates that are equal but for the clusters drawn: their means.

        A permutation of rows would tear the clusters apart; this centres the bootstrap instead.
        """
        weights = self._weights(self.count, _DRAWS)

        def off(kind: Kind, c: int, rest: bool) -> Float:
            top, bottom = self._sums(kind, c)
            if rest:
                every_top, every_bottom = self._everyone(kind, c)
                top, bottom = every_top[:, None] - top, every_bottom[:, None] - bottom
            residuals, _, n = _residuals(top, bottom)
            return np.asarray(weights @ residuals / np.where(n > 0, n, 1))

        return centred_gaps(off, classes, known)

    def _weights(self, count: int, draws: int) -> Float:
        """(B, K) how many times more than once a draw takes each cluster."""
        drawn = self.rng.multinomial(count, np.full(count, 1 / count), size=draws)
        return np.asarray(drawn - 1.0)

    @cached_property
    def _in_group(self) -> NDArray[np.bool_]:
        """(K, G) whether a cluster has a row in a group."""
        seen = np.bincount(self.place, minlength=self.count * self.groups) > 0
        return seen.reshape(self.count, self.groups)

    def _means(self, name: str) -> tuple[Float | None, Float]:
        if name not in self.values:
            return None, np.zeros(self.groups)
        off, _, total = _residuals(*self._mean_sums(name))
        return off, total

    def _mean_sums(self, name: str) -> tuple[Float, Float]:
        """(K, G) the clusters' sums of a row's value, and their rows."""
        return self._total(self.values[name]), self._total()

    def _total(self, values: NDArray[Any] | float = 1.0) -> Float:
        """(K, G) the clusters' sums of a row's value (n,) by the rows' weights."""
        rows, size = (values * self.weights)[self.members.rows], self.count * self.groups
        sums = np.bincount(self.place, weights=rows, minlength=size)
        return np.asarray(sums.reshape(-1, self.groups), float)

    def _every(self, values: NDArray[Any] | float = 1.0) -> Float:
        """(K,) as `_total`, of all rows once."""
        rows = values * self.weights
        return np.asarray(np.bincount(self.clusters, weights=rows, minlength=self.count), float)

    def _rows(
        self, kind: Kind, c: int, groups: Callable[[NDArray[Any]], NDArray[Any]]
    ) -> NDArray[Any]:
        """(G,) rows of a rate's denominator, whatever they weigh."""
        return top_and_bottom(groups(kind_cells(self.tally.rows, kind, c)), kind)[1]

    def _of_rows(self, kind: Kind, c: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(n,) whether each row is in the numerator and in the denominator."""
        y, h = self.labels == c, self.predictions == c
        right = self.labels == self.predictions
        every = np.ones(len(y), dtype=bool)
        table: dict[Kind, tuple[NDArray[np.bool_], NDArray[np.bool_]]] = {
            "accuracy": (right, every),
            "selection_rate": (h, every),
            "tpr": (y & h, y),
            "fpr": (~y & h, ~y),
            "precision": (y & h, h),
            "f1": (y & h, y | h),
        }
        return table[kind]

    def _sums(self, kind: Kind, c: int) -> tuple[Float, Float]:
        """(K, G) the clusters' numerators and denominators."""
        top, bottom = self._of_rows(kind, c)
        return self._total(top), self._total(bottom)

    def _everyone(self, kind: Kind, c: int) -> tuple[Float, Float]:
        top, bottom = self._of_rows(kind, c)
        return self._every(top), self._every(bottom)

    def _effective(
        self, off: Float, bottom: Float, p: Float, n: Float, rows: NDArray[Any]
    ) -> Float:
        """(G,) rows of their own that would vary as much; at most the rows that there are.

        Where nothing varies, as if the rows of a cluster were all alike.
        """
        clusters = _even(bottom)
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = (off**2).sum(axis=0) * more(clusters) / n**2
        return effective_size(variance, p, clusters, rows, self.level)


def _even(rows: Float) -> Float:
    """(G,) clusters of even size that would say as much: those that have rows, or fewer."""
    return kish(rows.sum(axis=0), (rows**2).sum(axis=0))


def _residuals(top: Float, bottom: Float) -> tuple[Float, Float, Float]:
    """Clusters' residuals top - p bottom (K, G), and the groups' rates p and denominators."""
    n = bottom.sum(axis=0)
    p = top.sum(axis=0) / np.maximum(n, 1e-300)
    return top - p * bottom, p, n


def _correlation(cross: Float) -> Float:
    scale = np.sqrt(np.diag(cross))
    product = scale[:, None] * scale[None, :]
    return np.where(product > 0, cross / np.where(product > 0, product, 1), 0.0)

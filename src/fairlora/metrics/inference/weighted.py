"""Rows with weights, each a draw of its own: errors of rates and means from sums of w and w^2.

The variance of a weighted rate p is sum w^2 (x - p)^2 / (sum w)^2 times m / (m - 1), m rows of one
weight that would say as much: what the survey packages call linearisation with replacement, and
what clusters of one row each would give. It adds up, so rows may stream by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.counts.sums import Counts, kish
from fairlora.metrics.counts.tally import Tally
from fairlora.metrics.inference.design import (
    Extras,
    Kind,
    Known,
    covariance_of,
    kind_cells,
    shared_correlation,
    top_and_bottom,
)
from fairlora.metrics.inference.intervals import Float
from fairlora.metrics.inference.linearised import centred_gaps, effective_size, more

_DRAWS, _FEWEST, _BUDGET = 500, 20, 5_000_000
Groups = Callable[[Counts], Counts]


class WeightedRows:
    """The design of an attribute's rates where rows have weights.

    Parameters
    ----------
    tally : of the attribute, counted with weights.
    draws : for what chance gives, at most 500.
    rng : of the draws.
    level : of the intervals.
    """

    def __init__(self, tally: Tally, draws: int, rng: np.random.Generator, level: float) -> None:
        self.tally, self.rng, self.level = tally, rng, level
        self.draws = min(draws, _DRAWS, _BUDGET // max(tally.cells.size, 1))
        self._made: dict[int, tuple[Counts, ...]] = {}

    def extras(self, kind: Kind, c: int) -> Extras:
        effective = self._effective(*self._parts(kind, c, self.tally.by_group))
        if self.tally.patterns is None:
            return Extras(effective=effective)
        return Extras(effective=effective, correlation=shared_correlation(self.tally, kind, c))

    def outside(self, kind: Kind, c: int) -> Extras:
        # A group and everyone outside it share no rows.
        return Extras(effective=self._effective(*self._parts(kind, c, self.tally.outside)))

    def influence(self, influence: Float) -> Float:
        """(G,) variances of statistics with this influence (G, C, C) of a row of weight 1."""
        squares = self.tally.by_group(self.tally.squares)
        return np.asarray((squares * influence**2).sum(axis=(1, 2)) * more(self.tally.effective))

    def units(self) -> Float:
        return self.tally.effective

    def covariance(self, name: str) -> Float | None:
        return covariance_of(self.tally, name)

    def stretch(self) -> Float | None:
        return None

    def agreement(self, named: Mapping[int, int]) -> float:
        """Rows of their own that would tell as much of how often a prediction is its group's class.

        `named` has the class of each group that counts.
        """
        parts = [self._parts("selection_rate", c, self.tally.by_group) for c in named.values()]
        rows = zip(named, parts, strict=True)
        sums = np.sum([np.stack(part)[:, :, g] for g, part in rows], axis=0)
        weights, squares, n = sums[:, :, None]
        return float(self._effective(weights, squares, n)[0])

    def chance(self, classes: Sequence[int], known: Known) -> dict[str, float]:
        """Gaps of rates that are equal but for the rows drawn: their means.

        The groups' rates are drawn around one value, with the noise that their own weights give.
        """
        if self.draws < _FEWEST:
            return {}

        def off(kind: Kind, c: int, rest: bool) -> Float:
            top, bottom = top_and_bottom(self._cells(kind, c)[0], kind)
            tops, bottoms = top_and_bottom(self._drawn_cells(kind, c), kind)
            groups = self.tally.outside if rest else self.tally.by_group
            n = groups(bottom)
            p = np.divide(groups(top), n, out=np.zeros_like(n), where=n > 0)
            moved = groups(tops) - p[:, None] * groups(bottoms)
            scale = np.where(n > 0, n, 1)
            return np.asarray((moved / scale[:, None]).T)

        return centred_gaps(off, classes, known)

    def mean_chance(self, name: str, known: NDArray[np.bool_]) -> float | None:
        """The gap of means that are equal but for the rows drawn, its mean.

        Parameters
        ----------
        name : of the row's value.
        known : (G,) which groups count.
        """
        if known.sum() < 2 or self.draws < _FEWEST:
            return None
        means, covariance = self.tally.powers[name].means(), covariance_of(self.tally, name)
        if covariance is None:
            covariance = np.diag(means.squares / np.where(means.n > 0, means.n, 1) ** 2)
        part = covariance[np.ix_(known, known)]
        none = np.zeros(len(part))
        drawn = self.rng.multivariate_normal(none, part, size=self.draws, method="eigh")
        return float((drawn.max(axis=1) - drawn.min(axis=1)).mean())

    @cached_property
    def _drawn(self) -> tuple[Float, ...]:
        """Draws of how far weights are off: by class hits, rows and predictions; hits, and all.

        The first three are (P, C, B), the others (P, B).
        """
        noise = self.rng.standard_normal((*self.tally.cells.shape, self.draws))
        noise *= np.sqrt(self.tally.squares)[..., None]
        hits = np.einsum("pccb->pcb", noise)
        return hits, noise.sum(axis=2), noise.sum(axis=1), hits.sum(axis=1), noise.sum(axis=(1, 2))

    def _drawn_cells(self, kind: Kind, c: int) -> Float:
        """(P, B, 4) draws of how far the cells of a rate are off."""
        hits, rows, chosen, right, every = self._drawn
        if kind == "accuracy" and self.tally.cells.shape[1] > 2:
            none = np.zeros_like(right)
            return np.stack([right, none, every - right, none], axis=-1)
        tp, fn, fp = hits[:, c], rows[:, c] - hits[:, c], chosen[:, c] - hits[:, c]
        return np.stack([tp, fn, fp, every - tp - fn - fp], axis=-1)

    def _cells(self, kind: Kind, c: int) -> tuple[Counts, ...]:
        """(P, 4) cells of a rate by weights, by their squares and by rows."""
        # The rates of a class have the same cells.
        key = -1 if kind == "accuracy" and self.tally.cells.shape[1] > 2 else c
        if key not in self._made:
            tally = self.tally
            several = (tally.cells, tally.squares, tally.rows)
            self._made[key] = tuple(kind_cells(cells, kind, c) for cells in several)
        return self._made[key]

    def _parts(self, kind: Kind, c: int, groups: Groups) -> tuple[Float, ...]:
        """Hits and denominators (2, G) by weights, by their squares and by rows."""
        each = (top_and_bottom(groups(cells), kind) for cells in self._cells(kind, c))
        return tuple(np.stack(parts).astype(np.float64) for parts in each)

    def _effective(self, weights: Float, squares: Float, rows: Float) -> Float:
        top, n = weights
        p = np.divide(top, n, out=np.zeros_like(n), where=n > 0)
        units = kish(n, squares[1])
        spread = squares[0] * (1 - p) ** 2 + (squares[1] - squares[0]) * p**2
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = spread * more(units) / n**2
        return effective_size(variance, p, units, rows[1], self.level)

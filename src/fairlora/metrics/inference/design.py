"""Sampling design of the rows, one by one or by cluster, and the errors of rates under it.

A design answers, for a rate of every group, what `gaps` needs beyond the counts: bootstrap draws,
effective sizes, correlations. Of independent rows the counts by group, label and prediction tell
everything: drawing each group's cells from a multinomial with the group's size fixed is exact
resampling of rows, at the cost of the cells instead of the rows.
"""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.counts.sums import Counts, Int
from fairlora.metrics.counts.tally import Tally
from fairlora.metrics.inference.intervals import Float

Kind = Literal["accuracy", "selection_rate", "tpr", "fpr", "precision", "f1"]
# (kind, class) -> (G,) which groups count.
Known = Callable[[str, int], NDArray[np.bool_]]
# Above this many multinomials the closed critical values stand alone.
_BUDGET = 1_000_000
# Means of so many rows or clusters are normal: their range is drawn without drawing the rows.
MANY = 1000
_RANGES = 4000


class Extras(NamedTuple):
    """What a design adds to a rate's counts; see `spread.Estimates`."""

    draws: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
    effective: Float | None = None
    correlation: Float | None = None


class Design(Protocol):
    """What the disparities of one attribute ask of it."""

    def extras(self, kind: Kind, c: int) -> Extras:
        """Of the groups' rates; `c` is the class, of no matter for accuracy."""

    def outside(self, kind: Kind, c: int) -> Extras:
        """Of the rates of everyone outside each group; the correlation (G,) is with the group's."""

    def influence(self, influence: Float) -> Float | None:
        """(G,) variances of statistics with influence (G, C, C) of a row; None: the counts tell."""

    def units(self) -> Float | None:
        """(G,) units of even size that would say as much as each group's; None: its rows."""

    def agreement(self, named: Mapping[int, int]) -> float | None:
        """Rows of their own that would say as much of how often groups are predicted as `named`.

        That has the class of each group that counts. None: the rows that there are.
        """

    def covariance(self, name: str) -> Float | None:
        """(G, G) covariance of the groups' means of a row's value; None: independent."""

    def stretch(self) -> Float | None:
        """(G,) how much wider than the normal's intervals are where few units vary; None: none."""

    def chance(self, classes: Sequence[int], known: Known) -> dict[str, float] | None:
        """Gaps under no disparity; None: the counts tell."""


def seed_of(seed: int, *names: str) -> np.random.Generator:
    """A generator of its own for each purpose: adding an attribute changes no other's numbers."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def expected_range(covariance: Float, rng: np.random.Generator) -> float:
    """The mean of largest minus smallest of normal means with this covariance (G, G)."""
    zero = np.zeros(len(covariance))
    drawn = rng.multivariate_normal(zero, covariance, size=_RANGES, method="eigh")
    return float((drawn.max(axis=1) - drawn.min(axis=1)).mean())


# The cells that were summed up last, and their sums.
_LAST: list[tuple[weakref.ref[Counts], Counts]] = []


def _rows_of(cells: Counts) -> Counts:
    """(P, ...) sums of cells (P, C, C, ...): those of all classes are asked for class by class, and
    of a thousand classes each sum would be of a million cells."""
    if _LAST and _LAST[0][0]() is cells:
        return _LAST[0][1]
    total: Counts = cells.sum(axis=(1, 2))
    _LAST[:] = [(weakref.ref(cells), total)]
    return total


def class_cells(cells: Counts, c: int) -> Counts:
    """(P, 4, ...) true positives, false negatives, false positives and true negatives of class c.

    Of cells (P, C, C, ...). Sums of weights are not subtracted, which would leave a rest of
    rounding where there is nothing.
    """
    tp = cells[:, c, c]
    if cells.dtype.kind == "f":
        others = np.delete(cells, c, axis=1)
        fp, rest = others[:, :, c].sum(axis=1), np.delete(others, c, axis=2).sum(axis=(1, 2))
        return np.stack([tp, np.delete(cells[:, c], c, axis=1).sum(axis=1), fp, rest], axis=1)
    fn = cells[:, c, :].sum(axis=1) - tp
    fp = cells[:, :, c].sum(axis=1) - tp
    return np.stack([tp, fn, fp, _rows_of(cells) - tp - fn - fp], axis=1)


def right_cells(cells: Counts) -> Counts:
    """(P, 4, ...) as `class_cells`: right is true positive and wrong false positive."""
    right = np.einsum("pcc...->p...", cells)
    if cells.dtype.kind == "f":
        same = np.eye(cells.shape[1], dtype=bool)
        wrong = cells[:, ~same].sum(axis=1)
    else:
        wrong = _rows_of(cells) - right
    none = np.zeros_like(right)
    return np.stack([right, none, wrong, none], axis=1)


def kind_cells(cells: Counts, kind: Kind, c: int) -> Counts:
    """(P, 4, ...) cells of a rate.

    Parameters
    ----------
    cells : (P, C, C, ...) rows, or their weights.
    kind : of the rate.
    c : the class, of no matter for accuracy.
    """
    if kind == "accuracy" and cells.shape[1] > 2:
        return right_cells(cells)
    return class_cells(cells, c)


def top_and_bottom(four: Counts, kind: Kind) -> tuple[Counts, Counts]:
    """Numerator and denominator of a rate from (..., 4) cells of `class_cells`.

    F1 is 2 J / (1 + J) of J = TP / (TP + FP + FN), which is a proportion: it is given as J. Without
    rows of the class it could be nothing but 0, so there it is undefined, as the recall is.
    """
    tp, fn, fp, tn = (four[..., k] for k in range(4))
    if kind == "selection_rate":
        return tp + fp, tp + fn + fp + tn
    if kind == "tpr":
        return tp, tp + fn
    if kind == "fpr":
        return fp, fp + tn
    if kind == "precision":
        return tp, tp + fp
    if kind == "f1":
        return tp, np.where(tp + fn > 0, tp + fn + fp, 0)
    return tp + tn, tp + fn + fp + tn


class IndependentRows:
    """Every row a draw of its own."""

    def __init__(self, tally: Tally, draws: int, rng: np.random.Generator) -> None:
        self.tally = tally
        patterns, classes = len(tally.cells), tally.cells.shape[1]
        tables = 1 if classes == 2 else classes
        self.draws = draws if draws * patterns * tables <= _BUDGET else 0
        self.rng = rng
        self._drawn: tuple[int, Int] | None = None

    def extras(self, kind: Kind, c: int) -> Extras:
        four = kind_cells(self.tally.cells, kind, c)
        if kind == "accuracy" and self.tally.cells.shape[1] > 2:
            drawn = self._draw(four) if self.draws else None
        else:
            # Of precision there is no gap, and so no critical value, that would need draws.
            drawn = self._of_class(c, four) if self.draws and kind != "precision" else None
        draws = None if drawn is None else top_and_bottom(drawn, kind)
        if self.tally.patterns is None:
            return Extras(draws)
        return Extras(draws, correlation=shared_correlation(self.tally, kind, c))

    def outside(self, kind: Kind, c: int) -> Extras:
        return Extras()  # a group and everyone outside it share no rows

    def influence(self, influence: Float) -> Float | None:
        return None

    def units(self) -> Float | None:
        return None

    def agreement(self, named: Mapping[int, int]) -> float | None:
        return None

    def stretch(self) -> Float | None:
        return None

    def covariance(self, name: str) -> Float | None:
        return covariance_of(self.tally, name)

    def chance(self, classes: Sequence[int], known: Known) -> dict[str, float] | None:
        return None

    def _of_class(self, c: int, four: Int) -> Int:
        # All rates of a class come from the same draws, as all come from the same rows.
        if self._drawn is None or self._drawn[0] != c:
            self._drawn = c, self._draw(four)
        return self._drawn[1]

    def _draw(self, four: Int) -> Int:
        """(B, G, 4) bootstrap draws of the groups' cells."""
        if self.tally.patterns is not None:
            # A row in two groups is drawn into both or neither.
            flat = four.reshape(-1).astype(np.float64)
            drawn = self.rng.multinomial(int(flat.sum()), flat / flat.sum(), size=self.draws)
            several = drawn.reshape(self.draws, *four.shape).astype(np.float64)
            by_group = np.einsum("bpk,pg->bgk", several, self.tally.patterns.astype(np.float64))
            return np.asarray(by_group.astype(np.int64))
        sizes = four.sum(axis=1)
        share = np.where(sizes[:, None] > 0, four, [0, 0, 0, 1]) / np.maximum(sizes, 1)[:, None]
        return np.asarray(self.rng.multinomial(sizes, share, size=(self.draws, len(sizes))))


def covariance_of(tally: Tally, name: str) -> Float | None:
    """(G, G) covariance of the groups' means of a row's value, where rows are in several groups.

    Parameters
    ----------
    tally : of the attribute; None where its groups do not overlap, or it has no such value.
    name : of the value.
    """
    patterns, powers = tally.patterns, tally.raw.get(name)
    if patterns is None or powers is None:
        return None
    holds = patterns.astype(np.float64)
    sizes = holds.T @ powers.n
    sizes = np.where(sizes > 0, sizes, 1)
    mean = (holds.T @ powers.first) / sizes
    parts = (powers.square, powers.mixed, powers.second)
    shared = [(holds * v[:, None]).T @ holds for v in parts]
    cross = shared[2] - shared[1] * (mean[:, None] + mean[None, :])
    cross += shared[0] * mean[:, None] * mean[None, :]
    return np.asarray(cross / sizes[:, None] / sizes[None, :])


def shared_correlation(tally: Tally, kind: Kind, c: int) -> Float:
    """(G, G) correlation of the groups' rates that comes of rows in several groups.

    Parameters
    ----------
    tally : of an attribute whose groups overlap.
    kind, c : of the rate.
    """
    assert tally.patterns is not None
    holds = tally.patterns.astype(np.float64)

    def parts(cells: Counts) -> list[Float]:
        four = kind_cells(cells, kind, c)
        return [v.astype(np.float64) for v in top_and_bottom(four, kind)]

    (hits, rows), (top, bottom) = parts(tally.cells), parts(tally.squares)
    sizes = holds.T @ rows
    p = np.divide(holds.T @ hits, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    # Sum over shared rows of (x - p_g)(x - p_h): a row is 1 (top) or 0 (bottom - top).
    tops, bottoms = (holds * top[:, None]).T @ holds, (holds * bottom[:, None]).T @ holds
    shared = tops * (1 - p[:, None] - p[None, :]) + bottoms * p[:, None] * p[None, :]
    spread = np.sqrt(np.maximum(np.diag(shared), 0))
    scale = spread[:, None] * spread[None, :]
    return np.where(scale > 0, shared / np.where(scale > 0, scale, 1), 0.0)

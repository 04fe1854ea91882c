"""Bootstrap the rows once for all seeds and both ways of fine-tuning, for every metric.

Functions of the counts (group x label x prediction) need the rows by how all 2 S tables predict
them: the distinct combinations are the cells. A draw gives each cell a weight; one sparse product
makes all tables' counts of many draws from the weights. Of few cells the weights are multinomials;
of nearly as many as rows it is cheaper to draw the rows themselves. Both are the same distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.comparison.align import Block, Int, Runs
from fairlora.metrics.comparison.noise import Moments, Noise
from fairlora.metrics.comparison.shrinkage import Shrunken
from fairlora.metrics.comparison.values import class_rates, values_of
from fairlora.metrics.counts import macro
from fairlora.metrics.inference.design import seed_of
from fairlora.metrics.inference.intervals import Float
from fairlora.metrics.settings import Settings
from fairlora.predictions import GroupColumn

# Numbers held at once, and how many rows can be drawn in the time of one cell's binomial.
_CHUNK = 4_000_000
_ROWS_A_BINOMIAL = 7
FEWEST_DRAWS = 200
_NOISE_DRAWS, _BIAS_DRAWS = 200, 400


@dataclass(frozen=True)
class Measured:
    """A metric of every table.

    Attributes
    ----------
    values : (S, 2) the first's and the second's; NaN where undefined.
    noise : what resampling says; None where test rows vary with the seed, or it is unknown.
    bias : how much of the difference noise makes by itself, see `shrinkage`; None where it is what
        resampling shifts.
    """

    values: Float
    noise: Noise | None = None
    bias: float | None = None


def count_metrics(
    runs: Runs, attribute: str | None, positive: int | None, settings: Settings
) -> dict[str, Measured]:
    """Metrics of the counts: of one attribute's groups, or of all rows for None.

    The names are those of `values_of`: disparities, and groups' rates as "accuracy/0". For None
    they are accuracy, F1 and recall, and the lowest and the spread of F1 over the classes.

    Parameters
    ----------
    runs : what is compared.
    attribute : whose groups; None for all rows.
    positive : index of the positive class; None takes every class against the rest.
    settings : of an audit: least rows of a group, draws and seed.

    Returns
    -------
    Name -> the metric of every table, with what resampling says of it.
    """
    tables = [_Counts(block, attribute, len(runs.classes)) for block in runs.blocks]
    # A group counts only if it has rows enough in every seed's test rows.
    reference = np.minimum.reduce([one.reference for one in tables])
    everyone = np.minimum.reduce([one.everyone for one in tables])

    def metrics(counts: Float, holds: Float | None) -> dict[str, Float]:
        total = counts.sum(axis=1)
        by_group = counts if holds is None else np.einsum("bpyh,pg->bgyh", counts, holds)
        found = values_of(
            by_group,
            total,
            positive=positive,
            least=max(1, settings.min_group),
            reference=reference,
            everyone=everyone,
        )
        if attribute is not None:
            return {key: v for key, v in found.items() if key not in ("accuracy", "f1", "recall")}
        return {name: found[name] for name in ("accuracy", "f1", "recall")} | _over_classes(total)

    each = [metrics(one.tables(one.counts[:, None]), one.holds) for one in tables]
    keys, seeds = list(each[0]), len(runs.seeds)
    # The seeds of one block, or one seed of each.
    values = {key: np.concatenate([e[key] for e in each]).reshape(seeds, 2) for key in keys}
    if len(tables) > 1 or len(tables[0]) < 2:
        return {key: Measured(values[key]) for key in keys}
    one = tables[0]

    def differences(counts: Float) -> Float:
        """(S, K, b) of counts (b T, P, C, C)."""
        found = metrics(counts, one.holds)
        several = np.stack([found[key] for key in keys]).reshape(len(keys), -1, seeds, 2)
        return np.asarray((several[..., 0] - several[..., 1]).transpose(2, 0, 1))

    total = max(settings.bootstrap, FEWEST_DRAWS)
    rng = seed_of(settings.seed, "all" if attribute is None else attribute, "seeds")
    moments = Moments(np.stack([v[:, 0] - v[:, 1] for v in values.values()], axis=1))
    bias = _Bias(one, total, differences) if seeds > 1 else None
    for weights in one.draws(rng, total):
        counts = one.tables(weights)
        moments.add(differences(counts))
        if bias is not None:
            bias.add(counts.reshape(-1, *one.shape))
    found = [None] * len(keys) if bias is None else bias.found()
    return {key: Measured(values[key], moments.noise(k), found[k]) for k, key in enumerate(keys)}


def _over_classes(total: Float) -> dict[str, Float]:
    """The lowest F1 and recall of a class, and the spread of F1, of tables (B, C, C)."""
    sums = macro.sums_of(total)
    f1, recall = class_rates(sums, "f1"), class_rates(sums, "tpr")
    low = np.fmin.reduce(f1, axis=1)
    several = np.isfinite(f1).sum(axis=1) > 1
    return {
        "f1_min": low,
        "recall_min": np.fmin.reduce(recall, axis=1),
        "f1_gap": np.where(several, np.fmax.reduce(f1, axis=1) - low, np.nan),
    }


class _Counts:
    """The rows of a block by pattern of groups, label and how every table predicts them."""

    def __init__(self, block: Block, attribute: str | None, classes: int) -> None:
        if attribute is None:
            column = GroupColumn(("all",), np.zeros(len(block), dtype=np.int32))
        else:
            column = block.columns[attribute]
        self.block, self.column, self.classes = block, column, classes
        patterns = column.patterns()
        self.patterns = len(column.names) if patterns is None else len(patterns)
        self.holds = None if patterns is None else patterns.astype(np.float64)
        base = column.codes.astype(np.int64) * classes + block.labels
        code = base
        for table in block.flat:
            # Coded afresh after each table: the product of many would not fit an integer.
            code = _numbered(code * classes + table.predictions)
        of_row = _numbered(code)
        counts = np.bincount(of_row)
        first = np.empty(len(counts), dtype=np.int64)
        first[of_row[::-1]] = np.arange(len(of_row))[::-1]
        self.of_row, self.counts = of_row, counts.astype(np.float64)
        self.pattern = column.codes.astype(np.int64)[first]
        place = [base[first] * classes + table.predictions[first] for table in block.flat]
        self.size = self.patterns * classes**2
        self.shape = (len(block.flat), self.patterns, classes, classes)
        self.fold = _sums_by(np.stack(place), self.size)
        rows = np.bincount(base, minlength=self.patterns * classes).astype(np.float64)
        by_pattern = rows.reshape(self.patterns, classes)
        self.everyone = by_pattern.sum(axis=0)
        self.reference = by_pattern if self.holds is None else self.holds.T @ by_pattern

    def __len__(self) -> int:
        return len(self.of_row)

    def tables(self, weights: Float) -> Float:
        """Counts (b T, P, C, C) of all tables, from weights (m, b) of the cells."""
        flat = np.ascontiguousarray((self.fold @ weights).T)
        return flat.reshape(-1, self.patterns, self.classes, self.classes)

    def draws(self, rng: np.random.Generator, total: int) -> Iterator[Float]:
        """Weights (m, b) of the cells, as many draws at a time as fit."""
        groups = 1 if self.holds is None else self.holds.shape[1]
        held = self.size * len(self.block.flat) * max(1, groups // max(self.patterns, 1))
        few = len(self.counts) * _ROWS_A_BINOMIAL < len(self)
        clusters = 0 if self.block.clusters is None else int(self.block.clusters.max()) + 1
        chunk = max(1, _CHUNK // max(held, len(self.counts), clusters))
        draw = self._draw_clusters if self.block.clusters is not None else self._draw_rows
        # Of groups that do not overlap each keeps its size; else all rows are drawn together.
        strata = self.pattern if self.holds is None else np.zeros_like(self.pattern)
        if self.block.clusters is None and few:
            draw = self._draw_cells
        for start in range(0, total, chunk):
            yield draw(rng, min(chunk, total - start), strata)

    def _draw_cells(self, rng: np.random.Generator, draws: int, strata: Int) -> Float:
        out = np.empty((draws, len(self.counts)))
        for stratum in np.unique(strata):
            mine = np.flatnonzero(strata == stratum)
            counts = self.counts[mine]
            share = counts / counts.sum()
            out[:, mine] = rng.multinomial(int(counts.sum()), share, size=draws)
        return np.ascontiguousarray(out.T)

    def _draw_rows(self, rng: np.random.Generator, draws: int, strata: Int) -> Float:
        order = np.argsort(strata[self.of_row], kind="stable")
        cells = self.of_row[order]
        sizes = np.bincount(strata[self.of_row])
        start = np.repeat(np.cumsum(sizes) - sizes, sizes)
        size = np.repeat(sizes, sizes)
        out = np.empty((draws, len(self.counts)))
        for k in range(draws):
            place = (rng.random(len(cells)) * size).astype(np.int64) + start
            out[k] = np.bincount(cells[place], minlength=len(self.counts))
        return np.ascontiguousarray(out.T)

    def _draw_clusters(self, rng: np.random.Generator, draws: int, _: Int) -> Float:
        clusters = self.block.clusters
        assert clusters is not None
        count = int(clusters.max()) + 1
        by_cluster = _sums_by(clusters[None], count, self.of_row, len(self.counts))
        times = [
            np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(draws)
        ]
        return np.asarray(by_cluster.T @ np.stack(times, axis=1).astype(np.float64))


class _Bias:
    """What noise adds to the differences, from the first draws: they are enough for a mean.

    The first third of them, or fewer, say how far the groups are moved; the next go around that.
    """

    def __init__(self, one: _Counts, total: int, differences: Callable[[Float], Float]) -> None:
        self.differences = differences
        self.first = min(_NOISE_DRAWS, total // 3)
        self.last = min(self.first + _BIAS_DRAWS, total)
        self.data = one.tables(one.counts[:, None])
        self.shrunken = Shrunken(self.data, one.holds)
        self.off: Float | None = None
        self.drawn = 0
        self.sums, self.known = 0.0, 0.0

    def add(self, draws: Float) -> None:
        """Take what is wanted of draws (b, T, P, C, C)."""
        start, end = (max(0, limit - self.drawn) for limit in (self.first, self.last))
        self.drawn += len(draws)
        if start:
            self.shrunken.add(draws[:start])
        some = draws[start:end]
        if not len(some):
            return
        if self.off is None:
            self.off = self.shrunken.tables() - self.data
            self.centre = self.differences(self.data + self.off)
        # A cell of a few rows may lose more than a draw has.
        around = np.maximum(some + self.off, 0.0).reshape(-1, *self.data.shape[1:])
        moved = (self.differences(around) - self.centre).mean(axis=0)
        known = np.isfinite(moved)
        self.sums = self.sums + np.where(known, moved, 0.0).sum(axis=1)
        self.known = self.known + known.sum(axis=1)

    def found(self) -> list[float | None]:
        """Of each metric."""
        return list((self.sums / np.maximum(self.known, 1)).tolist())


def _numbered(code: Int) -> Int:
    """The codes numbered from 0 on, in their order; without a sort where they are not far apart."""
    if not len(code) or int(code.max()) > 8 * len(code) + 1024:
        return np.asarray(np.unique(code, return_inverse=True)[1])
    seen = np.bincount(code) > 0
    return np.asarray((np.cumsum(seen) - 1)[code])


def _sums_by(
    place: NDArray[Any], size: int, source: NDArray[Any] | None = None, sources: int | None = None
) -> Any:
    """(T size, m) sparse matrix that adds up m values by their places (T, m) in T tables.

    With `source` (m,) the values are those of so many `sources`, which may come more than once.
    """
    from scipy.sparse import csr_array

    tables, m = place.shape
    rows = (place + size * np.arange(tables)[:, None]).reshape(-1)
    columns = np.tile(np.arange(m) if source is None else source, tables)
    shape = (tables * size, m if sources is None else sources)
    return csr_array((np.ones(rows.size), (rows, columns)), shape=shape)

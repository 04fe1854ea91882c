"""Two sets of predictions on the same rows: which differs from which, by how much, how surely.

Rows are resampled together for both, so what makes a row hard for both cancels. The counts of
group x label x prediction x other prediction tell everything that is a function of predictions;
losses and confidences are compared row by row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.assemble import positive_class
from fairlora.metrics.crossing import columns_of
from fairlora.metrics.design import seed_of
from fairlora.metrics.intervals import Float
from fairlora.metrics.missing import missing_warning, rows_with
from fairlora.metrics.settings import Settings
from fairlora.metrics.tally import Int, bin_numbers, row_scores
from fairlora.metrics.values import BETTER, values_of
from fairlora.metrics.verdict import MARGIN, Difference, judge
from fairlora.predictions import GroupColumn, Predictions

# What has no margin has no verdict of equivalence.
_NO_MARGIN = {"loss_variance", "mean_loss", "brier"}
_CHUNK = 4_000_000
_BLOCKS = 1000
_MOST_UNDEFINED = 0.05


def compare_predictions(
    first: Predictions,
    second: Predictions,
    settings: Settings | None = None,
    *,
    margin: float = MARGIN,
    names: tuple[str, str] = ("first", "second"),
) -> dict[str, Any]:
    """Every metric of `first` minus that of `second`, with intervals and verdicts.

    Both hold the same rows in the same order, with the same labels; the groups are the first's. The
    disparities, one an attribute and metric, are the family that Holm's correction is over; the
    overall metrics are another; the groups' rows are exploratory (Benjamini-Hochberg).

    Raises `InputError` where the rows are not the same.
    """
    settings = Settings() if settings is None else settings
    _check(first, second)
    if not 0 < margin < 1:
        raise InputError(
            "no margin of rates", where="margin", found=margin, expected="above 0, below 1"
        )
    columns = columns_of(first.groups, len(first), settings)
    warnings: list[str] = []
    positive = positive_class(first.classes, settings.positive, warnings)
    pair = _Pair(first, second, positive, settings, margin)
    overall = pair.overall()
    primary: list[Difference] = []
    exploratory: list[Difference] = []
    for attribute, column in columns.items():
        disparities, groups = pair.compared(attribute, column, warnings)
        primary += disparities
        exploratory += groups
    content: dict[str, Any] = {
        "n": len(first),
        "first": names[0],
        "second": names[1],
        "positive": None if positive is None else first.classes[positive],
        "settings": {**settings.shown(), "margin": margin},
        "overall": {
            d.name: row
            for d, row in zip(overall, judge(overall, level=settings.level), strict=True)
        },
        "disparities": {attribute: {} for attribute in columns},
        "by_group": {attribute: {} for attribute in columns},
        "warnings": warnings,
    }
    for one, row in zip(primary, judge(primary, level=settings.level), strict=True):
        attribute = row.pop("attribute")
        content["disparities"][attribute][one.name] = row
    found = judge(exploratory, "bh", settings.level)
    for one, row in zip(exploratory, found, strict=True):
        group = content["by_group"][row.pop("attribute")].setdefault(row.pop("group"), {})
        group[one.name] = row
    return content


def _check(first: Predictions, second: Predictions) -> None:
    if len(first) != len(second):
        raise InputError(
            "not the same rows",
            where="the second predictions",
            found=f"{len(second):,} rows",
            expected=f"{len(first):,}",
        )
    if first.classes != second.classes:
        raise InputError(
            "not the same classes",
            where="the second predictions",
            found=", ".join(second.classes[:8]),
            expected=", ".join(first.classes[:8]),
        )
    other = first.labels != second.labels
    if other.any():
        row = int(np.flatnonzero(other)[0])
        raise InputError(
            "not the same rows: another label",
            where=f"row {row + 1} of the second predictions",
            found=second.classes[int(second.labels[row])],
            expected=first.classes[int(first.labels[row])],
        )


@dataclass
class _Cells:
    """Distinct combinations of pattern, label and the two predictions, with their rows."""

    pattern: Int
    label: Int
    first: Int
    second: Int
    counts: Int
    of_row: NDArray[np.intp]


class _Pair:
    def __init__(
        self,
        first: Predictions,
        second: Predictions,
        positive: int | None,
        settings: Settings,
        margin: float,
    ) -> None:
        self.first, self.second, self.positive = first, second, positive
        self.settings, self.margin = settings, margin
        self.c = len(first.classes)
        self.losses = _losses(first), _losses(second)

    def overall(self) -> list[Difference]:
        """Accuracy, F1 and recall of all rows, calibration and losses."""
        column = GroupColumn(("all",), np.zeros(len(self.first), dtype=np.int32))
        values, draws = self._draw("all", column)
        out = [
            self._difference(name, values, draws, 1 / (len(self.first) + 2))
            for name in ("accuracy", "f1", "recall")
            if name in values[0]
        ]
        a, b = self.losses
        if a is not None and b is not None:
            out.append(self._of_means("mean_loss", a, b, np.arange(len(a)), ()))
        if self.first.probs is not None and self.second.probs is not None:
            out.append(self._calibration())
        return out

    def compared(
        self, attribute: str, column: GroupColumn, warnings: list[str]
    ) -> tuple[list[Difference], list[Difference]]:
        """Differences of an attribute over the rows that have a group value; see `attribute`."""
        rows = rows_with(column) if self.settings.missing_group == "show" else None
        if rows is None:
            return self.attribute(attribute, column)
        n = len(self.first)
        warnings.append(missing_warning(attribute, n - len(rows), n))
        if not len(rows):
            return [], []
        first, second = self.first.take(rows), self.second.take(rows)
        part = _Pair(first, second, self.positive, self.settings, self.margin)
        return part.attribute(attribute, column.take(rows))

    def attribute(
        self, attribute: str, column: GroupColumn
    ) -> tuple[list[Difference], list[Difference]]:
        """Differences of the attribute's disparities, and of its groups' rates."""
        values, draws = self._draw(attribute, column)
        sizes = _sizes(column)
        place = (("attribute", attribute),)
        # Where the two differ on few rows the draws have little spread, and the truth more: half a
        # row either way in each of the two groups that a gap is about (Agresti and Min 2005).
        large = sizes[sizes >= max(1, self.settings.min_group)]
        least = float(np.sqrt(2) / (np.median(large) + 2)) if len(large) else 0.0
        disparities = [
            self._difference(name, values, draws, least, place)
            for name in values[0]
            if name not in ("accuracy", "f1", "recall") and "/" not in name
        ]
        variance = self._loss_variance(attribute, column, sizes)
        if variance is not None:
            disparities.append(variance)
        groups = []
        for g, group in enumerate(column.names):
            where = (*place, ("group", group))
            floor = 1 / (float(sizes[g]) + 2)
            for name in ("accuracy", "tpr", "fpr"):
                key = f"{name}/{g}"
                if key in values[0]:
                    groups.append(self._difference(key, values, draws, floor, where))
            a, b = self.losses
            if a is not None and b is not None:
                rows = _rows_of(column, g)
                if len(rows) > 1:
                    groups.append(self._of_means("mean_loss", a, b, rows, where))
        return disparities, groups

    def _difference(
        self,
        key: str,
        values: tuple[dict[str, Float], dict[str, Float]],
        draws: tuple[dict[str, Float], dict[str, Float]],
        least: float,
        place: tuple[tuple[str, Any], ...] = (),
    ) -> Difference:
        name = key.split("/")[0]
        first, second = (float(v[key][0]) for v in values)
        margin = None if name in _NO_MARGIN else self.margin
        better = BETTER.get(name, 0)
        if not np.isfinite([first, second]).all():
            return Difference(name, None, None, None, better, margin, reason=_WHY, place=place)
        off = draws[0][key] - draws[1][key]
        known = off[np.isfinite(off)]
        if len(known) < (1 - _MOST_UNDEFINED) * len(off):
            why = "undefined in more than 5 % of the bootstrap draws: too few rows"
            return Difference(name, first, second, None, better, margin, reason=why, place=place)
        error = float(np.hypot(known.std(ddof=1), least))
        return Difference(name, first, second, error, better, margin, place=place)

    def _of_means(
        self,
        name: str,
        a: Float,
        b: Float,
        rows: NDArray[np.intp],
        place: tuple[tuple[str, Any], ...],
    ) -> Difference:
        """A mean over rows, compared row by row (or cluster by cluster)."""
        off = a[rows] - b[rows]
        n = len(off)
        residual, units = off - off.mean(), n
        if self.first.clusters is not None:
            found, cluster = np.unique(self.first.clusters[rows], return_inverse=True)
            residual, units = np.bincount(cluster, weights=residual), len(found)
        margin = None if name in _NO_MARGIN else self.margin
        error = None
        if units > 1:
            error = float(np.sqrt((residual**2).sum() * units / (units - 1)) / n)
        ends = float(a[rows].mean()), float(b[rows].mean())
        degrees = float(units - 1) if units < 200 else None
        why = None if error is not None else "one row alone"
        return Difference(
            name, *ends, error, BETTER[name], margin, degrees if units > 1 else None, why, place
        )

    def _calibration(self) -> Difference:
        """ECE over all rows: rows in random blocks, or in their clusters, and blocks resampled."""
        n, bins = len(self.first), self.settings.bins
        rng = seed_of(self.settings.seed, "paired", "ece")
        if self.first.clusters is not None:
            block = np.unique(self.first.clusters, return_inverse=True)[1]
        else:
            block = rng.permutation(n) % min(n, _BLOCKS)
        count = int(block.max()) + 1
        weights = rng.multinomial(count, np.full(count, 1 / count), size=500).astype(np.float64)
        size = weights @ np.bincount(block, minlength=count)
        values, draws = [], []
        for table in (self.first, self.second):
            assert table.probs is not None
            scores = row_scores(table.labels, table.predictions, table.probs)
            gap = scores.confidence.astype(np.float64) - scores.hits
            place = block * bins + bin_numbers(scores.confidence, bins)
            sums = np.bincount(place, weights=gap, minlength=count * bins).reshape(count, bins)
            values.append(float(np.abs(sums.sum(axis=0)).sum() / n))
            draws.append(np.abs(weights @ sums).sum(axis=1) / size)
        error = float((draws[0] - draws[1]).std(ddof=1))
        return Difference("ece", values[0], values[1], error, BETTER["ece"], self.margin)

    def _loss_variance(self, attribute: str, column: GroupColumn, sizes: Int) -> Difference | None:
        a, b = self.losses
        large = np.flatnonzero(sizes >= max(1, self.settings.min_group))
        if a is None or b is None or len(large) < 2:
            return None
        rng = seed_of(self.settings.seed, attribute, "paired", "loss")
        means, noise = [], []
        for g in large:
            rows = _rows_of(column, int(g))
            both = np.stack([a[rows], b[rows]])
            residual, units = both - both.mean(axis=1, keepdims=True), len(rows)
            if self.first.clusters is not None:
                found, cluster = np.unique(self.first.clusters[rows], return_inverse=True)
                residual = np.stack([np.bincount(cluster, weights=r) for r in residual])
                units = len(found)
            covariance = residual @ residual.T / len(rows) ** 2 * units / max(units - 1, 1)
            means.append(both.mean(axis=1))
            noise.append(rng.multivariate_normal(np.zeros(2), covariance, 2000, method="eigh"))
        centre, off = np.array(means), np.stack(noise, axis=1)  # (G, 2), (B, G, 2)
        drawn = (centre + off).var(axis=1)
        error: float | None = float((drawn[:, 0] - drawn[:, 1]).std(ddof=1))
        first, second = (float(v) for v in centre.var(axis=0))
        place = (("attribute", attribute),)
        why = None
        if (sizes[large] < 2).any():
            error, why = None, "a group of one row has no variance"
        return Difference(
            "loss_variance", first, second, error, BETTER["loss_variance"], None, None, why, place
        )

    def _draw(
        self, attribute: str, column: GroupColumn
    ) -> tuple[
        tuple[dict[str, Float], dict[str, Float]], tuple[dict[str, Float], dict[str, Float]]
    ]:
        """Values of both on the data, (1,) each, and on bootstrap draws, (B,) each."""
        cells = self._cells(column)
        patterns = column.patterns()
        holds = np.eye(len(column.names)) if patterns is None else patterns.astype(np.float64)
        fold = [_Fold(cells, one, len(holds), self.c) for one in (cells.first, cells.second)]
        rows = fold[0].apply(cells.counts[None].astype(np.float64)).sum(axis=(0, 3))

        def both(weights: Float) -> tuple[dict[str, Float], dict[str, Float]]:
            tables = [one.apply(weights) for one in fold]
            found = [
                values_of(
                    np.einsum("bpyh,pg->bgyh", t, holds),
                    t.sum(axis=1),
                    positive=self.positive,
                    least=max(1, self.settings.min_group),
                    reference=holds.T @ rows,
                    everyone=rows.sum(axis=0),
                )
                for t in tables
            ]
            return found[0], found[1]

        values = both(cells.counts[None].astype(np.float64))
        drawn: tuple[dict[str, list[Float]], dict[str, list[Float]]] = (
            {key: [] for key in values[0]},
            {key: [] for key in values[1]},
        )
        size = max(1, _CHUNK // (max(holds.shape) * self.c**2))
        for weights in self._weights(attribute, column, cells, size):
            for held, found in zip(drawn, both(weights), strict=True):
                for key, value in found.items():
                    held[key].append(value)
        joined = [{key: np.concatenate(parts) for key, parts in one.items()} for one in drawn]
        return values, (joined[0], joined[1])

    def _cells(self, column: GroupColumn) -> _Cells:
        c = self.c
        joint = column.codes.astype(np.int64) * c + self.first.labels
        joint = (joint * c + self.first.predictions) * c + self.second.predictions
        found, of_row, counts = np.unique(joint, return_inverse=True, return_counts=True)
        rest, second = np.divmod(found, c)
        rest, first = np.divmod(rest, c)
        pattern, label = np.divmod(rest, c)
        return _Cells(pattern, label, first, second, counts, of_row)

    def _weights(
        self, attribute: str, column: GroupColumn, cells: _Cells, chunk: int
    ) -> Iterator[Float]:
        """Bootstrap draws of the cells' counts, (b, m) at a time."""
        rng = seed_of(self.settings.seed, attribute, "paired")
        total = max(self.settings.bootstrap, 200)
        clusters = self.first.clusters
        by_cluster = None
        if clusters is not None:
            from scipy.sparse import csr_array

            found, cluster = np.unique(clusters, return_inverse=True)
            ones = np.ones(len(cluster))
            shape = (len(found), len(cells.counts))
            by_cluster = csr_array((ones, (cluster, cells.of_row)), shape=shape)
            chunk = min(chunk, max(1, 50_000_000 // len(found)))
        for start in range(0, total, chunk):
            b = min(chunk, total - start)
            if by_cluster is not None:
                k = by_cluster.shape[0]
                drawn = rng.multinomial(k, np.full(k, 1 / k), size=b).astype(np.float64)
                yield np.asarray(drawn @ by_cluster)
                continue
            out = np.empty((b, len(cells.counts)))
            # Of groups that do not overlap each keeps its size; else all rows are drawn together.
            strata = cells.pattern if column.lists is None else np.zeros_like(cells.pattern)
            for stratum in np.unique(strata):
                mine = np.flatnonzero(strata == stratum)
                counts = cells.counts[mine]
                out[:, mine] = rng.multinomial(counts.sum(), counts / counts.sum(), size=b)
            yield out


class _Fold:
    """Sums of cells (b, m) as tables (b, P, C, C) of one of the two predictions."""

    def __init__(self, cells: _Cells, predictions: Int, patterns: int, classes: int) -> None:
        place = (cells.pattern * classes + cells.label) * classes + predictions
        self.order = np.argsort(place, kind="stable")
        self.found, self.starts = np.unique(place[self.order], return_index=True)
        self.shape = (patterns, classes, classes)

    def apply(self, weights: Float) -> Float:
        out = np.zeros((len(weights), int(np.prod(self.shape))))
        out[:, self.found] = np.add.reduceat(weights[:, self.order], self.starts, axis=1)
        return out.reshape(len(weights), *self.shape)


_WHY = "undefined for one of the two: too few rows"


def _losses(table: Predictions) -> Float | None:
    if table.loss is not None:
        return np.asarray(table.loss, dtype=np.float64)
    if table.probs is None:
        return None
    return row_scores(table.labels, table.predictions, table.probs).nll


def _sizes(column: GroupColumn) -> Int:
    return np.array([len(_rows_of(column, g)) for g in range(len(column.names))], dtype=np.int64)


def _rows_of(column: GroupColumn, g: int) -> NDArray[np.intp]:
    patterns = column.patterns()
    if patterns is None:
        return np.flatnonzero(column.codes == g)
    return np.flatnonzero(patterns[column.codes, g])

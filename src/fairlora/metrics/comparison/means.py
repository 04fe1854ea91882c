"""Losses and calibration of every table of a comparison over seeds, and their noise.

Means over rows have a closed variance; the variance of the groups' mean losses is drawn from the
means' normal distribution, and the calibration error from blocks of rows, as for one pair of
tables.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.comparison.align import Block, Runs
from fairlora.metrics.comparison.bootstrap import Measured
from fairlora.metrics.comparison.noise import noise_of_draws, noise_of_influences, sums_by_unit
from fairlora.metrics.comparison.shrinkage import kept_of
from fairlora.metrics.counting import confidence_class
from fairlora.metrics.counts.tally import bin_numbers, row_scores
from fairlora.metrics.inference.design import seed_of
from fairlora.metrics.inference.intervals import Float
from fairlora.metrics.settings import Settings
from fairlora.predictions import GroupColumn, Predictions
from fairlora.predictions.columns import Codes

_BLOCKS, _CALIBRATION_DRAWS, _LOSS_DRAWS = 1000, 500, 2000
_CHUNK = 4_000_000


def losses(runs: Runs) -> list[Float] | None:
    """A block's (S, 2, n) losses of the rows; None where some table has neither these nor probs."""
    return _of_rows(runs, _loss)


def brier_scores(runs: Runs) -> list[Float] | None:
    """As `losses`, Brier scores; None where some table has no probabilities."""
    return _of_rows(runs, _brier)


def _of_rows(runs: Runs, values_of: Callable[[Predictions], Float | None]) -> list[Float] | None:
    out = []
    for block in runs.blocks:
        each = []
        for table in block.flat:
            values = values_of(table)
            if values is None:
                return None
            each.append(values)
        out.append(np.stack(each).reshape(-1, 2, len(block)))
    return out


def _loss(table: Predictions) -> Float | None:
    if table.loss is not None:
        return np.asarray(table.loss, dtype=np.float64)
    if table.probs is None:
        return None
    return row_scores(table.labels, table.predictions, table.probs).nll


def _brier(table: Predictions) -> Float | None:
    if table.probs is None:
        return None
    return row_scores(table.labels, table.predictions, table.probs).brier


def rows_of(column: GroupColumn, g: int) -> NDArray[np.intp]:
    """The rows of group number g."""
    patterns = column.patterns()
    if patterns is None:
        return np.flatnonzero(column.codes == g)
    return np.flatnonzero(patterns[column.codes, g])


def mean_metric(
    runs: Runs, values: list[Float], rows: list[NDArray[np.intp]] | None = None
) -> Measured:
    """A mean over rows, all or the given ones of each block; NaN where a block has none.

    Parameters
    ----------
    runs : what is compared.
    values : a block's (S, 2, n) values of the rows, as `losses` and `brier_scores` give them.
    rows : a block's row numbers; None takes all.
    """
    rows = [np.arange(len(block)) for block in runs.blocks] if rows is None else rows
    parts = [v[:, :, k] for v, k in zip(values, rows, strict=True)]
    if any(part.shape[2] == 0 for part in parts):
        return Measured(np.full((len(runs.seeds), 2), np.nan))
    means = np.concatenate([part.mean(axis=2) for part in parts])
    if len(parts) > 1:
        return Measured(means)
    off = parts[0][:, 0] - parts[0][:, 1]  # (S, n)
    influences = (off - off.mean(axis=1, keepdims=True)) / off.shape[1]
    sums = sums_by_unit(influences, _units(runs.blocks[0], rows[0]))
    return Measured(means, noise_of_influences(sums))


def _units(block: Block, rows: NDArray[np.intp]) -> Codes | None:
    """The clusters of some rows; None where every row is by itself."""
    return None if block.clusters is None else block.clusters[rows]


def scores(runs: Runs) -> list[Float] | None:
    """As `losses`, the scores of tables without labels."""
    return _of_rows(runs, lambda table: table.scores)


def variance_of(means: Float) -> Float:
    """(...) the variance of groups' means (..., G)."""
    return np.asarray(means.var(axis=-1))


def range_of(means: Float) -> Float:
    """(...) the largest of groups' means (..., G) minus the smallest."""
    return np.asarray(means.max(axis=-1) - means.min(axis=-1))


def spread_of_means(
    runs: Runs,
    values: list[Float],
    attribute: str,
    large: NDArray[np.bool_],
    settings: Settings,
    spread: Callable[[Float], Float] = variance_of,
) -> Measured | None:
    """The spread of the means of the groups that count; None below two of them.

    Parameters
    ----------
    runs : what is compared.
    values : a block's (S, 2, n) values of the rows, as `losses` gives them.
    attribute : whose groups.
    large : (G,) which groups count.
    settings : of an audit, of which the seed counts.
    spread : `variance_of` or `range_of`.
    """
    groups = np.flatnonzero(large)
    if len(groups) < 2:
        return None
    means, noise = [], []
    for block, losses in zip(runs.blocks, values, strict=True):
        column = block.columns[attribute]
        each = [losses[:, :, rows_of(column, int(g))] for g in groups]
        means.append(np.stack([part.mean(axis=2) for part in each], axis=-1))  # (S, 2, G)
    centre = np.concatenate(means)
    found = spread(centre)
    sizes = [part.shape[2] for part in each]
    if len(runs.blocks) > 1 or min(sizes) < 2:
        return Measured(found)
    rng = seed_of(settings.seed, attribute, "seeds", "loss")
    column, tables = runs.blocks[0].columns[attribute], 2 * len(centre)
    for g, part in zip(groups, each, strict=True):
        flat = part.reshape(tables, -1)
        residual = flat - flat.mean(axis=1, keepdims=True)
        sums = sums_by_unit(residual, _units(runs.blocks[0], rows_of(column, int(g))))
        units = sums.shape[1]
        covariance = sums @ sums.T / flat.shape[1] ** 2 * units / max(units - 1, 1)
        zero = np.zeros(tables)
        noise.append(rng.multivariate_normal(zero, covariance, _LOSS_DRAWS, method="eigh"))
    drawn = centre + np.stack(noise, axis=-1).reshape(_LOSS_DRAWS, *centre.shape)
    return Measured(found, noise_of_draws(found, spread(drawn)))


def calibration_error(runs: Runs, settings: Settings, positive: int | None) -> Measured | None:
    """The expected calibration error; None where some table has no probabilities.

    Parameters
    ----------
    runs : what is compared.
    settings : of an audit: bins, confidence and seed.
    positive : index of the positive class; None where there are not two.

    Raises
    ------
    InputError : as `confidence_class`.
    """
    of = confidence_class(runs.classes, positive, settings)
    if any(table.probs is None for block in runs.blocks for table in block.flat):
        return None
    values, sums = [], []
    for block in runs.blocks:
        cells, count = _blocks(block, settings)
        for table in block.flat:
            assert table.probs is not None
            scores = row_scores(table.labels, table.predictions, table.probs, of)
            gap = scores.confidence.astype(np.float64) - scores.hits
            place = cells * settings.bins + bin_numbers(scores.confidence, settings.bins)
            size = count * settings.bins
            one = np.bincount(place, weights=gap, minlength=size).reshape(count, settings.bins)
            values.append(float(np.abs(one.sum(axis=0)).sum() / len(block)))
            if len(runs.blocks) == 1:
                sums.append(one)
    found = np.array(values).reshape(-1, 2)
    if len(runs.blocks) > 1:
        return Measured(found)
    rng = seed_of(settings.seed, "seeds", "ece")
    share = np.full(count, 1 / count)
    weights = rng.multinomial(count, share, size=_CALIBRATION_DRAWS).astype(np.float64)
    size_of_draw = (weights @ np.bincount(cells, minlength=count))[:, None]
    drawn, bias = [], []
    for one in sums:
        moved, gaps = weights @ one / size_of_draw, one.sum(axis=0) / len(block)
        drawn.append(np.abs(moved).sum(axis=1))
        # As with groups, see `shrinkage`: around bins that are as well calibrated as may be.
        spread = moved.var(axis=0)
        known = spread > 0
        chi_square = (gaps[known] ** 2 / spread[known]).sum()
        kept = gaps * kept_of(np.array(chi_square), np.array(float(known.sum())))
        bias.append(float(np.abs(moved - gaps + kept).sum(axis=1).mean() - np.abs(kept).sum()))
    several = np.stack(drawn, axis=-1).reshape(_CALIBRATION_DRAWS, *found.shape)
    uneven = float(np.mean(np.subtract(bias[::2], bias[1::2])))
    return Measured(found, noise_of_draws(found, several), uneven)


def _blocks(block: Block, settings: Settings) -> tuple[NDArray[np.integer], int]:
    """The block of rows, drawn together, that each row is in: its cluster, or one at random."""
    if block.clusters is not None:
        return block.clusters, int(block.clusters.max()) + 1
    n = len(block)
    rng = seed_of(settings.seed, "seeds", "blocks")
    return rng.permutation(n) % min(n, _BLOCKS), min(n, _BLOCKS)

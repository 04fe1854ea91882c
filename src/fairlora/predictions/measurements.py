"""Read labels and predictions that are numbers, with predicted quantiles, from a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.binning import Ranges
from fairlora.predictions.join import JoinOf
from fairlora.predictions.opened import Opened, opened_for
from fairlora.predictions.scores import NumberColumn, read_numbers
from fairlora.predictions.table import Measurements, Predictions

UNLABELED, UNPREDICTED = "without a label", "without a prediction"


def read_measurements(
    path: Path | Opened,
    label: str,
    pred: str | None,
    quantiles: Mapping[float, str],
    *,
    groups: Sequence[str] = (),
    cluster: str | None = None,
    id_column: str | None = None,
    split: str | None = None,
    bins: Mapping[str, str | Ranges] | None = None,
    joins: Sequence[JoinOf] = (),
    weight: str | None = None,
) -> Predictions:
    """Read a column of numbers, and those that predict it, with the rows' groups.

    Parameters
    ----------
    path : a file of any format that is known; or what `opened_for` made of it.
    label : column of the true number.
    pred : column of the predicted one; None where quantiles alone are predicted.
    quantiles : level -> column of the predicted quantile.
    groups, cluster, id_column, split, bins : as of `read_scores`.
    joins : files whose columns are joined by id.
    weight : column of how much each row counts.

    Raises
    ------
    InputError : nothing is predicted, a level that is none, a column that is not there or has
        words, an infinite number, or no row has all numbers.
    """
    levels = checked_levels(quantiles)
    if pred is None and not levels:
        raise InputError("nothing is predicted", where=path, expected="--pred or --quantile")
    columns = [NumberColumn("--label", label, UNLABELED)]
    if pred is not None:
        columns.append(NumberColumn("--pred", pred, UNPREDICTED))
    columns += [
        NumberColumn(f"--quantile {level_text(q)}", quantiles[q], without_quantile(q))
        for q in levels
    ]
    named: dict[str, str | None] = {one.option: one.name for one in columns}
    named |= {"cluster": cluster, "id": id_column, "weight": weight}
    opened = opened_for(path, None, groups, named, joins)
    table, numbers = read_numbers(
        opened, columns, "no row has all of these numbers",
        groups=groups, cluster=cluster, id_column=id_column, split=split, bins=bins, weight=weight,
    )  # fmt: skip
    return with_measurements(table, numbers, levels, predicted=pred is not None)


def with_measurements(
    table: Predictions,
    numbers: Sequence[NDArray[np.float64]],
    levels: Sequence[float],
    *,
    predicted: bool,
) -> Predictions:
    """A table with its measurements, and a note of quantiles that cross.

    Parameters
    ----------
    table : the rows.
    numbers : (n,) labels, predictions where there are any, and the quantile of each level.
    levels : of the quantiles, in order.
    predicted : whether there are predictions.
    """
    labels, *rest = numbers
    predictions = rest.pop(0) if predicted else None
    quantiles = dict(zip(levels, rest, strict=True))
    notes = list(table.notes)
    crossed = crossing_rows(quantiles)
    if crossed:
        notes.append(
            f"quantiles cross in {crossed:,} of {len(table):,} rows: a lower one lies above a "
            "higher one; they are counted as they are, and an interval between them holds nothing"
        )
    measured = Measurements(labels, predictions, quantiles)
    return replace(table, notes=tuple(notes), measured=measured)


def crossing_rows(quantiles: Mapping[float, NDArray[np.float64]]) -> int:
    """How many rows have a lower quantile above a higher one; the quantiles are in order."""
    if len(quantiles) < 2:
        return 0
    return int((np.diff(np.stack(list(quantiles.values())), axis=0) < 0).any(axis=0).sum())


def checked_levels(levels: Mapping[float, object]) -> list[float]:
    """The levels of quantiles in order; `InputError` for one that is not between 0 and 1."""
    for level in levels:
        if not 0 < level < 1:
            raise InputError(
                "not the level of a quantile",
                where="quantile",
                found=level,
                expected="above 0, below 1",
            )
    return sorted(levels)


def without_quantile(level: float) -> str:
    """What a row lacks that has no such quantile."""
    return f"without the {level_text(level)} quantile"


def level_text(level: float) -> str:
    """The level of a quantile as text.

    >>> level_text(0.1), level_text(0.975)
    ('0.1', '0.975')
    """
    return f"{level:.12g}"

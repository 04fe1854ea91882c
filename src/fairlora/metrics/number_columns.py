"""Columns of numbers of any kind (NumPy, pandas, Arrow, lists), and the table of their rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.groups.intersections import rows_column
from fairlora.metrics.inference.intervals import Float
from fairlora.metrics.inputs import attributes_of, index_notes
from fairlora.predictions import Predictions
from fairlora.predictions.attributes import name_of
from fairlora.predictions.containers import float_array
from fairlora.predictions.missing_labels import Kept
from fairlora.predictions.named_columns import cluster_codes
from fairlora.predictions.scores import rows_with_all, score_table
from fairlora.predictions.weights import settled_weights


def number_table(
    given: Mapping[str, tuple[Any, str]],
    groups: Any,
    clusters: Any,
    bin_groups: Mapping[str, Any] | None,
    weight: Any = None,
    nothing: str = "no row has all of these numbers",
) -> tuple[Predictions, list[Float]]:
    """The rows that have a number in every column, and (n,) numbers of each.

    Parameters
    ----------
    given : name of a column -> its values, and what a row lacks without one.
    groups, clusters, bin_groups, weight : as of `fairlora.audit`.
    nothing : what to say where no row has all of them.

    Raises
    ------
    InputError : lengths that differ, words or infinite numbers, or no row that has all numbers.
    """
    numbers = [number_column(values, where) for where, (values, _) in given.items()]
    n = len(numbers[0])
    for where, column in zip(given, numbers, strict=True):
        if len(column) != n:
            raise InputError("another length", where=where, found=len(column), expected=n)
    kept, left_out = rows_with_all(
        numbers, [lacking for _, lacking in given.values()], np.ones(n, dtype=bool)
    )
    if not kept.any():
        raise InputError(nothing, where=", ".join(given))
    weights = None
    if weight is not None:
        weights, heavy = settled_weights(weight, n, Kept(kept, left_out), "weight")
        kept, left_out = heavy.mask(n), heavy.left_out
    columns = attributes_of(groups, n, bin_groups or {}, None if kept.all() else kept)
    people = None
    if clusters is not None:
        column_of = rows_column(clusters, "clusters", n).take(np.flatnonzero(kept))
        people = cluster_codes(column_of, "clusters")
    notes = index_notes({**{name: values for name, (values, _) in given.items()}, "groups": groups})
    some = [column[kept] for column in numbers]
    table = score_table(
        some[0], columns, clusters=people, notes=notes, left_out=left_out, weights=weights,
        weighted_by=None if weight is None else name_of(weight),
    )  # fmt: skip
    return table, some


def number_column(values: Any, where: str) -> NDArray[np.float64]:
    """(n,) numbers of any container, NaN where one is missing.

    Raises `InputError` for words, infinity, and what is not one number a row.
    """
    try:
        numbers = np.asarray(float_array(values), dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError("not numbers", where=where, found=str(error)[:80]) from error
    if numbers.ndim != 1 or not len(numbers):
        raise InputError("not one number a row", where=where, found=f"shape {numbers.shape}")
    if np.isinf(numbers).any():
        raise InputError("not a finite number", where=where, found=numbers[np.isinf(numbers)][0])
    return numbers

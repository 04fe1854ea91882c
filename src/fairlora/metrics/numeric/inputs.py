"""Columns of numbers of any kind (NumPy, pandas, Arrow, lists) as one table of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fairlora.errors import InputError
from fairlora.metrics.groups.intersections import rows_column
from fairlora.metrics.inference.intervals import Float
from fairlora.metrics.inputs import attributes_of, index_notes
from fairlora.metrics.scoring import number_column
from fairlora.predictions import Predictions
from fairlora.predictions.missing_labels import Kept
from fairlora.predictions.named import name_of
from fairlora.predictions.named_columns import cluster_codes
from fairlora.predictions.scores import rows_with_all, score_table
from fairlora.predictions.weights import settled_weights


def number_table(
    given: Mapping[str, tuple[Any, str]],
    groups: Any,
    clusters: Any,
    bin_groups: Mapping[str, Any] | None,
    weight: Any = None,
) -> tuple[Predictions, list[Float]]:
    """The rows that have a number in every column, and (n,) numbers of each.

    Parameters
    ----------
    given : name of a column -> its values, and what a row lacks without one; the labels first.
    groups, clusters, bin_groups, weight : as of `fairlora.audit`.

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
        raise InputError("no row has all of these numbers", where=", ".join(given))
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

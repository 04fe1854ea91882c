"""`fairlora.audit_scores`: a score a row audited by group, without labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.assemble import Tables
from fairlora.metrics.auditing import tables_of
from fairlora.metrics.groups.intersections import columns_of, rows_column
from fairlora.metrics.inputs import attributes_of
from fairlora.metrics.result import ScoreResult
from fairlora.metrics.scores import check_score_settings, origin_of, score_content
from fairlora.metrics.settings import Settings
from fairlora.predictions import Predictions
from fairlora.predictions.containers import float_array
from fairlora.predictions.missing_labels import Kept
from fairlora.predictions.named import name_of
from fairlora.predictions.named_columns import cluster_codes
from fairlora.predictions.scores import UNSCORED, score_table
from fairlora.predictions.weights import settled_weights


def audit_scores(
    scores: Any,
    groups: Any,
    *,
    clusters: Any = None,
    bin_groups: Mapping[str, Any] | None = None,
    weight: Any = None,
    **options: Any,
) -> ScoreResult:
    """Audit a score across groups: means, gaps, what chance gives; no label is needed.

    Parameters
    ----------
    scores : (n,) numbers; those that are missing (NaN) are left out and counted. Of 0 and 1 alone
        the means are rates.
    groups, clusters, bin_groups, weight : as of `fairlora.audit`.
    options : of `Settings`: level, min_group, bootstrap, seed, intersect, max_groups,
        missing_group.

    Raises
    ------
    InputError : lengths that differ, scores that are no numbers, or none at all.

    >>> result = audit_scores([1, 1, 0, 0], {"sex": ["f", "f", "m", "m"]}, min_group=1)
    >>> result.to_dict()["disparities"]["sex"]["score_gap"]["value"]
    1.0
    """
    values = number_column(scores, "scores")
    n = len(values)
    kept = ~np.isnan(values)
    if not kept.any():
        raise InputError("no row has a score", where="scores")
    lost = {} if kept.all() else {UNSCORED: int((~kept).sum())}
    weights = None
    if weight is not None:
        weights, some = settled_weights(weight, n, Kept(kept, lost), "weight")
        kept, lost = some.mask(n), some.left_out
    columns = attributes_of(groups, n, bin_groups or {}, None if kept.all() else kept)
    people = None
    if clusters is not None:
        column = rows_column(clusters, "clusters", n).take(np.flatnonzero(kept))
        people = cluster_codes(column, "clusters")
    table = score_table(
        values[kept],
        columns,
        clusters=people,
        left_out=lost,
        weights=weights,
        weighted_by=None if weights is None else name_of(weight),
    )
    return audit_score_table(table, **options)


def audit_score_table(
    predictions: Predictions, settings: Settings | None = None, **options: Any
) -> ScoreResult:
    """Audit a table of scores; see `audit_scores`. `options` are the fields of `Settings`."""
    settings = Settings(**options) if settings is None else settings
    check_score_settings(settings)
    columns = columns_of(predictions.groups, len(predictions), settings)
    tables, origin = tables_of_scores(predictions, settings)
    return ScoreResult(score_content(tables, predictions, columns, settings, origin))


def tables_of_scores(predictions: Predictions, settings: Settings) -> tuple[Tables, float]:
    """The tables of scores, and what was taken from every score first; see `origin_of`."""
    assert predictions.scores is not None
    origin = origin_of(predictions.scores)
    moved = replace(predictions, scores=predictions.scores - origin) if origin else predictions
    return tables_of(moved, settings), origin


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

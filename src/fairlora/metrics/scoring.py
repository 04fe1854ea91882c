"""`fairlora.audit_scores`: a score a row audited by group, without labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fairlora.metrics.counting import Tables, tables_of
from fairlora.metrics.groups.intersections import columns_of
from fairlora.metrics.number_columns import number_table
from fairlora.metrics.result import ScoreResult
from fairlora.metrics.scores import check_score_settings, origin_of, score_content
from fairlora.metrics.settings import Settings
from fairlora.predictions import Predictions
from fairlora.predictions.scores import UNSCORED


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
    given = {"scores": (scores, UNSCORED)}
    table, _ = number_table(given, groups, clusters, bin_groups, weight, "no row has a score")
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

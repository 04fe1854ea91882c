"""From measurements to the content of their audit: each number is judged by the score engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.content import Number, Pair
from fairlora.metrics.counting import OVERALL, Table, Tables, effective_key, everyone
from fairlora.metrics.groups.disparity import MOST_PAIRED
from fairlora.metrics.groups.gaps import extreme, pairwise, signed_differences
from fairlora.metrics.groups.intersections import columns_of, crossed_name
from fairlora.metrics.groups.missing import NOT_COMPARED, missing_warning
from fairlora.metrics.inference.intervals import Float
from fairlora.metrics.numeric.content import NumericContent
from fairlora.metrics.numeric.groups import GroupRanks, GroupRoots
from fairlora.metrics.numeric.ranks import rank_influence, ranks_of
from fairlora.metrics.numeric.values import RowValues, row_values
from fairlora.metrics.numeric.worst import farthest, highest
from fairlora.metrics.scores import GroupMeans, gap_of_groups, known_rows, warn_small
from fairlora.metrics.scoring import tables_of_scores
from fairlora.metrics.settings import Settings
from fairlora.predictions import GroupColumn, Predictions
from fairlora.predictions.arrow import MISSING
from fairlora.predictions.measurements import crossing_rows
from fairlora.predictions.missing_labels import left_out_note
from fairlora.predictions.scores import scored
from fairlora.predictions.spellings import odd_groups

Rows = NDArray[np.intp]
# The table of some rows (None is all), an attribute, its column -> its groups' numbers.
Make = Callable[[Table, str, GroupColumn, Rows | None], GroupMeans]
_PAIRED = ("bias", "mae", "rmse", "rank_correlation")
_DIFFERENCES = ("label", "prediction", "bias", "mae", "rmse")


@dataclass(frozen=True)
class _Metric:
    """One number of the audit: what makes it of a table, and how it is judged."""

    row: RowValues
    tables: Tables
    make: Make

    @property
    def path(self) -> tuple[str, ...]:
        return self.row.path


def numeric_content(predictions: Predictions, settings: Settings) -> NumericContent:
    """The content of an audit of a table that has measurements.

    Parameters
    ----------
    predictions : the table.
    settings : of the audit.

    Raises
    ------
    InputError : numbers that cannot be squared, or as `columns_of`.
    """
    measured = predictions.measured
    assert measured is not None
    columns = columns_of(predictions.groups, len(predictions), settings)
    warnings = list(predictions.notes)
    if predictions.left_out:
        warnings.append(left_out_note(predictions.left_out, len(predictions)))
    overall: dict[str, Any] = {}
    by_group: dict[str, dict[str, dict[str, Any]]] = {attribute: {} for attribute in columns}
    disparities: dict[str, dict[str, Any]] = {attribute: {} for attribute in columns}
    pairs: dict[str, list[Pair]] = {attribute: [] for attribute in columns}
    alone = GroupColumn((OVERALL,), everyone(len(predictions)))
    clusters = None
    for k, metric in enumerate(_metrics(predictions, settings)):
        tables = metric.tables
        clusters = tables.everyone.clustered and tables.everyone.clustered.count
        _put(overall, metric.path, metric.make(tables.everyone, OVERALL, alone, None).number(0))
        for attribute, table in tables.attributes.items():
            column, known = columns[attribute], known_rows(columns[attribute], table)
            if k == 0:
                by_group[attribute] = _heads(table, settings)
                _warn(attribute, table, len(predictions), settings, warnings)
            some = column if known is None else column.take(known)
            groups = metric.make(table, attribute, some, known)
            if k == 0:
                warn_small(attribute, table.tally, groups.inside, settings, warnings)
            _put_groups(by_group[attribute], metric, groups)
            if table.missing is not None:
                without = np.flatnonzero(column.contains(MISSING))
                there = metric.make(table.missing, attribute, column.take(without), without)
                _put(by_group[attribute][MISSING], metric.path, there.number(0))
            values = metric.row.values if known is None else metric.row.values[known]
            _put_gaps(disparities[attribute], metric, groups, values, some, attribute)
            if metric.path[0] in _PAIRED and len(groups.tally.names) <= MOST_PAIRED:
                names, level = groups.tally.names, settings.level
                pairs[attribute] += pairwise(groups.inside, names, level, metric.path[0])
    shown = {name: v for name, v in settings.shown().items() if name not in ("bins", "confidence")}
    weighted: dict[str, Any] = {}
    if predictions.weights is not None:
        shown["weight"] = predictions.weighted_by
        weighted = effective_key(tables.everyone.tally, 0)
        warnings.append("the rank correlation is not given where rows have weights")
    return NumericContent.model_validate(
        {
            "n": len(predictions),
            **weighted,
            "left_out": dict(predictions.left_out),
            "quantiles": list(measured.quantiles),
            "crossing": crossing_rows(measured.quantiles),
            "settings": shown | ({} if clusters is None else {"clusters": clusters}),
            "overall": overall,
            "by_group": by_group,
            "disparities": disparities,
            "pairwise": pairs,
            "warnings": warnings,
        }
    )


def _metrics(predictions: Predictions, settings: Settings) -> list[_Metric]:
    measured = predictions.measured
    assert measured is not None
    out = []
    for row in row_values(measured):
        table = scored(predictions, row.values, binary=row.share)
        tables, origin = tables_of_scores(table, settings)
        kind = GroupRoots if row.root else GroupMeans

        def make(
            table: Table, attribute: str, column: GroupColumn, rows: Rows | None,
            kind: type[GroupMeans] = kind, share: bool = row.share, origin: float = origin,
        ) -> GroupMeans:  # fmt: skip
            return kind(table, share, settings, attribute, origin)

        out.append(_Metric(row, tables, make))
        # Ranks have no weights that all would agree on.
        if row.root and measured.predictions is not None and predictions.weights is None:
            out.append(_ranks(predictions, measured.labels, measured.predictions, settings))
    return out


def _ranks(
    predictions: Predictions, labels: Float, predicted: Float, settings: Settings
) -> _Metric:
    influence = rank_influence(labels, predicted)[1]
    row = RowValues(("rank_correlation",), influence)
    tables, _ = tables_of_scores(scored(predictions, influence, binary=False), settings)
    why = "all labels, or all predictions, are alike"

    def make(table: Table, attribute: str, column: GroupColumn, rows: Rows | None) -> GroupMeans:
        y, p, clusters = labels, predicted, predictions.clusters
        if rows is not None:
            y, p = y[rows], p[rows]
            clusters = None if clusters is None else clusters[rows]
        return GroupRanks(table, settings, attribute, ranks_of(y, p, column, clusters), why)

    return _Metric(row, tables, make)


def _heads(table: Table, settings: Settings) -> dict[str, dict[str, Any]]:
    """Each group's rows, those without a group value last."""
    rows = [(name, table.tally, g) for g, name in enumerate(table.tally.names)]
    if table.missing is not None:
        rows.append((MISSING, table.missing.tally, 0))
    return {
        group: {
            "n": int(tally.n[g]),
            **effective_key(tally, g),
            "small": bool(tally.effective[g] < settings.min_group),
            "missing": table.missing is not None and tally is table.missing.tally,
        }
        for group, tally, g in rows
    }


def _put(out: dict[str, Any], path: tuple[str, ...], number: Number) -> None:
    for key in path[:-1]:
        out = out.setdefault(key, {})
    out[path[-1]] = number


def _put_groups(
    by_group: Mapping[str, dict[str, Any]], metric: _Metric, groups: GroupMeans
) -> None:
    against = None
    if metric.path[0] in _DIFFERENCES:
        against = signed_differences(groups.against(), groups.settings.level)
    for g, group in enumerate(groups.tally.names):
        _put(by_group[group], metric.path, groups.number(g))
        if against is not None:
            by_group[group][f"{metric.path[0]}_difference"] = against[g]
    if against is not None:
        for numbers in by_group.values():
            if numbers["missing"]:
                none = Number.undefined(NOT_COMPARED)
                numbers[f"{metric.path[0]}_difference"] = none


def _put_gaps(
    out: dict[str, Any],
    metric: _Metric,
    groups: GroupMeans,
    values: Float,
    column: GroupColumn,
    attribute: str,
) -> None:
    *start, last = metric.path
    names, level = groups.tally.names, groups.settings.level
    _put(out, (*start, f"{last}_gap"), gap_of_groups(groups, values, column, attribute))
    place = (*start, f"{last}_worst")
    if metric.row.worst == "highest":
        _put(out, place, highest(groups.inside, names, level))
    elif metric.row.worst == "farthest":
        _put(out, place, farthest(groups.inside, metric.row.target, names, level))
    elif last == "rank_correlation":
        _put(out, place, extreme([groups.inside], names, level))


def _warn(attribute: str, table: Table, n: int, settings: Settings, warnings: list[str]) -> None:
    if table.missing is not None:
        rows = int(table.missing.tally.n.sum())
        warnings.append(missing_warning(attribute, rows, n))
    if attribute not in {crossed_name(one) for one in settings.intersect}:
        warnings += odd_groups(attribute, table.tally.names)

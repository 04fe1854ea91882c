"""The audit: every group metric of a set of predictions, put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fairlora.errors import InputError
from fairlora.metrics.assemble import assemble
from fairlora.metrics.content import Subgroups
from fairlora.metrics.counting import tables_of
from fairlora.metrics.curves.by_group import add_curves
from fairlora.metrics.details import Rows
from fairlora.metrics.groups.subgroups import search
from fairlora.metrics.inputs import positive_name, predictions_of
from fairlora.metrics.result import AuditResult
from fairlora.metrics.settings import (
    Confidence,
    MissingGroup,
    Settings,
    SubgroupMetric,
    points_of,
)
from fairlora.metrics.stream import audit_stream
from fairlora.predictions import Predictions, read_table
from fairlora.predictions.classes import MissingLabel, class_rules
from fairlora.predictions.join import JoinOf, joins_of
from fairlora.predictions.opened import Opened
from fairlora.predictions.opened_any import open_any
from fairlora.predictions.splits import AUTO


def audit(
    labels: Any,
    predictions: Any = None,
    groups: Any = None,
    probs: Any = None,
    *,
    label: str | None = None,
    pred: str | None = None,
    split: str | None = None,
    join: Mapping[Any, str] | None = None,
    loss: Any = None,
    classes: Any = None,
    missing_label: MissingLabel = "refuse",
    ignore_label: Any = None,
    bin_groups: Mapping[str, Any] | None = None,
    positive: Any = None,
    min_group: int = 10,
    bins: int = 15,
    confidence: Confidence = "top",
    bootstrap: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    clusters: Any = None,
    weight: Any = None,
    intersect: Sequence[Sequence[str]] = (),
    subgroups: int = 0,
    subgroup_size: int = 30,
    subgroup_metric: SubgroupMetric = "accuracy",
    suggests: Mapping[str, Mapping[str, str]] | None = None,
    power: float | None = None,
    max_groups: int | None = None,
    missing_group: MissingGroup = "show",
    four_fifths: bool = False,
    curves: bool = False,
    at: Mapping[str, float | Sequence[float]] | None = None,
) -> AuditResult:
    """Audit predictions across subgroups.

    Parameters
    ----------
    labels, predictions : (n,) true and predicted classes, numbers, words or truth values: NumPy,
        pandas, polars, Arrow, torch, lists. The same values give the same audit in each. Whole
        numbers and categorical or dictionary columns are the fastest.
    groups : attribute -> (n,) group names, or lists of names for overlapping groups; or a frame
        (pandas, polars, Arrow, `datasets`, or what hands over its columns by the Arrow PyCapsule
        protocol), a Series, an index, an array of one or two dimensions or of records, a list. A
        missing value is shown as ``"(missing)"``; see `missing_group`.
        In place of both, a file or a table as `labels`: a path, or a frame with its columns named
        by `label`, `pred`, `groups`, `probs` (a column, or the prefix of one a class), `clusters`
        and `weight`. Formats: docs/formats.md.
    label, pred : columns of a table. Those of a table of fairlora are known.
    split : of a table, the rows of this split alone; default "test", where there is one.
    join : file -> the column of ids by which its columns are joined to a table.
    probs : (n, c) probabilities: a frame or a dict of columns named as the classes, or an array in
        the order of the classes; or (n,) of the positive class.
    loss : (n,) losses, for the loss variance; default: cross-entropy from `probs`.
    classes : all classes in order, as labels have them (``model.classes_``); default those that
        occur, numbers by size and words by letter.
    missing_label : "refuse" a missing label or prediction, "drop" and count such rows, or "keep" a
        word such as "NA" as a class.
    ignore_label : a label, or several, whose rows are left out and counted (-100).
    bin_groups : attribute -> edges ([18, 30, 45]) or "quantiles:4": numbers audited as ranges.
    positive : the positive class of a binary label; default the last in order.
    min_group : a rate with a smaller denominator is left out of maxima and spreads.
    bins, confidence : of the calibration; "top" is the predicted label's probability, "positive"
        the positive class's (as torchmetrics and netcal take two classes).
    bootstrap, seed : bootstrap draws, and the seed of everything drawn. With 0 draws intervals rest
        on closed forms alone, and `expected_by_chance` is left out.
    level : of all intervals.
    clusters : (n,) names of clusters (a person, a family of pictures) whose rows are resampled
        together.
    weight : (n,) how much each row counts, from 0 (survey or exposure weights): every metric and
        its interval is then by weights, and sizes are effective ones.
    intersect : pairs or more of attributes whose combinations are audited too, as "a&b".
    subgroups, subgroup_size : search all conjunctions of so many attributes at most, of so many
        rows at least, for the worst; 0 searches none.
    subgroup_metric : what the search compares: accuracy, selection_rate, tpr or fpr.
    suggests : attribute -> group -> the class that the group would suggest, for
        `sensitive_agreement`.
    power : a difference; the audit then says how many examples each group would need to show it.
    max_groups : more groups than this are taken for ids or measurements; default 1,000 names, or
        60 numbers.
    missing_group : rows without a group value may be of any group: "show" shows them, and leaves
        them out of every comparison between groups; "keep" takes them as a group of their own.
    four_fifths : whether to add each group's selection rate over the highest, with a verdict
        against the four-fifths rule of US employment law.
    curves : whether to add ROC and precision-recall curves by group with bands, AUC and average
        precision; of two classes with probabilities.
    at : "threshold", "sensitivity" or "specificity" -> a number, or several: the sensitivity and
        specificity of each group there; at a rate, at the threshold of all rows that reaches it and
        at each group's own, with intervals that know that the threshold is estimated.

    Raises `InputError` for lengths that differ, missing labels, labels and predictions that share
    no value, probabilities that are none or that disagree with the predictions more than any
    threshold explains, an unknown positive class, or an attribute of too many groups.

    >>> result = audit([1, 1, 0, 0], [1, 0, 0, 0], {"sex": ["f", "f", "m", "m"]}, min_group=1)
    >>> result.to_dict()["overall"]["accuracy"]["value"]
    0.75
    >>> gap = result.to_dict()["disparities"]["sex"]["accuracy_gap"]
    >>> gap["value"], gap["worst"]
    (0.5, 'f')
    """
    if labels is None:
        raise InputError(
            "no labels",
            where="labels",
            found="None",
            expected="(n,) true classes; decisions without any: fairlora.audit_decisions",
        )
    settings = Settings(
        positive=None if positive is None else positive_name(positive),
        min_group=min_group,
        bins=bins,
        confidence=confidence,
        bootstrap=bootstrap,
        seed=seed,
        level=level,
        intersect=tuple(tuple(names) for names in intersect),
        subgroups=subgroups,
        subgroup_size=subgroup_size,
        subgroup_metric=subgroup_metric,
        suggests=suggests or {},
        power=power,
        max_groups=max_groups,
        missing_group=missing_group,
        four_fifths=four_fifths,
        curves=curves,
        at=points_of(at or {}),
    )
    if predictions is None:
        for name, given in (("clusters", clusters), ("weight", weight)):
            if given is not None and not isinstance(given, str):
                raise InputError(
                    "no column of the table",
                    where=name,
                    found=type(given).__name__,
                    expected="its name",
                )
        columns = {
            "label": label,
            "pred": pred,
            "probs": probs,
            "groups": tuple([groups] if isinstance(groups, str) else groups or ()),
            "cluster": clusters,
            "positive": settings.positive,
            "rules": class_rules(classes, missing_label, ignore_label),
            "bins": bin_groups or {},
            "weight": weight,
        }
        joins = joins_of([Path(path) for path in join or ()], [*(join or {}).values()])
        return audit_table(labels, columns, split=split, joins=joins, settings=settings)
    if groups is None:
        raise InputError("no groups", where="groups", expected="attribute -> group names")
    table = predictions_of(
        labels,
        predictions,
        groups,
        probs,
        loss=loss,
        classes=classes,
        missing_label=missing_label,
        ignore_label=ignore_label,
        clusters=clusters,
        positive=positive,
        bin_groups=bin_groups,
        weight=weight,
    )
    return audit_predictions(table, settings)


def audit_table(
    table: Any,
    columns: Mapping[str, Any],
    *,
    split: str | None = None,
    joins: Sequence[JoinOf] = (),
    settings: Settings | None = None,
    progress: Callable[[int, int], None] | None = None,
    decided: Callable[[Predictions], Predictions] | None = None,
) -> AuditResult:
    """Audit a file or a table by the names of its columns; what is too large streams by.

    Parameters
    ----------
    table : a path (``-`` is standard input), or a table of Arrow, pandas or polars, or column ->
        values.
    columns : label, pred, probs, groups, positive, cluster, rules, bins and weight of `read_table`.
    split : rows of this split alone; default "test", where there is one.
    joins : files whose columns are joined by id.
    settings : as of `audit`.
    progress : called with the rows done and the rows to do, where rows stream.
    decided : decides otherwise, by thresholds; the rows are then in memory.

    Raises
    ------
    InputError : all that `read_table` and `audit` refuse.
    """
    settings = Settings() if settings is None else settings
    opened = table if isinstance(table, Opened) else open_any(table, columns, joins)
    by_rows = (settings.subgroups or settings.curves or settings.at) and not opened.is_folder
    in_memory = columns["cluster"] is not None or by_rows or decided is not None
    if opened.streams and not in_memory:
        given = {name: value for name, value in columns.items() if name != "cluster"}
        return audit_stream(opened, split=split, settings=settings, progress=progress, **given)
    predictions = read_table(opened, **columns, split=split or AUTO)
    if not predictions.groups:
        raise InputError("no group column named", where="--group", expected="at least one")
    if decided is not None:
        predictions = decided(predictions)
    return audit_predictions(predictions, settings)


def audit_predictions(
    predictions: Predictions, settings: Settings | None = None, **options: Any
) -> AuditResult:
    """Audit a predictions table; see `audit`. Rows of all its splits are counted together.

    `options` are the fields of `Settings`, for those who do not make one.
    """
    settings = Settings(**options) if settings is None else settings
    if predictions.scores is not None:
        raise InputError("scores have no labels", expected="fairlora.audit_scores")
    content = assemble(tables_of(predictions, settings), settings)
    if settings.subgroups:
        content.subgroups = _search(predictions, settings, content.positive)
    if settings.curves or settings.at:
        add_curves(content, predictions, settings)
    return AuditResult(content, Rows(predictions, settings))


def _search(predictions: Predictions, settings: Settings, positive: str | None) -> Subgroups:
    """Subgroups of the named attributes; crossed ones are conjunctions already."""
    for given, values in (("clusters", predictions.clusters), ("weights", predictions.weights)):
        if values is not None:
            raise InputError(
                "a search for subgroups takes rows as independent, and all alike",
                where="subgroups",
                found=given,
                expected="one or the other",
            )
    y, h = predictions.labels, predictions.predictions
    metric = settings.subgroup_metric
    hits, rows = y == h, None
    if metric != "accuracy":
        if positive is None:
            raise InputError(
                f"{metric} needs two classes",
                where="subgroup_metric",
                found=f"{len(predictions.classes)} classes",
                expected="accuracy",
            )
        c = predictions.classes.index(positive)
        hits = h == c
        rows = {"tpr": y == c, "fpr": y != c}.get(metric)
    draws = max(settings.bootstrap // 2, 99)
    found = search(
        predictions.groups,
        np.asarray(hits),
        settings.subgroups,
        settings.subgroup_size,
        rows=rows,
        low_is_worst=metric != "fpr",
        draws=draws,
        seed=settings.seed,
        level=settings.level,
        missing_group=settings.missing_group,
    )
    return Subgroups(
        metric=metric,
        depth=settings.subgroups,
        min_size=settings.subgroup_size,
        draws=draws,
        tested=found.tested,
        too_small=found.too_small,
        worst=found.worst,
        ranked=found.ranked,
    )

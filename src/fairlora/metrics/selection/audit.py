"""Audit decisions without labels: rows, arrays or a table of counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from fairlora.errors import InputError
from fairlora.metrics.counting import tables_of
from fairlora.metrics.groups.intersections import rows_column
from fairlora.metrics.inputs import predictions_of
from fairlora.metrics.result import DotsResult, GroupedResult
from fairlora.metrics.selection.assemble import assemble_selection
from fairlora.metrics.selection.content import SelectionContent
from fairlora.metrics.selection.counts import numbers_of, tables_of_counts
from fairlora.metrics.selection.page import selection_page
from fairlora.metrics.selection.standards import Standard, standard_named, unknown_as_missing
from fairlora.metrics.settings import Settings
from fairlora.predictions import GroupColumn, Predictions
from fairlora.predictions.attributes import named_columns
from fairlora.predictions.spellings import class_named, shown
from fairlora.predictions.weights import refuse_weights
from fairlora.report.page import Page


@dataclass(frozen=True, repr=False)
class SelectionResult(DotsResult[SelectionContent], GroupedResult[SelectionContent]):
    """What an audit without labels found: selection rates, gaps and impact ratios by group."""

    title: ClassVar[str] = "Audit of decisions"

    def page(self, title: str) -> Page:
        """Return the audit as a page."""
        return selection_page(self.content, title)


def audit_counts(
    count: Any,
    selected: Any,
    groups: Any,
    *,
    standard: str | None = None,
    unknown: Any = (),
    names: tuple[str, str] = ("count", "selected"),
    **options: Any,
) -> SelectionResult:
    """Audit a table of counts: one row a group, or a combination of groups.

    Parameters
    ----------
    count, selected : (m,) people of each row, and those of them who were selected.
    groups : attribute -> (m,) groups of the rows; or a frame, or a column.
    standard : "nyc-ll144" for the tables of New York City's Local Law 144; None for none.
    unknown : words for a group that is not known, such as "Unknown".
    names : what `count` and `selected` are called, for messages.
    options : of `fairlora.audit` that need no labels: min_group, level, seed, bootstrap, intersect,
        missing_group, max_groups.

    Raises
    ------
    InputError : counts that are none, more selected than there are, a row that is a sum.

    >>> result = audit_counts([100, 100], [50, 35], {"sex": ["m", "f"]})
    >>> ratio = result.to_dict()["by_group"]["sex"]["f"]["impact_ratio"]
    >>> ratio["value"], ratio["four_fifths"], ratio["equal"]
    (0.7, 'not shown', 'below')
    """
    rules = standard_named(standard)
    columns = {
        name: rows_column(values, f"groups[{name!r}]", None)
        for name, values in named_columns(groups).items()
    }
    settings = _settings(options, rules, columns)
    columns, notes = unknown_as_missing(columns, _words(unknown, rules))
    tables = tables_of_counts(count, selected, columns, settings, names=names)
    tables.warnings[:0] = notes
    return SelectionResult(assemble_selection(tables, settings, "selected", rules))


def audit_decisions(
    predictions: Any,
    groups: Any,
    *,
    scores: Any = None,
    positive: Any = None,
    standard: str | None = None,
    unknown: Any = (),
    clusters: Any = None,
    missing_label: Any = "refuse",
    bin_groups: Mapping[str, Any] | None = None,
    weight: Any = None,
    **options: Any,
) -> SelectionResult:
    """Audit decisions, or scores, that have no label.

    Parameters
    ----------
    predictions : (n,) decisions; None where `scores` are given.
    groups : attribute -> (n,) group names; or a frame, a column, or names.
    scores : (n,) numbers: selected are those above the median of all that have one.
    positive : the decision that selects; default the last of two in order.
    standard, unknown : as of `audit_counts`.
    clusters, missing_label, bin_groups, weight : as of `fairlora.audit`.
    options : as of `audit_counts`.

    Raises
    ------
    InputError : everything that `fairlora.audit` refuses; more than two decisions and none named as
        the one that selects.
    """
    notes: list[str] = []
    if scores is not None:
        predictions, notes = above_median(scores)
        missing_label, positive = "drop", "True"
    table = predictions_of(
        predictions,
        predictions,
        groups,
        missing_label=missing_label,
        clusters=clusters,
        bin_groups=bin_groups,
        weight=weight,
    )
    table = replace(table, notes=(*notes, *table.notes))
    options["positive"] = None if positive is None else str(positive)
    return audit_selection(
        table, options, standard=standard, unknown=unknown, scored=scores is not None
    )


def audit_selection(
    predictions: Predictions,
    options: Mapping[str, Any],
    *,
    standard: str | None = None,
    unknown: Any = (),
    scored: bool = False,
) -> SelectionResult:
    """Audit a predictions table whose labels are its predictions; see `audit_decisions`.

    Parameters
    ----------
    predictions : the table.
    options : fields of `Settings`.
    standard, unknown : as of `audit_counts`.
    scored : whether the selected are those of scores above the median.
    """

    rules = standard_named(standard)
    if rules is not None or scored:
        refuse_weights(predictions, "a law's table" if rules is not None else "a median of scores")
    settings = _settings(options, rules, predictions.groups)
    index, notes = _selected(predictions.classes, settings.positive)
    named = "above the median" if scored else predictions.classes[index]
    columns, unknown_notes = unknown_as_missing(dict(predictions.groups), _words(unknown, rules))
    chosen = (predictions.predictions == index).astype(np.int64)
    binary = replace(
        predictions,
        labels=chosen,
        predictions=chosen,
        classes=("not selected", "selected"),
        groups=columns,
        probs=None,
        loss=None,
        notes=(*predictions.notes, *notes, *unknown_notes),
    )
    tables = tables_of(binary, settings.model_copy(update={"positive": "selected"}))
    return SelectionResult(assemble_selection(tables, settings, named, rules))


def above_median(scores: Any, name: str = "scores") -> tuple[Any, list[str]]:
    """Whether each score is above the median of all that there are, and a note of the median.

    A missing score is neither: None. `name` is what the scores are called.
    """
    numbers = numbers_of(scores, name)
    known = ~np.isnan(numbers)
    if not known.any():
        raise InputError("no scores", where=name, found="missing values alone")
    median = float(np.median(numbers[known]))
    above: Any = numbers > median
    level = int((numbers[known] == median).sum())
    notes = [
        f"selected means a score above {median:g}, the median of {int(known.sum()):,} scores"
        + (f"; {level:,} are level with it" if level > 1 else "")
    ]
    if not known.all():
        above = above.astype(object)
        above[~known] = None
    return above, notes


def _settings(
    options: Mapping[str, Any], rules: Standard | None, columns: Mapping[str, GroupColumn]
) -> Settings:
    settings = Settings(**options)
    for name in ("power", "suggests", "subgroups", "curves", "at"):
        if getattr(settings, name):
            raise InputError("needs labels", where=name, expected="labels, or none of this")
    if rules is None:
        return settings
    if not settings.intersect and len(columns) == 2:
        # The law asks for both attributes and for their combinations.
        settings = settings.model_copy(update={"intersect": (tuple(columns),)})
    return settings.model_copy(update={"min_group": 0})


def _words(unknown: Any, rules: Standard | None) -> frozenset[str]:
    words = [unknown] if isinstance(unknown, str) else list(unknown)
    own = frozenset(str(word).strip().casefold() for word in words)
    return own if rules is None else own | rules.unknown


def _selected(classes: tuple[str, ...], positive: str | None) -> tuple[int, list[str]]:
    """Index of the decision that selects, and what was assumed."""
    if positive is not None:
        meant = class_named(positive, classes)
        if meant is None:
            raise InputError(
                "no such decision",
                where="positive",
                found=repr(positive),
                expected="one of " + ", ".join(map(shown, classes)),
            )
        return list(classes).index(meant), []
    if len(classes) != 2:
        raise InputError(
            "which decision selects?",
            where="positive",
            found=f"{len(classes)} decisions: " + ", ".join(map(shown, classes[:8])),
            expected="the one that selects: --positive NAME (positive=)",
        )
    return 1, [f"no decision was named: {classes[1]!r} is taken as selected (--positive)"]

"""Read a batch of predictions, and keep its tallies alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fairlora.errors import InputError
from fairlora.metrics.counting import OVERALL, everyone
from fairlora.metrics.counts.tally import tally_scores
from fairlora.metrics.groups.intersections import check_groups, columns_of
from fairlora.metrics.settings import Settings
from fairlora.metrics.stream import parts_of
from fairlora.predictions import GroupColumn, read_table
from fairlora.predictions.decode import one_column_note
from fairlora.predictions.opened import Opened
from fairlora.predictions.splits import AUTO
from fairlora.predictions.streaming import PredictionStream

# Attribute, group, label, prediction; attribute and group are None of all rows, and the label of
# decisions.
Key = tuple[str | None, str | None, str | None, str]
Tallies = Counter[Key]
# Rows that are counted at once.
_BLOCK = 1 << 16


@dataclass
class Batch:
    """What a batch adds up to.

    Attributes
    ----------
    rows : how many were counted.
    attributes : in the order in which they were named.
    classes : that its rows have, or that were stated.
    decisions : rows by group and prediction.
    labels : rows by group, label and prediction; None where there are no labels yet.
    notes : what was assumed or left out, for people.
    left_out : reason -> rows.
    """

    rows: int
    attributes: tuple[str, ...]
    classes: tuple[str, ...]
    decisions: Tallies
    labels: Tallies | None
    notes: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)


def read_batch(
    opened: Opened,
    columns: Mapping[str, Any],
    settings: Settings,
    *,
    labelled: bool,
    split: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Batch:
    """Count a batch by group; what is too large streams by.

    Parameters
    ----------
    opened : the file, opened for its columns.
    columns : label, pred, groups, positive, rules and bins, as of `read_table`.
    settings : of an audit, of which `intersect` and `max_groups` count.
    labelled : whether there are labels; without them the predictions are taken for both.
    split : rows of this split alone; None takes "test" where there is one.
    progress : called with the rows done and the rows to do, where rows stream.

    Raises
    ------
    InputError : all that `read_table` refuses, no group column, or too many groups.
    """
    if not labelled:
        columns = {**columns, "label": columns["pred"]}
    found: Tallies = Counter()
    if opened.streams:
        most = settings.max_groups
        stream = PredictionStream(
            opened,
            split=split,
            check_groups=lambda name, names, rows: check_groups(name, names, rows, most),
            progress=progress,
            **columns,
        )
        rows, classes = 0, stream.classes
        attributes: tuple[str, ...] = ()
        for chunk in stream.chunks():
            parts = parts_of(chunk, stream, settings)
            attributes = tuple(name for name in parts if name != OVERALL)
            rows += len(chunk.labels)
            _count(found, chunk.labels, chunk.predictions, classes, parts)
        notes, left_out = list(stream.notes), dict(stream.left_out)
    else:
        table = read_table(opened, **columns, split=split or AUTO)
        if not table.groups:
            raise InputError("no group column named", where="--group", expected="at least one")
        groups = columns_of(table.groups, len(table), settings)
        rows, classes, attributes = len(table), table.classes, tuple(groups)
        whole = {**groups, OVERALL: GroupColumn((OVERALL,), everyone(rows))}
        _count(found, table.labels, table.predictions, classes, whole)
        notes, left_out = list(table.notes), dict(table.left_out)
    if not labelled:  # one column was taken for both on purpose
        notes = [note for note in notes if note != one_column_note(columns["pred"])]
    if not rows:
        raise InputError("no rows", where=opened.path, expected="at least one")
    decisions: Tallies = Counter()
    for (attribute, group, _, pred), n in found.items():
        decisions[attribute, group, None, pred] += n
    return Batch(rows, attributes, classes, decisions, found if labelled else None, notes, left_out)


def _count(
    found: Tallies,
    labels: np.ndarray[Any, Any],
    predictions: np.ndarray[Any, Any],
    classes: tuple[str, ...],
    columns: Mapping[str, GroupColumn],
) -> None:
    """Add rows to the tallies, block by block: what is between stays in the processor's cache."""
    for attribute, column in columns.items():
        tally = None
        for start in range(0, len(labels), _BLOCK):
            part = slice(start, start + _BLOCK)
            block = GroupColumn(column.names, column.codes[part], column.lists)
            one = tally_scores(labels[part], predictions[part], len(classes), block, None)
            tally = one if tally is None else tally + one
        if tally is None:
            continue
        for g, label, pred in np.argwhere(tally.counts > 0).tolist():
            where = (None, None) if attribute == OVERALL else (attribute, tally.names[g])
            found[(*where, classes[label], classes[pred])] += int(tally.counts[g, label, pred])

"""Two predictions tables brought to the same rows in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.table import Predictions


def paired_rows(
    first: Predictions, second: Predictions, path: Path, other: Path
) -> tuple[Predictions, Predictions]:
    """Both tables with `first`'s order and classes, paired by id.

    Raises `InputError` that names the file and the id where the ids are not the same, where one
    stands twice, or where a row has another label.
    """
    for table, where in ((first, path), (second, other)):
        found, counts = np.unique(table.ids.astype(str), return_counts=True)
        if (counts > 1).any():
            twice = found[int(np.flatnonzero(counts > 1)[0])]
            raise InputError("an id stands twice", where=where, found=repr(str(twice)))
    mine, theirs = first.ids.astype(str), second.ids.astype(str)
    alone = np.setdiff1d(mine, theirs)
    extra = np.setdiff1d(theirs, mine)
    if len(alone) or len(extra):
        where, one = (other, alone[0]) if len(alone) else (path, extra[0])
        raise InputError(
            "not the same rows in both files",
            where=where,
            found=f"no row {str(one)!r} ({len(alone) + len(extra):,} rows stand in one file alone)",
            expected="the same ids in both; --id names the column that pairs them",
        )
    order = np.argsort(theirs)
    second = second.take(order[np.searchsorted(theirs[order], mine)])
    names = common_classes([first, second])
    first, second = over_classes(first, names), over_classes(second, names)
    changed = first.labels != second.labels
    if changed.any():
        row = int(np.flatnonzero(changed)[0])
        raise InputError(
            "another label in the other file",
            where=f"{other}, row with id {str(mine[row])!r}",
            found=names[int(second.labels[row])],
            expected=names[int(first.labels[row])],
        )
    return first, second


def common_classes(tables: Sequence[Predictions]) -> tuple[str, ...]:
    """The classes of all tables: one model may never predict what another does."""
    if all(table.classes == tables[0].classes for table in tables):
        return tables[0].classes
    found = {name for table in tables for name in table.classes}
    try:
        return tuple(sorted(found, key=int))
    except ValueError:
        return tuple(sorted(found))


def over_classes(table: Predictions, names: tuple[str, ...]) -> Predictions:
    """The table with its classes numbered as in `names`."""
    if table.classes == names:
        return table
    place = np.array([names.index(name) for name in table.classes], dtype=np.int64)
    probs: NDArray[np.float32] | None = None
    if table.probs is not None:
        probs = np.zeros((len(table), len(names)), dtype=np.float32)
        probs[:, place] = table.probs
    labels, predictions = place[table.labels], place[table.predictions]
    return replace(table, classes=names, labels=labels, predictions=predictions, probs=probs)

"""Two predictions tables brought to the same rows in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.columns import GroupColumn
from fairlora.predictions.spellings import ordered
from fairlora.predictions.table import Predictions


def paired_rows(
    first: Predictions, second: Predictions, path: Path, other: Path
) -> tuple[Predictions, Predictions]:
    """Both tables with `first`'s order and classes, paired by id.

    Rows that were left out of either are left out of both.

    Raises `InputError` that names the file and the id where the ids are not the same, where one
    stands twice, or where a row has another label or another group.

    Parameters
    ----------
    first, second : the tables.
    path, other : their files, for a message.
    """
    first, second = _without(first, second.lost), _without(second, first.lost)
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
    for name, column in first.groups.items():
        if name in second.groups:
            _check_group(name, column, second.groups[name], mine, path, other)
    return first, second


def _check_group(
    name: str, mine: GroupColumn, theirs: GroupColumn, ids: NDArray[Any], path: Path, other: Path
) -> None:
    """Refuse a row that is in other groups in the other file: it is another row."""
    own, found = mine.tolist(), theirs.tolist()
    if own == found:
        return
    # The groups of a row have no order.
    pairs = enumerate(zip(own, found, strict=True))
    differ = [k for k, (a, b) in pairs if _as_set(a) != _as_set(b)]
    if not differ:
        return
    row, count = differ[0], len(differ)
    raise InputError(
        "another group in the other file",
        where=f"{other}, column {name}, row with id {str(ids[row])!r}",
        found=f"{found[row]!r} ({count:,} rows differ)",
        expected=f"{own[row]!r}, as in {path}; --id names the column that pairs the rows",
    )


def _as_set(groups: Any) -> frozenset[str]:
    return frozenset([groups] if isinstance(groups, str) else groups)


def _without(table: Predictions, lost: NDArray[Any] | None) -> Predictions:
    """The table without the rows that were left out of the other one."""
    if lost is None or not len(lost):
        return table
    keep = np.flatnonzero(~np.isin(table.ids.astype(str), lost.astype(str)))
    if len(keep) == len(table):
        return table
    gone = len(table) - len(keep)
    left_out = {**table.left_out, "left out of the other predictions": gone}
    return replace(table.take(keep), left_out=left_out)


def common_classes(tables: Sequence[Predictions]) -> tuple[str, ...]:
    """The classes of all tables: one model may never predict what another does."""
    if all(table.classes == tables[0].classes for table in tables):
        return tables[0].classes
    return ordered(name for table in tables for name in table.classes)


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

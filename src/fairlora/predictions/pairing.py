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
    """Both tables with `first`'s order and the classes of both, paired by id.

    Rows that were left out of either are left out of both.

    Parameters
    ----------
    first, second : the tables.
    path, other : their files, for a message.

    Raises
    ------
    InputError : as `aligned`, or an id of the first stands twice.
    """
    first, second = _without(first, second.lost), _without(second, first.lost)
    check_ids(first, path)
    classes = common_classes([first, second])
    first, second = over_classes(first, classes), over_classes(second, classes)
    hint = "; --id names the column that pairs the rows"
    return first, aligned(first, second, str(other), str(path), hint)


def check_ids(table: Predictions, where: str | Path) -> None:
    """Raise `InputError` for an id that stands twice."""
    ids = np.sort(table.ids.astype(str))
    twice = np.flatnonzero(ids[1:] == ids[:-1])
    if len(twice):
        raise InputError("an id stands twice", where=where, found=repr(str(ids[twice[0]])))


def aligned(
    model: Predictions, table: Predictions, where: str, of: str, hint: str = ""
) -> Predictions:
    """The table's rows in the order of the model's, found by id.

    Parameters
    ----------
    model : the table whose order is taken.
    table : of the same classes.
    where, of : what to call the table and the model in a message.
    hint : what to add to what was expected.

    Raises
    ------
    InputError : not the same ids, an id that stands twice, or a row with another label or group.
    """
    if not np.array_equal(model.ids, table.ids):
        check_ids(model, of)
        check_ids(table, where)
        mine, theirs = model.ids.astype(str), table.ids.astype(str)
        lost, extra = np.setdiff1d(mine, theirs), np.setdiff1d(theirs, mine)
        if len(lost) or len(extra):
            which = f"no row {str(lost[0])!r}" if len(lost) else f"a row {str(extra[0])!r}"
            raise InputError(
                "not the same rows",
                where=where,
                found=f"{which} ({len(lost) + len(extra):,} rows differ)",
                expected=f"the ids of {of}{hint}",
            )
        order = np.argsort(theirs)
        table = table.take(order[np.searchsorted(theirs[order], mine)])
    changed = np.flatnonzero(model.labels != table.labels)
    if len(changed):
        row = int(changed[0])
        raise InputError(
            "another label",
            where=f"{where}, row {str(model.ids[row])!r}",
            found=model.classes[int(table.labels[row])],
            expected=f"{model.classes[int(model.labels[row])]}, as in {of}",
        )
    for attribute, column in model.groups.items():
        if attribute in table.groups:
            _check_groups(attribute, column, table.groups[attribute], model.ids, where, of, hint)
    return table


def _check_groups(
    attribute: str,
    mine: GroupColumn,
    theirs: GroupColumn,
    ids: NDArray[Any],
    where: str,
    of: str,
    hint: str,
) -> None:
    """Refuse a row that is in other groups in the other table: it is another row."""
    if mine is theirs or (
        (mine.names, mine.lists) == (theirs.names, theirs.lists)
        and np.array_equal(mine.codes, theirs.codes)
    ):
        return
    own, other = mine.tolist(), theirs.tolist()
    # The groups of a row have no order.
    pairs = enumerate(zip(own, other, strict=True))
    differ = [k for k, (a, b) in pairs if _as_set(a) != _as_set(b)]
    if differ:
        row = differ[0]
        raise InputError(
            f"another group of {attribute!r}",
            where=f"{where}, row {str(ids[row])!r}",
            found=f"{other[row]} ({len(differ):,} rows differ)",
            expected=f"{own[row]}, as in {of}{hint}",
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

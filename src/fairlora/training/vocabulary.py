"""Which groups there are: from a column of the training set, or the classes; and how many rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from fairlora.errors import InputError
from fairlora.objectives import GroupObjective, Objective
from fairlora.training.groups import column_of, group_names, is_list


class GroupVocabulary(NamedTuple):
    """The groups of a training set: group k of the objective is the k-th name.

    `rows` (G,) counts the training set's rows; where groups overlap a row counts in each of its
    groups, and `members` counts the rows that are in any.
    """

    names: tuple[str, ...]
    rows: tuple[int, ...]
    members: int
    overlapping: bool


def group_vocabulary(
    dataset: Any, column: str, names: Sequence[str] | None = None
) -> GroupVocabulary:
    """Read a training set's group column: names sorted, unless `names` fixes them and their order.

    Takes a `datasets.Dataset`, anything with a ``column(name)`` method, or any sequence of dicts.
    A missing value is no group. A data set without a length (a stream) is not read through: it
    needs `names`, and its rows count 0. Raises `InputError` if the column is absent or says
    nothing.
    """
    if not hasattr(dataset, "__len__"):
        return _of_stream(dataset, column, names)
    counts: Counter[str] = Counter()
    members = 0
    overlapping = False
    for value in column_of(dataset, column):
        several = group_names(value)
        overlapping |= is_list(value)
        counts.update(several)
        members += bool(several) if names is None else any(name in names for name in several)
    found = tuple(sorted(counts)) if names is None else tuple(names)
    if not found:
        raise InputError("no groups", where=f"group_column {column!r}")
    rows = tuple(counts[name] for name in found)
    return GroupVocabulary(found, rows, members, overlapping)


def _of_stream(dataset: Any, column: str, names: Sequence[str] | None) -> GroupVocabulary:
    if names is None:
        raise InputError(
            "the groups of a stream are not known before it is read",
            where="group_names",
            found=None,
            expected="the groups' names",
        )
    first = next(iter(dataset))
    if column not in first:
        raise InputError("no such group column", where="group_column", found=repr(column))
    return GroupVocabulary(tuple(names), (0,) * len(names), 0, is_list(first[column]))


def class_names(model: Any) -> tuple[str, ...]:
    """The classes that a model's configuration names."""
    labels = getattr(model.config, "id2label", None) or {}
    return tuple(str(labels[k]) for k in sorted(labels))


def class_vocabulary(dataset: Any, names: Sequence[str]) -> GroupVocabulary:
    """The classes as groups: the rows of a training set by its column ``label`` or ``labels``.

    Raises `InputError` for a label that is no class.
    """
    try:
        labels = column_of(dataset, "labels")
    except InputError:
        labels = column_of(dataset, "label")
    rows = [0] * len(names)
    for label in labels:
        if not 0 <= int(label) < len(names):
            raise InputError(
                "not a class", where="labels", found=int(label), expected=f"0 to {len(names) - 1}"
            )
        rows[int(label)] += 1
    return GroupVocabulary(tuple(names), tuple(rows), sum(rows), overlapping=False)


def column_groups(dataset: Any, column: str, names: Sequence[str] | None) -> GroupVocabulary:
    """The groups of a group column, whether or not there is a data set to read them from.

    Raises `InputError` if nothing says what the groups are.
    """
    if column in ("label", "labels"):
        raise InputError(
            "the model's labels cannot be the group column too",
            where="group_column",
            found=repr(column),
            expected="None, which takes the classes as groups",
        )
    if dataset is not None:
        return group_vocabulary(dataset, column, names)
    if names is None:
        raise InputError(
            "no group vocabulary",
            where="group_names",
            expected="the groups' names, or a training set to read them from",
        )
    return GroupVocabulary(tuple(names), (0,) * len(names), 0, overlapping=False)


def class_groups(dataset: Any, names: Sequence[str]) -> GroupVocabulary:
    """The classes as groups, counted if a data set is given."""
    if dataset is not None and names:
        return class_vocabulary(dataset, names)
    return GroupVocabulary(tuple(names), (0,) * len(names), 0, overlapping=False)


def needs_counts(objective: Objective) -> bool:
    """Whether an objective must be told how many rows the groups have."""
    return isinstance(objective, GroupObjective) and objective.needs_counts


def bind_groups(objective: Objective, found: GroupVocabulary, *, training: bool) -> None:
    """Tell the objective the groups. Raises `InputError` if it lacks them, or their counts."""
    if not found.names:
        if objective.needs_groups:
            raise InputError(
                "this objective needs groups",
                where="group_column",
                found=None,
                expected="the column of the data set that holds them",
            )
        return
    if not isinstance(objective, GroupObjective):
        return
    if objective.needs_counts and not any(found.rows):
        if not training:
            return
        raise InputError(
            "this objective needs the training set's rows by group",
            where="objective",
            found="no row that could be counted",
            expected="a training set with a length and rows of these groups",
        )
    rows = torch.tensor(found.rows, dtype=torch.float64)
    objective.bind(len(found.names), rows, found.members)

"""Names and sizes of the groups: from a column of the training set, or the classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from fairlora.errors import InputError
from fairlora.objectives import GroupObjective, Objective
from fairlora.training.groups import (
    check_labels,
    column_of,
    group_names,
    groups_of,
    is_list,
    labels_of,
)
from fairlora.training.losses import IGNORED


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

    A missing value is no group; class labels have their names. Raises `InputError` if the column is
    absent or says nothing.

    Parameters
    ----------
    dataset : a `datasets.Dataset`, anything with a ``column(name)`` method, or any sequence of
        dicts. One without a length (a stream) is not read through: it needs `names`, and its rows
        count 0.
    column : the group column.
    names : the groups' names in order; None takes those that occur.
    """
    if not hasattr(dataset, "__len__"):
        return _of_stream(dataset, column, names)
    counts: Counter[str] = Counter()
    members = 0
    overlapping = False
    values = groups_of(dataset, column, names)
    labels = labels_of(dataset) or [0] * len(values)
    for value, label in zip(values, labels, strict=True):
        several = group_names(value)
        overlapping |= is_list(value)
        if label == IGNORED:  # the row counts nowhere, but its group is there
            counts.update(dict.fromkeys(several, 0))
            continue
        counts.update(several)
        members += bool(several) if names is None else any(name in names for name in several)
    ordered = tuple(sorted(counts)) if names is None else tuple(names)
    if not ordered:
        raise InputError("no groups", where=f"group_column {column!r}")
    rows = tuple(counts[name] for name in ordered)
    return GroupVocabulary(ordered, rows, members, overlapping)


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


def class_count(model: Any) -> int | None:
    """How many classes a transformers model has; None where its configuration does not say."""
    from transformers import PreTrainedModel

    while hasattr(model, "get_base_model"):  # behind a PEFT adapter
        model = model.get_base_model()
    # A module of one's own may have a configuration that nobody filled in.
    count = model.config.num_labels if isinstance(model, PreTrainedModel) else None
    return None if count is None else int(count)


def class_vocabulary(dataset: Any, names: Sequence[str]) -> GroupVocabulary:
    """The classes as groups: the rows of a training set by its column ``label`` or ``labels``.

    Raises `InputError` for a label that is no class.
    """
    try:
        labels = column_of(dataset, "labels")
    except InputError:
        labels = column_of(dataset, "label")
    rows = [0] * len(names)
    labels = [int(label) for label in labels]
    check_labels(labels, len(names))
    for label in labels:
        if label != IGNORED:
            rows[label] += 1
    return GroupVocabulary(tuple(names), tuple(rows), sum(rows), overlapping=False)


def column_groups(dataset: Any, column: str, names: Sequence[str] | None) -> GroupVocabulary:
    """The groups of a group column, whether or not there is a data set to read them from.

    Raises `InputError` if nothing says what the groups are.

    Parameters
    ----------
    dataset : what `group_vocabulary` takes; None leaves the rows uncounted.
    column : the group column; it cannot be that of the labels.
    names : the groups' names in order; None reads them from the data set.
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


def left_out(given: Any, kept: Any, column: str | None) -> str | None:
    """How many rows a subclass of the Trainer has taken out of a data set; None where none.

    The groups of the rows are named. TRL drops rows of which truncation leaves no answer.

    Parameters
    ----------
    given : the data set as the user gave it.
    kept : what the Trainer has of it.
    column : the group column; None names no groups.
    """
    sized = [hasattr(data, "__len__") and not isinstance(data, dict) for data in (given, kept)]
    if given is kept or not all(sized) or len(given) <= len(kept):
        return None
    text = f"{len(given) - len(kept):,} of {len(given):,} rows are left out"
    if column is None:
        return text + " (without an answer once they are cut)"
    counts: Counter[str] = Counter()
    for sign, data in ((1, given), (-1, kept)):
        for value in groups_of(data, column):
            for name in group_names(value):
                counts[name] += sign
    named = ", ".join(f"{name} {n:,}" for name, n in sorted(counts.items()) if n > 0)
    return f"{text} (without an answer once they are cut); by group: {named}"


def class_groups(dataset: Any, names: Sequence[str]) -> GroupVocabulary:
    """The classes as groups, counted if a data set is given."""
    if dataset is not None and names:
        return class_vocabulary(dataset, names)
    return GroupVocabulary(tuple(names), (0,) * len(names), 0, overlapping=False)


def needs_counts(objective: Objective) -> bool:
    """Whether an objective must be told how many rows the groups have."""
    return isinstance(objective, GroupObjective) and objective.needs_counts


def bind_groups(objective: Objective, vocabulary: GroupVocabulary, *, training: bool) -> None:
    """Tell the objective the groups. Raises `InputError` if it lacks them, or their counts.

    Parameters
    ----------
    objective : one that is no `GroupObjective` is told nothing.
    vocabulary : the groups.
    training : whether there is a training set; without one, counts may be lacking.
    """
    if not vocabulary.names:
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
    if objective.needs_counts and not any(vocabulary.rows):
        if not training:
            return
        raise InputError(
            "this objective needs the training set's rows by group",
            where="objective",
            found="no row that could be counted",
            expected="a training set with a length and rows of these groups",
        )
    rows = torch.tensor(vocabulary.rows, dtype=torch.float64)
    objective.bind(len(vocabulary.names), rows, vocabulary.members)

"""Carry group columns through the Hugging Face Trainer to the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fairlora.errors import InputError
from fairlora.training.losses import IGNORED

GROUPS = "fairlora_groups"
UNLABELLED = "fairlora_unlabelled"


def group_names(value: Any) -> tuple[str, ...]:
    """The groups of one row: none, one, or several where groups overlap."""
    value = _plain(value)
    several = value if is_list(value) else (value,)
    # NaN, which a table has for a missing value, is not equal to itself.
    return tuple(dict.fromkeys(str(v) for v in several if v is not None and v == v))


def is_list(value: Any) -> bool:
    """Whether a row's value is several groups."""
    return isinstance(_plain(value), list | tuple | set | frozenset)


def _plain(value: Any) -> Any:
    """What NumPy or torch hold, as Python has it."""
    return value.tolist() if hasattr(value, "tolist") else value


def column_of(dataset: Any, column: str) -> Iterable[Any]:
    """A column of a `datasets.Dataset`, of anything with a ``column(name)`` method, or of dicts.

    Raises `InputError` if it is absent.
    """
    try:
        if hasattr(dataset, "column") and callable(dataset.column):
            return list(dataset.column(column))
        if hasattr(dataset, "column_names"):
            if column not in (dataset.column_names or [column]):
                raise KeyError(column)
            # As it is stored: a transform might open pictures, and a format make tensors.
            plain = dataset.with_format(None) if hasattr(dataset, "with_format") else dataset
            return list(plain[column])
        return [dataset[k][column] for k in range(len(dataset))]
    except KeyError:
        raise InputError("no such group column", where="group_column", found=repr(column)) from None


def categories_of(dataset: Any, column: str) -> tuple[str, ...] | None:
    """The names behind the numbers of a column of class labels; None for any other column."""
    features = getattr(dataset, "features", None)
    feature = features.get(column) if isinstance(features, Mapping) else None
    inner = getattr(feature, "feature", feature[0] if isinstance(feature, list) else feature)
    names = getattr(inner, "names", None)
    return tuple(str(name) for name in names) if names else None


def named_value(value: Any, categories: Sequence[str] | None) -> Any:
    """A row's value with the names of class labels for their numbers; -1 is none."""
    value = _plain(value)
    if categories is None or isinstance(value, str):
        return value
    if is_list(value):
        return [named_value(one, categories) for one in value]
    known = isinstance(value, int) and 0 <= value < len(categories)
    return categories[value] if known else None


def groups_of(dataset: Any, column: str, names: Sequence[str] | None = None) -> list[Any]:
    """A group column's values by their names; `InputError` if it is absent.

    Class labels keep their numbers where `names` are none of theirs.

    Parameters
    ----------
    dataset : what `column_of` takes.
    column : the group column.
    names : the group vocabulary; None where nobody gave one.
    """
    categories = used_categories(dataset, column, names)
    return [named_value(value, categories) for value in column_of(dataset, column)]


def used_categories(
    dataset: Any, column: str, names: Sequence[str] | None
) -> tuple[str, ...] | None:
    """`categories_of`, or None where `names` are given and none of theirs.

    Parameters
    ----------
    dataset : a data set; its ``features``, if it has any, name the class labels.
    column : the group column.
    names : the group vocabulary; None where nobody gave one.
    """
    known = categories_of(dataset, column)
    return known if known is None or names is None or set(names) & set(known) else None


def labels_of(dataset: Any) -> list[Any] | None:
    """The labels of a data set that has them in a column of numbers, else None.

    Rows that are computed one by one (dicts, a transform, a stream) are not read through, nor the
    tokens of texts.
    """
    if isinstance(dataset, Mapping):  # several evaluation sets
        return [label for part in dataset.values() for label in labels_of(part) or ()]
    if dataset is None or not hasattr(dataset, "__len__"):
        return None
    if not (callable(getattr(dataset, "column", None)) or hasattr(dataset, "column_names")):
        return None
    for name in ("labels", "label"):
        try:
            labels = list(column_of(dataset, name))
        except InputError:
            continue
        return labels if all(isinstance(_plain(label), int) for label in labels) else None
    return None


def check_labels(labels: Iterable[Any], classes: int) -> None:
    """Raise `InputError` for a label that is neither a class's number nor `IGNORED`."""
    for row, label in enumerate(labels):
        if not (0 <= int(label) < classes or int(label) == IGNORED):
            raise InputError(
                "a label that is no class of the model",
                where=f"labels, row {row + 1}",
                found=int(label),
                expected=f"0 to {classes - 1}, or {IGNORED} for a row that counts nowhere",
            )


class GroupCollator:
    """Takes the group column out of the items and adds the groups' numbers to the batch.

    They are integers (N,), or a matrix (N, G) of zeros and ones where groups overlap. A value
    outside the vocabulary (a group that training does not have) is -1, or nothing: no group. Items
    without the column give a batch without groups. Where rows have no label that counts (-100), the
    batch has a mask of them too.

    Parameters
    ----------
    column : None where the classes are the groups, or nothing is.
    categories : the names behind the column's numbers, where it holds class labels.
    causal : labels are tokens, and the first of a row is not predicted.
    classes : how many there are; `InputError` for another label. None does not look.
    """

    def __init__(
        self,
        inner: Callable[[Any], Any],
        column: str | None,
        names: Sequence[str] = (),
        *,
        overlapping: bool = False,
        categories: Sequence[str] | None = None,
        causal: bool = False,
        classes: int | None = None,
    ) -> None:
        self.inner = inner
        self.column = column
        self.numbers = {name: k for k, name in enumerate(names)}
        self.overlapping = overlapping
        self.categories = categories
        self.causal = causal
        self.classes = classes

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        column = self.column
        if column is None:
            return self._marked(self.inner(items))
        rest = [{k: v for k, v in item.items() if k != column} for item in items]
        batch = self._marked(self.inner(rest))
        if all(column in item for item in items):
            values = (named_value(item[column], self.categories) for item in items)
            batch[GROUPS] = self._numbers([group_names(value) for value in values])
        return batch

    def _marked(self, features: Any) -> dict[str, Any]:
        """The batch with a mask of the rows without a label, where there are any."""
        batch = dict(features)
        labels = batch.get("labels")
        if (
            not isinstance(labels, Tensor)
            or labels.is_floating_point()
            or labels.ndim not in (1, 2)
        ):
            return batch
        if labels.ndim == 1:
            if self.classes is not None:
                check_labels(labels.tolist(), self.classes)
            without = labels == IGNORED
        else:
            without = (labels[:, int(self.causal) :] == IGNORED).all(1)
        if bool(without.any()):
            batch[UNLABELLED] = without
        return batch

    def _numbers(self, named: Sequence[Sequence[str]]) -> Tensor:
        if not self.overlapping:
            several = next((row for row in named if len(row) > 1), None)
            if several is not None:
                raise InputError(
                    "a row of several groups, where the training set's rows have one",
                    where=f"group_column {self.column!r}",
                    found=", ".join(several),
                    expected="lists in the training set too",
                )
            return torch.tensor([self.numbers.get(row[0], -1) if row else -1 for row in named])
        member = torch.zeros(len(named), len(self.numbers))
        for row, names in enumerate(named):
            for name in names:
                if name in self.numbers:
                    member[row, self.numbers[name]] = 1
        return member

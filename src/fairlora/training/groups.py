"""How group columns travel through the Hugging Face Trainer to the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from fairlora.errors import InputError

GROUPS = "fairlora_groups"


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


class GroupCollator:
    """Takes the group column out of the items and adds the groups' numbers to the batch.

    They are integers (N,), or a matrix (N, G) of zeros and ones where groups overlap. A value
    outside the vocabulary (a group that training does not have) is -1, or nothing: no group.
    """

    def __init__(
        self,
        inner: Callable[[Any], Any],
        column: str,
        names: Sequence[str],
        *,
        overlapping: bool = False,
    ) -> None:
        self.inner = inner
        self.column = column
        self.numbers = {name: k for k, name in enumerate(names)}
        self.overlapping = overlapping

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        named = [group_names(item.get(self.column)) for item in items]
        rest = [{k: v for k, v in item.items() if k != self.column} for item in items]
        return {**self.inner(rest), GROUPS: self._numbers(named)}

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

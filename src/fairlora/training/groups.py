"""How group columns travel through the Hugging Face Trainer to the loss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from fairlora.errors import InputError
from fairlora.objectives import GroupSums, group_sums

GROUPS = "fairlora_groups"


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
    A missing value is no group. Raises `InputError` if the column is absent or says nothing.
    """
    counts: Counter[str] = Counter()
    members = 0
    overlapping = False
    for value in column_of(dataset, column):
        several = group_names(value)
        overlapping |= isinstance(value, list | tuple | set | frozenset)
        counts.update(several)
        members += bool(several) if names is None else any(name in names for name in several)
    found = tuple(sorted(counts)) if names is None else tuple(names)
    if not found:
        raise InputError("no groups", where=f"group_column {column!r}")
    rows = tuple(counts[name] for name in found)
    return GroupVocabulary(found, rows, members, overlapping)


def group_names(value: Any) -> tuple[str, ...]:
    """The groups of one row: none, one, or several where groups overlap."""
    if value is None:
        return ()
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(dict.fromkeys(str(v) for v in value if v is not None))
    if isinstance(value, Tensor):
        value = value.item()
    return (str(value),)


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
            return torch.tensor([self.numbers.get(row[0], -1) if row else -1 for row in named])
        member = torch.zeros(len(named), len(self.numbers))
        for row, names in enumerate(named):
            for name in names:
                if name in self.numbers:
                    member[row, self.numbers[name]] = 1
        return member


class GroupSummary(NamedTuple):
    """Losses and hits of the rows seen so far, by group."""

    loss: Tensor  # (G,) mean loss, NaN for an absent group
    accuracy: Tensor  # (G,)
    rows: Tensor  # (G,)
    overall_loss: float  # rows of no group counted too
    overall_accuracy: float

    @property
    def loss_variance(self) -> float:
        """Mean over the groups present of (L_g - mean of the L_g)^2."""
        present = self.loss[self.rows > 0]
        return float((present - present.mean()).square().mean()) if len(present) else float("nan")


class GroupMeter:
    """Adds up losses and hits by group over batches, without waiting for the device."""

    def __init__(self, num_groups: int) -> None:
        self.num_groups = num_groups
        self._losses: GroupSums | None = None
        self._hits: GroupSums | None = None

    def reset(self) -> None:
        """Forget what has been added."""
        self._losses = self._hits = None

    def add(
        self, losses: Tensor, groups: Tensor | None, hits: Tensor, real: Tensor | None = None
    ) -> None:
        """Losses (N,), groups, whether each row was right (N,), and which rows are real."""
        if groups is None:
            groups = torch.full(losses.shape, -1, dtype=torch.long, device=losses.device)
        loss = group_sums(losses, groups, self.num_groups, real)
        right = group_sums(hits, groups, self.num_groups, real)
        self._losses = loss if self._losses is None else self._losses + loss
        self._hits = right if self._hits is None else self._hits + right

    def summary(self, *, everywhere: bool = False) -> GroupSummary | None:
        """What has been added since `reset`, or None.

        `everywhere` adds up all processes: each must then call, with something added.
        """
        if self._losses is None or self._hits is None:
            return None
        flat = torch.cat(
            [
                torch.stack([self._losses.total, self._hits.total, self._losses.rows]).flatten(),
                torch.stack([self._losses.all_total, self._hits.all_total, self._losses.all_rows]),
            ]
        )
        if everywhere and dist.is_available() and dist.is_initialized():
            dist.all_reduce(flat)
        flat = flat.cpu()
        total, hits, rows = flat[:-3].view(3, -1)
        loss, right, count = flat[-3:].tolist()
        return GroupSummary(
            loss=total / rows,
            accuracy=hits / rows,
            rows=rows,
            overall_loss=loss / count,
            overall_accuracy=right / count,
        )

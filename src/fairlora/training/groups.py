"""How group columns travel through the Hugging Face Trainer to the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fairlora.errors import InputError
from fairlora.objectives import group_losses

GROUPS = "fairlora_groups"


def group_vocabulary(dataset: Any, column: str) -> tuple[str, ...]:
    """The group names of a training set, sorted; group k of the objective is the k-th name.

    Takes a `datasets.Dataset`, anything with a ``column(name)`` method, or any sequence of dicts.
    Raises `InputError` if the column is absent.
    """
    values = column_of(dataset, column)
    return tuple(sorted({str(value) for value in values if value is not None}))


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
            return list(dataset[column])
        return [dataset[k][column] for k in range(len(dataset))]
    except KeyError:
        raise InputError("no such group column", where="group_column", found=repr(column)) from None


class GroupCollator:
    """Takes the group column out of the items and adds the groups' numbers to the batch.

    A value outside the vocabulary (a group that training does not have) is -1: no group.
    """

    def __init__(
        self, inner: Callable[[Any], dict[str, Any]], column: str, names: Sequence[str]
    ) -> None:
        self.inner = inner
        self.column = column
        self.numbers = {name: k for k, name in enumerate(names)}

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        groups = [self.numbers.get(str(item.get(self.column)), -1) for item in items]
        rest = [{k: v for k, v in item.items() if k != self.column} for item in items]
        return {**self.inner(rest), GROUPS: torch.tensor(groups)}


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
        self._sums: Tensor | None = None

    def reset(self) -> None:
        """Forget what has been added."""
        self._sums = None

    def add(self, losses: Tensor, groups: Tensor, hits: Tensor | None = None) -> None:
        """Losses (N,), groups (N,) and, in evaluation, whether each row was right (N,)."""
        # Rows of no group have a place of their own, the last, so that the totals hold them.
        places = torch.where(groups >= 0, groups, self.num_groups)
        loss = group_losses(losses, places, self.num_groups + 1)
        right = torch.zeros_like(loss.total)
        if hits is not None:
            right = group_losses(hits, places, self.num_groups + 1).total
        sums = torch.stack([loss.total, right, loss.rows])
        self._sums = sums if self._sums is None else self._sums + sums

    def summary(self) -> GroupSummary | None:
        """What has been added since `reset`, or None."""
        if self._sums is None:
            return None
        total, hits, rows = self._sums.cpu()
        n = self.num_groups
        everything = rows.sum()
        return GroupSummary(
            loss=total[:n] / rows[:n],
            accuracy=hits[:n] / rows[:n],
            rows=rows[:n],
            overall_loss=float(total.sum() / everything),
            overall_accuracy=float(hits.sum() / everything),
        )

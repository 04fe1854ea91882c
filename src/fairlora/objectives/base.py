"""Room `objectives`: torch only. A fairness objective is a function of losses and groups."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from fairlora.errors import InputError


@runtime_checkable
class Objective(Protocol):
    """What `FairTrainer` and a bare loop call.

    ``objective(losses, groups)`` takes per-example losses (N,) with gradient and integer groups
    (N,), and returns a differentiable scalar. A group of -1 means "unknown": the row counts in the
    mean loss and in no group. ERM needs no groups, and takes None for them.
    """

    name: str
    needs_groups: bool

    def __call__(self, losses: Tensor, groups: Tensor | None = None) -> Tensor: ...


class GroupLosses(NamedTuple):
    """Sums and counts of the losses by group; two batches' add up."""

    total: Tensor  # (G,) float64, sum of losses
    rows: Tensor  # (G,) float64, number of rows


def group_losses(losses: Tensor, groups: Tensor, num_groups: int) -> GroupLosses:
    """Sum and count of each group's losses; an absent group has zeros, -1 is no group.

    Raises `InputError` for a group outside -1 .. num_groups - 1 (looked at on the CPU alone: on an
    accelerator the look would make every step wait for the device).
    """
    if groups.device.type == "cpu":
        low, high = int(groups.min()), int(groups.max())
        if low < -1 or high >= num_groups:
            raise InputError(
                "group number out of range",
                where="groups",
                found=low if low < -1 else high,
                expected=f"-1 to {num_groups - 1}",
            )
    known = (groups >= 0).to(torch.float64)
    index = groups.clamp(min=0)
    total = torch.zeros(num_groups, dtype=torch.float64, device=losses.device)
    rows = torch.zeros_like(total)
    total.index_add_(0, index, losses.detach().to(torch.float64) * known)
    rows.index_add_(0, index, known)
    return GroupLosses(total, rows)


def check_batch(losses: Tensor, groups: Tensor | None, *, needs_groups: bool) -> None:
    """Raise `InputError` unless the shapes fit."""
    if losses.ndim != 1 or len(losses) == 0:
        raise InputError(
            "losses of another shape",
            where="losses",
            found=tuple(losses.shape),
            expected="(N,), one an example, N > 0",
        )
    if not needs_groups:
        return
    if groups is None:
        raise InputError("no groups given", where="groups", expected="integers (N,)")
    if groups.shape != losses.shape or groups.is_floating_point():
        raise InputError(
            "groups of another shape or type",
            where="groups",
            found=f"{tuple(groups.shape)} {groups.dtype}",
            expected=f"{tuple(losses.shape)} integers",
        )

"""Room `objectives`: torch only. A fairness objective is a function of losses and groups.

Every objective here has one form: what a batch says is summed up by group (`GroupSums`), the sums
of all devices are added, and from the total comes one weight a group (`Weights`). So the gradient
of a batch is the same on one device as on eight, at the cost of one small all-reduce a step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
import torch.distributed as dist
from torch import Tensor

from fairlora.errors import InputError


@runtime_checkable
class Objective(Protocol):
    """What `FairTrainer` and a bare loop call: any function of losses and groups will do.

    ``objective(losses, groups)`` takes per-example losses (N,) with gradient and integer groups
    (N,), or an (N, G) matrix of zeros and ones where groups overlap, and returns a differentiable
    scalar. A group of -1, or a row of zeros, means "in no group".
    """

    name: str
    needs_groups: bool

    def __call__(self, losses: Tensor, groups: Tensor | None = None) -> Tensor: ...


class GroupSums(NamedTuple):
    """Losses of a batch, added up by group; the sums of two batches or devices add up."""

    total: Tensor  # (G,) float64, sum of the losses
    rows: Tensor  # (G,) float64, number of rows
    all_total: Tensor  # () sum over all rows, those of no group too
    all_rows: Tensor  # () number of all rows
    outside_total: Tensor  # () sum over the rows of no group
    outside_rows: Tensor  # ()

    def __add__(self, other: GroupSums) -> GroupSums:  # type: ignore[override]
        """The sums of both."""
        return GroupSums(*(a + b for a, b in zip(self, other, strict=True)))

    def mean(self) -> tuple[Tensor, Tensor]:
        """(G,) mean losses, 0 where absent, and which groups are present."""
        present = self.rows > 0
        return torch.where(present, self.total / self.rows.clamp(min=1), 0.0), present


class Weights(NamedTuple):
    """What an objective makes of the sums: its value, and how much each example counts.

    An example's weight is `base`, plus `per_group` of each group that it is in, or plus `outside`
    if it is in none.
    """

    value: Tensor  # () float64, J
    base: Tensor  # ()
    per_group: Tensor  # (G,)
    outside: Tensor  # ()


class GroupObjective(ABC):
    """An objective whose gradient is that of a weighted sum, with weights from the groups' sums.

    Called with ``losses`` (N,), ``groups`` and optionally ``real`` (N,), a mask that is False for
    rows that a sampler has repeated to fill the last batch; they count nowhere. Returns a scalar
    whose value is J and whose gradient is J's.

    Where torch.distributed runs with several processes, sums are added over all of them: every
    process must call in the same order, and J is that of the global batch. The gradient is
    multiplied by the number of processes, because data parallelism (DDP, FSDP) averages gradients.

    Attributes
    ----------
    num_groups : size of the group vocabulary; `FairTrainer` sets it from the training set. None
        takes what the batch holds, which several processes must not.
    process_group : the processes that share a batch; None is all of them.
    """

    name: str = ""
    needs_groups: bool = True
    uses_groups: ClassVar[bool] = True

    def __init__(self, num_groups: int | None = None) -> None:
        self.num_groups = num_groups
        self.process_group: Any = None

    def __call__(
        self, losses: Tensor, groups: Tensor | None = None, real: Tensor | None = None
    ) -> Tensor:
        """J for `losses` (N,) with gradient, `groups` (N,) or (N, G), and rows that are `real`."""
        sums = self.measure(losses, groups, real)
        return self.apply(losses, groups, self.weigh(sums), real)

    @abstractmethod
    def weigh(self, sums: GroupSums) -> Weights:
        """J and the examples' weights. An objective with a memory moves it on by one step."""

    @property
    def needs_counts(self) -> bool:
        """Whether `bind` must say how many rows the groups have."""
        return False

    def bind(self, num_groups: int, rows: Tensor, members: int) -> None:
        """Take what the training set says.

        Parameters
        ----------
        num_groups : size of its group vocabulary, G.
        rows : (G,) its rows by group.
        members : how many rows are in any group (fewer than the sum, where groups overlap).

        Raises
        ------
        InputError : the objective was made for another number of groups.
        """
        if self.num_groups not in (None, num_groups):
            raise InputError(
                "the objective was made for another number of groups",
                where=f"{type(self).__name__}.num_groups",
                found=self.num_groups,
                expected=f"{num_groups}, the groups of the training set",
            )
        self.num_groups = num_groups

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold for training to go on exactly; plain JSON values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027 - most have none
        """Take back what `state_dict` gave."""

    def measure(
        self, losses: Tensor, groups: Tensor | None, real: Tensor | None = None
    ) -> GroupSums:
        """The sums of this batch over all devices.

        Parameters
        ----------
        losses : (N,) of the examples, N > 0.
        groups : (N,) integers, -1 for no group, or an (N, G) matrix of zeros and ones; None only
            where the objective needs no groups.
        real : (N,) mask; rows where it is False count nowhere. None is all rows.

        Raises
        ------
        InputError : shapes that do not fit; a group outside the vocabulary; no `num_groups` where
            several processes have integer groups.
        """
        check_batch(losses, groups, needs_groups=self.needs_groups)
        if groups is None or not self.needs_groups:
            groups, several = torch.zeros(len(losses), dtype=torch.long, device=losses.device), 1
        elif groups.ndim == 2:
            several = groups.shape[1] if self.num_groups is None else self.num_groups
        elif self.num_groups is None:
            if self._world() > 1:
                raise InputError(
                    "several processes need one group vocabulary",
                    where=f"{type(self).__name__}.num_groups",
                    found=None,
                    expected="the number of groups in the training set",
                )
            several = max(int(groups.max()) + 1, 1)
        else:
            several = self.num_groups
        return self._reduced(group_sums(losses, groups, several, real))

    def apply(
        self, losses: Tensor, groups: Tensor | None, weights: Weights, real: Tensor | None = None
    ) -> Tensor:
        """A scalar with J's value and the weighted sum's gradient.

        Parameters
        ----------
        losses : (N,) with gradient.
        groups, real : as of `measure`.
        weights : what `weigh` gave for this batch.
        """
        each = self._each(losses, groups, weights)
        if real is not None:
            # Chosen, not multiplied: a repeated row's loss may be infinite.
            each, losses = each[real], losses[real]
        self._look(each)
        weighted = (each.to(losses.dtype) * losses).sum() * self._world()
        return weighted + (weights.value.to(losses.dtype) - weighted).detach()

    def _each(self, losses: Tensor, groups: Tensor | None, weights: Weights) -> Tensor:
        """(N,) the examples' weights."""
        if groups is None or not self.needs_groups:
            return weights.base.expand(len(losses))
        if groups.ndim == 1:
            own = weights.per_group[groups.clamp(min=0)]
            return weights.base + torch.where(groups >= 0, own, weights.outside)
        member = groups.to(weights.per_group.dtype)
        alone = torch.where(member.sum(1) > 0, 0.0, weights.outside)
        return weights.base + member @ weights.per_group + alone

    def _look(self, weights: Tensor) -> None:  # noqa: B027 - most do not look
        """A place to keep an eye on the weights (N,) of the real rows."""

    def _world(self) -> int:
        if dist.is_available() and dist.is_initialized():
            return dist.get_world_size(self.process_group)
        return 1

    def _reduced(self, sums: GroupSums) -> GroupSums:
        if self._world() == 1:
            return sums
        flat = torch.cat([sums.total, sums.rows, *(s.reshape(1) for s in sums[2:])])
        dist.all_reduce(flat, group=self.process_group)
        n = len(sums.total)
        return GroupSums(flat[:n], flat[n : 2 * n], *flat[2 * n :].unbind())


def group_sums(
    losses: Tensor, groups: Tensor, num_groups: int, real: Tensor | None = None
) -> GroupSums:
    """Add up losses (N,) by group; an absent group has zeros. No gradient.

    Parameters
    ----------
    groups : (N,) integers, -1 for no group; or an (N, G) matrix of zeros and ones.
    real : (N,) mask; rows where it is False count nowhere.

    Raises `InputError` for a group outside -1 .. num_groups - 1 (looked at on the CPU alone: on an
    accelerator the look would make every step wait for the device).
    """
    # MPS has no float64.
    kind = torch.float32 if losses.device.type == "mps" else torch.float64
    loss = losses.detach().to(kind)
    weight = torch.ones_like(loss)
    if real is not None:
        loss = torch.where(real, loss, 0.0)
        weight = real.to(kind)
    if groups.ndim == 2:
        member = groups.to(kind)
        if member.shape[1] != num_groups:
            raise InputError(
                "a group matrix of another width",
                where="groups",
                found=tuple(groups.shape),
                expected=f"(N, {num_groups})",
            )
        inside = member.sum(1) > 0
        # A loss that is not finite must not become 0 x inf in the groups that it is not in.
        total = torch.where(member > 0, loss[:, None], 0.0).sum(0)
        rows = member.T @ weight
    else:
        if groups.device.type == "cpu" and len(groups):
            low, high = int(groups.min()), int(groups.max())
            if low < -1 or high >= num_groups:
                raise InputError(
                    "group number out of range",
                    where="groups",
                    found=low if low < -1 else high,
                    expected=f"-1 to {num_groups - 1}",
                )
        # Rows of no group have a place of their own, the last.
        inside = groups >= 0
        group = torch.where(inside, groups, num_groups)
        sums = torch.zeros(2, num_groups + 1, dtype=kind, device=losses.device)
        sums.index_add_(1, group, torch.stack([loss, weight]))
        total, rows = sums[0, :num_groups], sums[1, :num_groups]
    return GroupSums(
        total=total,
        rows=rows,
        all_total=loss.sum(),
        all_rows=weight.sum(),
        outside_total=torch.where(inside, 0.0, loss).sum(),
        outside_rows=torch.where(inside, 0.0, weight).sum(),
    )


def check_batch(losses: Tensor, groups: Tensor | None, *, needs_groups: bool) -> None:
    """Raise `InputError` unless the shapes fit.

    Parameters
    ----------
    losses : (N,), N > 0.
    groups : (N,) integers, or (N, G) zeros and ones.
    needs_groups : False looks at the losses alone.
    """
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
        raise InputError("no groups given", where="groups", expected="integers (N,) or (N, G)")
    matrix = groups.ndim == 2 and len(groups) == len(losses)
    column = groups.shape == losses.shape and not groups.is_floating_point()
    if not (matrix or column):
        raise InputError(
            "groups of another shape or type",
            where="groups",
            found=f"{tuple(groups.shape)} {groups.dtype}",
            expected=f"{tuple(losses.shape)} integers, or ({len(losses)}, G) zeros and ones",
        )


def check_number(value: float, name: str, *, least: float = 0.0) -> float:
    """`value` as a float; `InputError` unless it is finite and at least `least`.

    Parameters
    ----------
    value : the number.
    name : what an error calls it.
    least : the smallest value allowed.
    """
    if not (least <= value < float("inf")):
        raise InputError("out of range", where=name, found=value, expected=f">= {least:g}")
    return float(value)

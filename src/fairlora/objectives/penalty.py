"""Base of objectives that add a penalty on the groups' mean losses to the mean loss."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from fairlora.objectives.base import GroupObjective, GroupSums, Weights, check_number


class Penalty(NamedTuple):
    """What is added to the mean loss: its value (), and its derivative by each L_g (G,)."""

    value: Tensor
    slope: Tensor


class Penalised(GroupObjective):
    r"""J = L + a penalty on the groups' mean losses, whose weight is `strength`.

    An example of group g weighs 1/N + (the penalty's derivative by L_g) / n_g; a row of no group
    counts in L alone. A weight may be negative: such an example is pushed towards a larger loss.

    Parameters
    ----------
    strength : the weight of the penalty, >= 0; 0 is plain training.
    num_groups : size of the group vocabulary; None takes what the batch holds.
    """

    def __init__(self, strength: float = 1.0, *, num_groups: int | None = None) -> None:
        super().__init__(num_groups)
        self.strength = check_number(strength, "objective.strength")
        self.needs_groups = strength > 0
        # Kept as tensors: reading one is a wait for the device, which no step should pay for.
        self._negative: Tensor | None = None

    @abstractmethod
    def _penalty(self, mean: Tensor, present: Tensor) -> Penalty:
        """The penalty of mean losses (G,), 0 where a group is not `present` (G,).

        Absent groups must change nothing; without any the penalty is 0.
        """

    @property
    def negative_share(self) -> float:
        """Share of this process's examples since `forget_negative` whose weight was negative."""
        if self._negative is None:
            return 0.0
        negative, rows = self._negative.tolist()
        return float(negative / rows) if rows else 0.0

    def negative_counts(self) -> Tensor | None:
        """(2,) this process's examples of negative weight, and all of them; None before any."""
        return self._negative

    def forget_negative(self) -> None:
        """Begin to count negative weights anew."""
        self._negative = None

    def weigh(self, sums: GroupSums) -> Weights:
        """J and the weights, from the sums of the global batch."""
        n = sums.all_rows.clamp(min=1)
        nothing = sums.all_total.new_zeros(())
        if not self.needs_groups:
            return Weights(sums.all_total / n, 1 / n, torch.zeros_like(sums.total), nothing)
        penalty = self._penalty(*sums.mean())
        return Weights(
            value=sums.all_total / n + penalty.value,
            base=1 / n,
            per_group=penalty.slope / sums.rows.clamp(min=1),
            outside=nothing,
        )

    def _look(self, weights: Tensor) -> None:
        if not self.needs_groups:
            return
        seen = torch.stack([(weights < 0).sum(), weights.new_full((), len(weights)).long()])
        self._negative = seen if self._negative is None else self._negative + seen

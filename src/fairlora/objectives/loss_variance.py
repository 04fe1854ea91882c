"""FairLoRA's objective: the mean loss plus a penalty on how far the groups' losses lie apart."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from fairlora.errors import require_known
from fairlora.objectives.base import GroupObjective, GroupSums, Weights, check_number


class LossVariance(GroupObjective):
    r"""Mean loss plus the spread of the groups' mean losses (Sukumaran et al. 2024).

    .. math:: J = L + \lambda \sum_g (L_g - m)^2

    with :math:`L` the mean loss of the batch, :math:`L_g` the mean loss of group g and :math:`m`
    the mean of the :math:`L_g` over the groups present. Because :math:`\sum_g (L_g - m) = 0`, the
    gradient of J is that of a weighted sum of the losses with weights

    .. math:: w_i = 1/N + \sum_{g \ni i} 2 \lambda (L_g - m) / n_g

    held constant. That is how it is computed: the groups' sums and counts are all that a step
    needs to know of the whole batch, on however many devices it lies. The returned scalar has the
    value J and that gradient. A row of no group counts in L alone.

    Parameters
    ----------
    strength : the papers' lambda, >= 0; 0 is plain training.
    reduction : "sum" as in the paper, or "mean", which divides the penalty by the number of groups
        present.
    num_groups : size of the group vocabulary; None takes what the batch holds.

    A weight is negative where ``2 * strength * (m - L_g) * N > n_g``: such an example is pushed
    towards a larger loss. `negative_share` says how many were.

    >>> import torch
    >>> losses = torch.tensor([1.0, 1.0, 3.0], requires_grad=True)
    >>> value = LossVariance(strength=0.5)(losses, torch.tensor([0, 0, 1]))
    >>> round(value.item(), 4)  # 5/3 + 0.5 * ((1 - 2)^2 + (3 - 2)^2)
    2.6667
    >>> value.backward(); losses.grad
    tensor([-0.1667, -0.1667,  1.3333])
    """

    name = "loss-variance"

    def __init__(
        self,
        strength: float = 1.0,
        *,
        reduction: Literal["sum", "mean"] = "sum",
        num_groups: int | None = None,
    ) -> None:
        super().__init__(num_groups)
        require_known([reduction], ("sum", "mean"), "reduction", "objective.reduction")
        self.strength = check_number(strength, "objective.strength")
        self.reduction = reduction
        self.needs_groups = strength > 0
        # Kept as tensors: reading one is a wait for the device, which no step should pay for.
        self._negative: Tensor | None = None

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
        mean, present = sums.mean()
        several = present.to(mean.dtype).sum().clamp(min=1)  # of integers it would be float32
        deviation = torch.where(present, mean - mean.sum() / several, 0.0)
        factor = self.strength / several if self.reduction == "mean" else self.strength
        return Weights(
            value=sums.all_total / n + (factor * deviation.square()).sum(),
            base=1 / n,
            per_group=2 * factor * deviation / sums.rows.clamp(min=1),
            outside=nothing,
        )

    def _look(self, weights: Tensor) -> None:
        if not self.needs_groups:
            return
        seen = torch.stack([(weights < 0).sum(), weights.new_full((), len(weights)).long()])
        self._negative = seen if self._negative is None else self._negative + seen

    def __repr__(self) -> str:
        return f"LossVariance(strength={self.strength:g}, reduction={self.reduction!r})"

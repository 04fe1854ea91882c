"""FairLoRA's objective: the mean loss plus a penalty on how far the groups' losses lie apart."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from fairlora.errors import require_known
from fairlora.objectives.penalty import Penalised, Penalty


class LossVariance(Penalised):
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
        super().__init__(strength, num_groups=num_groups)
        require_known([reduction], ("sum", "mean"), "reduction", "objective.reduction")
        self.reduction = reduction

    def _penalty(self, mean: Tensor, present: Tensor) -> Penalty:
        several = present.to(mean.dtype).sum().clamp(min=1)  # of integers it would be float32
        deviation = torch.where(present, mean - mean.sum() / several, 0.0)
        factor = self.strength / several if self.reduction == "mean" else self.strength
        return Penalty((factor * deviation.square()).sum(), 2 * factor * deviation)

    def __repr__(self) -> str:
        return f"LossVariance(strength={self.strength:g}, reduction={self.reduction!r})"

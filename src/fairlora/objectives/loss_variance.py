"""FairLoRA's objective: the mean loss plus a penalty on how far the groups' losses lie apart."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from fairlora.errors import InputError
from fairlora.objectives.base import check_batch, group_losses


class LossVariance:
    r"""Mean loss plus the spread of the groups' mean losses (Sukumaran et al. 2024).

    .. math:: J = L + \lambda \sum_g (L_g - m)^2

    with :math:`L` the mean loss of the batch, :math:`L_g` the mean loss of group g and :math:`m`
    the mean of the :math:`L_g` over the groups present. Because :math:`\sum_g (L_g - m) = 0`, the
    gradient of J is that of a weighted sum of the losses with weights

    .. math:: w_i = 1/N + 2 \lambda (L_g - m) / n_g

    held constant. That is how it is computed: the groups' sums and counts are all that a step
    needs to know of the whole batch. The returned scalar has the value J and that gradient.

    Parameters
    ----------
    strength : the papers' lambda, >= 0; 0 is plain training.
    reduction : "sum" as in the paper, or "mean", which divides the penalty by the number of groups
        present.
    num_groups : size of the group vocabulary; None takes what the batch holds.

    A weight is negative where ``2 * strength * (m - L_g) * N > n_g``: such an example is pushed
    towards a larger loss. `negative_share` of the last call says how many were.

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
        if not (math.isfinite(strength) and strength >= 0):
            raise InputError(
                "the strength of a fairness objective cannot be negative",
                where="objective.strength",
                found=strength,
                expected=">= 0",
            )
        if reduction not in ("sum", "mean"):
            raise InputError(
                "unknown reduction",
                where="objective.reduction",
                found=repr(reduction),
                expected="'sum' or 'mean'",
            )
        self.strength = float(strength)
        self.reduction = reduction
        self.num_groups = num_groups
        self.needs_groups = strength > 0
        # Kept as a tensor: reading it is a wait for the device, which no step should pay for.
        self._negative_share: Tensor | None = None

    @property
    def negative_share(self) -> float:
        """Share of the last batch's examples whose weight was negative."""
        return 0.0 if self._negative_share is None else float(self._negative_share)

    def __call__(self, losses: Tensor, groups: Tensor | None = None) -> Tensor:
        """J for `losses` (N,) with gradient and integer `groups` (N,); -1 is no group."""
        check_batch(losses, groups, needs_groups=self.needs_groups)
        if not self.needs_groups or groups is None:
            return losses.mean()
        num_groups = self.num_groups or int(groups.max()) + 1
        if num_groups < 1:
            return losses.mean()
        sums = group_losses(losses, groups, num_groups)
        present = sums.rows > 0
        mean = torch.where(present, sums.total / sums.rows.clamp(min=1), 0.0)
        centre = mean.sum() / present.sum().clamp(min=1)
        deviation = torch.where(present, mean - centre, 0.0)
        factor = torch.as_tensor(self.strength, dtype=mean.dtype, device=mean.device)
        if self.reduction == "mean":
            factor = factor / present.sum().clamp(min=1)
        per_group = 2 * factor * deviation / sums.rows.clamp(min=1)
        weights = torch.where(groups >= 0, per_group[groups.clamp(min=0)], 0.0) + 1 / len(losses)
        self._negative_share = (weights < 0).to(torch.float32).mean()
        weighted = (weights.to(losses.dtype) * losses).sum()
        value = losses.detach().mean() + (factor * deviation.square().sum()).to(losses.dtype)
        # The value is J's, the gradient the weighted sum's.
        return weighted + (value - weighted).detach()

    def __repr__(self) -> str:
        return f"LossVariance(strength={self.strength:g}, reduction={self.reduction!r})"

"""Empirical risk minimisation: the mean loss, whatever the groups."""

from __future__ import annotations

from torch import Tensor

from fairlora.objectives.base import check_batch


class ERM:
    """Plain training.

    >>> import torch
    >>> ERM()(torch.tensor([1.0, 3.0]))
    tensor(2.)
    """

    name = "erm"
    needs_groups = False

    def __call__(self, losses: Tensor, groups: Tensor | None = None) -> Tensor:
        """Mean of `losses` (N,); `groups` is not looked at."""
        check_batch(losses, groups, needs_groups=False)
        return losses.mean()

    def __repr__(self) -> str:
        return "ERM()"

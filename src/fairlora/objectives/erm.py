"""Empirical risk minimisation: the mean loss, whatever the groups."""

from __future__ import annotations

from typing import ClassVar

from fairlora.objectives.base import GroupObjective, GroupSums, Weights


class ERM(GroupObjective):
    """Plain training: the mean loss of the (global) batch.

    >>> import torch
    >>> ERM()(torch.tensor([1.0, 3.0]))
    tensor(2.)
    """

    name = "erm"
    needs_groups = False
    uses_groups: ClassVar[bool] = False

    def weigh(self, sums: GroupSums) -> Weights:
        """Every example counts 1 / N."""
        n = sums.all_rows.clamp(min=1)
        nothing = sums.total.new_zeros(())
        return Weights(sums.all_total / n, 1 / n, nothing.expand(1), nothing)

    def __repr__(self) -> str:
        return "ERM()"

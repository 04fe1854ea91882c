"""Reweighting: every group of the training set counts the same, however many rows it has."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fairlora.errors import InputError
from fairlora.objectives.base import GroupObjective, GroupSums, Weights


class Reweight(GroupObjective):
    r"""The mean of losses weighted by the inverse size of their group in the training set.

    .. math:: J = \frac{1}{N} \sum_i \sum_{g \ni i} c_g \ell_i, \qquad c_g = n / (G n_g)

    with n_g the training set's rows of group g, n the rows that are in any group, and G the number
    of groups that have rows. The mean weight over the training set is 1, so a learning rate keeps
    its meaning. A row of several groups has the sum of their weights; a row of no group counts 1.

    Parameters
    ----------
    rows : (G,) the training set's rows by group, after any of them were left out; `FairTrainer`
        gives them by `bind`.
    members : rows that are in any group; None is the sum of `rows`, right where none is in two.

    >>> import torch
    >>> losses = torch.tensor([1.0, 1.0, 3.0], requires_grad=True)
    >>> value = Reweight([20, 10])(losses, torch.tensor([0, 0, 1]))
    >>> round(value.item(), 4)  # (0.75 * 1 + 0.75 * 1 + 1.5 * 3) / 3
    2.0
    """

    name = "reweight"

    def __init__(
        self, rows: Sequence[float] | Tensor | None = None, *, members: int | None = None
    ) -> None:
        super().__init__(None if rows is None else len(rows))
        self._share: Tensor | None = None
        if rows is not None:
            counts = torch.as_tensor(rows, dtype=torch.float64)
            self._set(counts, float(counts.sum()) if members is None else members)

    @property
    def weights(self) -> Tensor:
        """(G,) the groups' weights; 0 for a group that training does not have."""
        if self._share is None:
            raise InputError(
                "reweighting needs the training set's counts",
                where="Reweight.rows",
                expected="the number of rows of each group",
            )
        return self._share

    @property
    def needs_counts(self) -> bool:
        """True unless they were given."""
        return self._share is None

    def bind(self, num_groups: int, rows: Tensor, members: int) -> None:
        """Take the vocabulary and the training set's rows by group.

        Parameters
        ----------
        num_groups : size of the group vocabulary, G.
        rows : (G,) the training set's rows by group; not read where rows were given at the start.
        members : rows that are in any group.

        Raises
        ------
        InputError : the objective was made for another number of groups; rows that are not counts.
        """
        super().bind(num_groups, rows, members)
        if self._share is None:
            self._set(rows.to(torch.float64), members)

    def _set(self, rows: Tensor, members: float) -> None:
        if not bool(torch.isfinite(rows).all()) or bool((rows < 0).any()) or not rows.sum() > 0:
            raise InputError(
                "not counts of rows",
                where="Reweight.rows",
                found=rows.tolist(),
                expected="numbers >= 0, not all 0",
            )
        present = rows > 0
        even = members / present.to(rows.dtype).sum()
        self._share = torch.where(present, even / rows.clamp(min=1e-300), 0.0)

    def weigh(self, sums: GroupSums) -> Weights:
        """J and the weights: the training set's, over the rows of the global batch."""
        n = sums.all_rows.clamp(min=1)
        share = self.weights.to(sums.total.device, sums.total.dtype)
        return Weights(
            value=((share * sums.total).sum() + sums.outside_total) / n,
            base=sums.total.new_zeros(()),
            per_group=share / n,
            outside=1 / n,
        )

    def __repr__(self) -> str:
        return "Reweight()"

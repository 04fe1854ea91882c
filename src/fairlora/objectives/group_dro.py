"""Group distributionally robust optimisation: the groups with the largest losses count most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fairlora.errors import InputError
from fairlora.objectives.base import GroupObjective, GroupSums, Weights, check_number


class GroupDRO(GroupObjective):
    r"""A weighted mean of the groups' losses whose weights follow the worst (Sagawa et al. 2020).

    Each step first moves the weights and then uses them (their Algorithm 1):

    .. math:: q_g \leftarrow q_g \exp(\eta (L_g + C / \sqrt{n_g})) / Z, \qquad J = \sum_g q_g L_g

    over the groups present in the batch; an absent group keeps its weight up to the normalisation.
    A row of no group counts nowhere: there is no group that it could speak for.

    Parameters
    ----------
    step_size : eta, how fast the weights move.
    adjustment : C, which makes up for the poorer generalisation of small groups; n_g are the
        training set's counts, which `FairTrainer` gives by `bind`.
    num_groups : size of the group vocabulary; in a bare loop it must be given here.

    The weights are part of the state of training: `state_dict` gives them, `FairTrainer` keeps
    them in its checkpoints. Under gradient accumulation they move once a micro-batch, or once a
    step with ``exact_accumulation``.

    >>> import torch
    >>> objective = GroupDRO(step_size=1.0, num_groups=2)
    >>> losses = torch.tensor([1.0, 1.0, 3.0], requires_grad=True)
    >>> objective(losses, torch.tensor([0, 0, 1])).backward()
    >>> [round(w, 3) for w in objective.weights.tolist()]  # exp(1) : exp(3)
    [0.119, 0.881]
    """

    name = "group-dro"

    def __init__(
        self, step_size: float = 0.01, *, adjustment: float = 0.0, num_groups: int | None = None
    ) -> None:
        super().__init__(num_groups)
        self.step_size = check_number(step_size, "objective.step_size")
        self.adjustment = check_number(adjustment, "objective.adjustment")
        # Logarithms: a group that was fine for long keeps a weight that is not quite zero.
        self._log_weights: Tensor | None = None
        self._rows: Tensor | None = None

    @property
    def weights(self) -> Tensor:
        """(G,) the groups' weights now; they sum to 1."""
        return self._log(torch.device("cpu")).exp()

    @property
    def needs_counts(self) -> bool:
        """True for the adjustment alone."""
        return self.adjustment > 0

    def bind(self, num_groups: int, rows: Tensor, members: int) -> None:
        """Take the vocabulary, and the training set's rows by group for the adjustment.

        Parameters
        ----------
        num_groups, members : as of `GroupObjective.bind`.
        rows : (G,) the training set's rows by group.

        Raises
        ------
        InputError : the objective was made for another number of groups.
        """
        super().bind(num_groups, rows, members)
        self._rows = rows.to(torch.float64)

    def weigh(self, sums: GroupSums) -> Weights:
        """J and the weights, from the sums of the global batch; moves the groups' weights."""
        mean, present = sums.mean()
        push = mean
        if self.adjustment:
            if self._rows is None:
                raise InputError(
                    "the adjustment needs the training set's counts",
                    where="GroupDRO.adjustment",
                    expected="a call of bind(num_groups, rows) before training",
                )
            size = self._rows.to(mean.device).clamp(min=1)
            push = mean + self.adjustment / size.sqrt().to(mean.dtype)
        moved = self._log(mean.device) + self.step_size * torch.where(present, push, 0.0)
        self._log_weights = moved - moved.logsumexp(0)
        weights = torch.where(present, self._log_weights.exp(), 0.0)
        nothing = mean.new_zeros(())
        return Weights(
            value=(weights * mean).sum(),
            base=nothing,
            per_group=weights / sums.rows.clamp(min=1),
            outside=nothing,
        )

    def state_dict(self) -> dict[str, Any]:
        """The logarithms of the groups' weights."""
        if self._log_weights is None:
            return {}
        return {"log_weights": self._log_weights.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the weights back; `InputError` if they are of another number of groups."""
        if "log_weights" not in state:
            return
        log_weights = torch.tensor(state["log_weights"], dtype=torch.float64)
        if self.num_groups is not None and len(log_weights) != self.num_groups:
            raise InputError(
                "group weights of another vocabulary",
                where="GroupDRO",
                found=f"{len(log_weights)} groups",
                expected=f"{self.num_groups}",
            )
        self._log_weights = log_weights

    def _log(self, device: torch.device) -> Tensor:
        if self._log_weights is None:
            if self.num_groups is None:
                raise InputError(
                    "group DRO needs the group vocabulary",
                    where="GroupDRO.num_groups",
                    found=None,
                    expected="the number of groups in the training set",
                )
            even = torch.zeros(self.num_groups, dtype=torch.float64)
            self._log_weights = even - even.logsumexp(0)
        kind = torch.float32 if device.type == "mps" else torch.float64
        return self._log_weights.to(device, kind)

    def __repr__(self) -> str:
        return f"GroupDRO(step_size={self.step_size:g}, adjustment={self.adjustment:g})"

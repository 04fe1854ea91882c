"""Whom differential privacy costs: what each group's rows lose to clipping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.predictions import GroupColumn


class GroupCost:
    """Adds up what was kept of the rows' gradients, by group.

    Noise is the same for all, and a small group has few rows against it; rows whose gradients are
    long, as those of groups that the model fails are, lose more to the cut (Bagdasaryan et al.
    2019, https://arxiv.org/abs/1905.12101). These numbers are of the training rows and not private.

    Parameters
    ----------
    attributes : name -> the groups of the training rows.
    sample_rate : chance of a row to be in a step's batch.

    >>> sex = GroupColumn(("f", "m"), np.array([0, 1, 1, 1]))
    >>> cost = GroupCost({"sex": sex}, sample_rate=0.5)
    >>> cost.add(np.array([0, 1, 2]), np.array([0.25, 1.0, 0.5]))
    >>> cost.summary()["sex"]["m"]
    {'rows': 3, 'rows_a_step': 1.5, 'drawn': 2, 'clipped_share': 0.5, 'kept': 0.75}
    """

    def __init__(self, attributes: Mapping[str, GroupColumn], sample_rate: float) -> None:
        self.sample_rate = sample_rate
        self.empty = 0
        self._members = {
            name: {group: column.contains(group) for group in column.names}
            for name, column in attributes.items()
        }
        # Of a group: rows drawn, rows cut, and the sum of their factors.
        self._sums = {
            name: {group: np.zeros(3) for group in groups} for name, groups in self._members.items()
        }

    def add(self, rows: NDArray[Any], factors: NDArray[Any]) -> None:
        """Add a batch: (N,) numbers of its rows, and (N,) what was kept of their gradients."""
        found = np.stack([np.ones(len(rows)), factors < 1, factors])
        for name, groups in self._members.items():
            for group, member in groups.items():
                self._sums[name][group] += found[:, member[rows]].sum(axis=1)

    def summary(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Attribute -> group -> rows, rows that a step expects, share clipped, share kept.

        ``kept`` is the mean factor that a row's gradient was multiplied by. Of a group none of
        whose rows was drawn, shares are None.
        """
        return {
            name: {
                group: self._of(int(member.sum()), self._sums[name][group].tolist())
                for group, member in groups.items()
            }
            for name, groups in self._members.items()
        }

    def _of(self, rows: int, sums: list[float]) -> dict[str, Any]:
        drawn, clipped, kept = sums
        return {
            "rows": rows,
            "rows_a_step": rows * self.sample_rate,
            "drawn": int(drawn),
            "clipped_share": clipped / drawn if drawn else None,
            "kept": kept / drawn if drawn else None,
        }

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds, as plain values."""
        sums = {n: {g: s.tolist() for g, s in groups.items()} for n, groups in self._sums.items()}
        return {"empty": self.empty, "sums": sums}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.empty = int(state.get("empty", 0))
        for name, groups in state.get("sums", {}).items():
            for group, sums in groups.items():
                if group in self._sums.get(name, {}):
                    self._sums[name][group] = np.asarray(sums, dtype=np.float64)

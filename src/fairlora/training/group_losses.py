"""Losses and hits by group, added up over batches and processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from fairlora.metrics.labels import tracker_name
from fairlora.objectives import GroupSums, group_sums


class GroupSummary(NamedTuple):
    """Losses and hits of the rows seen so far, by group."""

    loss: Tensor  # (G,) mean loss, NaN for an absent group
    accuracy: Tensor  # (G,)
    rows: Tensor  # (G,)
    overall_loss: float  # rows of no group counted too
    overall_accuracy: float

    @property
    def loss_variance(self) -> float:
        """Mean over the groups present of (L_g - mean of the L_g)^2."""
        present = self.loss[self.rows > 0]
        return float((present - present.mean()).square().mean()) if len(present) else float("nan")

    def training_log(self, names: Sequence[str]) -> dict[str, float]:
        """What a log line says of the groups present; nothing where there are none."""
        shown = map(tracker_name, names)
        pairs = zip(shown, self.loss.tolist(), self.rows.tolist(), strict=True)
        found = {f"loss/{name}": loss for name, loss, rows in pairs if rows}
        return {**found, "loss_variance": self.loss_variance} if found else {}

    def evaluation_metrics(self, prefix: str) -> dict[str, float]:
        """The metrics of an evaluation, those over groups where there are any."""
        metrics = {
            f"{prefix}_loss": self.overall_loss,
            f"{prefix}_accuracy": self.overall_accuracy,
        }
        seen = self.rows > 0
        if seen.any():
            metrics[f"{prefix}_accuracy_worst"] = float(self.accuracy[seen].min())
            metrics[f"{prefix}_loss_variance"] = self.loss_variance
        return metrics


class GroupMeter:
    """Adds up losses and hits by group over batches, without waiting for the device."""

    def __init__(self, num_groups: int) -> None:
        self.num_groups = num_groups
        self._losses: GroupSums | None = None
        self._hits: GroupSums | None = None

    def reset(self) -> None:
        """Forget what has been added."""
        self._losses = self._hits = None

    def add(
        self, losses: Tensor, groups: Tensor | None, hits: Tensor, real: Tensor | None = None
    ) -> None:
        """Add a batch.

        Parameters
        ----------
        losses : (N,) losses.
        groups : (N,) groups' numbers, -1 for none; or (N, G) zeros and ones. None is no group for
            any row.
        hits : (N,) whether each row was right, or a share.
        real : (N,) which rows are real: others count nowhere. None is all.

        Raises
        ------
        InputError : as `group_sums` does.
        """
        if groups is None:
            groups = torch.full(losses.shape, -1, dtype=torch.long, device=losses.device)
        loss = group_sums(losses, groups, self.num_groups, real)
        right = group_sums(hits, groups, self.num_groups, real)
        self._losses = loss if self._losses is None else self._losses + loss
        self._hits = right if self._hits is None else self._hits + right

    def summary(self, *, everywhere: bool = False) -> GroupSummary | None:
        """What has been added since `reset`, or None.

        `everywhere` adds up all processes: each must then call, with something added.
        """
        if self._losses is None or self._hits is None:
            return None
        flat = torch.cat(
            [
                torch.stack([self._losses.total, self._hits.total, self._losses.rows]).flatten(),
                torch.stack([self._losses.all_total, self._hits.all_total, self._losses.all_rows]),
            ]
        )
        if everywhere and dist.is_available() and dist.is_initialized():
            dist.all_reduce(flat)
        flat = flat.cpu()
        total, hits, rows = flat[:-3].view(3, -1)
        loss, right, count = flat[-3:].tolist()
        return GroupSummary(
            loss=total / rows,
            accuracy=hits / rows,
            rows=rows,
            overall_loss=loss / count if count else float("nan"),
            overall_accuracy=right / count if count else float("nan"),
        )

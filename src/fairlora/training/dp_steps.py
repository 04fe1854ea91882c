"""A step of DP-SGD: rows drawn one by one, gradients cut row by row, noise added to their sum."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from opacus.optimizers import DPOptimizer
from opacus.utils.uniform_sampler import UniformWithReplacementSampler
from torch import Tensor
from torch.utils.data import Sampler

from fairlora.training.dp_budget import DPSettings


class PoissonBatches(Sampler[list[int]]):
    """Batches that hold each row with the same chance, whoever else is in them; some are empty.

    An epoch's batches are drawn from the settings' key and the epoch alone, so that a run that goes
    on from a checkpoint sees the same.

    Parameters
    ----------
    rows : how many there are.
    rate : chance of each.
    steps : batches of an epoch.
    settings : give the seeds.
    """

    def __init__(self, rows: int, rate: float, steps: int, settings: DPSettings) -> None:
        self.rows, self.rate, self.steps, self.settings = rows, rate, steps, settings
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.settings.draw("rows", self.epoch))
        yield from UniformWithReplacementSampler(
            num_samples=self.rows, sample_rate=self.rate, generator=generator, steps=self.steps
        )


class EmptyBatch:
    """A collator for batches that may be empty: they are labels of no rows."""

    def __init__(self, inner: Callable[[Sequence[Any]], dict[str, Any]]) -> None:
        self.inner = inner

    def __call__(self, items: Sequence[Any]) -> dict[str, Any]:
        return self.inner(items) if items else {"labels": torch.empty(0, dtype=torch.long)}


class NoisyOptimizer(DPOptimizer):  # type: ignore[misc]
    """opacus' optimizer, for batches that come in parts and for empty ones.

    `clip_and_accumulate` is called for each part of a batch, and gives the parts' clip factors;
    `step` then adds the noise once. A batch without a part is a step of noise alone.
    """

    def clip_and_accumulate(self) -> Tensor:
        """Cut each row's gradient to the largest norm and add them up; (N,) factors, at most 1."""
        samples = self.grad_samples
        norms = torch.stack([one.flatten(1).norm(dim=1) for one in samples]).norm(dim=0)
        factors: Tensor = (self.max_grad_norm / (norms + 1e-6)).clamp(max=1.0)
        for parameter, sample in zip(self.params, samples, strict=True):
            total = torch.einsum("i,i...", factors, sample)
            before = parameter.summed_grad
            parameter.summed_grad = total if before is None else before + total
            parameter.grad_sample = None
        return factors

    def pre_step(self, closure: Callable[[], float] | None = None) -> bool:
        """Noise, and the mean over the expected rows, not over those that were drawn."""
        for parameter in self.params:
            if parameter.summed_grad is None:
                parameter.summed_grad = torch.zeros_like(parameter)
        self.add_noise()
        for parameter in self.params:
            parameter.grad /= self.expected_batch_size
        return True

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """The wrapped optimizer's step, of what was summed and its noise."""
        done = super().step(closure)
        for parameter in self.params:
            parameter.summed_grad = None
        return done


def in_parts(batch: dict[str, Any], most: int) -> list[dict[str, Any]]:
    """A batch in as few and as even parts of at most `most` rows as can be."""
    rows = len(batch["labels"])
    if rows <= most:
        return [batch]
    size = -(-rows // -(-rows // most))
    return [
        {
            key: value[start : start + size] if _by_row(value, rows) else value
            for key, value in batch.items()
        }
        for start in range(0, rows, size)
    ]


def _by_row(value: Any, rows: int) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0 and len(value) == rows

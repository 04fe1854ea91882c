"""Gradient accumulation: repeated rows marked, and the objective of a whole window.

A loader for several processes fills the last batches of an epoch with rows that it has given
already. They are marked here, so that they count nowhere. With exact accumulation the losses of
all the batches of an optimizer step are measured first, so that the objective is that of the step's
whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from fairlora.objectives import GroupObjective, GroupSums, Weights

REAL = "fairlora_real"


class MarkRepeated(Iterator[Any]):
    """Adds a mask of real rows to batches that have repeated ones.

    accelerate's loaders say, once the last batch is out, how many rows of it over all processes
    are real: those come first, in the order of the processes.
    """

    def __init__(self, batches: Iterator[Any], accelerator: Any) -> None:
        self.batches = batches
        self.accelerator = accelerator

    def __next__(self) -> Any:
        batch = next(self.batches)
        state = self.accelerator.gradient_state
        world = self.accelerator.num_processes
        if world > 1 and state.end_of_dataloader and state.remainder > 0:
            rows = len(next(iter(batch.values())))
            start = self.accelerator.process_index * rows
            real = torch.arange(start, start + rows) < state.remainder
            if not bool(real.all()):
                batch[REAL] = real
        return batch


def measure_window(
    objective: GroupObjective,
    batches: Sequence[Any],
    losses_of: Callable[[Any], tuple[Tensor, Tensor | None, Tensor | None]],
    device: torch.device,
) -> Weights:
    """The weights of an optimizer step's whole batch, from a pass over it without gradient.

    The random state is put back, so that the pass with gradient draws the same dropout.

    Parameters
    ----------
    objective : adds up the losses and weighs the sums.
    batches : the micro-batches of the step, at least one.
    losses_of : gives a batch's losses, groups and real rows.
    device : where the model computes; its random state is put back as the CPU's is.
    """
    before = _random_state(device)
    sums: GroupSums | None = None
    with torch.no_grad():
        for batch in batches:
            losses, groups, real = losses_of(batch)
            measured = objective.measure(losses, groups, real)
            sums = measured if sums is None else sums + measured
    assert sums is not None
    _set_random_state(device, before)
    return objective.weigh(sums)


def _random_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    own = None if device.type == "cpu" else torch.get_device_module(device).get_rng_state(device)
    return torch.get_rng_state(), own


def _set_random_state(device: torch.device, state: tuple[Tensor, Tensor | None]) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.get_device_module(device).set_rng_state(state[1], device)

"""What several processes run for test_distributed: the gradient of one global batch.

    torchrun --nproc-per-node N gradients_worker.py OUT

Also imported by the test, which computes the same with one process.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from fairlora.objectives import ERM, GroupDRO, GroupObjective, LossGap, LossVariance, Reweight

G = 5
ROWS = [40, 30, 20, 5, 5]
OBJECTIVES: dict[str, Callable[[], GroupObjective]] = {
    "erm": ERM,
    "loss-variance": lambda: LossVariance(2.0, num_groups=G),
    "loss-variance mean": lambda: LossVariance(30.0, reduction="mean", num_groups=G),
    "group-dro": lambda: GroupDRO(0.5, num_groups=G),
    "reweight": lambda: Reweight(ROWS),
    "loss-gap": lambda: LossGap(1.5, num_groups=G),
}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def batch() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """16 rows: inputs, labels, groups, groups as a matrix, and a mask that leaves out the last 3.

    No quarter of it has all groups, one quarter has none, and group 4 is absent.
    """
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(16, 6, generator=generator).double()
    y = torch.randint(0, 3, (16,), generator=generator)
    groups = torch.tensor([0, 0, 0, 0, -1, -1, -1, -1, 1, 2, 1, 3, 3, 0, 2, 0])
    matrix = torch.rand(16, G, generator=generator) < 0.4
    matrix[:, 4] = False
    matrix[4:8] = False
    real = torch.ones(16, dtype=torch.bool)
    real[13:] = False
    return x, y, groups, matrix, real


KINDS = ("column", "matrix", "masked")


def gradients(model: nn.Module, part: slice) -> dict[str, tuple[float, list[float]]]:
    """Value and gradient of every objective on a part of the batch."""
    x, y, groups, matrix, real = batch()
    found = {}
    for name, make in OBJECTIVES.items():
        for kind in KINDS:
            objective = make()
            value = torch.zeros(())
            for _ in range(2):  # the second step of an objective with a memory
                model.zero_grad()
                losses = F.cross_entropy(model(x[part]), y[part], reduction="none")
                value = objective(
                    losses,
                    matrix[part] if kind == "matrix" else groups[part],
                    real[part] if kind == "masked" else None,
                )
                value.backward()  # type: ignore[no-untyped-call]
            grads = [whole(p.grad).flatten() for p in model.parameters() if p.grad is not None]
            found[f"{name}, {kind}"] = value.item(), torch.cat(grads).tolist()
    return found


def whole(gradient: Tensor) -> Tensor:
    """A gradient that is sharded, from all processes."""
    return gradient.full_tensor() if hasattr(gradient, "full_tensor") else gradient


def main() -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.nn.parallel import DistributedDataParallel

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    rows = 16 // world
    part = slice(rank * rows, (rank + 1) * rows)
    # A vocabulary read from the batch would differ between processes.
    refused = False
    try:
        LossVariance(1.0)(torch.ones(2), torch.tensor([0, 1]))
    except ValueError as error:
        refused = "num_groups" in str(error)
    results = {"refused": refused, "ddp": gradients(DistributedDataParallel(network()), part)}
    sharded = network()
    mesh = init_device_mesh("cpu", (world,))
    for layer in (sharded[0], sharded[2]):  # type: ignore[index]
        fully_shard(layer, mesh=mesh)
    fully_shard(sharded, mesh=mesh)
    results["sharded"] = gradients(sharded, part)
    results["type"] = type(next(sharded.parameters())).__name__
    if rank == 0:
        Path(sys.argv[1]).write_text(json.dumps(results))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()

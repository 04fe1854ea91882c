"""What several processes run for test_distributed: every objective under DeepSpeed on the CPU.

    DS_ACCELERATOR=cpu torchrun --nproc-per-node 2 deepspeed_worker.py OUT STAGE

Its own engine, for accelerate gives the processes of a machine without a GPU all rows each.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fairlora.objectives import ERM, GroupDRO, GroupObjective, LossGap, LossVariance, Reweight

G = 3
OBJECTIVES: dict[str, Callable[[], GroupObjective]] = {
    "erm": ERM,
    "loss-variance": lambda: LossVariance(2.0, num_groups=G),
    "group-dro": lambda: GroupDRO(0.5, num_groups=G),
    "reweight": lambda: Reweight([12, 8, 4]),
    "loss-gap": lambda: LossGap(1.5, num_groups=G),
}


def batches() -> list[tuple[Tensor, Tensor, Tensor]]:
    """Three batches of eight rows; the halves of a batch have other groups."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 8, 4, generator=generator)
    y = torch.randint(0, 2, (3, 8), generator=generator)
    groups = torch.tensor([[0, 0, 0, 1, 1, 2, 2, -1], [0, 0, 0, 0, 1, 1, 1, 1], [2, 2, 0, 0] * 2])
    return list(zip(x, y, groups, strict=True))


def train(objective: GroupObjective, part: slice, stage: int | None) -> list[float]:
    """Three steps of SGD on a part of each batch; the weights."""
    torch.manual_seed(3)
    model: Any = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    deepspeed: Any = None if stage is None else importlib.import_module("deepspeed")
    engine: Any = None
    if deepspeed is not None:
        engine, *_ = deepspeed.initialize(
            model=model,
            optimizer=optimizer,
            config={
                "train_micro_batch_size_per_gpu": 4,
                "zero_optimization": {"stage": stage},
                "zero_allow_untested_optimizer": True,
                # Left out, DeepSpeed cuts gradients to a norm of 1.
                "gradient_clipping": 0.0,
            },
        )
    for x, y, groups in batches():
        losses = F.cross_entropy((engine or model)(x[part]), y[part], reduction="none")
        loss = objective(losses, groups[part])
        if engine is None:
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
        else:
            engine.backward(loss)
            engine.step()
    if stage == 3:
        with deepspeed.zero.GatheredParameters(list(model.parameters())):
            return torch.cat([p.detach().flatten() for p in model.parameters()]).tolist()
    return torch.cat([p.detach().flatten() for p in model.parameters()]).tolist()


def main() -> None:
    torch.set_num_threads(1)
    out, stage = Path(sys.argv[1]), int(sys.argv[2])
    importlib.import_module("deepspeed").init_distributed(dist_backend="gloo")
    rank, each = int(os.environ["RANK"]), 8 // int(os.environ["WORLD_SIZE"])
    part = slice(rank * each, (rank + 1) * each)
    found = {name: train(make(), part, stage) for name, make in OBJECTIVES.items()}
    if rank == 0:
        out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()

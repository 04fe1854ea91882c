"""Steps of several LoRA runs in one pass beside the same steps one after another.

    python benchmarks/speed/stacked.py                     # the embedded model, 1 thread
    python benchmarks/speed/stacked.py --model google/vit-base-patch16-224-in21k --size 224 \\
        --batch 32 --members 1 2 4 8 16 32               # on a GPU

A step is forward, loss, backward and the optimizer's step of every member; both ways take turns, on
the same batches. Results go to benchmarks/results/stacked.json.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fairlora.models import Adapter, attach, load_classifier
from fairlora.models.device import best_device
from fairlora.training.stacked import Stack, current_member

RESULTS = Path(__file__).resolve().parents[1] / "results" / "stacked.json"


class Run:
    """A LoRA run's model with its optimizer and a batch."""

    def __init__(self, model_id: str, size: int | None, batch: int, seed: int) -> None:
        loaded = load_classifier(
            model_id,
            ("a", "b"),
            kind="image",
            head_seed=seed,
            **({"image_size": size} if size else {}),
        )
        self.device = best_device()
        self.model: Any = attach(loaded.model, Adapter(rank=8), loaded.head, seed=seed)
        self.model.to(self.device).train()
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=1e-3)
        side = loaded.preprocessing.size  # type: ignore[union-attr]
        generator = torch.Generator().manual_seed(seed)
        pixels = torch.randn(batch, 3, side, side, generator=generator).to(self.device)
        self.inputs = {"pixel_values": pixels, **loaded.forward_arguments}
        self.labels = (torch.arange(batch) % 2).to(self.device)
        self.member: Any = None

    def step(self) -> None:
        forward: Callable[..., Any] = self.model
        if self.member is None:
            output = forward(**self.inputs)
        else:
            output = self.member.forward(self.model, self.inputs)
        loss: Tensor = nn.functional.cross_entropy(output.logits, self.labels)
        if self.member is None:
            loss.backward()
        else:
            self.member.stack.meet(self.member.place, "backward", loss)
        self.optimizer.step()
        self.optimizer.zero_grad()


def alone(runs: list[Run], steps: int) -> float:
    """Seconds a step of all runs, one after another."""
    start = time.perf_counter()
    for run in runs:
        run.member = None
        for _ in range(steps):
            run.step()
    _synchronize()
    return (time.perf_counter() - start) / steps


def together(runs: list[Run], steps: int) -> float:
    """Seconds a step of all runs in one pass."""
    stack = Stack(len(runs))

    def work(run: Run) -> Callable[[], None]:
        def do() -> None:
            run.member = current_member()
            stack.add(run.member.place, run.model)
            for _ in range(steps):
                run.step()

        return do

    start = time.perf_counter()
    failed = [found for found in stack.run([work(run) for run in runs]) if found is not None]
    if failed:
        raise failed[0]
    _synchronize()
    for run in runs:
        run.member = None
    return (time.perf_counter() - start) / steps


def _synchronize() -> None:
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--size", type=int, help="side of the pictures")
    parser.add_argument(
        "--batch", "--batches", dest="batches", type=int, nargs="+", default=[2, 8, 32]
    )
    parser.add_argument("--members", type=int, nargs="+", default=[4])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = []
    for batch in arguments.batches:
        for count in arguments.members:
            runs = [Run(arguments.model, arguments.size, batch, seed) for seed in range(count)]
            alone(runs, 1)
            together(runs, 1)
            pairs = []
            for turn in range(arguments.rounds):
                order = (alone, together) if turn % 2 else (together, alone)
                seconds = {way.__name__: way(runs, arguments.steps) for way in order}
                pairs.append((seconds["alone"], seconds["together"]))
            ratios = sorted(one / other for one, other in pairs)
            row = {
                "batch": batch,
                "members": count,
                "alone_ms": round(1000 * statistics.median(one for one, _ in pairs), 1),
                "together_ms": round(1000 * statistics.median(other for _, other in pairs), 1),
                "ratio": round(statistics.median(ratios), 3),
                "least": round(ratios[0], 3),
                "most": round(ratios[-1], 3),
            }
            rows.append(row)
            print(row, flush=True)
    RESULTS.write_text(
        json.dumps(
            {
                "model": arguments.model,
                "device": str(best_device()),
                "machine": platform.processor() or platform.machine(),
                "cores": os.cpu_count(),
                "threads": arguments.threads,
                "versions": {n: importlib.metadata.version(n) for n in ("torch", "peft")},
                "rows": rows,
            },
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()

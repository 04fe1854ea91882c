"""What differential privacy costs a training step, side by side in one run.

    python benchmarks/speed/dp_step.py            # about five minutes on two cores

A LoRA and a full step of the embedded model at batch 32 with and without, on the same batches, in
turns as `train_step.py` takes them. Memory is the peak of a process of its own that makes twenty
steps. Wanted of LoRA: at most 2.0 times the step and 1.5 times the memory. Results go to
benchmarks/results/dp_step.json with the machine and the versions.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from train_step import RESULTS, SETTINGS, about, pairs, ratio, step, trainer_of

from fairlora.study.runs.environment import forget_peak_memory, peak_memory_mb
from fairlora.study.runs.prepare import prepare
from fairlora.study.spec.run import parse_spec
from fairlora.training import FairTrainer
from fairlora.training.dp_budget import DPSettings
from fairlora.training.dp_trainer import DPTrainer

BATCH = 32
STEPS = 20


def made(folder: Path, kind: str, private: bool) -> FairTrainer:
    """A trainer that is ready to step, private or plain."""
    if not private:
        return trainer_of(folder, None, BATCH, kind)
    own = {
        "privacy": DPSettings(epsilon=8.0, seed=0),
        "attributes": prepare(parse_spec(SETTINGS)).examples.part("train").groups,
    }
    return trainer_of(folder, None, BATCH, kind, DPTrainer, **own)


def peak(kind: str, private: bool) -> float:
    """Megabytes at most of a process that makes some steps."""
    words = [sys.executable, __file__, "--peak", kind, *(["--private"] if private else [])]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def own_peak(kind: str, private: bool) -> float:
    """Make the steps, and say what this process took at most, in megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        batches = list(trainer_of(Path(folder), None, BATCH, kind).get_train_dataloader())[:4]
        trainer = made(Path(folder), kind, private)
        forget_peak_memory()
        for k in range(STEPS):
            step(trainer, batches[k % len(batches)])
    return peak_memory_mb()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--peak", choices=("lora", "full"), help="used by itself")
    parser.add_argument("--private", action="store_true", help="used by itself")
    parser.add_argument("--out", type=Path, default=RESULTS.with_name("dp_step.json"))
    asked = parser.parse_args()
    if asked.peak:
        print(own_peak(asked.peak, asked.private))
        return
    content: dict[str, Any] = {"about": about(), "batch": BATCH, "steps": []}
    content["about"]["versions"]["opacus"] = importlib.metadata.version("opacus")
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("lora", "full"):
            times = pairs(
                made(Path(folder), kind, False), made(Path(folder), kind, True), asked.pairs
            )
            found = ratio(times)
            found["private_ms"] = found.pop("fair_ms")
            memory = [peak(kind, private) for private in (False, True)]
            row = {
                "adapter": kind,
                **found,
                "plain_mb": round(memory[0]),
                "private_mb": round(memory[1]),
                "memory_ratio": round(memory[1] / memory[0], 3),
            }
            print(row, flush=True)
            content["steps"].append(row)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(content, indent=1) + "\n")
    print(f"{asked.out} is written")


if __name__ == "__main__":
    main()

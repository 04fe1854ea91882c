"""Where the time goes of a run, from the command to its page, and of a study.

    python benchmarks/speed/where.py                          # the embedded model, LoRA, 2 epochs
    python benchmarks/speed/where.py --set adapter.kind=full
    python benchmarks/speed/where.py --study studies/demo.yaml --set seeds=1

Each second counts once, in the innermost of the phases that were open. The product rate is that of
one large matrix product, measured in the same process; training's share of it is that of its
forward and backward passes. Results go to benchmarks/results/where.json with machine and versions.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results" / "where.json"
SETTINGS: dict[str, Any] = {
    "data": {"name": "people-emoji", "groups": ["skin_tone", "renderer"]},
    "adapter": {"kind": "lora", "rank": 8},
    "training": {"epochs": 2, "learning_rate": 3e-3, "precision": "float32"},
}
# Phase -> what is wrapped, where it is looked up.
PHASES = {
    "reading data": [("fairlora.study.runs.prepare", "load_examples")],
    "loading the model": [
        ("fairlora.study.tasks.classification", "load_base"),
        ("fairlora.study.tasks.classification", "attach"),
    ],
    "decoding pictures": [("fairlora.training.images", "ImageDataset._picture")],
    "forward": [("fairlora.training.trainer", "FairTrainer.compute_loss")],
    "backward": [("accelerate", "Accelerator.backward")],
    "optimiser": [
        ("accelerate", "Accelerator.clip_grad_norm_"),
        ("accelerate.optimizer", "AcceleratedOptimizer.step"),
    ],
    "evaluation": [("fairlora.training.trainer", "FairTrainer.evaluate")],
    "predictions": [("fairlora.study.tasks.classification", "Classification.predict")],
    "proof of the folder": [("fairlora.study.tasks.classification", "prove_run")],
    "audit": [("fairlora.study.tasks.classification", "measure")],
    "page": [
        ("fairlora.study.report.summary", "run_page"),
        ("fairlora.report.html", "write_html"),
    ],
    "files": [
        ("fairlora.study.tasks.base", "save_finetuned"),
        ("fairlora.study.runs.folder", "RunFolder.write"),
        ("fairlora.study.runs.folder", "RunFolder.write_status"),
    ],
}
# In evaluation and predictions, passes are theirs.
PASSES = ("evaluation", "predictions", "proof of the folder")


class Clock:
    """Seconds by phase, each counted in the innermost phase alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._open = ["the rest"]
        self._last = time.perf_counter()

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        if name == "forward" and any(outer in self._open for outer in PASSES):
            name = self._open[-1]
        self._tick()
        self._open.append(name)
        self.calls[name] += 1
        try:
            yield
        finally:
            self._tick()
            self._open.pop()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.seconds[self._open[-1]] += now - self._last
        self._last = now

    def wrap(self, phase: str, module: str, name: str) -> None:
        """Count what a function takes."""
        holder: Any = importlib.import_module(module)
        *outer, last = name.split(".")
        for part in outer:
            holder = getattr(holder, part)
        inner: Callable[..., Any] = getattr(holder, last)

        @functools.wraps(inner)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.phase(phase):
                return inner(*args, **kwargs)

        setattr(holder, last, timed)


def run(overrides: list[str], folder: Path) -> dict[str, Any]:
    """Seconds by phase of one run, in this process."""
    clock = Clock()
    with clock.phase("imports"):
        import torch

        from fairlora.models.libraries import load_libraries

        load_libraries()
        for pairs in PHASES.values():
            for module, _ in pairs:
                importlib.import_module(module)
        from fairlora.study.runs.cell import run_cell
        from fairlora.study.runs.cost import flops_per_second
        from fairlora.study.runs.folder import RunFolder
        from fairlora.study.runs.prepare import prepare
        from fairlora.study.spec.run import parse_spec
    for phase, pairs in PHASES.items():
        for module, name in pairs:
            clock.wrap(phase, module, name)
    counter = _Flops()
    spec = parse_spec(SETTINGS, overrides)
    prepared = prepare(spec)
    run_cell(prepared, RunFolder(folder))
    summary = importlib.import_module("fairlora.study.report.summary")
    html = importlib.import_module("fairlora.report.html")
    with clock.phase("page"):
        runs = summary.read_runs([folder])
    html.write_html(summary.run_page(runs[0]), folder / "report.html")
    seconds = dict(clock.seconds)
    passes = seconds.get("forward", 0) + seconds.get("backward", 0)
    steps = clock.calls["backward"]
    peak = flops_per_second(bf16=spec.training.bf16)
    rate = counter.step * steps / passes if passes else None
    return {
        "method": spec.method,
        "steps": steps,
        "threads": torch.get_num_threads(),
        "seconds": {k: round(v, 3) for k, v in sorted(seconds.items(), key=lambda x: -x[1])},
        "gflops_product": round(peak / 1e9, 1),
        "gflops_training": None if rate is None else round(rate / 1e9, 1),
    }


class _Flops:
    """Operations of the first training step's forward and backward pass, counted by torch."""

    def __init__(self) -> None:
        from torch.utils.flop_counter import FlopCounterMode

        from fairlora.training import FairTrainer

        self.step = 0.0
        inner = FairTrainer.training_step

        def counted(trainer: Any, *args: Any, **kwargs: Any) -> Any:
            if self.step:
                return inner(trainer, *args, **kwargs)
            with FlopCounterMode(display=False) as mode:
                loss = inner(trainer, *args, **kwargs)
            self.step = float(mode.get_total_flops())
            return loss

        FairTrainer.training_step = counted  # type: ignore[method-assign]


def print_run(found: dict[str, Any]) -> None:
    total = sum(found["seconds"].values())
    print(f"{found['method']}, {found['steps']} steps, {found['threads']} threads: {total:.1f} s")
    for name, seconds in found["seconds"].items():
        print(f"  {100 * seconds / total:5.1f} %  {seconds:8.2f} s  {name}")
    if found["gflops_training"]:
        share = found["gflops_training"] / found["gflops_product"]
        print(
            f"  training's passes: {found['gflops_training']} GFLOP/s, {100 * share:.0f} % of the "
            f"product rate ({found['gflops_product']})"
        )


def study(path: str, overrides: list[str], out: Path) -> dict[str, Any]:
    """Where a study's time goes: its cells' own seconds against the command's."""
    options = [part for override in overrides for part in ("--set", override)]
    command = [sys.executable, "-m", "fairlora", "study"]
    seconds = {}
    for name, extra in (("run", ["--no-report", "--json"]), ("report", ["--again"])):
        start = time.perf_counter()
        done = subprocess.run(
            [*command, name, path, *options, "--out", str(out), *extra],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        seconds[name] = time.perf_counter() - start
        if name == "run":
            root = Path(json.loads(done.stdout)["folder"])
    cells = [
        float(json.loads(file.read_text())["seconds"]) for file in root.glob("*/environment.json")
    ]
    return {
        "study": Path(path).stem,
        "cells": len(cells),
        "run_seconds": round(seconds["run"], 2),
        "cell_seconds": round(sum(cells), 2),
        "report_seconds": round(seconds["report"], 2),
    }


def print_study(found: dict[str, Any]) -> None:
    side = found["cell_seconds"] / found["run_seconds"]
    print(
        f"{found['study']}: {found['cells']} cells in {found['run_seconds']} s; their own seconds "
        f"are {found['cell_seconds']} ({side:.2f} at a time); the report takes "
        f"{found['report_seconds']} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--study", help="a study file instead of one run")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--out", type=Path, help="where the cells lie; default: a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = arguments.out or Path(temporary)
        if arguments.study:
            found = study(arguments.study, arguments.overrides, out)
            print_study(found)
        else:
            found = run(arguments.overrides, out / "run")
            print_run(found)
    packages = ("torch", "transformers", "peft", "accelerate")
    machine = {
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    key = [found.get("study"), found.get("method"), arguments.overrides]
    kept = [row for row in known if row["key"] != key]
    RESULTS.write_text(json.dumps([*kept, {"key": key, **machine, **found}], indent=1) + "\n")


if __name__ == "__main__":
    main()

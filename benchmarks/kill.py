"""Kills a study with SIGKILL at random moments, and compares its end with an undisturbed run.

    python benchmarks/kill.py --kills 20 --out runs/kill
    python benchmarks/kill.py --kills 20 --stack 4 --out runs/kill-stack      # LoRA runs in packs

Every other kill takes the whole process group, the others the parent alone: workers must notice.
The number of threads is fixed, so the results must be the same to the last bit.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
STUDY = """\
name: kill
data: {name: people-emoji, target: gender, groups: [skin_tone], renderers: [noto], train_rows: 96}
methods: [lora, {adapter: full, training: {learning_rate: 3.0e-4}}]
ranks: [0, 4]
strengths: [0, 1]
objective: {groups: skin_tone}
seeds: 2
training: {max_steps: 6, batch_size: 16, learning_rate: 3.0e-3, resume: checkpoint}
audit: {positive: male}
engine: {kind: local, processes: 1, threads: 1, stack: STACK}
report: {figures: [], formats: [png]}
"""
# What can go into one pass: eight LoRA runs of two ranks, strengths and seeds.
PACKED = {
    "methods: [lora, {adapter: full, training: {learning_rate: 3.0e-4}}]": "methods: [lora]",
    "ranks: [0, 4]": "ranks: [2, 4]",
}


def study_file(stack: int) -> str:
    """The study as YAML; with a stack above 1, of cells that train in packs of that size."""
    text = STUDY.replace("STACK", str(stack))
    for before, after in PACKED.items() if stack > 1 else ():
        text = text.replace(before, after)
    return text


def command(study: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "fairlora", "study", "run", str(study), "--out", str(out)]


def run(study: Path, out: Path) -> None:
    subprocess.run(command(study, out), check=True, capture_output=True)


def killed(study: Path, out: Path, kills: int, longest: float, generator: random.Random) -> int:
    """Start the study and kill it, `kills` times at most; returns how many hit it."""
    hits = 0
    for number in range(kills):
        process = subprocess.Popen(
            command(study, out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(generator.uniform(0.5, longest))
            break  # it came to its end
        except subprocess.TimeoutExpired:
            pass
        if number % 2:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        hits += 1
        print(f"kill {number + 1}: {finished(out)} cells finished", flush=True)
    return hits


def finished(out: Path) -> int:
    return sum(
        json.loads(path.read_text()).get("state") == "finished"
        for path in out.glob("kill/*/status.json")
    )


def together(out: Path) -> int:
    """How many cells trained in one pass with others."""
    return sum(
        bool(json.loads(path.read_text()).get("together"))
        for path in out.glob("kill/*/environment.json")
    )


def results(out: Path) -> dict[str, Any]:
    """What a study found, cell by cell, without when and how fast."""
    found = {}
    for cell in sorted(path.parent for path in out.glob("kill/*/status.json")):
        metrics = json.loads((cell / "metrics.json").read_text())
        metrics.pop("training_seconds")
        predictions = pq.read_table(cell / "predictions.parquet")
        found[cell.name] = (metrics, predictions.to_pylist())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--longest", type=float, default=25.0, help="seconds a life lasts at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stack", type=int, default=1, help="LoRA runs in one pass")
    parser.add_argument("--out", type=Path, default=Path("runs/kill"))
    asked = parser.parse_args()
    shutil.rmtree(asked.out, ignore_errors=True)
    asked.out.mkdir(parents=True)
    study = asked.out / "study.yaml"
    study.write_text(study_file(asked.stack))
    run(study, asked.out / "calm")
    calm = results(asked.out / "calm")
    packed = together(asked.out / "calm")
    if asked.stack > 1 and packed < len(calm):
        raise SystemExit(f"{packed} of {len(calm)} cells were trained in packs")
    hits, rounds, start = 0, 0, time.time()
    while hits < asked.kills:
        # A study that came to its end before all kills were spent is begun anew.
        wild = asked.out / f"wild{rounds}"
        generator = random.Random(asked.seed * 1000 + rounds)
        hits += killed(study, wild, asked.kills - hits, asked.longest, generator)
        run(study, wild)
        if results(wild) != calm:
            raise SystemExit(f"{wild}: not the results of the undisturbed run")
        rounds += 1
    content = {
        "kills": hits,
        "studies": rounds,
        "cells": len(calm),
        "stack": asked.stack,
        "trained_together": packed,
        "identical": True,
        "minutes": round((time.time() - start) / 60, 1),
    }
    name = "kill.json" if asked.stack == 1 else "kill-stacked.json"
    (RESULTS / name).write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content))


if __name__ == "__main__":
    main()

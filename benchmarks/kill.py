"""Kills a study with SIGKILL at random moments, and compares its end with an undisturbed run.

    python benchmarks/kill.py --kills 20 --out runs/kill

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
RESULTS = HERE / "results" / "kill.json"
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
engine: {kind: local, processes: 1, threads: 1}
report: {figures: [], formats: [png]}
"""


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
    parser.add_argument("--out", type=Path, default=Path("runs/kill"))
    asked = parser.parse_args()
    shutil.rmtree(asked.out, ignore_errors=True)
    asked.out.mkdir(parents=True)
    study = asked.out / "study.yaml"
    study.write_text(STUDY)
    run(study, asked.out / "calm")
    calm = results(asked.out / "calm")
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
        "identical": True,
        "minutes": round((time.time() - start) / 60, 1),
    }
    RESULTS.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content))


if __name__ == "__main__":
    main()

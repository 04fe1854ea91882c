"""Scale of studies: a plan of 10,000 cells, their listing, and the second run of a finished study.

    python benchmarks/studies.py

Each is a process of its own, as a user starts it, start-up included. The 10,000 finished cells are
folders with the small files of a study's cells; the second run is of a smoke study that was run
just before.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "studies.json"
LARGE = {
    "name": "large",
    "data": {"name": "people-emoji", "target": "gender", "groups": ["skin_tone"]},
    "methods": ["lora"],
    "ranks": list(range(1, 26)),
    "strengths": [0.1 * k for k in range(20)],
    "seeds": 20,
}


def fairlora(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "fairlora", *map(str, arguments)]


def timed(command: list[str], repeats: int) -> list[float]:
    """Seconds of each of several runs; one more goes before, to warm the files."""
    seconds = []
    for number in range(repeats + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        if number:
            seconds.append(round(time.perf_counter() - start, 3))
    return seconds


def fill(study: Path, out: Path) -> int:
    """Write every cell of the study as finished; returns how many."""
    from fairlora.study.runs.cells import CellMaker
    from fairlora.study.spec.expand import expand
    from fairlora.study.spec.study import read_study

    spec = read_study(study)
    maker = CellMaker(out / spec.name)
    count = 0
    for arm in expand(spec):
        for seed in spec.seeds:
            cell = maker.cell(arm.at(seed))
            cell.folder.path.mkdir(parents=True)
            environment = {"identity": cell.identity, "fairlora": "0.1.0", "python": "3.11"}
            (cell.folder.path / "environment.json").write_text(json.dumps(environment))
            metrics = {"rows": {"train": 700, "validation": 80, "test": 200}}
            (cell.folder.path / "metrics.json").write_text(json.dumps(metrics))
            cell.folder.write_status("finished", 60.0, identity=cell.identity)
            count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/bench-studies"))
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    shutil.rmtree(asked.out, ignore_errors=True)
    asked.out.mkdir(parents=True)
    study = asked.out / "large.yaml"
    study.write_text(yaml.safe_dump(LARGE))
    runs = asked.out / "runs"
    lines: dict[str, list[float]] = {}
    plan = fairlora("study", "plan", study, "--out", runs)
    lines["plan of 10,000 cells"] = timed(plan, asked.repeats)
    cells = fill(study, runs)
    lines["plan of 10,000 finished cells"] = timed(plan, asked.repeats)
    lines["status of 10,000 finished cells"] = timed(
        fairlora("study", "status", study, "--out", runs, "--json"), asked.repeats
    )
    from fairlora.study.runs.status import list_store

    listing = []
    for _ in range(asked.repeats):
        start = time.perf_counter()
        assert len(list_store(runs / "large")) == cells
        listing.append(round(time.perf_counter() - start, 3))
    lines["listing of their store alone"] = listing
    small = HERE.parent / "studies" / "utkface-age.yaml"
    run = fairlora("study", "run", small, "--smoke", "--out", runs)
    subprocess.run(run, check=True, capture_output=True)
    lines["second run of a finished study"] = timed(run, asked.repeats)
    content: dict[str, Any] = {
        "cells": cells,
        "seconds": lines,
        "python": platform.python_version(),
        "processors": os.cpu_count(),
    }
    for what, seconds in lines.items():
        print(
            f"{what}: median {statistics.median(seconds):.2f} s, {min(seconds)} to {max(seconds)}"
        )
    RESULTS.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Studies of frozen models: their answers computed once, beside the build before and beside itself.

    git worktree add /tmp/before COMMIT
    python benchmarks/speed/frozen.py --before /tmp/before     # hours on two cores
    python benchmarks/speed/frozen.py --only linear --seeds 2 --times 1

Each study is a command of its own with its report, in a fresh folder, in turns: this build, this
build with FAIRLORA_CACHE=off, and the build before where one is named. Predictions of all cells are
compared. Results go to benchmarks/results/frozen.json with the machine and the versions.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from train_step import about, processor_seconds

from fairlora.predictions import read_predictions

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results" / "frozen.json"
COMMON: dict[str, Any] = {
    "name": "frozen",
    "data": {"name": "people-emoji", "groups": ["skin_tone"]},
    "models": ["embedded"],
    "audit": {"positive": "male"},
    "training": {"epochs": 4, "learning_rate": 3e-3},
}
LAST_THIRD = {"kind": "lora", "rank": 8, "fields": {"layers_to_transform": [4, 5]}}
# Each with its seeds where none are asked for.
STUDIES: dict[str, tuple[dict[str, Any], int]] = {
    "linear": ({"methods": ["linear"]}, 5),
    "linear, no flips": (
        {"methods": ["linear"], "training": {**COMMON["training"], "flip": False}},
        5,
    ),
    "last layer": (
        {"methods": [{"adapter": "linear", "last_layer": {"groups": ["skin_tone"]}}]},
        5,
    ),
    "16 shadow models of the last layer": (
        {"methods": ["linear"], "privacy": {"shadows": 16, "attacks": ["lira-offline"]}},
        1,
    ),
    "LoRA of the last third": ({"methods": [{"adapter": LAST_THIRD}]}, 5),
}


def once(study: Path, folder: Path, source: Path, cache: str | None) -> tuple[float, float]:
    """Seconds, and processor seconds, of a study with its report.

    Parameters
    ----------
    study : its file.
    folder : where it runs; what lies there is removed.
    source : the build's ``src``.
    cache : FAIRLORA_CACHE; None leaves it out.
    """
    shutil.rmtree(folder, ignore_errors=True)
    environment = {**os.environ, "PYTHONPATH": str(source)}
    environment.pop("FAIRLORA_CACHE", None)
    if cache is not None:
        environment["FAIRLORA_CACHE"] = cache
    command = [sys.executable, "-m", "fairlora", "study", "run", str(study), "--out", str(folder)]
    start, before = time.perf_counter(), processor_seconds()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start, processor_seconds() - before


def largest_difference(one: Path, other: Path) -> float:
    """Between the probabilities of all cells of two folders of a study."""
    off = []
    for table in sorted(one.glob("*/predictions.parquet")):
        ours, theirs = (
            read_predictions(root / table.parent.name / table.name) for root in (one, other)
        )
        assert ours.ids.tolist() == theirs.ids.tolist()
        assert ours.probs is not None
        assert theirs.probs is not None
        off.append(float(np.abs(ours.probs - theirs.probs).max()))
    return max(off)


def measure(name: str, seeds: int | None, times: int, before: Path | None) -> dict[str, Any]:
    """One study by every build, in turns.

    Parameters
    ----------
    name : of the study.
    seeds : how many; None is the study's own.
    times : how often each.
    before : the checkout of the build before.
    """
    settings, own = STUDIES[name]
    builds: dict[str, tuple[Path, str | None]] = {
        "now": (HERE.parents[1] / "src", None),
        "off": (HERE.parents[1] / "src", "off"),
    }
    if before is not None:
        builds["before"] = (before / "src", None)
    seconds: dict[str, list[float]] = {build: [] for build in builds}
    work: dict[str, list[float]] = {build: [] for build in builds}
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study.yaml"
        study.write_text(json.dumps({**COMMON, "seeds": seeds or own, **settings}))
        for k in range(times):
            for build in builds if k % 2 == 0 else reversed(builds):
                took = once(study, Path(folder) / build, *builds[build])
                seconds[build].append(round(took[0], 2))
                work[build].append(round(took[1], 2))
                print(name, build, took, flush=True)
        rival = "before" if before is not None else "off"
        size = sum(
            p.stat().st_size
            for p in (Path(folder) / "now" / COMMON["name"] / ".frozen").rglob("*.*")
        )
        off = largest_difference(
            *(Path(folder) / build / COMMON["name"] for build in ("now", rival))
        )
    return {
        "study": name,
        "seeds": seeds or own,
        "seconds": seconds,
        "processor_seconds": work,
        "ratios": {
            f"{rival} / now": round(
                statistics.median(seconds[rival]) / statistics.median(seconds["now"]), 2
            ),
            "of processor seconds": round(
                statistics.median(work[rival]) / statistics.median(work["now"]), 2
            ),
        },
        "largest_difference": off,
        "kept_mb": round(size / 1e6, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--before", type=Path, help="a checkout of the build before")
    parser.add_argument("--only", choices=STUDIES)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    content: dict[str, Any] = {"studies": []}
    if asked.only and asked.out.exists():
        content = json.loads(asked.out.read_text())
    content["about"] = about()
    for name in [asked.only] if asked.only else STUDIES:
        row = measure(name, asked.seeds, asked.times, asked.before)
        content["studies"] = [r for r in content["studies"] if r["study"] != name] + [row]
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(json.dumps(content, indent=1) + "\n")
    print(f"{asked.out} is written")


if __name__ == "__main__":
    main()

"""Memory of two processes on one data set of pictures, beside twice that of one.

    python benchmarks/speed/pictures.py                 # 8,000 pictures of 224 pixels: minutes
    FAIRLORA_CACHE=off python benchmarks/speed/pictures.py     # each process with its own copy

One cell of a study by one process, and two by two. What counts is the proportional set size (a page
that two processes map counts half for each) of the processes that train, at its peak; Linux alone.
Results go to benchmarks/results/pictures.json with the machine and the versions.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from train_step import about

from fairlora.models.tiny import write_tiny_model

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results" / "pictures.json"


def write_study(folder: Path, rows: int, size: int) -> Path:
    """A study of random pictures, by a small model that takes them at this size."""
    generator = np.random.default_rng(0)
    lines = ["image,label,group"]
    (folder / "pictures").mkdir()
    for k in range(rows):
        path = folder / "pictures" / f"{k}.png"
        Image.fromarray(generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
        lines.append(f"{path},{'no' if k % 2 else 'yes'},{'a' if k % 3 else 'b'}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    model = write_tiny_model("google/vit-base-patch16-224-in21k", folder / "model")
    study = {
        "name": "pictures",
        "data": {
            "name": "image-table",
            "path": str(folder / "table.csv"),
            "groups": ["group"],
            "split": {"validation": 0.1, "test": 0.7},  # training takes the longest
        },
        "models": [{"id": str(model), "image_size": size}],
        "methods": ["full"],
        "training": {"epochs": 1, "precision": "float32"},
    }
    path = folder / "study.yaml"
    path.write_text(json.dumps(study))
    return path


def peak_mb(study: Path, folder: Path, processes: int) -> float:
    """The largest proportional set size of a study's processes that train, together, in MB.

    Parameters
    ----------
    study : its file.
    folder : where it runs.
    processes : how many it has.
    """
    command = [sys.executable, "-m", "fairlora", "study", "run", str(study), "--out", str(folder)]
    command += ["--engine", "local", "--processes", str(processes), "--set", "engine.threads=1"]
    command += ["--set", f"seeds={processes}"]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0.0
    while run.poll() is None:
        peak = max(peak, sum(_pss_mb(child) for child in _children(run.pid)))
        time.sleep(0.2)
    if run.returncode:
        raise SystemExit(f"the study ended with {run.returncode}")
    return peak


def _children(pid: int) -> list[str]:
    """Those of all threads of a process."""
    found: list[str] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += path.read_text().split()
    return found


def _pss_mb(pid: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("Pss:")), 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=8000)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        study = write_study(Path(folder), asked.rows, asked.size)
        found = {n: round(peak_mb(study, Path(folder) / str(n), n), 1) for n in (1, 2)}
    content: dict[str, Any] = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    cache = "off" if os.environ.get("FAIRLORA_CACHE") == "off" else "on"
    content["about"] = about()
    content[f"cache {cache}"] = {
        "pictures_mb": round(asked.rows * 3 * asked.size**2 / 1e6, 1),
        "one_process_mb": found[1],
        "two_processes_mb": found[2],
        "two / twice one": round(found[2] / (2 * found[1]), 3),
    }
    asked.out.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()

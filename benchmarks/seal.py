"""Cost of a cell's seal: taking it, and checking it as a report, a prediction and a listing do.

    python benchmarks/seal.py RUN...

`RUN` are folders of finished runs; each is copied, and sealed and checked anew. Without any, a cell
of the size of a ViT-B/16 that was fine-tuned in full on 24,000 rows is made up.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairlora.study.runs import seal
from fairlora.study.runs.folder import RunFolder

RESULTS = Path(__file__).resolve().parent / "results" / "seal.json"


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """The median of several times; nothing is remembered from one to the next."""
    times = []
    for _ in range(repeats):
        seal._known.clear()
        start = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - start))
    return round(statistics.median(times), 2)


def made_up(folder: Path) -> Path:
    """A cell of 343 MB of weights, 2 MB of predictions and 60 kB of metrics, of random bytes."""
    cell = folder / "made-up"
    (cell / "model").mkdir(parents=True)
    sizes = {"model/model.safetensors": 343_000_000, "predictions.parquet": 2_000_000}
    for name, size in {**sizes, "metrics.json": 60_000, "spec.yaml": 2_000}.items():
        (cell / name).write_bytes(os.urandom(size))
    (cell / "environment.json").write_text(json.dumps({"identity": "0" * 32}))
    return cell


def measured(cell: Path, repeats: int) -> dict[str, Any]:
    """Times of one cell, in milliseconds, and its size."""
    folder = RunFolder(cell)
    status = folder.status()
    seconds = 0.0 if status is None else status.seconds
    folder.write_status("finished", seconds, identity="0" * 32)
    files = seal.seal_of(cell)
    return {
        "megabytes": round(sum(file.bytes for file in files.values()) / 1e6, 1),
        "seconds": seconds,
        "sealed": milliseconds(lambda: seal.seal_of(cell), repeats),
        "checked": milliseconds(folder.whole, repeats),
        "checked with weights": milliseconds(lambda: folder.whole(weights=True), repeats),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=Path, nargs="*")
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    cells = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, run in enumerate(asked.runs):
            copy = Path(folder) / f"copy{number}"
            shutil.copytree(run, copy)
            cells[run.name.rsplit("-", 1)[0]] = measured(copy, asked.repeats)
        cells["a ViT-B, in full (made up)"] = measured(made_up(Path(folder)), asked.repeats)
    content = {"cells": cells, "python": platform.python_version(), "processors": os.cpu_count()}
    print(json.dumps(content, indent=1))
    RESULTS.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()

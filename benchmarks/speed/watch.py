"""The watch's reach: a long store opened and reported; a batch added beside an audit of it.

    python benchmarks/speed/watch.py
    python benchmarks/speed/watch.py --rounds 9

Processor seconds of whole commands, side by side and in turns; memory is the process's highest.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fairlora.metrics.watch.store import (
    VERSION,
    Columns,
    Entry,
    Header,
    Store,
    tallies_of,
    write_store,
)

RESULTS = Path(__file__).resolve().parents[1] / "results" / "watch-speed.json"
PERIODS, GROUPS, ROWS = 1_000, 100, 1_000_000
CELLS = (("0", "0"), ("0", "1"), ("1", "0"), ("1", "1"))


def long_store(path: Path) -> None:
    """A store of 1,000 days and 100 groups, each of 10 rows a day after a baseline of 20,000."""
    rng = np.random.default_rng(0)
    rows: list[tuple[Any, ...]] = []
    days = [(date(2024, 1, 1) + timedelta(days=k)).isoformat() for k in range(PERIODS)]
    for k in range(PERIODS):
        sizes = np.full(GROUPS, 10 if k else 200)
        counts = np.stack([rng.multinomial(n, [0.54, 0.06, 0.04, 0.36]) for n in sizes])
        parts = [((None, None), counts.sum(axis=0))]
        parts += [(("g", f"g{g:02d}"), counts[g]) for g in range(GROUPS)]
        for where, found in parts:
            rows += [(k, *where, *cell, int(n)) for cell, n in zip(CELLS, found, strict=True)]
    header = Header(
        version=VERSION,
        columns=Columns(label="y", pred="h", group=("g",)),
        attributes=("g",),
        positive="1",
        classes=("0", "1"),
        periods=tuple(days),
        entries=tuple(Entry(period=day, kind="both") for day in days),
    )
    write_store(Store(path, header, tallies_of(rows)))


def batch(path: Path) -> None:
    """A million rows, two attributes."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, ROWS)
    columns = {
        "y": labels,
        "h": np.where(rng.random(ROWS) < 0.9, labels, 1 - labels),
        "g": np.array([f"g{k}" for k in range(5)])[rng.integers(0, 5, ROWS)],
        "sex": np.array(["f", "m"])[rng.integers(0, 2, ROWS)],
    }
    pq.write_table(pa.table(columns), path)


def cost(command: list[str], before: list[Path] = ()) -> tuple[float, float]:  # type: ignore[assignment]
    """Processor seconds and highest MiB of a command, in a process of its own."""
    for path in before:
        path.unlink(missing_ok=True)
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)\n"
        "assert done.returncode == 0, done.stderr\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    seconds, mib = map(float, done.stdout.split())
    return seconds, mib


def main() -> None:
    assert resource.RUSAGE_CHILDREN  # measured by the system: no Windows
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    tool = [sys.executable, "-m", "fairlora"]
    inside = (
        "import time; start = time.process_time()\n"
        "from fairlora.metrics.watch.result import watch_report\n"
        "loaded = time.process_time(); import sys\n"
        "watch_report(sys.argv[1]).page('Watch')\n"
        "print(loaded - start, time.process_time() - loaded)\n"
    )
    found: dict[str, list[float]] = {}
    mib: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as made:
        long, rows, new = (Path(made) / name for name in ("long.parquet", "b.parquet", "n.parquet"))
        long_store(long)
        batch(rows)
        columns = ["--label", "y", "--pred", "h", "--group", "g", "--group", "sex"]
        add = ["watch", "add", str(new), str(rows), "--period", "2026-01", *columns]
        commands = {
            "report, whole command": [*tool, "watch", "report", str(long)],
            "audit of 1 M rows": [*tool, "audit", str(rows), *columns],
            "add of 1 M rows": [*tool, *add],
            "start of any command": [*tool, "watch", "report", "--help"],
        }
        for _ in range(asked.rounds):
            for name, command in commands.items():
                seconds, highest = cost(command, [new])
                found.setdefault(name, []).append(round(seconds, 3))
                mib[name] = max(mib.get(name, 0.0), highest)
            done = subprocess.run(
                [sys.executable, "-c", inside, str(long)], capture_output=True, text=True,
                check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
            found.setdefault("opened and reported", []).append(
                round(float(done.stdout.split()[1]), 3)
            )
    ratios = [
        a / b for a, b in zip(found["add of 1 M rows"], found["audit of 1 M rows"], strict=True)
    ]
    content = {
        "processor_seconds": {
            name: {"median": statistics.median(all_), "least": min(all_), "most": max(all_)}
            for name, all_ in found.items()
        },
        "mib": {name: round(highest, 1) for name, highest in mib.items()},
        "add_over_audit": round(statistics.median(ratios), 3),
        "rounds": asked.rounds,
        "python": platform.python_version(),
        "processors": os.cpu_count(),
    }
    print(json.dumps(content, indent=1))
    RESULTS.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Peak memory and processor seconds of audits that grow: a long CSV, and a thousand classes.

    python benchmarks/speed/memory.py                             # a tenth of the rows: minutes
    python benchmarks/speed/memory.py --rows 20000000 --wide-rows 1900000   # 9 GB on the disk
    python benchmarks/speed/memory.py --source ../main/src        # another checkout

Each audit is the command in a process of its own, one thread, start-up included. Wanted: the CSV in
at most 600 MiB and three times the processor's seconds of the same rows in Parquet; a thousand
classes in at most 1 GiB, however many the rows.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "memory.json"
RACE = np.array(["asian", "black", "hispanic", "other", "white"])
SEX = np.array(["female", "male"])
_LONG, _WIDE = 1_000_000, 20_000
# Not what getrusage says of children: its peak is handed down from the process that starts them.
_PEAK = """
import sys
from pathlib import Path
from fairlora.cli import main
try:
    main()
finally:
    status = Path("/proc/self/status").read_text()
    print("peak", int(status.split("VmHWM:")[1].split()[0]) // 1024, file=sys.stderr)
"""


def attributes(rng: np.random.Generator, rows: int) -> dict[str, Any]:
    """Two attributes of five groups and two."""
    return {"race": RACE[rng.integers(0, 5, rows)], "sex": SEX[rng.integers(0, 2, rows)]}


def long_tables(folder: Path, rows: int) -> list[Path]:
    """The same rows as CSV and as Parquet."""
    rng, writer = np.random.default_rng(0), None
    text, columns = folder / "rows.csv", folder / "rows.parquet"
    with text.open("wb") as out:
        for start in range(0, rows, _LONG):
            n = min(_LONG, rows - start)
            y = rng.integers(0, 2, n)
            h = np.where(rng.random(n) < 0.8, y, 1 - y)
            ids = np.arange(start, start + n)
            table = pa.table({"id": ids, "y": y, "h": h, **attributes(rng, n)})
            pa_csv.write_csv(table, out, pa_csv.WriteOptions(include_header=start == 0))
            writer = writer or pq.ParquetWriter(columns, table.schema)
            writer.write_table(table)
    if writer is not None:
        writer.close()
    return [text, columns]


def wide_table(path: Path, rows: int, classes: int, lists: bool) -> Path:
    """Probabilities of many classes, as a list a row or as a column a class."""
    rng, writer = np.random.default_rng(0), None
    for start in range(0, rows, _WIDE):
        n = min(_WIDE, rows - start)
        y = rng.integers(0, classes, n)
        scores = 2 * rng.standard_normal((n, classes), dtype=np.float32)
        scores[np.arange(n), y] += 5
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        columns = {"y": y, "h": p.argmax(axis=1), **attributes(rng, n)}
        if lists:
            flat = pa.array(p.reshape(-1))
            columns["p_"] = pa.FixedSizeListArray.from_arrays(flat, classes)
        else:
            columns |= {f"p_{c}": np.ascontiguousarray(p[:, c]) for c in range(classes)}
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return path


def audited(path: Path, source: Path, *options: str) -> dict[str, Any]:
    """Seconds of the processor and the peak of memory of one audit.

    Parameters
    ----------
    path : the predictions.
    source : the folder that fairlora is imported from.
    options : of the command.
    """
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(source)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, "audit", str(path), "--label", "y", "--pred", "h",
         "--group", "race", "--group", "sex", *options],
        capture_output=True, text=True, env={**os.environ, **one},
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode:
        return {"failed": done.stderr.strip().split("\n")[-1][:200]}
    return {"processor": round(seconds, 1), "peak_mib": int(done.stderr.split("peak ")[1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="of the CSV")
    parser.add_argument("--wide-rows", type=int, default=200_000, help="of many classes")
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--source", type=Path, default=ROOT / "src", help="of fairlora")
    chosen = parser.parse_args()
    found: dict[str, Any] = {"python": platform.python_version(), "processors": os.cpu_count()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in long_tables(folder, chosen.rows):
            what = f"{path.suffix[1:]}, {chosen.rows:,} rows"
            found[what] = audited(path, chosen.source, "--positive", "1")
            print(what, found[what], flush=True)
            path.unlink()
        for lists in (True, False):
            path = wide_table(folder / "p.parquet", chosen.wide_rows, chosen.classes, lists)
            form = "lists" if lists else "columns"
            what = f"{chosen.wide_rows:,} rows x {chosen.classes:,} classes, {form}"
            found[what] = audited(path, chosen.source, "--probs", "p_")
            print(what, found[what], flush=True)
            path.unlink()
    if chosen.source == ROOT / "src":
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"written: {RESULTS}")


if __name__ == "__main__":
    main()

"""Read and audit large CSV and JSON-lines files, beside pandas' reader and fairlearn's MetricFrame.

    python benchmarks/speed/reading.py --megabytes 1000

Each side runs in a process of its own, in turns, over several rounds; both give accuracy, selection
rate, TPR and FPR by group, which are compared. Times are of the work, imports left out: by the
clock, and of the processor, which a busy machine changes less. The peak of memory is the process's.
A side that runs out of `--limit` GB of memory is said to have done so.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

RESULTS = Path(__file__).parents[1] / "results" / "reading.json"
GROUPS = ["asian", "black", "hispanic", "other", "white"]
_ROWS = 200_000

_FAIRLORA = """
import fairlora
start, worked = time.perf_counter(), time.process_time()
result = fairlora.audit(path, label="y", pred="h", groups=["race"], positive="1").to_dict()
seconds, worked = time.perf_counter() - start, time.process_time() - worked
rates = {name: [row[metric]["value"] for metric in METRICS]
         for name, row in result["by_group"]["race"].items()}
"""
_FAIRLEARN = """
import pandas as pd
from fairlearn.metrics import (MetricFrame, false_positive_rate, selection_rate,
                               true_positive_rate)
from sklearn.metrics import accuracy_score
start, worked = time.perf_counter(), time.process_time()
frame = pd.read_json(path, lines=True) if path.endswith("jsonl") else pd.read_csv(path)
of = [accuracy_score, selection_rate, true_positive_rate, false_positive_rate]
by_group = MetricFrame(metrics=dict(zip(METRICS, of)), y_true=frame["y"], y_pred=frame["h"],
                       sensitive_features=frame["race"]).by_group
seconds, worked = time.perf_counter() - start, time.process_time() - worked
rates = {name: [float(row[metric]) for metric in METRICS] for name, row in by_group.iterrows()}
"""
_BOTH = """
import json, sys, time
from pathlib import Path
METRICS = ["accuracy", "selection_rate", "tpr", "fpr"]
path = sys.argv[1]
{}
# Not getrusage: its peak is handed down from the process that started this one.
status = Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) / 2**20
print(json.dumps({{"seconds": seconds, "processor": worked, "peak_gib": peak, "rates": rates}}))
"""
SIDES = {"fairlora": _BOTH.format(_FAIRLORA), "pandas and MetricFrame": _BOTH.format(_FAIRLEARN)}


def generate(path: Path, megabytes: int, texts: bool) -> int:
    """Write rows until the file has its size; returns how many they are.

    Parameters
    ----------
    path : a .csv or .jsonl file.
    megabytes : of 10**6 bytes.
    texts : whether each row has a text of about 300 letters, as evaluation logs do.
    """
    rng = np.random.default_rng(0)
    words = rng.permutation(["the", "of", "a person", "was seen", "today", "in town", "again"] * 12)
    rows, race = 0, np.array(GROUPS)
    with path.open("wb") as out:
        while out.tell() < megabytes * 10**6:
            y = rng.integers(0, 2, _ROWS)
            p = np.clip(rng.normal(0.35 + 0.3 * y, 0.25), 0, 1).round(5)
            columns: dict[str, Any] = {
                "id": np.arange(rows, rows + _ROWS),
                "y": y,
                "h": (p > 0.5).astype(int),
                "p": p,
                "race": race[rng.integers(0, len(race), _ROWS)],
                "sex": np.array(["f", "m"])[rng.integers(0, 2, _ROWS)],
            }
            if texts:
                columns["text"] = [" ".join(words[k % 40 : k % 40 + 40]) for k in range(_ROWS)]
            if path.suffix == ".csv":
                options = pa_csv.WriteOptions(include_header=rows == 0)
                pa_csv.write_csv(pa.table(columns), out, options)
            else:
                lists = [np.asarray(values).tolist() for values in columns.values()]
                records = (dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True))
                out.write("".join(json.dumps(one) + "\n" for one in records).encode())
            rows += _ROWS
    return rows


def run(side: str, path: Path, limit: float) -> dict[str, Any]:
    """What a side printed, in a process of its own.

    Parameters
    ----------
    side : of `SIDES`.
    path : the file.
    limit : gigabytes of address space that it may have.
    """

    def bounded() -> None:
        size = int(limit * 10**9)
        resource.setrlimit(resource.RLIMIT_AS, (size, size))

    done = subprocess.run(
        [sys.executable, "-c", SIDES[side], str(path)],
        capture_output=True,
        text=True,
        preexec_fn=bounded,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        return {"failed": done.stderr.strip().split("\n")[-1][:200]}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def compare(path: Path, rows: int, rounds: int, limit: float) -> dict[str, Any]:
    """Both sides in turns.

    Parameters
    ----------
    path, limit : as of `run`.
    rows : of the file.
    rounds : how many times each.
    """
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for number in range(rounds):
        for side in list(SIDES)[:: -1 if number % 2 else 1]:
            found[side].append(run(side, path, limit))
            short = {name: value for name, value in found[side][-1].items() if name != "rates"}
            print(f"{path.name}, round {number + 1}, {side}: {short}", flush=True)
    out: dict[str, Any] = {"megabytes": round(path.stat().st_size / 1e6), "rows": rows}
    for side, runs in found.items():
        good = [one for one in runs if "seconds" in one]
        out[side] = {k: [round(one[k], 2) for one in good] for k in ("seconds", "processor")}
        if good:
            out[side]["median"] = round(statistics.median(one["seconds"] for one in good), 2)
            out[side]["peak_gib"] = round(max(one["peak_gib"] for one in good), 2)
        failed = [one["failed"] for one in runs if "failed" in one]
        out[side] |= {"failed": failed} if failed else {}
    ours, theirs = found.values()
    if "rates" in ours[0] and "rates" in theirs[0]:
        for name, rates in theirs[0]["rates"].items():
            np.testing.assert_allclose(rates, ours[0]["rates"][name], rtol=1e-9)
        for kind, name in (("seconds", "ratio"), ("processor", "processor_ratio")):
            pairs = [b[kind] / a[kind] for a, b in zip(ours, theirs, strict=True)]
            out[f"{name}s"] = [round(one, 1) for one in pairs]
            out[name] = round(statistics.median(pairs), 1)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000, help="of each file")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side")
    parser.add_argument("--limit", type=float, default=20, help="GB that a side may have")
    parser.add_argument("--only", default="", help="the files whose name holds this")
    chosen = parser.parse_args()
    results: dict[str, Any] = {}
    if RESULTS.exists():
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
    results["machine"] = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("numpy", "pyarrow", "pandas", "fairlearn", "scikit-learn")
        },
    }
    files = {"rows.csv": False, "rows.jsonl": False, "texts.csv": True, "texts.jsonl": True}
    with tempfile.TemporaryDirectory() as folder:
        for name, texts in files.items():
            if chosen.only not in name:
                continue
            path = Path(folder) / name
            rows = generate(path, chosen.megabytes, texts)
            results[f"{name}, {chosen.megabytes} MB"] = found = compare(
                path, rows, chosen.rounds, chosen.limit
            )
            path.unlink()
            print(json.dumps(found, indent=1), flush=True)
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"written: {RESULTS}")


if __name__ == "__main__":
    main()

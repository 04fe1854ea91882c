"""Speed of the audit, side by side with fairlearn and netcal, in one run on one machine.

    python benchmarks/speed/audit.py                   # all but the 100 M rows: a few minutes
    python benchmarks/speed/audit.py --rows 100000000  # with them: 0.6 GB in a temporary folder

Each pair is warmed up, then run in turns; median and spread are printed, and the ratio of medians.
Results go to benchmarks/results/audit.json with the machine and the versions.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

import numpy as np  # noqa: E402  (after the threads are set)
from timings import line  # noqa: E402

RESULTS = Path(__file__).parents[1] / "results" / "audit.json"


def timed(work: Callable[[], Any], times: int, warm: int = 1) -> list[float]:
    """Seconds of each run after `warm` runs that do not count."""
    for _ in range(warm):
        work()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return seconds


def rows(n: int, groups: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Labels, predictions, groups and confidences that are neither perfect nor calibrated."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, n)
    label = rng.integers(0, 2, n)
    score = rng.normal(np.where(label == 1, 0.9, -0.9) * (1 - 0.3 * group / groups), 1.0)
    positive = (1 / (1 + np.exp(-1.7 * score))).astype(np.float32)
    return {
        "label": label,
        "pred": (positive > 0.5).astype(np.int64),
        "group": group,
        "p": positive,
    }


def against_metric_frame() -> dict[str, Any]:
    """Four metrics by five groups at a million rows, against fairlearn's MetricFrame."""
    from fairlearn.metrics import (
        MetricFrame,
        false_positive_rate,
        selection_rate,
        true_positive_rate,
    )
    from sklearn.metrics import accuracy_score

    import fairlora

    data = rows(1_000_000, 5)
    metrics = {
        "accuracy": accuracy_score,
        "selection_rate": selection_rate,
        "tpr": true_positive_rate,
        "fpr": false_positive_rate,
    }

    def theirs() -> Any:
        return MetricFrame(
            metrics=metrics,
            y_true=data["label"],
            y_pred=data["pred"],
            sensitive_features=data["group"],
        ).by_group

    def ours(draws: int) -> Any:
        groups = {"group": data["group"]}
        return fairlora.audit(data["label"], data["pred"], groups, positive=1, bootstrap=draws)

    frame, numbers = theirs(), ours(0).to_dict()["by_group"]["group"]
    for g in range(5):
        for name in metrics:
            assert abs(frame.loc[g, name] - numbers[str(g)][name]["value"]) < 1e-12
    them = timed(theirs, 3, warm=0)
    bare, full = timed(lambda: ours(0), 15, 2), timed(lambda: ours(2000), 15, 2)
    return {
        "work": "1 M rows, 5 groups, 4 metrics by group (fairlora: its whole audit)",
        "lines": [
            line("fairlearn MetricFrame", them),
            line("fairlora.audit, closed-form intervals", bare),
            line("fairlora.audit, 2,000 draws and chance", full),
        ],
        "ratio": round(statistics.median(them) / statistics.median(bare), 1),
        "ratio_with_draws": round(statistics.median(them) / statistics.median(full), 1),
    }


def bootstrap() -> dict[str, Any]:
    """100 k rows with 2,000 draws; MetricFrame's serial bootstrap is timed at 4 draws."""
    from fairlearn.metrics import MetricFrame, selection_rate, true_positive_rate
    from sklearn.metrics import accuracy_score

    import fairlora

    data = rows(100_000, 5)

    def theirs() -> Any:
        return MetricFrame(
            metrics={
                "accuracy": accuracy_score,
                "selection_rate": selection_rate,
                "tpr": true_positive_rate,
            },
            y_true=data["label"],
            y_pred=data["pred"],
            sensitive_features=data["group"],
            n_boot=4,
            ci_quantiles=[0.025, 0.975],
            random_state=0,
        ).by_group_ci

    def ours() -> Any:
        groups = {"group": data["group"]}
        return fairlora.audit(data["label"], data["pred"], groups, positive=1, bootstrap=2000)

    us, them = timed(ours, 21, 3), timed(theirs, 2, warm=0)
    return {
        "work": "100 k rows, 5 groups, 2,000 bootstrap draws, all threshold metrics",
        "lines": [line("fairlora.audit", us), line("fairlearn MetricFrame, 4 draws", them)],
        "ratio_extrapolated_to_2000_draws": round(
            500 * statistics.median(them) / statistics.median(us)
        ),
    }


def calibration() -> dict[str, Any]:
    """ECE by group at a million rows and 50 groups, against netcal."""
    from netcal.metrics import ECE

    from fairlora.metrics.counts.calibration import ece, ece_by_group
    from fairlora.metrics.counts.tally import row_scores, tally_scores
    from fairlora.predictions import group_column

    data = rows(1_000_000, 50)
    label, pred, p = data["label"], data["pred"], data["p"]
    both = np.stack([1 - p, p], axis=1)

    def theirs() -> list[float]:
        found = []
        for g in range(50):
            mine = data["group"] == g
            # netcal's binary ECE bins P(positive): so do we, below.
            found.append(ECE(15).measure(p[mine], label[mine]))
        return found

    def ours() -> Any:
        return ece_by_group(p, label, group_column(data["group"]))

    def everything() -> list[Any]:
        scores = row_scores(label, pred, both, 1)
        table = tally_scores(label, pred, 2, group_column(data["group"]), scores, bins=15)
        return [ece(table, g) for g in range(50)]

    difference = float(np.abs(np.array(theirs()) - ours()).max())
    assert difference < 1e-4, difference
    # In turns, so that a busy moment of the machine meets both.
    them, us = [], []
    for _ in range(7):
        them += timed(theirs, 1, warm=0)
        us += timed(ours, 1)
    full = timed(everything, 5)
    return {
        "work": "ECE by group, 1 M rows, 50 groups, 15 bins",
        "lines": [
            line("netcal ECE, group by group", them),
            line("fairlora ece_by_group", us),
            line("fairlora, with intervals, Brier, NLL and confidence gap", full),
        ],
        "largest_difference": difference,
        "ratio": round(statistics.median(them) / statistics.median(us), 1),
    }


def command() -> dict[str, Any]:
    """`fairlora audit` of a 10,000-row CSV, start-up included."""
    data = rows(10_000, 5)
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.csv"
        table = zip(
            data["label"],
            data["pred"],
            data["p"],
            data["group"],
            rng.integers(0, 2, 10_000),
            strict=True,
        )
        text = "\n".join(f"{y},{h},{p:.5f},group {g},{s}" for y, h, p, g, s in table)
        path.write_text("y,h,p,race,sex\n" + text + "\n", encoding="utf-8")
        options = ["--label", "y", "--pred", "h", "--probs", "p", "--group", "race"]
        program = [sys.executable, "-c", "from fairlora.cli import main; main()", "audit"]

        def run() -> None:
            subprocess.run(
                [*program, str(path), *options, "--group", "sex"], check=True, capture_output=True
            )

        seconds = timed(run, 7, warm=2)
    return {
        "work": "fairlora audit of a 10,000-row CSV, probabilities, 2 attributes, with start-up",
        "lines": [line("fairlora audit", seconds)],
    }


_STREAM = """
import json, sys, time
from pathlib import Path
from fairlora.metrics import Settings
from fairlora.metrics.stream import audit_stream
start = time.perf_counter()
found = audit_stream(Path(sys.argv[1]), label="y", pred="h", probs=sys.argv[2] or None,
                     groups=["race"], settings=Settings(positive="1"))
seconds = time.perf_counter() - start
# Not getrusage: its peak is handed down from the process that started this one.
status = Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps({"rows": found.to_dict()["n"], "seconds": seconds, "peak_mib": peak}))
"""


def stream(n: int) -> dict[str, Any]:
    """A folder of Parquet files that streams by, in a process of its own; one core."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    each = 5_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for k in range(max(1, n // each)):
            data = rows(min(each, n), 5, seed=k)
            race = pa.DictionaryArray.from_arrays(
                pa.array(data["group"].astype(np.int8)), ["a", "b", "c", "d", "e"]
            )
            table = pa.table(
                {
                    "y": data["label"].astype(np.int8),
                    "h": data["pred"].astype(np.int8),
                    "p": data["p"],
                    "race": race,
                }
            )
            pq.write_table(table, folder / f"part-{k:03}.parquet")
        size = sum(file.stat().st_size for file in folder.iterdir())
        found = []
        for probs in ("", "p"):
            done = subprocess.run(
                [sys.executable, "-c", _STREAM, name, probs],
                check=True,
                capture_output=True,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            one = json.loads(done.stdout)
            one["what"] = "threshold metrics" if not probs else "with probabilities"
            one["million_rows_a_minute"] = round(one["rows"] / one["seconds"] * 60 / 1e6, 1)
            found.append(one)
    return {"work": f"{n:,} rows from Parquet ({size / 2**20:.0f} MiB), 5 groups", "streams": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000_000, help="rows of the stream")
    parser.add_argument("--only", default="", help="the parts whose name holds this")
    chosen = parser.parse_args()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "metric_frame": against_metric_frame,
        "bootstrap": bootstrap,
        "calibration": calibration,
        "command": command,
        "stream": lambda: stream(chosen.rows),
    }
    found: dict[str, Any] = {}
    if RESULTS.exists():
        found = json.loads(RESULTS.read_text(encoding="utf-8"))
    found["machine"] = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("numpy", "pyarrow", "fairlearn", "netcal", "scikit-learn")
        },
    }
    for name, part in parts.items():
        if chosen.only in name:
            found[name] = part()
            print(json.dumps(found[name], indent=1), flush=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"written: {RESULTS}")


if __name__ == "__main__":
    main()

"""Time of the gate beside the audit and the comparison of the same rows, after reading.

    python benchmarks/speed/gate.py                    # 1 M rows, 15 turns each
    python benchmarks/speed/gate.py --rows 20000 --turns 3

Both go in turns, in one process of one thread, by processor time; medians, spread and ratios go to
benchmarks/results/gate-speed.json. The gate is to take 1.1 times the audit at most.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

import numpy as np  # noqa: E402  (after the threads are set)
from timings import line  # noqa: E402

from fairlora.metrics import Settings, audit_predictions  # noqa: E402
from fairlora.metrics.comparison.paired import compare_predictions  # noqa: E402
from fairlora.metrics.gate.check import check_predictions  # noqa: E402
from fairlora.metrics.gate.policy import Policy  # noqa: E402
from fairlora.metrics.inputs import prediction_tables  # noqa: E402

RESULTS = Path(__file__).parents[1] / "results" / "gate-speed.json"
RATES = [
    {"metric": "accuracy", "of": "overall", "at_least": 0.5},
    {"metric": "tpr", "of": "worst group", "attribute": "group", "at_least": 0.5},
    {"metric": "fpr", "of": "every group", "attribute": "group", "at_most": 0.5},
    {"metric": "eod", "attribute": "group", "at_most": 0.5},
    {"metric": "selection_rate", "of": "ratio", "attribute": "group", "at_least": 0.5},
]
SCORES = [
    {"metric": "ece", "of": "every group", "attribute": "group", "at_most": 0.5},
    {"metric": "brier", "of": "worst group", "attribute": "group", "at_most": 1.5},
    {"metric": "auc", "of": "worst group", "attribute": "group", "at_least": 0.5},
]
AGAINST = [
    {"metric": "accuracy", "of": "overall", "not_worse_by": 0.05},
    {"metric": "accuracy", "of": "every group", "attribute": "group", "not_worse_by": 0.05},
]


def in_turns(works: list[Callable[[], Any]], turns: int) -> list[list[float]]:
    """Processor seconds of each work, in turns, after one that does not count."""
    seconds: list[list[float]] = [[] for _ in works]
    for turn in range(turns + 1):
        for work, mine in zip(works, seconds, strict=True):
            start = time.process_time()
            work()
            if turn:
                mine.append(time.process_time() - start)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=15)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    group, label = rng.integers(0, 5, given.rows), rng.integers(0, 2, given.rows)
    score = rng.normal(np.where(label == 1, 0.9, -0.9) * (1 - 0.06 * group), 1.0)
    p = (1 / (1 + np.exp(-1.7 * score))).astype(np.float32)
    h = (p > 0.5).astype(np.int64)
    sides = {"predictions": h, "old": np.where(rng.random(given.rows) < 0.02, 1 - h, h)}
    groups = {"group": group}
    plain, old = prediction_tables(label, sides, groups, {}, positive=1)
    probs = {"predictions": np.stack([1 - p, p], axis=1)}
    (scored,) = prediction_tables(label, {"predictions": h}, groups, probs, positive=1)
    settings, rows = Settings(positive="1"), []
    pairs: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = []
    for name, table, rules in (
        ("rates", plain, RATES), ("rates and probabilities", scored, [*RATES, *SCORES]),
    ):  # fmt: skip
        policy = Policy.read(rules)

        def audit(table: Any = table) -> Any:
            return audit_predictions(table, settings)

        def gate(table: Any = table, policy: Policy = policy) -> Any:
            return check_predictions(table, policy, settings)

        pairs.append((name, audit, gate))
    against = Policy.read(AGAINST)
    pairs.append(
        (
            "against a baseline",
            lambda: (audit_predictions(plain, settings), compare_predictions(plain, old, settings)),
            lambda: check_predictions(plain, against, settings, baseline=old),
        )
    )
    for name, audit, gate in pairs:
        theirs, ours = in_turns([audit, gate], given.turns)
        ratio = round(statistics.median(ours) / statistics.median(theirs), 3)
        rows += [line(f"{name}: audit", theirs), line(f"{name}: gate", ours)]
        rows.append({"name": f"{name}: gate over audit", "ratio": ratio})
        print(*rows[-3:], sep="\n", flush=True)
    if given.rows >= 1_000_000:
        found = {"rows": given.rows, "python": sys.version.split()[0], "lines": rows}
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

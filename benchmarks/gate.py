"""How often the gate decides wrongly, with every number exactly at its limit.

    python benchmarks/gate.py                 # 1,000 draws a policy: up to half an hour
    python benchmarks/gate.py --draws 50      # a look

At a limit a rule holds, so "violated" is wrong; a hair below it "met" would be. Both shares, of
policies with any such rule, go to benchmarks/results/gate.json and the table of docs/gate.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

import numpy as np  # noqa: E402  (after the threads are set)

import fairlora  # noqa: E402
from fairlora.metrics.gate.policy import Policy  # noqa: E402

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "gate.json", ROOT / "docs" / "gate.md"
Draw = Callable[[np.random.Generator], dict[str, Any]]
GROUPS = {"attribute": "g"}


def rates(sizes: list[int], tpr: list[float], fpr: list[float]) -> Draw:
    """Groups of such sizes and rates, half of whose rows are positive."""
    g = np.repeat(np.arange(len(sizes)), sizes)
    y = np.arange(len(g)) % 2

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        chosen = rng.random(len(g)) < np.where(y == 1, np.take(tpr, g), np.take(fpr, g))
        return {"labels": y, "predictions": chosen.astype(int), "groups": {"g": g.astype(str)}}

    return draw


def beside(sizes: list[int], accuracy: float, drops: list[float], mended: float) -> Draw:
    """A model less accurate than its baseline by `drops`; it mends such a share of errors."""
    g = np.repeat(np.arange(len(sizes)), sizes)
    y = np.arange(len(g)) % 2
    broken = (np.take(drops, g) + mended * (1 - accuracy)) / accuracy

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        old = rng.random(len(g)) < accuracy
        new = np.where(old, rng.random(len(g)) >= broken, rng.random(len(g)) < mended)
        return {
            "labels": y,
            "predictions": np.where(new, y, 1 - y),
            "groups": {"g": g.astype(str)},
            "against": np.where(old, y, 1 - y),
        }

    return draw


def rule(metric: str, **keys: Any) -> dict[str, Any]:
    return {"metric": metric, **keys}


WORST, EVERY = ({"of": of, **GROUPS} for of in ("worst group", "every group"))
FIVE = [
    rule("accuracy", of="overall", at_least=0.9),
    rule("tpr", **WORST, at_least=0.9),
    rule("fpr", **EVERY, at_most=0.1),
    rule("accuracy", **GROUPS, group="0", at_least=0.9),
    rule("selection_rate", **GROUPS, group="1", at_least=0.5),
]
NO_WORSE = [rule("accuracy", **EVERY, not_worse_by=0.02)]
UNEVEN = [400, 100, 60, 40]
SCENARIOS: dict[str, tuple[list[dict[str, Any]], Draw]] = {
    "accuracy, 300 rows, 0.9": (FIVE[:1], rates([300], [0.9], [0.1])),
    "accuracy, 100 rows, 0.99": (
        [rule("accuracy", of="overall", at_least=0.99)],
        rates([100], [0.99], [0.01]),
    ),
    "five rules, groups of 400 to 40 rows": (FIVE, rates(UNEVEN, [0.9] * 4, [0.1] * 4)),
    "worst of four, the others far off": (
        [rule("tpr", **WORST, at_least=0.8)],
        rates(UNEVEN, [0.8, 0.95, 0.95, 0.95], [0.1] * 4),
    ),
    "gap of TPR, six groups of 100": (
        [rule("tpr_gap", **GROUPS, at_most=0.1)],
        rates([100] * 6, [0.8, 0.9] * 3, [0.1] * 6),
    ),
    "equalized odds, three groups": (
        [rule("eod", **GROUPS, at_most=0.1)],
        rates([200, 100, 60], [0.8, 0.9, 0.9], [0.1] * 3),
    ),
    "ratio of selection rates": (
        [rule("dp_ratio", **GROUPS, at_least=0.8)],
        rates([200, 100], [0.6, 0.48], [0.6, 0.48]),
    ),
    "no group worse, two of 1,000": (NO_WORSE, beside([1000] * 2, 0.9, [0.02] * 2, 0.05)),
    "no group worse, one is, few flips": (NO_WORSE, beside([1000] * 2, 0.95, [0.02, 0.0], 0.0)),
    "no group worse, 400 to 40 rows": (NO_WORSE, beside(UNEVEN, 0.9, [0.02] * 4, 0.05)),
    "three rules against a baseline": (
        [
            *NO_WORSE,
            rule("accuracy", of="overall", not_worse_by=0.02),
            rule("accuracy", **GROUPS, group="0", not_worse_by=0.02),
        ],
        beside(UNEVEN, 0.9, [0.02] * 4, 0.05),
    ),
}


def measured(rules: list[dict[str, Any]], draw: Draw, draws: int) -> dict[str, float]:
    rng, policy = np.random.default_rng(0), Policy.read(rules)
    counts = {"met": 0, "violated": 0}
    for _ in range(draws):
        found = fairlora.check(**draw(rng), policy=policy, positive=1, bootstrap=400)
        for outcome in counts:
            counts[outcome] += outcome in found.outcomes
    return {outcome: count / draws for outcome, count in counts.items()}


def table(rows: list[dict[str, Any]]) -> str:
    lines = ["| policy | rules | violated | met |", "| --- | --- | --- | --- |"]
    for row in rows:
        shares = " | ".join(f"{100 * row[name]:.1f} %" for name in ("violated", "met"))
        lines.append(f"| {row['policy']} | {row['rules']} | {shares} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=1000)
    draws = parser.parse_args().draws
    rows = []
    for name, (rules, draw) in SCENARIOS.items():
        rows.append({"policy": name, "rules": len(rules), **measured(rules, draw, draws)})
        print(rows[-1], flush=True)
    if draws >= 1000:
        RESULTS.write_text(json.dumps({"draws": draws, "rows": rows}, indent=1) + "\n")
        marks = "<!-- gate -->", "<!-- end gate -->"
        text = PAGE.read_text(encoding="utf-8")
        inside = re.compile(f"{marks[0]}.*{marks[1]}", re.DOTALL)
        PAGE.write_text(
            inside.sub(f"{marks[0]}\n{table(rows)}\n{marks[1]}", text), encoding="utf-8"
        )


if __name__ == "__main__":
    main()

"""Coverage of the intervals of curves and operating points by simulation of binormal scores.

    python benchmarks/curves.py                # about half an hour
    python benchmarks/curves.py --share 0.1    # a tenth of the simulations

Two groups, b's scores higher than a's. Each interval is an audit's own: sensitivity where a
specificity of 90 % is reached (at a's own threshold, and at that of both groups), the gap between
the groups there, average precision, and precision at a recall of one half. Beside them, what an
interval gives that takes the threshold as known. Results go to benchmarks/results/curves.json.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.stats import norm

from fairlora.metrics.curves.estimates import CommonThreshold, common_estimates, own_estimates
from fairlora.metrics.curves.precision import average_precision, precision_points
from fairlora.metrics.curves.roc_intervals import allowed
from fairlora.metrics.curves.roc_scores import Sides
from fairlora.metrics.groups.gaps import gap

RESULTS = Path(__file__).parent / "results" / "curves.json"
SPECIFICITY, LEVEL, SHIFT = 0.9, 0.95, 0.5
Array = np.ndarray[Any, np.dtype[np.float64]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the simulations")
    times = max(50, round(2000 * parser.parse_args().share))
    rows = []
    for n in (100, 500):
        for positives in (0.5, 0.1):
            for distance in (0.0, 1.0, 2.5):
                rows.append(scenario(n, positives, distance, times))
                print(rows[-1], flush=True)
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "scipy")}
    found = {
        "work": f"coverage of {LEVEL:.0%} intervals, {times:,} simulations each",
        "versions": versions,
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def scenario(n: int, positives: float, distance: float, times: int) -> dict[str, Any]:
    """The share of intervals that hold the truth, of n rows a group.

    Parameters
    ----------
    n, positives : rows of each group, and the share of positives among them.
    distance : between the means of both classes.
    times : simulations.
    """
    rng = np.random.default_rng([n, round(10 * positives), round(10 * distance)])
    fpr = 1 - SPECIFICITY
    # The threshold that both groups together reach the specificity by.
    grid = np.linspace(-4, 6, 100_001)
    both = (norm.cdf(grid) + norm.cdf(grid - SHIFT)) / 2
    at = grid[np.argmax(both >= SPECIFICITY)]
    common = [float(norm.sf(at - shift - distance)) for shift in (0.0, SHIFT)]
    own = float(norm.sf(norm.isf(fpr) - distance))
    scores = norm.isf((np.arange(20_000) + 0.5) / 20_000) + distance
    hits = positives * norm.sf(scores - distance)
    ap = float((hits / (hits + (1 - positives) * norm.sf(scores))).mean())
    half = positives / 2 / (positives / 2 + (1 - positives) * norm.sf(distance))
    held: dict[str, int] = defaultdict(int)
    tried: dict[str, int] = defaultdict(int)

    def count(name: str, low: float | None, high: float | None, truth: float) -> None:
        if low is not None and high is not None:
            tried[name] += 1
            held[name] += bool(low - 1e-9 <= truth <= high + 1e-9)

    for _ in range(times):
        y = rng.random((2, n)) < positives
        s = rng.normal(size=(2, n)) + distance * y + np.array([[0.0], [SHIFT]])
        sides = [split(s[g], y[g]) for g in range(2)]
        if min(len(one.positives) for one in sides) < 2:
            continue
        known = np.array([True, True])
        one = own_estimates(sides, fpr, known)
        limits = one.limits(norm.ppf(0.975))
        count("own threshold", float(limits.low[0]), float(limits.high[0]), own)
        found = gap([one], ("a", "b"), LEVEL, True)
        count("gap, own thresholds", found.low, found.high, 0.0)
        threshold = CommonThreshold.of(split(s.ravel(), y.ravel()), fpr)
        for g, truth in enumerate(common):
            _, limits = threshold.rate(sides[g], "positives", LEVEL)
            count("common threshold", float(limits.low[0]), float(limits.high[0]), truth)
        shared = gap([common_estimates(sides, threshold, "positives", known)], "ab", LEVEL, True)
        count("gap, common threshold", shared.low, shared.high, common[1] - common[0])
        a = sides[0]
        chosen = a.thresholds(allowed(np.array([fpr]), len(a.negatives)))
        alone = a.rate(chosen, LEVEL, "positives")[1]
        count("threshold taken as known", float(alone.low[0]), float(alone.high[0]), own)
        mean = average_precision(a, LEVEL)
        count("average precision", mean.low, mean.high, ap)
        for point in precision_points(a, np.array([0.5]), LEVEL):
            count("precision at half recall", point["low"], point["high"], half)
    shares = {name: round(held[name] / tried[name], 4) for name in tried}
    return {"n": n, "positives": positives, "distance": distance, **shares}


def split(scores: Array, hits: Array) -> Sides:
    return Sides(-np.sort(-scores[hits]), -np.sort(-scores[~hits]))


if __name__ == "__main__":
    main()

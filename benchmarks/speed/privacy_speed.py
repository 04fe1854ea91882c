"""Membership inference: how fast, beside the formulas written plainly; see `privacy.py`.

Each pair is warmed up, then run in turns; median and spread are printed, and the ratio of medians.
"""

from __future__ import annotations

import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from speed.timings import line


def in_turns(works: dict[str, Callable[[], Any]], times: int) -> dict[str, list[float]]:
    """Seconds of each, after one run that does not count; a busy moment meets all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(times):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(found: dict[str, list[float]], slow: str, fast: str) -> float:
    """How many times as long the slow one takes, by medians."""
    return round(statistics.median(found[slow]) / statistics.median(found[fast]), 1)


def peak_mib(work: Callable[[], Any]) -> float:
    """What a work allocates at most, beyond what was there."""
    work()
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return round(peak / 2**20, 1)


def formula(
    target: np.ndarray, shadows: np.ndarray, trained: np.ndarray, center: str
) -> np.ndarray:
    """LiRA's log-likelihood ratio as TensorFlow Privacy computes it, over all rows at once.

    Its row-by-row functions nanmean or nanmedian, nanstd and scipy's normal log-density, here on
    whole arrays; with the divisor n - 1, so that the scores can be compared.
    """
    from scipy.stats import norm

    middle = np.nanmean if center == "mean" else np.nanmedian
    parts = []
    for side in (trained, ~trained):
        values = np.where(side, shadows, np.nan)
        parts.append(norm.logpdf(target, middle(values, axis=1), np.nanstd(values, axis=1, ddof=1)))
    return np.asarray(parts[0] - parts[1])


def formula_by_row(inside: list[Any], outside: list[Any], target: np.ndarray, center: str) -> Any:
    """The same as TensorFlow Privacy lays it out: a list of models a row, one row at a time."""
    from scipy.stats import norm

    middle = np.nanmean if center == "mean" else np.nanmedian
    parts = []
    for side in (inside, outside):
        mean = np.array([middle(one) for one in side])
        parts.append(norm.logpdf(target, mean, np.array([np.nanstd(one, ddof=1) for one in side])))
    return parts[0] - parts[1]


def speed_lira() -> dict[str, Any]:
    """50,000 examples under 256 shadow models, half of them in: scores beside the formula."""
    from fairlora.privacy import lira_offline, lira_online

    rng = np.random.default_rng(0)
    n, k = 50_000, 256
    shadows = 5 + 3 * rng.normal(size=(n, k))
    trained = rng.random((n, k)) < 0.5
    target = 5 + 3 * rng.normal(size=n)
    out = np.where(trained, np.nan, shadows)
    lists = [[row[m] for row, m in zip(shadows, s, strict=True)] for s in (trained, ~trained)]
    answer: dict[str, Any] = {"work": "LiRA scores of 50,000 examples x 256 shadow models"}
    for center in ("mean", "median"):
        works = {
            "formula, whole arrays": lambda c=center: formula(target, shadows, trained, c),
            "lira_online": lambda c=center: lira_online(target, shadows, trained, center=c),
            "lira_online, fixed variance": lambda c=center: lira_online(
                target, shadows, trained, True, center=c
            ),
            "lira_offline": lambda c=center: lira_offline(target, out, center=c),
        }
        plain = works["formula, whole arrays"]()
        np.testing.assert_allclose(works["lira_online"](), plain, rtol=1e-7, atol=1e-7)
        found = in_turns(works, 7 if center == "mean" else 5)
        start = time.perf_counter()
        by_row = formula_by_row(*lists, target, center)
        found["formula, row by row"] = [time.perf_counter() - start]
        np.testing.assert_allclose(by_row, plain, rtol=1e-7, atol=1e-7)
        answer[center] = {
            "lines": [line(name, seconds) for name, seconds in found.items()],
            "ratio": ratio(found, "formula, whole arrays", "lira_online"),
            "ratio_to_row_by_row": ratio(found, "formula, row by row", "lira_online"),
        }
    return answer


def naive_rmia(x: Any, references: Any, z: Any, population: Any, a: float) -> Any:
    """RMIA by its definition: every pair of a target and an example of the population."""

    def probability_ratio(log_p: Any, others: Any) -> Any:
        return np.exp(log_p) / ((1 + a) / 2 * np.exp(others).mean(axis=1) + (1 - a) / 2)

    ratios = probability_ratio(x, references)[:, None] / probability_ratio(z, population)
    return (ratios >= 1).mean(axis=1)


def speed_rmia() -> dict[str, Any]:
    """20,000 targets against a population of 10,000, four reference models."""
    from fairlora.privacy import rmia_offline

    rng = np.random.default_rng(0)
    x, z = -rng.exponential(size=20_000), -rng.exponential(size=10_000)
    references, population = (-rng.exponential(size=(len(one), 4)) for one in (x, z))
    works = {
        "naive matrix": lambda: naive_rmia(x, references, z, population, 0.3),
        "rmia_offline": lambda: rmia_offline(x, references, z, population, a=0.3),
    }
    off = np.abs(works["naive matrix"]() - works["rmia_offline"]())
    # The naive way divides probabilities: a ratio of almost 1 may fall on the other side.
    assert off.max() <= 2 / len(z), off.max()
    found = in_turns(works, 5)
    return {
        "work": "RMIA, 20,000 targets x 10,000 of a population, 4 reference models",
        "lines": [line(name, seconds) for name, seconds in found.items()],
        "ratio": ratio(found, "naive matrix", "rmia_offline"),
        "peak_mib": {name: peak_mib(work) for name, work in works.items()},
    }


def speed_curves() -> dict[str, Any]:
    """All ROCs with bands of 50,000 examples in 20 groups, gaps and their permutations."""
    from fairlora.privacy import compare_attacks, roc

    rng = np.random.default_rng(0)
    n = 50_000
    member, group = rng.random(n) < 0.5, rng.integers(0, 20, n)
    scores = rng.normal(size=n) + 0.5 * member
    other = scores + rng.normal(size=n)
    works: dict[str, Callable[[], Any]] = {
        "roc, no permutations": lambda: roc(scores, member, {"g": group}, permutations=0),
        "roc": lambda: roc(scores, member, {"g": group}),
        "compare_attacks": lambda: compare_attacks(scores, other, member, {"g": group}),
    }
    found = in_turns(works, 5)
    draws = roc(scores, member, {"g": group}).attack()["gaps"]["g"]["auc_gap"]["draws"]
    return {
        "work": "all ROCs with bands, 50,000 examples, 20 groups",
        "lines": [line(name, seconds) for name, seconds in found.items()],
        "permutations": draws,
    }

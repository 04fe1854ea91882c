"""Two ways of fine-tuning over several seeds: coverage of differences, and false verdicts.

A run is right on a row where a normal variable is below a threshold: the group's, moved by the
seed. The variable is the sum of what the row is to all runs, to all runs of one way, and to this
run alone, so rows are shared between seeds and ways as much as a scenario says. The truth is the
mean difference over seeds and over an endless test set, by formula given the seeds' effects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from scenarios import Rng, Scenario, names
from scipy.special import ndtr, ndtri
from truth import Float, Record

from fairlora.metrics import Settings
from fairlora.metrics.comparison.paired import compare_over_seeds
from fairlora.predictions import GroupColumn, Predictions

FAMILY = "seeds"
SEEDS = (2, 3, 5, 10)
MARGIN = 0.02
DRAWS = 500
_SAID = ("better", "worse", "different")
_TRUTH_DRAWS = 50_000
# How fast the loss falls with the distance to the threshold.
_STEEP = 0.7
_SPLIT = (0.72, 0.2)  # training and test share of the papers' split


@dataclass(frozen=True)
class Noise:
    """Shares of a row's variance that all runs and all runs of one way share, and seeds' effects.

    `seed` and `group` are standard deviations of the threshold, over seeds and over seeds and
    groups; a threshold of 1.5 is an accuracy of 93 %, one of 1.6 is 94.5 %.
    """

    rows: float = 0.0
    way: float = 0.0
    seed: float = 0.0
    group: float = 0.0
    cluster: int = 1


OWN = Noise()
SHARED = Noise(0.4, 0.2, 0.05, 0.05)
SEEDED = Noise(0.4, 0.2, 0.15, 0.1)


@dataclass(frozen=True)
class Ways:
    """Accuracy by group (G,) of the two ways; equal groups of `size` rows."""

    first: tuple[float, ...]
    second: tuple[float, ...]
    size: int
    noise: Noise

    @property
    def thresholds(self) -> Float:
        """(2, G), such that the mean over seeds has the accuracy."""
        stretch = np.sqrt(1 + self.noise.seed**2 + self.noise.group**2)
        return np.asarray(ndtri([self.first, self.second]) * stretch)

    def effects(self, rng: Rng, count: int) -> Float:
        """(count, 1, G) of so many seeds on the thresholds."""
        groups = len(self.first)
        own = self.noise.group * rng.standard_normal((count, 1, groups))
        return np.asarray(own + self.noise.seed * rng.standard_normal((count, 1, 1)))

    def truth(self, rng: Rng) -> dict[str, dict[str, float]]:
        """The differences of everything that is counted, by part of the content."""
        # The same effects for both: of like ways the difference is 0 and not nearly 0.
        at = self.thresholds + self.effects(rng, _TRUTH_DRAWS)
        right, loss = ndtr(at), np.exp(_STEEP**2 / 2 - _STEEP * at)
        each = {**rates_of(right, 1 - right), "loss_variance": loss.var(axis=2)}
        accuracy = right.mean(axis=2)
        overall = dict.fromkeys(("accuracy", "f1", "recall", "f1_min", "recall_min"), accuracy)
        overall |= {"f1_gap": 0 * accuracy, "mean_loss": loss.mean(axis=2)}
        parts = {"disparities": each, "overall": overall}
        return {
            part: {name: float((v[:, 0] - v[:, 1]).mean()) for name, v in metrics.items()}
            for part, metrics in parts.items()
        } | {"groups": dict(enumerate((right[:, 0] - right[:, 1]).mean(axis=0).tolist()))}

    def draw(self, rng: Rng, seeds: int) -> list[list[Predictions]]:
        """The seeds' tables of the first and of the second."""
        groups = len(self.first)
        n = groups * self.size
        codes = np.repeat(np.arange(groups), self.size).astype(np.int32)
        column = GroupColumn(names(groups), codes)
        labels = rng.integers(2, size=n)
        cluster = np.arange(n) // self.noise.cluster

        def shared() -> Float:
            return np.asarray(rng.standard_normal(int(cluster.max()) + 1)[cluster])

        noise, of_rows, of_way = self.noise, shared(), (shared(), shared())
        left = 1 - noise.rows - noise.way
        # An effect of its own for each run: pairs of runs share their rows, not their luck.
        effects = [self.effects(rng, seeds)[:, 0] for _ in range(2)]
        out: list[list[Predictions]] = [[], []]
        for seed in range(seeds):
            for way in (0, 1):
                z = np.sqrt(noise.rows) * of_rows + np.sqrt(noise.way) * of_way[way]
                z += np.sqrt(left) * rng.standard_normal(n)
                off = z - (self.thresholds[way] + effects[way][seed])[codes]
                table = Predictions(
                    ids=np.arange(n),
                    split=np.broadcast_to(np.array("test"), n),
                    labels=labels,
                    predictions=np.where(off < 0, labels, 1 - labels),
                    classes=("0", "1"),
                    groups={"a": column},
                    loss=np.exp(_STEEP * off).astype(np.float32),
                    clusters=None if noise.cluster == 1 else cluster.astype(np.int32),
                )
                out[way].append(table)
        return out


def rates_of(tpr: Float, fpr: Float) -> dict[str, Float]:
    """Disparities from rates (..., G) of equal groups whose labels are half and half."""

    def gap(rate: Float) -> Float:
        return np.asarray(rate.max(axis=-1) - rate.min(axis=-1))

    accuracy, f1 = (1 + tpr - fpr) / 2, 2 * tpr / (1 + tpr + fpr)
    groups = tpr.shape[-1]
    rest = (tpr.sum(axis=-1, keepdims=True) - tpr) / (groups - 1)
    return {
        "accuracy_worst": accuracy.min(axis=-1),
        "accuracy_gap": gap(accuracy),
        "dpd": gap((tpr + fpr) / 2),
        "eod": np.maximum(gap(tpr), gap(fpr)),
        "eopp_max": np.abs(tpr - rest).max(axis=-1),
        "f1_min": f1.min(axis=-1),
        "recall_min": tpr.min(axis=-1),
        "f1_gap": gap(f1),
    }


def count(
    record: Record, found: dict[str, Any], truth: dict[str, dict[str, float]], seeds: int
) -> None:
    """Count one comparison's intervals, and whether a verdict was false."""
    said = found["disparities"]["a"]
    of = f", {seeds} seeds"
    for part, rows in (("overall", found["overall"]), ("disparities", said)):
        over = {"f1_min", "recall_min", "f1_gap"} if part == "overall" else set()
        for name, value in truth[part].items():
            kind = f"{name} over classes" if name in over else name
            record.number(kind + of, rows[name], value)
        # A verdict counts as an interval that misses: 1 where it is false, 0 else.
        null = [name for name, value in truth[part].items() if abs(value) < 1e-12]
        if null:
            wrong = float(any(rows[name]["verdict"] in _SAID for name in null))
            what = "no false verdict of the disparities" if part != "overall" else ""
            record.add((what or "no false verdict overall") + of, wrong, wrong, 0)
        # Equivalence is each metric's own verdict, without a correction.
        for name, value in truth[part].items():
            if abs(value) >= MARGIN - 1e-12 and "loss" not in name:
                wrong = float(rows[name]["verdict"] == "equivalent")
                record.add("no false equivalence" + of, wrong, wrong, 0)
    for g, value in truth.get("groups", {}).items():
        row = found["by_group"]["a"][str(g)]["accuracy"]
        record.number("accuracy of a group" + of, row, value)


@cache
def _truth(of: Ways | Trained) -> dict[str, dict[str, float]]:
    """However many seeds there are, the truth is the same."""
    return of.truth(np.random.default_rng(11))


def simulate_ways(ways: Ways, seeds: int) -> Callable[[Record, Rng, int], None]:
    def simulate(record: Record, rng: Rng, sims: int) -> None:
        truth = _truth(ways)
        for k in range(sims):
            first, second = (dict(enumerate(tables)) for tables in ways.draw(rng, seeds))
            settings = Settings(positive="1", seed=k, bootstrap=DRAWS)
            count(record, compare_over_seeds(first, second, settings).to_dict(), truth, seeds)

    return simulate


def simulate_calibrated(seeds: int) -> Callable[[Record, Rng, int], None]:
    """Both ways calibrated, the first surer and so less noisy: neither's ECE is truly above 0."""
    n, sure = 1000, (0.85, 0.55)

    def simulate(record: Record, rng: Rng, sims: int) -> None:
        for k in range(sims):
            labels, hard = rng.integers(2, size=n), rng.standard_normal(n)
            column = GroupColumn(("0",), np.zeros(n, dtype=np.int32))
            runs: list[dict[int, Predictions]] = [{}, {}]
            for seed in range(seeds):
                for way, least in enumerate(sure):
                    confidence = rng.uniform(least, 0.99, n)
                    z = np.sqrt(0.3) * hard + np.sqrt(0.7) * rng.standard_normal(n)
                    predicted = np.where(z < ndtri(confidence), labels, 1 - labels)
                    one = np.where(predicted == 1, confidence, 1 - confidence)
                    runs[way][seed] = Predictions(
                        ids=np.arange(n),
                        split=np.broadcast_to(np.array("test"), n),
                        labels=labels,
                        predictions=predicted,
                        classes=("0", "1"),
                        groups={"a": column},
                        probs=np.stack([1 - one, one], axis=1).astype(np.float32),
                    )
            settings = Settings(positive="1", seed=k, bootstrap=DRAWS)
            row = compare_over_seeds(*runs, settings).to_dict()["overall"]["ece"]
            record.number(f"ece, {seeds} seeds", row, 0.0)
            wrong = float(row["p"] < 0.05 and row["verdict"] in _SAID)
            record.add(f"no false verdict on the ece, {seeds} seeds", wrong, wrong, 0)

    return simulate


@dataclass(frozen=True)
class Trained:
    """Classifiers by nearest centroid, trained on a part of a pool of rows that a seed draws.

    Rows are normal around their class's centroid, nearer to the middle in group 1. The two ways see
    other columns: as many of them, or the second fewer.
    """

    pool: int
    columns: tuple[int, int]

    def rows(self, rng: Rng, n: int) -> tuple[Float, Any, Any]:
        group, label = rng.integers(2, size=n), rng.integers(2, size=n)
        far = np.where(group == 1, 0.25, 0.4) * (2 * label - 1)
        x = far[:, None] + rng.standard_normal((n, sum(self.columns)))
        return x, label, group

    def fit(self, x: Float, label: Any) -> list[tuple[Float, float]]:
        """Weights and threshold of the two."""
        out = []
        for part in self.parts:
            one, zero = (x[label == y][:, part].mean(axis=0) for y in (1, 0))
            out.append((one - zero, float((one - zero) @ (one + zero) / 2)))
        return out

    @property
    def parts(self) -> tuple[slice, slice]:
        first = self.columns[0]
        return slice(0, first), slice(first, sum(self.columns))

    def truth(self, rng: Rng) -> dict[str, dict[str, float]]:
        """By formula for each of many training sets drawn anew."""
        n = int(_SPLIT[0] * self.pool)
        rates = np.empty((4000, 2, 2, 2))  # training set, way, TPR or FPR, group
        for k in range(len(rates)):
            x, label, _ = self.rows(rng, n)
            for way, (weights, threshold) in enumerate(self.fit(x, label)):
                at = np.array([0.4, 0.25]) * weights.sum()
                scale = np.linalg.norm(weights)
                rates[k, way] = ndtr((np.array([at, -at]) - threshold) / scale)
        each = rates_of(rates[:, :, 0], rates[:, :, 1])
        accuracy = ((1 + rates[:, :, 0] - rates[:, :, 1]) / 2).mean(axis=2)
        if self.columns[0] == self.columns[1]:  # the ways are alike but for their columns
            return {"overall": {"accuracy": 0.0}, "disparities": dict.fromkeys(each, 0.0)}
        return {
            "overall": {"accuracy": float((accuracy[:, 0] - accuracy[:, 1]).mean())},
            "disparities": {k: float((v[:, 0] - v[:, 1]).mean()) for k, v in each.items()},
        }

    def run(self, rng: Rng, pool: tuple[Float, Any, Any]) -> list[Predictions]:
        """One seed: a split of the pool, both ways trained and tested on it."""
        x, label, group = pool
        order = rng.permutation(self.pool)
        train, test = order[: int(_SPLIT[0] * self.pool)], order[-int(_SPLIT[1] * self.pool) :]
        return [
            Predictions(
                ids=test,
                split=np.broadcast_to(np.array("test"), len(test)),
                labels=label[test],
                predictions=(x[test][:, part] @ weights > threshold).astype(np.int64),
                classes=("0", "1"),
                groups={"a": GroupColumn(names(2), group[test].astype(np.int32))},
            )
            for part, (weights, threshold) in zip(
                self.parts, self.fit(x[train], label[train]), strict=True
            )
        ]


def simulate_papers(trained: Trained, seeds: int) -> Callable[[Record, Rng, int], None]:
    def simulate(record: Record, rng: Rng, sims: int) -> None:
        truth = _truth(trained)
        for k in range(sims):
            pool = trained.rows(rng, trained.pool)
            runs = [trained.run(rng, pool) for _ in range(seeds)]
            first, second = (dict(enumerate(tables)) for tables in zip(*runs, strict=True))
            settings = Settings(positive="1", seed=k, bootstrap=DRAWS)
            ratio = _SPLIT[1] / _SPLIT[0]
            count(
                record,
                compare_over_seeds(first, second, settings, ratio=ratio).to_dict(),
                truth,
                seeds,
            )

    return simulate


def seed_scenarios() -> Iterator[Scenario]:
    """Ways that are alike, of which one is noisier, fairer, or worse by the margin."""
    truths: dict[str, Callable[[int], tuple[Float, Float]]] = {
        "alike": lambda g: (np.full(g, 0.85), np.full(g, 0.85)),
        "alike, high": lambda g: (np.full(g, 0.97), np.full(g, 0.97)),
        "alike, an outlier": lambda g: (_outlier(g, 0.9, 0.75), _outlier(g, 0.9, 0.75)),
        "the second noisier": lambda g: (np.full(g, 0.96), np.full(g, 0.85)),
        "the first fairer": lambda g: (np.full(g, 0.88), _outlier(g, 0.92, 0.8)),
        "the second 2 points worse": lambda g: (np.full(g, 0.9), np.full(g, 0.88)),
    }
    noises = {"rows apart": OWN, "rows shared": SHARED, "seeds vary": SEEDED}
    clustered = replace(SHARED, cluster=5)
    noises["clusters of 5"] = clustered
    cases = [
        (2, 30, "rows apart", "alike"),
        (2, 30, "rows shared", "the second noisier"),
        (2, 300, "rows apart", "alike"),
        (2, 300, "rows apart", "the first fairer"),
        (2, 300, "rows shared", "alike"),
        (2, 300, "rows shared", "alike, high"),
        (2, 300, "seeds vary", "alike"),
        (2, 300, "seeds vary", "the first fairer"),
        (2, 300, "clusters of 5", "alike"),
        (5, 100, "rows apart", "alike"),
        (5, 100, "rows apart", "the second noisier"),
        (5, 100, "seeds vary", "alike, an outlier"),
        (5, 100, "rows shared", "the first fairer"),
        (20, 100, "rows apart", "the second noisier"),
        (2, 1000, "rows shared", "the second 2 points worse"),
        (2, 1000, "seeds vary", "the second 2 points worse"),
        (5, 1000, "rows apart", "the second noisier"),
        (5, 1000, "seeds vary", "alike"),
    ]
    for seeds in SEEDS:
        for groups, size, noise, truth in cases:
            first, second = truths[truth](groups)
            ways = Ways(tuple(first.tolist()), tuple(second.tolist()), size, noises[noise])
            name = f"{FAMILY}: {seeds} of them, {groups} groups, n={size}, {noise}, {truth}"
            cost = 25 + groups * (3 + seeds / 5) + groups * size * seeds / 250
            yield Scenario(name, size, 400, cost, simulate_ways(ways, seeds))
        name = f"{FAMILY}: {seeds} of them, calibrated, the second noisier"
        yield Scenario(name, 1000, 400, 25.0 + 4 * seeds, simulate_calibrated(seeds))
        for columns, truth in (((10, 10), "alike"), ((10, 5), "the second worse")):
            run = simulate_papers(Trained(1000, columns), seeds)
            name = f"{FAMILY}: {seeds} of them, the papers' split, {truth}"
            yield Scenario(name, 100, 400, 20.0 + seeds, run)


def _outlier(groups: int, rate: float, other: float) -> Float:
    return np.r_[np.full(groups - 1, rate), other]

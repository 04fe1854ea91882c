"""Clusters, overlapping groups, weights: scenarios of `coverage.py` through `fairlora.audit`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from rates import binary_cells
from scenarios import DRAWS, Rng, Scenario
from scipy.special import betaincinv
from scores import CONFIDENCES, POINTS
from truth import RATES, Float, Mask, Population, Record, ScoreTruth, score_truth

import fairlora


@dataclass(frozen=True)
class World:
    """Binary rows whose groups differ in how often they are right.

    Attributes
    ----------
    drops : (P,) what a kind of row loses of its hit rate, which is the stated confidence else.
    shares : (P,) how frequent the kinds are.
    member : (P, G) which groups a kind of row is in.
    """

    drops: Float
    shares: Float
    member: Mask

    def hit_rate(self, confidence: Float, kinds: np.ndarray) -> Float:
        return np.clip(confidence - self.drops[kinds], 0.01, 0.99)

    def among(self, inside: Mask) -> ScoreTruth:
        """What is true of the rows of the kinds `inside`."""
        c = CONFIDENCES["flat"](POINTS)
        shares = self.shares * inside / (self.shares * inside).sum()
        each = [np.clip(c - drop, 0.01, 0.99) for drop in self.drops]
        return score_truth(c, np.tensordot(shares, np.stack(each), axes=1))


class Rows(NamedTuple):
    """Rows drawn: their kinds and labels; their clusters, and the clusters' effects, 0 to 1."""

    kinds: np.ndarray
    labels: np.ndarray
    clusters: np.ndarray | None = None
    effect: Float | None = None


# Labels and predictions to the rows' weights: one over how likely each is to be drawn.
Weigh = Callable[[Rng, np.ndarray, np.ndarray], Float]


def simulate_audit(
    world: World,
    draw: Callable[[Rng], Rows],
    icc: float,
    suffix: str,
    equal: bool,
    weigh: Weigh | None = None,
) -> Callable[[Record, Rng, int], None]:
    """Audits of rows that `draw` draws; `suffix` tells their kinds of intervals from others'."""
    groups = world.member.shape[1]
    scores = [world.among(world.member[:, g]) for g in range(groups)]
    rests = [world.among(~world.member[:, g]) for g in range(groups)]
    weights = [float((world.shares * world.member[:, g]).sum()) for g in range(groups)]

    def cells(found: list[ScoreTruth], weight: list[float]) -> Float:
        right = np.array([s.accuracy for s in found])
        return (
            binary_cells(right, 1 - right, np.full(groups, 0.5)) * np.array(weight)[:, None, None]
        )

    truth = Population(cells(scores, weights), cells(rests, [1 - w for w in weights]))
    summary = truth.summary()
    aucs, means = np.array([s.auc for s in scores]), np.array([s.nll for s in scores])
    summary |= {"auc_gap": float(np.ptp(aucs)), "auc_worst": float(aucs.min())}
    summary |= {"loss_variance": float(means.var())}

    def simulate(record: Record, rng: Rng, sims: int) -> None:
        for k in range(sims):
            kinds, labels, clusters, effect = draw(rng)
            c = CONFIDENCES["flat"](rng.random(len(kinds)))
            rate = world.hit_rate(c, kinds)
            if icc > 0:
                spread = (1 - icc) / icc
                rate = betaincinv(rate * spread, (1 - rate) * spread, effect)
            chosen = np.where(rng.random(len(kinds)) < rate, labels, 1 - labels)
            w = None
            if weigh is not None:
                w = weigh(rng, labels, chosen)
                drawn = rng.random(len(kinds)) < 1 / w
                kinds, labels, chosen, c, w = (v[drawn] for v in (kinds, labels, chosen, c, w))
            positive = np.where(chosen == 1, c, 1 - c)
            overlap = bool((world.member.sum(axis=1) > 1).any())
            held = [[str(g) for g in np.flatnonzero(row)] for row in world.member]
            column = [held[kind] for kind in kinds] if overlap else kinds
            audit = fairlora.audit(
                labels,
                chosen,
                {"a": column},
                positive,
                clusters=clusters,
                weight=w,
                seed=k,
                bootstrap=DRAWS,
            ).to_dict()
            for name, value in summary.items():
                number = audit["disparities"]["a"][name]
                record.number(name + suffix, number, value)
                if equal:
                    record.by_chance(name + suffix, number)
            group = audit["by_group"]["a"]["0"]
            for name, value in truth.of_group(0).items():
                record.number(f"{name} of a group{suffix}", group[name], value)
            for kind in RATES:
                value = float(truth.rates[kind][0, 0])
                record.number(f"{kind} of a group{suffix}", group[kind], value)
            for kind in ("ece", "confidence_gap", "brier", "nll", "auc"):
                record.number(f"{kind} of a group{suffix}", group[kind], getattr(scores[0], kind))
            worst = float(scores[0].bin_gaps.max())
            record.number(f"mce of a group{suffix}", group["mce"], worst)

    return simulate


def clustered_rows(world: World, clusters: int, icc: float, nested: bool) -> Callable[[Rng], Rows]:
    """Clusters of 5 to 20 rows, so many a group, or so many in all where they cross the groups.

    Two rows of a cluster correlate by `icc` in their labels and in whether they are hit, given
    their confidences.
    """
    groups = world.member.shape[1]

    def draw(rng: Rng) -> Rows:
        total = clusters * groups if nested else clusters
        of = np.repeat(np.arange(total), rng.integers(5, 21, size=total))
        kinds = of // clusters if nested else rng.integers(groups, size=len(of))
        shared = rng.random(len(of)) < np.sqrt(icc)
        labels = np.where(shared, rng.integers(2, size=total)[of], rng.integers(2, size=len(of)))
        return Rows(kinds, labels, of, rng.random(total)[of])

    return draw


def cluster_scenarios() -> Iterator[Scenario]:
    """Rows that come in clusters: each of one group, or with rows in all groups."""
    grid = [(2, k, icc, "none", True) for k in (20, 50, 200) for icc in (0.0, 0.2, 0.6)]
    grid += [(2, k, icc, "outlier", True) for k in (20, 50) for icc in (0.2, 0.6)]
    grid += [(5, k, 0.2, truth, True) for k in (20, 50) for truth in ("none", "outlier")]
    grid += [(2, k, icc, "none", False) for k in (20, 50, 200) for icc in (0.2, 0.6)]
    for groups, clusters, icc, truth, nested in grid:
        drops = np.full(groups, 0.04)
        drops[0] = 0.2 if truth == "outlier" else 0.04
        world = World(drops, np.full(groups, 1 / groups), np.eye(groups, dtype=bool))
        draw = clustered_rows(world, clusters, icc, nested)
        where = "a group" if nested else "across groups"
        name = f"clusters: {groups} groups, {clusters} clusters {where}, icc {icc}, {truth}"
        rows = int(12.5 * clusters / (1 if nested else groups))
        run = simulate_audit(world, draw, icc, " (clusters)", equal=truth == "none")
        yield Scenario(name, rows, 500, 35.0 + rows * groups / 100, run)


def overlap_scenarios() -> Iterator[Scenario]:
    """Groups as lists of names: a row is in each of 4 by chance, in one at least."""
    member = np.array(list(itertools.product((False, True), repeat=4)))[1:]
    for share, n, truth in itertools.product((0.3, 0.6), (300, 2000), ("none", "outlier")):
        odds = np.where(member, share, 1 - share).prod(axis=1)
        drops = np.where(member[:, 0] & (truth == "outlier"), 0.2, 0.04)
        world = World(drops, odds / odds.sum(), member)

        def draw(rng: Rng, world: World = world, n: int = n) -> Rows:
            return Rows(rng.choice(len(world.shares), n, p=world.shares), rng.integers(2, size=n))

        size = int(n * share / (1 - (1 - share) ** 4))
        name = f"overlapping: 4 groups of {size} among {n} rows, {truth}"
        run = simulate_audit(world, draw, 0.0, " (overlapping)", equal=truth == "none")
        yield Scenario(name, size, 500, 45.0, run)


def weight_scenarios() -> Iterator[Scenario]:
    """Rows drawn with unequal chances and weighted by one over them.

    "Noise": weights that have nothing to do with the row. "Errors": rows that are wrong are drawn
    a quarter as often, so that without weights accuracy would come out far too high.
    """
    for groups, n, truth, what in itertools.product(
        (2, 5), (30, 100, 300), ("none", "outlier"), ("noise", "errors")
    ):
        drops = np.full(groups, 0.04)
        drops[0] = 0.2 if truth == "outlier" else 0.04
        world = World(drops, np.full(groups, 1 / groups), np.eye(groups, dtype=bool))

        def weigh(rng: Rng, labels: np.ndarray, chosen: np.ndarray, what: str = what) -> Float:
            wrong = 4.0 if what == "errors" else 1.0
            uneven = rng.lognormal(0, 0.5 if what == "errors" else 0.8, len(labels))
            return np.maximum(np.where(labels == chosen, 1.0, wrong) * uneven, 1.0)

        def draw(rng: Rng, groups: int = groups, n: int = n, what: str = what) -> Rows:
            # So many of the population that about n rows a group are drawn.
            total = int(n * groups * (1.6 if what == "errors" else 1.4))
            return Rows(rng.integers(groups, size=total), rng.integers(2, size=total))

        name = f"weights: {groups} groups of about {n}, {what}, {truth}"
        run = simulate_audit(world, draw, 0.0, " (weights)", truth == "none", weigh)
        yield Scenario(name, n, 500, 40.0, run)

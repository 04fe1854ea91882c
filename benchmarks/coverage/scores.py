"""Calibration, losses and AUC: scenarios of `coverage.py` that are drawn as scores.

Where an interval looks at one group alone every simulation is a group of one table, so one pass of
`tally` or `auc_of_rows` serves hundreds of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
from scenarios import LEVEL, SIZES, TRUTHS, Rng, Scenario, names
from scipy.special import ndtr, ndtri
from truth import Float, Record, score_truth

from fairlora.metrics.counts import calibration
from fairlora.metrics.counts.auc import Auc, auc_estimates, auc_of_rows
from fairlora.metrics.counts.means import loss_variance, mean_of
from fairlora.metrics.counts.sums import Powers
from fairlora.metrics.counts.tally import Tally, tally
from fairlora.metrics.groups.gaps import extreme, gap
from fairlora.metrics.inference.intervals import z_of
from fairlora.predictions import GroupColumn

# Rows drawn and scored at a time.
_CHUNK = 2_000_000
POINTS = (np.arange(1 << 16) + 0.5) / (1 << 16)

CONFIDENCES: dict[str, Callable[[Float], Float]] = {
    "flat": lambda u: 0.5 + 0.5 * u,
    "sharp": lambda u: 0.5 + 0.5 * u**0.25,
    "positive class": lambda u: u,
}
HIT_RATES: dict[str, Callable[[Float], Float]] = {
    "calibrated": lambda c: c,
    "mildly off": lambda c: np.clip(c - 0.04, 0.001, 0.999),
    "strongly off": lambda c: np.clip(c - 0.15, 0.001, 0.999),
    "off both ways": lambda c: np.clip(c + 0.2 * (0.75 - c), 0.001, 0.999),
}


def calibration_scenarios() -> Iterator[Scenario]:
    """ECE, MCE, signed gap, Brier, log-likelihood."""
    for stated, off, n in itertools.product(CONFIDENCES, HIT_RATES, SIZES):
        quantile, rate = CONFIDENCES[stated], HIT_RATES[off]

        def simulate(
            record: Record,
            rng: Rng,
            sims: int,
            quantile: Callable = quantile,
            rate: Callable = rate,
            n: int = n,
        ) -> None:
            points = quantile(POINTS)
            truth = score_truth(points, rate(points))
            for start, count in _chunks(sims, n):
                c = quantile(rng.random(count * n))
                labels = (rng.random(len(c)) < rate(c)).astype(np.int64)
                probs = np.stack([1 - c, c], axis=1).astype(np.float32)
                column = GroupColumn(names(count), np.repeat(np.arange(count, dtype=np.int32), n))
                ones = np.ones_like(labels)
                table = tally(labels, ones, 2, column, probs=probs, confidence_of=1)
                for g in range(count):
                    # A seed of its own each: one draw of the noise would err alike in all of them.
                    found = calibration.ece(table, g, LEVEL, seed=start + g)
                    record.number("ece of a group", found, truth.ece)
                    there = table.bins.rows[g] > 0  # type: ignore[union-attr]
                    worst = float(truth.bin_gaps[there].max())
                    record.number("mce of a group", calibration.mce(table, g, LEVEL), worst)
                    for kind in ("confidence_gap", "brier", "nll"):
                        mean = mean_of(table, kind, g, LEVEL, "")
                        record.number(f"{kind} of a group", mean, getattr(truth, kind))

        name = f"calibration: n={n}, {stated} confidence, {off}"
        yield Scenario(name, n, 2000, 2.0 + n / 2000, simulate)


def _chunks(sims: int, rows: int) -> Iterator[tuple[int, int]]:
    step = max(1, _CHUNK // rows)
    for start in range(0, sims, step):
        yield start, min(step, sims - start)


LOSSES: dict[str, tuple[Callable[[Rng, int], Float], float]] = {
    "exponential": (lambda rng, n: rng.exponential(size=n), 1.0),
    "lognormal": (lambda rng, n: rng.lognormal(size=n), float(np.exp(0.5))),
}


def _loss_powers(rng: Rng, loss: str, means: Float, n: int, sims: int) -> Iterator[Powers]:
    """(G,) powers of every simulation's losses; all of one mean make one table (S,)."""
    draw, mean = LOSSES[loss]
    groups = len(means)
    for _, count in _chunks(sims, n * groups):
        losses = draw(rng, count * groups * n) / mean * np.tile(np.repeat(means, n), count)
        codes = np.repeat(np.arange(count * groups, dtype=np.int32), n)
        zeros = np.zeros(len(codes), dtype=np.int64)
        yield tally(zeros, zeros, 2, GroupColumn(names(count * groups), codes), loss=losses).powers[
            "loss"
        ]


def loss_scenarios() -> Iterator[Scenario]:
    """Mean losses of one group, and the variance of the groups' mean losses."""
    for loss, n in itertools.product(LOSSES, SIZES):

        def mean_loss(record: Record, rng: Rng, sims: int, loss: str = loss, n: int = n) -> None:
            for powers in _loss_powers(rng, loss, np.ones(1), n, sims):
                table = Tally((), np.zeros((0, 2, 2), dtype=int), None, None, {"loss": powers})
                for g in range(len(powers.n)):
                    record.number("mean_loss of a group", mean_of(table, "loss", g, LEVEL, ""), 1.0)

        sims = 4000 if n < 5000 else 2000
        yield Scenario(f"mean loss: n={n}, {loss}", n, sims, 0.05 + n / 20_000, mean_loss)
    for loss, groups, n in itertools.product(LOSSES, (2, 5, 20), (30, 100, 1000)):
        for truth in TRUTHS:
            means = np.ones(groups)
            if truth == "outlier":
                means[0] = 1.4
            elif truth == "different":
                means = np.linspace(1, 1.5, groups)

            def variance(
                record: Record,
                rng: Rng,
                sims: int,
                loss: str = loss,
                means: Float = means,
                n: int = n,
            ) -> None:
                k, all_of = 0, np.ones(len(means), dtype=bool)
                for powers in _loss_powers(rng, loss, means, n, sims):
                    for start in range(0, len(powers.n), len(means)):
                        part = Powers(*(p[start : start + len(means)] for p in powers))
                        table = Tally((), np.zeros((0, 2, 2), int), None, None, {"loss": part})
                        seed = np.random.default_rng([k, 3])
                        found = loss_variance(table, all_of, LEVEL, seed)[0]
                        record.number("loss_variance", found, float(means.var()))
                        if means.var() == 0:
                            record.by_chance("loss_variance", found)
                        k += 1

            name = f"loss variance: {groups} groups, n={n}, {loss}, {truth}"
            sims = 2000 if groups < 20 else 1000
            yield Scenario(name, n, sims, 1.0 + groups * 0.1, variance)


def auc_scenarios() -> Iterator[Scenario]:
    """Binormal scores: the AUC is Phi(d / sqrt 2) of the distance d between the classes' means."""
    for auc, share, n in itertools.product((0.7, 0.9, 0.97), (0.5, 0.1), SIZES):
        yield _auc(np.array([auc]), share, n, f"AUC {auc}", 2000 if n < 5000 else 1000)
    for groups, truth, level, n in itertools.product(
        (2, 5, 20), TRUTHS, ("mid", "high"), (30, 100, 300, 1000)
    ):
        if n == 1000 and groups == 20:
            continue
        aucs = np.full(groups, 0.75 if level == "mid" else 0.95)
        if truth == "outlier":
            aucs[0] -= 0.1 if level == "mid" else 0.05
        elif truth == "different":
            aucs = np.linspace(*((0.65, 0.8) if level == "mid" else (0.9, 0.98)), groups)
        yield _auc(aucs, 0.5, n, f"{truth}, {level}", 1000 if groups < 20 else 500)


def _auc(aucs: Float, share: float, n: int, what: str, sims: int) -> Scenario:
    groups = len(aucs)

    def simulate(record: Record, rng: Rng, sims: int) -> None:
        distance = np.repeat(ndtri(aucs) * np.sqrt(2), n)
        for _, count in _chunks(sims, n * groups):
            hits = rng.random(count * groups * n) < share
            scores = rng.standard_normal(len(hits)) + hits * np.tile(distance, count)
            codes = np.repeat(np.arange(count * groups, dtype=np.int32), n)
            column = GroupColumn(names(count * groups), codes)
            every = auc_of_rows(ndtr(scores / 2).astype(np.float32), hits, column)
            if groups == 1:
                limits = auc_estimates(every, 1).limits(z_of(LEVEL))
                low, high = (np.where(np.isnan(every.value), np.nan, end) for end in limits)
                record.add("auc of a group", low, high, aucs[0])
                continue
            for start in range(0, count * groups, groups):
                part = Auc(*(v[start : start + groups] for v in every[:4]))
                found = auc_estimates(part, 10)
                true = aucs[found.known]
                worst, far = (
                    extreme([found], names(groups), LEVEL),
                    gap([found], names(groups), LEVEL, False),
                )
                if len(true):
                    record.number("auc_worst", worst, float(true.min()))
                if len(true) > 1:
                    record.number("auc_gap", far, float(np.ptp(true)))

    name = f"AUC: {groups} group{'s' * (groups > 1)}, n={n}, {share} positive, {what}"
    return Scenario(name, n, sims, 0.1 + groups * (0.1 + n / 10_000), simulate)

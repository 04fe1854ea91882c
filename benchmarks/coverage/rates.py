"""Rates, F1 and their disparities: scenarios of `coverage.py` that are drawn as counts.

The counts go to the library's own `disparities`, `GroupRates` and `macro_numbers`, which is what
the audit does once it has counted its rows. Group sizes are fixed, labels random within a group.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scenarios import DRAWS, LEVEL, SIZES, TRUTHS, Rng, Scenario, names
from truth import RATES, Float, Mask, Population, Record, rates_of

from fairlora.metrics.counts import macro
from fairlora.metrics.counts.rates import GroupRates
from fairlora.metrics.counts.tally import Tally
from fairlora.metrics.groups.disparity import disparities
from fairlora.metrics.groups.gaps import extreme, gap
from fairlora.metrics.inference.design import IndependentRows
from fairlora.metrics.inference.intervals import z_of


def binary(truth: str, level: str, groups: int) -> Float:
    """(G, 2, 2) cell probabilities by true label and prediction; group 0 is the outlier."""
    mid = level == "mid"
    tpr, fpr, share = (np.full(groups, v) for v in ((0.75, 0.3, 0.5) if mid else (0.97, 0.03, 0.5)))
    if truth == "outlier":
        tpr[0], fpr[0], share[0] = (0.55, 0.5, 0.4) if mid else (0.9, 0.1, 0.4)
    elif truth == "different":
        ends = ((0.55, 0.85), (0.45, 0.15)) if mid else ((0.9, 0.99), (0.1, 0.01))
        tpr, fpr = (np.linspace(*end, groups) for end in ends)
        share = np.linspace(0.35, 0.65, groups)
    return binary_cells(tpr, fpr, share)


def binary_cells(tpr: Float, fpr: Float, share: Float) -> Float:
    """(G, 2, 2) cell probabilities from rates and the share of positives."""
    rows = [(1 - share) * (1 - fpr), (1 - share) * fpr, share * (1 - tpr), share * tpr]
    return np.stack(rows, axis=-1).reshape(-1, 2, 2)


def several(truth: str, level: str, groups: int, classes: int) -> Float:
    """(G, C, C) cell probabilities: later classes more frequent, most errors to the next class."""
    mid = level == "mid"
    recall = np.full(groups, 0.7 if mid else 0.96)
    if truth == "outlier":
        recall[0] = 0.55 if mid else 0.9
    elif truth == "different":
        recall = np.linspace(*((0.55, 0.75) if mid else (0.91, 0.97)), groups)
    tilt = np.linspace(-1, 1, classes) * (0.05 if mid else 0.02)
    prior = np.linspace(1, 2, classes) / np.linspace(1, 2, classes).sum()
    distance = (np.arange(classes)[None, :] - np.arange(classes)[:, None]) % classes
    wrong = np.where(distance > 0, 1 / np.maximum(distance, 1), 0.0)
    wrong /= wrong.sum(axis=1, keepdims=True)
    right = (recall[:, None] + tilt)[..., None]
    return prior[:, None] * (right * np.eye(classes) + (1 - right) * wrong)


def draw_counts(rng: Rng, cells: Float, sizes: Sequence[int], sims: int) -> np.ndarray:
    """(S, G, C, C) counts: each group's size is fixed, its labels and predictions are random."""
    drawn = [rng.multinomial(n, p.ravel(), size=sims) for n, p in zip(sizes, cells, strict=True)]
    return np.stack(drawn, axis=1).reshape(sims, *cells.shape)


def rates_table(counts: np.ndarray, draws: int, seed: int, all_classes: bool = False) -> GroupRates:
    """What the audit makes of counts (G, C, C)."""
    table = Tally(names(len(counts)), counts)
    classes = counts.shape[1]
    positive = 1 if classes == 2 and not all_classes else None
    design = IndependentRows(table, draws, np.random.default_rng([seed, 1]))
    return GroupRates(table, names(classes), positive, 10, design)


def counted(table: GroupRates) -> dict[str, Mask]:
    """Which groups and classes this audit counts, by rate: (G, C)."""
    out = {}
    for kind in ("accuracy", "selection_rate", "tpr", "fpr"):
        each = [table.rate(kind, c) for c in (table.cs[:1] if kind == "accuracy" else table.cs)]
        out[kind] = np.stack([e.known & np.isfinite(e.values) for e in each], axis=1)
    out["rest"] = np.stack([table.rest("tpr", c).outside.known for c in table.cs], axis=1)
    f1 = table.f1()
    return {**out, "f1_of_group": f1.known & np.isfinite(f1.values)}


def group_sizes(n: int, groups: int, equal: bool) -> list[int]:
    return [n] * groups if equal else np.geomspace(n, 10 * n, groups).round().astype(int).tolist()


def simulate_disparities(cells: Float, sizes: list[int], draws: int, chance: bool) -> Callable:
    expected = cells * np.array(sizes)[:, None, None]
    truth = Population(expected, expected.sum(axis=0) - expected)
    pairs_of = ("accuracy", "selection_rate", "tpr", "fpr")

    def simulate(record: Record, rng: Rng, sims: int) -> None:
        for k, counts in enumerate(draw_counts(rng, cells, sizes, sims)):
            table = rates_table(counts, draws, k)
            found = disparities(table, draws=DRAWS if chance else 0, seed=k, attribute="a")
            seen = counted(table)
            summary = found.summary.numbers()
            for name, value in truth.summary(seen).items():
                record.number(name, summary[name], value)
                if chance:
                    record.by_chance(name, summary[name])
            shown = {
                kind: np.array([np.isfinite(table.rate(kind, c).values[0]) for c in table.cs])
                for kind in ("selection_rate", "tpr", "fpr")
            }
            for name, value in truth.of_group(0, shown).items():
                record.number(f"{name} of a group", found.by_group[0][name], value)
            for kind in pairs_of:
                rate = truth.rates[kind][:, 0]
                pairs = [pair for pair in found.pairwise if pair.metric == kind]
                gaps = [float(rate[int(pair.group)] - rate[int(pair.other)]) for pair in pairs]
                if pairs:
                    record.at_once(f"all pairs' {kind}", pairs, gaps)

    return simulate


def disparity_scenarios() -> Iterator[Scenario]:
    """Maxima over groups, and a group against the rest.

    Of more groups than 2 most have the closed critical value alone. The audit's own, the larger of
    that and the bootstrap's, is never smaller, so the coverage is a lower bound of the audit's.
    """
    grid = list(itertools.product((2,), SIZES, (True,), TRUTHS, ("mid", "high"), (DRAWS,)))
    grid += itertools.product((5,), SIZES, (True,), TRUTHS, ("mid", "high"), (0,))
    grid += itertools.product((20,), (30, 100, 1000), (True,), TRUTHS, ("mid", "high"), (0,))
    grid += itertools.product((2, 5, 20), (30, 100), (False,), ("none", "outlier"), ("high",), (0,))
    grid += itertools.product((5,), (100,), (False,), TRUTHS, ("mid",), (0,))
    grid += itertools.product((5,), (30, 100), (True,), ("none", "outlier"), ("high",), (DRAWS,))
    grid += itertools.product((20,), (30, 100), (True,), ("none",), ("mid",), (DRAWS,))
    for groups, n, equal, truth, level, draws in grid:
        cells = binary(truth, level, groups)
        sims = {2: 2000, 5: 2000, 20: 600}[groups] if draws == 0 or groups == 2 else 500
        sims = 300 if groups == 20 and draws else sims if n <= 100 else min(sims, 1000)
        cost = {2: 9.0, 5: 28.0, 20: 200.0}[groups] if draws else {2: 3.0, 5: 8.0, 20: 22.0}[groups]
        yield _disparity(cells, n, equal, f"{truth}, {level}", draws, sims, cost)
    wide = [
        (c, g, n, t, "mid")
        for c in (3, 10)
        for g in (2, 5)
        for n in (100, 1000)
        for t in ("none", "outlier")
    ]
    wide += [
        (3, 5, 30, "none", "high"),
        (3, 5, 100, "different", "high"),
        (10, 5, 30, "none", "mid"),
        (10, 5, 300, "outlier", "high"),
    ]
    for classes, groups, n, truth, level in wide:
        cells = several(truth, level, groups, classes)
        cost = {3: 4.0, 10: 12.0}[classes] * groups
        yield _disparity(cells, n, True, f"{truth}, {level}", 0, 500, cost)
    cells = several("none", "mid", 2, 3)
    yield _disparity(cells, 100, True, "none, mid", DRAWS, 500, 26.0)


def _disparity(
    cells: Float, n: int, equal: bool, truth: str, draws: int, sims: int, cost: float
) -> Scenario:
    groups, classes = cells.shape[:2]
    how = f"{'equal' if equal else 'unequal'}, {truth}, {draws or 'no'} draws"
    name = f"disparities: {groups} groups, {classes} classes, n={n}, {how}"
    run = simulate_disparities(
        cells, group_sizes(n, groups, equal), draws, chance=truth.startswith("none")
    )
    return Scenario(name, n, sims, cost, run)


def group_rate_scenarios() -> Iterator[Scenario]:
    """Wilson intervals of one group: every simulation a group of one table."""
    rates = [
        (0.5, 0.5, 0.5),
        (0.75, 0.3, 0.5),
        (0.8, 0.2, 0.3),
        (0.9, 0.1, 0.5),
        (0.95, 0.05, 0.5),
        (0.97, 0.03, 0.3),
        (0.99, 0.01, 0.5),
    ]
    for (tpr, fpr, share), n in itertools.product(rates, SIZES):
        cells = binary_cells(np.array([tpr]), np.array([fpr]), np.array([share]))

        def simulate(record: Record, rng: Rng, sims: int, cells: Float = cells, n: int = n) -> None:
            table = rates_table(draw_counts(rng, cells, [n], sims)[:, 0], 0, 0)
            truth = rates_of(cells, True)
            for kind in RATES:
                found = table.f1() if kind == "f1" else table.rate(kind, 1)  # type: ignore[arg-type]
                limits = found.limits(z_of(LEVEL))
                known = np.isfinite(found.values)
                low, high = (np.where(known, end, np.nan) for end in limits)
                record.add(f"{kind} of a group", low, high, truth[kind][0, 0])

        name = f"group rates: n={n}, TPR {tpr}, FPR {fpr}, {share} positive"
        yield Scenario(name, n, 20_000, 0.001, simulate)


def macro_scenarios() -> Iterator[Scenario]:
    """Means over classes (BCa), and classes taken as groups (smallest, gap)."""
    for classes, level, n in itertools.product((3, 10), ("mid", "high"), SIZES):
        cells = several("none", level, 1, classes)

        def simulate(record: Record, rng: Rng, sims: int, cells: Float = cells, n: int = n) -> None:
            truth = rates_of(cells, False)
            for k, counts in enumerate(draw_counts(rng, cells, [n], sims)):
                found = macro.macro_numbers(counts[0], DRAWS, np.random.default_rng([k, 2]), LEVEL)
                table = rates_table(counts, 0, k, all_classes=True)
                f1, recall = table.f1_by_class(0), table.by_class("tpr", 0)
                for kind, number in found.items():
                    values = np.stack([table.rate(kind, c).values[0] for c in table.cs])  # type: ignore[arg-type]
                    truly = float(truth[kind][0][np.isfinite(values)].mean())
                    record.number(f"macro {kind} of a group", number, truly)
                here = truth["f1"][0][np.isfinite(f1.values)]
                low = truth["tpr"][0][np.isfinite(recall.values)]
                classes = table.classes
                record.number("f1_min over classes", extreme([f1], classes, LEVEL), here.min())
                record.number(
                    "recall_min over classes", extreme([recall], classes, LEVEL), low.min()
                )
                record.number("f1_gap over classes", gap([f1], classes, LEVEL, False), np.ptp(here))

        cost = 6.0 if classes == 3 else 15.0
        sims = 1000 if classes == 3 or n < 1000 else 500
        yield Scenario(f"macro: {classes} classes, n={n}, {level}", n, sims, cost, simulate)


def one_class_scenarios() -> Iterator[Scenario]:
    """A group with rows of one class alone, all of them right more often than not, of few rows.

    Three classes: errors go to the other two alike, or to one of them. Its mean F1 and mean
    precision are over all classes that it is given in the long run, and so lower than any group of
    few rows shows that is all right. The gap is to a group of 300 rows of three classes.
    """
    rest = several("none", "mid", 1, 3)[0]
    for right, alike, n in itertools.product((0.8, 0.95), (True, False), (8, 12, 24)):
        cells = np.zeros((2, 3, 3))
        wrong = (1 - right) * (np.array([0.5, 0.5]) if alike else np.array([1.0, 0.0]))
        cells[0, 0], cells[1] = [right, *wrong], rest

        def simulate(record: Record, rng: Rng, sims: int, cells: Float = cells, n: int = n) -> None:
            each = rates_of(cells, False)
            truth = {kind: np.nanmean(v, axis=1) for kind, v in each.items() if v.ndim == 2}
            for k, counts in enumerate(draw_counts(rng, cells, [n, 300], sims)):
                found = macro.macro_numbers(counts[0], DRAWS, np.random.default_rng([k, 2]), LEVEL)
                for kind, number in found.items():
                    record.number(f"macro {kind} of a group (one class)", number, truth[kind][0])
                design = IndependentRows(Tally(names(2), counts), 0, np.random.default_rng(k))
                table = GroupRates(Tally(names(2), counts), names(3), None, 1, design)
                f1, both = table.f1(), names(2)
                lowest = extreme([table.recall()], both, LEVEL)
                record.number("recall_min (one class)", lowest, truth["tpr"].min())
                lowest = extreme([f1], both, LEVEL)
                record.number("f1_min (one class)", lowest, truth["f1"].min())
                between = gap([f1], both, LEVEL, False)
                record.number("f1_gap (one class)", between, np.ptp(truth["f1"]))

        errors = "two classes" if alike else "one class"
        name = f"one class: n={n}, {right} right, errors to {errors}"
        yield Scenario(name, n, 2000, 10.0, simulate)
    for right, n in itertools.product((0.8, 0.95), (8, 12, 24)):
        cells = np.array([[[0.0, 0.0], [1 - right, right]]])

        def of_two(record: Record, rng: Rng, sims: int, cells: Float = cells, n: int = n) -> None:
            table = rates_table(draw_counts(rng, cells, [n], sims)[:, 0], 0, 0)
            truth = rates_of(cells, True)
            for kind in ("accuracy", "tpr", "f1"):
                found = table.f1() if kind == "f1" else table.rate(kind, 1)  # type: ignore[arg-type]
                low, high = found.limits(z_of(LEVEL))
                record.add(f"{kind} of a group (one of two classes)", low, high, truth[kind][0, 0])

        yield Scenario(f"one class of two: n={n}, {right} right", n, 20_000, 0.001, of_two)

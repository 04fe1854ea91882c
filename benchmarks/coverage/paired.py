"""Two models on the same rows: coverage of differences, and how often a verdict is false."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
from rates import binary_cells
from scenarios import DRAWS, Rng, Scenario, names
from truth import Float, Population, Record

from fairlora.metrics import Settings
from fairlora.metrics.comparison.paired import compare_predictions
from fairlora.predictions import GroupColumn, Predictions

MARGIN = 0.02
_SAID = ("better", "worse", "different")


def population(accuracy: Float) -> Population:
    """Equal groups, labels half and half, and both labels predicted right as often."""
    cells = binary_cells(accuracy, 1 - accuracy, np.full(len(accuracy), 0.5)) / len(accuracy)
    return Population(cells, cells.sum(axis=0) - cells)


def simulate_pair(
    size: int, first: Float, second: Float, shared: float
) -> Callable[[Record, Rng, int], None]:
    """Pairs of models of these accuracies by group; `shared` of their luck is the same."""
    groups = len(first)
    one, two = population(first).summary(), population(second).summary()
    true = {name: one[name] - two[name] for name in one if not name.endswith("ratio")}
    column = GroupColumn(names(groups), np.repeat(np.arange(groups), size).astype(np.int32))

    def simulate(record: Record, rng: Rng, sims: int) -> None:
        n = groups * size
        for k in range(sims):
            labels = rng.integers(2, size=n)
            luck = rng.random(n)
            other = np.where(rng.random(n) < shared, luck, rng.random(n))
            tables = [
                Predictions(
                    ids=np.arange(n),
                    split=np.broadcast_to(np.array("test"), n),
                    labels=labels,
                    predictions=np.where(drawn < accuracy[column.codes], labels, 1 - labels),
                    classes=("0", "1"),
                    groups={"a": column},
                )
                for drawn, accuracy in ((luck, first), (other, second))
            ]
            settings = Settings(positive="1", seed=k, bootstrap=DRAWS)
            found = compare_predictions(*tables, settings, margin=MARGIN).to_dict()
            said = found["disparities"]["a"]
            for name, value in true.items():
                record.number(f"paired {name}", said[name], value)
            overall = found["overall"]["accuracy"]
            gain = float(first.mean() - second.mean())
            record.number("paired accuracy", overall, gain)
            # A verdict counts as an interval that misses: 1 where it is false, 0 else.
            false = [said[name]["verdict"] in _SAID for name in true if abs(true[name]) < 1e-12]
            if false:
                record.add("no false verdict of a family", float(any(false)), float(any(false)), 0)
            if abs(gain) >= MARGIN - 1e-12:
                wrong = float(overall["verdict"] == "equivalent")
                record.add("no false equivalence", wrong, wrong, 0)

    return simulate


def paired_scenarios() -> Iterator[Scenario]:
    """Models that are equally good, and models whose overall accuracy differs by the margin."""
    for groups, size, shared in itertools.product((2, 5), (100, 300, 1000), (0.0, 0.7)):
        truths = {
            "none, mid": np.full(groups, 0.8),
            "none, high": np.full(groups, 0.96),
            "outlier": np.r_[np.full(groups - 1, 0.9), 0.75],
            "different": np.linspace(0.65, 0.95, groups),
        }
        for truth, accuracy in truths.items():
            # Worse by the margin where groups are alike: elsewhere it would add little.
            for less in (0.0, MARGIN) if truth.startswith("none") else (0.0,):
                run = simulate_pair(size, accuracy, accuracy - less, shared)
                worse = f", the second {100 * less:g} points worse" if less else ""
                name = f"paired: {groups} groups, n={size}, {shared} shared, {truth}{worse}"
                yield Scenario(name, size, 1000, 8.0 + groups * 2.0, run)

"""What a scenario of `coverage.py` is, and the registry of all of them.

A new family of scenarios is a module with a function that yields them and a line in `families`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from coverage_truth import Record

LEVEL = 0.95
DRAWS = 2000
SIZES = (30, 100, 300, 1000, 5000)
TRUTHS = ("none", "outlier", "different")
Rng = np.random.Generator


@dataclass(frozen=True)
class Scenario:
    """Data from a known truth; `simulate` draws `sims` sets of them and counts into a record.

    `size` is the rows of the smallest group. `cost` is milliseconds a simulation, roughly.
    """

    name: str
    size: int
    sims: int
    cost: float
    simulate: Callable[[Record, Rng, int], None]


def names(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


def families() -> list[Callable[[], Iterator[Scenario]]]:
    """The registry. Imported here, as the families' modules need what is above."""
    import coverage_paired
    import coverage_rates
    import coverage_rows
    import coverage_scores

    return [
        coverage_rates.group_rate_scenarios,
        coverage_rates.disparity_scenarios,
        coverage_rates.macro_scenarios,
        coverage_rates.one_class_scenarios,
        coverage_scores.calibration_scenarios,
        coverage_scores.loss_scenarios,
        coverage_scores.auc_scenarios,
        coverage_rows.cluster_scenarios,
        coverage_rows.overlap_scenarios,
        coverage_paired.paired_scenarios,
    ]


def scenarios() -> list[Scenario]:
    """All of them, in the order of the registry."""
    return [scenario for family in families() for scenario in family()]

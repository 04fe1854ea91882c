"""What a scenario of `coverage.py` is, and the registry of all of them.

A new family of scenarios is a module with a function that yields them and a line in `families`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from truth import Record

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

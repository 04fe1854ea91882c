"""What a study will be able to show, from the sizes of its groups alone, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora.metrics.seeds_error import Chance, detectable_over_seeds

ACCURACY = 0.9
CORRELATION = 0.5
SEED_DEVIATION = 0.005


def power_of_study(
    rows: int,
    groups: Mapping[str, Mapping[str, int]],
    seeds: int,
    *,
    accuracy: float = ACCURACY,
    correlation: float = CORRELATION,
    seed_deviation: float = SEED_DEVIATION,
) -> list[dict[str, Any]]:
    """The smallest differences between two methods that 80 of 100 such studies find.

    These are guesses by assumption: both methods have the same accuracy, the errors of the two on
    one row correlate, and the difference of two runs varies from seed to seed besides.

    Parameters
    ----------
    rows : of the test split.
    groups : attribute -> group -> its test rows.
    seeds : how many.
    accuracy, correlation : of the methods, and between their hits on one row.
    seed_deviation : standard deviation over seeds of the difference, on all rows.

    Returns
    -------
    Rows with "attribute" (None for all rows), "measure" and "detectable": the accuracy over all
    rows; of each attribute the accuracy of the smallest group, and the gap between it and the
    largest group.
    """

    def found(n: int, other: int | None = None) -> float | None:
        if n < 1 or other == 0:
            return None
        a_row = 2 * accuracy * (1 - accuracy) * (1 - correlation)
        shared = a_row / n + (a_row / other if other else 0.0)
        own = seed_deviation**2 * (2 if other else 1) / seeds
        degrees = seeds - 1
        return detectable_over_seeds(Chance(shared, own if degrees else 0.0, seed_degrees=degrees))

    out: list[dict[str, Any]] = [
        {"attribute": None, "measure": "accuracy", "detectable": found(rows)}
    ]
    for attribute, sizes in groups.items():
        counted = {group: n for group, n in sizes.items() if n}
        if len(counted) < 2:
            continue
        small = min(counted, key=counted.__getitem__)
        large = max(counted, key=counted.__getitem__)
        out += [
            {
                "attribute": attribute,
                "measure": f"accuracy of {small} ({counted[small]} rows)",
                "detectable": found(counted[small]),
            },
            {
                "attribute": attribute,
                "measure": f"accuracy gap, {small} and {large}",
                "detectable": found(counted[small], counted[large]),
            },
        ]
    return out

"""Bounds of impact ratios over all ways in which those of unknown group may be of the groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.inference.intervals import Float


def ratio_bounds(
    selected: NDArray[Any],
    sizes: NDArray[Any],
    known: NDArray[np.bool_],
    unknown_selected: float,
    unknown_rejected: float,
) -> list[tuple[float, float] | None]:
    """The smallest and largest impact ratio of each group that any assignment allows.

    A group's ratio to the highest is smallest where all unknown rejected are of this group and all
    unknown selected of one other; it is largest where the unknown selected are of this group and
    the rejected are spread over the others so that their highest rate is as low as can be.

    Parameters
    ----------
    selected, sizes : (G,) selected among the rows of known group.
    known : (G,) which groups are compared.
    unknown_selected, unknown_rejected : rows of unknown group.

    Returns
    -------
    (G,) pairs of ratios from 0 to 1; None for a group that is not compared, or compared with none.

    >>> bounds = ratio_bounds(np.array([50, 40]), np.array([100, 100]), np.ones(2, bool), 10, 10)
    >>> [tuple(round(end, 3) for end in pair) for pair in bounds]
    [(1.0, 1.0), (0.667, 1.0)]
    """
    k, n = selected.astype(np.float64), sizes.astype(np.float64)
    out: list[tuple[float, float] | None] = [None] * len(k)
    for g in np.flatnonzero(known):
        others = known.copy()
        others[g] = False
        if not others.any():
            continue
        lowest = k[g] / (n[g] + unknown_rejected)
        highest = (k[others] + unknown_selected) / (n[others] + unknown_selected)
        smallest = 1.0 if highest.max() <= 0 else min(1.0, float(lowest / highest.max()))
        own = (k[g] + unknown_selected) / (n[g] + unknown_selected)
        beside = _lowest_maximum(k[others], n[others], unknown_rejected)
        largest = 1.0 if beside <= 0 else min(1.0, float(own / beside))
        out[int(g)] = smallest, largest
    return out


def _lowest_maximum(k: Float, n: Float, rejected: float) -> float:
    """The lowest that the highest rate k / (n + a) can be, where the a are `rejected` in all."""
    low, high = 0.0, float((k / n).max())
    for _ in range(60):
        level = (low + high) / 2
        needed = np.maximum(k / level - n, 0.0).sum() if level > 0 else np.inf
        low, high = (level, high) if needed > rejected else (low, level)
    return high

"""Points that no other point beats in everything: the Pareto front, and its knee."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]


def pareto_front(values: ArrayLike, directions: Sequence[int]) -> list[int]:
    """Which points are on the Pareto front, in the order of the points.

    A point is on it if no other is at least as good in every objective and better in one. Points
    with an undefined value (NaN) are never on it; of equal points the first alone is.

    Parameters
    ----------
    values : (n, k) a point a row.
    directions : (k,) +1 where more is better, -1 where less is.

    Raises `ValueError` for values that are no such table.

    >>> pareto_front([[0.9, 0.2], [0.8, 0.1], [0.8, 0.3], [0.9, 0.2]], [+1, -1])
    [0, 1]
    """
    costs = _costs(values, directions)
    known = np.flatnonzero(~np.isnan(costs).any(axis=1))
    # The best first: none that comes later can beat one that stands. Equal points keep their order.
    order = known[np.lexsort((known, *costs[known].T[::-1]))]
    front: list[int] = []
    for point in order.tolist():
        if not (costs[front] <= costs[point]).all(axis=1).any():
            front.append(point)
    return sorted(front)


def knee(values: ArrayLike, directions: Sequence[int]) -> int | None:
    """The point of the front nearest to the ideal one; the first of those equally near.

    Each objective is scaled to the front's own range; the ideal point has the best of each (Zeleny
    1973, compromise programming with the Euclidean distance). None where no point is defined.

    Parameters are those of `pareto_front`, as are the errors.

    >>> knee([[1.0, 1.0], [0.9, 0.1], [0.0, 0.0]], [+1, -1])
    1
    """
    front = pareto_front(values, directions)
    if not front:
        return None
    costs = _costs(values, directions)[front]
    low = costs.min(axis=0)
    span = costs.max(axis=0) - low
    # An objective in which the whole front is equal tells its points not apart.
    scaled = (costs - low) / np.where(span > 0, span, 1.0)
    return front[int(np.argmin(np.square(scaled).sum(axis=1)))]


def _costs(values: ArrayLike, directions: Sequence[int]) -> Float:
    """(n, k) less is better."""
    signs = np.asarray(directions, dtype=np.float64)
    if not len(signs) or not np.isin(signs, (-1, 1)).all():
        raise ValueError(f"directions are +1 or -1, one an objective; found {list(directions)}")
    table = np.asarray(values, dtype=np.float64)
    if table.size == 0:
        return np.empty((0, len(signs)))
    if table.ndim != 2 or table.shape[1] != len(signs):
        raise ValueError(f"values are (n, {len(signs)}); found {table.shape}")
    return -signs * table

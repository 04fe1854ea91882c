"""Sums over rows, all that an audit keeps of them: confidence bins, powers, and their means."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]
# Rows (whole numbers), or sums of their weights.
Counts = NDArray[Any]


def kish(sums: NDArray[Any], squares: NDArray[Any]) -> Float:
    """Rows of one weight that would say as much: (sum of weights)^2 / sum of their squares.

    Kish 1965, Survey Sampling, section 11.7.

    >>> kish(np.array([4.0]), np.array([10.0])).tolist()
    [1.6]
    """
    some = np.maximum(squares, np.finfo(np.float64).tiny)
    size = np.where(squares > 0, np.asarray(sums, dtype=np.float64) ** 2 / some, 0.0)
    # Ten rows of one weight are ten, and no rest of rounding fewer.
    whole = np.rint(size)
    return np.asarray(np.where(np.abs(size - whole) < 1e-9 * whole, whole, size))


class Bins(NamedTuple):
    """Rows by group and confidence bin, each (G, B).

    Counts, sums of confidence, hits, and sums of (confidence - hit)^2. Where rows have weights w
    all are sums of w times that, the last of w^2; the rest are rows, and sums of w^2, w^2 times
    (confidence - hit) and w^2 times hits.
    """

    rows: Float
    confidence: Float
    hits: Float
    squares: Float
    n: Float
    square_rows: Float
    square_gaps: Float
    square_hits: Float

    def effective(self) -> Float:
        """(G, B) rows of one weight that would say as much (Kish)."""
        return kish(self.rows, self.square_rows)


class Powers(NamedTuple):
    """The number of rows and the sums of a value's first three powers, each (G,) or (P,).

    Where rows have weights w, the sums of w and w x; of (w x)^2, w (w x) and w^2; and of (w x)^3,
    w (w x)^2, w^2 (w x) and w^3.
    """

    n: Float
    first: Float
    second: Float
    third: Float
    mixed: Float
    square: Float
    mixed_second: Float
    mixed_first: Float
    cube: Float

    @classmethod
    def of_rows(cls, n: Float, first: Float, second: Float, third: Float) -> Powers:
        """Of rows without weights.

        Parameters
        ----------
        n : rows.
        first, second, third : sums of the value's powers.
        """
        return cls(n, first, second, third, first, n, second, first, n)

    def means(self) -> Means:
        """The means, of rows that are draws of their own."""
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(self.n > 0, self.first / self.n, np.nan)
        m = np.nan_to_num(mean)
        squares = self.second - 2 * m * self.mixed + m**2 * self.square
        cubes = self.third - 3 * m * self.mixed_second + 3 * m**2 * self.mixed_first
        # What is left of a difference of large numbers is no spread.
        none = squares < 1e-12 * np.maximum(self.second, 1e-300)
        squares = np.where(none, 0.0, np.maximum(squares, 0.0))
        return Means(mean, self.n, squares, cubes - m**3 * self.cube, kish(self.n, self.square))


class Means(NamedTuple):
    """Means of groups with what their intervals need, each (G,).

    The mean, its rows, the sums of the second and third powers of the residuals (of the rows, or of
    the clusters' sums of them), and how many rows or clusters those are.
    """

    mean: Float
    n: Float
    squares: Float
    cubes: Float
    units: Float

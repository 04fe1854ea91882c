"""Per-row values of measurements: errors, quantile hits, widths; an audit takes their means.

With label y, prediction p and predicted quantile q of level a:

- bias: p - y; MAE: |p - y|; RMSE: the root of the mean of (p - y)^2.
- coverage of a quantile: y <= q, which a share a of the rows should be.
- pinball loss: a (y - q) where y >= q, else (1 - a) (q - y) (Koenker and Bassett 1978, Econometrica
  46:33), as scikit-learn's `mean_pinball_loss`.
- coverage of an interval between two quantiles: both ends included; and its width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fairlora.errors import InputError
from fairlora.metrics.inference.intervals import Float
from fairlora.predictions.measurements import level_text
from fairlora.predictions.table import Measurements

# Sixth powers of errors are added up: larger numbers, and smaller ones, would not be left.
_LARGEST, _SMALLEST = 1e30, 1e-30
# Which group is the worst: the one of the highest value, or the farthest from `target`.
Worst = Literal["highest", "farthest"]


@dataclass(frozen=True)
class RowValues:
    """One value a row, whose mean by group is a number of the audit.

    Attributes
    ----------
    path : keys of the number in the audit's content.
    values : (n,) numbers; of a share 1 and 0.
    share : whether the mean is a share of rows.
    root : whether the number is the root of the mean.
    worst : which group is the worst, or None where no value is better than another.
    target : what the number should be, where the worst group is the farthest from it.
    """

    path: tuple[str, ...]
    values: Float
    share: bool = False
    root: bool = False
    worst: Worst | None = None
    target: float = 0.0


def row_values(measured: Measurements) -> Iterator[RowValues]:
    """All values of the rows, in the order of the audit's content.

    Raises
    ------
    InputError : numbers too large or errors too small to be squared.
    """
    y, p = measured.labels, measured.predictions
    largest = _largest(measured)
    # What is left of a difference of large numbers beyond their digits is rounding, and no spread.
    unit = 2.0 ** (np.frexp(largest)[1] - 48)

    def difference(a: Float, b: Float) -> Float:
        return np.asarray(np.rint((a - b) / unit) * unit)

    yield RowValues(("label",), y)
    if p is not None:
        error = difference(p, y)
        yield RowValues(("prediction",), p)
        yield RowValues(("bias",), error, worst="farthest")
        yield RowValues(("mae",), np.abs(error), worst="highest")
        yield RowValues(("rmse",), error**2, root=True, worst="highest")
    for level, q in measured.quantiles.items():
        place, off = ("quantiles", level_text(level)), difference(y, q)
        below = (y <= q).astype(np.float64)
        yield RowValues((*place, "coverage"), below, share=True, worst="farthest", target=level)
        loss = np.maximum(level * off, (level - 1) * off)
        yield RowValues((*place, "pinball"), loss, worst="highest")
    for low, high in central_intervals(list(measured.quantiles)):
        bottom, top = measured.quantiles[low], measured.quantiles[high]
        place = ("intervals", interval_text(low, high))
        within = ((bottom <= y) & (y <= top)).astype(np.float64)
        target = round(high - low, 12)
        yield RowValues((*place, "coverage"), within, share=True, worst="farthest", target=target)
        yield RowValues((*place, "width"), difference(top, bottom))


def central_intervals(levels: list[float]) -> list[tuple[float, float]]:
    """Pairs of levels, the outermost first; one in the middle stays alone.

    >>> central_intervals([0.05, 0.25, 0.5, 0.75, 0.95])
    [(0.05, 0.95), (0.25, 0.75)]
    """
    return [(levels[k], levels[-1 - k]) for k in range(len(levels) // 2)]


def interval_text(low: float, high: float) -> str:
    """The name of the interval between two quantiles.

    >>> interval_text(0.1, 0.9)
    '0.1-0.9'
    """
    return f"{level_text(low)}-{level_text(high)}"


def _largest(measured: Measurements) -> float:
    """The largest number, whatever its sign; `InputError` where it cannot be squared."""
    given = [measured.labels, *measured.quantiles.values()]
    given += [] if measured.predictions is None else [measured.predictions]
    largest = max(float(np.abs(values).max()) for values in given)
    if not (largest == 0 or _SMALLEST < largest < _LARGEST):
        raise InputError(
            "numbers too large or too small to be squared",
            where="labels, predictions and quantiles",
            found=f"at most {largest:.3g}",
            expected=f"between {_SMALLEST:g} and {_LARGEST:g}: another unit",
        )
    return largest

"""What rows in clusters and rows with weights share: sizes and chance from linearised variances.

A rate is a ratio of two sums, and moves by its units' residuals: (hits - rate x rows) / rows, of a
cluster or of a row by its weight (Taylor linearisation with replacement; Wolter 2007, Introduction
to Variance Estimation, chapter 6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.inference.design import Kind, Known
from fairlora.metrics.inference.intervals import Float, t_of, z_of

# (kind, class, of everyone outside each group?) -> (B, G) how far off draws of the rates are.
Off = Callable[[Kind, int, bool], Float]


def effective_size(variance: Float, p: Float, units: Float, rows: Float, level: float) -> Float:
    """(G,) rows of their own that would vary as much; at most the rows that there are.

    Korn and Graubard 1998 (Survey Methodology 24:193). Student's quantile of the units takes the
    place of the normal's. Where nothing varies, as of a rate of 0 or 1, the units are the size.

    Parameters
    ----------
    variance, p : of the rates, and the rates.
    units : clusters of even size, or rows of one weight, that would say as much.
    rows : of the denominators.
    level : of the intervals.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        size = p * (1 - p) / variance
    size = np.where(np.isfinite(size) & (size > 0), size, units)
    size = np.minimum(size, np.maximum(rows, 1))
    z = z_of(level)
    shrink = [(z / t_of(level, k - 1)) ** 2 if k > 1.5 else 0.01 for k in units]
    return np.asarray(size * np.array(shrink))


def more(units: Float) -> Float:
    """(G,) units / (units - 1), of a variance around an estimated rate."""
    return np.asarray(units / np.maximum(units - 1, 1e-9))


def centred_gaps(off: Off, classes: Sequence[int], known: Known) -> dict[str, float]:
    """Gaps of rates that are equal but for the units drawn: their means.

    Parameters
    ----------
    off : draws of the rates' errors, all of the same draws of the units.
    classes : taken against the rest.
    known : which groups count.
    """

    def range_of(found: Float, here: NDArray[np.bool_]) -> Float:
        if here.sum() < 2:
            return np.full(len(found), np.nan)
        return np.asarray(found[:, here].max(axis=1) - found[:, here].min(axis=1))

    largest = {"accuracy_gap": range_of(off("accuracy", 0, False), known("accuracy", 0))}
    gaps = ("dpd", "eod", "tpr_gap", "fpr_gap", "eopp_max")
    largest |= dict.fromkeys(gaps, np.full(len(largest["accuracy_gap"]), np.nan))

    def spread(name: str, found: Float, here: NDArray[np.bool_]) -> None:
        largest[name] = np.fmax(largest[name], range_of(found, here))

    for c in classes:
        spread("dpd", off("selection_rate", c, False), known("selection_rate", c))
        # Equalized odds needs both rates of a group.
        both = known("tpr", c) & known("fpr", c)
        rates: tuple[Kind, ...] = ("tpr", "fpr")
        for kind in rates:
            found = off(kind, c, False)
            spread(f"{kind}_gap", found, known(kind, c))
            spread("eod", found, both)
        here = known("tpr", c) & known("outside", c)
        if here.any():
            far = np.abs(off("tpr", c, False) - off("tpr", c, True))[:, here].max(axis=1)
            largest["eopp_max"] = np.fmax(largest["eopp_max"], far)
    return {
        name: float(values.mean()) for name, values in largest.items() if not np.isnan(values).any()
    }

"""Calibration from confidence bins (Guo et al. 2017; Naeini et al. 2015)."""

from __future__ import annotations

import numpy as np

from fairlora.metrics.intervals import Number, undefined
from fairlora.metrics.tally import Float, Tally

NO_PROBS = "no probabilities given"


def ece(tally: Tally, g: int) -> Number:
    """Expected calibration error of group g: bins' |accuracy - confidence|, weighted by rows."""
    if tally.bins is None:
        return undefined(NO_PROBS)
    rows, gaps = _gaps(tally, g)
    if rows.sum() == 0:
        return undefined("no rows")
    return Number(float((rows * np.abs(gaps)).sum() / rows.sum()))


def mce(tally: Tally, g: int) -> Number:
    """Maximum calibration error: the largest |accuracy - confidence| of a bin with rows."""
    if tally.bins is None:
        return undefined(NO_PROBS)
    rows, gaps = _gaps(tally, g)
    return Number(float(np.abs(gaps).max())) if rows.sum() else undefined("no rows")


def signed_gap(tally: Tally, g: int) -> Number:
    """Mean confidence minus accuracy: above 0 is overconfident."""
    if tally.bins is None:
        return undefined(NO_PROBS)
    rows, gaps = _gaps(tally, g)
    return Number(float((rows * gaps).sum() / rows.sum())) if rows.sum() else undefined("no rows")


def brier(tally: Tally, g: int) -> Number:
    """Mean over rows of the sum over classes of (p_c - [y = c])^2."""
    return _mean_of(tally, g, 0)


def negative_log_likelihood(tally: Tally, g: int) -> Number:
    """Mean of -log p of the true class."""
    return _mean_of(tally, g, 1)


def _mean_of(tally: Tally, g: int, k: int) -> Number:
    if tally.squares is None:
        return undefined(NO_PROBS)
    n = int(tally.sizes[g])
    return Number(float(tally.squares[g, k] / n)) if n else undefined("no rows")


def _gaps(tally: Tally, g: int) -> tuple[Float, Float]:
    """Rows a bin, and mean confidence minus accuracy of each (0 for an empty bin)."""
    assert tally.bins is not None
    rows = tally.bins.rows[g]
    with np.errstate(invalid="ignore", divide="ignore"):
        gaps = (tally.bins.confidence[g] - tally.bins.hits[g]) / rows
    return rows, np.where(rows > 0, gaps, 0.0)

"""Calibration from confidence bins (Guo et al. 2017; Naeini et al. 2015), with intervals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.content import Bin, CalibrationError, Number
from fairlora.metrics.counts.sums import Float
from fairlora.metrics.counts.tally import Tally, bin_numbers
from fairlora.metrics.inference.intervals import (
    shared_level,
    wide_limits,
    wilson_limits,
    z_of,
)
from fairlora.metrics.inference.linearised import effective_size, more
from fairlora.predictions.columns import GroupColumn

NO_PROBS = "no probabilities given"
_DRAWS = 1000
_BLOCK = 1 << 16


def ece(
    tally: Tally, g: int, level: float = 0.95, seed: int = 0, noise: Float | None = None
) -> CalibrationError:
    """Expected calibration error of group g: bins' |accuracy - confidence|, weighted by rows.

    Noise alone makes an ECE larger than 0, so no bootstrap interval covers a calibrated model. The
    interval here inverts a test instead: the bins' signed errors are taken as t times those
    found, and an end is the t at which an ECE as large, or as small, as the one found has
    probability (1 - level) / 2. Beside it, as "expected_if_calibrated", stands the ECE that noise
    alone would give.

    Parameters
    ----------
    tally : of the attribute; without bins the ECE is undefined.
    g : number of the group.
    level : of the interval.
    seed : of the noise that is drawn.
    noise : (B, bins) draws of the bins' sums where rows come in clusters; None draws them as of
        independent rows.
    """
    if tally.bins is None:
        return CalibrationError.undefined(NO_PROBS)
    rows = tally.bins.rows[g]
    n = float(rows.sum())
    if n == 0:
        return CalibrationError.undefined("no rows")
    sums = tally.bins.confidence[g] - tally.bins.hits[g]
    found = float(np.abs(sums).sum())
    if noise is None:
        rng = np.random.default_rng([seed, 15])
        noise = rng.standard_normal((_DRAWS, len(sums))) * np.sqrt(_bin_variance(tally, g))
        effects = [sums]
    else:
        # Noise that bins share moves bins that are off to one side together: errors that happen to
        # cancel may come from ones that do not.
        effects = [sums, np.abs(sums)]
    ends = [invert(e, noise, lambda s: np.abs(s).sum(axis=-1), level) for e in effects]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    # One multiple for all bins fits badly where some bins are off and others are not: the interval
    # is at least as wide as the spread of the ECE around the errors found.
    half = z_of(level) * float(np.abs(sums + noise).sum(axis=-1).std())
    low, high = min(low * found, max(found - half, 0.0)), max(high * found, found + half)
    return CalibrationError(
        value=found / n,
        low=low / n,
        high=min(high / n, 1.0),
        expected_if_calibrated=expected_if_calibrated(tally, g),
    )


def not_below(ece: CalibrationError, confidence_gap: Number) -> CalibrationError:
    """The ECE with an upper end that its lower bound's interval allows.

    An ECE is never below the distance of mean confidence and accuracy: what that may be, it may be.
    The gap's interval is skewed as its rows (or clusters) are, which the bins' noise is not.
    """
    low, high = confidence_gap.low, confidence_gap.high
    if ece.high is None or low is None or high is None:
        return ece
    return ece.model_copy(update={"high": min(max(ece.high, abs(low), abs(high)), 1.0)})


def ece_by_group(
    confidence: NDArray[Any], hits: NDArray[Any], groups: GroupColumn, bins: int = 15
) -> Float:
    """(G,) expected calibration errors of groups that do not overlap, without intervals.

    NaN for a group without rows.

    Parameters
    ----------
    confidence, hits : (n,) a row's confidence, in [0, 1], and whether it came true.
    groups : the attribute's column.
    bins : how many, of equal width.

    >>> from fairlora.predictions import group_column
    >>> groups = group_column(["a", "a", "b"])
    >>> ece_by_group(np.array([0.9, 0.9, 0.5]), np.array([1, 0, 1]), groups).round(2).tolist()
    [0.4, 0.5]
    """
    size = len(groups.names)
    rows, off = np.zeros(size), np.zeros(size * bins)
    for start in range(0, len(confidence), _BLOCK):
        part = slice(start, start + _BLOCK)
        p, codes = confidence[part], groups.codes[part].astype(np.intp)
        rows += np.bincount(codes, minlength=size)
        place = codes * bins + bin_numbers(p, bins)
        off += np.bincount(place, weights=p - hits[part], minlength=size * bins)
    total = np.abs(off.reshape(size, bins)).sum(axis=1)
    return np.where(rows > 0, total / np.maximum(rows, 1), np.nan)


def invert(effect: Float, noise: Float, statistic: Any, level: float) -> tuple[float, float]:
    """Ends t of {t * effect : a test of size 1 - level does not reject it}.

    For statistics that noise alone makes larger: sums of absolute values, of squares.

    Parameters
    ----------
    effect : (k,) what was found.
    noise : (B, k) draws of what the data's effect is off by.
    statistic : maps (..., k) to (...) and grows with |t|.
    level : of the interval.

    Returns
    -------
    The lower end, at most 1, and the upper one, at least 1; both 0 where the statistic is 0.
    """
    found = float(statistic(effect))
    tail = (1 - level) / 2

    def larger(t: float) -> float:
        return float((statistic(t * effect + noise) >= found).mean())

    def smaller(t: float) -> float:
        return float((statistic(t * effect + noise) <= found).mean())

    if found == 0:
        return 0.0, 0.0
    low = 0.0 if larger(0.0) > tail else _root(lambda t: larger(t) > tail, 0.0, 1.0)
    top = 1.0
    while smaller(top) > tail and top < 1e6:
        top *= 2
    high = 0.0 if smaller(0.0) <= tail else _root(lambda t: smaller(t) <= tail, 0.0, top)
    return min(low, 1.0), max(high, 1.0)


def _root(beyond: Any, low: float, high: float) -> float:
    for _ in range(18):
        middle = (low + high) / 2
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return (low + high) / 2


def expected_if_calibrated(tally: Tally, g: int) -> float | None:
    """The ECE of group g that is to be expected if its stated confidences were true.

    Labels redrawn from them: a bin's hits are then binomial, and the mean absolute deviation of a
    binomial has a closed form (De Moivre). Small groups look worse by this alone.
    """
    if tally.bins is None:
        return None
    rows, confidence = tally.bins.rows[g], tally.bins.confidence[g]
    n = float(rows.sum())
    if n == 0:
        return None
    deviation = 0.0
    for m, s, size in zip(rows, confidence, tally.bins.effective()[g], strict=True):
        if m > 0:
            whole = max(round(size), 1)
            # Of weights that differ the size is no whole number, which a binomial has.
            scale = m / size if whole == size else m / math.sqrt(whole * size)
            deviation += scale * _mean_deviation(whole, min(max(s / m, 0.0), 1.0))
    return float(deviation / n)


def _mean_deviation(n: int, p: float) -> float:
    """E|X - np| of a binomial X: 2 m C(n, m) p^m (1-p)^(n-m+1) with m = floor(np) + 1."""
    if p <= 0 or p >= 1:
        return 0.0
    m = min(math.floor(n * p) + 1, n)
    log = math.lgamma(n + 1) - math.lgamma(m + 1) - math.lgamma(n - m + 1)
    return 2 * m * math.exp(log + m * math.log(p) + (n - m + 1) * math.log1p(-p))


def mce(tally: Tally, g: int, level: float = 0.95, sizes: Float | None = None) -> Number:
    """Maximum calibration error: the largest |accuracy - confidence| of a bin with rows.

    Its interval takes the bins' Wilson intervals as `gaps` takes the groups'.

    Parameters
    ----------
    tally : of the attribute; without bins the error is undefined.
    g : number of the group.
    level : of the interval.
    sizes : (bins,) effective sizes of the bins where rows come in clusters; None takes rows as
        independent.
    """
    if tally.bins is None:
        return Number.undefined(NO_PROBS)
    rows, gaps = _gaps(tally, g)
    here = rows > 0
    if not here.any():
        return Number.undefined("no rows")
    n, d = rows[here], gaps[here]
    accuracy = tally.bins.hits[g][here] / n
    stated = accuracy + d
    sizes = _bin_sizes(tally, g, level) if sizes is None else sizes
    n = np.maximum(sizes[here], 1e-9)
    wide = wide_limits(accuracy, n, z_of(shared_level(level, len(n))))
    plain = wide_limits(accuracy, n, z_of(level))
    value = float(np.abs(d).max())
    low = float(np.maximum(stated - wide.high, wide.low - stated).max())
    high = float(np.maximum(stated - plain.low, plain.high - stated).max())
    return Number(value=value, low=min(max(0.0, low), value), high=max(high, value))


def _bin_variance(tally: Tally, g: int) -> Float:
    """(bins,) variance of each bin's sum of confidence - hit, the group's size fixed.

    Half a step towards the variance that the stated confidences imply, as of one row more: a bin of
    a few rows that all were right would otherwise have next to none.
    """
    assert tally.bins is not None
    rows, confidence, hits, squares, _, square_rows, square_gaps, _ = (v[g] for v in tally.bins)
    n = float(rows.sum())
    share = (confidence - hits) / (n if n > 0 else 1.0)
    found = np.maximum(squares - 2 * share * square_gaps + share**2 * float(square_rows.sum()), 0)
    stated = np.clip(confidence / np.where(rows > 0, rows, 1), 0, 1)
    size = tally.bins.effective()[g]
    return np.where(rows > 0, (size * found + square_rows * stated * (1 - stated)) / (size + 1), 0)


def _bin_sizes(tally: Tally, g: int, level: float) -> Float:
    """(bins,) rows of one weight that would tell as much of each bin's accuracy; else its rows."""
    assert tally.bins is not None
    rows, _, hits, _, n, square_rows, _, square_hits = (v[g] for v in tally.bins)
    if tally.weighed is None:
        return np.asarray(rows)
    p = hits / np.where(rows > 0, rows, 1)
    spread = square_hits * (1 - p) ** 2 + (square_rows - square_hits) * p**2
    units = tally.bins.effective()[g]
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = spread * more(units) / rows**2
    return effective_size(variance, p, units, n, level)


def _gaps(tally: Tally, g: int) -> tuple[Float, Float]:
    """Rows a bin, and mean confidence minus accuracy of each (0 for an empty bin)."""
    assert tally.bins is not None
    rows = tally.bins.rows[g]
    with np.errstate(invalid="ignore", divide="ignore"):
        gaps = (tally.bins.confidence[g] - tally.bins.hits[g]) / rows
    return rows, np.where(rows > 0, gaps, 0.0)


def reliability(tally: Tally, g: int, level: float = 0.95, sizes: Float | None = None) -> list[Bin]:
    """The bins of group g as a reliability diagram wants them, with Wilson intervals.

    Parameters
    ----------
    tally : of the attribute, with bins.
    g : number of the group.
    level : of the intervals.
    sizes : (bins,) effective sizes of the bins where rows come in clusters; None takes rows as
        independent.
    """
    assert tally.bins is not None
    rows, width = tally.bins.rows[g], 1 / tally.bins.rows.shape[1]
    safe = np.where(rows > 0, rows, 1)
    accuracy, confidence = tally.bins.hits[g] / safe, tally.bins.confidence[g] / safe
    sizes = _bin_sizes(tally, g, level) if sizes is None else sizes
    limits = wilson_limits(accuracy, np.maximum(sizes, 1e-9), z_of(level))

    def shown(values: NDArray[Any], k: int) -> float | None:
        return float(values[k]) if rows[k] else None

    return [
        Bin(
            low=k * width,
            high=(k + 1) * width,
            rows=int(tally.bins.n[g, k]),
            confidence=shown(confidence, k),
            accuracy=shown(accuracy, k),
            accuracy_low=shown(limits.low, k),
            accuracy_high=shown(limits.high, k),
        )
        for k in range(len(rows))
    ]

"""Bounds and evidence that hold however often one looks: confidence sequences and e-processes.

Everything here rests on one fact. Of rows with hits x of probability p, exp(l x) has the mean
1 + p (exp(l) - 1), so the product of exp(l x) over its mean is a martingale for every tilt l (a log
odds ratio); by Ville's inequality it ever passes 1 / a with probability at most a. As it takes rows
in any number, tallies will do, and sizes of periods may vary as they like.

The mean of log(1 + p_i (exp(l) - 1)) over rows is at most that of their mean rate (it is concave),
so the bounds hold for the mean rate so far even where rates drift.

References
----------
Robbins 1970, Annals of Mathematical Statistics 41:1397; Howard, Ramdas, McAuliffe and Sekhon 2021,
Annals of Statistics 49:1055 (time-uniform bounds); Waudby-Smith and Ramdas 2024, JRSS B 86:1
(betting); Shin, Ramdas and Rinaldo 2024, NEJSDS 2:229 (e-detectors); Turner and Gruenwald 2023,
AISTATS (two groups whose common rate varies).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.inference.intervals import Float, Limits

Counts = NDArray[np.int64] | Float
# Log odds ratios of the bounds: at 10^9 rows the smallest still narrows them.
_TILTS = 4.0 * 0.5 ** np.arange(16)
# Those of evidence: smaller ones would find changes that matter to nobody.
_BETS = _TILTS[1:8]
# How the chance of a change is spread over the looks: as look^-1.2, whose sum is zeta(1.2).
_THINNING, _WHOLE = 1.2, 5.591582441177751
_MOST = 1e100
# Looks at once: what is between stays in the processor's cache.
_BLOCK = 16


def running_limits(hits: Counts, n: Counts, alpha: Float | float) -> Limits:
    """A confidence sequence for the mean rate of all rows so far, also where rates drift.

    With probability 1 - alpha it holds that mean after every row there ever is. Each of 16 tilts
    has its share of alpha and gives an end in closed form; the best of them counts.

    Parameters
    ----------
    hits, n : so far; arrays of one shape. No rows give 0 and 1.
    alpha : of both ends together; a number, or an array that fits the others.

    >>> low, high = running_limits(np.array([800]), np.array([1000]), 0.05)
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (0.752, 0.843)
    """
    h, m = np.asarray(hits, np.float64), np.asarray(n, np.float64)
    cost = np.log(2 * len(_TILTS) / np.asarray(alpha, np.float64))

    def lower(some: Float) -> Float:
        best = np.zeros(np.broadcast(some, m, cost).shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            for tilt in _TILTS:
                end = np.expm1((tilt * some - cost) / m) / np.expm1(tilt)
                np.fmax(best, end, out=best)
        return best

    return Limits(lower(h), 1 - lower(m - h))


def evidence_of_fall(hits: Counts, n: Counts, null: Float) -> Float:
    """Evidence, look by look, that a rate has at some look been below `null`.

    An e-process: while every look's rate is at least `null`, whatever it does above, the chance
    that the evidence ever reaches 1 / a is at most a. It is a mixture over the look at which a
    fall begins and over its size, so that a late fall is not diluted by what was before.

    Parameters
    ----------
    hits, n : (T, ...) hits and rows of each look; no rows change nothing.
    null : (...) the rate to be compared with.

    Returns
    -------
    (T, ...) evidence after each look; 1 is none. For a rise, swap hits and misses and take
    1 - null.
    """
    h, m = np.asarray(hits, np.float64), np.asarray(n, np.float64)
    tilts = -_BETS.reshape(-1, *(1,) * (h.ndim - 1))
    mean = np.log1p(np.asarray(null, np.float64) * np.expm1(tilts))

    def gain(looks: slice) -> Float:
        return np.asarray(tilts * h[looks, None] - m[looks, None] * mean)

    return _mixture(gain, h.shape)


def evidence_of_difference(
    hits: Counts, n: Counts, rest_hits: Counts, rest_n: Counts, null: Float, usual: Float
) -> Float:
    """Evidence that a group's rate minus that of the rest has been above `null` at some look.

    An e-process as `evidence_of_fall`, whatever rate both share and however that drifts: each look
    is weighed by the common rate that explains it best. It finds most where the rest's rate is
    near `usual`, and is valid anywhere.

    Parameters
    ----------
    hits, n, rest_hits, rest_n : (T, ...) of the group and of the rest, which share no rows.
    null : (...) the difference to be compared with, -1 to 1.
    usual : (...) the rest's rate as it was before.

    Returns
    -------
    (T, ...) evidence after each look. For "below", swap hits and misses of both and take -null and
    1 - usual.
    """
    h, m, r, k = (np.asarray(v, np.float64) for v in (hits, n, rest_hits, rest_n))
    d = np.asarray(null, np.float64)
    a = np.expm1(_BETS.reshape(-1, *(1,) * (h.ndim - 1)))
    least, most = np.maximum(0.0, -d), np.minimum(1.0, 1 - d)
    middle = np.clip(usual, least, most)

    def gain(looks: slice) -> Float:
        rows, others = m[looks, None], k[looks, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            # The tilt of the rest at which `middle` is the common rate that explains most.
            pull = rows * a / (1 + (middle + d) * a)
            b = np.maximum(-pull / (others + pull * middle), np.expm1(-8.0))
            common = -(rows * a + others * b * (1 + d * a)) / (a * b * (rows + others))
            common = np.clip(common, least, most)
            mean = rows * np.log1p((common + d) * a) + others * np.log1p(common * b)
            found = h[looks, None] * np.log1p(a) + r[looks, None] * np.log1p(b) - mean
        return np.where((rows > 0) & (others > 0), found, 0.0)

    return _mixture(gain, h.shape)


def _mixture(gain: Callable[[slice], Float], shape: tuple[int, ...]) -> Float:
    """The mean over bets and starts of what each bet has won since its start.

    Parameters
    ----------
    gain : looks -> (looks, K, ...) log of what each bet multiplies what it has by at each.
    shape : (T, ...) of the looks.
    """
    out = np.empty(shape)
    won = np.zeros((len(_BETS), *shape[1:]))
    waiting = 1.0
    for start in range(0, shape[0], _BLOCK):
        with np.errstate(over="ignore", under="ignore"):
            factors = np.exp(gain(slice(start, start + _BLOCK)))
            for look, factor in enumerate(factors, start):
                share = (look + 1) ** -_THINNING / _WHOLE
                waiting -= share
                won += share
                won *= factor
                np.minimum(won, _MOST, out=won)
                factor[...] = won
                out[look] = waiting
            out[start : start + _BLOCK] += factors.mean(axis=1)
    return out

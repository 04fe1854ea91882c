"""Means over classes (macro F1, recall, precision, FPR) of one group, with BCa intervals.

A mean over classes is a smooth function of the group's counts of label x prediction. Its bootstrap
draws the counts' non-zero cells from a multinomial, which is exact resampling of the group's rows;
its acceleration comes from the influence of each cell.

A group of one class, and one whose rows are all right or all wrong, tells the bootstrap nothing:
there the interval is that of the accuracy, carried over (`from_accuracy`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.content import Number
from fairlora.metrics.counts.sums import Counts
from fairlora.metrics.groups.estimates import Estimates
from fairlora.metrics.groups.pairs import MOST_UNDEFINED
from fairlora.metrics.inference.intervals import (
    Float,
    Limits,
    bca_interval,
    wilson,
    z_of,
    zero_for_nan,
)

NAMES = ("f1", "tpr", "precision", "fpr")
_EMPTY = {
    "f1": "no rows",
    "tpr": "no rows",
    "precision": "no rows",
    "fpr": "no rows of the other classes, whichever the class",
}
# Above this many binomials for all groups together the intervals are linear ones.
BUDGET = 20_000_000


class Sums(NamedTuple):
    """What the means are made of, each (..., C).

    A class's hits, rows and predictions; predictions that are wrong, and rows of other classes.
    """

    hits: Float
    rows: Float
    chosen: Float
    wrong: Float
    others: Float


def seen_of(total: NDArray[np.generic]) -> NDArray[np.bool_]:
    """(C,) which classes have rows or predictions, from the counts (C, C) of all rows."""
    return np.asarray((total.sum(axis=0) + total.sum(axis=1)) > 0)


def sums_of(counts: NDArray[np.generic]) -> Sums:
    """From counts (..., C, C)."""
    x = np.asarray(counts, dtype=np.float64)
    hits, rows = np.einsum("...cc->...c", x), x.sum(axis=-1)
    # Not by subtraction, which of weights would leave a rest of rounding.
    elsewhere = 1 - np.eye(x.shape[-1])
    wrong = np.einsum("...yh,yh->...h", x, elsewhere)
    return Sums(hits, rows, x.sum(axis=-2), wrong, rows @ elsewhere)


def per_class(sums: Sums, name: str) -> Float:
    """(..., C) a class's F1, recall, precision or FPR; NaN where undefined."""
    top, bottom = {
        "f1": (2 * sums.hits, sums.rows + sums.chosen),
        "tpr": (sums.hits, sums.rows),
        "precision": (sums.hits, sums.chosen),
        "fpr": (sums.wrong, sums.others),
    }[name]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(bottom > 0, top / bottom, np.nan)


def mean_over_classes(rates: Float) -> Float:
    """Mean over the last axis of what is defined; NaN where nothing is."""
    known = ~np.isnan(rates)
    count = known.sum(axis=-1)
    total = np.where(known, rates, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def influence(counts: NDArray[np.generic], name: str) -> Float:
    """(..., C, C) how much the mean moves by one row more of each cell, to first order."""
    sums = sums_of(counts)
    rates = zero_for_nan(per_class(sums, name))
    defined = ~np.isnan(per_class(sums, name))
    m = np.maximum(defined.sum(axis=-1), 1)[..., None, None]
    same = np.eye(counts.shape[-1])

    def over(bottom: Float) -> Float:
        return np.where(defined & (bottom > 0), 1 / np.maximum(bottom, 1e-300), 0.0)

    if name == "f1":
        inverse = over(sums.rows + sums.chosen)
        drop = rates * inverse
        out = 2 * same * inverse[..., None] - drop[..., :, None] - drop[..., None, :]
    elif name == "tpr":
        inverse = over(sums.rows)
        out = (same - rates[..., :, None]) * inverse[..., :, None]
    elif name == "precision":
        inverse = over(sums.chosen)
        out = (same - rates[..., None, :]) * inverse[..., None, :]
    else:
        inverse = over(sums.others)
        drop = rates * inverse
        others = drop.sum(axis=-1)[..., None, None] - drop[..., :, None]
        out = (1 - same) * inverse[..., None, :] - others
    return np.asarray(out / m)


def from_accuracy(
    counts: NDArray[np.generic],
    name: str,
    accuracy: Limits,
    seen: NDArray[np.bool_],
    sizes: Float | None = None,
) -> tuple[NDArray[np.bool_], Limits]:
    """Which groups (G,) have an interval by that of their accuracy, and that interval.

    In a group of one class the means are functions of the accuracy a and of which classes are
    predicted: the recall is a, the class's F1 is 2 a / (1 + a), its precision is 1, and the errors
    are false positives of the other classes, whose F1 and precision are 0. So are those of a class
    that the group has neither rows nor predictions of until now, and that a next error may be given
    to: the lower end of F1 and precision takes in as many as are `seen` (C,) in the whole table, at
    most as many as there are errors at the accuracy's lower end. Where all rows are right, or all
    wrong, the ends are no nearer than the accuracy's.

    Parameters
    ----------
    counts : (G, C, C) of the groups.
    accuracy : its limits, (G,) each.
    sizes : (G,) rows of one weight that would say as much; None are those of the counts.
    """
    sums = sums_of(counts)
    rates = per_class(sums, name)
    defined = (~np.isnan(rates)).sum(axis=-1)
    value = zero_for_nan(mean_over_classes(rates))
    right, wrong = sums.hits.sum(axis=-1), sums.wrong.sum(axis=-1)
    n = right + wrong
    alone = (sums.rows > 0).sum(axis=-1) == 1
    every, none = (wrong == 0) & (n > 0), (right == 0) & (n > 0)
    low, high = accuracy.low, accuracy.high
    m = np.maximum(defined, 1)
    if name == "fpr":
        # The shares of errors of all classes add up to one minus the accuracy.
        others = np.where(alone, m, np.maximum(m - 1, 1))
        ends = (1 - high) / others, (1 - low) / others
        ends = np.where(none & ~alone, value * low, ends[0]), ends[1]
    elif name == "tpr":
        ends = low, high
    else:
        shown = (sums.rows + sums.chosen) > 0
        absent = (seen & ~shown).sum(axis=-1)
        absent = np.minimum(absent, np.ceil((n if sizes is None else sizes) * (1 - low)))
        if name == "precision":
            # Of one class: 1 where it is predicted, and 0 of every other class.
            ends = (low > 0) / (m + absent), np.where(right > 0, 1 / m, 1 / (m + 1))
            ends = np.where(alone, ends[0], low * m / (m + absent)), np.where(alone, ends[1], high)
        else:
            one = np.where(alone, m, 1)  # classes that share one class's F1
            carried = [2 * a / (1 + a) for a in (low, high)]
            ends = np.where(alone, carried[0], low) * m / one / (m + absent), carried[1] / one
    found = Limits(np.minimum(ends[0], value), np.maximum(ends[1], value))
    return alone | every | none, found


def macro_numbers(
    counts: Counts,
    draws: int,
    rng: np.random.Generator,
    level: float,
    clustered: dict[str, float] | None = None,
    budget: int = BUDGET,
    *,
    accuracy: tuple[float, float] | None = None,
    seen: NDArray[np.bool_] | None = None,
    size: float | None = None,
) -> dict[str, Number]:
    """The means of one group's counts (C, C) with their intervals.

    Parameters
    ----------
    counts : (C, C) rows by label and prediction.
    draws : of the bootstrap; with 0 the intervals are linear.
    rng : of the draws.
    level : of the intervals.
    clustered : name -> variance where rows come in clusters or have weights: then the intervals are
        linear. None takes rows as independent.
    budget : where the draws of the cells would be more, the intervals are linear too.
    accuracy : the interval of the group's accuracy; None is Wilson's.
    seen : (C,) the classes of the whole table; None is all.
    size : rows of one weight that would say as much; None are those of the counts.

    Returns
    -------
    A number each of "f1", "tpr", "precision" and "fpr".
    """
    n = float(counts.sum())
    if accuracy is None:
        accuracy = wilson(float(np.trace(counts)), n, z_of(level)) if n else (0.0, 1.0)
    ends = Limits(*(np.array([end]) for end in accuracy))
    seen = np.ones(len(counts), dtype=bool) if seen is None else seen
    sizes = None if size is None else np.array([size])
    sums = sums_of(counts)
    cells = np.argwhere(counts > 0)
    weights = counts[counts > 0].astype(np.float64)
    many = len(cells) * draws > budget
    drawn = None
    one_class = int((sums.rows > 0).sum()) == 1
    if draws and not many and clustered is None and len(cells) and not one_class:
        drawn = _drawn_sums(cells, weights, counts.shape[0], draws, rng)
    out = {}
    for name in NAMES:
        rates = per_class(sums, name)
        value = float(mean_over_classes(rates))
        if np.isnan(value):
            out[name] = Number.undefined(_EMPTY[name])
            continue
        here, found = from_accuracy(counts[None], name, ends, seen, sizes)
        if here[0] and drawn is None:
            low, high = float(found.low[0]), float(found.high[0])
            out[name] = Number(value=value, low=low, high=high)
            continue
        if drawn is None:
            variance = (
                float(smooth_variance(counts[None], name)[0])
                if clustered is None
                else clustered[name]
            )
            half = z_of(level) * float(np.sqrt(variance))
            low, high = max(0.0, value - half), min(1.0, value + half)
            out[name] = Number(value=value, low=low, high=high)
            continue
        each = per_class(drawn, name)
        lost = (np.isnan(each) & ~np.isnan(rates)).any(axis=1)
        if lost.mean() > MOST_UNDEFINED:
            why = f"undefined in {100 * lost.mean():.0f} % of the draws: a class of too few rows"
            out[name] = Number(value=value, low=None, high=None, reason=why)
            continue
        moved = influence(counts, name)[counts > 0]
        values = mean_over_classes(each[~lost])
        low, high = bca_interval(value, values, moved, weights, level)
        if low == high:  # no draw differs
            half = z_of(level) * float(np.sqrt(smooth_variance(counts[None], name)[0]))
            low, high = max(0.0, value - half), min(1.0, value + half)
            if here[0]:
                low, high = min(low, float(found.low[0])), max(high, float(found.high[0]))
        out[name] = Number(value=value, low=low, high=high)
    return out


def _drawn_sums(
    cells: NDArray[np.intp], weights: Float, classes: int, draws: int, rng: np.random.Generator
) -> Sums:
    drawn = rng.multinomial(int(weights.sum()), weights / weights.sum(), size=draws)
    x = drawn.astype(np.float64)

    def fold(place: NDArray[np.intp], keep: NDArray[np.bool_]) -> Float:
        table = np.zeros((len(cells), classes))
        table[np.flatnonzero(keep), place[keep]] = 1
        return np.asarray(x @ table)

    everywhere = np.ones(len(cells), dtype=bool)
    y, h = cells[:, 0], cells[:, 1]
    hits, rows, chosen = fold(y, y == h), fold(y, everywhere), fold(h, everywhere)
    return Sums(hits, rows, chosen, chosen - hits, x.sum(1, keepdims=True) - rows)


def smooth_variance(counts: Counts, name: str) -> Float:
    """(G,) variance of the mean from counts (G, C, C) with one hit and one miss more.

    So a group whose rows all are right has a variance too, as with rates (Agresti and Caffo 2000).
    """
    x = np.asarray(counts, dtype=np.float64)
    classes = x.shape[-1]
    rows = x.sum(axis=-1)
    share = rows / np.maximum(rows.sum(axis=-1, keepdims=True), 1)
    same = np.eye(classes)
    present = (rows > 0).astype(np.float64)
    # The miss goes to the other classes that the group has, or to none where it has one alone.
    elsewhere = present[:, None, :] * (1 - same)
    elsewhere /= np.maximum(elsewhere.sum(axis=-1, keepdims=True), 1)
    smooth = x + same * share[:, :, None] + elsewhere * share[:, :, None]
    moved = influence(smooth, name)
    return np.asarray((smooth * moved**2).sum(axis=(-2, -1)))


def filled_variance(variance: Float, counts: Counts, name: str, units: Float) -> Float:
    """(G,) the variances, and where nothing varies, those of so many rows as there are units.

    A class that is always right beside one that is always wrong does not say that the next rows of
    both must be so too.

    Parameters
    ----------
    variance : (G,) linearised.
    counts : (G, C, C) of the groups.
    name : of the mean.
    units : (G,) clusters of even size, or rows of one weight, that would say as much.
    """
    sizes = counts.sum(axis=(1, 2))
    scale = units / np.where(sizes > 0, sizes, 1)
    return np.where(
        variance > 1e-15, variance, smooth_variance(counts * scale[:, None, None], name)
    )


def macro_estimates(
    counts: Counts,
    name: str,
    large: NDArray[np.bool_],
    accuracy: Callable[[float], Limits],
    seen: NDArray[np.bool_],
    variance: Float | None = None,
    sizes: Float | None = None,
) -> Estimates:
    """A mean over classes of every group, to be set against each other.

    Parameters
    ----------
    counts : (G, C, C) rows by group, label and prediction.
    name : "f1", "tpr", "precision" or "fpr".
    large : (G,) which groups count in maxima and spreads.
    accuracy : critical value -> the groups' limits of the accuracy.
    seen : (C,) the classes of the whole table.
    variance : (G,) of the means; None is that of independent rows.
    sizes : (G,) rows of one weight that would say as much; None are those of the counts.
    """
    values = np.asarray(mean_over_classes(per_class(sums_of(counts), name)))
    error = np.sqrt(smooth_variance(counts, name) if variance is None else variance)
    filled = zero_for_nan(values)

    def limits(z: float) -> Limits:
        here, found = from_accuracy(counts, name, accuracy(z), seen, sizes)
        low = np.clip(filled - z * error, 0, filled)
        high = np.clip(filled + z * error, filled, 1)
        return Limits(np.where(here, found.low, low), np.where(here, found.high, high))

    return Estimates(values, large, limits)

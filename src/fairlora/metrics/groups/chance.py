"""Estimate the gaps that chance alone gives: the groups permuted among the rows.

A gap is above 0 by noise alone, the more so the smaller the groups. So beside every gap stands its
mean over permutations: within the true label for rates given the label (TPR, FPR, F1, equalized
odds, equal opportunity), over all rows for accuracy and selection. Permuting rows between groups of
fixed sizes is drawing a table's cells from multivariate hypergeometric distributions, so it costs
the cells and not the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.counts.sums import Int
from fairlora.metrics.counts.tally import Tally
from fairlora.metrics.groups.pairs import MOST_UNDEFINED
from fairlora.metrics.inference.intervals import Float

_BUDGET = 1_500_000
_FEWEST = 20
MOST_DRAWS = 500


class Chance(NamedTuple):
    """Means of the gaps under permutation, by metric; absent where they cost too much.

    `undefined` has the reason for a gap that too many permutations leave undefined.
    """

    expected: dict[str, float]
    draws: int
    undefined: Mapping[str, str] = MappingProxyType({})


def expected_by_chance(
    tally: Tally,
    classes: Sequence[int],
    known: Callable[[str, int], NDArray[np.bool_]],
    draws: int,
    rng: np.random.Generator,
) -> Chance:
    """Expected gaps and ratios under no disparity: means over permutations of the groups.

    They are the accuracy gap, dpd, eod, its two gaps, eopp_max, f1_gap and the two ratios.

    Parameters
    ----------
    tally : of the attribute.
    classes : indices of the classes that are taken against the rest.
    known : (kind, class) -> (G,) which groups count; "f1" is the mean over classes's, or the
        positive class's, "outside" the TPR of everyone outside the group.
    draws : how many permutations; at most 500 are made, as they serve a mean, not a tail, and
        fewer, or none, of many cells.
    rng : of the draws.
    """
    patterns, total = len(tally.cells), tally.total
    # All classes' columns come of one draw: the classes' errors hang together.
    cost = (2 + len(classes) + int((total > 0).sum())) * patterns
    draws = min(draws, MOST_DRAWS, _BUDGET // max(cost, 1))
    if draws < _FEWEST:
        return Chance({}, 0)
    sizes = tally.cells.sum(axis=(1, 2))
    n = np.maximum(tally.by_group(sizes), 1)
    right = tally.by_group_last(_spread_all(np.trace(total)[None], sizes, draws, rng)[0]) / n
    largest = {"accuracy_gap": range_of(right, known("accuracy", 0))}
    nothing = np.full(draws, np.nan)
    gaps, ratios = ("dpd", "eod", "tpr_gap", "fpr_gap", "eopp_max"), ("dp_ratio", "eo_ratio")
    largest |= dict.fromkeys((*gaps, *ratios), nothing)

    def spread(name: str, rates: Float, here: NDArray[np.bool_]) -> None:
        largest[name] = np.fmax(largest[name], range_of(rates, here))

    def share(name: str, rates: Float, here: NDArray[np.bool_]) -> None:
        largest[name] = np.fmin(largest[name], _ratio(rates, here))

    f1_sum: Float = np.zeros((draws, len(tally.names)))
    f1_of: Float = np.zeros((draws, len(tally.names)))
    positives_of = tally.cells.sum(axis=2)
    selected_of = _spread_all(total.sum(axis=0), sizes, draws, rng)
    tp_of, chosen_of = np.zeros_like(selected_of), np.zeros_like(selected_of)
    for y in np.flatnonzero(total.sum(axis=1)):
        drawn = _spread_all(total[y], positives_of[:, y], draws, rng)
        tp_of[y] = drawn[y]
        chosen_of += drawn
    for c in classes:
        selected = tally.by_group_last(selected_of[c]) / n
        spread("dpd", selected, known("selection_rate", c))
        share("dp_ratio", selected, known("selection_rate", c))
        tp = tally.by_group_last(tp_of[c])
        fp = tally.by_group_last(chosen_of[c]) - tp
        positives = tally.by_group(positives_of[:, c])
        negatives = tally.by_group(sizes) - positives
        tpr, fpr = tp / np.maximum(positives, 1), fp / np.maximum(negatives, 1)
        # Equalized odds needs both rates of a group.
        both = known("tpr", c) & known("fpr", c)
        for kind, rate in (("tpr", tpr), ("fpr", fpr)):
            spread(f"{kind}_gap", rate, known(kind, c))
            spread("eod", rate, both)
            share("eo_ratio", rate, both)
        outside = int(total[c].sum()) - positives
        rest = (int(total[c, c]) - tp) / np.maximum(outside, 1)
        ok = known("tpr", c) & known("outside", c)
        if ok.any():
            far = np.abs(tpr - rest)[:, ok].max(axis=1)
            largest["eopp_max"] = np.fmax(largest["eopp_max"], far)
        below = positives + tp + fp
        # Of one class by itself F1 needs rows of it; in a mean over classes it counts where the
        # class is predicted too.
        counted = below > 0 if len(classes) > 1 else np.broadcast_to(positives > 0, below.shape)
        f1_sum += np.where(counted, 2 * tp / np.maximum(below, 1), 0.0)
        f1_of += counted
    f1 = np.where(f1_of > 0, f1_sum / np.maximum(f1_of, 1), np.nan)
    # A group whose F1 a draw leaves undefined is left out of that draw, as an audit leaves it out.
    largest["f1_gap"] = range_of(f1, known("f1", 0))
    expected, undefined = {}, {}
    for name, values in largest.items():
        lost = float(np.isnan(values).mean())
        if lost > MOST_UNDEFINED:
            undefined[name] = f"undefined in {100 * lost:.0f} % of the permutations"
        else:
            expected[name] = float(np.nanmean(values))
    return Chance(expected, draws, undefined)


def _spread_all(hits: Int, among: Int, draws: int, rng: np.random.Generator) -> Int:
    """(C, B, P) how many of each prediction's `hits` (C,) fall on each of `among` (P,) rows.

    Drawn together without replacement: a row has one prediction.
    """
    left = np.tile(np.asarray(among, dtype=np.int64), (draws, 1))
    out = np.zeros((len(hits), *left.shape), dtype=np.int64)
    chosen = np.flatnonzero(hits)
    for h in chosen:
        if h == chosen[-1] and hits.sum() == among.sum():
            out[h] = left  # what is left is the last one's
            break
        wanted = np.full(draws, int(hits[h]))
        after = left.sum(axis=1)
        for p in np.flatnonzero(among):
            after = after - left[:, p]
            out[h, :, p] = rng.hypergeometric(left[:, p], after, wanted)
            wanted = wanted - out[h, :, p]
        left = left - out[h]
    return out


def range_of(rates: Float, known: NDArray[np.bool_]) -> Float:
    """(B,) largest minus smallest of the rates (B, G) that are defined; NaN below two in a draw.

    A draw without one of the groups has the others, as an audit leaves out a rate of no rows.
    """
    if known.sum() < 2:
        return np.full(len(rates), np.nan)
    part = rates[:, known]
    gap = np.fmax.reduce(part, axis=1) - np.fmin.reduce(part, axis=1)
    return np.where(np.isfinite(part).sum(axis=1) > 1, gap, np.nan)


def _ratio(rates: Float, known: NDArray[np.bool_]) -> Float:
    if known.sum() < 2:
        return np.full(len(rates), np.nan)
    top = rates[:, known].max(axis=1)
    low = rates[:, known].min(axis=1)
    return np.where(top > 0, low / np.where(top > 0, top, 1), np.nan)

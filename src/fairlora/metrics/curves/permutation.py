"""Permutation test: do scores tell the classes apart better in some groups than chance gives?

The groups are permuted among the positives and among the negatives, so that each keeps its numbers
of both: if scores work alike in all groups, such data are as likely as those found. Beside each
gap stands its mean over the permutations, since a maximum is above 0 by noise alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.curves.roc_intervals import allowed
from fairlora.metrics.curves.roc_scores import Bool, Codes, Ordered, grouped
from fairlora.metrics.groups.missing import rows_without
from fairlora.metrics.inference.intervals import Float
from fairlora.predictions import GroupColumn

# Rows times draws, and pairs of groups times draws, that permuting may cost.
_ROWS, _PAIRS, _FEWEST = 25_000_000, 40_000_000, 499


class GroupNumbers(NamedTuple):
    """Each group's AUC (G,), and rates at A false positive rates (G, A); NaN where undefined.

    `own` is the TPR at thresholds of the group's own negatives, `tpr` and `fpr` those at
    thresholds of all negatives.
    """

    auc: Float
    own: Float
    tpr: Float
    fpr: Float


class Known(NamedTuple):
    """Which groups count in the gaps of each of `GroupNumbers`: (G,), and (G, A) three times."""

    auc: Bool
    own: Bool
    tpr: Bool
    fpr: Bool


class Permuted(NamedTuple):
    """The permutation test of one statistic: the p-value, the mean gap, and the number of draws."""

    p: float
    expected: float
    draws: int


@dataclass(frozen=True, eq=False)
class Layout:
    """An order of rows by score, read by group.

    Attributes
    ----------
    order : of the rows.
    reverse : where each place of `order` stands if positives come first among equals; None without
        ties, when both orders are the same.
    cuts : (A,) how many places lie above the threshold of each FPR over all negatives.
    fprs : (A,).
    """

    order: Ordered
    reverse: NDArray[np.intp] | None
    cuts: NDArray[np.int64]
    fprs: Float


def layout(order: Ordered, fprs: Float) -> Layout:
    """Prepare an order for `numbers_of`."""
    negatives = order.scores[~order.positive]
    n = len(negatives)
    counts = allowed(fprs, n)
    at = np.where(counts >= n, -np.inf, negatives[np.minimum(counts, n - 1)])
    cuts = np.searchsorted(-order.scores, -at, side="left").astype(np.int64)
    tied = order.scores[1:] == order.scores[:-1]
    reverse = None
    if (tied & (order.positive[1:] != order.positive[:-1])).any():
        reverse = np.lexsort((~order.positive, -order.scores))
    return Layout(order, reverse, cuts, fprs)


def numbers_of(layout: Layout, codes: Codes, column: GroupColumn) -> GroupNumbers:
    """All groups' numbers.

    Parameters
    ----------
    codes : (n,) of the rows in the layout's order; as the column's.
    column : for the groups' names and patterns alone.
    """
    positive = layout.order.positive
    patterns = column.patterns()
    strict, own, positives, negatives = _ranks(codes, column, patterns, positive, layout.fprs)
    auc = strict
    if layout.reverse is not None:
        turned = codes[layout.reverse]
        weak = _ranks(turned, column, patterns, positive[layout.reverse], None)[0]
        auc = (strict + weak) / 2
    tpr, fpr = np.empty_like(own), np.empty_like(own)
    for k, cut in enumerate(layout.cuts):
        top, hit = codes[:cut], positive[:cut]
        with np.errstate(invalid="ignore", divide="ignore"):
            tpr[:, k] = _count(top[hit], column, patterns) / positives
            fpr[:, k] = _count(top[~hit], column, patterns) / negatives
    return GroupNumbers(auc, own, tpr, fpr)


def _ranks(
    codes: Codes, column: GroupColumn, patterns: Bool | None, positive: Bool, fprs: Float | None
) -> tuple[Float, Float, Float, Float]:
    """Shares of pairs of both classes in which the positive stands first, and TPRs; m and n."""
    places, ends = grouped(codes, len(column.names), patterns)
    inside = positive[places]
    first, second = np.flatnonzero(inside), np.flatnonzero(~inside)
    starts_in, starts_out = np.searchsorted(first, ends), np.searchsorted(second, ends)
    m, n = np.diff(starts_in), np.diff(starts_out)
    total = np.concatenate([[0], np.cumsum(first)])
    # A positive at place p of its group has p less the positives before it of negatives above it.
    above = np.diff(total[starts_in]) - m * ends[:-1] - m * (m - 1) // 2
    with np.errstate(invalid="ignore", divide="ignore"):
        share = 1 - above / (m * n)
    rates = np.full((len(m), 0 if fprs is None else len(fprs)), np.nan)
    if fprs is not None:
        for k, fpr in enumerate(fprs):
            count = allowed(fpr, n)
            known = (count > 0) & (m > 0)
            # Members that stand before the first negative too many.
            at = second[np.minimum(starts_out[:-1] + count, len(second) - 1)]
            rates[known, k] = ((at - ends[:-1] - count) / np.maximum(m, 1))[known]
    return np.where(m * n > 0, share, np.nan), rates, m.astype(float), n.astype(float)


def _count(codes: Codes, column: GroupColumn, patterns: Bool | None) -> Float:
    """(G,) rows of each group."""
    if patterns is None:
        return np.bincount(codes, minlength=len(column.names)).astype(np.float64)
    counts = np.bincount(codes, minlength=len(patterns))
    return np.asarray(counts.astype(np.float64) @ patterns)


class Units(NamedTuple):
    """The units that are permuted: rows, or clusters of rows.

    `of_row` (n,) each row's unit; `strata` (U,) units that may change places: as many positives,
    and as many negatives.
    """

    of_row: NDArray[np.intp]
    strata: NDArray[np.intp]


def units_of(positive: Bool, clusters: Codes | None) -> Units:
    """Rows, or clusters, by their numbers of positives and of negatives."""
    if clusters is None:
        return Units(np.arange(len(positive)), positive.astype(np.intp))
    of_row = np.unique(clusters, return_inverse=True)[1]
    inside = np.bincount(of_row, weights=positive)
    total = np.bincount(of_row)
    both = np.stack([inside.astype(np.int64), total - inside.astype(np.int64)])
    return Units(of_row, np.unique(both, axis=1, return_inverse=True)[1].reshape(-1))


def unit_codes(column: GroupColumn, units: Units) -> Codes | None:
    """(U,) the group of each unit, or None where rows of one unit are of several groups."""
    count = len(units.strata)
    out = np.zeros(count, dtype=column.codes.dtype)
    out[units.of_row] = column.codes
    return out if (out[units.of_row] == column.codes).all() else None


def permute(
    layout: Layout,
    column: GroupColumn,
    units: Units,
    known: Known,
    draws: int,
    rng: np.random.Generator,
) -> dict[tuple[str, int], Permuted]:
    """P-values of gaps between groups, and what the gaps are by chance.

    Rows without a group value change places with none.

    The p-value is that of the largest standardised difference of two groups: of raw ones the
    smallest groups would always have the largest. Standard errors are those of the pooled scores,
    and hold for every permutation alike.

    Parameters
    ----------
    known : which groups count.
    draws : at most so many; less of many rows or groups.

    Returns
    -------
    (field of `GroupNumbers`, number of the FPR) -> what was found; empty where rows of one cluster
    are of several groups.
    """
    codes = unit_codes(column, units)
    if codes is None or draws == 0:
        return {}
    n = len(layout.order.rows)
    pairs = len(column.names) ** 2 * (1 + 3 * len(layout.fprs))
    draws = min(draws, max(_FEWEST, _ROWS // n), max(_FEWEST, _PAIRS // pairs))
    rows = layout.order.rows
    # In the order of the scores, where units are rows: one look-up less a draw.
    unit_of = None if len(codes) == n else units.of_row[rows]
    if unit_of is None:
        codes = codes[units.of_row[rows]]
        strata_of = units.strata[units.of_row[rows]]
    else:
        strata_of = units.strata
    without = rows_without(column)
    if without is not None:
        apart = np.zeros(len(units.strata), dtype=bool)
        apart[units.of_row] = without
        if unit_of is None:
            apart = apart[units.of_row[rows]]
        strata_of = np.where(apart, -1, strata_of)
    strata = [np.flatnonzero(strata_of == s) for s in np.unique(strata_of[strata_of >= 0])]
    errors = _errors(layout, column)
    shuffled = codes.copy()
    drawn = [numbers_of(layout, codes if unit_of is None else codes[unit_of], column)]
    for _ in range(draws):
        for stratum in strata:
            shuffled[stratum] = codes[shuffle(stratum, rng)]
        drawn.append(numbers_of(layout, shuffled if unit_of is None else shuffled[unit_of], column))
    # The data first, then the draws.
    stacked = GroupNumbers(*(np.stack(part) for part in zip(*drawn, strict=True)))
    out = {}
    for name in GroupNumbers._fields:
        for k in range(1 if name == "auc" else len(layout.fprs)):
            here = _at(known, name, k)
            if here.sum() > 1:
                values, variances = _at(stacked, name, k), _at(errors, name, k)
                raw, standard = _spreads(values[:, here], variances[here])
                beyond = int((standard[1:] >= standard[0] - 1e-12).sum())
                p = (1 + beyond) / (draws + 1)
                out[name, k] = Permuted(p, float(raw[1:].mean()), draws)
    return out


def shuffle(places: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """Numbers below 2^20 in random order, five times as fast as by `permutation`.

    Each is sorted by 40 random bits, with itself in the bits below them. That two draw the same 40
    bits is a matter of one pair in 10^12.
    """
    if len(places) < 100 or int(places[-1]) >= 1 << 20:
        return rng.permutation(places)
    key = rng.integers(0, 1 << 40, len(places), dtype=np.int64)
    key <<= 20
    key |= places
    key.sort()
    key &= (1 << 20) - 1
    return key


def _at(numbers: GroupNumbers | Known, name: str, k: int) -> NDArray[Any]:
    """One statistic, (..., G), of the k-th FPR."""
    values: NDArray[Any] = getattr(numbers, name)
    return values if name == "auc" else np.asarray(values[..., k])


def _spreads(values: Float, variances: Float) -> tuple[Float, Float]:
    """(B,) largest less smallest of (B, G) numbers, and the largest standardised difference."""
    raw = values.max(axis=1) - values.min(axis=1)
    standard = np.zeros(len(values))
    scale = 1 / np.sqrt(variances[:, None] + variances[None, :])
    for g in range(len(variances) - 1):
        off = np.abs(values[:, g + 1 :] - values[:, g, None]) * scale[g, g + 1 :]
        np.maximum(standard, off.max(axis=1), out=standard)
    return raw, standard


def _errors(layout: Layout, column: GroupColumn) -> GroupNumbers:
    """Variances of the groups' numbers if each group's scores were distributed as all are."""
    order = layout.order
    positive = order.positive
    whole = GroupColumn(("all",), np.zeros(len(positive), dtype=np.int32))
    m, n = (
        np.maximum(_count(column.codes[order.rows][side], column, column.patterns()), 1.0)[:, None]
        for side in (positive, ~positive)
    )
    total = int(positive.sum())
    here = numbers_of(layout, whole.codes, whole).own[0]
    t = (np.nan_to_num(here) * total + 1) / (total + 2)
    # How steep the pooled ROC is: by how much a threshold that is off moves the TPR.
    near = [np.minimum(layout.fprs * factor, 1.0) for factor in (1.5, 1 / 1.5)]
    ends = [_ranks(whole.codes, whole, None, positive, f)[1][0] for f in near]
    slope = np.nan_to_num((ends[0] - ends[1]) / (near[0] - near[1]))
    f = layout.fprs
    own = t * (1 - t) / m + slope**2 * f * (1 - f) / n
    auc = ((m + n + 1) / (12 * m * n))[:, 0]
    return GroupNumbers(auc, own, t * (1 - t) / m, np.broadcast_to(f * (1 - f) / n, own.shape))

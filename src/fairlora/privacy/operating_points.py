"""The numbers of one ROC: TPR at given FPRs, balanced accuracy, AUC, and the curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fairlora.metrics.content import CurvePoint, Number
from fairlora.metrics.counts.auc import Auc, auc_number, hanley_mcneil
from fairlora.metrics.curves.roc_intervals import allowed
from fairlora.metrics.curves.roc_scores import Codes, Side, Sides, effective_size, roc_points
from fairlora.metrics.inference.exact import clopper_pearson
from fairlora.metrics.inference.intervals import Limits, difference_limits
from fairlora.privacy.attack_inputs import Float
from fairlora.privacy.content import Auc as AttackAuc
from fairlora.privacy.content import BalancedAccuracy, Ends, OperatingPoint, Rate
from fairlora.privacy.settings import percent

# The same for all groups, so that their curves can be read side by side: Renard's series R10.
_STEPS = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)
_DECADES = 7
ALL_EQUAL = "all scores are equal: the attack says nothing"
# A point is coarse where fewer non-members than this lie above its threshold.
COARSE = 10
# The variance between so many clusters, of an AUC so near one half, is itself known well enough.
_MANY_UNITS, _INNER = 50, 0.4
_BOTH: tuple[Side, Side] = ("positives", "negatives")


def resolution(fpr: float, non_members: int, units: Codes | None = None) -> dict[str, Any]:
    """Whether so many non-members resolve an FPR: "fine", "coarse" or "unresolvable".

    Unresolvable below one over their number: not one of them may lie above the threshold. Coarse
    below ten over it: the threshold hangs on a handful of them.

    Parameters
    ----------
    fpr : the false positive rate, above 0.
    non_members : how many there are.
    units : (n,) their clusters from the highest score on: those above the threshold must be of ten
        clusters. None where they are independent.

    >>> resolution(0.001, 500)
    {'resolution': 'unresolvable', 'non_members': 500, 'non_members_needed': 1000}
    """
    count = int(allowed(fpr, non_members))
    apart = count if units is None else len(np.unique(units[:count]))
    word = "fine" if apart >= COARSE else "coarse" if count else "unresolvable"
    out: dict[str, Any] = {"resolution": word, "non_members": non_members}
    # How many clusters more rows would be of, nobody knows.
    if word != "fine" and count < COARSE:
        least = 1 if word == "unresolvable" else COARSE
        out["non_members_needed"] = math.ceil(least / fpr * (1 - 1e-12))
    return out


def absent(members: int, others: int, constant: bool) -> str | None:
    """The reason why a group has no ROC, or None if it has one.

    Parameters
    ----------
    members, others : how many members and non-members it has; two of each are needed.
    constant : whether all of its scores are equal.
    """
    for count, name in ((members, "member"), (others, "non-member")):
        if count < 2:
            return f"no {name}s" if count == 0 else f"one {name} alone"
    return ALL_EQUAL if constant else None


def tpr_at(sides: Sides, fprs: Sequence[float], level: float) -> dict[float, OperatingPoint]:
    """TPR at each FPR, at thresholds of these sides' own non-members.

    Parameters
    ----------
    sides : scores of members and non-members, some of each.
    fprs : false positive rates, above 0 and below 1.
    level : of the intervals.
    """
    n = len(sides.negatives)
    wanted = np.asarray(fprs, dtype=np.float64)
    at = sides.thresholds(allowed(wanted, n))
    tpr, own = sides.rate(at, level, "positives")
    realised, around = sides.rate(at, level, "negatives")
    _, band = sides.band(wanted, level)
    out = {}
    for k, fpr in enumerate(fprs):
        kind = resolution(fpr, n, sides.negative_units)
        reason = None
        if kind["resolution"] == "unresolvable":
            reason = (
                f"{percent(fpr)} of {n:,} non-members is less than one of them: it takes "
                f"{kind['non_members_needed']:,}"
            )
        elif realised[k] == 0 and tpr[k] == 0:
            tied = float((sides.negatives == sides.negatives[0]).mean())
            if tied > fpr:
                kind["resolution"] = "unresolvable"
                reason = f"the highest score is shared by {100 * tied:.3g} % of the non-members"
        out[fpr] = _point(tpr[k], own, realised[k], around, at[k], k, reason, kind)
        if reason is None:
            out[fpr].at_fpr = Ends(low=float(band.low[k]), high=float(band.high[k]))
    return out


def rates_at(
    sides: Sides, thresholds: dict[float, OperatingPoint], level: float
) -> dict[float, OperatingPoint]:
    """TPR and FPR of these sides at thresholds that all rows share.

    Parameters
    ----------
    sides : scores of members and non-members, some of each.
    thresholds : FPR -> its point, as `tpr_at` gives them for all rows.
    level : of the intervals.
    """
    known = [fpr for fpr, point in thresholds.items() if point.value is not None]
    at = np.array([thresholds[fpr].threshold for fpr in known], dtype=np.float64)
    out = {}
    if known:
        tpr, own = sides.rate(at, level, "positives")
        realised, around = sides.rate(at, level, "negatives")
    for fpr, point in thresholds.items():
        if fpr not in known:
            out[fpr] = point
            continue
        kind = {
            key: value
            for key, value in point.to_dict().items()
            if key.startswith(("resolution", "non_members"))
        }
        k = known.index(fpr)
        out[fpr] = _point(tpr[k], own, realised[k], around, at[k], k, None, kind)
    return out


def _point(
    tpr: float,
    own: Limits,
    fpr: float,
    around: Limits,
    threshold: float,
    k: int,
    reason: str | None,
    kind: dict[str, Any],
) -> OperatingPoint:
    if reason is not None:
        return OperatingPoint(value=None, low=None, high=None, reason=reason, **kind)
    return OperatingPoint(
        value=float(tpr),
        low=float(own.low[k]),
        high=float(own.high[k]),
        fpr=Rate(value=float(fpr), low=float(around.low[k]), high=float(around.high[k])),
        threshold=float(threshold),
        **kind,
    )


def curve(sides: Sides, level: float) -> list[CurvePoint]:
    """The ROC at FPRs from what one non-member resolves to 1, ten a decade; see `roc_points`."""
    grid = [round(step * 10.0**-k, 10) for k in range(_DECADES, 0, -1) for step in _STEPS]
    return roc_points(sides, np.array(grid), level)


def balanced_best(sides: Sides) -> BalancedAccuracy:
    """The largest balanced accuracy of any threshold.

    It is chosen and measured on the same rows, and so too large. `expected_by_chance` is its
    mean for an attack that tells nothing, 1/2 + sqrt(pi / 32) sqrt(1/m + 1/n), half the
    mean of Smirnov's one-sided statistic.
    """
    m, n = len(sides.positives), len(sides.negatives)
    threshold, value = best_threshold(sides.positives, sides.negatives)
    expected = 0.5 + math.sqrt(math.pi / 32) * math.sqrt(1 / m + 1 / n)
    return BalancedAccuracy(
        value=value,
        low=None,
        high=None,
        reason="chosen and measured on the same rows: too large, and without an interval",
        expected_by_chance=min(expected, 1.0),
        threshold=threshold,
    )


def best_threshold(members: Float, others: Float) -> tuple[float, float]:
    """The threshold of the largest balanced accuracy, rows above it being called members.

    Returns it with that accuracy; of several the highest threshold. Both high to low.
    """
    thresholds = np.unique(np.concatenate([members, others]))[::-1]
    # Above no threshold lies nothing, above -inf everything: neither beats one half.
    tpr = np.searchsorted(-members, -thresholds, side="left") / len(members)
    fpr = np.searchsorted(-others, -thresholds, side="left") / len(others)
    balanced = (1 + tpr - fpr) / 2
    k = int(balanced.argmax())
    return float(thresholds[k]), float(balanced[k])


def balanced_crossed(
    halves: tuple[Sides, Sides], thresholds: tuple[float, float], level: float
) -> Number:
    """Balanced accuracy of thresholds chosen elsewhere: half 0 at threshold 0, half 1 at 1.

    Parameters
    ----------
    halves : the scores of each half.
    thresholds : one a half; NaN where the half that it was chosen on lacked members or non-members,
        and the number is then undefined.
    level : of the interval.
    """
    rates, ends = [], []
    for of in _BOTH:
        hits = size = effective = 0.0
        for sides, threshold in zip(halves, thresholds, strict=True):
            side, units = sides.side(of)
            if len(side):
                above = int((side > threshold).sum())
                hits, size = hits + above, size + len(side)
                effective += float(effective_size(np.array([above]), len(side), units)[0])
        if not size or not all(map(math.isfinite, thresholds)):
            return Number.undefined("a half of the rows has no member, or no non-member")
        n = np.array([max(effective, 1.0)])
        rates.append(hits / size)
        ends.append(clopper_pearson(rates[-1] * n, n, level))
    tpr, fpr = rates
    both = difference_limits(np.array([tpr]), ends[0], np.array([fpr]), ends[1])
    return Number(
        value=(1 + tpr - fpr) / 2,
        low=max(float(1 + both.low[0]) / 2, 0.0),
        high=min(float(1 + both.high[0]) / 2, 1.0),
    )


def effective_units(auc: Auc) -> Float:
    """(G,) how many independent rows of a side tell as much as its clusters do.

    By the usual rule an interval counts each cluster as one row. Where each example stands for
    many target models that throws most rows away: there are as many rows as have the variance found
    between clusters, where that can be trusted (many clusters, and an AUC away from the ends).
    """
    assert auc.units is not None
    m, n = np.maximum(auc.positives, 1.0), np.maximum(auc.negatives, 1.0)
    value = np.nan_to_num(auc.value, nan=0.5)
    low, high = np.maximum(auc.units, 1.0), np.maximum(np.maximum(m, n), auc.units)
    for _ in range(60):
        middle = (low + high) / 2
        more = hanley_mcneil(value, np.minimum(m, middle), np.minimum(n, middle)) > auc.variance
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    trusted = (auc.units >= _MANY_UNITS) & (np.abs(value - 0.5) <= _INNER)
    return np.where(trusted, low, auc.units)


def auc_of(
    auc: Auc, g: int, level: float, sides: Sides, *, clustered: bool, small: bool
) -> AttackAuc:
    """A group's AUC with its interval, and `p`: how often chance alone is as good.

    Parameters
    ----------
    auc : of all groups.
    g : the group's place in it.
    level : of the interval.
    sides : the group's scores.
    clustered : whether rows come in clusters.
    small : a small group has no p-value: the normal approximation is not for a handful of rows.
    """
    value, variance = float(auc.value[g]), float(auc.variance[g])
    p = None if small else beyond_chance(value, variance, sides, clustered)
    return AttackAuc(**auc_number(auc, g, level).to_dict(), p=p)


def beyond_chance(auc: float, variance: float, sides: Sides, clustered: bool) -> float:
    """One-sided p-value of AUC > 1/2 (Mann and Whitney 1947, normal with ties and continuity).

    Scores that part members from non-members without fault leave no variance between clusters,
    however few they are: then each cluster is one row.

    Parameters
    ----------
    auc : the AUC.
    variance : found of it; of clusters it stands in for that of permuted rows, else it is not read.
    sides : the scores that it is of.
    clustered : whether rows come in clusters.
    """
    from scipy.special import ndtr

    m, n = len(sides.positives), len(sides.negatives)
    units = (sides.positive_units, sides.negative_units)
    if clustered and variance <= 0:
        m, n = (len(np.unique([] if own is None else own)) for own in units)
        variance = (m + n + 1) / (12 * m * n)
    elif not clustered:
        every = np.concatenate([sides.positives, sides.negatives])
        counts = np.unique(every, return_counts=True)[1]
        total = m + n
        ties = float((counts.astype(np.float64) ** 3 - counts).sum()) / (total * (total - 1))
        variance = (total + 1 - ties) / (12 * m * n)
    if variance <= 0:
        return 1.0
    return float(ndtr(-(auc - 0.5 - 0.5 / (m * n)) / math.sqrt(variance)))

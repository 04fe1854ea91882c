"""Resistance to an attack against group size: are small groups attacked more easily?"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

import numpy as np

from fairlora.metrics.content import Number
from fairlora.privacy.attack_inputs import Float
from fairlora.privacy.content import GroupNumbers, RankCorrelation, Resistance, ResistanceRow
from fairlora.privacy.settings import PrivacySettings, fpr_key

_EXACT = 7
_FEWEST = 4


def resistance(groups: Mapping[str, GroupNumbers], settings: PrivacySettings) -> Resistance:
    """One minus the AUC, and one minus the TPR at an FPR, of each group beside its size.

    The FPR is the smallest that all large enough groups resolve with ten non-members or more, else
    the largest asked for. The rank correlation (Spearman 1904) of resistance and size is over the
    groups that are large enough, four or more of them: each group one point, whatever its size.
    Its size is that in examples: a row of several target models counts once.

    Parameters
    ----------
    groups : group -> its numbers, of one attack and attribute.
    """
    large = {name: numbers for name, numbers in groups.items() if _counts(numbers)}
    fpr = settings.fprs[0]
    for rate in settings.fprs:
        points = [one.tpr_at_fpr[fpr_key(rate)] for one in large.values()]
        if points and all(point.resolution == "fine" for point in points):
            fpr = rate
    key = fpr_key(fpr)
    rows = []
    for name, one in groups.items():
        auc, tpr = one.auc, one.tpr_at_fpr[key]
        band = (tpr.at_fpr.low, tpr.at_fpr.high) if tpr.at_fpr else (None, None)
        rows.append(
            ResistanceRow(
                group=name,
                n=one.n,
                examples=one.examples,
                members=one.members,
                small=one.small,
                auc=_turned(auc, auc.low, auc.high),
                tpr=_turned(tpr, *band),
            )
        )
    sizes = np.array([one.examples for one in large.values()], dtype=np.float64)
    values = 1 - np.array([one.auc.value for one in large.values()], dtype=np.float64)
    rank = _ranked(sizes, values, settings.seed)
    return Resistance(fpr=fpr, groups=rows, rank_correlation=rank)


def _counts(one: GroupNumbers) -> bool:
    return not one.small and one.auc.value is not None


def _turned(number: Number, low: float | None, high: float | None) -> Number:
    """One minus a number, with an interval of it."""

    def less(end: float | None) -> float | None:
        return None if end is None else 1 - end

    out = Number(value=less(number.value), low=less(high), high=less(low))
    if number.reason is not None:
        out.reason = number.reason
    return out


def _ranked(sizes: Float, values: Float, seed: int) -> RankCorrelation:
    """Spearman's correlation and its two-sided permutation p-value; of few groups by all orders."""
    n = len(sizes)
    if n < _FEWEST:
        few = f"fewer than {_FEWEST} groups"
        return RankCorrelation(value=None, p=None, groups=n, reason=few)
    a, b = (_ranks(one) for one in (sizes, values))
    length = float(np.sqrt((a**2).sum() * (b**2).sum()))
    if length == 0:
        return RankCorrelation(value=None, p=None, groups=n, reason="all groups are alike in one")
    correlation = float((a * b).sum()) / length
    if n <= _EXACT:
        drawn = np.array([float((a * b[list(order)]).sum()) for order in permutations(range(n))])
        p = float((np.abs(drawn) / length >= abs(correlation) - 1e-12).mean())
    else:
        rng = np.random.default_rng([seed, 23])
        shuffled = rng.permuted(np.tile(b, (9999, 1)), axis=1)
        beyond = (np.abs(shuffled @ a) / length >= abs(correlation) - 1e-12).sum()
        p = (1 + float(beyond)) / 10_000
    return RankCorrelation(value=correlation, p=p, groups=n)


def _ranks(values: Float) -> Float:
    """Midranks, less their mean."""
    _, index, count = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count - 1) / 2
    ranks = middle[index]
    return np.asarray(ranks - ranks.mean())

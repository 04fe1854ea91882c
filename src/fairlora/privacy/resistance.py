"""Resistance to an attack against group size: are small groups attacked more easily?"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np

from fairlora.privacy.attack_inputs import Float
from fairlora.privacy.settings import PrivacySettings, fpr_key

_EXACT = 7
_FEWEST = 4


def resistance(groups: dict[str, Any], settings: PrivacySettings) -> dict[str, Any]:
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
        points = [numbers["tpr_at_fpr"][fpr_key(rate)] for numbers in large.values()]
        if points and all(point["resolution"] == "fine" for point in points):
            fpr = rate
    key = fpr_key(fpr)
    rows = []
    for name, numbers in groups.items():
        auc, tpr = numbers["auc"], numbers["tpr_at_fpr"][key]
        band = tpr.get("at_fpr", {"low": None, "high": None})
        rows.append(
            {
                "group": name,
                "n": numbers["n"],
                "examples": numbers["examples"],
                "members": numbers["members"],
                "small": numbers["small"],
                "auc": _turned(auc["value"], auc["low"], auc["high"], auc.get("reason")),
                "tpr": _turned(tpr["value"], band["low"], band["high"], tpr.get("reason")),
            }
        )
    sizes = np.array([numbers["examples"] for numbers in large.values()], dtype=np.float64)
    values = np.array([1 - numbers["auc"]["value"] for numbers in large.values()])
    return {"fpr": fpr, "groups": rows, "rank_correlation": _ranked(sizes, values, settings.seed)}


def _counts(numbers: dict[str, Any]) -> bool:
    return not numbers["small"] and numbers["auc"]["value"] is not None


def _turned(
    value: float | None, low: float | None, high: float | None, reason: str | None
) -> dict[str, Any]:
    def less(number: float | None) -> float | None:
        return None if number is None else 1 - number

    out = {"value": less(value), "low": less(high), "high": less(low)}
    return out if reason is None else {**out, "reason": reason}


def _ranked(sizes: Float, values: Float, seed: int) -> dict[str, Any]:
    """Spearman's correlation and its two-sided permutation p-value; of few groups by all orders."""
    n = len(sizes)
    if n < _FEWEST:
        return {"value": None, "p": None, "groups": n, "reason": f"fewer than {_FEWEST} groups"}
    a, b = (_ranks(ranked) for ranked in (sizes, values))
    length = float(np.sqrt((a**2).sum() * (b**2).sum()))
    if length == 0:
        return {"value": None, "p": None, "groups": n, "reason": "all groups are alike in one"}
    correlation = float((a * b).sum()) / length
    if n <= _EXACT:
        drawn = np.array([float((a * b[list(order)]).sum()) for order in permutations(range(n))])
        p = float((np.abs(drawn) / length >= abs(correlation) - 1e-12).mean())
    else:
        rng = np.random.default_rng([seed, 23])
        shuffled = rng.permuted(np.tile(b, (9999, 1)), axis=1)
        beyond = (np.abs(shuffled @ a) / length >= abs(correlation) - 1e-12).sum()
        p = (1 + float(beyond)) / 10_000
    return {"value": correlation, "p": p, "groups": n}


def _ranks(values: Float) -> Float:
    """Midranks, less their mean."""
    _, index, count = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count - 1) / 2
    ranks = middle[index]
    return np.asarray(ranks - ranks.mean())

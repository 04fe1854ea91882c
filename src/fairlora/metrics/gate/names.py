"""What a rule can be about: metrics by place, which way is better, and the values they can have."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable

from fairlora.errors import InputError

# Which way is better (+1 more, -1 less, 0 neither), and the least and the largest value.
_RATE, _ERROR, _LOSS = (1, 0.0, 1.0), (-1, 0.0, 1.0), (-1, 0.0, math.inf)
_SHARED: dict[str, tuple[int, float, float]] = {
    "accuracy": _RATE,
    "f1": _RATE,
    "precision": _RATE,
    "auc": _RATE,
    "fpr": _ERROR,
    "selection_rate": (0, 0.0, 1.0),
    "ece": _ERROR,
    "mce": _ERROR,
    "confidence_gap": (0, -1.0, 1.0),
    "brier": (-1, 0.0, 2.0),
    "nll": _LOSS,
    "mean_loss": _LOSS,
}
OVERALL = {**_SHARED, "recall": _RATE, "f1_min": _RATE, "recall_min": _RATE, "f1_gap": _ERROR}
GROUP = {
    **_SHARED,
    "tpr": _RATE,
    "dpd": _ERROR,
    "eod": _ERROR,
    "eopp": _ERROR,
    "accuracy_difference": (0, -1.0, 1.0),
}
# Of the groups of an attribute together: what has a name of its own.
BETWEEN = {
    **dict.fromkeys(("accuracy_worst", "f1_min", "recall_min", "auc_worst"), _RATE),
    **dict.fromkeys(("accuracy_gap", "dpd", "eod", "tpr_gap", "fpr_gap", "eopp_max"), _ERROR),
    **dict.fromkeys(("f1_gap", "auc_gap"), _ERROR),
    **dict.fromkeys(("dp_ratio", "eo_ratio"), _RATE),
    "loss_variance": _LOSS,
    "loss_variance_unbiased": (-1, -math.inf, math.inf),
}
# A group's metric -> the number of the audit that is its gap, or its ratio.
GAPS = {
    "accuracy": "accuracy_gap",
    "selection_rate": "dpd",
    "tpr": "tpr_gap",
    "fpr": "fpr_gap",
    "f1": "f1_gap",
    "auc": "auc_gap",
}
RATIOS = {"selection_rate": "dp_ratio"}
# What a comparison of two models on the same rows has, by place.
PAIRED = {
    "overall": ("accuracy", "f1", "recall", "f1_min", "recall_min", "f1_gap", "mean_loss",
                "brier", "ece"),
    "group": ("accuracy", "tpr", "fpr", "mean_loss"),
    "between": ("accuracy_worst", "accuracy_gap", "dpd", "eod", "eopp_max", "f1_min", "recall_min",
                "f1_gap", "loss_variance"),
}  # fmt: skip
# A group's metric -> the smallest of it in a comparison.
PAIRED_WORST = {"accuracy": "accuracy_worst", "f1": "f1_min", "tpr": "recall_min"}


def require(name: str, known: Iterable[str], what: str, where: str) -> None:
    """Raise `InputError` for an unknown name; the line has the nearest ones, else all.

    Parameters
    ----------
    name : that was asked for.
    known : those that there are.
    what : a name stands for.
    where : the rule and its key.
    """
    there = list(known)
    if name in there:
        return
    folded = {one.casefold(): one for one in there}
    close = difflib.get_close_matches(name.casefold(), folded, n=2, cutoff=0.6)
    listed = ", ".join(there[:20]) + (" ..." if len(there) > 20 else "")
    near = " or ".join(repr(folded[one]) for one in close)
    expected = f"{near}?" if near else f"one of {listed}" if there else "there is none"
    raise InputError(f"no such {what}", where=where, found=repr(name), expected=expected)

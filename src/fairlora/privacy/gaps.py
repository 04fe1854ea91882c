"""Gaps between groups of an attack's AUC and rates: value, interval, what chance gives, p-value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fairlora.metrics.counts.auc import Auc, auc_estimates
from fairlora.metrics.curves.estimates import estimates_above, only, own_estimates
from fairlora.metrics.curves.permutation import Known, Permuted, Units, layout, permute
from fairlora.metrics.curves.roc_scores import Ordered, Side, Sides
from fairlora.metrics.groups.estimates import Estimates
from fairlora.metrics.groups.gaps import gap
from fairlora.metrics.inference.multiplicity import benjamini_hochberg, holm
from fairlora.predictions import GroupColumn
from fairlora.predictions.arrow import MISSING
from fairlora.privacy.content import Auc as AttackAuc
from fairlora.privacy.content import Gap, GroupNumbers, OperatingPoint
from fairlora.privacy.settings import PrivacySettings, fpr_key

# The family that Holm's correction is over; the others are exploratory.
PRIMARY = ("auc_gap", "tpr_gap@0.1", "tpr_gap@0.01")
_SIDES: dict[str, Side] = {"tpr": "positives", "fpr": "negatives"}


def gaps_of(
    order: Ordered,
    column: GroupColumn,
    units: Units,
    auc: Auc,
    sides: Sequence[Sides],
    groups: Mapping[str, GroupNumbers],
    shared: Mapping[float, OperatingPoint],
    settings: PrivacySettings,
    rng: np.random.Generator,
) -> dict[str, Gap]:
    """The gaps of one attribute: largest group less smallest.

    "auc_gap"; for each FPR "tpr_gap@FPR" at the groups' own thresholds, and "tpr_gap_global@FPR"
    and "fpr_gap_global@FPR" at the threshold of all rows. Each with its interval, the groups at its
    ends, `expected_by_chance` and `p` (see `disparity.permute`). Groups of fewer members or
    non-members than `min_group` are left out, and those whose non-members do not resolve the FPR.
    So are rows without a group value, which are not permuted either.

    Parameters
    ----------
    units : what is permuted.
    sides, groups : of each group, in the column's order: its scores, and its numbers by name.
    shared : the points of all rows at each FPR, from `operating.tpr_at`.
    """
    if not sides:
        return {}
    numbers = [groups[name] for name in column.names]
    large = np.array([not one.small and one.auc.value is not None for one in numbers])
    # Rows without a group value are no group to compare.
    large &= np.array([name != MISSING for name in column.names])
    fprs = np.array(settings.fprs)
    points = [[one.tpr_at_fpr[fpr_key(fpr)] for fpr in settings.fprs] for one in numbers]
    resolved = np.array([[point.value is not None for point in row] for row in points])
    # At the threshold of all rows a group is measured however few non-members it has.
    usable = np.array([shared[fpr].value is not None for fpr in settings.fprs])
    both = large[:, None] & usable[None, :]
    known = Known(large, resolved & large[:, None], both, both)
    found: dict[tuple[str, int], Permuted] = {}
    why = None
    if large.sum() > 1:
        found = permute(layout(order, fprs), column, units, known, settings.permutations, rng)
        if not found:
            why = (
                "no permutations were asked for"
                if settings.permutations == 0
                else "rows of one cluster are of several groups: they cannot be permuted"
            )
    names, level = column.names, settings.level
    out = {
        "auc_gap": _row(
            [only(auc_estimates(auc, settings.min_group), large)],
            names,
            level,
            found,
            ("auc", 0),
            why,
        )
    }
    for k, fpr in enumerate(settings.fprs):
        key = fpr_key(fpr)
        own = own_estimates(sides, fpr, known.own[:, k])
        out[f"tpr_gap@{key}"] = _row([own], names, level, found, ("own", k), why)
        for field, of in _SIDES.items():
            threshold = shared[fpr].threshold
            at = np.inf if threshold is None else threshold
            estimates = estimates_above(sides, at, of, both[:, k])
            out[f"{field}_gap_global@{key}"] = _row(
                [estimates], names, level, found, (field, k), why
            )
    return out


def _row(
    families: list[Estimates],
    names: Sequence[str],
    level: float,
    found: dict[tuple[str, int], Permuted],
    key: tuple[str, int],
    why: str | None,
) -> Gap:
    number, chance = gap(families, names, level, ends=True), found.get(key)
    made: dict[str, Any] = {"expected_by_chance": None, "p": None, "draws": 0}
    if chance is not None:
        made = {"expected_by_chance": chance.expected, "p": chance.p, "draws": chance.draws}
    elif number.value is not None:
        made["p_reason"] = why
    return Gap(**number.to_dict(), **made)


def correct_aucs(found: Sequence[AttackAuc]) -> None:
    """Holm's correction of the p-values of AUCs, of the groups of an attack or of the attacks."""
    adjusted = holm(np.array([one.p for one in found], dtype=np.float64))
    for one, p in zip(found, adjusted, strict=True):
        one.p_corrected = None if np.isnan(p) else float(p)


def correct_gaps(gaps: Mapping[str, Mapping[str, Gap]]) -> None:
    """Holm over the primary gaps of all attributes; Benjamini-Hochberg over the others."""
    every = [(name, gap) for by_name in gaps.values() for name, gap in by_name.items()]
    for primary, correct in ((True, holm), (False, benjamini_hochberg)):
        some = [one for name, one in every if (name in PRIMARY) is primary]
        raw = np.array([one.p for one in some], dtype=np.float64)
        for one, p in zip(some, correct(raw), strict=True):
            one.p_corrected = None if np.isnan(p) else float(p)
            one.family = "primary" if primary else "exploratory"

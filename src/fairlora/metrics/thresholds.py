"""Choose decision thresholds: one that gives a rate, or one a group that brings rates together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.settings import RateName
from fairlora.predictions import Predictions
from fairlora.predictions.arrow import MISSING
from fairlora.predictions.thresholds import Rule, Thresholds, positive_scores
from fairlora.predictions.weights import refuse_weights

RULES: tuple[Rule, ...] = ("parity", "equal-opportunity", "equalized-odds")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rates:
    """The rates of all thresholds that tell some rows apart.

    Attributes
    ----------
    thresholds : (m,) from the highest, which selects nobody, to 0, which selects everyone.
    tpr, fpr, selected : (m,) rates from each threshold on; NaN where there is no such row.
    positives, negatives : how many rows there are of each.
    """

    thresholds: Floats
    tpr: Floats
    fpr: Floats
    selected: Floats
    positives: int
    negatives: int


def rates_of(scores: Floats, labels: NDArray[np.bool_]) -> Rates:
    """The rates of every threshold, halfway between scores that follow each other.

    Parameters
    ----------
    scores : (n,) probabilities of the positive class.
    labels : (n,) whether each row is of it.

    >>> rates = rates_of(np.array([0.9, 0.6, 0.2]), np.array([True, False, True]))
    >>> rates.thresholds.round(2).tolist(), rates.tpr.tolist(), rates.fpr.tolist()
    ([0.95, 0.75, 0.4, 0.0], [0.0, 0.5, 0.5, 1.0], [0.0, 0.0, 1.0, 1.0])
    """
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], labels[order]
    last = np.flatnonzero(np.append(np.diff(ordered) != 0, True))
    values = ordered[last]
    above = np.concatenate([[0], np.cumsum(hits)[last]]).astype(np.float64)
    chosen = np.concatenate([[0], last + 1]).astype(np.float64)
    top = (values[0] + 1) / 2 if values[0] < 1 else 1.001
    limits = np.concatenate([[top], (values[:-1] + values[1:]) / 2, [0.0]])
    positives = int(labels.sum())
    negatives = len(labels) - positives
    with np.errstate(invalid="ignore", divide="ignore"):
        tpr = above / positives if positives else np.full(len(above), np.nan)
        fpr = (chosen - above) / negatives if negatives else np.full(len(above), np.nan)
    return Rates(limits, tpr, fpr, chosen / len(labels), positives, negatives)


def reaching(rates: Rates, name: RateName, value: float) -> float:
    """The threshold that reaches a rate: the highest of a sensitivity, the lowest of a specificity.

    Parameters
    ----------
    rates : of rows among which there are some of the rate's class.
    name : "sensitivity" or "specificity".
    value : the rate, 0 to 1.
    """
    # Rates grow as the threshold falls.
    if name == "sensitivity":
        k = int(np.flatnonzero(rates.tpr >= value - 1e-12)[0])
    else:
        k = int(np.flatnonzero(1 - rates.fpr >= value - 1e-12)[-1])
    return float(rates.thresholds[k])


def threshold_at(
    predictions: Predictions,
    *,
    positive: str | None = None,
    sensitivity: float | None = None,
    specificity: float | None = None,
) -> Thresholds:
    """One threshold for everyone that reaches a sensitivity or a specificity on these rows.

    Parameters
    ----------
    predictions : of two classes, with probabilities.
    positive : the positive class; default the last.
    sensitivity : the highest threshold with at least this TPR.
    specificity : the lowest threshold with at least this 1 - FPR.

    Raises
    ------
    InputError : not exactly one rate from 0 to 1 is asked for, there are no rows of the class, or
        what `positive_scores` refuses.
    """
    wanted: dict[RateName, float | None] = {
        "sensitivity": sensitivity,
        "specificity": specificity,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    if len(given) != 1:
        raise InputError("one rate", where="sensitivity, specificity", found=f"{len(given)}")
    name, value = next(iter(given.items()))
    if not 0 <= value <= 1:
        raise InputError("not a rate", where=name, found=value, expected="0 to 1")
    refuse_weights(predictions, "a threshold for a rate")
    scores, index = positive_scores(predictions, positive)
    rates = rates_of(scores, predictions.labels == index)
    rows = rates.positives if name == "sensitivity" else rates.negatives
    if not rows:
        alone = predictions.classes[index if rates.positives else 1 - index]
        raise InputError(
            "no rows of this class",
            where=name,
            found=f"labels of {alone!r} alone",
        )
    return Thresholds(
        positive=predictions.classes[index],
        default=reaching(rates, name, value),
        chosen_on={"rows": len(scores), name: value},
    )


def choose_thresholds(
    predictions: Predictions,
    attribute: str,
    rule: Rule,
    *,
    base: float = 0.5,
    positive: str | None = None,
    min_group: int = 10,
) -> Thresholds:
    """A threshold a group that brings the groups' rates together.

    Each group's threshold is the one whose rates come nearest to those of everyone at the base
    threshold: the selection rate (parity), the TPR (equal opportunity), or TPR and FPR, whichever
    is farther (equalized odds). A threshold decides, and nothing is drawn: rates of few rows meet
    their target only as nearly as their rows allow. Judge them on other rows than these.

    Parameters
    ----------
    predictions : of two classes, with probabilities.
    attribute : one of its groups, which do not overlap.
    rule : "parity", "equal-opportunity" or "equalized-odds".
    base : the threshold of everyone whose rates are the target.
    positive : the positive class; default the last.
    min_group : a group with fewer rows of what the rule compares keeps the base threshold.

    Raises
    ------
    InputError : an unknown rule or attribute, groups that overlap, or what `positive_scores`
        refuses.
    """
    if rule not in RULES:
        raise InputError("unknown rule", where="rule", found=repr(rule), expected=", ".join(RULES))
    if not 0 <= base <= 1:
        raise InputError("not a threshold", where="threshold", found=base, expected="0 to 1")
    refuse_weights(predictions, "a threshold a group")
    scores, index = positive_scores(predictions, positive)
    labels = np.asarray(predictions.labels == index)
    whole = Thresholds(positive=predictions.classes[index], default=base, attribute=attribute)
    whole.of_rows(predictions.groups, len(scores))  # refuses the attribute
    column = predictions.groups[attribute]
    selected = scores >= np.float32(base)
    target = {
        "selection_rate": float(selected.mean()),
        "tpr": float(selected[labels].mean()) if labels.any() else None,
        "fpr": float(selected[~labels].mean()) if not labels.all() else None,
    }
    names = {
        "parity": ("selection_rate",),
        "equal-opportunity": ("tpr",),
        "equalized-odds": ("tpr", "fpr"),
    }[rule]
    if any(target[name] is None for name in names):
        raise InputError(
            "the labels are of one class alone", where="label", expected=f"both, for {rule}"
        )
    groups = {}
    for code, group in enumerate(column.names):
        here = column.codes == code
        if group == MISSING or not here.any():
            continue
        rates = rates_of(scores[here], labels[here])
        rows = {
            "selection_rate": rates.positives + rates.negatives,
            "tpr": rates.positives,
            "fpr": rates.negatives,
        }
        if min(rows[name] for name in names) < max(1, min_group):
            groups[group] = base
            continue
        reached = {"selection_rate": rates.selected, "tpr": rates.tpr, "fpr": rates.fpr}
        off = np.max([np.abs(reached[name] - (target[name] or 0.0)) for name in names], axis=0)
        nearest = np.flatnonzero(off <= off.min() + 1e-12)
        best = nearest[np.abs(rates.thresholds[nearest] - base).argmin()]
        groups[group] = float(rates.thresholds[best])
    return whole.model_copy(
        update={
            "groups": groups,
            "rule": rule,
            "chosen_on": {
                "rows": len(scores),
                "splits": sorted({str(name) for name in np.unique(predictions.split)}),
                "target": {name: target[name] for name in names},
            },
        }
    )

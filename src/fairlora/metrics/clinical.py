"""What medicine asks of a test by group: sensitivity to omission rate, calibration, ES-AUC."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.content import Number
from fairlora.metrics.counting import OVERALL, Table, Tables, effective_key
from fairlora.metrics.counts.auc import auc_number
from fairlora.metrics.counts.rates import EMPTY, GroupRates, number
from fairlora.metrics.counts.sums import kish
from fairlora.metrics.inference.intervals import Float, z_of
from fairlora.metrics.settings import Settings
from fairlora.metrics.targets_content import Clinical, ClinicalGroup, ClinicalNumbers
from fairlora.predictions import Predictions

NAMES = {
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "fnr": "FNR",
    "fdr": "FDR",
    "omission": "FOR",
    "auc": "AUC",
    "calibration_intercept": "Calibration intercept",
    "calibration_slope": "Calibration slope",
}
_ROUNDS = 50
# Probabilities of 0 and 1 have no logit.
_EDGE = 1e-7


def clinical(
    predictions: Predictions, tables: Tables, settings: Settings, positive: int
) -> Clinical:
    """The numbers of everyone and of each group, and the AUC scaled by its gaps.

    Parameters
    ----------
    predictions : the rows, of two classes.
    tables : what `tables_of` made of them.
    settings : of the audit.
    positive : index of the positive class.

    Returns
    -------
    The scaled AUC is of the groups of `min_group` rows or more (Luo et al. 2024, IEEE Transactions
    on Medical Imaging 43:2529).
    """
    rows = np.arange(len(predictions))
    whole = tables.everyone
    overall = _numbers(whole, OVERALL, 0, predictions, rows, settings, positive)
    out = Clinical(overall=ClinicalNumbers(**overall), by_group={}, es_auc={})
    for attribute, table in tables.attributes.items():
        column = predictions.groups.get(attribute)
        groups = {}
        for g, name in enumerate(table.tally.names):
            here = None if column is None else np.flatnonzero(column.contains(name))
            numbers = _numbers(table, attribute, g, predictions, here, settings, positive)
            given: dict[str, Any] = {**effective_key(table.tally, g), **numbers}
            groups[name] = ClinicalGroup(n=int(table.tally.n[g]), **given)
        out.by_group[attribute] = groups
        large = table.tally.effective >= max(1, settings.min_group)
        each = [
            groups[name].auc.value
            for name, counted in zip(table.tally.names, large, strict=True)
            if counted
        ]
        out.es_auc[attribute] = equity_scaled(overall["auc"].value, each)
    return out


def equity_scaled(overall: float | None, groups: list[float | None]) -> float | None:
    """AUC / (1 + sum of |AUC - the group's|); None where an AUC is undefined.

    >>> round(equity_scaled(0.8, [0.9, 0.7]) or 0.0, 4)
    0.6667
    """
    known = [value for value in groups if value is not None]
    if overall is None or len(known) < len(groups) or not known:
        return None
    return overall / (1 + sum(abs(overall - value) for value in known))


def _numbers(
    table: Table,
    attribute: str,
    g: int,
    predictions: Predictions,
    rows: NDArray[np.intp] | None,
    settings: Settings,
    positive: int,
) -> dict[str, Number]:
    rates = GroupRates(
        table.tally,
        predictions.classes,
        None,
        settings.min_group,
        table.design(settings, attribute),
    )
    level, other = settings.level, 1 - positive
    sensitivity = number(rates.rate("tpr", positive), g, level, EMPTY["tpr"])
    specificity = number(rates.rate("tpr", other), g, level, EMPTY["tpr"])
    ppv = number(rates.rate("precision", positive), g, level, EMPTY["precision"])
    npv = number(rates.rate("precision", other), g, level, EMPTY["precision"])
    out = {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": ppv,
        "npv": npv,
        "fnr": complement(sensitivity),
        "fdr": complement(ppv),
        "for": complement(npv),
        "auc": Number.undefined(table.no_auc)
        if table.auc is None
        else auc_number(table.auc, g, level),
    }
    if predictions.probs is None or rows is None:
        why = "needs probabilities" if predictions.probs is None else "not of combinations"
        return out | dict.fromkeys(
            ("calibration_intercept", "calibration_slope"), Number.undefined(why)
        )
    clusters = None if predictions.clusters is None else predictions.clusters[rows]
    weights = None if predictions.weights is None else predictions.weights[rows]
    scores = predictions.probs[rows, positive].astype(np.float64)
    intercept, slope = calibration_line(
        scores, predictions.labels[rows] == positive, level, clusters, weights
    )
    return out | {"calibration_intercept": intercept, "calibration_slope": slope}


def complement(number: Number) -> Number:
    """1 - a rate, with its interval."""
    if number.value is None:
        return number
    low = None if number.high is None else 1 - number.high
    high = None if number.low is None else 1 - number.low
    return number.model_copy(update={"value": 1 - number.value, "low": low, "high": high})


def calibration_line(
    probs: Float,
    labels: NDArray[np.bool_],
    level: float,
    clusters: NDArray[Any] | None = None,
    weights: Float | None = None,
) -> tuple[Number, Number]:
    """Calibration intercept and slope by logistic regression on the logit of the probability.

    The intercept is that of a slope of 1 ("in the large"): 0 where the mean is right, above 0 where
    risks are underestimated. The slope is 1 where the spread of the probabilities is right, below 1
    where they are too extreme (Cox 1958; Van Calster et al. 2019, BMC Medicine 17:230).

    Parameters
    ----------
    probs : (n,) of the positive class.
    labels : (n,) whether each row is of it.
    level : of the Wald intervals.
    clusters : (n,) code of each row's cluster, for the sandwich; None takes rows as independent.
    weights : (n,) above 0, of the score equations, with the sandwich too; None counts all alike.

    Returns
    -------
    Intercept and slope; undefined where the labels or the probabilities are all alike, or the slope
    has no finite estimate.
    """
    if labels.all() or not labels.any():
        alone = Number.undefined("labels of one class alone")
        return alone, alone
    inside = np.clip(probs, _EDGE, 1 - _EDGE)
    logit = np.log(inside / (1 - inside))
    y = labels.astype(np.float64)
    intercept = _fit(np.ones((len(y), 1)), y, logit, level, clusters, weights)
    if np.ptp(logit) == 0:
        return intercept, Number.undefined("the probabilities are all alike")
    design = np.stack([np.ones(len(y)), logit], axis=1)
    return intercept, _fit(design, y, np.zeros(len(y)), level, clusters, weights)


def _fit(
    x: Float,
    y: Float,
    offset: Float,
    level: float,
    clusters: NDArray[Any] | None,
    weights: Float | None,
) -> Number:
    """The last coefficient of a logistic regression, by Newton's method."""
    w = np.ones(len(y)) if weights is None else weights / weights.mean()
    beta = np.zeros(x.shape[1])
    for _ in range(_ROUNDS):
        p = 1 / (1 + np.exp(-(x @ beta + offset)))
        information = (x * (w * p * (1 - p))[:, None]).T @ x
        if np.linalg.cond(information) > 1e12:
            return Number.undefined("no finite estimate: the classes are told apart without a miss")
        step = np.linalg.solve(information, x.T @ (w * (y - p)))
        beta = beta + step
        if np.abs(step).max() < 1e-9:
            break
    else:
        return Number.undefined("no finite estimate: the classes are told apart without a miss")
    bread = np.linalg.inv(information)
    variance = bread
    if clusters is not None or weights is not None:
        sums = x * (w * (y - p))[:, None]
        count = float(kish(w.sum(), (w**2).sum()))
        if clusters is not None:
            codes = np.unique(clusters, return_inverse=True)[1]
            sums = np.stack([np.bincount(codes, weights=column) for column in sums.T], axis=1)
            count = len(sums)
        variance = bread @ (sums.T @ sums) @ bread * (count / max(count - 1, 1))
    half = z_of(level) * float(np.sqrt(variance[-1, -1]))
    value = float(beta[-1])
    return Number(value=value, low=value - half, high=value + half)

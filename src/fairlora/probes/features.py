"""Probe features for a sensitive attribute: fine-tuned models beside their base.

Accuracy of the probe says what can be read off the features by a linear classifier. That is another
thing than `sensitive_agreement`, which says how often the model's own predictions are those that
the attribute would suggest: a model may hold an attribute and not use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.comparison.noise import noise_of_influences, sums_by_unit
from fairlora.metrics.comparison.variance import Variance, variance_of
from fairlora.metrics.comparison.verdicts import MARGIN, Difference, check_margin, judge
from fairlora.metrics.groups.missing import rows_with
from fairlora.metrics.inference.intervals import wilson, z_of
from fairlora.predictions import GroupColumn
from fairlora.probes.linear import cross_validated, folds_of

BASE = "base model"
FOLDS = 5


def probe_features(
    features: Mapping[str, NDArray[Any]],
    column: GroupColumn,
    units: Any = None,
    *,
    folds: int = FOLDS,
    seed: int = 0,
    level: float = 0.95,
    margin: float = MARGIN,
) -> dict[str, Any]:
    """Probe several models' features of the same rows for one attribute.

    Parameters
    ----------
    features : model -> (n, d); one of them named `BASE` is what the others are compared with.
    column : (n,) the attribute, one value a row.
    units : (n,) what is drawn together and never parted by a fold; None is each row by itself.
    folds : of the cross-validation, 3 or more; the same for all models.
    margin : differences below it count as none.

    Returns
    -------
    Plain values: `n`, `without_value` (rows left out, as they have none), `values` (name -> rows),
    `majority` (the rate of always saying the most frequent value), and for each model `accuracy`,
    `balanced_accuracy` (the mean over the values' recalls; 1 / k says nothing), `over_majority`,
    and `against_base` with a verdict (Holm over the models; "better" is a model whose features hold
    less).

    Intervals are over rows, or clusters of them, with the folds as they are: another draw of the
    rows that the probe is fitted on would move them a little more.

    Raises
    ------
    InputError : overlapping groups, fewer than two values, a value in fewer units than folds, or
        features of another number of rows.
    """
    if column.lists is not None:
        raise InputError(
            "a row may be in several groups of this attribute",
            where="--group",
            found=", ".join(column.names[:5]),
            expected="an attribute with one value a row",
        )
    for name, matrix in features.items():
        if len(matrix) != len(column):
            raise InputError("another length", where=f"features of {name}", found=len(matrix))
    without = 0
    some = rows_with(column)
    if some is not None:
        # What a row without a value holds of the attribute cannot be judged.
        without = len(column) - len(some)
        features = {name: matrix[some] for name, matrix in features.items()}
        units = None if units is None else np.asarray(units)[some]
        column = column.take(some)
    if len(column.names) < 2:
        raise InputError(
            "one value alone: nothing to tell apart",
            where="--group",
            found=", ".join(column.names) or "no rows",
        )
    if folds < 3:
        raise InputError("too few folds", where="--folds", found=folds, expected="3 or more")
    check_margin(margin)
    n = len(column)
    values = np.asarray(column.codes, dtype=np.int64)
    codes = np.arange(n) if units is None else np.unique(np.asarray(units), return_inverse=True)[1]
    fold = folds_of(values, codes, folds, seed, column.names)
    hits: dict[str, NDArray[np.float64]] = {}
    for name, matrix in features.items():
        hits[name] = (cross_validated(matrix, values, fold) == values).astype(np.float64)
    most = np.array([np.bincount(values[fold != k]).argmax() for k in range(folds)])
    majority = (values == most[fold]).astype(np.float64)
    judged = _Judged(values, codes, level)
    rows = {}
    for name, own in hits.items():
        rows[name] = {
            "accuracy": judged.accuracy(own),
            "balanced_accuracy": judged.balanced(own),
            "over_majority": judged.difference(own, majority),
        }
    others = [name for name in hits if name != BASE]
    if BASE in hits:
        differences = [judged.against(name, hits[name], hits[BASE], margin) for name in others]
        for name, verdict in zip(others, judge(differences, level=level), strict=True):
            rows[name]["against_base"] = verdict.to_dict()
    return {
        "n": n,
        "without_value": without,
        "units": len(np.unique(codes)),
        "folds": folds,
        "seed": seed,
        "level": level,
        "values": {name: int((values == k).sum()) for k, name in enumerate(column.names)},
        "majority": judged.accuracy(majority),
        "models": rows,
    }


class _Judged:
    """Shares of rows and their differences, with the variance between clusters."""

    def __init__(self, values: NDArray[np.int64], units: NDArray[Any], level: float) -> None:
        self.values, self.units, self.level = values, units, level
        self.count = len(np.unique(units))
        self.sizes = np.bincount(values)

    def _variance(self, influence: NDArray[np.float64], least: float = 0.0) -> Variance:
        """Of a value that each row moves so much; `least` is an error that is there anyhow."""
        noise = noise_of_influences(sums_by_unit(influence[None], self.units))
        variance = variance_of([0.0], noise, least=least, degrees=float(self.count - 1))
        assert variance is not None, "folds part three units or more"
        return variance

    def _share(self, value: float, error: float) -> dict[str, float]:
        """Wilson's interval for as many rows as would have this error."""
        spread = value * (1 - value)
        rows = float(self.count) if error == 0 or spread == 0 else max(spread / error**2, 1.0)
        low, high = wilson(value * rows, rows, z_of(self.level))
        return {"value": value, "low": low, "high": high}

    def accuracy(self, hits: NDArray[np.float64]) -> dict[str, float]:
        mean = float(hits.mean())
        return self._share(mean, self._variance((hits - mean) / len(hits)).error)

    def balanced(self, hits: NDArray[np.float64]) -> dict[str, float]:
        recall = np.bincount(self.values, weights=hits) / self.sizes
        weight = 1 / (len(self.sizes) * self.sizes[self.values])
        influence = weight * (hits - recall[self.values])
        return self._share(float(recall.mean()), self._variance(influence).error)

    def difference(
        self, first: NDArray[np.float64], second: NDArray[np.float64]
    ) -> dict[str, float]:
        off = first - second
        mean = float(off.mean())
        low, high = self._variance((off - mean) / len(off)).ends(mean, self.level)
        return {"value": mean, "low": max(low, -1.0), "high": min(high, 1.0)}

    def against(
        self, name: str, first: NDArray[np.float64], second: NDArray[np.float64], margin: float
    ) -> Difference:
        off = first - second
        # Where two models agree on all rows there is half a row of doubt left.
        variance = self._variance((off - float(off.mean())) / len(off), 0.5 / len(off))
        return Difference(name, [(first.mean(), second.mean())], -1, margin, variance, most=1.0)

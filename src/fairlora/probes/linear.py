"""A cross-validated linear probe: how well a linear classifier tells a column from features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.training.last_layer import logistic_regression

# Of the squared weights of standardised features, in rows.
PENALTIES = (1.0, 10.0, 100.0, 1000.0)

Float = NDArray[np.floating[Any]]
Int = NDArray[np.integer[Any]]


def folds_of(
    values: Int, units: Int, folds: int, seed: int, names: Sequence[str] | None = None
) -> NDArray[np.int64]:
    """(n,) the fold of each row: units stay whole, and each fold has about its share of each value.

    Parameters
    ----------
    values : (n,) codes; `names` are what they are called.
    units : (n,) codes of what must not be parted (a person, a family of pictures).

    Raises `InputError` for a value that is in fewer units than there are folds.
    """
    found, first, unit = np.unique(units, return_index=True, return_inverse=True)
    for value in np.unique(values):
        own = len(np.unique(unit[values == value]))
        if own < folds:
            raise InputError(
                "too few rows of a value to cross-validate",
                where=str(value) if names is None else repr(names[value]),
                found=f"{own} rows or families",
                expected=f"{folds} or more, one a fold",
            )
    rng = np.random.default_rng([seed, 31])
    # Units of one value and size are dealt out in turn.
    order = np.lexsort((rng.random(len(found)), np.bincount(unit), values[first]))
    fold = np.empty(len(found), dtype=np.int64)
    fold[order] = np.arange(len(found)) % folds
    return fold[unit]


def cross_validated(
    features: Float,
    values: Int,
    fold: Int,
    penalties: Sequence[float] = PENALTIES,
) -> NDArray[np.int64]:
    """The value that a linear probe predicts for each row, fitted on the other folds.

    A multinomial logistic regression with penalised weights; features are standardised by the rows
    that it is fitted on. The penalty is the one of the least loss on the next fold, fitted on the
    remaining ones: the rows that are predicted choose nothing.

    Parameters
    ----------
    features : (n, d) finite numbers.
    values : (n,) codes 0 to k - 1.
    fold : (n,) of `folds_of`, three folds or more.

    Returns
    -------
    (n,) codes.
    """
    count = int(fold.max()) + 1
    classes = int(values.max()) + 1
    out = np.empty(len(values), dtype=np.int64)
    for k in range(count):
        test, inner = fold == k, fold == (k + 1) % count
        train = ~test & ~inner
        losses = [
            _loss(_fitted(features, values, train, classes, p), features[inner], values[inner])
            for p in penalties
        ]
        chosen = penalties[int(np.argmin(losses))]
        logits = _logits(_fitted(features, values, ~test, classes, chosen), features[test])
        out[test] = logits.argmax(1).numpy()
    return out


class _Fit:
    """Weights of standardised features."""

    def __init__(self, centre: Float, scale: Float, weight: torch.Tensor, bias: torch.Tensor):
        self.centre, self.scale, self.weight, self.bias = centre, scale, weight, bias


def _fitted(
    features: Float, values: Int, rows: NDArray[np.bool_], classes: int, penalty: float
) -> _Fit:
    x = features[rows].astype(np.float64)
    centre, scale = x.mean(0), x.std(0)
    # A feature that never varies says nothing.
    scale[scale <= 1e-9 * (1 + np.abs(centre))] = np.inf
    weight, bias = logistic_regression(
        torch.from_numpy((x - centre) / scale),
        torch.from_numpy(values[rows].astype(np.int64)),
        classes,
        penalty,
    )
    return _Fit(centre, scale, weight, bias)


def _logits(fit: _Fit, features: Float) -> torch.Tensor:
    x = torch.from_numpy((features.astype(np.float64) - fit.centre) / fit.scale)
    return x @ fit.weight.T + fit.bias


def _loss(fit: _Fit, features: Float, values: Int) -> float:
    target = torch.from_numpy(values.astype(np.int64))
    return float(torch.nn.functional.cross_entropy(_logits(fit, features), target))

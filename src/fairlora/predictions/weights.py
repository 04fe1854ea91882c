"""Weights of rows, such as those of a survey: read and checked; rows of weight 0 are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.arrow import RowNumber, first_row, joined, numbers, plain_type
from fairlora.predictions.columns import code_values
from fairlora.predictions.containers import float_array
from fairlora.predictions.missing_labels import Kept
from fairlora.predictions.spellings import missing_class, number_of

if TYPE_CHECKING:
    from fairlora.predictions.table import Predictions

Float = NDArray[np.float64]
ZERO = "weight 0"
# The squares of weights further apart than this have no place in a float.
_FURTHEST = 1e100


def weight_column(values: Any, where: str, number: RowNumber = first_row) -> Float:
    """(n,) numbers of any container, words of numbers too; NaN where there is none.

    Parameters
    ----------
    values : one weight a row.
    where : what to call them in a message.
    number : gives the number of the first marked row.

    Raises
    ------
    InputError : other words, or not one number a row.
    """
    try:
        if hasattr(values, "null_count"):
            found = numbers(joined(plain_type(values))).astype(np.float64)
        else:
            found = np.asarray(float_array(values), dtype=np.float64)
    except (ValueError, TypeError):
        return _of_words(values, where, number)
    if found.ndim != 1:
        raise InputError("not one weight a row", where=where, found=f"shape {found.shape}")
    return found


def _of_words(values: Any, where: str, number: RowNumber) -> Float:
    try:
        coded = code_values(values)
    except (ValueError, TypeError) as error:
        raise InputError("not one weight a row", where=where, found=str(error)[:80]) from error
    each = np.full(len(coded.names), np.nan)
    for k, name in enumerate(coded.names):
        size = number_of(name)
        if size is None and not missing_class(name):
            here = coded.codes == k
            raise InputError(
                "a weight is no number",
                where=f"{where}, row {number(here)}",
                found=f"{name[:60]!r} ({int(here.sum()):,} rows)",
                expected="numbers from 0",
            )
        each[k] = np.nan if size is None else size
    return np.asarray(each[coded.codes])


def weighted_rows(weights: Float, kept: Kept, where: str, number: RowNumber = first_row) -> Kept:
    """The rows that are kept, less those of weight 0, which are counted.

    Parameters
    ----------
    weights : (n,) of all rows; those of rows that are left out are not looked at.
    kept : which rows stay so far, and reason -> how many do not.
    where : what to call the weights in a message.
    number : gives the number of the first marked row.

    Raises
    ------
    InputError : a missing, negative or infinite weight in a row that stays.

    >>> found = weighted_rows(np.array([2.0, 0.0, 1.0]), Kept(None, {}), "w")
    >>> found.rows.tolist(), found.left_out
    ([True, False, True], {'weight 0': 1})
    """
    here = kept.mask(len(weights))
    for problem, bad in (
        ("missing weights", np.isnan(weights) & here),
        ("negative weights", (weights < 0) & here),
        ("infinite weights", np.isinf(weights) & here),
    ):
        if bad.any():
            first = weights[bad][0]
            raise InputError(
                problem,
                where=f"{where}, row {number(bad)}",
                found=f"{int(bad.sum()):,} of {int(here.sum()):,} rows"
                + ("" if np.isnan(first) else f", {first:g} for one"),
                expected="a number from 0 in every row",
            )
    none = (weights == 0) & here
    if not none.any():
        return kept
    return Kept(here & ~none, {**kept.left_out, ZERO: int(none.sum())})


class Scale:
    """The power of 2 by which weights are divided, so that the largest is from 1 to 2.

    It changes no bit of them but their size, and their squares fit a float.

    >>> scale = Scale()
    >>> scale.see(np.array([1e6, 3e6]), "w")
    >>> scale.scaled(np.array([1e6, 3e6])).round(3).tolist()
    [0.477, 1.431]
    """

    def __init__(self) -> None:
        self.least, self.most = np.inf, 0.0

    def see(self, weights: Float, where: str) -> None:
        """Take note of weights above 0; `InputError` where some are too far apart."""
        if not len(weights):
            return
        self.least = min(self.least, float(weights.min()))
        self.most = max(self.most, float(weights.max()))
        if self.least < self.most / _FURTHEST:
            raise InputError(
                "weights too far apart",
                where=where,
                found=f"{self.least:g} and {self.most:g}",
                expected=f"the largest at most {_FURTHEST:g} times the smallest",
            )

    def scaled(self, weights: Float) -> Float:
        """The weights in this scale."""
        return np.ldexp(weights, -int(np.frexp(self.most)[1]) + 1)


def refuse_weights(predictions: Predictions, what: str) -> None:
    """Raise `InputError` where rows have weights that would not count; `what` takes none."""
    if predictions.weights is not None:
        raise InputError(
            f"{what} takes all rows alike",
            where=f"weights {predictions.weighted_by!r}",
            found=f"{len(predictions):,} rows with weights",
            expected="none: leave out --weight",
        )


def settled_weights(values: Any, n: int, kept: Kept, where: str) -> tuple[Float, Kept]:
    """The weights of the rows that stay, scaled, and which rows those are.

    Parameters
    ----------
    values : one weight a row, of any container.
    n : how many rows there are.
    kept : which rows stay so far.
    where : what to call them in a message.

    Raises
    ------
    InputError : another length, no weight above 0, or as `weight_column` and `weighted_rows`.
    """
    weights = weight_column(values, where)
    if len(weights) != n:
        raise InputError("another length", where=where, found=len(weights), expected=n)
    kept = weighted_rows(weights, kept, where)
    some = weights if kept.rows is None else weights[kept.rows]
    if not len(some):
        zeros = kept.left_out.get(ZERO, 0)
        raise InputError(
            "all weights are 0", where=where, found=f"{zeros:,} rows", expected="some above 0"
        )
    scale = Scale()
    scale.see(some, where)
    return scale.scaled(some), kept

"""Check the arrays that an attack is given; an error names the first row that cannot be scored.

Shapes, here and in every attack: n examples, q queries of each (the picture and its mirror image),
k models. One query an example needs no axis of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.containers import float_array

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
# Single precision stays as it is: of many shadow models it is half the memory.
Floats = NDArray[np.floating[Any]]


def floats(values: Any, where: str) -> Floats:
    """Numbers of any kind (NumPy, pandas, Arrow, torch, lists) as floats; `InputError` if none."""
    try:
        return float_array(values)
    except (ValueError, TypeError) as error:
        raise InputError("not numbers", where=where, expected="a number each") from error


def signal(values: Any, where: str) -> Floats:
    """(n,) or (n, q) finite numbers of one model, n > 0.

    Raises `InputError` that names the row of a missing or infinite one.
    """
    array = floats(values, where)
    if array.ndim not in (1, 2) or 0 in array.shape:
        raise InputError(
            "not one number a row" if array.size else "no rows",
            where=where,
            found=f"shape {array.shape}",
            expected="(n,), or (n, queries)",
        )
    require(np.isfinite(array), array, where, "not a finite number")
    return array


def models(values: Any, where: str, like: Floats, missing: str = "") -> Floats:
    """Numbers under k models: like.shape + (k,), k > 0, NaN where a model has none.

    Several queries are missing together or not at all. Infinite numbers are found by `require`
    where they are first read: looking for them here would cost as much as an attack.

    Parameters
    ----------
    values : numbers of any kind.
    where : what an error calls them.
    like : (n,) or (n, q) numbers of the target model.
    missing : said in an error after the shape expected.

    Raises
    ------
    InputError : not numbers; another shape; a model with some queries of a row and without others.
    """
    array = floats(values, where)
    if array.ndim != like.ndim + 1 or array.shape[:-1] != like.shape or array.shape[-1] == 0:
        axes = ", ".join(str(size) for size in like.shape)
        raise InputError(
            "another shape",
            where=where,
            found=f"shape {array.shape}",
            expected=f"({axes}, models){missing}, as the target's",
        )
    if array.ndim == 3 and array.shape[1] > 1:
        gone = np.isnan(array)
        mixed = (gone.any(axis=1) != gone.all(axis=1)).any(axis=1)
        require(~mixed, None, where, "a model has some queries of this row and lacks others")
    return array


def mask(values: Any, where: str, shape: tuple[int, ...]) -> Bool:
    """Booleans (or 0 and 1) of a given shape.

    Parameters
    ----------
    values : booleans, or numbers that are 0 or 1.
    where : what an error calls them.
    shape : which they must have.

    Raises
    ------
    InputError : other values, or another shape.
    """
    array: Any = values
    if not isinstance(values, np.ndarray) or values.dtype != bool:
        try:
            numbers = float_array(values)
            whole = bool(np.isin(numbers, (0, 1)).all())
        except (ValueError, TypeError):
            whole = False
        if not whole:
            raise InputError("not true or false", where=where, expected="booleans, or 0 and 1")
        array = numbers.astype(bool)
    if array.shape != shape:
        raise InputError(
            "another shape", where=where, found=f"shape {array.shape}", expected=f"shape {shape}"
        )
    return np.asarray(array)


def require(
    good: Bool, array: Floats | None, where: str, problem: str, expected: str | None = None
) -> None:
    """Raise `InputError` with the row (counted from 1) and value of the first that is not good.

    Parameters
    ----------
    good : (n,) or more axes: which numbers are good.
    array : the numbers, of the same shape; None shows no value.
    where, problem : what the error calls them, and what is wrong.
    expected : what would be right; None says nothing of it.
    """
    if good.all():
        return
    index = np.unravel_index(int(np.argmin(good)), good.shape)
    at = f"{where}, row {int(index[0]) + 1}"
    if len(index) > 1:
        at += f", column {int(index[-1]) + 1}"
    raise InputError(
        problem, where=at, found=None if array is None else array[index], expected=expected
    )


def mean_over_queries(scores: Floats) -> Float:
    """(n,) scores of (n,) or (n, q)."""
    wide = scores.astype(np.float64)
    return wide if wide.ndim == 1 else np.asarray(wide.mean(axis=1))

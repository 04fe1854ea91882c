"""Columns of any kind (NumPy, pandas, Arrow, torch, lists) as the arrays that an audit counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.arrow import MISSING
from fairlora.predictions.table import SUM_TOLERANCE


def plain(values: Any) -> Any:
    """A torch tensor as NumPy; anything else as it is."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return values


def label_column(values: Any, name: str) -> NDArray[Any]:
    """(n,) integers or words; `InputError` names the row of a missing or fractional label."""
    values = plain(values)
    # NumPy would make the word "nan" of a missing value among words.
    words = isinstance(values, list | tuple) and any(isinstance(v, str) for v in values)
    column = np.asarray(values, dtype=object if words else None)
    if column.ndim != 1:
        raise InputError("not one value a row", where=name, found=f"shape {column.shape}")
    if column.dtype.kind == "f":
        if not np.isfinite(column).all() or (column != np.floor(column)).any():
            row = int(np.flatnonzero(~np.isfinite(column) | (column != np.floor(column)))[0])
            raise InputError(
                "a label must be a class", where=f"{name}, row {row + 1}", found=column[row]
            )
        return column.astype(np.int64)
    if column.dtype.kind == "b":
        return column.astype(np.int64)
    if column.dtype.kind == "O":
        missing = [k for k, v in enumerate(column) if _is_missing(v)]
        if missing:
            raise InputError("missing value", where=f"{name}, row {missing[0] + 1}")
        column = column.astype(str)
    return column


def encode(
    true: NDArray[Any], predicted: NDArray[Any], classes: Sequence[str] | None
) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.int64]]:
    """Class names in order, and both columns as indices into them."""
    numeric = true.dtype.kind in "iu" and predicted.dtype.kind in "iu"
    if not numeric:
        true, predicted = true.astype(str), predicted.astype(str)
    found, inverse = np.unique(np.concatenate([true, predicted]), return_inverse=True)
    names = tuple(str(f) for f in found)
    if classes is not None:
        unknown = [name for name in names if name not in classes]
        if unknown:
            raise InputError(
                "a label is none of the classes",
                where="labels",
                found=repr(unknown[0]),
                expected="one of " + ", ".join(classes),
            )
        place = np.array([list(classes).index(name) for name in names])
        inverse, names = place[inverse], tuple(classes)
    codes = inverse.astype(np.int64)
    return names, codes[: len(true)], codes[len(true) :]


def group_column(values: Any) -> NDArray[Any]:
    """(n,) group names, or lists of them where groups overlap; a missing one is `MISSING`."""
    column = list(plain(values))
    overlapping = any(isinstance(v, list | tuple | np.ndarray) for v in column)
    out = np.empty(len(column), dtype=object)
    for k, value in enumerate(column):
        if isinstance(value, list | tuple | np.ndarray):
            out[k] = [_group(v) for v in value]
        else:
            out[k] = [_group(value)] if overlapping else _group(value)
    return out if overlapping else out.astype(str)


def _group(value: Any) -> str:
    return MISSING if _is_missing(value) else str(value)


def _is_missing(value: Any) -> bool:
    """None, NaN, or pandas' NA and NaT."""
    if value is None:
        return True
    different = value != value  # true of NaN and NaT; pandas' NA answers with itself
    return bool(different) if isinstance(different, bool | np.bool_) else True


def loss_column(loss: Any, n: int) -> NDArray[np.float32]:
    """(n,) finite losses."""
    losses = _floats(loss, "loss")
    if losses.shape != (n,):
        raise InputError(
            "losses of another shape", where="loss", found=losses.shape, expected=f"({n},)"
        )
    bad = ~np.isfinite(losses)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError("not a finite number", where=f"loss, row {row + 1}", found=losses[row])
    return losses.astype(np.float32)


def _floats(values: Any, name: str) -> NDArray[np.float64]:
    try:
        return np.asarray(plain(values), dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError("not numbers", where=name, expected="numbers, as many each row") from error


def probability_matrix(
    probs: Any, n: int, names: Sequence[str], positive: str | None
) -> NDArray[np.float32]:
    """(n, c) probabilities in the order of the classes, checked row by row."""
    matrix = _floats(probs, "probs")
    if matrix.ndim == 1 and len(names) == 2:
        # An unknown positive class is refused where the audit begins.
        index = 0 if positive == names[0] else 1
        both = np.stack([1 - matrix, matrix], axis=1)
        matrix = both if index == 1 else both[:, ::-1]
    if matrix.shape != (n, len(names)):
        raise InputError(
            "probabilities of another shape",
            where="probs",
            found=matrix.shape,
            expected=f"({n}, {len(names)}), one column a class",
        )
    inside = ((matrix >= 0) & (matrix <= 1 + 1e-6)).all(axis=1)
    bad = ~inside | (np.abs(matrix.sum(axis=1) - 1) > SUM_TOLERANCE)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            "not probabilities: each in 0 to 1, together 1",
            where=f"probs, row {row + 1}",
            found=matrix[row].tolist(),
        )
    return matrix.astype(np.float32)

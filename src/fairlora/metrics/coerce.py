"""Columns of any kind (NumPy, pandas, Arrow, torch, lists) as the arrays that an audit counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.arrow import MISSING
from fairlora.predictions.columns import Coded, code_values, is_missing, placed, plain, union
from fairlora.predictions.table import SUM_TOLERANCE


def label_column(values: Any, name: str) -> Coded:
    """A column of classes; `InputError` names the row of a missing or fractional label."""
    values = _numbers(plain(values))
    if isinstance(values, np.ndarray) and values.dtype.kind == "f" and values.ndim == 1:
        bad = ~np.isfinite(values) | (values != np.floor(values))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InputError(
                "a label must be a class", where=f"{name}, row {row + 1}", found=values[row]
            )
        values = values.astype(np.int64)
    try:
        coded = code_values(values)
    except ValueError as error:
        raise InputError("not one value a row", where=name, found=str(error)) from error
    if MISSING in coded.names:
        row = int(np.flatnonzero(coded.codes == coded.names.index(MISSING))[0])
        raise InputError("missing value", where=f"{name}, row {row + 1}")
    return coded


def _numbers(values: Any) -> Any:
    """Floats among objects, of pandas' own kind or Arrow's as NumPy's; anything else as it is."""
    kind = getattr(values, "dtype", None)
    if str(kind) in ("Float32", "Float64"):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    if hasattr(values, "type") and hasattr(values, "null_count"):
        if str(values.type) not in ("halffloat", "float", "double"):
            return values
        from fairlora.predictions.arrow import numbers

        joined = values.combine_chunks() if hasattr(values, "combine_chunks") else values
        return np.asarray(numbers(joined), dtype=np.float64)
    if not (isinstance(values, list | tuple) or str(kind) == "object"):
        return values
    if not any(isinstance(v, float | np.floating) for v in values):
        return values
    if not all(is_missing(v) or isinstance(v, int | float | np.number | np.bool_) for v in values):
        return values
    return np.array([np.nan if is_missing(v) else float(v) for v in values])


def encode(
    true: Coded, predicted: Coded, classes: Sequence[str] | None
) -> tuple[tuple[str, ...], NDArray[np.int32], NDArray[np.int32]]:
    """Class names in order (numbers by size, words by letter), and both columns as indices."""
    names = union([true, predicted])
    if classes is not None:
        unknown = [name for name in names if name not in classes]
        if unknown:
            raise InputError(
                "a label is none of the classes",
                where="labels",
                found=repr(unknown[0]),
                expected="one of " + ", ".join(classes),
            )
        names = tuple(classes)
    return names, placed(true, names), placed(predicted, names)


def indices(column: Coded, classes: Sequence[str]) -> NDArray[np.int32]:
    """A column of class indices; `InputError` for one that is out of range."""
    found = [int(name) for name in column.names]
    if found and (min(found) < 0 or max(found) >= len(classes)):
        raise InputError(
            "class index out of range", where="labels", expected=f"0 to {len(classes) - 1}"
        )
    return np.asarray(np.array(found, dtype=np.int32)[column.codes])


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

"""Probabilities from a table: a list column, one column a class, or the positive class's alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.arrow import first_row, is_list, numbers
from fairlora.predictions.table import SUM_TOLERANCE


def probabilities(
    table: pa.Table,
    probs: str,
    names: tuple[str, ...],
    positive: str | None,
    path: Path,
    offset: int = 0,
) -> NDArray[np.float32]:
    """(n, c) probabilities in the order of the classes; `offset` rows came before the table's."""
    if probs in table.column_names:
        column = table[probs].combine_chunks()
        kind = column.type
        if is_list(kind):
            matrix = _list_column(column, probs, names, path, offset)
        else:
            matrix = _one_column(column, probs, names, positive, path)
    else:
        wanted = [probs + name for name in names]
        missing = [name for name in wanted if name not in table.column_names]
        if missing:
            raise InputError(
                f"no column {probs!r}, and no column {missing[0]!r} of that prefix",
                where=f"{path} (--probs)",
                expected="one of " + ", ".join(table.column_names),
            )
        try:
            matrix = np.stack(
                [numbers(table[name].combine_chunks()).astype(np.float32) for name in wanted],
                axis=1,
            )
        except (ValueError, TypeError) as error:
            raise InputError("probabilities are not numbers", where=f"{path} (--probs)") from error
    outside = np.asarray(~((matrix >= 0) & (matrix <= 1 + 1e-6)).all(axis=1), dtype=np.bool_)
    if outside.any():
        raise InputError(
            "a probability outside 0 to 1",
            where=f"{path}, row {offset + first_row(outside)}",
            found=matrix[outside][0].tolist(),
        )
    off = np.abs(matrix.sum(axis=1, dtype=np.float64) - 1) > SUM_TOLERANCE
    if off.any():
        raise InputError(
            "probabilities do not sum to 1",
            where=f"{path}, row {offset + first_row(off)}",
            found=f"{matrix[off][0].sum():.4f}",
        )
    return np.asarray(matrix, dtype=np.float32)


def _list_column(
    column: pa.Array, probs: str, names: tuple[str, ...], path: Path, offset: int
) -> NDArray[np.float32]:
    """One column a class from a list a row."""
    lengths = np.nan_to_num(numbers(pc.list_value_length(column)))
    other = np.flatnonzero(lengths != len(names))
    if len(other):
        raise InputError(
            "another number of probabilities than of classes",
            where=f"{path}, column {probs}, row {offset + int(other[0]) + 1}",
            found=int(lengths[other[0]]),
            expected=f"{len(names)} ({', '.join(names[:5])})",
        )
    try:
        flat = numbers(column.flatten()).astype(np.float32)
    except (ValueError, TypeError) as error:
        raise InputError(
            "probabilities are not numbers", where=f"{path}, column {probs}"
        ) from error
    return flat.reshape(len(column), len(names))


def _one_column(
    column: pa.Array, probs: str, names: tuple[str, ...], positive: str | None, path: Path
) -> NDArray[np.float32]:
    """Two columns from the probability of the positive class."""
    if len(names) != 2:
        raise InputError(
            "one column of probabilities serves two classes alone",
            where=f"{path}, column {probs}",
            found=f"{len(names)} classes",
            expected="a list column, or a prefix of one column a class",
        )
    try:
        p = numbers(column).astype(np.float32)
    except (ValueError, TypeError) as error:
        raise InputError(
            "probabilities are not numbers", where=f"{path}, column {probs}"
        ) from error
    index = names.index(positive) if positive in names else 1
    matrix = np.empty((len(p), 2), dtype=np.float32)
    matrix[:, index], matrix[:, 1 - index] = p, 1 - p
    return np.asarray(matrix, dtype=np.float32)

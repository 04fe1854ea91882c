"""Probabilities of any form as (n, c) in the order of the classes.

They come as a list a row, as one column a class (names decide), or of one class of two alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.arrow import (
    RowNumber,
    first_row,
    is_list,
    is_text,
    joined,
    numbered,
    numbers,
    plain_type,
)
from fairlora.predictions.classes import Classes
from fairlora.predictions.containers import float_array
from fairlora.predictions.probability_columns import (
    MOST_ROUNDING,
    Source,
    by_name,
    by_place,
    one_class,
)
from fairlora.predictions.spellings import missing_class, spelled
from fairlora.predictions.table import SUM_TOLERANCE

# Arithmetic leaves a probability so far outside of 0 to 1.
_NOISE = 1e-6
# Rows that say to how many decimals all are rounded.
_LOOKED_AT = 5000


def read(
    table: pa.Table,
    source: Source,
    classes: Sequence[str],
    where: str,
    number: RowNumber = first_row,
) -> NDArray[np.float64]:
    """(n, c) the probabilities of a table's rows, unchecked.

    Parameters
    ----------
    table : the rows.
    source : where the probabilities are, as `locate` found.
    classes : class names in order.
    where : what to call the table in a message.
    number : gives the number of the first marked row, for a message.

    Raises
    ------
    InputError : a value is no number, a field is not there, a list has another length, or a single
        column a value outside 0 to 1.
    """
    name = source.columns[0]
    place = f"{where}, column {name}"
    try:
        if len(source.columns) > 1:
            each = [_numbers(joined(table[one])) for one in source.columns]
            return np.stack([each[k] for k in source.order], axis=1)
        column = joined(table[name])
        if pa.types.is_struct(column.type):
            parts = dict(zip((one.name for one in column.type), column.flatten(), strict=True))
            lacking = [one for one in source.fields if one not in parts]
            if lacking:
                raise InputError(
                    f"no field {lacking[0]!r}",
                    where=place,
                    expected="one of " + ", ".join(parts),
                )
            # Files of one folder may have the fields in different orders.
            return np.stack([_numbers(parts[source.fields[k]]) for k in source.order], axis=1)
        if is_list(column.type):
            lengths = np.nan_to_num(numbers(pc.list_value_length(column)))
            wrong = np.asarray(lengths != len(source.order), dtype=np.bool_)
            if wrong.any():
                raise InputError(
                    "another number of probabilities than of classes",
                    where=f"{place}, row {number(wrong)}",
                    found=int(lengths[wrong][0]),
                    expected=f"{len(classes)} ({', '.join(classes[:5])})",
                )
            flat = _numbers(column.flatten()).reshape(len(column), len(source.order))
            order = list(source.order)
            return flat if order == list(range(len(order))) else flat[:, order]
        return both(_one_column(_numbers(column), place, number), source.of or 0)
    except (ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("probabilities are not numbers", where=place) from error


def both(p: NDArray[Any], of: int) -> NDArray[np.float64]:
    """(n, 2) from the probability (n,) of one of two classes."""
    matrix = np.empty((len(p), 2), dtype=p.dtype if p.dtype.kind == "f" else np.float64)
    matrix[:, of], matrix[:, 1 - of] = p, 1 - p
    return matrix


def _numbers(column: pa.Array) -> NDArray[Any]:
    """Numbers of any type; words that spell numbers are read, and missing ones are NaN."""
    column = plain_type(column)
    if pa.types.is_dictionary(column.type):
        column = plain_type(column.dictionary_decode())
    if is_text(column.type):
        known = column.unique().to_pylist()
        gone = pa.array([name for name in known if name is not None and missing_class(name)])
        if len(gone):
            column = pc.if_else(pc.is_in(column, gone.cast(column.type)), None, column)
        column = column.cast(pa.float64())
    return numbers(column)


def _one_column(p: NDArray[Any], where: str, number: RowNumber) -> NDArray[Any]:
    """Check probabilities (n,) of one class as they stand: turned round they would hide a cause."""
    _check_range(p[:, None], where, number)
    return p


def _check_range(matrix: NDArray[Any], where: str, number: RowNumber) -> None:
    """Refuse what is outside of 0 to 1, with what it may be."""
    if not matrix.size:
        return
    low, high = matrix.min(), matrix.max()
    if low >= -_NOISE and high <= 1 + _NOISE:
        return
    inside = ((matrix >= -_NOISE) & (matrix <= 1 + _NOISE)).all(axis=1)
    row, low, high = matrix[~inside][0], np.nanmin(matrix), np.nanmax(matrix)
    hint = "probabilities in 0 to 1: are these scores before the softmax?"
    if np.isnan(row).any():
        hint = "a probability of every class in every row"
    elif low >= 0 and 1 < high <= 100:
        hint = "probabilities in 0 to 1: are these percentages?"
    elif high <= 0:
        hint = "probabilities in 0 to 1: are these their logarithms?"
    raise InputError(
        "a probability outside 0 to 1",
        where=f"{where}, row {number(np.asarray(~inside, dtype=np.bool_))}",
        found=[round(float(v), 6) for v in row[:8]],
        expected=hint,
    )


def checked(
    matrix: NDArray[Any], where: str, number: RowNumber = first_row
) -> tuple[NDArray[np.float32], int]:
    """Probabilities as float32, and how many rows were rounded so that they had to be renormalised.

    A row sums to 1 within 0.001, or within what rounding explains: to 2, 3 or 4 decimals, to 3
    significant digits, or to bfloat16, of all values, up to 0.05 in all. Rows that are further
    than 0.001 off are divided by their sum.

    Raises `InputError` that names the first row at fault.

    Parameters
    ----------
    matrix : (n, c) probabilities.
    where : what to call them in the message.
    number : gives the number of the first marked row.
    """
    _check_range(matrix, where, number)
    total = matrix.sum(axis=1, dtype=np.float64)
    off = np.abs(total - 1) > SUM_TOLERANCE
    out = np.array(matrix, dtype=np.float32)
    if off.any():
        allowed = max(SUM_TOLERANCE, _rounding(matrix[off], matrix[:_LOOKED_AT]))
        far = np.abs(total - 1) > allowed
        if far.any():
            raise InputError(
                "probabilities do not sum to 1",
                where=f"{where}, row {number(far)}",
                found=f"{total[far][0]:.4f}",
                expected=f"1, within {allowed:g}",
            )
        out[off] = matrix[off] / total[off, None]
    if matrix.size and (matrix.min() < 0 or matrix.max() > 1):
        np.clip(out, 0, 1, out=out)
    return out, int(off.sum())


def _rounding(*parts: NDArray[Any]) -> float:
    """How far from 1 rounded probabilities may sum, by how all of them are rounded; 0 if not."""
    classes = parts[0].shape[1]
    for unit in (0.01, 0.001, 0.0001):
        if all(_whole(part / unit) for part in parts):
            return float(min(MOST_ROUNDING, classes * unit / 2) + 1e-6)
    if all(_whole(_mantissa(part) * 100) for part in parts):  # 3 significant digits
        return 0.005 + 1e-6
    if all(not (part.astype(np.float32).view(np.uint32) & 0xFFFF).any() for part in parts):
        return 2**-8  # bfloat16 has 8 bits
    return 0.0


def _mantissa(values: NDArray[Any]) -> NDArray[np.float64]:
    """Values as 1 to 10 times a power of ten; 0 stays."""
    known = np.where(values > 0, values, 1.0).astype(np.float64)
    return np.where(values > 0, known / 10 ** np.floor(np.log10(known) + 1e-9), 0.0)


def _whole(scaled: NDArray[Any]) -> bool:
    return bool(np.abs(scaled - np.round(scaled)).max() < 1e-3)


def renormalised_note(count: int) -> str:
    """What is said of rows whose rounded probabilities were renormalised."""
    return (
        f"probabilities of {count:,} rows are rounded and do not sum to 1: each was divided by the "
        "row's sum"
    )


def probability_matrix(
    probs: Any,
    n: int,
    classes: Classes,
    positive: str | None,
    where: str = "probs",
    kept: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """(n, c) probabilities of Python's containers in the order of the classes, checked.

    Parameters
    ----------
    probs : a frame of pandas, polars or Arrow, or a dict of columns, is matched by the columns'
        names; an array or a list of rows by place; (n,) numbers are of the positive class of two.
    n : how many rows there must be, those that are not kept too.
    classes : takes in classes that no row has, and notes.
    positive : the positive class; None is the second of two.
    where : what to call the probabilities in a message.
    kept : (n,) which rows are kept, None for all; the others are not looked at, and left out.

    Raises
    ------
    InputError : another shape, no numbers, values outside 0 to 1, rows that do not sum to 1, or
        columns not named as the classes.
    """
    number = numbered(0, kept)
    names, matrix = _columns_of(probs, where)
    if matrix.shape[:1] != (n,) or matrix.ndim > 2:
        raise InputError(
            "probabilities of another shape",
            where=where,
            found=matrix.shape,
            expected=f"({n}, {len(classes.names)}), one column a class",
        )
    if kept is not None:
        n, matrix = int(kept.sum()), matrix[kept]
    if matrix.ndim == 1 or (matrix.shape[1] == 1 and len(classes.names) == 2):
        name = names[0] if names else ""
        index = one_class(name, classes, positive, where)
        matrix = both(_one_column(matrix.reshape(n), where, number), index)
    elif names is None:
        order = list(by_place(matrix.shape[1], classes, where))
        matrix = matrix if order == list(range(len(order))) else matrix[:, order]
    else:
        matrix = matrix[:, list(by_name(names, classes, where))]
    out, rounded = checked(matrix, where, number)
    if rounded:
        classes.notes.append(renormalised_note(rounded))
    return out


def _columns_of(probs: Any, where: str) -> tuple[list[str] | None, NDArray[Any]]:
    """Column names, where there are any, and the numbers (n, c) or (n,)."""
    names: list[str] | None = None
    try:
        if isinstance(probs, Mapping):
            names = [spelled(name, truth_words=False) for name in probs]
            columns = list(probs.values())
        elif hasattr(probs, "column_names"):  # Arrow
            names, columns = list(probs.column_names), [probs[c] for c in probs.column_names]
        elif hasattr(probs, "columns"):  # pandas, polars
            named = list(probs.columns)
            columns = (
                [probs.iloc[:, k] for k in range(len(named))]
                if hasattr(probs, "iloc")
                else [probs[name] for name in named]
            )
            # Columns that count from 0 have no names, unless the classes do so too.
            plain = named == list(range(len(named))) and not any(isinstance(c, str) for c in named)
            names = None if plain else [spelled(name, truth_words=False) for name in named]
        else:
            name = getattr(probs, "name", None)
            matrix = float_array(probs)
            return ([name] if isinstance(name, str) and matrix.ndim == 1 else None), matrix
        return names, np.stack([float_array(column) for column in columns], axis=1)
    except (ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            "not numbers", where=where, expected="numbers, as many each row"
        ) from error

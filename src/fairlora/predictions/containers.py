"""Columns out of any container: NumPy, Arrow, pandas, polars, torch or a list."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Categories(NamedTuple):
    """A categorical column of pandas: the values, and which row has which (-1: none)."""

    categories: Any
    codes: NDArray[np.signedinteger[Any]]


def unwrapped(values: Any) -> Any:
    """A column out of its container: a NumPy or Arrow array, a list, or categories and codes.

    Raises `ValueError` for what is no column, such as a frame of several.
    """
    if isinstance(values, Categories | list | np.ndarray):
        return values
    lazy = hasattr(values, "collect") and not hasattr(values, "to_arrow")
    if isinstance(values, str | bytes | dict | set | frozenset) or lazy:
        # A set has no order; a lazy frame has no rows yet.
        raise ValueError(f"a {type(values).__name__}, not a column")
    if hasattr(values, "detach"):  # torch
        values = values.detach().cpu()
        if values.dtype.is_floating_point and values.dtype.itemsize < 4:
            values = values.float()  # NumPy has no bfloat16
        return values.numpy()
    if hasattr(values, "null_count") and hasattr(values, "type"):  # Arrow
        return values
    if hasattr(values, "columns") or hasattr(values, "column_names"):
        return unwrapped(_only_column(values))
    if hasattr(values, "to_arrow"):  # polars
        return values.to_arrow()
    categories = getattr(values, "cat", values)
    if hasattr(categories, "categories") and hasattr(categories, "codes"):
        return Categories(categories.categories, np.asarray(categories.codes, dtype=np.int32))
    kind = getattr(values, "dtype", None)
    if isinstance(kind, np.dtype) and hasattr(values, "to_numpy"):  # pandas
        return values.to_numpy()
    if kind is not None and hasattr(values, "to_numpy"):  # pandas' own and Arrow's types in it
        import pyarrow as pa

        try:
            column = pa.array(getattr(values, "array", values), from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            return list(values)
        # Intervals and periods have names of their own, which their storage has not.
        return list(values) if isinstance(column.type, pa.BaseExtensionType) else column
    if hasattr(values, "__array__"):
        return np.asarray(values)
    try:
        return list(values)
    except TypeError as error:
        raise ValueError(f"a {type(values).__name__}, not a column") from error


def float_array(values: Any) -> NDArray[np.floating[Any]]:
    """Numbers of any container, one or a list of them a row, as floats; a missing one is NaN.

    Single and double precision stay as they are. Raises `ValueError` or `TypeError` for words.
    """
    column = unwrapped(values)
    if isinstance(column, Categories):
        column = np.asarray(column.categories, dtype=np.float64)[column.codes]
    if isinstance(column, np.ma.MaskedArray):
        masked = np.ma.getmaskarray(column)
        column = np.where(masked, np.nan, np.asarray(column.data, dtype=np.float64))
    if hasattr(column, "null_count"):
        from fairlora.predictions.arrow import is_list, joined, numbers, plain_type

        flat = joined(plain_type(column))
        column = flat.to_pylist() if is_list(flat.type) else numbers(flat)
    if isinstance(column, list):
        column = [unwrapped(row) if hasattr(row, "__len__") else row for row in column]
    array = np.asarray(column)
    if array.dtype == object and len(array) and hasattr(array[0], "__len__"):
        # Arrays in a list, or in a column of pandas.
        array = np.stack([np.asarray(row, dtype=np.float64) for row in array])
    if array.dtype == object:
        array = array.astype(np.float64)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"values of type {array.dtype}")
    wide = array.dtype.kind == "f" and array.dtype.itemsize >= 4
    return array if wide else array.astype(np.float64)


def _only_column(frame: Any) -> Any:
    """The column of a frame (pandas, polars, Arrow) that has one."""
    names = list(frame.column_names if hasattr(frame, "column_names") else frame.columns)
    if len(names) != 1:
        raise ValueError(f"a frame of {len(names)} columns, not one column")
    return frame.iloc[:, 0] if hasattr(frame, "iloc") else frame[names[0]]

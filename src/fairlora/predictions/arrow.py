"""Arrow columns as NumPy arrays, without Arrow's own `to_numpy`, which would import pandas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MISSING = "(missing)"


# (n,) marks -> the number of the first marked row in its file, counted from 1 as people do.
RowNumber = Callable[[NDArray[np.bool_]], int]


def first_row(mask: NDArray[np.bool_]) -> int:
    """Number of the first marked row of a whole file, counted from 1."""
    return int(np.flatnonzero(mask)[0]) + 1


def numbered(offset: int = 0, kept: NDArray[np.bool_] | None = None) -> RowNumber:
    """How rows are numbered where `offset` came before, and only those `kept` are at hand.

    >>> numbered(100, np.array([False, True, True]))(np.array([False, True]))
    103
    """
    return among(lambda mask: offset + first_row(mask), kept)


def among(number: RowNumber, kept: NDArray[np.bool_] | None) -> RowNumber:
    """How the rows `kept` are numbered, where `number` numbers all."""
    if kept is None:
        return number
    rows = np.flatnonzero(kept)

    def of_kept(mask: NDArray[np.bool_]) -> int:
        here = np.zeros(len(kept), dtype=bool)
        here[rows[mask]] = True
        return number(here)

    return of_kept


def of_rows(table: pa.Table, kept: NDArray[np.bool_] | None) -> pa.Table:
    """The rows of a table that are kept; all for None."""
    if kept is None:
        return table
    mask = pa.array(kept)
    columns = {}
    for name in table.column_names:
        try:
            columns[name] = table[name].filter(mask)
        except pa.ArrowNotImplementedError:  # views of words, in lists too
            rows = [v for v, here in zip(table[name].to_pylist(), kept, strict=True) if here]
            columns[name] = pa.chunked_array([pa.array(rows, table[name].type)])
    return pa.table(columns)


def is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def plain_type(values: Any) -> Any:
    """An array or chunked array whose type Arrow's own functions all take.

    Views, bytes, half floats, extensions and run-end encoded values become what they stand for.
    """
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        parts = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
        values = pa.chunked_array([part.storage for part in parts], kind.storage_type)
        return plain_type(values)
    types = pa.types
    if types.is_run_end_encoded(kind):
        return plain_type(pc.run_end_decode(values))
    binary = types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)
    if binary or types.is_fixed_size_binary(kind) or types.is_string_view(kind):
        return values.cast(pa.large_string())
    if types.is_float16(kind):
        return values.cast(pa.float32())
    return values


def exchanged(thing: Any) -> pa.Table | pa.ChunkedArray | None:
    """What another library hands over: a table, or a column; None for what hands over nothing.

    By the Arrow PyCapsule protocol (DuckDB, cuDF, ibis, polars) or the dataframe interchange one.
    """
    if hasattr(thing, "__arrow_c_stream__"):
        column = pa.chunked_array(thing)
    elif hasattr(thing, "__arrow_c_array__"):
        column = pa.chunked_array([pa.array(thing)])
    elif hasattr(thing, "__dataframe__"):
        from pyarrow.interchange import from_dataframe

        return from_dataframe(thing)
    else:
        return None
    return pa.Table.from_struct_array(column) if pa.types.is_struct(column.type) else column


def joined(values: Any) -> pa.Array:
    """A chunked array as one array; an array as it is."""
    if not isinstance(values, pa.ChunkedArray):
        return values
    # Chunks may each have a dictionary of their own.
    whole = values.unify_dictionaries().combine_chunks()
    # Of no chunks, or of more than Arrow can join, it is a chunked array still.
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole


def numbers(values: pa.Array) -> NDArray[Any]:
    """Numbers as NumPy; a missing one is NaN. Arrow's own `to_numpy` would import pandas.

    Raises `TypeError` for anything but numbers, decimals and booleans.
    """
    kind = values.type
    if pa.types.is_boolean(kind):
        values = values.cast(pa.int8())
    elif pa.types.is_null(kind):
        return np.full(len(values), np.nan)
    elif pa.types.is_decimal(kind):
        values = values.cast(pa.float64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise TypeError(f"{kind} is no number")
    if values.null_count:
        missing = np.from_dlpack(values.is_null().cast(pa.int8())).astype(bool)
        whole = pa.Array.from_buffers(
            values.type, len(values), [None, values.buffers()[1]], offset=values.offset
        )
        return np.where(missing, np.nan, np.from_dlpack(whole))
    return np.from_dlpack(values)

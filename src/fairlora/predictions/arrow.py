"""Arrow columns as NumPy arrays, without Arrow's own `to_numpy`, which would import pandas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

MISSING = "(missing)"


def first_row(mask: NDArray[np.bool_]) -> int:
    """Number of the first marked row, counted from 1 as people do."""
    return int(np.flatnonzero(mask)[0]) + 1


def is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def numbers(values: pa.Array) -> NDArray[Any]:
    """Numbers as NumPy; a missing one is NaN. Arrow's own `to_numpy` would import pandas.

    Raises `TypeError` for anything but numbers and booleans.
    """
    kind = values.type
    if pa.types.is_boolean(kind):
        values = values.cast(pa.int8())
    elif pa.types.is_null(kind):
        return np.full(len(values), np.nan)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise TypeError(f"{kind} is no number")
    if values.null_count:
        missing = np.from_dlpack(values.is_null().cast(pa.int8())).astype(bool)
        whole = pa.Array.from_buffers(
            values.type, len(values), [None, values.buffers()[1]], offset=values.offset
        )
        return np.where(missing, np.nan, np.from_dlpack(whole))
    return np.from_dlpack(values)


def words(values: pa.Array) -> NDArray[Any]:
    """Strings as NumPy, by way of their distinct values; a missing one is `MISSING`."""
    coded = values.dictionary_encode(null_encoding="encode")
    found = [MISSING if v is None else v for v in coded.dictionary.to_pylist()]
    return np.asarray(np.array(found, dtype=object)[numbers(coded.indices)])

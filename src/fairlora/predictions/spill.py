"""Hundreds of columns of a Parquet file turned into rows, by way of a temporary file.

A Parquet file is read column by column, and each column that is open holds a page and a dictionary
of some megabytes. So columns are read a few at a time, and stand on the disk as their values, from
where rows of all of them come.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fairlora.errors import InputError
from fairlora.predictions.arrow import numbers, plain_type

# Columns that are open at a time, and rows that are copied at a time.
_OPEN = 32
_ROWS = 1 << 16
# Of each open column a page and a dictionary, of this size unless their writer said otherwise.
_PAGE_BYTES = 1 << 20
# Columns that take less than this together are read together.
_MOST_BYTES = 128 << 20
# Bytes of a column that are read from the disk at once.
BUFFER_BYTES = 1 << 16


def to_spill(opened: pq.ParquetFile, names: Sequence[str]) -> tuple[str, ...]:
    """The columns of numbers that would take too much memory if all were open; often none.

    Parameters
    ----------
    opened : the file.
    names : the columns that are asked for.
    """
    schema, meta = opened.schema_arrow, opened.metadata
    chosen = [name for name in names if pa.types.is_floating(schema.field(name).type)]
    if len(chosen) <= _OPEN or not meta.num_row_groups:
        return ()
    first, wanted = meta.row_group(0), set(chosen)
    sizes = [
        min(column.total_uncompressed_size, _PAGE_BYTES)
        for column in (first.column(k) for k in range(first.num_columns))
        if column.path_in_schema in wanted
    ]
    if 2 * sum(sizes) <= _MOST_BYTES:
        return ()
    needed = meta.num_rows * len(chosen) * _kind(schema, chosen).itemsize
    # Without room for the file they take memory after all.
    free = shutil.disk_usage(tempfile.gettempdir()).free
    return tuple(chosen) if needed < free else ()


def _kind(schema: pa.Schema, names: Sequence[str]) -> np.dtype[np.floating]:
    """The type that holds the values of all."""
    return np.result_type(*(schema.field(name).type.to_pandas_dtype() for name in names))


class Spilled:
    """The values of columns of a Parquet file, in a temporary file that has no name.

    Parameters
    ----------
    file : the Parquet file.
    names : its columns, of floating point numbers; a missing one is NaN.

    Raises
    ------
    InputError : the disk is full.
    """

    def __init__(self, file: Path, names: Sequence[str]) -> None:
        opened = pq.ParquetFile(file, buffer_size=BUFFER_BYTES)
        self.names = tuple(names)
        self._kind = _kind(opened.schema_arrow, names)
        self._rows = opened.metadata.num_rows
        self._blocks = [self.names[k : k + _OPEN] for k in range(0, len(names), _OPEN)]
        self._content: IO[bytes] = tempfile.TemporaryFile(prefix="fairlora-")  # noqa: SIM115
        try:
            for block in self._blocks:
                one = pq.ParquetFile(file, buffer_size=BUFFER_BYTES, pre_buffer=False)
                for batch in one.iter_batches(_ROWS, columns=list(block), use_threads=False):
                    each = [numbers(plain_type(batch.column(name))) for name in block]
                    rows = np.stack(each, axis=1).astype(self._kind, copy=False)
                    self._content.write(rows.data)
            self._content.flush()
        except OSError as error:
            needed = self._rows * len(names) * self._kind.itemsize
            raise InputError(
                "no room for a temporary copy of the probabilities",
                where=tempfile.gettempdir(),
                found=error.strerror,
                expected=f"{needed / 1e9:.1f} GB free; TMPDIR names another folder",
            ) from error

    def columns(self, start: int, rows: int) -> dict[str, pa.Array]:
        """Some rows of each column.

        Parameters
        ----------
        start : number of the first row.
        rows : how many.
        """
        out: dict[str, pa.Array] = {}
        before = 0
        for block in self._blocks:
            values = np.empty((rows, len(block)), self._kind)
            self._content.seek((before * self._rows + start * len(block)) * self._kind.itemsize)
            self._content.readinto(values.data)  # type: ignore[attr-defined]
            before += len(block)
            each = np.ascontiguousarray(values.T)
            out |= {name: pa.array(each[k]) for k, name in enumerate(block)}
        return out

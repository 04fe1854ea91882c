"""Tables read by column and batch by batch: in memory, and in Parquet, Arrow and ORC files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from fairlora.predictions.arrow import is_list, is_text
from fairlora.predictions.spill import BUFFER_BYTES, Spilled, to_spill


class Asked(NamedTuple):
    """What an audit asks of a table.

    Attributes
    ----------
    names : columns of names (classes, groups, ids): they stay as they stand, "01" is not "1".
    probs : a column of probabilities, or the prefix of several.
    numbers : columns of numbers, such as weights.
    """

    names: tuple[str, ...] = ()
    probs: str | None = None
    numbers: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All that may be a column, or a path into one."""
        probs = () if self.probs is None else (self.probs,)
        return (*self.names, *self.numbers, *probs)


def width_of(kind: pa.DataType) -> int:
    """About how many bytes a value of this type takes; 0 of a list of any length.

    >>> width_of(pa.float32()), width_of(pa.list_(pa.float32(), 5)), width_of(pa.string())
    (4, 20, 8)
    """
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * width_of(kind.value_type)
    if pa.types.is_struct(kind):
        return sum(width_of(field.type) for field in kind)
    if is_list(kind):
        return 0
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:  # words, which are coded as numbers
        return 8


class Tabular:
    """A table that is read column by column and batch by batch.

    Attributes
    ----------
    schema : of all its columns, with the metadata that its writer left.
    rows : how many there are; of text an estimate, until it is read.
    notes : what was assumed of how it is written, a sentence each.
    content : keeps a temporary file for as long as the table is read; None where there is none.
    """

    schema: pa.Schema
    rows: int
    notes: tuple[str, ...] = ()
    content: object = None

    def batches(self, names: Sequence[str], size: int) -> Iterator[pa.Table]:
        """Its rows in order, `size` at a time or fewer, with these columns."""
        raise NotImplementedError

    def whole(self, names: Sequence[str]) -> pa.Table:
        """All its rows, with these columns."""
        parts = list(self.batches(names, 1 << 20))
        if not parts:
            return self.schema.empty_table().select(list(names))
        return pa.concat_tables(parts, promote_options="permissive")


class InMemory(Tabular):
    """A table that is read already."""

    def __init__(self, table: pa.Table, notes: Sequence[str] = ()) -> None:
        self.table, self.notes = table, tuple(notes)
        self.schema, self.rows = table.schema, table.num_rows

    def batches(self, names: Sequence[str], size: int) -> Iterator[pa.Table]:
        table = self.whole(names)
        for start in range(0, self.rows, size):
            yield table.slice(start, size)

    def whole(self, names: Sequence[str]) -> pa.Table:
        return self.table.select(list(names))


class ParquetTable(Tabular):
    """A Parquet file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        opened = pq.ParquetFile(file)
        self.schema, self.rows = opened.schema_arrow, opened.metadata.num_rows
        self._spilled: Spilled | None = None

    def batches(self, names: Sequence[str], size: int) -> Iterator[pa.Table]:
        # Words come as dictionaries: each distinct one is looked at once.
        text = [name for name in names if is_text(self.schema.field(name).type)]
        # Without a buffer a whole column of a row group is read at once.
        opened = pq.ParquetFile(
            self.file, read_dictionary=text, buffer_size=BUFFER_BYTES, pre_buffer=False
        )
        spilled = to_spill(opened, names)
        if spilled and (self._spilled is None or self._spilled.names != spilled):
            self._spilled = Spilled(self.file, spilled)
        others, start = [name for name in names if name not in {*spilled}], 0
        for batch in opened.iter_batches(size, columns=others, use_threads=False):
            if spilled and self._spilled is not None:
                columns = self._spilled.columns(start, batch.num_rows)
                columns |= {name: batch.column(name) for name in others}
                start += batch.num_rows
                yield pa.table({name: columns[name] for name in names})
            else:
                yield pa.table(batch)

    def whole(self, names: Sequence[str]) -> pa.Table:
        return pq.read_table(self.file, columns=list(names), partitioning=None)


class ArrowTable(Tabular):
    """An Arrow file or stream (Feather)."""

    def __init__(self, file: Path) -> None:
        self.file = file
        opened = self._opened()
        self.schema = opened.schema
        self.rows = sum(batch.num_rows for batch in self._all(opened))

    def _opened(self) -> pa.ipc.RecordBatchFileReader | pa.ipc.RecordBatchStreamReader:
        content = pa.memory_map(str(self.file))
        is_file = content.read(6) == b"ARROW1"
        content.seek(0)
        return pa.ipc.open_file(content) if is_file else pa.ipc.open_stream(content)

    @staticmethod
    def _all(opened: object) -> Iterator[pa.RecordBatch]:
        if isinstance(opened, pa.ipc.RecordBatchFileReader):
            for k in range(opened.num_record_batches):
                yield opened.get_batch(k)
        else:
            yield from opened  # type: ignore[misc]

    def batches(self, names: Sequence[str], size: int) -> Iterator[pa.Table]:
        for batch in self._all(self._opened()):
            table = pa.table(batch.select(list(names)))
            for start in range(0, table.num_rows, size):
                yield table.slice(start, size)


class OrcTable(Tabular):
    """An ORC file."""

    def __init__(self, file: Path) -> None:
        from pyarrow import orc

        self.file = file
        self._file = orc.ORCFile(file)
        self.schema, self.rows = self._file.schema, self._file.nrows

    def batches(self, names: Sequence[str], size: int) -> Iterator[pa.Table]:
        for k in range(self._file.nstripes):
            table = pa.table(self._file.read_stripe(k, columns=list(names)))
            for start in range(0, table.num_rows, size):
                yield table.slice(start, size)

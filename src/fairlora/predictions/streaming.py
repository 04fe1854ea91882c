"""Predictions that do not fit in memory: Parquet files, chunk by chunk.

Two passes: the first finds which classes, groups and splits there are, the second hands out chunks
over those. What is kept is as large as their names, however many the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.arrow import RowNumber, is_text, numbered, numbers, of_rows
from fairlora.predictions.columns import GroupColumn, group_column
from fairlora.predictions.decode import CheckGroups, Reader, Roles
from fairlora.predictions.own_tables import metadata_of
from fairlora.predictions.splits import chosen_split, split_notes, split_rows

# A Parquet file of more rows than this streams; a folder of files always does.
STREAM_ROWS = 2_000_000
_BATCH_VALUES = 4_000_000
_ENDINGS = {".parquet", ".pq", ".parq"}
Progress = Callable[[int, int], None]


def streams(path: Path) -> bool:
    """Whether `path` is a folder, or a Parquet file too large to hold in memory with ease."""
    if path.is_dir():
        return True
    try:
        with path.open("rb") as file:
            if file.read(4) != b"PAR1":
                return False
        return bool(pq.ParquetFile(path).metadata.num_rows > STREAM_ROWS)
    except (OSError, pa.ArrowInvalid):
        return False  # reading it will say what is wrong


@dataclass
class Chunk:
    """Some rows, over the classes and groups of the whole."""

    labels: NDArray[Any]
    predictions: NDArray[Any]
    groups: dict[str, GroupColumn]
    probs: NDArray[np.float32] | None
    loss: NDArray[Any] | None


class PredictionStream:
    """The rows of a Parquet file, or of a folder of Parquet files of one schema.

    Parameters
    ----------
    path : the file or folder.
    split : rows of this split alone; default "test", where there is one.
    check_groups : called as groups are found, to refuse a column of too many.
    columns : which column is what: the fields of `Roles`.
    progress : called with the rows done and the rows to do, both passes counted.

    Attributes
    ----------
    classes : class names in order.
    names : attribute -> its groups' names in order.
    notes, left_out : what was assumed and left out, once all chunks are read.

    Ids are not checked for being unique: that needs them all in memory. Raises `InputError` as
    `read_table` does.
    """

    def __init__(
        self,
        path: Path,
        *,
        split: str | None = None,
        check_groups: CheckGroups | None = None,
        progress: Progress | None = None,
        **columns: Any,
    ) -> None:
        self._path, self.files = path, _files(path)
        schema = _open(self.files[0], ()).schema_arrow
        self._reader = Reader(schema, self.files[0], Roles(**columns))
        if not self._reader.groups:
            raise InputError("no group column named", where="--group", expected="at least one")
        for file in self.files[1:] if self._reader.own else ():
            meta = metadata_of(_open(file, ()).schema_arrow, file)
            if meta is None or tuple(meta["classes"]) != self._reader.classes:
                raise InputError(
                    "not the classes of the other files",
                    where=file,
                    found="no fairlora metadata"
                    if meta is None
                    else ", ".join(meta["classes"][:8]),
                    expected=", ".join(self._reader.classes[:8]),
                )
        total = 2 * sum(_open(file, ()).metadata.num_rows for file in self.files)
        self._done = _Counter(total, progress)
        self._splits: set[str] = set()
        if "split" in schema.names:
            for _, _, table in _batches(self.files, ["split"], 1 << 20):
                self._splits.update(group_column(table["split"]).names)
        self._split = chosen_split(schema, split, self._splits)
        self._survey(check_groups)
        self.notes: list[str] = []
        self.left_out: dict[str, int] = {}

    @property
    def classes(self) -> tuple[str, ...]:
        return self._reader.classes

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        return self._reader.names

    def _survey(self, check_groups: CheckGroups | None) -> None:
        """The first pass: classes and groups."""
        reader, done = self._reader, self._done
        for file, number, table, rows in self._taken(reader.surveyed(), 1 << 20):
            if table.num_rows:
                reader.survey(table, file, number)
            if check_groups is not None:
                for name in reader.groups:
                    check_groups(name, tuple(reader.found(name)), done.total // 2)
            done.add(rows)
        if not done.done:
            raise InputError("the table has no rows", where=self.files[0].parent)
        reader.settle(self._head())

    def _taken(
        self, wanted: Sequence[str], size: int
    ) -> Iterator[tuple[Path, RowNumber, pa.Table, int]]:
        """File, row numbers, the rows of the split, and how many rows there were, by batch."""
        names = list(dict.fromkeys([*wanted, *(["split"] if self._split is not None else [])]))
        for file, start, table in _batches(self.files, names, size):
            within = None if self._split is None else split_rows(table, self._split)
            yield file, numbered(start, within), of_rows(table, within), table.num_rows

    def _head(self) -> pa.Table:
        """The first rows of the split, with all columns."""
        for file in self.files:
            for batch in _open(file, ()).iter_batches(batch_size=1000, use_threads=False):
                table = pa.table(batch)
                if self._split is not None:
                    table = of_rows(table, split_rows(table, self._split))
                if table.num_rows:
                    return table
        return _open(self.files[0], ()).schema_arrow.empty_table()

    def chunks(self) -> Iterator[Chunk]:
        """The second pass; chunks without a row of the split are left out.

        Afterwards `notes` and `left_out` say what was assumed and left out.
        """
        reader, n, taken = self._reader, 0, 0
        own_loss = reader.own and "loss" in _open(self.files[0], ()).schema_arrow.names
        wanted = [*reader.read_columns(), *(["loss"] if own_loss else [])]
        size = max(1 << 14, min(1 << 20, _BATCH_VALUES // max(len(self.classes), 4)))
        for file, number, table, all_rows in self._taken(wanted, size):
            self._done.add(all_rows)
            if not table.num_rows:
                continue
            taken += table.num_rows
            rows = reader.rows(table, file, number)
            loss = _losses(table, file, number) if own_loss else None
            n += len(rows.labels)
            if len(rows.labels):
                yield Chunk(rows.labels, rows.predictions, rows.groups, rows.probs, loss)
        self.notes, self.left_out = reader.finish(n)
        if not reader.own:
            self.notes += split_notes(self._split, self._splits, taken, self._done.total // 2)
        self.notes += _unread(self._path)


class _Counter:
    def __init__(self, total: int, progress: Progress | None) -> None:
        self.total, self.done, self.progress = total, 0, progress

    def add(self, rows: int) -> None:
        self.done += rows
        if self.progress is not None:
            self.progress(self.done, self.total)


def _files(path: Path) -> list[Path]:
    """The Parquet files of a folder, by their endings; a file by itself."""
    if not path.is_dir():
        return [path]
    files = [file for file in _visible(path) if file.suffix.lower() in _ENDINGS]
    if not files:
        raise InputError("no Parquet files in this folder", where=path, expected="*.parquet")
    return files


def _visible(folder: Path) -> list[Path]:
    """The files of a folder. Writers leave others beside the data: a partial one, a marker."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return [file for file in files if not file.name.startswith((".", "_"))]


def _unread(path: Path) -> list[str]:
    """What to say of files in the folder that are no Parquet by their endings."""
    others = [f.name for f in _visible(path) if f.suffix.lower() not in _ENDINGS]
    if not path.is_dir() or not others:
        return []
    listed = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
    return [f"{path.name}: files that do not end in .parquet were not read: {listed}"]


def _open(file: Path, dictionary: Sequence[str]) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file, read_dictionary=list(dictionary))
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            "not a readable table", where=file, found=str(error)[:120], expected="Parquet"
        ) from error


def _batches(
    files: Sequence[Path], wanted: Sequence[str], size: int
) -> Iterator[tuple[Path, int, pa.Table]]:
    """File, number of rows before, and rows, batch by batch."""
    for file in files:
        schema = _open(file, ()).schema_arrow
        missing = [name for name in wanted if name not in schema.names]
        if missing:
            raise InputError(
                f"no column {missing[0]!r}",
                where=file,
                expected="one of " + ", ".join(schema.names),
            )
        # Words come as dictionaries: each distinct one is looked at once.
        text = [name for name in wanted if is_text(schema.field(name).type)]
        source, start = _open(file, text), 0
        try:
            for batch in source.iter_batches(
                batch_size=size, columns=list(wanted), use_threads=False
            ):
                yield file, start, pa.table(batch)
                start += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(
                "not a readable table", where=file, found=str(error)[:120], expected="Parquet"
            ) from error


def _losses(table: pa.Table, file: Path, number: RowNumber) -> NDArray[Any]:
    loss = numbers(table["loss"].combine_chunks())
    bad = ~np.isfinite(loss)
    if bad.any():
        raise InputError("not a finite number", where=f"{file}, column loss, row {number(bad)}")
    return loss

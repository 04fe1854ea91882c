"""Predictions that do not fit in memory, of any format, chunk by chunk.

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
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.arrow import RowNumber, numbered, numbers, of_rows
from fairlora.predictions.columns import GroupColumn, group_column
from fairlora.predictions.decode import CheckGroups, Reader, Roles
from fairlora.predictions.opened import Opened, open_tables, opened_for
from fairlora.predictions.own_tables import metadata_of
from fairlora.predictions.splits import chosen_split, split_notes, split_rows

_BATCH_VALUES = 4_000_000
Progress = Callable[[int, int], None]


def streams(path: Path) -> bool:
    """Whether `path` is a folder, or a file too large to hold in memory with ease."""
    try:
        return open_tables(path).streams
    except InputError:
        return False  # reading it will say what is wrong


@dataclass
class Chunk:
    """Some rows, over the classes and groups of the whole."""

    labels: NDArray[Any]
    predictions: NDArray[Any]
    groups: dict[str, GroupColumn]
    probs: NDArray[np.float32] | None
    loss: NDArray[Any] | None
    weights: NDArray[np.float64] | None


class PredictionStream:
    """The rows of a file, or of a folder of files of one schema.

    Parameters
    ----------
    path : the file or folder; or what `open_tables` made of it, asked for the columns that follow.
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
        path: Path | Opened,
        *,
        split: str | None = None,
        check_groups: CheckGroups | None = None,
        progress: Progress | None = None,
        **columns: Any,
    ) -> None:
        roles = Roles(**columns)
        named = {"label": roles.label, "pred": roles.pred, "weight": roles.weight}
        self._opened = opened = opened_for(path, roles.probs, roles.groups, named)
        first, *others = opened.parts
        schema = opened.schema
        self._reader = Reader(schema, first.path, roles)
        if not self._reader.groups:
            raise InputError("no group column named", where="--group", expected="at least one")
        for part in others if self._reader.own else ():
            meta = metadata_of(part.table.schema, part.path)
            if meta is None or tuple(meta["classes"]) != self._reader.classes:
                raise InputError(
                    "not the classes of the other files",
                    where=part.path,
                    found="no fairlora metadata"
                    if meta is None
                    else ", ".join(meta["classes"][:8]),
                    expected=", ".join(self._reader.classes[:8]),
                )
        self._done = _Counter(2 * opened.rows, progress)
        self._splits: set[str] = set()
        if "split" in schema.names:
            for _, _, table in opened.batches(["split"], 1 << 20):
                self._splits.update(group_column(table["split"]).names)
        self._split = chosen_split(schema, split, self._splits)
        self._survey(check_groups)
        self.notes: list[str] = []
        self.left_out: dict[str, int] = {}

    @property
    def classes(self) -> tuple[str, ...]:
        return self._reader.classes

    @property
    def weighted_by(self) -> str | None:
        """The column of weights."""
        return self._reader.roles.weight

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        return self._reader.names

    @property
    def has_probs(self) -> bool:
        return self._reader.probs is not None

    @property
    def rows(self) -> int:
        """How many rows there are, those of other splits and those left out too."""
        return self._rows

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
            raise InputError("the table has no rows", where=self._opened.path)
        self._rows = done.done
        done.total = 2 * done.done  # of text it was an estimate
        reader.settle(self._head())

    def _taken(
        self, wanted: Sequence[str], size: int
    ) -> Iterator[tuple[Path, RowNumber, pa.Table, int]]:
        """File, row numbers, the rows of the split, and how many rows there were, by batch."""
        names = list(dict.fromkeys([*wanted, *(["split"] if self._split is not None else [])]))
        for file, start, table in self._opened.batches(names, size):
            within = None if self._split is None else split_rows(table, self._split)
            yield file, numbered(start, within), of_rows(table, within), table.num_rows

    def _head(self) -> pa.Table:
        """The first rows of the split, with all columns."""
        opened = self._opened
        for _, _, table in opened.batches(opened.wanted(), 1000):
            if self._split is not None:
                table = of_rows(table, split_rows(table, self._split))
            if table.num_rows:
                return opened.with_all(table)
        return opened.schema.empty_table()

    def chunks(self) -> Iterator[Chunk]:
        """The second pass; chunks without a row of the split are left out.

        Afterwards `notes` and `left_out` say what was assumed and left out.
        """
        reader, n, taken = self._reader, 0, 0
        for chunk, given in self._chunks():
            taken += given
            n += len(chunk.labels)
            if len(chunk.labels):
                yield chunk
        self.notes, self.left_out = reader.finish(n)
        if not reader.own:
            self.notes += split_notes(self._split, self._splits, taken, self._rows)
        self.notes += self._opened.notes()

    def again(self, passes: int) -> Iterator[Iterator[Chunk]]:
        """The same chunks so many times more, once `chunks` has handed them out."""
        self._done.total += passes * self._rows
        for _ in range(passes):
            yield (chunk for chunk, _ in self._chunks(again=True) if len(chunk.labels))

    def _chunks(self, again: bool = False) -> Iterator[tuple[Chunk, int]]:
        """Chunks, and how many rows of the split each is of."""
        reader = self._reader
        own_loss = reader.own and "loss" in self._opened.schema.names
        wanted = [*reader.read_columns(), *(["loss"] if own_loss else [])]
        size = max(1 << 14, min(1 << 20, _BATCH_VALUES // max(len(self.classes), 4)))
        for file, number, table, all_rows in self._taken(wanted, size):
            self._done.add(all_rows)
            if not table.num_rows:
                continue
            rows = reader.rows(table, file, number, again=again)
            loss = _losses(table, file, number) if own_loss else None
            if loss is not None and rows.kept is not None:
                loss = loss[rows.kept]
            chunk = Chunk(
                rows.labels, rows.predictions, rows.groups, rows.probs, loss, rows.weights
            )
            yield chunk, table.num_rows


class _Counter:
    def __init__(self, total: int, progress: Progress | None) -> None:
        self.total, self.done, self.progress = total, 0, progress

    def add(self, rows: int) -> None:
        self.done += rows
        if self.progress is not None:
            self.progress(self.done, max(self.total, self.done))


def _losses(table: pa.Table, file: Path, number: RowNumber) -> NDArray[Any]:
    loss = numbers(table["loss"].combine_chunks())
    bad = ~np.isfinite(loss)
    if bad.any():
        raise InputError("not a finite number", where=f"{file}, column loss, row {number(bad)}")
    return loss

"""Predictions that do not fit in memory: Parquet files, chunk by chunk.

Two passes: the first finds which classes, groups and splits there are, the second hands out chunks
over those. What is kept is as large as their names, however many the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.arrow import is_text, numbers
from fairlora.predictions.columns import Coded, GroupColumn, group_column, placed, union
from fairlora.predictions.probabilities import probabilities
from fairlora.predictions.reading import class_column, class_indices, metadata_of

# A Parquet file of more rows than this streams; a folder of files always does.
STREAM_ROWS = 2_000_000
_BATCH_VALUES = 4_000_000
Progress = Callable[[int, int], None]
# Attribute, number of groups so far, rows so far: raises where that is too many.
CheckGroups = Callable[[str, int, int], None]


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
class _Columns:
    """Which columns to read, and what is in them."""

    label: str
    pred: str | None
    probs: str | None
    groups: tuple[str, ...]
    own: bool
    classes: tuple[str, ...] = ()
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    split: str | None = None
    whole: bool = False  # whether `probs` is a column, and not a prefix

    def read(self, schema: pa.Schema) -> list[str]:
        """The columns of the second pass."""
        wanted = [self.label, *([self.pred] if self.pred else []), *self.groups]
        if self.probs is not None:
            each = [self.probs + name for name in self.classes]
            wanted += [self.probs] if self.whole else each
        if self.split is not None:
            wanted.append("split")
        if self.own and "loss" in schema.names:
            wanted.append("loss")
        return list(dict.fromkeys(wanted))


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
    path, label, pred, probs, groups, positive : as of `read_table`.
    split : rows of this split alone; default "test", where there is one.
    check_groups : called as groups are found, to refuse a column of too many.
    progress : called with the rows done and the rows to do, both passes counted.

    Attributes
    ----------
    classes : class names in order.
    names : attribute -> its groups' names in order.

    Ids are not checked for being unique: that needs them all in memory. Raises `InputError` as
    `read_table` does.
    """

    def __init__(
        self,
        path: Path,
        *,
        label: str | None = None,
        pred: str | None = None,
        probs: str | None = None,
        groups: Sequence[str] = (),
        positive: str | None = None,
        split: str | None = None,
        check_groups: CheckGroups | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.files = _files(path)
        self._columns = _columns(self.files[0], label, pred, probs, groups)
        for file in self.files[1:] if self._columns.own else ():
            meta = metadata_of(_open(file, ()).schema_arrow, file)
            if meta is None or tuple(meta["classes"]) != self._columns.classes:
                raise InputError(
                    "not the classes of the other files",
                    where=file,
                    found="no fairlora metadata"
                    if meta is None
                    else ", ".join(meta["classes"][:8]),
                    expected=", ".join(self._columns.classes[:8]),
                )
        self.positive = positive
        total = 2 * sum(_open(file, ()).metadata.num_rows for file in self.files)
        self._done = _Counter(total, progress)
        _first_pass(self.files, self._columns, split, self._done, check_groups)

    @property
    def classes(self) -> tuple[str, ...]:
        return self._columns.classes

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        return self._columns.names

    def chunks(self) -> Iterator[Chunk]:
        """The second pass; chunks without a row of the split are left out."""
        columns, classes = self._columns, self.classes
        size = max(1 << 14, min(1 << 20, _BATCH_VALUES // max(len(classes), 4)))
        for file, start, table in _batches(self.files, columns.read, size):
            self._done.add(table.num_rows)
            y, h, probs, loss = _rows(table, columns, classes, self.positive, file, start)
            groups = {
                name: _group(table, name, file).renamed(columns.names[name])
                for name in columns.groups
            }
            if columns.split is not None:
                keep = _of_split(table, columns.split)
                if not len(keep):
                    continue
                y, h = y[keep], h[keep]
                probs = None if probs is None else probs[keep]
                loss = None if loss is None else loss[keep]
                # Not `take`, which would drop the names of groups that have no row here.
                groups = {
                    name: GroupColumn(part.names, part.codes[keep], part.lists)
                    for name, part in groups.items()
                }
            yield Chunk(y, h, groups, probs, loss)


class _Counter:
    def __init__(self, total: int, progress: Progress | None) -> None:
        self.total, self.done, self.progress = total, 0, progress

    def add(self, rows: int) -> None:
        self.done += rows
        if self.progress is not None:
            self.progress(self.done, self.total)


def _files(path: Path) -> list[Path]:
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    # Writers leave such files beside the data: a partial one, a marker.
    files = [file for file in files if not file.name.startswith((".", "_"))]
    if not files:
        raise InputError("no Parquet files in this folder", where=path, expected="*.parquet")
    return files


def _open(file: Path, dictionary: Sequence[str]) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file, read_dictionary=list(dictionary))
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            "not a readable table", where=file, found=str(error)[:120], expected="Parquet"
        ) from error


def _columns(
    file: Path,
    label: str | None,
    pred: str | None,
    probs: str | None,
    groups: Sequence[str],
) -> _Columns:
    schema = _open(file, ()).schema_arrow
    meta = metadata_of(schema, file)
    if meta is not None:
        label, pred = label or "label", pred or "pred"
        groups = groups or meta["groups"]
        if probs is None and label == "label" and "probs" in schema.names:
            probs = "probs"
    every = ", ".join(schema.names)
    if label is None:
        raise InputError(
            "which column holds the true label?", where="--label", expected=f"one of {every}"
        )
    if pred is None and probs is None:
        raise InputError(
            "which column holds the predicted label?",
            where="--pred",
            expected=f"one of {every}, or --probs",
        )
    if not groups:
        raise InputError("no group column named", where="--group", expected="at least one")
    own = meta is not None and label == "label"
    found = _Columns(label, pred, probs, tuple(groups), own)
    found.whole = probs in schema.names
    if own and meta is not None:
        found.classes = tuple(meta["classes"])
    return found


def _batches(
    files: Sequence[Path], names: Callable[[pa.Schema], list[str]], size: int
) -> Iterator[tuple[Path, int, pa.Table]]:
    """File, number of rows before, and rows, batch by batch."""
    for file in files:
        schema = _open(file, ()).schema_arrow
        wanted = names(schema)
        missing = [name for name in wanted if name not in schema.names]
        if missing:
            raise InputError(
                f"no column {missing[0]!r}",
                where=file,
                expected="one of " + ", ".join(schema.names),
            )
        text = [n for n in wanted if is_text(schema.field(n).type) and n in schema.names]
        source, start = _open(file, text), 0
        try:
            for batch in source.iter_batches(batch_size=size, columns=wanted, use_threads=False):
                yield file, start, pa.table(batch)
                start += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(
                "not a readable table", where=file, found=str(error)[:120], expected="Parquet"
            ) from error


def _first_pass(
    files: Sequence[Path],
    columns: _Columns,
    split: str | None,
    done: _Counter,
    check_groups: CheckGroups | None,
) -> None:
    """Fill in the classes, the groups and the split to audit."""
    schema = _open(files[0], ()).schema_arrow
    by_split = "split" in schema.names and is_text(schema.field("split").type)
    classes: list[Coded] = []
    groups: dict[str, set[str]] = {name: set() for name in columns.groups}
    numeric = dict.fromkeys(columns.groups, True)
    splits: set[str] = set()
    wanted = [*columns.groups]
    if not columns.own:
        wanted += [columns.label, *([columns.pred] if columns.pred else [])]
    if by_split:
        wanted.append("split")
    names = list(dict.fromkeys(wanted))
    for file, start, table in _batches(files, lambda _: names, 1 << 20):
        if not columns.own:
            for name in (columns.label, columns.pred):
                if name is not None:
                    coded = class_column(table, name, file, start)
                    classes.append(Coded(coded.names, coded.codes[:0], coded.numeric))
        for name in columns.groups:
            column = _group(table, name, file)
            groups[name].update(column.names)
            numeric[name] &= pa.types.is_integer(table[name].type)
            if check_groups is not None:
                check_groups(name, len(groups[name]), done.done + len(column))
        if by_split:
            splits.update(group_column(table["split"]).names)
        done.add(table.num_rows)
    if not done.done:
        raise InputError("the table has no rows", where=files[0].parent)
    if not columns.own:
        columns.classes = union(classes)
    for name, found in groups.items():
        columns.names[name] = tuple(_ordered(found, numeric[name]))
    if split is not None and split not in splits:
        raise InputError(
            f"no rows of split {split!r}", where="split", found=", ".join(sorted(splits))
        )
    columns.split = split if split is not None else "test" if "test" in splits else None


def _ordered(names: set[str], numeric: bool) -> list[str]:
    if numeric:
        return sorted(names, key=lambda n: (n.startswith("("), 0 if n.startswith("(") else int(n)))
    return sorted(names)


def _group(table: pa.Table, name: str, file: Path) -> GroupColumn:
    try:
        return group_column(table[name])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(
            "not a column of group names",
            where=f"{file}, column {name}",
            found=str(table[name].type),
            expected="words in UTF-8, whole numbers, or lists of words",
        ) from error


def _rows(
    table: pa.Table,
    columns: _Columns,
    classes: tuple[str, ...],
    positive: str | None,
    file: Path,
    start: int,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float32] | None, NDArray[Any] | None]:
    def codes(name: str) -> NDArray[Any]:
        if columns.own:
            return class_indices(table, name, classes, file, start)
        return placed(class_column(table, name, file, start), classes)

    matrix = None
    if columns.probs is not None:
        matrix = probabilities(table, columns.probs, classes, positive, file, start)
    labels = codes(columns.label)
    if columns.pred is not None:
        predictions = codes(columns.pred)
    else:
        assert matrix is not None
        predictions = matrix.argmax(axis=1)
    loss = None
    if "loss" in table.column_names and columns.own:
        loss = numbers(table["loss"].combine_chunks())
        bad = ~np.isfinite(loss)
        if bad.any():
            row = start + int(np.flatnonzero(bad)[0]) + 1
            raise InputError("not a finite number", where=f"{file}, column loss, row {row}")
    return labels, predictions, matrix, loss


def _of_split(table: pa.Table, split: str) -> NDArray[np.intp]:
    column = group_column(table["split"])
    if split not in column.names:
        return np.zeros(0, dtype=np.intp)
    return np.flatnonzero(column.codes == column.names.index(split))

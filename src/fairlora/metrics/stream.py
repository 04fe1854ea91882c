"""Predictions that do not fit in memory: Parquet files that stream by, and tallies that stay.

Two passes: the first finds which classes, groups and splits there are, the second counts. What is
kept is as large as the tables, however many the rows. AUC comes from score histograms.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.assemble import OVERALL, Table, Tables, assemble, everyone, positive_class
from fairlora.metrics.audit import check_groups, confidence_class
from fairlora.metrics.crossing import cross, crossed_name
from fairlora.metrics.ranking import auc_of_histogram, level_count, mean_auc, score_levels
from fairlora.metrics.result import AuditResult
from fairlora.metrics.settings import Settings
from fairlora.metrics.tally import Tally, row_scores, tally_scores
from fairlora.predictions import GroupColumn, group_column
from fairlora.predictions.arrow import is_text, numbers
from fairlora.predictions.columns import Coded, placed, union
from fairlora.predictions.probabilities import probabilities
from fairlora.predictions.reading import class_column, class_indices
from fairlora.predictions.table import METADATA_KEY

# A Parquet file of more rows than this streams; a folder of files always does.
STREAM_ROWS = 2_000_000
_BATCH_VALUES = 4_000_000
_MOST_LEVELS = 8_000_000
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

    def read(self, schema: pa.Schema) -> list[str]:
        """The columns of the second pass."""
        wanted = [self.label, *([self.pred] if self.pred else []), *self.groups]
        if self.probs is not None:
            whole = self.probs in schema.names
            wanted += [self.probs] if whole else [self.probs + name for name in self.classes]
        if self.split is not None:
            wanted.append("split")
        if self.own and "loss" in schema.names:
            wanted.append("loss")
        return list(dict.fromkeys(wanted))


def audit_stream(
    path: Path,
    *,
    label: str | None = None,
    pred: str | None = None,
    probs: str | None = None,
    groups: Sequence[str] = (),
    split: str | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> AuditResult:
    """Audit a Parquet file, or a folder of Parquet files of one schema, in constant memory.

    Parameters
    ----------
    path, label, pred, probs, groups : as of `fairlora.predictions.read_table`.
    split : rows of this split alone; default "test", where there is one.
    settings : as of `fairlora.audit`. Clusters and searches for subgroups need rows in memory.
    progress : called with the rows done and the rows to do, both passes counted.

    Ids are not checked for being unique: that needs them all in memory.
    """
    settings = Settings() if settings is None else settings
    if settings.subgroups:
        raise InputError(
            "a search for subgroups needs the rows in memory",
            where="--subgroups",
            expected=f"a file of at most {STREAM_ROWS:,} rows",
        )
    files = _files(path)
    columns = _columns(files[0], label, pred, probs, groups)
    total = 2 * sum(pq.ParquetFile(file).metadata.num_rows for file in files)
    done = _Counter(total, progress)
    _first_pass(files, columns, split, done, settings)
    return AuditResult(assemble(_second_pass(files, columns, settings, done), settings))


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
    raw = (schema.metadata or {}).get(METADATA_KEY)
    meta: dict[str, Any] | None = None
    if raw is not None:
        try:
            meta = json.loads(raw)
        except ValueError as error:
            raise InputError("broken metadata", where=file) from error
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
    if own and meta is not None:
        found.classes = tuple(meta["classes"])
    return found


def _batches(
    files: Sequence[Path], names: Callable[[pa.Schema], list[str]], columns: _Columns, size: int
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
    settings: Settings,
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
    for file, start, table in _batches(files, lambda _: names, columns, 1 << 20):
        if not columns.own:
            for name in (columns.label, columns.pred):
                if name is not None:
                    coded = class_column(table, name, file, start)
                    classes.append(Coded(coded.names, coded.codes[:0], coded.numeric))
        for name in columns.groups:
            column = _group(table, name, file)
            groups[name].update(column.names)
            numeric[name] &= pa.types.is_integer(table[name].type)
            check_groups(name, len(groups[name]), done.done + len(column), settings.max_groups)
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


class _Attribute:
    """The running tables of one attribute."""

    def __init__(self, name: str, classes: int) -> None:
        self.name, self.classes = name, classes
        self.tally: Tally | None = None
        self.levels: list[NDArray[np.int64]] | None = None
        self.shift: int | None = None

    def count(self, tally: Tally) -> None:
        self.tally = tally if self.tally is None else self.tally + tally

    def rank(
        self, column: GroupColumn, scores: Sequence[tuple[NDArray[Any], NDArray[Any]]]
    ) -> None:
        """Add to the score histograms: of each class its scores and whether rows are of it."""
        patterns = column.patterns()
        groups = len(column.names)
        if self.levels is None:
            shift = 15
            while shift < 20 and level_count(shift) * groups * len(scores) * 2 > _MOST_LEVELS:
                shift += 1
            self.shift = shift if shift < 20 else None
            shape = (groups, 2, level_count(shift))
            self.levels = (
                [] if self.shift is None else [np.zeros(shape, dtype=np.int64) for _ in scores]
            )
        if self.shift is None:
            return
        levels = level_count(self.shift)
        for held, (score, hits) in zip(self.levels, scores, strict=True):
            place = (column.codes.astype(np.int64) * 2 + hits) * levels
            place += score_levels(score, self.shift)
            size = groups if patterns is None else len(patterns)
            counts = np.bincount(place, minlength=size * 2 * levels).reshape(size, 2, levels)
            if patterns is not None:
                counts = np.tensordot(patterns.T.astype(np.int64), counts, axes=1)
            held += counts

    def table(self) -> Table:
        assert self.tally is not None
        out = Table(self.tally)
        if self.levels:
            parts = [auc_of_histogram(counts) for counts in self.levels]
            out.auc = parts[0] if len(parts) == 1 else mean_auc(parts)
        elif self.levels is not None:
            out.no_auc = "too many groups and classes for score histograms"
        return out


def _second_pass(
    files: Sequence[Path], columns: _Columns, settings: Settings, done: _Counter
) -> Tables:
    classes = columns.classes
    positive = positive_class(classes, settings.positive, [])
    of = confidence_class(classes, positive, settings)
    attributes = {name: _Attribute(name, len(classes)) for name in columns.groups}
    for combination in settings.intersect:
        attributes[crossed_name(combination)] = _Attribute(crossed_name(combination), len(classes))
    whole = _Attribute(OVERALL, len(classes))
    size = max(1 << 14, min(1 << 20, _BATCH_VALUES // max(len(classes), 4)))
    n = 0
    for file, start, table in _batches(files, columns.read, columns, size):
        done.add(table.num_rows)
        y, h, probs, loss = _rows(table, columns, classes, settings, file, start)
        keep = None
        if columns.split is not None:
            keep = _of_split(table, columns.split)
            if not len(keep):
                continue
            y, h = y[keep], h[keep]
            probs = None if probs is None else probs[keep]
            loss = None if loss is None else loss[keep]
        n += len(y)
        scores = None if probs is None else row_scores(y, h, probs, of)
        if loss is None and scores is not None:
            loss = scores.nll
        ranked = None if probs is None else _ranked(probs, y, positive)
        parts = {
            name: _group(table, name, file).renamed(columns.names[name]) for name in columns.groups
        }
        for combination in settings.intersect:
            parts[crossed_name(combination)] = _crossed(parts, combination, columns)
        shared: Tally | None = None
        for name, part in parts.items():
            column = part if keep is None else _taken(part, keep)
            one = tally_scores(y, h, len(classes), column, scores, loss=loss, bins=settings.bins)
            attributes[name].count(one)
            if ranked is not None:
                attributes[name].rank(column, ranked)
            if one.patterns is None:
                shared = one
        alone = GroupColumn((OVERALL,), everyone(len(y)))
        if shared is not None:
            whole.count(shared.collapsed(OVERALL))
        else:
            whole.count(
                tally_scores(y, h, len(classes), alone, scores, loss=loss, bins=settings.bins)
            )
        if ranked is not None:
            whole.rank(alone, ranked)
    return Tables(
        n, classes, whole.table(), {name: one.table() for name, one in attributes.items()}
    )


def _rows(
    table: pa.Table,
    columns: _Columns,
    classes: tuple[str, ...],
    settings: Settings,
    file: Path,
    start: int,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float32] | None, NDArray[Any] | None]:
    def codes(name: str) -> NDArray[Any]:
        if columns.own:
            return class_indices(table, name, classes, file, start)
        return placed(class_column(table, name, file, start), classes)

    matrix = None
    if columns.probs is not None:
        matrix = probabilities(table, columns.probs, classes, settings.positive, file, start)
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


def _taken(column: GroupColumn, rows: NDArray[np.intp]) -> GroupColumn:
    # Not `take`, which would drop the names of groups that have no row here.
    return GroupColumn(column.names, column.codes[rows], column.lists)


def _ranked(
    probs: NDArray[np.float32], labels: NDArray[Any], positive: int | None
) -> list[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    wanted = range(probs.shape[1]) if positive is None else [positive]
    return [(probs[:, c], labels == c) for c in wanted]


def _crossed(
    parts: dict[str, GroupColumn], combination: Sequence[str], columns: _Columns
) -> GroupColumn:
    """The combination over the names that all files together can have."""
    column = cross(parts, combination)
    names = [""]
    for attribute in combination:
        every = columns.names[attribute]
        names = [f"{a} & {b}" if a else b for a in names for b in every]
    return column.renamed(sorted(names))

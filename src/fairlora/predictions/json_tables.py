"""JSON as tables: lines of objects, and documents of records or of columns.

Documents: a list of records; ``{"columns": [...], "data": [[...]]}`` (pandas' orient "split", the
tables of MLflow and of Weights & Biases); ``{"schema": ..., "data": [...]}`` (pandas' "table"); a
column a key, with a list or an object of its values (pandas' "columns").
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.json as pa_json

from fairlora.errors import InputError
from fairlora.predictions.source import Source
from fairlora.predictions.tabular import Asked, InMemory, Tabular
from fairlora.predictions.values import at_path, column_of, in_value, mixed_note, parts_of, table_of

# So many of the first records, and so much of the file, say what its columns hold.
_FIRST_RECORDS = 1000
_FIRST_BYTES = 1 << 22
_BLOCK_BYTES = 4 << 20
# A kind of value that Arrow is told of beforehand; others are read by way of Python.
_KINDS: dict[frozenset[type], pa.DataType] = {
    frozenset(): pa.string(),
    frozenset({str}): pa.string(),
    frozenset({bool}): pa.bool_(),
    frozenset({int}): pa.int64(),
    frozenset({float}): pa.float64(),
    frozenset({int, float}): pa.float64(),
}


class JsonLines(Tabular):
    """A file of JSON objects, one a line.

    Parameters
    ----------
    source : the file.
    asked : of its columns those that are asked for are read alone, so that others may hold
        anything; a column may be a path, as in ``doc.race``.
    """

    def __init__(self, source: Source, asked: Asked) -> None:
        self._source = source
        self.rows = max(source.estimated_lines, 1)
        self._head = records = self._first()
        names = list(dict.fromkeys(key for record in records for key in record))
        with (
            source.file.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            for name in asked.columns:  # a key that the first records lack
                if name not in names and content.find(json.dumps(name).encode()) >= 0:
                    names.append(name)
        self._paths: dict[str, tuple[str, ...]] = {name: (name,) for name in names}
        for name in asked.columns:
            parts = None if name in names else parts_of(name, names)
            if parts is not None and any(
                in_value(record, (parts[0], *parts[1][:-1])) is not None for record in records
            ):
                self._paths[name] = (parts[0], *parts[1])
        self._mixed: set[str] = set()
        wanted = [n for n in self._paths if n in asked.columns or n.startswith(asked.probs or "\0")]
        kinds = {
            name: self._kind(name) or pa.null() for name in {*wanted, "split"} & {*self._paths}
        }
        self.schema = pa.schema([(name, kinds.get(name, pa.null())) for name in self._paths])

    def _kind(self, name: str) -> pa.DataType | None:
        """The type of a column, by its first values; None for several that have none in common."""
        path = self._paths[name]
        values = [in_value(record, path) for record in self._head]
        known = _KINDS.get(frozenset(type(value) for value in values if value is not None))
        if known is not None:
            return known
        array, mixed = column_of(values)
        return None if mixed else array.type

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(mixed_note(name) for name in sorted(self._mixed))

    def _first(self) -> list[dict[str, Any]]:
        with self._source.file.open("rb") as file:
            block = file.read(_FIRST_BYTES) + file.readline()
        return self._records(block, 0, _FIRST_RECORDS)

    def _records(self, block: bytes, done: int, most: int | None = None) -> list[dict[str, Any]]:
        """The objects of some lines, after `done` others."""
        out: list[dict[str, Any]] = []
        for line in block.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                record = error
            if not isinstance(record, dict):
                text = line[:60].decode("utf-8", errors="replace")
                raise InputError(
                    "no JSON object",
                    where=f"{self._source.path}, row {done + len(out) + 1}",
                    found=repr(text),
                    expected="one whole object a line; is the file cut short?",
                )
            out.append(record)
            if len(out) == most:
                break
        return out

    def batches(self, names: Sequence[str], size: int) -> Iterator[pa.Table]:
        tree: dict[str, Any] = {}
        for name in names:
            *above, leaf = self._paths[name]
            below = tree
            for step in above:
                below = below.setdefault(step, {})
            below[leaf] = self._kind(name)
        schema = _schema(tree)
        done = 0
        with self._source.file.open("rb") as file:
            while block := file.read(_BLOCK_BYTES) + file.readline():
                table = self._block(block, names, schema, done)
                done += table.num_rows
                if table.num_rows:
                    yield table

    def _block(
        self, block: bytes, names: Sequence[str], schema: pa.Schema | None, done: int
    ) -> pa.Table:
        if schema is not None:
            try:
                table = pa_json.read_json(
                    pa.BufferReader(block),
                    pa_json.ReadOptions(use_threads=False, block_size=len(block) + 1),
                    pa_json.ParseOptions(
                        explicit_schema=schema, unexpected_field_behavior="ignore"
                    ),
                )
            except pa.ArrowInvalid:  # another kind of value here, or no JSON: the rows say which
                pass
            else:
                columns = [
                    at_path(table[path[0]], path[1:], f"{self._source.path}, column {name}")
                    for name, path in ((name, self._paths[name]) for name in names)
                ]
                return pa.Table.from_arrays(columns, list(names))
        records = self._records(block, done)
        arrays = []
        for name in names:
            array, mixed = column_of([in_value(one, self._paths[name]) for one in records])
            self._mixed.update([name] if mixed else [])
            arrays.append(array)
        return pa.Table.from_arrays(arrays, list(names))

    def whole(self, names: Sequence[str]) -> pa.Table:
        parts = list(self.batches(names, 0))
        columns = []
        for name in names:
            chunks = [chunk for part in parts for chunk in part[name].chunks]
            kinds = {chunk.type for chunk in chunks if not pa.types.is_null(chunk.type)}
            if len(kinds) > 1:  # of several kinds in different places
                array, mixed = column_of([value for one in chunks for value in one.to_pylist()])
                self._mixed.update([name] if mixed else [])
                columns.append(pa.chunked_array([array]))
            else:
                kind = kinds.pop() if kinds else pa.null()
                columns.append(pa.chunked_array([one.cast(kind) for one in chunks], kind))
        return pa.Table.from_arrays(columns, list(names))


def _schema(tree: dict[str, Any]) -> pa.Schema | None:
    """What Arrow is to read, as nested as the paths; None where some column has no type."""

    def typed(below: Any) -> pa.DataType | None:
        if not isinstance(below, dict):
            return below
        fields = [(name, typed(one)) for name, one in below.items()]
        return None if any(kind is None for _, kind in fields) else pa.struct(fields)

    whole = typed(tree)
    return None if whole is None else pa.schema(list(whole))


def is_json_lines(source: Source) -> bool:
    """Whether the content is one JSON object a line: the first line is one, and another follows."""
    text = source.text.lstrip()
    if not text.startswith("{"):
        return False
    with source.file.open("rb") as file:
        lines = (line for line in iter(lambda: file.readline(_MOST_LINE), b"") if line.strip())
        first, second = next(lines, b""), next(lines, b"")
    try:
        record = json.loads(first.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        return second.lstrip().startswith(b"{")
    # One object alone is a record, unless it holds columns.
    return bool(second.strip()) or not all(isinstance(v, list | dict) for v in record.values())


# A first line longer than this is a document.
_MOST_LINE = 1 << 26


def is_document(source: Source) -> bool:
    """Whether the content is JSON of another form."""
    return source.text.lstrip().startswith(("{", "["))


def read_document(source: Source, asked: Asked) -> Tabular:
    """A JSON document as a table; `InputError` for one that is none of the forms above."""
    try:
        value = json.loads(source.file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise source.broken(error, "a whole JSON document") from error
    while isinstance(value, dict) and len(value) == 1 and _records_in(*value.values()):
        value = next(iter(value.values()))
    if isinstance(value, dict) and isinstance(value.get("data"), list) and value["data"]:
        if isinstance(value.get("columns"), list):
            return _split(value["columns"], value["data"], source)
        if isinstance(value.get("schema"), dict):
            value = value["data"]
    if isinstance(value, dict) and value:
        return _columns(value, source)
    if _records_in(value):
        names = list(dict.fromkeys(key for record in value for key in record))
        columns = ([record.get(name) for record in value] for name in names)
        return InMemory(*table_of(names, columns))
    raise _no_table(source, value)


def _records_in(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _split(names: list[Any], rows: list[Any], source: Source) -> Tabular:
    for k, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise InputError(
                "another number of values than of columns",
                where=f"{source.path}, row {k + 1} of data",
                found=len(row) if isinstance(row, list) else type(row).__name__,
                expected=len(names),
            )
    # A frame with several levels of columns has lists for names.
    called = [".".join(map(str, one)) if isinstance(one, list) else str(one) for one in names]
    return InMemory(*table_of(called, ([row[k] for row in rows] for k in range(len(names)))))


def _columns(value: dict[str, Any], source: Source) -> Tabular:
    """A column a key: lists of one length, or objects with the same keys (the index)."""
    if all(isinstance(one, list) for one in value.values()):
        lengths = {name: len(one) for name, one in value.items()}
        if len(set(lengths.values())) == 1:
            return InMemory(*table_of(list(value), value.values()))
    elif all(isinstance(one, dict) for one in value.values()):
        index = list(dict.fromkeys(key for one in value.values() for key in one))
        if all(len(one) == len(index) for one in value.values()):
            columns = ([one[key] for key in index] for one in value.values())
            return InMemory(*table_of(list(value), columns))
    raise _no_table(source, value)


def _no_table(source: Source, value: Any) -> InputError:
    found = f"an object of {', '.join(list(value)[:6])}" if isinstance(value, dict) else "a list"
    return InputError(
        "no table in this JSON",
        where=source.path,
        found=found if value else "nothing",
        expected='one object a line, a list of records, {"columns": [...], "data": [[...]]}, or a '
        "column a key",
    )

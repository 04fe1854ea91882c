"""Open what a user named: a file of any format, a folder of files, a table in Python; with joins.

Columns by path (``doc.race``), keys of Hive partitions and joined columns are columns like others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pyarrow as pa

from fairlora.errors import InputError
from fairlora.predictions.join import Join, JoinOf
from fairlora.predictions.own_tables import require
from fairlora.predictions.recognise import FORMATS, recognised
from fairlora.predictions.source import Source
from fairlora.predictions.table import METADATA_KEY
from fairlora.predictions.tabular import Asked, Tabular, width_of
from fairlora.predictions.values import at_path, parts_of

# A table of more rows than this streams, and one of more bytes in what is asked for; a folder of
# files always does.
STREAM_ROWS = 2_000_000
STREAM_BYTES = 256 << 20
# What a folder of files may be of, the likeliest to be meant first.
_IN_FOLDERS = ("Parquet", "Arrow (Feather)", "ORC", "JSON lines", "CSV")
# What Hive calls the partition of rows without a value.
_NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"


class Part(NamedTuple):
    """One file: what to call it, its table, and the keys of its partition."""

    path: Path
    table: Tabular
    keys: Mapping[str, str | None]


@dataclass
class Opened:
    """Tables that are one: the files of a folder, or one file, and what is joined to it.

    Attributes
    ----------
    path : as the user named it.
    parts : the files in order.
    asked : what is asked of them.
    is_folder : whether it is a folder.
    unread : files of the folder that are no tables.
    joins : tables joined by id.
    """

    path: Path
    parts: list[Part]
    asked: Asked
    is_folder: bool = False
    unread: list[str] = field(default_factory=list)
    joins: list[Join] = field(default_factory=list)

    @property
    def schema(self) -> pa.Schema:
        """Of all columns that can be named, as the first file has them."""
        first = self.parts[0]
        schema = first.table.schema
        for name in first.keys:
            if name not in schema.names:
                schema = schema.append(pa.field(name, pa.string()))
        for name in self.asked.columns:
            if name not in schema.names and parts_of(name, schema.names) is not None:
                schema = schema.append(pa.field(name, pa.null()))
        for one in self.joins:
            for name in one.names:
                if name not in schema.names:
                    schema = schema.append(one.field(name))
        return schema

    @property
    def rows(self) -> int:
        return sum(part.table.rows for part in self.parts)

    @property
    def streams(self) -> bool:
        """Whether it is too large to hold in memory with ease."""
        return self.is_folder or self.rows > STREAM_ROWS or self.bytes > STREAM_BYTES

    @property
    def bytes(self) -> int:
        """About how many bytes of values the columns that are asked for have."""
        schema, lists, each = self.schema, [], 0
        for name in self.wanted():
            kind = schema.field(name).type
            if pa.types.is_list(kind) or pa.types.is_large_list(kind):
                lists.append(name)
            each += width_of(kind)
        # How long lists are, the first ones say.
        for _, _, table in self.batches(lists, 1000) if lists else ():
            each += sum(table[name].nbytes for name in lists) // max(table.num_rows, 1)
            break
        return each * self.rows

    def wanted(self) -> list[str]:
        """Of the columns those that are asked for; all of a table that fairlora wrote."""
        schema, asked = self.schema, self.asked
        if METADATA_KEY in (schema.metadata or {}):
            return list(schema.names)
        return [
            name
            for name in dict.fromkeys(schema.names)
            if name in (*asked.names, *asked.numbers)
            or name == "split"
            or (asked.probs is not None and name.startswith(asked.probs))
        ]

    def with_all(self, table: pa.Table) -> pa.Table:
        """A table of some columns with all others empty, for those who look at their names."""
        schema = self.schema
        for name in schema.names:
            if name not in table.column_names:
                table = table.append_column(name, pa.nulls(table.num_rows))
        return table

    def batches(self, names: Sequence[str], size: int) -> Iterator[tuple[Path, int, pa.Table]]:
        """File, number of its rows before, and rows, batch by batch.

        Raises `InputError` for a file without one of the columns, or that breaks off.
        """
        for one in self._used(names):
            one.start()
        for part in self.parts:
            read, start = self._read(part, names), 0
            with reading(part.path):
                for table in part.table.batches(read, size):
                    yield part.path, start, self._columns(part, table, names)
                    start += table.num_rows
        for one in self._used(names):
            one.check(self.path)

    def whole(self, names: Sequence[str]) -> pa.Table:
        """All rows of the one file that it is; `InputError` for a folder."""
        if self.is_folder:
            raise InputError(
                "the rows are needed in memory",
                where=self.path,
                found="a folder",
                expected="one file",
            )
        (part,) = self.parts
        for one in self._used(names):
            one.start()
        with reading(part.path):
            table = part.table.whole(self._read(part, names))
            out = self._columns(part, table, names)
        if not out.num_rows:
            raise InputError("the table has no rows", where=self.path)
        for one in self._used(names):
            one.check(self.path)
        return out.replace_schema_metadata(part.table.schema.metadata)

    def notes(self) -> list[str]:
        """What to say of how it was read, once it is."""
        notes = [f"{part.path.name}: {text}" for part in self.parts for text in part.table.notes]
        if len(notes) > 3:  # a folder's files are written alike
            notes = [*notes[:3], f"... and {len(notes) - 3} more such notes"]
        asked = (*self.asked.names, *self.asked.numbers)
        for one in self._used(asked):
            notes += one.notes([n for n in one.names if n in asked])
        if self.unread:
            listed = ", ".join(self.unread[:5]) + ", ..." * (len(self.unread) > 5)
            notes.append(f"{self.path.name}: files of other formats were not read: {listed}")
        return notes

    def _used(self, names: Sequence[str]) -> list[Join]:
        return [one for one in self.joins if not set(one.names).isdisjoint(names)]

    def _read(self, part: Part, names: Sequence[str]) -> list[str]:
        """The columns of a file that these are made of."""
        have = part.table.schema.names
        out: dict[str, None] = {}
        for name in [*names, *(one.on for one in self._used(names))]:
            parts = parts_of(name, have)
            if name in have:
                out[name] = None
            elif parts is not None:
                out[parts[0]] = None
            elif name not in part.keys and all(name not in one.names for one in self.joins):
                raise InputError(
                    f"no column {name!r}", where=part.path, expected="one of " + ", ".join(have)
                )
        return list(out)

    def _columns(self, part: Part, table: pa.Table, names: Sequence[str]) -> pa.Table:
        have = table.column_names  # Arrow makes the list anew each time
        present = set(have)

        def column(name: str) -> Any:
            if name in present:
                return table[name]
            if name in part.keys:
                return pa.repeat(pa.scalar(part.keys[name], pa.string()), table.num_rows)
            if name in joined:
                return joined[name]
            start, steps = parts_of(name, have) or ("", ())
            return at_path(table[start], steps, f"{part.path}, column {start}")

        joined: dict[str, Any] = {}
        for one in self._used(names):
            some = [name for name in names if name in one.names]
            joined |= one.columns(column(one.on), some, str(part.path))
        return pa.Table.from_arrays([column(name) for name in names], list(names))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what Arrow says of a broken file into one line."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(
            "not a readable table",
            where=path,
            found=str(error).strip().split("\n")[0][:160] or type(error).__name__,
            expected="a whole table",
        ) from error


def open_tables(path: Path, asked: Asked = Asked()) -> Opened:
    """A file, a folder of files, or ``-`` (standard input), of any of `FORMATS`.

    Raises `InputError` for what is not there, is no table, or has no rows.
    """
    source = Source(path)
    if source.is_folder:
        return _open_folder(source, asked)
    table = _open_file(source, asked)
    if table.rows == 0:
        raise InputError("the table has no rows", where=source.path)
    return Opened(source.path, [Part(source.path, table, {})], asked)


def opened_for(
    path: Path | Opened,
    probs: str | None,
    groups: Sequence[str],
    columns: Mapping[str, str | None],
    joins: Sequence[JoinOf] = (),
) -> Opened:
    """A file opened for the columns of an audit; what is open already stays as it is.

    Parameters
    ----------
    path : the file, or what is open.
    probs : a column of probabilities, or the prefix of several.
    groups : columns of groups.
    columns : what else has a name: role -> column, or None; "weight" is of numbers.
    joins : files to join by id.
    """
    if isinstance(path, Opened):
        return path
    asked = asked_for(probs, groups, columns, joins)
    return with_joins(open_tables(Path(path), asked), joins)


def asked_for(
    probs: str | None,
    groups: Sequence[str],
    columns: Mapping[str, str | None],
    joins: Sequence[JoinOf] = (),
) -> Asked:
    """What the columns of an audit ask of a table.

    Parameters
    ----------
    probs, groups, columns, joins : as of `opened_for`.
    """
    others = (name for role, name in columns.items() if role != "weight")
    names = (*others, *groups, *(one.on for one in joins))
    weight = columns.get("weight")
    return Asked(
        tuple(dict.fromkeys(name for name in names if name is not None)),
        probs,
        () if weight is None else (weight,),
    )


def with_joins(opened: Opened, joins: Sequence[JoinOf]) -> Opened:
    """A table with others joined to it by id.

    Raises `InputError` for a column of ids that is not there, for ids that are missing or stand
    twice in what is joined, and for a column that is asked for and stands in two tables.
    """
    for one in joins:
        own = opened.schema
        require(own.names, one.on, "--on", opened.path)
        # What is asked for and not here; and the prefix of probabilities, which may be anywhere.
        asked = opened.asked._replace(names=(one.key, *opened.asked.names))
        other = open_tables(one.path, asked)
        require(other.schema.names, one.key, "--on", other.path)
        wanted = [name for name in other.wanted() if name not in (one.key, "split")]
        both = [name for name in wanted if name in own.names and name != one.on]
        if both:
            raise InputError(
                f"column {both[0]!r} stands in two files that are joined",
                where=other.path,
                found=f"in {opened.path} too",
                expected="it in one of them: rename it, or leave it out",
            )
        if not wanted:
            raise InputError(
                "nothing in this file is asked for",
                where=f"{other.path} (--join)",
                found=", ".join(name for name in other.schema.names if name != one.key)
                or "no other column",
                expected="one of its columns as --label, --pred, --group or the like",
            )
        opened.joins.append(Join(other.whole([one.key, *wanted]), one.on, one.key, str(other.path)))
    return opened


def _open_file(source: Source, asked: Asked) -> Tabular:
    with reading(source.path):
        content, one = recognised(source)
        table = one.read(content, asked)
        table.content = content
        names = table.schema.names  # decodes them: a binary file may get as far as here
    if set(asked.names) <= set(names):  # else it is said which column is not there
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        if twice:
            raise InputError("a column name stands twice", where=source.path, found=repr(twice[0]))
    return table


def _open_folder(source: Source, asked: Asked) -> Opened:
    """The files of a folder that are tables of one format, in order of their names."""
    special = next((one for one in FORMATS if one.test(source)), None)
    if special is not None:
        return Opened(source.path, [Part(source.path, special.read(source, asked), {})], asked)
    folder = source.path
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    # Writers leave others beside the data: a partial one, a marker.
    files = [file for file in files if not file.name.startswith((".", "_"))]
    formats: dict[Path, str | InputError] = {}
    for file in files:
        try:
            formats[file] = recognised(Source(file))[1].name
        except InputError as error:
            formats[file] = error
    kind = next((name for name in _IN_FOLDERS if name in formats.values()), None)
    parts = []
    for file in files:
        if formats[file] == kind is not None:
            table = _open_file(Source(file), asked)
            # Any text may be columns; a note beside the data has none that are asked for.
            if kind != "CSV" or not asked.names or {*asked.names} & {*table.schema.names}:
                parts.append(Part(file, table, _keys(file.relative_to(folder).parts[:-1])))
    if not parts:
        listed = ", ".join(file.name for file in files[:5]) + ", ..." * (len(files) > 5)
        raise InputError(
            "no tables in this folder",
            where=folder,
            found=listed or "no files",
            expected=f"files of {', '.join(_IN_FOLDERS)}",
        )
    read = {part.path for part in parts}
    endings = {file.suffix.lower() for file in read}
    for file in files:
        # One that is called as the others are, and is no table, is a part that would be missing.
        if file not in read and file.suffix.lower() in endings:
            problem = formats[file]
            raise InputError(
                "not a readable table",
                where=file,
                found=problem if isinstance(problem, str) else str(problem).partition(": ")[2],
                expected=f"{kind}, as the other files of the folder",
            )
    unread = [file.name for file in files if file not in read]
    return Opened(folder, parts, asked, is_folder=True, unread=unread)


def _keys(folders: Sequence[str]) -> dict[str, str | None]:
    """The keys of a Hive partition: folders called ``key=value``.

    >>> _keys(["run", "sex=f", "race=North%20African"])
    {'sex': 'f', 'race': 'North African'}
    """
    pairs = (name.partition("=") for name in folders if re.fullmatch(r"[^=]+=.*", name))
    return {
        unquote(key): None if value == _NO_PARTITION else unquote(value) for key, _, value in pairs
    }

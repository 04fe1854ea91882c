"""Text files of columns: commas, semicolons, tabs or others between them, names as they stand.

The header decides what stands between columns: what leaves the columns that are asked for, else
what parts every line into as many.
"""

from __future__ import annotations

import codecs
import csv
import mmap
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from fairlora.errors import InputError
from fairlora.predictions.arrow import is_text as is_words
from fairlora.predictions.source import Source
from fairlora.predictions.tabular import Asked, Tabular

# What may stand between columns, the likeliest first, and what to call it.
_DELIMITERS = {
    ",": "commas",
    ";": "semicolons",
    "\t": "tabs",
    "|": "bars",
    "\x01": "control characters (01)",
    "\x1f": "control characters (1F)",
    "^": "carets",
    "~": "tildes",
    ":": "colons",
    " ": "spaces",
}
# Lines that say whether all have as many columns.
_LINES = 20
_BLOCK_BYTES = 4 << 20
# Names that were parsed once are kept as numbers, up to so many bytes of them.
_KEPT_BYTES = 128 << 20
NAMES = pa.dictionary(pa.int32(), pa.string())


class Form(NamedTuple):
    """How a file is written.

    Attributes
    ----------
    names : of the header.
    delimiter, decimal : between columns, and within a number.
    skip : lines before the header: spreadsheets write "sep=;" there.
    spaced : whether a space follows each delimiter, and is part of it.
    """

    names: list[str]
    delimiter: str
    decimal: str
    skip: int
    spaced: bool

    def note(self) -> list[str]:
        """What to say of it; nothing of commas with decimal points."""
        between = [f"{_DELIMITERS[self.delimiter]} between columns"] * (self.delimiter != ",")
        decimal = ["decimal commas"] * (self.decimal == ",")
        return [f"read as text with {' and '.join(between + decimal)}"] if between + decimal else []


def form_of(text: str, named: Sequence[str]) -> Form:
    """How a file is written, by its first lines and the columns `named` that it should have."""
    lines = text.splitlines()
    skip = 1 if lines and re.fullmatch(r'"?sep=.?"?', lines[0].strip()) else 0
    lines = lines[skip:] or [""]
    headers = {one: next(csv.reader(lines[:1], delimiter=one), []) for one in _DELIMITERS}
    whole = lines[: min(_LINES, len(lines) - 1)]  # the last may be cut off

    def columns(delimiter: str) -> int:
        """How many columns every line has; 1 where they differ."""
        counts = {len(row) for row in csv.reader(whole, delimiter=delimiter) if row}
        return counts.pop() if len(counts) == 1 else 1

    held = {one: len({n.strip() for n in headers[one]} & set(named)) for one in _DELIMITERS}
    best = max(held.values())
    likely = [one for one in _DELIMITERS if held[one] == best]
    parted = (one for one in likely if len(likely) > 1 and columns(one) > 1)
    delimiter = next(parted, likely[0])
    names = headers[delimiter]
    quote = '"' if delimiter == "," else '"?'
    number = re.escape(delimiter) + quote + r"-?\d+{}\d"
    commas, points = (re.search(number.format(mark), text) for mark in (",", r"\."))
    return Form(
        names,
        delimiter,
        "," if commas and not points else ".",
        skip,
        len(names) > 1 and all(name.startswith(" ") for name in names[1:]),
    )


class TextTable(Tabular):
    """A text file of columns.

    Parameters
    ----------
    source : the file.
    asked : columns of names are as they stand ("01" is not "1"), and spaces around the names of a
        header are of no name, unless they are asked for, or make two names of one.
    """

    def __init__(self, source: Source, asked: Asked) -> None:
        self.file, self._path = source.file, source.path
        self._form = form = form_of(source.text, asked.names)
        named = asked.names
        stripped = [name.strip() for name in form.names]
        clean = len(set(stripped)) == len(stripped) and not set(named) <= set(form.names)
        # Only where there are quotes can a value hold a line's end; looking for it costs time.
        self._quotes = _has_quotes(self.file)
        if self._quotes:
            _check_closed(self.file, form.delimiter, self._path)
        self._types: dict[str, pa.DataType] = {
            raw: NAMES
            for raw, name in zip(form.names, stripped, strict=True)
            if raw in named or name in named
        }
        opened = self._opened(None)
        raw_names = opened.schema.names
        names = stripped if clean and raw_names == form.names else raw_names
        self._raw = dict(zip(names, raw_names, strict=True))
        kinds = opened.schema.types
        # A spreadsheet's empty last column and an index without a name are of no use to anybody.
        unnamed = names.count("") > 1
        fields = zip(names, kinds, strict=True)
        self.schema = pa.schema([(n, kind) for n, kind in fields if n or not unnamed])
        self._spaced = {name for name in names if form.spaced and name in named}
        self.rows = source.estimated_lines
        self._kept: list[pa.Table] = []
        self.notes = tuple(form.note())

    def _options(self, names: Sequence[str] | None, types: dict[str, Any]) -> dict[str, Any]:
        return {
            "parse_options": pa_csv.ParseOptions(
                delimiter=self._form.delimiter, newlines_in_values=self._quotes
            ),
            "convert_options": pa_csv.ConvertOptions(
                column_types=types,
                include_columns=None if names is None else [self._raw[name] for name in names],
                strings_can_be_null=True,
                null_values=[""],
                decimal_point=self._form.decimal,
            ),
        }

    def _opened(
        self, names: Sequence[str] | None, types: dict[str, Any] | None = None
    ) -> pa_csv.CSVStreamingReader:
        reading = pa_csv.ReadOptions(skip_rows=self._form.skip, block_size=_BLOCK_BYTES)
        options = self._options(names, self._types | (types or {}))
        try:
            return pa_csv.open_csv(self.file, reading, **options)
        except pa.ArrowInvalid as error:
            raise self._refused(error) from error

    def batches(self, names: Sequence[str], size: int) -> Iterator[pa.Table]:
        if self._kept and set(names) <= set(self._kept[0].column_names):
            yield from (table.select(list(names)) for table in self._kept)
            return
        kept: list[pa.Table] | None = None
        if all(self._types.get(self._raw[name]) == NAMES for name in names):
            kept = []
        for table in self._parsed(names):
            if kept is not None:
                kept.append(_small(table))
                if kept[-1].nbytes * len(kept) > _KEPT_BYTES:
                    kept = None
            yield table
        self._kept = kept or []

    def _parsed(self, names: Sequence[str]) -> Iterator[pa.Table]:
        # Of the first rows alone it is not known whether all numbers are whole.
        others = [name for name in names if self._raw[name] not in self._types]
        types = {
            self._raw[name]: pa.float64()
            for name in others
            if not is_words(self.schema.field(name).type)
        }
        done = 0
        try:
            for batch in self._opened(names, types):
                yield self._finished(pa.table(batch), names)
                done += batch.num_rows
        except pa.ArrowInvalid as error:
            if not types or "conversion error" not in str(error):
                raise self._refused(error) from error
        else:
            return
        # Words stand among numbers: all are read as words, and judged where they are used.
        skip = done
        try:
            for batch in self._opened(names, dict.fromkeys(types, pa.string())):
                rest = batch.slice(min(skip, batch.num_rows))
                skip -= batch.num_rows - rest.num_rows
                if rest.num_rows:
                    yield self._finished(pa.table(rest), names)
        except pa.ArrowInvalid as error:
            raise self._refused(error) from error

    def whole(self, names: Sequence[str]) -> pa.Table:
        reading = pa_csv.ReadOptions(skip_rows=self._form.skip)
        try:
            table = pa_csv.read_csv(self.file, reading, **self._options(names, self._types))
        except pa.ArrowInvalid as error:
            raise self._refused(error) from error
        return self._finished(table, names)

    def _finished(self, table: pa.Table, names: Sequence[str]) -> pa.Table:
        table = table.rename_columns(list(names))
        for name in self._spaced.intersection(names):
            place = table.column_names.index(name)
            table = table.set_column(place, name, _without_space(table[name]))
        return table

    def _refused(self, error: Exception) -> Exception:
        column = re.search(r"CSV column #(\d+):.*invalid UTF8", str(error))
        if column is None:
            return error
        return InputError(
            "not a column of names",
            where=f"{self._path}, column {self._form.names[int(column.group(1))].strip()}",
            found="bytes that are no UTF-8",
            expected="words in UTF-8",
        )


def is_text(start: bytes) -> bool:
    """Whether the first bytes of a file may be text; letters of any encoding of one byte are."""
    control = sum(byte < 32 and byte not in b"\t\n\r\x01\x1f" for byte in start[:4096])
    if not start or b"\0" in start:
        return False
    if control * 50 <= min(len(start), 4096):
        return True
    # Names may hold many control characters; the bytes of another format are no UTF-8.
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start[:4096])
    except UnicodeDecodeError:
        return False
    return True


def _small(table: pa.Table) -> pa.Table:
    """Columns of names whose numbers are no larger than they need be."""

    def small(chunk: pa.DictionaryArray) -> pa.DictionaryArray:
        most = len(chunk.dictionary)
        kind = pa.int8() if most < 1 << 7 else pa.int16() if most < 1 << 15 else pa.int32()
        # Arrow leaves room behind the names for as many as there are rows: a copy has none.
        names = pc.take(chunk.dictionary, pa.array(range(most), pa.int32()))
        return pa.DictionaryArray.from_arrays(chunk.indices.cast(kind), names)

    columns = [
        pa.chunked_array([small(chunk) for chunk in column.chunks]) for column in table.columns
    ]
    return pa.Table.from_arrays(columns, table.column_names)


def _without_space(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Words without the space that belongs to the delimiter before them."""
    chunks = [
        pa.DictionaryArray.from_arrays(
            chunk.indices, pc.replace_substring_regex(chunk.dictionary, "^ ", "")
        )
        for chunk in column.chunks
    ]
    return pa.chunked_array(chunks, column.type)


def _check_closed(file: Path, delimiter: str, path: Path) -> None:
    """Raise `InputError` where the file ends within a quoted value.

    Arrow takes all lines after such a quote for one value, and says nothing.
    """
    try:
        with file.open("rb") as content:
            blocks = iter(lambda: content.read(_BLOCK_BYTES), b"")
            if sum(block.count(b'"') for block in blocks) % 2 == 0:
                return
            # A mark of inches within a word is no quote: one opens where a value begins.
            start = rb"(?:\A|(?<=[\r\n" + re.escape(delimiter.encode()) + rb"]))"
            with mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ) as text:
                for found in re.finditer(start + rb'"(?:[^"]++|"")*+("|\Z)', text):
                    if not found[1]:
                        line = text[: found.start()].count(b"\n") + 1
                        raise InputError("a quote that never closes", where=f"{path}, line {line}")
    except InputError:
        raise
    except (ValueError, OSError):  # a pipe
        return


def _has_quotes(path: Path) -> bool:
    # Not by a map of the file, which would count as memory.
    with path.open("rb") as file:
        return any(b'"' in block for block in iter(lambda: file.read(_BLOCK_BYTES), b""))

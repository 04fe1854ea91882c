"""Text files of columns: commas, semicolons, tabs or bars between them, names as they stand.

The header decides what stands between columns: what leaves the columns that are asked for.
"""

from __future__ import annotations

import csv
import mmap
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

_DELIMITERS = (",", ";", "\t", "|")
# So much of a file says how it is written.
_HEAD_BYTES = 1 << 16


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


def form_of(path: Path, named: Sequence[str]) -> Form:
    """How a file is written, by its first lines and the columns `named` that it should have.

    Raises what pyarrow raises for a file that cannot be read.
    """
    with pa.input_stream(str(path)) as file:  # unpacks .gz by its ending
        head = file.read(_HEAD_BYTES).decode("utf-8", errors="replace").removeprefix("\ufeff")
    lines = head.splitlines()
    skip = 1 if lines and re.fullmatch(r'"?sep=.?"?', lines[0].strip()) else 0
    lines = lines[skip:] or [""]
    found = {one: next(csv.reader(lines[:1], delimiter=one), []) for one in _DELIMITERS}
    held = {one: len({name.strip() for name in found[one]} & set(named)) for one in _DELIMITERS}
    delimiter = max(_DELIMITERS, key=lambda one: held[one])  # the comma, where nothing tells
    names = found[delimiter]
    commas = re.search(r";-?\d+,\d", head), re.search(r";-?\d+\.\d", head)
    return Form(
        names,
        delimiter,
        "," if delimiter == ";" and commas[0] and not commas[1] else ".",
        skip,
        len(names) > 1 and all(name.startswith(" ") for name in names[1:]),
    )


def read_delimited(path: Path, named: Sequence[str]) -> pa.Table:
    """The table in a file, its columns `named` as they stand: "01" is not "1"."""
    form = form_of(path, named)
    stripped = [name.strip() for name in form.names]
    # Spaces around the names of a header are of no name, unless they are asked for, or make two.
    clean = len(set(stripped)) == len(stripped) and not set(named) <= set(form.names)
    held = [raw for raw, name in zip(form.names, stripped, strict=True) if name in named]
    kind = pa.dictionary(pa.int32(), pa.string())
    table = pa_csv.read_csv(
        path,
        read_options=pa_csv.ReadOptions(skip_rows=form.skip),
        parse_options=pa_csv.ParseOptions(
            delimiter=form.delimiter,
            # Only where there are quotes can a value hold a line's end; looking for it costs time.
            newlines_in_values=_has_quotes(path),
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys([*named, *held], kind),
            strings_can_be_null=True,
            null_values=[""],
            decimal_point=form.decimal,
        ),
    )
    if clean and table.column_names == form.names:
        table = table.rename_columns(stripped)
    if form.spaced:
        for name in named:
            if name in table.column_names:
                place = table.column_names.index(name)
                table = table.set_column(place, name, _without_space(table[name]))
    # A spreadsheet's empty last column and an index without a name are of no use to anybody.
    if table.column_names.count("") > 1:
        table = table.select([k for k, name in enumerate(table.column_names) if name])
    return table


def _without_space(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Words without the space that belongs to the delimiter before them."""
    chunks = [
        pa.DictionaryArray.from_arrays(
            chunk.indices, pc.replace_substring_regex(chunk.dictionary, "^ ", "")
        )
        for chunk in column.chunks
    ]
    return pa.chunked_array(chunks, column.type)


def _has_quotes(path: Path) -> bool:
    if path.suffix.lower() in (".gz", ".bz2", ".zst", ".lz4"):
        return True
    with path.open("rb") as file:
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return content.find(b'"') >= 0
        except (ValueError, OSError):  # an empty file, or a pipe
            return True

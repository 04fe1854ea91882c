"""Recognise the format of a file by its content, whatever its name ends in.

A new format is a row of `FORMATS`: its name, a test on the beginning of the content, and a reader.
The first row whose test holds is taken, so that what is a special kind of another (an evaluation
log is JSON or a zip) stands above it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fairlora.errors import InputError
from fairlora.predictions.delimited import TextTable, is_text
from fairlora.predictions.foreign import (
    is_arff,
    is_spreadsheet,
    is_spss,
    is_stata,
    read_arff,
    read_spreadsheet,
    read_spss,
    read_stata,
)
from fairlora.predictions.json_tables import JsonLines, is_document, is_json_lines, read_document
from fairlora.predictions.source import Source
from fairlora.predictions.tabular import ArrowTable, Asked, OrcTable, ParquetTable, Tabular


class Format(NamedTuple):
    """A format of files.

    Attributes
    ----------
    name : what to call it in a sentence.
    test : whether a source is of it. A source shows `start` (first bytes), `text` (the same as
        text), `keys` and `record` (of its first JSON object), `members` (names in a zip) and
        `is_folder`; `file` is the content itself. What is packed is tested as it is, then unpacked.
    read : makes a table of it, of which `Asked` says what will be looked at.
    """

    name: str
    test: Callable[[Source], bool]
    read: Callable[[Source, Asked], Tabular]


def _starts(*magic: bytes) -> Callable[[Source], bool]:
    return lambda source: source.start.startswith(magic)


def _is_binary(source: Source) -> bool:
    return b"\0" in source.start


FORMATS = (
    Format("Parquet", _starts(b"PAR1"), lambda source, _: ParquetTable(source.file)),
    Format(
        "Arrow (Feather)",
        _starts(b"ARROW1\0\0", b"\xff\xff\xff\xff"),
        lambda source, _: ArrowTable(source.file),
    ),
    Format(
        "ORC",
        lambda source: _is_binary(source) and source.start.startswith(b"ORC"),
        lambda source, _: OrcTable(source.file),
    ),
    Format("Excel", is_spreadsheet, read_spreadsheet),
    Format("Stata", is_stata, read_stata),
    Format("SPSS", is_spss, read_spss),
    Format("ARFF", is_arff, read_arff),
    Format("JSON lines", is_json_lines, JsonLines),
    Format("JSON", is_document, read_document),
    # Any text may be columns: the last row.
    Format("CSV", lambda source: is_text(source.start), TextTable),
)

# What people have beside tables, by its first bytes.
_OTHERS = (
    ("a pickle, which could run any code", (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")),
    ("a NumPy array", (b"\x93NUMPY",)),
    ("an HDF5 file", (b"\x89HDF",)),
    ("an SQLite database", (b"SQLite format 3",)),
    ("an encrypted Parquet file", (b"PARE",)),
    ("a Feather file of version 1, which pyarrow gives up", (b"FEA1\0\0",)),
    ("a 7z archive", (b"7z\xbc\xaf",)),
    ("a RAR archive", (b"Rar!\x1a",)),
    ("a PDF", (b"%PDF-",)),
    ("a picture", (b"\x89PNG", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")),
    ("a page of HTML or XML", (b"<!", b"<?xml", b"<html", b"<HTML")),
)


def recognised(source: Source) -> tuple[Source, Format]:
    """The content out of what it is packed in, and its format.

    Raises `InputError` that names what the content is where it is no table.
    """
    while True:
        other = _other(source)
        if other is None:
            for one in FORMATS:
                if one.test(source):
                    return source, one
        inner = None if other is not None else source.unpacked()
        if inner is None:
            *most, last = (one.name for one in FORMATS)
            raise InputError(
                "not a readable table",
                where=source.path,
                found=other or "bytes of no known format",
                expected=f"{', '.join(most)} or {last}",
            )
        source = inner


def _other(source: Source) -> str | None:
    """What the content is where it is known to be no table."""
    start = source.start
    if not start and not source.is_folder:
        return "an empty file"
    if start[257:262] == b"ustar":
        return "a tar archive"
    return next((name for name, magic in _OTHERS if start.startswith(magic)), None)

"""Recognise the format of a file by its content, whatever its name ends in.

A new format is a row of `FORMATS`: its name, a test on the beginning of the content, and a reader.
The first row whose test holds is taken, so that what is a special kind of another (an evaluation
log is JSON or a zip) stands above it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from fairlora.errors import InputError
from fairlora.predictions.delimited import read_delimited
from fairlora.predictions.source import Source


class Format(NamedTuple):
    """A format of files.

    Attributes
    ----------
    name : what to call it in a sentence.
    test : whether a source is of it. A source shows `start` (first bytes), `text` (the same as
        text), `keys` and `record` (of its first JSON object), `members` (names in a zip) and
        `is_folder`; `file` is the content itself. What is packed is tested as it is, then unpacked.
    read : makes a table of it; `named` are columns of names, which stay as they stand.
    """

    name: str
    test: Callable[[Source], bool]
    read: Callable[[Source, Sequence[str]], pa.Table]


def _starts(*magic: bytes) -> Callable[[Source], bool]:
    return lambda source: source.start.startswith(magic)


def _is_text(source: Source) -> bool:
    return bool(source.start) and b"\0" not in source.start


FORMATS = (
    Format("Parquet", _starts(b"PAR1"), lambda source, named: pq.read_table(source.file)),
    # Any text may be columns: the last row.
    Format("CSV", _is_text, lambda source, named: read_delimited(source.file, named)),
)

# What people have beside tables, by its first bytes.
_OTHERS = (
    ("a pickle, which could run any code", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
    ("a NumPy array", b"\x93NUMPY"),
    ("an HDF5 file", b"\x89HDF"),
    ("an SQLite database", b"SQLite format 3"),
    ("an encrypted Parquet file", b"PARE"),
    ("a zip of several files", b"PK"),
    ("a 7z archive", b"7z\xbc\xaf"),
    ("a RAR archive", b"Rar!"),
    ("a PDF", b"%PDF"),
    ("a picture", b"\x89PNG", b"\xff\xd8\xff", b"GIF8"),
)


def recognised(source: Source) -> tuple[Source, Format]:
    """The content out of what it is packed in, and its format.

    Raises `InputError` that names what the content is where it is no table.
    """
    while True:
        for one in FORMATS:
            if one.test(source):
                return source, one
        inner = source.unpacked()
        if inner is None:
            break
        source = inner
    if source.is_folder:
        found = "a folder"
    elif not source.start:
        found = "an empty file"
    elif source.start[257:262] == b"ustar":
        found = "a tar archive"
    else:
        named = (name for name, *magic in _OTHERS if source.start.startswith(tuple(magic)))  # type: ignore[arg-type]
        found = next(named, "bytes of no known format")
    *most, last = dict.fromkeys(one.name for one in FORMATS)
    raise InputError(
        "not a readable table",
        where=source.path,
        found=found,
        expected=f"{', '.join(most)} or {last}",
    )

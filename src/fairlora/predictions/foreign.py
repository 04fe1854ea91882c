"""Tables of other tools: Excel and OpenDocument, ARFF, Stata, SPSS."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from fairlora.errors import InputError, optional_module
from fairlora.predictions.delimited import NAMES
from fairlora.predictions.source import Source
from fairlora.predictions.tabular import Asked, InMemory, Tabular
from fairlora.predictions.values import table_of

_OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SHEETS = {"xl/workbook.xml", "xl/workbook.bin", "content.xml"}
# An attribute's name, quoted or not, and its kind.
_ATTRIBUTE = re.compile(
    r"""@attribute\s+(?:'((?:[^'\\]|\\.)+)'|"((?:[^"\\]|\\.)+)"|([^\s{]+))\s*"""
    r"""(\{.*\}|(?:numeric|real|integer|string|date)\b.*)""",
    re.IGNORECASE,
)


def is_spreadsheet(source: Source) -> bool:
    """Whether the content is a workbook: .xlsx, .xlsb, .xls or .ods."""
    return source.start.startswith(_OLE2) or not _SHEETS.isdisjoint(source.members)


def read_spreadsheet(source: Source, asked: Asked) -> Tabular:
    """The sheet whose first row has the columns that are asked for, else the first."""
    if source.start.startswith(_OLE2) and "EncryptedPackage".encode("utf-16-le") in (
        source.file.read_bytes()
    ):
        raise InputError("the workbook has a password", where=source.path)
    source.check_members()
    calamine = optional_module("python_calamine", where=source.path, otherwise="save it as CSV")
    try:
        with source.file.open("rb") as file:
            book = calamine.CalamineWorkbook.from_filelike(file)
            sheets = {
                name: book.get_sheet_by_name(name).to_python(skip_empty_area=True)
                for name in book.sheet_names
            }
    except calamine.PasswordError as error:
        raise InputError("the workbook has a password", where=source.path) from error
    except (calamine.CalamineError, OSError) as error:
        raise source.broken(error, "a whole workbook") from error
    if not sheets:
        raise InputError("no sheet in the workbook", where=source.path)

    def held(name: str) -> int:
        return len({str(cell).strip() for row in sheets[name][:1] for cell in row} & {*asked.names})

    chosen = max(sheets, key=held)  # the first of equals
    header, *rows = sheets[chosen] or [[]]
    # An empty cell is an empty word.
    columns = [[None if row[k] == "" else row[k] for row in rows] for k in range(len(header))]
    kept = [k for k, cell in enumerate(header) if str(cell).strip()]
    table, notes = table_of([str(header[k]).strip() for k in kept], [columns[k] for k in kept])
    if len(sheets) > 1:
        notes.append(f"read from the sheet {chosen!r}, one of {len(sheets)}")
    return InMemory(table, notes)


def is_arff(source: Source) -> bool:
    """Whether the content is an ARFF file: comments, then @relation."""
    return bool(re.match(r"(\s*(%.*)?\n)*\s*@relation\b", source.text, re.IGNORECASE))


def read_arff(source: Source, asked: Asked) -> Tabular:
    """An ARFF file (Weka, OpenML): its rows are CSV with quotes of one kind; "?" is missing."""
    content = source.file.read_bytes()
    begin = re.search(rb"^\s*@data\b[^\n]*\n", content, re.IGNORECASE | re.MULTILINE)
    if begin is None:
        raise InputError("no @data in an ARFF file", where=source.path, expected="a whole file")
    types: dict[str, pa.DataType] = {}
    for line in content[: begin.start()].decode("utf-8", errors="replace").splitlines():
        if not line.lstrip().lower().startswith("@attribute"):
            continue
        found = _ATTRIBUTE.match(line.strip())
        if found is None:
            raise InputError(
                "an ARFF attribute of no known kind", where=source.path, found=repr(line[:60])
            )
        name = next(one for one in found.groups()[:3] if one is not None).replace("\\", "")
        number = re.match(r"(numeric|real|integer)\b", found[4], re.IGNORECASE)
        types[name] = pa.float64() if number else NAMES
    rows = content[begin.end() :]
    if rows.lstrip().startswith(b"{"):
        raise InputError("sparse ARFF rows", where=source.path, expected="dense ones: 1,?,male")
    single = re.search(rb"(^|,)\s*'", rows, re.MULTILINE) is not None
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(rows),
            pa_csv.ReadOptions(column_names=list(types)),
            pa_csv.ParseOptions(
                quote_char="'" if single else '"',
                double_quote=False,
                escape_char="\\",
                newlines_in_values=False,
                invalid_row_handler=_skip_comments,
            ),
            pa_csv.ConvertOptions(column_types=types, null_values=["?"], strings_can_be_null=True),
        )
    except pa.ArrowInvalid as error:
        raise source.broken(error, "rows of an ARFF file") from error
    for k, (name, kind) in enumerate(types.items()):
        if kind == NAMES:
            table = table.set_column(k, name, _trimmed(table[name]))
    return InMemory(table)


def _skip_comments(row: pa_csv.InvalidRow) -> str:
    return "skip" if row.text.lstrip().startswith("%") else "error"


def _trimmed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Words without spaces around them, and without quotes that a space kept from being any."""
    chunks = []
    for chunk in column.chunks:
        words = pc.utf8_trim_whitespace(chunk.dictionary)
        words = pc.replace_substring_regex(words, r"""^(['"])(.*)['"]$""", r"\2")
        missing = pc.equal(words, "?")
        chunks.append(pc.if_else(missing, None, words).take(chunk.indices).dictionary_encode())
    return pa.chunked_array(chunks, NAMES)


def is_stata(source: Source) -> bool:
    """Whether the content is a Stata file of version 8 or later."""
    start = source.start
    old = len(start) > 4 and 113 <= start[0] <= 115 and start[1] in (1, 2) and start[2] == 1
    return old or start.startswith(b"<stata_dta>")


def read_stata(source: Source, asked: Asked) -> Tabular:
    """A Stata file, by pandas: values with labels are their labels."""
    import pandas as pd

    notes = []
    try:
        with source.file.open("rb") as file:
            try:
                frame = pd.read_stata(file)
            except ValueError as error:
                if "not unique" not in str(error):
                    raise
                file.seek(0)
                frame = pd.read_stata(file, convert_categoricals=False)
                notes.append("labels of values are not unique: values are read without them")
    except Exception as error:  # pandas raises whatever a broken file makes of it
        raise source.broken(error, "a whole Stata file") from error
    return of_frame(frame, asked, notes)


def is_spss(source: Source) -> bool:
    """Whether the content is an SPSS file: .sav, .zsav or .por."""
    return (
        source.start.startswith((b"$FL2", b"$FL3"))
        or b"ASCII SPSS PORT FILE" in (source.start[:400])
    )


def read_spss(source: Source, asked: Asked) -> Tabular:
    """An SPSS file, by pyreadstat: values with labels are their labels."""
    pyreadstat = optional_module("pyreadstat", where=source.path, otherwise="save it as CSV")
    portable = not source.start.startswith(b"$FL")
    try:
        read = pyreadstat.read_por if portable else pyreadstat.read_sav
        frame, _ = read(
            str(source.file), apply_value_formats=True, formats_as_ordered_category=False
        )
    except Exception as error:  # errors of its own, and of what it calls
        raise source.broken(error, "a whole SPSS file") from error
    return of_frame(frame, asked)


def of_frame(frame: Any, asked: Asked, notes: Sequence[str] = ()) -> Tabular:
    """A frame of pandas as a table, and which columns are read by the labels of their values.

    Parameters
    ----------
    frame : of any columns.
    asked : the columns that notes are on.
    notes : what is said of it already.
    """
    import pandas as pd

    labelled = [
        name
        for name in frame
        if name in asked.names and isinstance(frame[name].dtype, pd.CategoricalDtype)
    ]
    said = [f"values are read by their labels: {', '.join(labelled)}"] if labelled else []
    try:
        return InMemory(pa.Table.from_pandas(frame, preserve_index=False), [*notes, *said])
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        columns = [[None if pd.isna(v) else v for v in frame[name].tolist()] for name in frame]
        table, mixed = table_of([str(name) for name in frame], columns)
        return InMemory(table, [*notes, *said, *mixed])

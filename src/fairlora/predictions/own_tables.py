"""Recognise fairlora's own tables, and read their columns of class numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from fairlora.errors import InputError
from fairlora.predictions.arrow import RowNumber, first_row, joined, numbers
from fairlora.predictions.table import METADATA_KEY, OWN_COLUMNS, VERSION


class Versioned(BaseModel):
    """What stands beside the columns of a table of ours; more may, and is not read from here."""

    model_config = ConfigDict(strict=True, extra="allow")

    version: int


Record = TypeVar("Record", bound=Versioned)


class _Metadata(Versioned):
    classes: list[str]
    groups: list[str]


def metadata_of(schema: pa.Schema, path: Path) -> dict[str, Any] | None:
    """What fairlora wrote beside a table, checked; None for a table of others."""
    raw = (schema.metadata or {}).get(METADATA_KEY)
    if raw is None:
        return None
    meta = checked_metadata(raw, _Metadata, VERSION, path)
    for name in OWN_COLUMNS[:4]:
        require(schema.names, name, "the predictions table", path)
    return meta.model_dump()


def checked_metadata(raw: bytes, model: type[Record], version: int, path: Path) -> Record:
    """What fairlora wrote beside the columns of a table, as the model of it.

    Parameters
    ----------
    raw : the JSON.
    model : of the record.
    version : that is read here.
    path : the table, for errors.

    Raises
    ------
    InputError : JSON that is broken, or of another version.
    """
    try:
        record = model.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise InputError(
            "broken metadata",
            where=path,
            found=f"{key}: {first['msg']}" if key else "no JSON object",
        ) from error
    if record.version != version:
        raise InputError(
            "written by another version of fairlora",
            where=path,
            found=f"version {record.version}",
            expected=f"version {version}",
        )
    return record


def require(names: Sequence[str], column: str, option: str, path: Path) -> None:
    """Raise `InputError` for a column that is not there.

    Parameters
    ----------
    names : of the columns that are there.
    column : that must be among them.
    option : what asks for it, for the message.
    path : the table's file, for the message.
    """
    if column not in names:
        raise InputError(
            f"no column {column!r}",
            where=f"{path} ({option})",
            expected="one of " + ", ".join(names),
        )


def class_indices(
    table: pa.Table,
    column: str,
    names: Sequence[str],
    path: Path,
    number: RowNumber = first_row,
) -> NDArray[np.int64]:
    """A column of indices into the classes, as fairlora's own tables have them, checked.

    Parameters
    ----------
    table : has the column.
    column : its name.
    names : class names in order.
    path : the table's file, for a message.
    number : gives the number of the first marked row, for a message.

    Raises
    ------
    InputError : a value is missing, no whole number, or out of range.
    """
    where = f"{path}, column {column}"
    values = joined(table[column])
    if values.null_count:
        row = number(numbers(values.is_null()).astype(bool))
        raise InputError("missing value", where=f"{where}, row {row}")
    if not pa.types.is_integer(values.type):
        raise InputError(
            "not a class index",
            where=f"{where}, row {number(np.ones(len(values), dtype=bool))}",
            found=repr(str(values[0].as_py())),
            expected=f"0 to {len(names) - 1}",
        )
    codes = numbers(values)
    bad = (codes < 0) | (codes >= len(names))
    if bad.any():
        raise InputError(
            "class index out of range",
            where=f"{where}, row {number(bad)}",
            found=int(codes[bad][0]),
            expected=f"0 to {len(names) - 1}",
        )
    return np.asarray(codes.astype(np.int64))

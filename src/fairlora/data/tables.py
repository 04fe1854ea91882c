"""Read examples from CSV or Parquet tables: shared by the data sets that lie in tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fairlora.data.examples import MISSING, SPLITS, Examples, check_labels
from fairlora.data.registry import DataOptions, fingerprint, require_path
from fairlora.data.splits import complete_split
from fairlora.errors import InputError
from fairlora.predictions import GroupColumn, group_column

Table = dict[str, list[Any]]
_SPLIT_NAMES = {"val": "validation", "valid": "validation", "dev": "validation"}
# Longer cells than Arrow's default block of 1 MB are rare in tables of pictures, not of texts.
_BLOCK = 1 << 24


class TableOptions(DataOptions):
    """Options of a table that its owner has made."""

    target: str = Field(default="label", description="column with the label")
    id: str | None = Field(default=None, description="column with a unique id")
    family: str | None = Field(default=None, description="column whose values stay in one split")
    split: str | None = Field(default=None, description="column with train, validation, test")
    separator: str | None = Field(
        default=None, min_length=1, description="parts the groups in a cell, as in black|women"
    )


def open_table(options: TableOptions, main: str) -> tuple[Path, Table, list[str]]:
    """The table with its `main` column, and the names of the columns that the options use."""
    path = require_path(options, "a CSV or Parquet table", kind="file")
    table = read_strings(path)
    if options.groups is None:
        raise InputError(
            "no group columns named",
            where="data.groups",
            expected="some of " + ", ".join(table),
        )
    named = [main, options.target, *options.groups]
    named += [c for c in (options.id, options.family, options.split) if c is not None]
    need_columns(table, named, path)
    return path, table, named


def examples_of(
    path: Path,
    table: Table,
    options: TableOptions,
    ids: Iterable[Any],
    printed: Iterable[str],
    **inputs: Any,
) -> Examples:
    """The examples of a table that its owner has made.

    Parameters
    ----------
    path, table, options : as of `open_table`.
    ids : of the rows.
    printed : what the fingerprint is of.
    inputs : `images` or `texts`.
    """
    labels, classes = label_classes(table[options.target], path, options.target)
    split, notes = split_column(table, options.split, path)
    return Examples(
        name=path.name,
        ids=np.array([str(i) for i in ids]),
        labels=labels,
        classes=classes,
        groups=named_groups(table, options.groups or (), options.separator),
        family=None if options.family is None else filled(table[options.family]),
        split=split,
        fingerprint=fingerprint(printed),
        notes=notes,
        **inputs,
    )


def read_strings(path: Path, wanted: Callable[[str], bool] | None = None) -> Table:
    """The wanted columns of a CSV or Parquet file as Python values; an empty CSV cell is None."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            names = pq.read_schema(path).names
            chosen = _chosen(names, wanted, path)
            table = pq.read_table(path, columns=chosen)
        else:
            reading = pa_csv.ReadOptions(block_size=_BLOCK)
            parsing = pa_csv.ParseOptions(newlines_in_values=True)
            names = pa_csv.open_csv(path, reading, parsing).schema.names
            chosen = _chosen(names, wanted, path)
            # Everything as text: "01" is a group name, not the number 1.
            converting = pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=chosen,
                strings_can_be_null=True,
                null_values=[""],
            )
            table = pa_csv.read_csv(path, reading, parsing, converting)
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).split("\n")[0][:120]
        raise InputError(
            "not a readable table", where=path, found=reason, expected="CSV or Parquet"
        ) from error
    if table.num_rows == 0:
        raise InputError("the table has no rows", where=path)
    return {name: table[name].to_pylist() for name in table.column_names}


def _chosen(names: Sequence[str], wanted: Callable[[str], bool] | None, path: Path) -> list[str]:
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise InputError("a column stands twice", where=path, found=repr(twice))
    return [name for name in names if wanted is None or wanted(name)]


def need_columns(table: Mapping[str, Any], names: Iterable[str], path: Path) -> None:
    """Raise `InputError` for a column that the table does not have.

    Parameters
    ----------
    table : column -> its values.
    names : of the columns that it must have.
    path : the table's file, for the error.
    """
    for column in names:
        if column not in table:
            raise InputError(
                f"no column {column!r}", where=path, expected="one of " + ", ".join(table)
            )


def label_classes(
    values: Sequence[Any], path: object, column: str
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels as indices into their classes: numbers by size, then words by letter.

    Parameters
    ----------
    values : (n,) numbers or words, as the column has them.
    path, column : where they are from, for errors.

    Returns
    -------
    (n,) indices, and the names of the classes.

    Raises
    ------
    InputError : a label is missing (None), or fewer than two classes occur.
    """
    for row, value in enumerate(values):
        if value is None:
            raise InputError("missing label", where=f"{path}, row {row + 1}")
    classes = tuple(sorted({str(value) for value in values}, key=_numbers_first))
    index = {name: k for k, name in enumerate(classes)}
    labels = np.array([index[str(value)] for value in values], dtype=np.int64)
    check_labels(labels, classes, where=f"{path}, column {column}")
    return labels, classes


def codes(
    values: Sequence[Any], names: Mapping[str, str], path: Path, column: str
) -> NDArray[np.str_]:
    """The names that a column's codes stand for; `InputError` names the row of an unknown one.

    Parameters
    ----------
    values : (n,) the codes; spaces around them do not count, and None is "".
    names : code -> its name.
    path, column : where they are from, for errors.
    """
    named = []
    for row, value in enumerate(values):
        name = names.get("" if value is None else str(value).strip())
        if name is None:
            raise InputError(
                f"unknown {column}",
                where=f"{path}, row {row + 1}",
                found=repr(value),
                expected=" or ".join(f"{code} ({name})" for code, name in names.items()),
            )
        named.append(name)
    return np.array(named)


def named_groups(
    table: Table, names: Iterable[str], separator: str | None = None
) -> dict[str, GroupColumn]:
    """The group columns; a column in which the separator occurs has overlapping groups.

    Parameters
    ----------
    table : column -> its values.
    names : of the group columns.
    separator : what parts the groups in a cell; None where groups do not overlap.
    """
    return {name: group_column(_parted(table[name], separator)) for name in names}


def _parted(values: list[Any], separator: str | None) -> list[Any]:
    if separator is None or not any(isinstance(v, str) and separator in v for v in values):
        return values
    return [
        [part.strip() for part in v.split(separator) if part.strip()] if isinstance(v, str) else v
        for v in values
    ]


def filled(values: Sequence[Any]) -> NDArray[np.str_]:
    """Strings, `MISSING` where there is none."""
    return np.array([MISSING if value is None else str(value) for value in values])


def split_column(
    table: Table, column: str | None, path: Path
) -> tuple[NDArray[np.str_] | None, tuple[str, ...]]:
    """A column of train, validation and test; and notes on what is drawn where one is absent.

    Parameters
    ----------
    table : column -> its values.
    column : holds names of splits in any case, or val, valid or dev for validation; None is no
        split and no notes.
    path : the table's file, for errors.

    Raises
    ------
    InputError : a value that is no split; no training rows, or neither validation nor test rows.
    """
    if column is None:
        return None, ()
    values = table[column]
    split = [_SPLIT_NAMES.get(str(v).lower(), str(v).lower()) for v in values]
    for row, value in enumerate(split):
        if value not in SPLITS:
            raise InputError(
                "unknown split",
                where=f"{path}, row {row + 1}",
                found=repr(values[row]),
                expected=", ".join(SPLITS),
            )
    return complete_split(np.array(split), where=str(path))


def _numbers_first(name: str) -> tuple[int, float, str]:
    """Sort key: "2" before "10", and numbers before words."""
    try:
        number = float(name)
    except ValueError:
        number = math.nan
    # "nan" and "inf" read as numbers, and are words to everybody who writes them in a label column.
    return (0, number, name) if math.isfinite(number) else (1, 0.0, name)

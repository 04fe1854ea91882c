"""Columns of a table as classes, groups and clusters, each by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.arrow import (
    MISSING,
    RowNumber,
    first_row,
    is_list,
)
from fairlora.predictions.columns import Coded, GroupColumn, code_arrow, group_column
from fairlora.predictions.values import list_text


def class_column(table: pa.Table, column: str, path: Path) -> Coded:
    """A column of classes by its names; `InputError` for structs, dates and other kinds.

    A list is its one item, or its text.

    Parameters
    ----------
    table : has the column.
    column : its name.
    path : the table's file, for the message.
    """
    kind = table[column].type
    if is_list(kind):
        return code_arrow(list_text(table[column]))
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not pa.types.is_temporal(value):
        try:
            return code_arrow(table[column])
        except ValueError:
            pass
    raise InputError(
        "not a column of classes",
        where=f"{path}, column {column}",
        found=str(kind),
        expected="whole numbers, words or truth values",
    )


def groups_named(table: pa.Table, name: str, path: Path) -> GroupColumn:
    """A column of group names; `InputError` where it is none.

    Parameters
    ----------
    table : has the column.
    name : of the column.
    path : the table's file, for the message.
    """
    try:
        return group_column(table[name])
    except ValueError as error:
        raise InputError(
            "not a column of group names",
            where=f"{path}, column {name}",
            found=str(table[name].type),
            expected="words in UTF-8, whole numbers, or lists of words",
        ) from error


def cluster_codes(
    column: GroupColumn, where: str, number: RowNumber = first_row
) -> NDArray[np.signedinteger[Any]]:
    """(n,) the cluster of each row; `InputError` for lists, and for a row without one.

    Parameters
    ----------
    column : names of clusters.
    where : what to call it in the message.
    number : gives the number of the first marked row.
    """
    if column.lists is not None:
        raise InputError(
            "a row is in one cluster", where=where, found="lists", expected="one name a row"
        )
    missing = column.contains(MISSING)
    if missing.any():
        raise InputError(
            "missing value",
            where=f"{where}, row {number(missing)}",
            found=f"{int(missing.sum()):,} rows without a cluster",
            expected="a cluster in every row; a row that shares nothing is a cluster of its own",
        )
    return column.codes

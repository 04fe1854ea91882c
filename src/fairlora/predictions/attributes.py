"""What people hold groups in (mappings, frames, columns, records) as attributes by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from fairlora.errors import InputError
from fairlora.predictions.arrow import exchanged

# What a column of groups without a name is called.
_UNNAMED = "group"


def named_columns(groups: Any, n: int | None = None) -> dict[str, Any]:
    """Attributes by name: of a mapping, a frame, a named column, an array, records.

    A frame is one of pandas, polars, Arrow or `datasets`, or anything that hands over its columns
    by the Arrow PyCapsule or the dataframe interchange protocol. A column without a name is called
    "group"; the columns of a matrix "group 1", "group 2".

    Parameters
    ----------
    groups : what holds them.
    n : how many rows there are, where it is known: names of columns are then told from names of
        groups.

    Raises
    ------
    InputError : what is none of these, a lazy frame, or two attributes of one name.

    >>> list(named_columns(np.array([["a", "x"], ["b", "y"]])))
    ['group 1', 'group 2']
    """
    if hasattr(groups, "collect") and not hasattr(groups, "to_arrow"):
        raise InputError(
            "a lazy frame",
            where="groups",
            found=type(groups).__name__,
            expected="its rows: collect()",
        )
    if groups is None or isinstance(groups, str):
        raise InputError(
            "no groups",
            where="groups",
            found=repr(groups),
            expected="attribute -> one group a row, a frame, or one group a row",
        )
    groups = _handed(groups)
    pairs = _pairs(groups)
    if pairs is None:
        _no_names(groups, n)
        name = getattr(groups, "name", None)
        return {_UNNAMED if name is None or not str(name) else _name(name): groups}
    out = {_name(name): values for name, values in pairs}
    if len(out) < len(pairs):
        raise InputError(
            "two attributes have one name", where="groups", found=said([name for name, _ in pairs])
        )
    return out


def _handed(groups: Any) -> Any:
    """What is read by columns: frames of other libraries as tables of Arrow."""
    if hasattr(groups, "column_names") and hasattr(groups, "with_format"):  # datasets
        return groups.with_format("arrow")[:]
    if hasattr(groups, "levels") and hasattr(groups, "to_frame"):  # an index of several levels
        return groups.to_frame(index=False)
    known = isinstance(groups, Mapping | np.ndarray | list | tuple | pa.Table | pa.Array)
    # Those of pandas and polars, and tensors, are read as they are.
    if known or any(hasattr(groups, name) for name in ("iloc", "to_arrow", "dtype")):
        return groups
    handed = exchanged(groups)
    return groups if handed is None else handed


def _pairs(groups: Any) -> list[tuple[Any, Any]] | None:
    """Name and column of what has several; None for a column."""
    if isinstance(groups, Mapping):
        return list(groups.items())
    if hasattr(groups, "iloc") and hasattr(groups, "columns"):  # pandas
        return [(name, groups.iloc[:, k]) for k, name in enumerate(groups.columns)]
    if hasattr(groups, "to_arrow") and hasattr(groups, "columns"):  # polars
        return [(name, groups[name]) for name in groups.columns]
    if isinstance(groups, pa.Array | pa.ChunkedArray) and pa.types.is_struct(groups.type):
        groups = pa.Table.from_struct_array(groups)
    if isinstance(groups, pa.Table):
        return [(name, groups.column(k)) for k, name in enumerate(groups.column_names)]
    return _of_rows(groups)


def _of_rows(groups: Any) -> list[tuple[Any, Any]] | None:
    """Columns of a matrix, of an array of records, or of a list of them; None for a column."""
    fields = getattr(getattr(groups, "dtype", None), "names", None)
    if fields:
        return [(name, np.asarray(groups[name])) for name in fields]
    if isinstance(groups, list | tuple) and groups and all(isinstance(r, Mapping) for r in groups):
        names = dict.fromkeys(name for row in groups for name in row)
        return [(name, [row.get(name) for row in groups]) for name in names]
    shape: tuple[int, ...] = getattr(groups, "shape", ())
    if len(shape) == 2 and shape[1] > 0:
        columns = [groups[:, k] for k in range(shape[1])]
        if len(columns) == 1:
            return [(_UNNAMED, columns[0])]
        return [(f"{_UNNAMED} {k + 1}", column) for k, column in enumerate(columns)]
    return None


def _no_names(groups: Any, n: int | None) -> None:
    """Raise `InputError` for names of columns where the columns themselves are asked for."""
    few = isinstance(groups, list | tuple) and n is not None and 0 < len(groups) < n
    if few and all(isinstance(name, str) for name in groups):
        raise InputError(
            "another length, or names of columns without a table",
            where="groups",
            found=said(list(groups)),
            expected=f"{n} groups, one a row; or a table as `labels`, to name its columns",
        )


def said(thing: Any) -> str:
    """A thing as a message shows it, in 80 letters at most."""
    text = " ".join(repr(thing).split())
    return text if len(text) <= 80 else text[:77] + "..."


def name_of(weights: Any) -> str:
    """What weights are called: the column of a frame that they are, or "weight"."""
    name = getattr(weights, "name", None)
    return "weight" if name is None or not str(name) else _name(name)


def _name(name: Any) -> str:
    return " & ".join(map(str, name)) if isinstance(name, tuple) else str(name)

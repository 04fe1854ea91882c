"""A path, or a table of Python, opened for the columns of an audit."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fairlora.errors import InputError
from fairlora.predictions.arrow import exchanged
from fairlora.predictions.containers import unwrapped
from fairlora.predictions.foreign import of_frame
from fairlora.predictions.join import JoinOf
from fairlora.predictions.opened import Opened, Part, asked_for, opened_for, with_joins
from fairlora.predictions.tabular import Asked, InMemory, Tabular
from fairlora.predictions.values import table_of


def open_any(table: Any, columns: Mapping[str, Any], joins: Sequence[JoinOf] = ()) -> Opened:
    """A path, or a table of Python, opened for the columns of an audit.

    Parameters
    ----------
    table : a path, or what `table_in_memory` takes.
    columns : label, pred, probs, groups, cluster and weight, as of `read_table`, and "id".
    joins : files to join by id.

    Raises
    ------
    InputError : as `open_tables`, `table_in_memory` and `with_joins`; for clusters in a folder.
    """
    probs, groups = columns["probs"], columns["groups"]
    named = {role: columns.get(role) for role in ("label", "pred", "cluster", "weight", "id")}
    if not isinstance(table, str | os.PathLike):
        asked = asked_for(probs, groups, named, joins)
        return with_joins(table_in_memory(table, asked), joins)
    opened = opened_for(Path(table), probs, groups, named, joins)
    if opened.is_folder and columns["cluster"] is not None:
        raise InputError(
            "clusters need the rows in memory",
            where=f"{table} (--cluster)",
            found="a folder",
            expected="one file",
        )
    return opened


def table_in_memory(table: Any, asked: Asked, name: str = "the table") -> Opened:
    """A table of Python as if it had been read from a file.

    Parameters
    ----------
    table : of Arrow, pandas or polars, or column -> values.
    asked : what is asked of it.
    name : what to call it in a message.

    Raises
    ------
    InputError : it is no table, or has no rows.
    """
    if isinstance(table, Mapping):
        columns = [unwrapped(values) for values in table.values()]
        lists = (c.tolist() if isinstance(c, np.ndarray) else c for c in columns)
        made: Tabular = InMemory(*table_of([str(key) for key in table], list(lists)))
    elif isinstance(table, pa.Table):
        made = InMemory(table)
    elif hasattr(table, "to_arrow"):  # polars
        made = InMemory(table.to_arrow())
    elif hasattr(table, "iloc") and hasattr(table, "columns"):  # pandas
        made = of_frame(table, asked)
        made.notes = tuple(note for note in made.notes if "by their labels" not in note)
    elif isinstance(handed := exchanged(table), pa.Table):
        made = InMemory(handed)
    else:
        raise InputError(
            "no table",
            where=name,
            found=f"a {type(table).__name__}",
            expected="a path or a frame; or labels, predictions and groups",
        )
    if not made.rows:
        raise InputError("the table has no rows", where=name)
    return Opened(Path(name), [Part(Path(name), made, {})], asked)

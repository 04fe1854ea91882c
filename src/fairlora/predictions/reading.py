"""Reading predictions: fairlora's own tables, and anybody's CSV or Parquet with other names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.arrow import MISSING, first_row, is_text, numbers, words
from fairlora.predictions.columns import (
    Coded,
    GroupColumn,
    code_arrow,
    group_column,
    placed,
    union,
)
from fairlora.predictions.probabilities import probabilities
from fairlora.predictions.table import (
    METADATA_KEY,
    OWN_COLUMNS,
    VERSION,
    Predictions,
)


def read_predictions(path: Path) -> Predictions:
    """Read and check a predictions table that fairlora wrote.

    Raises `InputError` naming the file and the row for anything that breaks the schema.
    """
    table = open_table(Path(path))
    meta = metadata_of(table.schema, Path(path))
    if meta is None:
        raise InputError(
            "not a predictions table of fairlora",
            where=path,
            found="no fairlora metadata",
            expected="a file that fairlora wrote, or --label, --pred and --group",
        )
    return read_table(path, _table=table)


def read_table(
    path: Path,
    *,
    label: str | None = None,
    pred: str | None = None,
    probs: str | None = None,
    groups: Sequence[str] = (),
    positive: str | None = None,
    cluster: str | None = None,
    id_column: str | None = None,
    _table: pa.Table | None = None,
) -> Predictions:
    """Read a CSV or Parquet file of predictions.

    Parameters
    ----------
    label, pred : columns of true and predicted classes, numbers or words. In a fairlora table they
        default to its own.
    probs : a column of lists with one probability a class, in the order of the classes; or a prefix
        of one column a class (``p_`` for ``p_cat``, ``p_dog``); or, for two classes, one column
        with the probability of the positive class.
    groups : columns of sensitive attributes; a missing value is a group of its own,
        ``"(missing)"``. In a fairlora table they default to its own.
    positive : the positive class, for a single column of probabilities; default the last in order.
    cluster : column that names the cluster of a row: rows of one are resampled together.
    id_column : column that names each row; default fairlora's own, or the row's number.

    Raises `InputError` that names the file, the column or row, what was found and what expected.
    """
    path = Path(path)
    table = open_table(path) if _table is None else _table
    meta = metadata_of(table.schema, path)
    if meta is not None:
        label, pred = label or "label", pred or "pred"
        groups = groups or meta["groups"]
        # Its probabilities are in the order of its own classes, not of another label column's.
        if probs is None and label == "label" and "probs" in table.column_names:
            probs = "probs"
    if label is None:
        raise InputError(
            "which column holds the true label?",
            where="--label",
            expected="one of " + ", ".join(table.column_names),
        )
    if pred is None and probs is None:
        raise InputError(
            "which column holds the predicted label?",
            where="--pred",
            expected="one of " + ", ".join(table.column_names) + ", or --probs",
        )
    for option, column in (
        ("--label", label),
        ("--pred", pred),
        *(("--group", g) for g in groups),
        ("--cluster", cluster),
        ("--id", id_column),
    ):
        if column is not None:
            _require(table.column_names, column, option, path)
    own = meta is not None and label == "label"
    matrix = None
    if own and meta is not None:
        names = tuple(meta["classes"])
        labels = class_indices(table, label, names, path)
        predicted = None if pred is None else class_indices(table, pred, names, path)
    else:
        true = class_column(table, label, path)
        other = None if pred is None else class_column(table, pred, path)
        names = union([true] if other is None else [true, other])
        labels = placed(true, names).astype(np.int64)
        predicted = None if other is None else placed(other, names).astype(np.int64)
    if probs is not None:
        matrix = probabilities(table, probs, names, positive, path)
    if predicted is not None:
        predictions = predicted
    else:
        assert matrix is not None
        predictions = matrix.argmax(axis=1).astype(np.int64)
    n = len(labels)
    if id_column is not None or own:
        ids = _strings(table, id_column or "id", path)
    else:
        ids = np.arange(n).astype(str)
    split = _strings(table, "split", path) if own else _foreign_split(table, path)
    if own:
        _check_unique(ids, split, path)
    return Predictions(
        ids=ids,
        split=split,
        labels=labels,
        predictions=predictions,
        classes=names,
        groups={name: groups_named(table, name, path) for name in groups},
        probs=matrix,
        loss=_numbers(table, "loss", path) if own else None,
        margin=_numbers(table, "margin", path) if own else None,
        clusters=None if cluster is None else groups_named(table, cluster, path).codes,
    )


def open_table(path: Path) -> pa.Table:
    """A CSV or Parquet file as it is; `InputError` for one that is not there or no such table."""
    if not path.exists():
        raise InputError("no such file", where=path)
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise InputError("cannot read this", where=path, found=error.strerror) from error
    try:
        table = pq.read_table(path) if magic == b"PAR1" else _read_csv(path)
        names = table.column_names  # decodes them: a binary file may get as far as here
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError, UnicodeDecodeError) as error:
        raise InputError(
            "not a readable table",
            where=path,
            found=str(error).strip().split("\n")[0][:160] or type(error).__name__,
            expected="CSV or Parquet",
        ) from error
    if table.num_rows == 0:
        raise InputError("the table has no rows", where=path)
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InputError("a column name stands twice", where=path, found=sorted(twice)[0])
    return table


def _read_csv(path: Path) -> pa.Table:
    return pa_csv.read_csv(
        path,
        convert_options=pa_csv.ConvertOptions(
            strings_can_be_null=True, null_values=["", "nan", "NaN", "null"]
        ),
    )


def metadata_of(schema: pa.Schema, path: Path) -> dict[str, Any] | None:
    """What fairlora wrote beside a table, checked; None for a table of others."""
    raw = (schema.metadata or {}).get(METADATA_KEY)
    if raw is None:
        return None
    try:
        meta = json.loads(raw)
        version = meta["version"]
        meta["classes"], meta["groups"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError("broken metadata", where=path) from error
    if version != VERSION:
        raise InputError(
            "written by another version of fairlora",
            where=path,
            found=f"version {version}",
            expected=f"version {VERSION}",
        )
    for name in OWN_COLUMNS[:4]:
        _require(schema.names, name, "the predictions table", path)
    return dict(meta)


def _require(names: Sequence[str], column: str, option: str, path: Path) -> None:
    if column not in names:
        raise InputError(
            f"no column {column!r}",
            where=f"{path} ({option})",
            expected="one of " + ", ".join(names),
        )


def class_column(table: pa.Table, column: str, path: Path, offset: int = 0) -> Coded:
    """A column of classes, checked: no missing ones, whole numbers or words.

    `offset` is the number of rows before the table's first, for the message.
    """
    values = table[column]
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    place = f"{path}, column {column}"
    if pa.types.is_floating(kind):
        found = numbers(values.combine_chunks())
        fractional = np.isfinite(found) & (found != np.floor(found))
        if fractional.any():
            raise InputError(
                "a label must be a class, not a measurement",
                where=f"{place}, row {offset + first_row(fractional)}",
                found=found[fractional][0],
                expected="whole numbers or words",
            )
        if np.isfinite(found).all():
            values = pa.chunked_array([pa.array(found.astype(np.int64))])
    elif not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        # A column without a value has no type of its own.
        if not pa.types.is_null(kind):
            raise InputError("not a column of classes", where=place, found=str(kind))
        values = values.cast(pa.string())
    coded = code_arrow(values)
    # A group may be called NA (North America, Namibia); a class that is means "not available".
    absent = {MISSING, "NA"} if is_text(kind) else {MISSING}
    codes = [k for k, name in enumerate(coded.names) if name in absent]
    if codes:
        missing = np.isin(coded.codes, codes)
        raise InputError(
            "missing value",
            where=f"{place}, row {offset + first_row(missing)}",
            found=f"{int(missing.sum())} rows without a value",
        )
    return coded


def class_indices(
    table: pa.Table, column: str, names: Sequence[str], path: Path, offset: int = 0
) -> NDArray[np.int64]:
    """A column of indices into the classes, as fairlora's own tables have them, checked."""
    where = f"{path}, column {column}"
    values = table[column].combine_chunks()
    if values.null_count:
        row = offset + first_row(numbers(values.is_null()).astype(bool))
        raise InputError("missing value", where=f"{where}, row {row}")
    if not pa.types.is_integer(values.type):
        raise InputError(
            "not a class index",
            where=f"{where}, row {offset + 1}",
            found=repr(str(values[0].as_py())),
            expected=f"0 to {len(names) - 1}",
        )
    codes = numbers(values)
    bad = (codes < 0) | (codes >= len(names))
    if bad.any():
        raise InputError(
            "class index out of range",
            where=f"{where}, row {offset + first_row(bad)}",
            found=int(codes[bad][0]),
            expected=f"0 to {len(names) - 1}",
        )
    return np.asarray(codes.astype(np.int64))


def groups_named(table: pa.Table, name: str, path: Path) -> GroupColumn:
    try:
        return group_column(table[name].combine_chunks())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(
            "not a column of group names",
            where=f"{path}, column {name}",
            found=str(table[name].type),
            expected="words in UTF-8, whole numbers, or lists of words",
        ) from error


def _strings(table: pa.Table, name: str, path: Path) -> NDArray[Any]:
    values = table[name].combine_chunks().cast(pa.string())
    missing = numbers(values.is_null()).astype(bool)
    if missing.any():
        raise InputError("missing value", where=f"{path}, column {name}, row {first_row(missing)}")
    return words(values)


def _foreign_split(table: pa.Table, path: Path) -> NDArray[Any]:
    """The column ``split`` of words where the file has one; else every row is of the test split."""
    if "split" in table.column_names:
        kind = table["split"].type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if is_text(kind):
            return _strings(table, "split", path)
    return np.full(table.num_rows, "test", dtype=object)


def _numbers(table: pa.Table, name: str, path: Path) -> NDArray[np.float32] | None:
    if name not in table.column_names:
        return None
    column = table[name].combine_chunks()
    try:
        values = numbers(column).astype(np.float32)
    except TypeError as error:
        raise InputError(
            "not numbers", where=f"{path}, column {name}", found=str(column.type)
        ) from error
    # A margin may be infinite: a class that is alone has no others.
    bad = ~np.isfinite(values) if name == "loss" else np.isnan(values)
    if bad.any():
        problem = "not a number" if np.isnan(values[bad][0]) else "not a finite number"
        raise InputError(problem, where=f"{path}, column {name}, row {first_row(bad)}")
    return values


def _check_unique(ids: NDArray[Any], split: NDArray[Any], path: Path) -> None:
    seen: set[tuple[str, str]] = set()
    for row, key in enumerate(zip(split.tolist(), ids.tolist(), strict=True)):
        if key in seen:
            raise InputError(
                "an id stands twice in its split",
                where=f"{path}, row {row + 1}",
                found=f"{key[1]!r} in {key[0]!r}",
            )
        seen.add(key)

"""Reading predictions: fairlora's own tables, and anybody's CSV or Parquet with other names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.table import (
    METADATA_KEY,
    OWN_COLUMNS,
    SUM_TOLERANCE,
    VERSION,
    Predictions,
)

MISSING = "(missing)"


def read_predictions(path: Path) -> Predictions:
    """Read and check a predictions table that fairlora wrote.

    Raises `InputError` naming the file and the row for anything that breaks the schema.
    """
    table = _read(Path(path))
    meta = _metadata(table, Path(path))
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

    Raises `InputError` that names the file, the column or row, what was found and what expected.
    """
    path = Path(path)
    table = _read(path) if _table is None else _table
    meta = _metadata(table, path)
    if meta is not None:
        label, pred = label or "label", pred or "pred"
        groups = groups or meta["groups"]
        if probs is None and "probs" in table.column_names:
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
    for option, column in (("--label", label), ("--pred", pred), *(("--group", g) for g in groups)):
        if column is not None:
            _require(table, column, option, path)
    own = meta is not None and label == "label"
    true = _classes_of(table, label, path)
    predicted = None if pred is None else _classes_of(table, pred, path)
    names = tuple(meta["classes"]) if own and meta is not None else _union(true, predicted)
    labels = _codes(true, names, own, path, label)
    matrix = None
    if probs is not None:
        matrix = _probabilities(table, probs, names, positive, path)
    if predicted is not None and pred is not None:
        predictions = _codes(predicted, names, own, path, pred)
    else:
        assert matrix is not None
        predictions = matrix.argmax(axis=1).astype(np.int64)
    n = len(labels)
    ids = _strings(table, "id", path) if own else np.arange(n).astype(str)
    split = _strings(table, "split", path) if own else _constant(n)
    if own:
        _check_unique(ids, split, path)
    return Predictions(
        ids=ids,
        split=split,
        labels=labels,
        predictions=predictions,
        classes=names,
        groups={name: _groups(table, name, path) for name in groups},
        probs=matrix,
        loss=_numbers(table, "loss", path) if own else None,
        margin=_numbers(table, "margin", path) if own else None,
    )


def _read(path: Path) -> pa.Table:
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


def _metadata(table: pa.Table, path: Path) -> dict[str, Any] | None:
    raw = (table.schema.metadata or {}).get(METADATA_KEY)
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
        _require(table, name, "the predictions table", path)
    return dict(meta)


def _require(table: pa.Table, column: str, option: str, path: Path) -> None:
    if column not in table.column_names:
        raise InputError(
            f"no column {column!r}",
            where=f"{path} ({option})",
            expected="one of " + ", ".join(table.column_names),
        )


def _row(mask: NDArray[np.bool_]) -> int:
    """Number of the first marked row, counted from 1 as people do."""
    return int(np.flatnonzero(mask)[0]) + 1


def _classes_of(table: pa.Table, column: str, path: Path) -> NDArray[Any]:
    values = table[column].combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    missing = _plain(values.is_null()).astype(bool)
    if _is_text(kind):
        # A group may be called NA (North America, Namibia); a class that is means "not available".
        missing |= _words(values) == "NA"
    if missing.any():
        raise InputError(
            "missing value",
            where=f"{path}, column {column}, row {_row(missing)}",
            found=f"{int(missing.sum())} rows without a value",
        )
    if pa.types.is_boolean(kind):
        values = values.cast(pa.int8())
    elif pa.types.is_floating(kind):
        numbers = _plain(values)
        fractional = ~(np.isfinite(numbers) & (numbers == np.floor(numbers)))
        if fractional.any():
            raise InputError(
                "a label must be a class, not a measurement",
                where=f"{path}, column {column}, row {_row(fractional)}",
                found=numbers[fractional][0],
                expected="whole numbers or words",
            )
        values = values.cast(pa.int64())
    elif not (
        pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
    ):
        raise InputError(
            "not a column of classes", where=f"{path}, column {column}", found=str(kind)
        )
    return _words(values) if _is_text(values.type) else _plain(values)


def _union(true: NDArray[Any], predicted: NDArray[Any] | None) -> tuple[str, ...]:
    """Class names in order: numbers by size, words by letter."""
    columns = [true] if predicted is None else [true, predicted]
    if all(np.issubdtype(c.dtype, np.integer) for c in columns):
        numbers = sorted({int(v) for c in columns for v in np.unique(c)})
        return tuple(str(v) for v in numbers)
    return tuple(sorted({str(v) for c in columns for v in np.unique(c.astype(str))}))


def _codes(
    values: NDArray[Any], names: tuple[str, ...], own: bool, path: Path, column: str
) -> NDArray[np.int64]:
    if own:
        if values.dtype.kind not in "iu":
            raise InputError(
                "not a class index",
                where=f"{path}, column {column}, row 1",
                found=repr(str(values[0])),
                expected=f"0 to {len(names) - 1}",
            )
        codes = values.astype(np.int64)
        bad = (codes < 0) | (codes >= len(names))
        if bad.any():
            raise InputError(
                "class index out of range",
                where=f"{path}, column {column}, row {_row(bad)}",
                found=int(codes[bad][0]),
                expected=f"0 to {len(names) - 1}",
            )
        return codes
    order = np.argsort(np.array(names))
    return np.asarray(
        order[np.searchsorted(np.array(names), values.astype(str), sorter=order)], dtype=np.int64
    )


def _probabilities(
    table: pa.Table, probs: str, names: tuple[str, ...], positive: str | None, path: Path
) -> NDArray[np.float32]:
    """(n, c) probabilities in the order of the classes."""
    if probs in table.column_names:
        column = table[probs].combine_chunks()
        kind = column.type
        if _is_list(kind):
            matrix = _list_column(column, probs, names, path)
        else:
            matrix = _one_column(column, probs, names, positive, path)
    else:
        wanted = [probs + name for name in names]
        missing = [name for name in wanted if name not in table.column_names]
        if missing:
            raise InputError(
                f"no column {probs!r}, and no column {missing[0]!r} of that prefix",
                where=f"{path} (--probs)",
                expected="one of " + ", ".join(table.column_names),
            )
        try:
            matrix = np.stack(
                [_plain(table[name].combine_chunks()).astype(np.float32) for name in wanted], axis=1
            )
        except (ValueError, TypeError) as error:
            raise InputError("probabilities are not numbers", where=f"{path} (--probs)") from error
    outside = np.asarray(~((matrix >= 0) & (matrix <= 1 + 1e-6)).all(axis=1), dtype=np.bool_)
    if outside.any():
        raise InputError(
            "a probability outside 0 to 1",
            where=f"{path}, row {_row(outside)}",
            found=matrix[outside][0].tolist(),
        )
    off = np.abs(matrix.sum(axis=1, dtype=np.float64) - 1) > SUM_TOLERANCE
    if off.any():
        raise InputError(
            "probabilities do not sum to 1",
            where=f"{path}, row {_row(off)}",
            found=f"{matrix[off][0].sum():.4f}",
        )
    return np.asarray(matrix, dtype=np.float32)


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _list_column(
    column: pa.Array, probs: str, names: tuple[str, ...], path: Path
) -> NDArray[np.float32]:
    """One column a class from a list a row."""
    lengths = np.nan_to_num(_plain(pc.list_value_length(column)))
    other = np.flatnonzero(lengths != len(names))
    if len(other):
        raise InputError(
            "another number of probabilities than of classes",
            where=f"{path}, column {probs}, row {int(other[0]) + 1}",
            found=int(lengths[other[0]]),
            expected=f"{len(names)} ({', '.join(names[:5])})",
        )
    try:
        flat = _plain(column.flatten()).astype(np.float32)
    except (ValueError, TypeError) as error:
        raise InputError(
            "probabilities are not numbers", where=f"{path}, column {probs}"
        ) from error
    return flat.reshape(len(column), len(names))


def _one_column(
    column: pa.Array, probs: str, names: tuple[str, ...], positive: str | None, path: Path
) -> NDArray[np.float32]:
    """Two columns from the probability of the positive class."""
    if len(names) != 2:
        raise InputError(
            "one column of probabilities serves two classes alone",
            where=f"{path}, column {probs}",
            found=f"{len(names)} classes",
            expected="a list column, or a prefix of one column a class",
        )
    try:
        p = _plain(column).astype(np.float32)
    except (ValueError, TypeError) as error:
        raise InputError(
            "probabilities are not numbers", where=f"{path}, column {probs}"
        ) from error
    index = names.index(positive) if positive in names else 1
    matrix = np.empty((len(p), 2), dtype=np.float32)
    matrix[:, index], matrix[:, 1 - index] = p, 1 - p
    return np.asarray(matrix, dtype=np.float32)


def _groups(table: pa.Table, name: str, path: Path) -> NDArray[Any]:
    column = table[name].combine_chunks()
    if _is_list(column.type):
        out = np.empty(table.num_rows, dtype=object)
        for k, values in enumerate(column.to_pylist()):
            inside = [None] if values is None else values
            out[k] = [MISSING if v is None else str(v) for v in inside]
        return out
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        words = _words(column.cast(pa.string()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(
            "not a column of group names",
            where=f"{path}, column {name}",
            found=str(column.type),
            expected="words in UTF-8, whole numbers, or lists of words",
        ) from error
    if pa.types.is_floating(column.type):
        words[np.isnan(_plain(column))] = MISSING
    return words


def _strings(table: pa.Table, name: str, path: Path) -> NDArray[Any]:
    values = table[name].combine_chunks().cast(pa.string())
    missing = _plain(values.is_null()).astype(bool)
    if missing.any():
        raise InputError("missing value", where=f"{path}, column {name}, row {_row(missing)}")
    return _words(values)


def _constant(n: int) -> NDArray[Any]:
    return np.full(n, "test", dtype=object)


def _numbers(table: pa.Table, name: str, path: Path) -> NDArray[np.float32] | None:
    if name not in table.column_names:
        return None
    column = table[name].combine_chunks()
    try:
        values = _plain(column).astype(np.float32)
    except TypeError as error:
        raise InputError(
            "not numbers", where=f"{path}, column {name}", found=str(column.type)
        ) from error
    bad = np.isnan(values)
    if bad.any():
        raise InputError("not a number", where=f"{path}, column {name}, row {_row(bad)}")
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


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _plain(values: pa.Array) -> NDArray[Any]:
    """Numbers as NumPy; a missing one is NaN. Arrow's own `to_numpy` would import pandas.

    Raises `TypeError` for anything but numbers and booleans.
    """
    kind = values.type
    if pa.types.is_boolean(kind):
        values = values.cast(pa.int8())
    elif pa.types.is_null(kind):
        return np.full(len(values), np.nan)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise TypeError(f"{kind} is no number")
    if values.null_count:
        missing = np.from_dlpack(values.is_null().cast(pa.int8())).astype(bool)
        whole = pa.Array.from_buffers(
            values.type, len(values), [None, values.buffers()[1]], offset=values.offset
        )
        return np.where(missing, np.nan, np.from_dlpack(whole))
    return np.from_dlpack(values)


def _words(values: pa.Array) -> NDArray[Any]:
    """Strings as NumPy, by way of their distinct values; a missing one is `MISSING`."""
    coded = values.dictionary_encode(null_encoding="encode")
    found = [MISSING if v is None else v for v in coded.dictionary.to_pylist()]
    return np.asarray(np.array(found, dtype=object)[_plain(coded.indices)])

"""Read a file of predictions whole: fairlora's own tables, and those of anybody with any names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.arrow import (
    RowNumber,
    among,
    first_row,
    joined,
    numbered,
    numbers,
    of_rows,
    plain_type,
)
from fairlora.predictions.binning import Ranges
from fairlora.predictions.classes import ClassRules
from fairlora.predictions.columns import group_column
from fairlora.predictions.decode import Reader, Roles
from fairlora.predictions.join import JoinOf
from fairlora.predictions.named_columns import cluster_codes, groups_named
from fairlora.predictions.opened import Opened, open_tables, opened_for
from fairlora.predictions.own_tables import metadata_of, require
from fairlora.predictions.repeats import repeat_notes
from fairlora.predictions.splits import AUTO, chosen_split, has_splits, split_notes
from fairlora.predictions.table import Predictions
from fairlora.predictions.tabular import Asked


def read_predictions(path: Path) -> Predictions:
    """Read and check a predictions table that fairlora wrote.

    Raises `InputError` naming the file and the row for anything that breaks the schema.
    """
    opened = open_tables(Path(path))
    if metadata_of(opened.schema, Path(path)) is None:
        raise InputError(
            "not a predictions table of fairlora",
            where=path,
            found="no fairlora metadata",
            expected="a file that fairlora wrote, or --label, --pred and --group",
        )
    return read_table(opened)


def open_table(path: Path, named: Sequence[str] = ()) -> pa.Table:
    """All columns of a file; those `named` hold names, as they stand: "01" is not "1"."""
    opened = open_tables(path, Asked(tuple(named)))
    return opened.whole(opened.schema.names)


def read_table(
    path: Path | Opened,
    *,
    label: str | None = None,
    pred: str | None = None,
    probs: str | None = None,
    groups: Sequence[str] = (),
    positive: str | None = None,
    cluster: str | None = None,
    id_column: str | None = None,
    split: str | None = None,
    rules: ClassRules | None = None,
    bins: Mapping[str, str | Ranges] | None = None,
    joins: Sequence[JoinOf] = (),
    weight: str | None = None,
) -> Predictions:
    """Read a file of predictions, of any format that `recognise.FORMATS` has.

    Parameters
    ----------
    path : the file; or what `open_tables` made of it, asked for these columns.
    label, pred : columns of true and predicted classes, numbers or words. In a fairlora table they
        default to its own.
    probs : a column of structs, or a prefix of one column a class (``p_`` for ``p_cat``,
        ``p_dog``): names decide; a column of lists with one probability a class, in the order of
        the classes; or, for two classes, one column with the probability of the class that its name
        holds, else of the positive class.
    groups : columns of sensitive attributes; a missing value is a group of its own,
        ``"(missing)"``. In a fairlora table they default to its own.
    positive : the positive class; default the last in order.
    cluster : column that names the cluster of a row: rows of one are resampled together.
    id_column : column that names each row; default fairlora's own, or the row's number.
    split : rows of this split alone; `AUTO` takes "test" where there is one, else all rows.
    rules : what to make of labels and predictions: stated classes, missing and ignored labels.
    bins : attribute -> edges, "quantiles:K", or `Ranges`: numbers to read as ranges.
    joins : files whose columns are joined by id; of what is open they are joined already.
    weight : column of how much each row counts; rows of weight 0 are left out and counted.

    A column may be a path into one of structs or of JSON (``doc.race``). What was assumed, left out
    or odd is in `notes` and `left_out` of the result.

    Raises `InputError` that names the file, the column or row, what was found and what expected.
    """
    named = {"label": label, "pred": pred, "cluster": cluster, "id": id_column, "weight": weight}
    opened = opened_for(path, probs, groups, named, joins)
    path, schema = opened.path, opened.schema
    roles = Roles(label, pred, probs, groups, positive, rules or ClassRules(), bins or {}, weight)
    reader = Reader(schema, path, roles)
    for option, column in (("--cluster", cluster), ("--id", id_column)):
        if column is not None:
            require(schema.names, column, option, path)
    table = opened.whole(opened.wanted())
    reader.keep_coded = True
    own, n = reader.own, table.num_rows
    splits: NDArray[Any] = np.full(n, "test", dtype=object)
    found: set[str] = set()
    if has_splits(table.schema) or ("split" in table.column_names and split not in (None, AUTO)):
        by_split = group_column(table["split"])
        found = set(by_split.names)
        splits = np.array(by_split.names, dtype=object)[by_split.codes]
    if own:
        _check_unique(_strings(table, "id", path), _strings(table, "split", path), path)
    within = None
    if split is not None:
        taken = chosen_split(table.schema, None if split == AUTO else split, found)
        within = None if taken is None else np.asarray(splits == taken, dtype=np.bool_)
    # Rows of other splits are not looked at: their predictions may be missing.
    number = numbered(0, within)
    table, splits = of_rows(table, within), splits if within is None else splits[within]
    reader.survey(table, path, number)
    reader.settle(opened.with_all(table.slice(0, 1000)))
    if id_column is not None or own:
        ids = _strings(table, id_column or "id", path, number)
    else:
        ids = (np.arange(n) if within is None else np.flatnonzero(within)).astype(f"U{len(str(n))}")
    rows = reader.rows(table, path, number)
    clusters = None
    if cluster is not None:
        people = groups_named(of_rows(table.select([cluster]), rows.kept), cluster, path)
        clusters = cluster_codes(people, f"{path}, column {cluster}", among(number, rows.kept))
    lost: NDArray[np.generic] = ids[:0]
    if rows.kept is not None:
        lost = ids[~rows.kept]
        ids, splits = ids[rows.kept], splits[rows.kept]
    notes, left_out = reader.finish(len(ids))
    notes += opened.notes()
    if not own:
        notes += repeat_notes(opened, cluster)
    if split == AUTO and not own:
        notes += split_notes(taken, found, table.num_rows, n)

    def scores(name: str) -> NDArray[np.float32] | None:
        values = _numbers(table, name, path, number) if own else None
        return values if values is None or rows.kept is None else values[rows.kept]

    return Predictions(
        ids=ids,
        split=splits,
        labels=np.asarray(rows.labels, dtype=np.int64),
        predictions=np.asarray(rows.predictions, dtype=np.int64),
        classes=reader.classes,
        groups=rows.groups,
        probs=rows.probs,
        loss=scores("loss"),
        margin=scores("margin"),
        clusters=clusters,
        notes=tuple(notes),
        left_out=left_out,
        lost=lost,
        weights=rows.weights,
        weighted_by=weight,
    )


def _strings(table: pa.Table, name: str, path: Path, number: RowNumber = first_row) -> NDArray[Any]:
    """(n,) words as they stand; `InputError` for a missing one."""
    try:
        values = plain_type(joined(table[name]))
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        values = values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(
            "not a column of names", where=f"{path}, column {name}", found=str(table[name].type)
        ) from error
    missing = numbers(values.is_null()).astype(bool)
    if missing.any():
        raise InputError("missing value", where=f"{path}, column {name}, row {number(missing)}")
    coded = values.dictionary_encode()
    return np.asarray(np.array(coded.dictionary.to_pylist(), dtype=object)[numbers(coded.indices)])


def _numbers(
    table: pa.Table, name: str, path: Path, number: RowNumber
) -> NDArray[np.float32] | None:
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
        raise InputError(problem, where=f"{path}, column {name}, row {number(bad)}")
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

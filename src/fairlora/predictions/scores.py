"""Read a score a row by group, from a table of any names: no label, no predicted class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.arrow import among, first_row, joined, numbers, of_rows, plain_type
from fairlora.predictions.binning import Ranges, binned
from fairlora.predictions.columns import GroupColumn, code_arrow
from fairlora.predictions.decode import cluster_codes, groups_named
from fairlora.predictions.join import JoinOf
from fairlora.predictions.missing_labels import left_out_note
from fairlora.predictions.opened import STREAM_ROWS, Opened, opened_for
from fairlora.predictions.own_tables import require
from fairlora.predictions.spellings import missing_class, number_of
from fairlora.predictions.splits import AUTO, chosen_split, split_notes, split_rows
from fairlora.predictions.table import Predictions

UNSCORED = "without a score"
# Words that a score may be written as.
_WORDS = {"true": 1.0, "false": 0.0}


def read_scores(
    path: Path | Opened,
    score: str,
    *,
    groups: Sequence[str] = (),
    cluster: str | None = None,
    id_column: str | None = None,
    split: str | None = None,
    bins: Mapping[str, str | Ranges] | None = None,
    joins: Sequence[JoinOf] = (),
) -> Predictions:
    """Read a column of scores with the rows' groups.

    Parameters
    ----------
    path : a file of any format that is known; or what `opened_for` made of it.
    score : column of numbers, words that are numbers, or truth values; a row without one, and NaN,
        is left out and counted.
    groups : columns of sensitive attributes.
    cluster : column that names the cluster of a row: rows of one are resampled together.
    id_column : column that names each row; None is the row's number.
    split : rows of this split alone; None takes "test" where there is one, else all.
    bins : attribute -> edges, "quantiles:K", or `Ranges`: numbers to read as ranges.
    joins : files whose columns are joined by id.

    Raises
    ------
    InputError : a column is not there, a score is no number, or no row has one.
    """
    named = {"score": score, "cluster": cluster, "id": id_column}
    opened = opened_for(path, None, groups, named, joins)
    path, names = opened.path, opened.schema.names
    options = [("--score", score), *(("--group", name) for name in groups)]
    for option, name in (*options, ("--cluster", cluster), ("--id", id_column)):
        if name is not None:
            require(names, name, option, path)
    table = opened.whole(opened.wanted())
    notes: list[str] = []
    found: set[str] = set()
    if "split" in table.column_names:
        found = set(groups_named(table, "split", path).names)
    taken = chosen_split(table.schema, None if split == AUTO else split, found)
    rows = np.arange(table.num_rows)
    if taken is not None:
        rows = np.flatnonzero(split_rows(table, taken))
    notes += split_notes(taken, found, len(rows), table.num_rows)
    within = np.isin(np.arange(table.num_rows), rows)
    values = score_values(table[score], f"{path}, column {score}")
    kept = within & ~np.isnan(values)
    ids = rows_named(table, id_column, path)
    left_out = {} if kept.sum() == within.sum() else {UNSCORED: int((within & ~kept).sum())}
    if not kept.any():
        raise InputError(
            "no row has a score",
            where=f"{path}, column {score}",
            found=left_out_note(left_out, 0) if left_out else "no rows",
        )
    notes += opened.notes()
    if table.num_rows > STREAM_ROWS:
        notes.append(f"all {table.num_rows:,} rows were read into memory: scores do not stream by")
    number = among(first_row, kept)
    some = of_rows(table, kept)
    clusters = None
    if cluster is not None:
        people = groups_named(some, cluster, path)
        clusters = cluster_codes(people, f"{path}, column {cluster}", number)
    return score_table(
        values[kept],
        {name: _group(some, name, path, (bins or {}).get(name)) for name in groups},
        ids=ids[kept],
        clusters=clusters,
        notes=notes,
        left_out=left_out,
        lost=ids[within & ~kept],
    )


def score_table(
    values: NDArray[np.float64],
    groups: Mapping[str, GroupColumn],
    *,
    ids: NDArray[Any] | None = None,
    clusters: NDArray[Any] | None = None,
    notes: Sequence[str] = (),
    left_out: Mapping[str, int] | None = None,
    lost: NDArray[Any] | None = None,
) -> Predictions:
    """A table of scores; 0 and 1 alone are hits and misses, which are counted as such.

    Parameters
    ----------
    values : (n,) finite scores.
    groups : attribute -> its column.
    ids : (n,) of the rows; None numbers them.
    clusters : (n,) code of each row's cluster, or None.
    notes : what a reader of the audit should know.
    left_out : reason -> rows left out.
    lost : their ids.
    """
    binary = bool(np.isin(values, (0.0, 1.0)).all())
    n = len(values)
    # A hit is a row whose "prediction" is its "label": the rates of an audit are then the scores'.
    hits = values.astype(np.int64) if binary else np.zeros(n, dtype=np.int64)
    return Predictions(
        ids=np.arange(n).astype(str) if ids is None else ids,
        split=np.broadcast_to(np.array("test"), n),
        labels=np.ones(n, dtype=np.int64) if binary else np.zeros(n, dtype=np.int64),
        predictions=hits,
        classes=("0", "1") if binary else ("score",),
        groups=groups,
        clusters=clusters,
        notes=tuple(notes),
        left_out=left_out or {},
        lost=lost,
        scores=values,
    )


def score_values(column: Any, where: str) -> NDArray[np.float64]:
    """(n,) scores of an Arrow column; NaN where there is none.

    Raises `InputError` for what is no number, and for infinity.
    """
    values = _numbers_or_none(column)
    if values is None:
        values = _of_words(column, where)
    infinite = np.isinf(values)
    if infinite.any():
        raise InputError(
            "not a finite number",
            where=f"{where}, row {first_row(infinite)}",
            found=values[infinite][0],
            expected="finite scores",
        )
    return values


def _numbers_or_none(column: Any) -> NDArray[np.float64] | None:
    try:
        return numbers(joined(plain_type(column))).astype(np.float64)
    except TypeError:
        return None


def _of_words(column: Any, where: str) -> NDArray[np.float64]:
    try:
        coded = code_arrow(column)
    except ValueError as error:
        raise InputError(
            "not a column of scores", where=where, found=str(column.type), expected="numbers"
        ) from error
    each = np.full(len(coded.names), np.nan)
    for k, name in enumerate(coded.names):
        size = _WORDS.get(name.strip().lower(), number_of(name))
        if size is None and not missing_class(name):
            raise InputError(
                "not a number",
                where=f"{where}, row {first_row(coded.codes == k)}",
                found=repr(name[:60]),
                expected="numbers, true or false",
            )
        each[k] = np.nan if size is None else size
    return np.asarray(each[coded.codes])


def rows_named(table: pa.Table, column: str | None, path: Path) -> NDArray[Any]:
    """(n,) names of the rows: a column's, or their numbers.

    Parameters
    ----------
    table : the rows.
    column : of the names, one in every row; None numbers the rows.
    path : of the file, for messages.
    """
    if column is None:
        return np.arange(table.num_rows).astype(str)
    ids = groups_named(table, column, path)
    cluster_codes(ids, f"{path}, column {column}")  # a name in every row
    return np.array(ids.names, dtype=object)[ids.codes]


def _group(table: pa.Table, name: str, path: Path, ranges: str | Ranges | None) -> GroupColumn:
    if ranges is None:
        return groups_named(table, name, path)
    made = ranges if isinstance(ranges, Ranges) else Ranges(ranges, f"--bin {name}")
    try:
        return binned(table[name], made)[0]
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            "not a column of numbers", where=f"{path}, column {name}", found=str(error)
        ) from error

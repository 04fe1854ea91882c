"""Read a score a row by group, from a table of any names: no label, no predicted class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.arrow import among, first_row, joined, numbers, of_rows, plain_type
from fairlora.predictions.binning import Ranges, binned
from fairlora.predictions.columns import GroupColumn, code_arrow
from fairlora.predictions.join import JoinOf
from fairlora.predictions.missing_labels import Kept, left_out_note
from fairlora.predictions.named_columns import cluster_codes, groups_named
from fairlora.predictions.opened import STREAM_ROWS, Opened, opened_for
from fairlora.predictions.own_tables import require
from fairlora.predictions.repeats import repeat_notes
from fairlora.predictions.spellings import missing_class, number_of
from fairlora.predictions.splits import AUTO, chosen_split, split_notes, split_rows
from fairlora.predictions.table import Predictions
from fairlora.predictions.weights import settled_weights

UNSCORED = "without a score"
# Words that a score may be written as.
_WORDS = {"true": 1.0, "false": 0.0}


class NumberColumn(NamedTuple):
    """A column of numbers: the option that names it, its name, and what a row lacks without."""

    option: str
    name: str
    lacking: str


def read_scores(
    path: Path | Opened,
    score: str,
    *,
    groups: Sequence[str] = (),
    cluster: str | None = None,
    id_column: str | None = None,
    split: str | None = None,
    bins: Mapping[str, str | Ranges] | None = None,
    weight: str | None = None,
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
    weight : column of how much each row counts.
    joins : files whose columns are joined by id.

    Raises
    ------
    InputError : a column is not there, a score is no number, or no row has one.
    """
    named = {"score": score, "cluster": cluster, "id": id_column, "weight": weight}
    opened = opened_for(path, None, groups, named, joins)
    table, _ = read_numbers(
        opened, [NumberColumn("--score", score, UNSCORED)], "no row has a score",
        groups=groups, cluster=cluster, id_column=id_column, split=split, bins=bins, weight=weight,
    )  # fmt: skip
    return table


def read_numbers(
    opened: Opened,
    columns: Sequence[NumberColumn],
    nothing: str,
    *,
    groups: Sequence[str] = (),
    cluster: str | None = None,
    id_column: str | None = None,
    split: str | None = None,
    bins: Mapping[str, str | Ranges] | None = None,
    weight: str | None = None,
) -> tuple[Predictions, list[NDArray[np.float64]]]:
    """Read columns of numbers with the rows' groups, of the rows that have a number in each.

    Parameters
    ----------
    opened : the table, opened for all these columns.
    columns : of numbers; a row without one is left out and counted.
    nothing : what to say where no row has all of them.
    groups, cluster, id_column, split, bins, weight : as of `read_scores`.

    Returns
    -------
    A table whose scores are the first column, and (n,) numbers of each column.

    Raises
    ------
    InputError : as `read_scores`.
    """
    path, names = opened.path, opened.schema.names
    options = [(one.option, one.name) for one in columns]
    options += [("--group", name) for name in groups]
    others = (("--cluster", cluster), ("--id", id_column), ("--weight", weight))
    for option, name in (*options, *others):
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
    numbers = [score_values(table[one.name], f"{path}, column {one.name}") for one in columns]
    kept, left_out = rows_with_all(numbers, [one.lacking for one in columns], within)
    ids = rows_named(table, id_column, path)
    weights = None
    if weight is not None and kept.any():
        where = f"{path}, column {weight}"
        weights, heavy = settled_weights(table[weight], len(kept), Kept(kept, left_out), where)
        kept, left_out = heavy.mask(len(kept)), dict(heavy.left_out)
    if not kept.any():
        raise InputError(
            nothing,
            where=f"{path}, column {', '.join(one.name for one in columns)}",
            found=left_out_note(left_out, 0) if left_out else "no rows",
        )
    notes += [*opened.notes(), *repeat_notes(opened, cluster)]
    if table.num_rows > STREAM_ROWS:
        notes.append(f"all {table.num_rows:,} rows were read into memory: scores do not stream by")
    number = among(first_row, kept)
    some = of_rows(table, kept)
    clusters = None
    if cluster is not None:
        people = groups_named(some, cluster, path)
        clusters = cluster_codes(people, f"{path}, column {cluster}", number)
    read = score_table(
        numbers[0][kept],
        {name: _group(some, name, path, (bins or {}).get(name)) for name in groups},
        ids=ids[kept],
        clusters=clusters,
        notes=notes,
        left_out=left_out,
        lost=ids[within & ~kept],
        weights=weights,
        weighted_by=weight,
    )
    return read, [values[kept] for values in numbers]


def rows_with_all(
    numbers: Sequence[NDArray[np.float64]], lacking: Sequence[str], within: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Which rows have a number in every column, and how many lack one, each counted once.

    Parameters
    ----------
    numbers : (n,) of each column; NaN where there is none.
    lacking : what a row lacks, of each column.
    within : (n,) the rows that are asked for.
    """
    kept, left_out = within.copy(), {}
    for values, reason in zip(numbers, lacking, strict=True):
        lost = kept & np.isnan(values)
        if lost.any():
            left_out[reason] = int(lost.sum())
        kept &= ~lost
    return kept, left_out


def score_table(
    values: NDArray[np.float64],
    groups: Mapping[str, GroupColumn],
    *,
    ids: NDArray[Any] | None = None,
    clusters: NDArray[Any] | None = None,
    notes: Sequence[str] = (),
    left_out: Mapping[str, int] | None = None,
    lost: NDArray[Any] | None = None,
    weights: NDArray[np.float64] | None = None,
    weighted_by: str | None = None,
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
    weights : (n,) how much each row counts, above 0, or None.
    weighted_by : what they are called.
    """
    n = len(values)
    table = Predictions(
        ids=np.arange(n).astype(str) if ids is None else ids,
        split=np.broadcast_to(np.array("test"), n),
        labels=np.zeros(n, dtype=np.int64),
        predictions=np.zeros(n, dtype=np.int64),
        classes=(),
        groups=groups,
        clusters=clusters,
        notes=tuple(notes),
        left_out=left_out or {},
        lost=lost,
        weights=weights,
        weighted_by=weighted_by,
    )
    return scored(table, values, binary=bool(np.isin(values, (0.0, 1.0)).all()))


def scored(table: Predictions, values: NDArray[np.float64], *, binary: bool) -> Predictions:
    """The rows of a table with these scores.

    Parameters
    ----------
    table : the rows.
    values : (n,) finite scores.
    binary : whether they are hits and misses (1 and 0), and not any numbers.
    """
    n = len(values)
    # A hit is a row whose "prediction" is its "label": the rates of an audit are then the scores'.
    return replace(
        table,
        labels=np.full(n, int(binary), dtype=np.int64),
        predictions=values.astype(np.int64) if binary else np.zeros(n, dtype=np.int64),
        classes=("0", "1") if binary else ("score",),
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
            expected="finite numbers",
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

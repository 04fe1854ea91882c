"""Tables of texts as a language model finds them: a row a text, with its tokens' log-probabilities.

What a run of a language model keeps beside its losses (``texts.parquet``). Log-probabilities are
natural logarithms, each of a token given the true ones before it; a prompt's tokens are not among
them, and neither is a text's first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field

from fairlora.errors import InputError
from fairlora.io import replacing
from fairlora.predictions.arrow import joined
from fairlora.predictions.columns import GroupColumn
from fairlora.predictions.named_columns import groups_named
from fairlora.predictions.own_tables import Versioned, checked_metadata, require

TEXTS_KEY = b"fairlora.texts"
VERSION = 1
# The score that an audit of such a table is about, unless it names another.
SCORE = "loss"
# Low quantiles of a text's log-probabilities, in percent.
QUANTILES = (5, 20)
_LISTS = ("log_probs", "means", "sds", "base_log_probs")
_SUMS = ("loss", "log_prob", *(f"log_prob_q{q:02d}" for q in QUANTILES))
OWN_COLUMNS = (
    *("id", "split", "tokens", "cut", "compressed", "top"),
    *_SUMS, *(f"base_{name}" for name in _SUMS), *_LISTS,
)  # fmt: skip
# Where a base's numbers come from.
Base = Literal["adapter off", "loaded anew"]


class TextsRecord(Versioned):
    """What stands beside a table of texts.

    Attributes
    ----------
    groups : names of the group columns.
    max_length : tokens that a text was cut to.
    cut : split -> texts that were longer.
    of : split -> texts that the run has; of training a table may have some alone.
    without_tokens : split -> texts that have no token to predict, and are not in the table.
    base : where the base's numbers come from; None where there are none.
    no_base : why there are none.
    """

    version: int = VERSION
    groups: list[str]
    max_length: int
    cut: dict[str, int] = Field(default_factory=dict)
    of: dict[str, int] = Field(default_factory=dict)
    without_tokens: dict[str, int] = Field(default_factory=dict)
    base: Base | None = None
    no_base: str | None = None


class Ragged:
    """Numbers of n texts one behind another: `flat` (N,), and text k's from `starts[k]` on.

    Parameters
    ----------
    flat : (N,) numbers.
    starts : (n + 1,) places, the last of them N.
    """

    def __init__(self, flat: NDArray[Any], starts: NDArray[np.int64]) -> None:
        self.flat, self.starts = flat, starts

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, k: int) -> NDArray[Any]:
        return np.asarray(self.flat[self.starts[k] : self.starts[k + 1]])

    def rows(self) -> list[NDArray[Any]]:
        """An array a text."""
        return [self[k] for k in range(len(self))]

    @staticmethod
    def of(rows: Sequence[NDArray[Any]], dtype: Any) -> Ragged:
        """Texts' arrays as one.

        Parameters
        ----------
        rows : an array a text.
        dtype : of the numbers.
        """
        starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        flat = np.concatenate(rows) if len(rows) else np.zeros(0)
        return Ragged(flat.astype(dtype), starts)


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts of one table, or of one split; n of them, in one order.

    Attributes
    ----------
    ids, split : (n,) names, and the split of each.
    groups : attribute -> its column.
    cut : (n,) whether a text was longer than the model's input.
    compressed : (n,) bytes of each text after zlib (level 9, UTF-8).
    log_probs : of each text's tokens, under the model.
    means, sds : of the log-probability over the vocabulary at each place.
    top : whether the token is the model's likeliest.
    base_log_probs : under the base; None where there is none.
    """

    ids: NDArray[Any]
    split: NDArray[Any]
    groups: Mapping[str, GroupColumn]
    cut: NDArray[np.bool_]
    compressed: NDArray[np.int64]
    log_probs: Ragged
    means: Ragged
    sds: Ragged
    top: Ragged
    base_log_probs: Ragged | None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def tokens(self) -> NDArray[np.int64]:
        """(n,) how many tokens have a log-probability."""
        return np.diff(self.log_probs.starts)


def write_texts(path: Path, parts: Sequence[Texts], record: TextsRecord) -> None:
    """Write a table, part after part; it is there whole or not at all.

    Parameters
    ----------
    path : the file.
    parts : splits, one a row group, with the same group columns.
    record : what stands beside them.

    Raises `InputError` for a group column that is called as a column of the table.
    """
    for name in record.groups:
        if name in OWN_COLUMNS:
            raise InputError(
                "a group column has the name of a column of the table",
                where=name,
                expected="any name but " + ", ".join(OWN_COLUMNS),
            )
    about = {TEXTS_KEY: record.model_dump_json().encode()}
    tables = [_table(part, record.groups).replace_schema_metadata(about) for part in parts]
    with replacing(path) as partial:
        schema = pa.unify_schemas([table.schema for table in tables])
        with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
            for table in tables:
                writer.write_table(table.cast(schema))


def _table(part: Texts, groups: Sequence[str]) -> pa.Table:
    columns: dict[str, Any] = {
        "id": pa.array([str(one) for one in part.ids.tolist()], pa.string()),
        "split": pa.array([str(one) for one in part.split.tolist()], pa.string()),
        "tokens": pa.array(part.tokens, pa.int32()),
        "cut": pa.array(part.cut, pa.bool_()),
        "compressed": pa.array(part.compressed, pa.int32()),
        **_sums(part.log_probs, ""),
    }
    if part.base_log_probs is not None:
        columns |= _sums(part.base_log_probs, "base_")
    lists = {"log_probs": part.log_probs, "means": part.means, "sds": part.sds, "top": part.top}
    if part.base_log_probs is not None:
        lists["base_log_probs"] = part.base_log_probs
    for name, ragged in lists.items():
        kind = pa.bool_() if name == "top" else pa.float32()
        columns[name] = pa.ListArray.from_arrays(
            pa.array(ragged.starts, pa.int32()), pa.array(ragged.flat, kind)
        )
    for name in groups:
        values = part.groups[name].tolist()
        several = part.groups[name].lists is not None
        columns[name] = pa.array(values, pa.list_(pa.string()) if several else pa.string())
    return pa.table(columns)


def _sums(ragged: Ragged, before: str) -> dict[str, Any]:
    """Sums, means with their sign turned, and low quantiles of each text's log-probabilities."""
    rows = [row.astype(np.float64) for row in ragged.rows()]
    found = {
        "loss": [-float(row.mean()) for row in rows],
        "log_prob": [float(row.sum()) for row in rows],
        **{f"log_prob_q{q:02d}": [float(np.quantile(r, q / 100)) for r in rows] for q in QUANTILES},
    }
    return {f"{before}{name}": pa.array(values, pa.float64()) for name, values in found.items()}


def texts_record(path: Path) -> TextsRecord | None:
    """What stands beside a table of texts; None for any other file, or none.

    Raises `InputError` for one whose record is broken, or of another version.
    """
    try:
        if not path.is_file():  # what is read once alone, as a pipe, is left whole
            return None
        with path.open("rb") as file:
            if file.read(4) != b"PAR1":
                return None
        raw = (pq.read_schema(path).metadata or {}).get(TEXTS_KEY)
    except (OSError, pa.ArrowException):
        return None
    if raw is None:
        return None
    return checked_metadata(raw, TextsRecord, VERSION, path)


def audit_note(record: TextsRecord, score: str) -> tuple[str, ...]:
    """What an audit of such a table says first: what its score is, and what is not in it.

    Parameters
    ----------
    record : what stands beside the table.
    score : the column that is audited.
    """
    words = [
        "a text's loss is minus the mean log-probability of its tokens, in nats: less is better"
        if score in (SCORE, f"base_{SCORE}")
        else f"{score} is a text's, in nats where it is of log-probabilities"
    ]
    if sum(record.cut.values()):
        words.append(
            f"{sum(record.cut.values()):,} texts are cut at {record.max_length} tokens, and scored "
            "as far"
        )
    if sum(record.without_tokens.values()):
        words.append(
            f"{sum(record.without_tokens.values()):,} texts of all splits have no token that "
            "another stands before, and are not in the table"
        )
    return tuple(words)


def read_texts(path: Path) -> tuple[Texts, TextsRecord]:
    """Read a table of texts whole, with what stands beside it.

    Raises `InputError` for a file that is none, columns that are missing or of another kind, lists
    of another length than their row says, numbers that are not finite, an id that stands twice.
    """
    record = texts_record(path)
    if record is None:
        raise InputError("not a table of texts", where=path, expected="a run's texts.parquet")
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError("cannot be read", where=path, found=str(error)[:100]) from error
    needed = ["id", "split", "tokens", "cut", "compressed", "log_probs", "means", "sds", "top"]
    needed += [*record.groups, *(["base_log_probs"] if record.base is not None else [])]
    for name in needed:
        require(table.column_names, name, "the table of texts", path)
    tokens = _plain(table, "tokens", path)
    text = {name: np.array(joined(table[name]).to_pylist(), dtype=object) for name in needed[:2]}
    twice = pc.value_counts(joined(table["id"]))
    for one in twice.to_pylist():
        if one["counts"] > 1:
            raise InputError("an id stands twice", where=path, found=repr(str(one["values"])))
    lists = {name: _ragged(table, name, tokens, path) for name in ("log_probs", "means", "sds")}
    base = None
    if record.base is not None:
        base = _ragged(table, "base_log_probs", tokens, path)
    texts = Texts(
        ids=text["id"].astype(str),
        split=text["split"].astype(str),
        groups={name: groups_named(table, name, path) for name in record.groups},
        cut=_plain(table, "cut", path).astype(np.bool_),
        compressed=_plain(table, "compressed", path),
        top=_ragged(table, "top", tokens, path),
        base_log_probs=base,
        **lists,
    )
    return texts, record


def _plain(table: pa.Table, name: str, path: Path) -> NDArray[Any]:
    column = joined(table[name])
    known = pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)
    if not known or column.null_count:
        raise InputError(
            "missing values" if known else "not whole numbers",
            where=f"{path}, column {name}",
            found=str(column.type),
        )
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _ragged(table: pa.Table, name: str, tokens: NDArray[Any], path: Path) -> Ragged:
    column, where = joined(table[name]), f"{path}, column {name}"
    if not pa.types.is_list(column.type):
        raise InputError("not lists of numbers", where=where, found=str(column.type))
    flat = pc.list_flatten(column)
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    if (lengths != tokens).any() or (tokens < 1).any():
        row = int(np.flatnonzero((lengths != tokens) | (tokens < 1))[0])
        raise InputError(
            "another number of tokens",
            where=f"{where}, row {row + 1}",
            found=int(lengths[row]),
            expected=max(1, int(tokens[row])),
        )
    numeric = pa.types.is_floating(flat.type) or pa.types.is_boolean(flat.type)
    values = flat.to_numpy(zero_copy_only=False) if numeric and not flat.null_count else None
    if values is None or not np.isfinite(values.astype(np.float64)).all():
        raise InputError("not finite numbers", where=where, found=str(flat.type))
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Ragged(values, starts)

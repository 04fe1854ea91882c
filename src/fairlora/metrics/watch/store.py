"""The store of a watch: one Parquet file of tallies by period and group, and nothing of any row.

What is added to it is an entry of a period: decisions (rows by group and prediction), their labels
that came later (rows by group, label and prediction), or both at once. Entries are never changed,
and stand in the order in which they came: bounds that hold however often one looks hold in that
order. The columns are ``entry``, ``attribute`` and ``group`` (missing for all rows), ``label``
(missing of decisions), ``pred`` and ``rows``; the file's metadata holds the `Header`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fairlora.errors import InputError
from fairlora.io import locked, replacing
from fairlora.metrics.watch.periods import period_key

VERSION = 1
_KEY = b"fairlora.watch"
# A store above these was not made by a watch: 1,000 periods of 100 groups have 600,000 tallies.
MOST_TALLIES = 50_000_000
_MOST_HEADER = 16_000_000
_WORDS = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("entry", pa.int32()),
        ("attribute", _WORDS),
        ("group", _WORDS),
        ("label", _WORDS),
        ("pred", _WORDS),
        ("rows", pa.int64()),
    ]
)
# How long a writer waits for another.
_SECONDS = 10.0

Kind = Literal["decisions", "labels", "both"]


class Columns(BaseModel):
    """How batches are read: the options of `fairlora watch add`, as they were first given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str | None = None
    pred: str | None = None
    group: tuple[str, ...] = ()
    positive: str | None = None
    classes: str | None = None
    map: str | None = None
    missing_label: str = "refuse"
    ignore_label: tuple[str, ...] = ()
    bin: tuple[str, ...] = ()
    intersect: tuple[str, ...] = ()
    split: str | None = None
    max_groups: int | None = None


class Entry(BaseModel):
    """One thing that was added."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    period: str
    kind: Kind


class Header(BaseModel):
    """What a store's tallies are of.

    Attributes
    ----------
    version : of the format.
    columns : how batches are read.
    attributes : in the order of the first batch.
    positive : the class whose selection is watched; None where no class was named of several.
    classes : of all batches so far.
    periods : in their order; the first is the baseline.
    entries : in the order in which they came.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int
    columns: Columns
    attributes: tuple[str, ...]
    positive: str | None
    classes: tuple[str, ...]
    periods: tuple[str, ...] = Field(min_length=1)
    entries: tuple[Entry, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Store:
    """A store as it was read: its header and its tallies (`SCHEMA`)."""

    path: Path
    header: Header
    tallies: pa.Table = field(repr=False)


def read_store(path: Path) -> Store | None:
    """A store, checked; None where there is none.

    Raises
    ------
    InputError : half a file, a file of something else or of a later version, tallies that do not
        fit their header.
    """
    try:
        if path.stat().st_size == 0:
            raise InputError("an empty file, and no store", where=path)
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            header = _header(path, file)
            if file.metadata.num_rows > MOST_TALLIES:
                raise InputError(
                    "more tallies than a store has",
                    where=path,
                    found=f"{file.metadata.num_rows:,}",
                    expected=f"at most {MOST_TALLIES:,}",
                )
            if not file.schema_arrow.equals(SCHEMA):
                raise InputError("not the columns of a store", where=path)
            tallies = file.read(use_threads=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        # pyarrow raises these for a broken file too.
        found = error.strerror or "broken or cut short"
        raise InputError("not readable as a store", where=path, found=found) from error
    except pa.ArrowException as error:
        raise InputError(
            "not readable as a store", where=path, found="broken or cut short"
        ) from error
    _check(path, header, tallies)
    return Store(path, header, tallies)


def write_store(store: Store) -> None:
    """Write a store whole or not at all; on the disk before it has its name.

    Raises
    ------
    InputError : the folder cannot be written.
    WriteError : the disk is full.
    """
    metadata = {_KEY: store.header.model_dump_json().encode()}
    table = store.tallies.replace_schema_metadata(metadata)
    try:
        with replacing(store.path, durable=True) as partial:
            pq.write_table(table, partial, compression="zstd", write_page_checksum=True)
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
        raise InputError("cannot write here", where=store.path, found=error.strerror) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Hold a store for writing; `InputError` where another writer holds it for longer than 10 s."""
    busy = InputError("another process is writing this store", where=path, expected="try again")
    with locked(path.with_name(f".{path.name}.lock"), busy, _SECONDS):
        yield


def tallies_of(rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Tallies from tuples in the order of `SCHEMA`."""
    columns = zip(*rows, strict=True) if rows else [()] * len(SCHEMA)
    arrays = [
        pa.array(values, one.type.value_type if pa.types.is_dictionary(one.type) else one.type)
        for values, one in zip(columns, SCHEMA, strict=True)
    ]
    return pa.table(
        [
            array.dictionary_encode() if pa.types.is_dictionary(one.type) else array
            for array, one in zip(arrays, SCHEMA, strict=True)
        ],
        schema=SCHEMA,
    )


def _header(path: Path, file: pq.ParquetFile) -> Header:
    text = (file.metadata.metadata or {}).get(_KEY)
    if text is None or len(text) > _MOST_HEADER:
        raise InputError(
            "not a store of a watch",
            where=path,
            found="a Parquet file of something else" if text is None else "a header without end",
            expected="a file that fairlora watch add wrote, or none",
        )
    try:
        header = Header.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        if key == "version" or '"version":' + str(VERSION) not in text.decode(errors="replace"):
            key, first = "version", {**first, "msg": "of another version of fairlora"}
        raise InputError(first["msg"], where=f"{path}: {key}") from None
    if header.version != VERSION:
        raise InputError(
            "a store of another version of fairlora",
            where=path,
            found=f"version {header.version}",
            expected=f"version {VERSION}",
        )
    return header


def _check(path: Path, header: Header, tallies: pa.Table) -> None:
    """Raise `InputError` for tallies that no `watch add` can have written."""
    import pyarrow.compute as pc

    keys = [period_key(period) for period in header.periods]
    if len({len(key) for key in keys}) > 1 or sorted(set(keys)) != keys:
        raise InputError("periods out of order", where=f"{path}: periods")
    named = set(header.periods)
    if any(entry.period not in named for entry in header.entries):
        raise InputError("an entry of no period", where=f"{path}: entries")
    if not tallies.num_rows:
        return
    for name in ("entry", "pred", "rows"):
        if tallies[name].null_count:
            raise InputError("a missing value", where=f"{path}, column {name}")
    entries, rows = pc.min_max(tallies["entry"]).as_py(), pc.min(tallies["rows"]).as_py()
    if entries["min"] < 0 or entries["max"] >= len(header.entries) or rows < 0:
        raise InputError("tallies of no entry, or below 0", where=path)

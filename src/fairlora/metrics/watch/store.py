"""The store of a watch: one Parquet file of tallies by period and group, and nothing of any row.

What is added to it is an entry of a period: decisions (rows by group and prediction), their labels
that came later (rows by group, label and prediction), or both at once. Entries are never changed,
and stand in the order in which they came: bounds that hold however often one looks hold in that
order. The columns are ``entry``, ``attribute`` and ``group`` (missing for all rows), ``label``
(missing of decisions), ``pred`` and ``rows``; the file's metadata holds the `Header`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fairlora.errors import InputError
from fairlora.io import locked, replacing
from fairlora.metrics.watch.periods import period_key

VERSION = 1
_KEY = b"fairlora.watch"
# A store above these was not made by a watch: 1,000 periods of 100 groups have 600,000 tallies.
MOST_TALLIES = 50_000_000
_MOST_HEADER = 16_000_000
_MOST_ROWS = 1 << 40
NAMES = ("entry", "attribute", "group", "label", "pred", "rows")
# How long a writer waits for another.
_SECONDS = 10.0

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

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


def schema() -> pa.Schema:
    """The columns of a store's tallies, `NAMES`."""
    import pyarrow as pa

    words = pa.dictionary(pa.int32(), pa.string())
    kinds = {"entry": pa.int32(), "rows": pa.int64()}
    return pa.schema([(name, kinds.get(name, words)) for name in NAMES])


@dataclass(frozen=True)
class Store:
    """A store as it was read: its header and its tallies (`schema`)."""

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
    import pyarrow as pa
    import pyarrow.parquet as pq

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
            if not file.schema_arrow.equals(schema()):
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
    import pyarrow.parquet as pq

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
    """Tallies from tuples in the order of `NAMES`."""
    import pyarrow as pa

    columns = zip(*rows, strict=True) if rows else [()] * len(NAMES)
    arrays = []
    for values, one in zip(columns, schema(), strict=True):
        words = pa.types.is_dictionary(one.type)
        array = pa.array(values, one.type.value_type if words else one.type)
        arrays.append(array.dictionary_encode() if words else array)
    return pa.table(arrays, schema=schema())


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
        content = json.loads(text)
        version = content.get("version") if isinstance(content, dict) else None
        if version != VERSION:
            raise InputError(
                "a store of another version of fairlora",
                where=path,
                found=f"version {version!r}"[:80],
                expected=f"version {VERSION}",
            )
        return Header.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise InputError(first["msg"], where=f"{path}: {key}") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError("not readable as JSON", where=path, found=error) from None


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
    entries, rows = (pc.min_max(tallies[name]).as_py() for name in ("entry", "rows"))
    if entries["min"] < 0 or entries["max"] >= len(header.entries):
        raise InputError("tallies of no entry", where=path)
    if rows["min"] < 0 or rows["max"] > _MOST_ROWS:
        raise InputError("tallies below 0, or above any count of rows", where=path)

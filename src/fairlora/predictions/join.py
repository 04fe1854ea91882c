"""A second table joined by id (`--join FILE --on id`): groups or labels that another file has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fairlora.errors import InputError
from fairlora.predictions.arrow import MISSING
from fairlora.predictions.columns import Coded, code_arrow


class JoinOf(NamedTuple):
    """A file to join, the column of ids in the table that it is joined to, and its own."""

    path: Path
    on: str
    key: str


def joins_of(files: Sequence[Path], on: Sequence[str]) -> tuple[JoinOf, ...]:
    """What `--join` and `--on` ask for: one column for all files, or one a file; OURS=THEIRS too.

    >>> joins_of([Path("people.csv")], ["image=file"])[0].key
    'file'
    """
    if files and not on:
        raise InputError("which column holds the ids?", where="--join", expected="--on COLUMN")
    if (len(on) > 1 and len(on) != len(files)) or (on and not files):
        raise InputError(
            "columns of ids without files",
            where="--on",
            found=f"{len(on)} columns, {len(files)} files to join",
            expected="one for all files, or one for each --join",
        )
    columns = [*on] * len(files) if len(on) == 1 else on
    pairs = [column.partition("=") for column in columns]
    return tuple(
        JoinOf(path, ours, theirs or ours)
        for path, (ours, _, theirs) in zip(files, pairs, strict=True)
    )


class Join:
    """A table whose rows are found by an id, each once.

    Parameters
    ----------
    table : has the ids and what is joined; it is kept in memory.
    on : column of ids in the table that is joined to.
    key : column of ids in this one.
    where : what to call this table in a message.

    Attributes
    ----------
    names : of its columns, the ids apart.
    lost, rows : rows without a match so far, and all; `example` is an id of one of them.

    Raises `InputError` for an id that is missing or stands twice.
    """

    def __init__(self, table: pa.Table, on: str, key: str, where: str) -> None:
        self.on, self.where = on, where
        self._table = table.drop_columns([key])
        self.names = self._table.column_names
        self.lost, self.rows, self.example = 0, 0, ""
        ids = self._ids(table[key], where)
        n = np.bincount(ids.codes, minlength=len(ids.names))
        twice = np.flatnonzero(n > 1)
        if MISSING in ids.names:
            raise InputError(
                "missing id",
                where=f"{where}, column {key}",
                found=f"{n[ids.names.index(MISSING)]:,} rows without one",
                expected="an id in every row",
            )
        if len(twice):
            first, second = np.flatnonzero(ids.codes == twice[0])[:2] + 1
            raise InputError(
                "an id stands twice",
                where=f"{where}, column {key}",
                found=f"{len(twice):,} ids in several rows: {ids.names[twice[0]]!r} in rows "
                f"{first} and {second}",
                expected="each id once",
            )
        row = np.empty(len(ids.names), dtype=np.int64)
        row[ids.codes] = np.arange(len(ids.codes))
        self._names = pa.array(ids.names, pa.string())
        self._row = row

    @staticmethod
    def _ids(column: Any, where: str) -> Coded:
        try:
            return code_arrow(column)
        except ValueError as error:
            raise InputError("not a column of ids", where=where, found=str(error)) from error

    def field(self, name: str) -> pa.Field:
        """A column's name and type."""
        return self._table.schema.field(name)

    def check(self, path: object) -> None:
        """Raise `InputError` where no row has had a match: the wrong column, or other ids."""
        if self.rows and self.lost == self.rows:
            raise InputError(
                "no id matches",
                where=f"{path}, column {self.on}",
                found=repr(self.example),
                expected=f"ids of {self.where}, such as {self._names[0].as_py()!r}",
            )

    def start(self) -> None:
        """Count from nothing: the rows are about to be read again."""
        self.lost, self.rows = 0, 0

    def columns(self, ids: Any, names: Sequence[str], where: str) -> dict[str, Any]:
        """name -> its values in the rows of these ids; an id that is not here has none.

        Parameters
        ----------
        ids : (n,) a column of ids, as words or numbers.
        names : of columns of this table.
        where : what to call the ids in a message.
        """
        coded = self._ids(ids, where)
        known = pc.index_in(pa.array(coded.names, pa.string()), value_set=self._names)
        place = np.asarray(known.fill_null(-1))
        rows = np.where(place < 0, -1, self._row[place])[coded.codes] if len(place) else place
        lost = rows < 0
        if lost.any():
            self.lost += int(lost.sum())
            self.example = coded.names[int(coded.codes[lost][0])]
        self.rows += len(rows)
        indices = pa.array(rows, pa.int64(), mask=lost)
        return {name: self._table[name].take(indices) for name in names}

    def notes(self, names: Sequence[str]) -> list[str]:
        """What to say of rows without a match, in the columns that were joined."""
        if not self.lost:
            return []
        return [
            f"{self.where}: {self.lost:,} of {self.rows:,} rows have an id that is not there "
            f"({self.example!r}, for one); {', '.join(names)}: missing in them"
        ]

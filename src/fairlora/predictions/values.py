"""Python values, as JSON and spreadsheets give them, as columns; columns by path (`doc.race`)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fairlora.errors import InputError
from fairlora.predictions.arrow import is_text, joined, plain_type
from fairlora.predictions.spellings import spelled

_BAD = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, ValueError)


def column_of(values: Sequence[Any]) -> tuple[pa.Array, bool]:
    """(n,) values of one kind as an array; of several kinds as text, and whether that was done."""
    try:
        return pa.array(values), False
    except _BAD:
        return pa.array([as_text(value) for value in values], pa.string()), True


def as_text(value: Any) -> str | None:
    """A value as one name: words as they stand, lists and objects as JSON, None as None.

    >>> as_text(1.0), as_text([1, "é"]), as_text(True)
    ('1', '[1, "é"]', 'True')
    """
    if value is None:
        return None
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return spelled(value, truth_words=True)


def table_of(names: Sequence[str], columns: Iterable[Sequence[Any]]) -> tuple[pa.Table, list[str]]:
    """A table of Python values, and what to say of columns that became text."""
    made = [column_of(values) for values in columns]
    notes = [mixed_note(name) for name, (_, mixed) in zip(names, made, strict=True) if mixed]
    return pa.Table.from_arrays([array for array, _ in made], list(names)), notes


def mixed_note(name: str) -> str:
    return f"column {name}: values of several kinds, all read as text"


def list_text(column: Any) -> pa.Array:
    """A column of lists as one name a row: the item of a list of one, else the list as JSON."""
    rows = joined(column).to_pylist()
    names = (row[0] if row is not None and len(row) == 1 else row for row in rows)
    return pa.array([as_text(name) for name in names], pa.string())


def parts_of(name: str, names: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
    """The column that a path such as ``doc.person.race`` starts in, and the steps below it.

    The longest name wins, as names may have dots themselves; None where no column has the name.

    >>> parts_of("doc.person.race", ["doc", "y"])
    ('doc', ('person', 'race'))
    """
    steps = name.split(".")
    for k in range(len(steps) - 1, 0, -1):
        if ".".join(steps[:k]) in names:
            return ".".join(steps[:k]), tuple(steps[k:])
    return None


def at_path(column: Any, path: Sequence[str], where: str) -> Any:
    """(n,) what stands at a path in a column of structs, of maps, or of JSON as text.

    Parameters
    ----------
    column : the column, chunked or not.
    path : keys, outermost first.
    where : what to call the column in a message.

    Raises
    ------
    InputError : the column, or what is on the way, holds neither; or no row has such a key.
    """
    for k, step in enumerate(path):
        column = joined(plain_type(column))
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        kind = column.type
        if pa.types.is_null(kind):
            return column
        if is_text(kind):
            return _in_json(column, path[k:], where)
        if pa.types.is_map(kind):
            column = pc.map_lookup(column, pa.scalar(step, kind.key_type), "first")
        elif pa.types.is_struct(kind):
            fields = [field.name for field in kind]
            if step not in fields:
                raise InputError(
                    f"no field {step!r}", where=where, expected="one of " + ", ".join(fields)
                )
            column = pc.struct_field(column, fields.index(step))
        else:
            raise InputError(
                "nothing has a path in this column",
                where=where,
                found=f"{kind} before {'.'.join(path[k:])!r}",
                expected="structs, maps, or JSON objects as text",
            )
    return column


def in_value(value: Any, path: Sequence[str]) -> Any:
    """What stands at a path in a JSON value; None where nothing does."""
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _in_json(column: Any, path: Sequence[str], where: str) -> pa.Array:
    coded = column.dictionary_encode()
    values = []
    for text in coded.dictionary.to_pylist():
        try:
            value = json.loads(text) if text.strip() else None
        except (ValueError, RecursionError) as error:
            raise InputError(
                "no JSON in a column with a path",
                where=where,
                found=repr(text[:40]),
                expected=f"JSON objects with {'.'.join(path)!r}",
            ) from error
        values.append(in_value(value, path))
    if values and all(value is None for value in values):
        raise InputError(
            f"no row has {'.'.join(path)!r}", where=where, expected="a key of its JSON"
        )
    return column_of(values)[0].take(coded.indices)

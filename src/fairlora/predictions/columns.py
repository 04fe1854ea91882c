"""Columns of classes and groups as codes: what a column says once, and which row says which.

Everything after reading works on small integers: a million rows of words are looked at once, by way
of their distinct values. NumPy, pandas, Arrow and torch columns and plain lists all come in here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.predictions.arrow import MISSING

Codes = NDArray[np.signedinteger[Any]]
# Above this span of integers a table of all of them costs more than sorting.
_SPAN = 1 << 20


class Coded(NamedTuple):
    """A column by its distinct values.

    `names` are the distinct values as text, numbers by size and words by letter; `codes` (n,) point
    into them. `numeric` says that all values are whole numbers or booleans.
    """

    names: tuple[str, ...]
    codes: Codes
    numeric: bool


@dataclass(frozen=True, eq=False)
class GroupColumn:
    """A sensitive attribute: the groups' names, and the groups of each row.

    Attributes
    ----------
    names : (G,) names of the groups.
    codes : (n,) integers: the row's group, or the row's place in `lists` where groups overlap.
    lists : the distinct lists of names that rows have, where groups overlap; else None.
    """

    names: tuple[str, ...]
    codes: Codes
    lists: tuple[tuple[str, ...], ...] | None = None

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def tolist(self) -> list[Any]:
        """A name a row, or a list of names a row where groups overlap."""
        if self.lists is None:
            return [self.names[code] for code in self.codes.tolist()]
        return [list(self.lists[code]) for code in self.codes.tolist()]

    def __getitem__(self, row: int) -> Any:
        """The name of a row's group, or the list of names where groups overlap."""
        code = int(self.codes[row])
        return self.names[code] if self.lists is None else list(self.lists[code])

    def contains(self, name: str) -> NDArray[np.bool_]:
        """(n,) whether each row is in the group of this name; False everywhere if none is."""
        if self.lists is None:
            codes = [k for k, own in enumerate(self.names) if own == name]
        else:
            codes = [k for k, names in enumerate(self.lists) if name in names]
        return np.isin(self.codes, codes)

    def take(self, rows: NDArray[Any]) -> GroupColumn:
        """The given rows, with groups that none of them is in left out of the names."""
        codes = self.codes[rows]
        size = len(self.names) if self.lists is None else len(self.lists)
        present = np.bincount(codes, minlength=size) > 0
        place = (np.cumsum(present) - 1).astype(np.int32)
        if self.lists is None:
            kept = tuple(name for name, here in zip(self.names, present, strict=True) if here)
            return GroupColumn(kept, place[codes])
        lists = tuple(names for names, here in zip(self.lists, present, strict=True) if here)
        some = {name for names in lists for name in names}
        return GroupColumn(tuple(n for n in self.names if n in some), place[codes], lists)

    def patterns(self) -> NDArray[np.bool_] | None:
        """(P, G) which groups each list holds; None where a row is in one group."""
        if self.lists is None:
            return None
        place = {name: k for k, name in enumerate(self.names)}
        out = np.zeros((len(self.lists), len(self.names)), dtype=bool)
        for p, names in enumerate(self.lists):
            out[p, [place[name] for name in names]] = True
        return out

    def renamed(self, names: Sequence[str]) -> GroupColumn:
        """The same rows over given names, so that a chunk without a group keeps its place."""
        if self.lists is not None:
            return GroupColumn(tuple(names), self.codes, self.lists)
        place = {name: k for k, name in enumerate(names)}
        table = np.array([place[name] for name in self.names], dtype=np.int32)
        return GroupColumn(tuple(names), table[self.codes] if len(table) else self.codes)


def group_column(values: Any, names: Sequence[str] | None = None) -> GroupColumn:
    """A column of group names, or of lists of them, of any kind; a missing one is `MISSING`.

    `names` fixes the groups and their order.

    >>> group_column(["b", None, "a"]).tolist()
    ['b', '(missing)', 'a']
    >>> group_column([3, 10, 3]).names
    ('3', '10')
    """
    if isinstance(values, GroupColumn):
        column = values
    else:
        flat = _lists_of(values)
        if flat is not None:
            column = _overlapping(flat)
        else:
            coded = code_values(values)
            # As a class, True is 1; as the name of a group it is a word.
            words = {"0": "False", "1": "True"} if _is_boolean(values) else {}
            names_ = tuple(words.get(name, name) for name in coded.names)
            column = GroupColumn(names_, coded.codes)
    return column if names is None else column.renamed(names)


def code_values(values: Any) -> Coded:
    """Code a column of any kind, a missing value as `MISSING`.

    Raises `ValueError` for anything but one value a row.
    """
    values = plain(values)
    categories = getattr(values, "cat", values)
    if hasattr(categories, "categories") and hasattr(categories, "codes"):
        return _categorical(categories)
    if hasattr(values, "type") and hasattr(values, "null_count"):  # an Arrow array
        return code_arrow(values)
    if not isinstance(values, np.ndarray):
        # NumPy would make the word "nan" of a missing value among words.
        # Of pandas' own types it would make floats where a value is missing.
        mixed = isinstance(values, list | tuple) and any(
            v is None or isinstance(v, str) for v in values
        )
        mixed |= not isinstance(getattr(values, "dtype", np.dtype(int)), np.dtype)
        values = np.asarray(values, dtype=object if mixed else None)
    if values.ndim != 1:
        raise ValueError(f"shape {values.shape}")
    if values.dtype.kind in "iub":
        return _integers(values)
    if values.dtype.kind == "f":
        return _floats(values)
    if values.dtype.kind == "U" and len(values) > 1000:
        import pyarrow as pa

        return code_arrow(pa.array(values))
    return _objects(values.tolist())


def code_arrow(values: Any) -> Coded:
    """Code an Arrow array or chunked array by its dictionary; a missing value is `MISSING`.

    Raises Arrow's own errors for types without names.
    """
    import pyarrow as pa

    from fairlora.predictions.arrow import numbers

    if isinstance(values, pa.ChunkedArray):
        # Chunks may each have a dictionary of their own.
        values = values.unify_dictionaries().combine_chunks()
        if isinstance(values, pa.ChunkedArray):  # of no chunks, or of more than Arrow can join
            values = pa.concat_arrays(values.chunks)
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if pa.types.is_boolean(kind):
        values, kind = values.cast(pa.int8()), pa.int8()
    if not pa.types.is_dictionary(values.type):
        if not values.null_count and pa.types.is_integer(kind):
            return _integers(numbers(values))
        values = values.dictionary_encode()
    words = values.dictionary.cast(pa.string()).to_pylist()
    missing = [k for k, word in enumerate(words) if word is None]
    if pa.types.is_floating(kind):
        missing += [k for k, word in enumerate(words) if word is not None and word.lower() == "nan"]
    names = [MISSING if k in missing else str(word) for k, word in enumerate(words)]
    indices = numbers(values.indices)
    if values.null_count:
        # `numbers` gives NaN for the missing ones.
        indices = np.where(np.isnan(indices), len(names), indices)
        names.append(MISSING)
    numeric = pa.types.is_integer(kind)
    return _coded(names, indices.astype(np.int32), numeric=bool(numeric))


def union(columns: Sequence[Coded]) -> tuple[str, ...]:
    """Class names of several columns in order: numbers by size, words by letter."""
    names = {name for column in columns for name in column.names}
    numeric = all(column.numeric for column in columns)
    return tuple(sorted(names, key=int) if numeric else sorted(names))


def placed(column: Coded, names: Sequence[str]) -> Codes:
    """The column as indices into `names`, which hold all of its own."""
    place = {name: k for k, name in enumerate(names)}
    table = np.array([place[name] for name in column.names], dtype=np.int32)
    if np.array_equal(table, np.arange(len(table))):
        return column.codes
    return np.asarray(table[column.codes])


def plain(values: Any) -> Any:
    """A torch tensor as NumPy, a pandas column of plain numbers too; anything else as it is."""
    if hasattr(values, "detach"):
        return values.detach().cpu().numpy()
    kind = getattr(values, "dtype", None)
    if isinstance(kind, np.dtype) and kind.kind in "iufb" and hasattr(values, "to_numpy"):
        return values.to_numpy()
    return values


def is_missing(value: Any) -> bool:
    """None, NaN, or pandas' NA and NaT."""
    if value is None:
        return True
    different = value != value  # true of NaN and NaT; pandas' NA answers with itself
    return bool(different) if isinstance(different, bool | np.bool_) else True


def _integers(values: NDArray[Any]) -> Coded:
    # A difference of two small integers need not fit their type.
    small = values.dtype.kind == "b" or values.dtype.itemsize < 4
    numbers = values.astype(np.int64) if small else values
    if not len(numbers):
        return Coded((), np.zeros(0, dtype=np.int32), True)
    low, high = int(numbers.min()), int(numbers.max())
    if high - low < _SPAN:
        # Shifted in their own type, ids near the ends of int64 cannot overflow.
        shifted = numbers if low == 0 else numbers - numbers.dtype.type(low)
        # A million codes of a few values: a byte each is read four times faster.
        codes: Codes = shifted.astype(np.int8 if high - low < 127 else np.int32)
        present = _present(codes, high - low + 1)
        found = np.flatnonzero(present)
        names = tuple(str(low + int(k)) for k in found)
        if len(found) == high - low + 1:
            return Coded(names, codes, True)
        place = (np.cumsum(present) - 1).astype(codes.dtype)
        return Coded(names, place[codes], True)
    unique, inverse = np.unique(numbers, return_inverse=True)
    return Coded(tuple(str(v) for v in unique.tolist()), inverse.astype(np.int32), True)


def _present(codes: Codes, size: int) -> NDArray[np.bool_]:
    """Which of 0 to size - 1 occur; the first and the last are known to."""
    if size > 8:
        return np.asarray(np.bincount(codes, minlength=size) > 0)
    # Of few values a look for each is faster than counting all.
    between = [bool((codes == k).any()) for k in range(1, size - 1)]
    return np.array([True, *between, True][:size])


def _floats(values: NDArray[Any]) -> Coded:
    unique, inverse = np.unique(values, return_inverse=True)
    names = [MISSING if v != v else str(v) for v in unique]
    return _coded(names, inverse.astype(np.int32), numeric=False)


def _objects(values: list[Any]) -> Coded:
    table: dict[Any, int] = {}
    codes = np.empty(len(values), dtype=np.int32)
    for row, value in enumerate(values):
        try:
            # 1, True and 1.0 are equal, and so one key, though they are not one name.
            codes[row] = table.setdefault((type(value), value), len(table))
        except TypeError:  # not hashable
            codes[row] = table.setdefault((str, str(value)), len(table))
    distinct = [value for _, value in table]
    names = [MISSING if is_missing(value) else str(value) for value in distinct]
    known = [value for value in distinct if not is_missing(value)]
    whole = all(isinstance(value, int | np.integer | np.bool_) for value in known)
    if whole:
        names = [MISSING if is_missing(value) else str(int(value)) for value in distinct]
    return _coded(names, codes, numeric=whole and bool(known))


def _categorical(categories: Any) -> Coded:
    found = categories.categories
    names = [MISSING if is_missing(value) else str(value) for value in found]
    codes = np.asarray(categories.codes, dtype=np.int32)
    if len(codes) and codes.min() < 0:
        codes = np.where(codes < 0, len(names), codes).astype(np.int32)
        names.append(MISSING)
    numeric = getattr(found, "dtype", np.dtype(object)).kind in "iub" and MISSING not in names
    return _coded(names, codes, numeric=numeric)


def _coded(names: Sequence[str], codes: Codes, *, numeric: bool) -> Coded:
    """Merge equal names, drop those of no row, and put the rest in order."""
    used = np.bincount(codes, minlength=len(names)) > 0
    distinct = {name for name, here in zip(names, used, strict=True) if here}
    if numeric:
        order = sorted(distinct, key=lambda name: (name == MISSING, _number(name)))
    else:
        order = sorted(distinct)
    place = {name: k for k, name in enumerate(order)}
    table = np.array([place.get(name, 0) for name in names], dtype=np.int32)
    return Coded(tuple(order), table[codes] if len(table) else codes, numeric)


def _number(name: str) -> int:
    return 0 if name == MISSING else int(name)


def _is_boolean(values: Any) -> bool:
    if isinstance(values, list | tuple):
        return bool(values) and all(v is None or isinstance(v, bool | np.bool_) for v in values)
    kind = getattr(values, "dtype", getattr(values, "type", None))
    return str(kind) in ("bool", "boolean", "torch.bool")


def _lists_of(values: Any) -> list[Any] | None:
    """The rows of a column of lists, or None for a column of single values."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        if values.ndim == 2:
            raise ValueError(f"shape {values.shape}")
        return None
    if hasattr(values, "type") and hasattr(values, "null_count"):
        from fairlora.predictions.arrow import is_list

        return list(values.to_pylist()) if is_list(values.type) else None
    if hasattr(values, "detach") or hasattr(values, "cat") or hasattr(values, "categories"):
        return None
    kind = getattr(values, "dtype", None)
    if isinstance(kind, np.dtype) and kind.kind != "O":
        return None
    rows = list(values)
    if any(isinstance(v, list | tuple | np.ndarray) for v in rows):
        return rows
    return None


def _overlapping(rows: list[Any]) -> GroupColumn:
    table: dict[tuple[str, ...], int] = {}
    codes = np.empty(len(rows), dtype=np.int32)
    for row, value in enumerate(rows):
        several = value if isinstance(value, list | tuple | np.ndarray) else [value]
        # A group named twice in one row is named once.
        names = tuple(dict.fromkeys(MISSING if is_missing(v) else str(v) for v in several))
        codes[row] = table.setdefault(names, len(table))
    groups = sorted({name for names in table for name in names})
    # In order, so that what is drawn by list does not hang on the order of the rows.
    lists = sorted(table)
    place = np.empty(len(lists), dtype=np.int32)
    for new, names in enumerate(lists):
        place[table[names]] = new
    return GroupColumn(tuple(groups), place[codes] if len(codes) else codes, tuple(lists))

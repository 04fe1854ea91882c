"""Columns of classes and groups as codes: the distinct names, and which row has which.

Everything after reading works on small integers: a million rows of words are looked at once, by way
of their distinct values. NumPy (masked arrays too), pandas, polars, Arrow and torch columns and
plain lists all come in here, and the same values give the same names in each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.predictions.arrow import MISSING
from fairlora.predictions.containers import Categories, unwrapped
from fairlora.predictions.spellings import missing_group, ordered, spelled

Codes = NDArray[np.signedinteger[Any]]
# Above this span of integers a table of all of them costs more than sorting.
_SPAN = 1 << 20
# What holds several groups of one row.
_LISTS: Any = (list, tuple, set, frozenset, np.ndarray)


class Coded(NamedTuple):
    """A column by its distinct values.

    `names` are the distinct values as text, numbers by size and words by letter; `codes` (n,) point
    into them.
    """

    names: tuple[str, ...]
    codes: Codes


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


def appended(parts: Sequence[GroupColumn]) -> GroupColumn:
    """The rows of columns over the same names, one after the other."""
    names, lists = parts[0].names, parts[0].lists
    if len(parts) == 1 or lists is None:
        codes = np.concatenate([part.codes for part in parts]) if parts[1:] else parts[0].codes
        return GroupColumn(names, codes, lists)
    place: dict[tuple[str, ...], int] = {}
    codes = np.concatenate(
        [
            np.array([place.setdefault(one, len(place)) for one in part.lists or ()])[part.codes]
            for part in parts
        ]
    )
    return GroupColumn(names, codes, tuple(place))


def group_column(values: Any, names: Sequence[str] | None = None) -> GroupColumn:
    """A column of group names, or of lists of them, of any kind; a missing one is `MISSING`.

    A group has the name that stands in the data; words that files write for a missing value
    (`missing_group`) are missing. `names` fixes the groups and their order.

    Raises `ValueError` for anything but one value, or one list of values, a row.

    >>> group_column(["b", None, "a", "?"]).tolist()
    ['b', '(missing)', 'a', '(missing)']
    >>> group_column([3, 10, 3]).names
    ('3', '10')
    """
    if isinstance(values, GroupColumn):
        column = values
    else:
        values = unwrapped(values)
        lists = _lists_of(values)
        if lists is not None:
            column = _overlapping(lists)
        else:
            coded = code_values(values, truth_words=True)
            called = [MISSING if missing_group(name) else name for name in coded.names]
            same = called == list(coded.names)
            column = GroupColumn(*(coded if same else _coded(called, coded.codes)))
    return column if names is None else column.renamed(names)


def code_values(values: Any, *, truth_words: bool = False) -> Coded:
    """Code a column of any kind, a missing value as `MISSING`.

    With `truth_words` True is named "True", else "1"; see `spelled`.

    Raises `ValueError` for anything but one value a row.
    """
    values = unwrapped(values)
    if isinstance(values, Categories):
        inner = code_values(values.categories, truth_words=truth_words)
        # A row without a category has the code -1: the name after the last.
        called = [inner.names[code] for code in inner.codes.tolist()] + [MISSING]
        return _coded(called, np.where(values.codes < 0, len(called) - 1, values.codes))
    if isinstance(values, np.ma.MaskedArray):
        inner = code_values(np.asarray(values.data), truth_words=truth_words)
        masked = np.ma.getmaskarray(values)
        codes = np.where(masked, len(inner.names), inner.codes)
        return _coded([*inner.names, MISSING], codes)
    if not isinstance(values, np.ndarray):
        if isinstance(values, list):
            return _objects(values, truth_words)
        return code_arrow(values, truth_words=truth_words)
    if values.ndim != 1:
        raise ValueError(f"shape {values.shape}")
    kind = values.dtype.kind
    if kind in "iu" or (kind == "b" and not truth_words):
        return _integers(values)
    if kind == "f":
        unique, inverse = np.unique(values, return_inverse=True)
        return _coded([spelled(v, truth_words=truth_words) for v in unique], inverse)
    if kind in "cV":
        raise ValueError(f"values of type {values.dtype}")
    if kind in "mM" or (kind == "U" and len(values) > 1000):
        import pyarrow as pa

        return code_arrow(pa.array(values), truth_words=truth_words)
    return _objects(values.tolist(), truth_words)


def code_arrow(values: Any, *, truth_words: bool = False) -> Coded:
    """Code an Arrow array or chunked array by its dictionary; a missing value is `MISSING`.

    Raises `ValueError` for types without names, such as structs.
    """
    import pyarrow as pa

    from fairlora.predictions.arrow import joined, numbers, plain_type

    try:
        values = joined(plain_type(values))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"Arrow values of type {values.type}") from error
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if pa.types.is_integer(kind) and not values.null_count and kind == values.type:
        return _integers(numbers(values))
    try:
        if not pa.types.is_dictionary(values.type):
            values = values.dictionary_encode()
        distinct: Any = values.dictionary
        if pa.types.is_floating(kind):
            distinct = list(numbers(distinct))
        elif pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
            distinct = distinct.to_pylist()
        else:
            distinct = distinct.cast(pa.string()).to_pylist()
            if pa.types.is_temporal(kind):
                distinct = _shortest_times(distinct)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"Arrow values of type {kind}") from error
    names = [spelled(value, truth_words=truth_words) for value in distinct]
    indices = numbers(values.indices)
    if values.null_count:
        # `numbers` gives NaN for the missing ones.
        indices = np.where(np.isnan(indices), len(names), indices).astype(np.int32)
        names.append(MISSING)
    return _coded(names, indices)


def _shortest_times(names: Sequence[str | None]) -> list[str | None]:
    """Times without the zeros that all end with: days are days."""
    for ending in (".000000000", ".000000", ".000", " 00:00:00"):
        if all(name is None or name.endswith(ending) for name in names):
            names = [None if name is None else name.removesuffix(ending) for name in names]
    return list(names)


def of_kept(column: Coded, kept: NDArray[np.bool_] | None) -> Coded:
    """The rows that are kept, None for all, and the names that some of them have."""
    if kept is None:
        return column
    part = GroupColumn(*column).take(np.flatnonzero(kept))
    return Coded(part.names, part.codes)


def placed(column: Coded, names: Sequence[str]) -> Codes:
    """The column as indices into `names`, which hold all of its own."""
    place = {name: k for k, name in enumerate(names)}
    table = np.array([place[name] for name in column.names], dtype=np.int32)
    if np.array_equal(table, np.arange(len(table))):
        return column.codes
    return np.asarray(table[column.codes])


def _integers(values: NDArray[Any]) -> Coded:
    # A difference of two small integers need not fit their type.
    small = values.dtype.kind == "b" or values.dtype.itemsize < 4
    numbers = values.astype(np.int64) if small else values
    if not len(numbers):
        return Coded((), np.zeros(0, dtype=np.int32))
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
            return Coded(names, codes)
        place = (np.cumsum(present) - 1).astype(codes.dtype)
        return Coded(names, place[codes])
    unique, inverse = np.unique(numbers, return_inverse=True)
    return Coded(tuple(str(v) for v in unique.tolist()), inverse.astype(np.int32))


def _present(codes: Codes, size: int) -> NDArray[np.bool_]:
    """Which of 0 to size - 1 occur; the first and the last are known to."""
    if size > 8:
        return np.asarray(np.bincount(codes, minlength=size) > 0)
    # Of few values a look for each is faster than counting all.
    between = [bool((codes == k).any()) for k in range(1, size - 1)]
    return np.array([True, *between, True][:size])


def _objects(values: list[Any], truth_words: bool) -> Coded:
    for kind in set(map(type, values)):
        if hasattr(kind, "item") and hasattr(kind, "shape") and not issubclass(kind, np.generic):
            # Arrays and tensors of one number each, which no two are equal of.
            one: Any = kind
            values = [v.item() if isinstance(v, one) and v.shape == () else v for v in values]
    table: dict[Any, int] = {}
    codes = np.empty(len(values), dtype=np.int32)
    for row, value in enumerate(values):
        try:
            # 1, True and 1.0 are equal, and so one key, though they are not one name.
            codes[row] = table.setdefault((type(value), value), len(table))
        except TypeError as error:  # not hashable
            raise ValueError(f"a {type(value).__name__} where one name should stand") from error
    return _coded([spelled(value, truth_words=truth_words) for _, value in table], codes)


def _coded(names: Sequence[str], codes: NDArray[Any]) -> Coded:
    """Merge equal names, drop those of no row, and put the rest in order."""
    used = np.bincount(codes, minlength=len(names)) > 0
    order = ordered(name for name, here in zip(names, used, strict=True) if here)
    place = {name: k for k, name in enumerate(order)}
    table = np.array([place.get(name, 0) for name in names], dtype=np.int32)
    return Coded(order, table[codes] if len(table) else np.asarray(codes, dtype=np.int32))


def _is_scalar(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 0


def _lists_of(values: Any) -> list[Any] | None:
    """The rows of a column of lists, or None for a column of single values."""
    if isinstance(values, np.ndarray):
        if values.dtype != object or isinstance(values, np.ma.MaskedArray):
            return None
        values = values.tolist() if values.ndim == 1 else []
    if isinstance(values, Categories):
        return None
    if not isinstance(values, list):
        from fairlora.predictions.arrow import is_list

        return list(values.to_pylist()) if is_list(values.type) else None
    if any(isinstance(v, _LISTS) and not _is_scalar(v) for v in values):
        return values
    return None


def _overlapping(rows: list[Any]) -> GroupColumn:
    table: dict[tuple[str, ...], int] = {}
    codes = np.empty(len(rows), dtype=np.int32)
    for row, value in enumerate(rows):
        several = value if isinstance(value, _LISTS) and not _is_scalar(value) else [value]
        # A group named twice in one row is named once.
        names = tuple(dict.fromkeys(_list_name(v) for v in several))
        codes[row] = table.setdefault(names, len(table))
    groups = ordered(name for names in table for name in names)
    # In order, so that what is drawn by list does not hang on the order of the rows.
    lists = sorted(table)
    place = np.empty(len(lists), dtype=np.int32)
    for new, names in enumerate(lists):
        place[table[names]] = new
    return GroupColumn(groups, place[codes] if len(codes) else codes, tuple(lists))


def _list_name(value: Any) -> str:
    name = spelled(value, truth_words=True)
    return MISSING if missing_group(name) else name

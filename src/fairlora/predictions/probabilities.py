"""Probabilities of any form as (n, c) in the order of the classes.

They come as a list a row, as one column a class (names decide), or of one class of two alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.arrow import (
    RowNumber,
    first_row,
    is_list,
    is_text,
    joined,
    numbered,
    numbers,
    plain_type,
)
from fairlora.predictions.classes import Classes
from fairlora.predictions.columns import float_array
from fairlora.predictions.spellings import class_named, missing_class, spelled, whole_number
from fairlora.predictions.table import SUM_TOLERANCE

# Rounding to 2 or 3 decimals moves a sum by at most half a unit of each class's; more than this in
# all is no rounding.
_MOST_ROUNDING = 0.05
# Arithmetic leaves a probability so far outside of 0 to 1.
_NOISE = 1e-6
# Rows that say to how many decimals all are rounded.
_LOOKED_AT = 5000


class Source(NamedTuple):
    """Where probabilities are, and which class each is of.

    Attributes
    ----------
    columns : names of the columns; one for a list, a struct or a single probability.
    order : (c,) place of each class among the columns, or in the list or struct.
    of : index of the class that a single column is of; None otherwise.
    fields : names of a struct's fields, which `order` points into.
    """

    columns: tuple[str, ...]
    order: tuple[int, ...] = ()
    of: int | None = None
    fields: tuple[str, ...] = ()


def locate(
    head: pa.Table,
    probs: str,
    classes: Classes,
    positive: str | None,
    where: str,
    others: Collection[str] = (),
) -> Source:
    """Find the probabilities that `--probs` names, by the first rows of a table.

    Raises `InputError` where they cannot be matched with the classes.

    Parameters
    ----------
    head : the first rows.
    probs : a column of lists, of structs or of one class's probability, or the prefix of one column
        a class.
    classes : takes in classes that no row has, and notes.
    positive : the positive class, which a single column without a class in its name is of; None is
        the second.
    where : what to call the table in a message.
    others : columns of something else.
    """
    place = f"{where} (--probs {probs})"
    if probs in head.column_names:
        kind = head[probs].type
        if pa.types.is_struct(kind):
            names = [field.name for field in kind]
            order = _by_name(names, classes, place)
            return Source((probs,), order, fields=tuple(names))
        if is_list(kind):
            lengths = pc.list_value_length(joined(head[probs])).drop_null()
            width = lengths[0].as_py() if len(lengths) else len(classes.names)
            return Source((probs,), _by_place(width, classes, f"{where}, column {probs}, row 1"))
        return Source(
            (probs,), (), _one_class(probs, classes, positive, f"{where}, column {probs}")
        )
    names = [n for n in head.column_names if n.startswith(probs) and n not in others]
    named: dict[str | None, str] = {}
    for name in names:
        meant = class_named(name[len(probs) :], classes.names)
        if meant is not None and named.setdefault(meant, name) != name:
            raise InputError(
                "two columns of probabilities of one class",
                where=place,
                found=f"{named[meant]} and {name}, both of {meant!r}",
                expected="one column a class",
            )
    missing = [name for name in classes.names if name not in named]
    if missing:
        raise InputError(
            f"no column {probs!r}, and no column {probs + missing[0]!r} of that prefix",
            where=f"{where} (--probs)",
            expected="one of " + ", ".join(head.column_names),
        )
    chosen = [named[name] for name in classes.names]
    more = [n for n in names if n not in chosen and _is_number(head[n].type)]
    if more and not classes.stated and _sums_to_one(head, [*chosen, *more], chosen):
        classes.extend([name[len(probs) :] for name in more])
        return Source(
            (*chosen, *more),
            _by_name([n[len(probs) :] for n in [*chosen, *more]], classes, place),
        )
    return Source(tuple(chosen), tuple(range(len(chosen))))


def read(
    table: pa.Table,
    source: Source,
    classes: Sequence[str],
    where: str,
    number: RowNumber = first_row,
) -> NDArray[np.float64]:
    """(n, c) the probabilities of a table's rows, unchecked.

    Parameters
    ----------
    table : the rows.
    source : where the probabilities are, as `locate` found.
    classes : class names in order.
    where : what to call the table in a message.
    number : gives the number of the first marked row, for a message.

    Raises
    ------
    InputError : a value is no number, a field is not there, a list has another length, or a single
        column a value outside 0 to 1.
    """
    name = source.columns[0]
    place = f"{where}, column {name}"
    try:
        if len(source.columns) > 1:
            each = [_numbers(joined(table[one])) for one in source.columns]
            return np.stack([each[k] for k in source.order], axis=1)
        column = joined(table[name])
        if pa.types.is_struct(column.type):
            parts = dict(zip((one.name for one in column.type), column.flatten(), strict=True))
            lacking = [one for one in source.fields if one not in parts]
            if lacking:
                raise InputError(
                    f"no field {lacking[0]!r}",
                    where=place,
                    expected="one of " + ", ".join(parts),
                )
            # Files of one folder may have the fields in different orders.
            return np.stack([_numbers(parts[source.fields[k]]) for k in source.order], axis=1)
        if is_list(column.type):
            lengths = np.nan_to_num(numbers(pc.list_value_length(column)))
            wrong = np.asarray(lengths != len(source.order), dtype=np.bool_)
            if wrong.any():
                raise InputError(
                    "another number of probabilities than of classes",
                    where=f"{place}, row {number(wrong)}",
                    found=int(lengths[wrong][0]),
                    expected=f"{len(classes)} ({', '.join(classes[:5])})",
                )
            flat = _numbers(column.flatten()).reshape(len(column), len(source.order))
            order = list(source.order)
            return flat if order == list(range(len(order))) else flat[:, order]
        return both(_one_column(_numbers(column), place, number), source.of or 0)
    except (ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("probabilities are not numbers", where=place) from error


def both(p: NDArray[Any], of: int) -> NDArray[np.float64]:
    """(n, 2) from the probability (n,) of one of two classes."""
    matrix = np.empty((len(p), 2), dtype=p.dtype if p.dtype.kind == "f" else np.float64)
    matrix[:, of], matrix[:, 1 - of] = p, 1 - p
    return matrix


def _numbers(column: pa.Array) -> NDArray[Any]:
    """Numbers of any type; words that spell numbers are read, and missing ones are NaN."""
    column = plain_type(column)
    if pa.types.is_dictionary(column.type):
        column = plain_type(column.dictionary_decode())
    if is_text(column.type):
        known = column.unique().to_pylist()
        gone = pa.array([name for name in known if name is not None and missing_class(name)])
        if len(gone):
            column = pc.if_else(pc.is_in(column, gone.cast(column.type)), None, column)
        column = column.cast(pa.float64())
    return numbers(column)


def _one_column(p: NDArray[Any], where: str, number: RowNumber) -> NDArray[Any]:
    """Check probabilities (n,) of one class as they stand: turned round they would hide a cause."""
    _check_range(p[:, None], where, number)
    return p


def _check_range(matrix: NDArray[Any], where: str, number: RowNumber) -> None:
    """Refuse what is outside of 0 to 1, with what it may be."""
    if not matrix.size:
        return
    low, high = matrix.min(), matrix.max()
    if low >= -_NOISE and high <= 1 + _NOISE:
        return
    inside = ((matrix >= -_NOISE) & (matrix <= 1 + _NOISE)).all(axis=1)
    row, low, high = matrix[~inside][0], np.nanmin(matrix), np.nanmax(matrix)
    hint = "probabilities in 0 to 1: are these scores before the softmax?"
    if np.isnan(row).any():
        hint = "a probability of every class in every row"
    elif low >= 0 and 1 < high <= 100:
        hint = "probabilities in 0 to 1: are these percentages?"
    elif high <= 0:
        hint = "probabilities in 0 to 1: are these their logarithms?"
    raise InputError(
        "a probability outside 0 to 1",
        where=f"{where}, row {number(np.asarray(~inside, dtype=np.bool_))}",
        found=[round(float(v), 6) for v in row[:8]],
        expected=hint,
    )


def checked(
    matrix: NDArray[Any], where: str, number: RowNumber = first_row
) -> tuple[NDArray[np.float32], int]:
    """Probabilities as float32, and how many rows were rounded so that they had to be renormalised.

    A row sums to 1 within 0.001, or within what rounding explains: to 2, 3 or 4 decimals, to 3
    significant digits, or to bfloat16, of all values, up to 0.05 in all. Rows that are further
    than 0.001 off are divided by their sum.

    Raises `InputError` that names the first row at fault.

    Parameters
    ----------
    matrix : (n, c) probabilities.
    where : what to call them in the message.
    number : gives the number of the first marked row.
    """
    _check_range(matrix, where, number)
    total = matrix.sum(axis=1, dtype=np.float64)
    off = np.abs(total - 1) > SUM_TOLERANCE
    out = np.array(matrix, dtype=np.float32)
    if off.any():
        allowed = max(SUM_TOLERANCE, _rounding(matrix[off], matrix[:_LOOKED_AT]))
        far = np.abs(total - 1) > allowed
        if far.any():
            raise InputError(
                "probabilities do not sum to 1",
                where=f"{where}, row {number(far)}",
                found=f"{total[far][0]:.4f}",
                expected=f"1, within {allowed:g}",
            )
        out[off] = matrix[off] / total[off, None]
    if matrix.size and (matrix.min() < 0 or matrix.max() > 1):
        np.clip(out, 0, 1, out=out)
    return out, int(off.sum())


def _rounding(*parts: NDArray[Any]) -> float:
    """How far from 1 rounded probabilities may sum, by how all of them are rounded; 0 if not."""
    classes = parts[0].shape[1]
    for unit in (0.01, 0.001, 0.0001):
        if all(_whole(part / unit) for part in parts):
            return float(min(_MOST_ROUNDING, classes * unit / 2) + 1e-6)
    if all(_whole(_mantissa(part) * 100) for part in parts):  # 3 significant digits
        return 0.005 + 1e-6
    if all(not (part.astype(np.float32).view(np.uint32) & 0xFFFF).any() for part in parts):
        return 2**-8  # bfloat16 has 8 bits
    return 0.0


def _mantissa(values: NDArray[Any]) -> NDArray[np.float64]:
    """Values as 1 to 10 times a power of ten; 0 stays."""
    known = np.where(values > 0, values, 1.0).astype(np.float64)
    return np.where(values > 0, known / 10 ** np.floor(np.log10(known) + 1e-9), 0.0)


def _whole(scaled: NDArray[Any]) -> bool:
    return bool(np.abs(scaled - np.round(scaled)).max() < 1e-3)


def renormalised_note(count: int) -> str:
    """What is said of rows whose rounded probabilities were renormalised."""
    return (
        f"probabilities of {count:,} rows are rounded and do not sum to 1: each was divided by the "
        "row's sum"
    )


def probability_matrix(
    probs: Any,
    n: int,
    classes: Classes,
    positive: str | None,
    where: str = "probs",
    kept: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """(n, c) probabilities of Python's containers in the order of the classes, checked.

    Parameters
    ----------
    probs : a frame of pandas, polars or Arrow, or a dict of columns, is matched by the columns'
        names; an array or a list of rows by place; (n,) numbers are of the positive class of two.
    n : how many rows there must be, those that are not kept too.
    classes : takes in classes that no row has, and notes.
    positive : the positive class; None is the second of two.
    where : what to call the probabilities in a message.
    kept : (n,) which rows are kept, None for all; the others are not looked at, and left out.

    Raises
    ------
    InputError : another shape, no numbers, values outside 0 to 1, rows that do not sum to 1, or
        columns not named as the classes.
    """
    number = numbered(0, kept)
    names, matrix = _columns_of(probs, where)
    if matrix.shape[:1] != (n,) or matrix.ndim > 2:
        raise InputError(
            "probabilities of another shape",
            where=where,
            found=matrix.shape,
            expected=f"({n}, {len(classes.names)}), one column a class",
        )
    if kept is not None:
        n, matrix = int(kept.sum()), matrix[kept]
    if matrix.ndim == 1 or (matrix.shape[1] == 1 and len(classes.names) == 2):
        name = names[0] if names else ""
        index = _one_class(name, classes, positive, where)
        matrix = both(_one_column(matrix.reshape(n), where, number), index)
    elif names is None:
        order = list(_by_place(matrix.shape[1], classes, where))
        matrix = matrix if order == list(range(len(order))) else matrix[:, order]
    else:
        matrix = matrix[:, list(_by_name(names, classes, where))]
    out, rounded = checked(matrix, where, number)
    if rounded:
        classes.notes.append(renormalised_note(rounded))
    return out


def _columns_of(probs: Any, where: str) -> tuple[list[str] | None, NDArray[Any]]:
    """Column names, where there are any, and the numbers (n, c) or (n,)."""
    names: list[str] | None = None
    try:
        if isinstance(probs, Mapping):
            names = [spelled(name, truth_words=False) for name in probs]
            columns = list(probs.values())
        elif hasattr(probs, "column_names"):  # Arrow
            names, columns = list(probs.column_names), [probs[c] for c in probs.column_names]
        elif hasattr(probs, "columns"):  # pandas, polars
            named = list(probs.columns)
            columns = (
                [probs.iloc[:, k] for k in range(len(named))]
                if hasattr(probs, "iloc")
                else [probs[name] for name in named]
            )
            # Columns that count from 0 have no names, unless the classes do so too.
            plain = named == list(range(len(named))) and not any(isinstance(c, str) for c in named)
            names = None if plain else [spelled(name, truth_words=False) for name in named]
        else:
            name = getattr(probs, "name", None)
            matrix = float_array(probs)
            return ([name] if isinstance(name, str) and matrix.ndim == 1 else None), matrix
        return names, np.stack([float_array(column) for column in columns], axis=1)
    except (ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            "not numbers", where=where, expected="numbers, as many each row"
        ) from error


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)
    )


def _sums_to_one(head: pa.Table, columns: Sequence[str], without: Sequence[str]) -> bool:
    """Whether the rows of all columns sum to one, and those of fewer do not."""

    def off(names: Sequence[str]) -> float:
        total = sum(numbers(plain_type(joined(head[name]))).astype(np.float64) for name in names)
        known = np.asarray(total)[~np.isnan(total)]
        return float(np.abs(known - 1).max()) if len(known) else 1.0

    return off(columns) <= _MOST_ROUNDING < off(without) or off(columns) < off(without) / 10


def _by_name(names: Sequence[str], classes: Classes, where: str) -> tuple[int, ...]:
    """Place of each class among named columns, whatever their common prefix or ending."""
    for strip in (lambda names: list(names), _bare):
        bare = strip(names)
        if len(set(bare)) < len(bare):
            continue
        meant = [class_named(name, classes.names) for name in bare]
        if set(meant) >= set(classes.names):
            # Names that are no class yet are classes that no row has.
            if None in meant and not classes.stated:
                classes.extend([n for n, m in zip(bare, meant, strict=True) if m is None])
                meant = [class_named(name, classes.names) for name in bare]
            place = {name: k for k, name in enumerate(meant)}
            if len(place) == len(meant):
                return tuple(place[name] for name in classes.names)
    raise InputError(
        "columns of probabilities are not named as the classes",
        where=where,
        found=", ".join(names[:8]),
        expected=", ".join(classes.names[:8])
        + "; an array without names (to_numpy) is taken in this order",
    )


def _bare(names: Sequence[str]) -> list[str]:
    """Names without what all begin with, and without what all end with.

    >>> _bare(["p_no", "p_not"]), _bare(["p0", "p1"]), _bare(["no_score", "yes_score"])
    (['no', 'not'], ['0', '1'], ['no', 'yes'])
    """
    if len(names) < 2:
        return list(names)
    # What all begin with ends where a word ends: of "p_no" and "p_not" it is "p_".
    same = _shared(names)
    begins = re.match(r".*[\W_]|", same)
    cut = len(begins.group()) if begins else 0
    if not cut and all(name[len(same) :].isdecimal() for name in names):
        cut = len(same)
    ends = _shared([name[cut:][::-1] for name in names])[::-1]
    ending = re.search(r"[\W_].*$", ends)
    tail = len(ending.group()) if ending else 0
    return [name[cut : len(name) - tail] for name in names]


def _shared(names: Sequence[str]) -> str:
    """What all names begin with."""
    low, high = min(names), max(names)
    length = next((k for k, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), None)
    return low if length is None else low[:length]


def _by_place(width: int, classes: Classes, where: str) -> tuple[int, ...]:
    """Places of the classes in a list of probabilities that has no names."""
    names = classes.names
    if width != len(names) and not classes.stated:
        # Labels 0 and 2 beside three probabilities are two of the classes 0, 1 and 2.
        indices = {str(k) for k in range(width)}
        if width > len(names) and {whole_number(name) for name in names} <= indices:
            classes.extend(sorted(indices))
            classes.notes.append(
                f"classes are 0 to {width - 1}, as many as there are probabilities a row"
            )
            return tuple(range(width))
    if width != len(names):
        raise InputError(
            "another number of probabilities than of classes",
            where=where,
            found=width,
            expected=f"{len(names)} ({', '.join(names[:5])})"
            + ("" if classes.stated else "; --classes A,B,... (classes=) names them all, in order"),
        )
    classes.order_assumed = not classes.stated
    return tuple(range(width))


def _one_class(name: str, classes: Classes, positive: str | None, where: str) -> int:
    """Index of the class that a single column of probabilities is of: as named, else positive."""
    names = classes.names
    if len(names) != 2:
        raise InputError(
            "one column of probabilities serves two classes alone",
            where=where,
            found=f"{len(names)} classes",
            expected="a list column, a prefix of one column a class, or both classes stated "
            "(--classes)",
        )
    said = _named_in(name, names)
    if said is not None:
        classes.notes.append(f"{name!r} is the probability of {names[said]!r}, as its name says")
        classes.single = said
        return said
    classes.order_assumed = True
    # An unknown positive class is refused where the audit begins.
    meant = None if positive is None else class_named(positive, names)
    index = 1 if meant is None else names.index(meant)
    classes.single = index
    if not (whole_number(names[0]) and whole_number(names[1])) or index == 0:
        classes.notes.append(
            f"the column of probabilities is taken as those of {names[index]!r}, the positive class"
        )
    return index


def _named_in(column: str, names: Sequence[str]) -> int | None:
    """Which of two classes the name of a column holds as words of its own, or None.

    >>> _named_in("p_not_approved", ["approved", "not approved"]), _named_in("prob1", ["0", "1"])
    (1, 1)
    """

    def words(text: str) -> list[str]:
        return [w for w in re.split(r"[\W_]+|(?<=\D)(?=\d)", text.casefold()) if w]

    parts = words(column)
    lengths = []
    for name in names:
        wanted = words(name)
        if whole_number(name) is not None:  # a number at the end alone: model_1_score says nothing
            here = len(parts) > 1 and parts[-1:] == wanted
        else:
            spans = range(len(parts) - len(wanted) + 1)
            here = bool(wanted) and any(parts[k : k + len(wanted)] == wanted for k in spans)
        lengths.append(len(wanted) if here else 0)
    if lengths[0] == lengths[1]:
        return None
    return int(lengths[1] > lengths[0])

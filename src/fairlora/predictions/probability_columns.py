"""Which columns are probabilities, or which places of a list, and of which class each is."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fairlora.errors import InputError
from fairlora.predictions.arrow import (
    is_list,
    joined,
    numbers,
    plain_type,
)
from fairlora.predictions.classes import Classes
from fairlora.predictions.spellings import class_named, whole_number

# Rounding to 2 or 3 decimals moves a sum by at most half a unit of each class's; more than this in
# all is no rounding.
MOST_ROUNDING = 0.05


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
            order = by_name(names, classes, place)
            return Source((probs,), order, fields=tuple(names))
        if is_list(kind):
            lengths = pc.list_value_length(joined(head[probs])).drop_null()
            width = lengths[0].as_py() if len(lengths) else len(classes.names)
            return Source((probs,), by_place(width, classes, f"{where}, column {probs}, row 1"))
        return Source((probs,), (), one_class(probs, classes, positive, f"{where}, column {probs}"))
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
            by_name([n[len(probs) :] for n in [*chosen, *more]], classes, place),
        )
    return Source(tuple(chosen), tuple(range(len(chosen))))


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

    return off(columns) <= MOST_ROUNDING < off(without) or off(columns) < off(without) / 10


def by_name(names: Sequence[str], classes: Classes, where: str) -> tuple[int, ...]:
    """Place of each class among named columns, whatever their common prefix or ending.

    Parameters
    ----------
    names : of the columns.
    classes : takes in classes that no row has, and notes.
    where : what to call the probabilities in a message.
    """
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


def by_place(width: int, classes: Classes, where: str) -> tuple[int, ...]:
    """Places of the classes in a list of probabilities that has no names.

    Parameters
    ----------
    width : how many probabilities a row has.
    classes : takes in classes that no row has, and notes.
    where : what to call the probabilities in a message.
    """
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


def one_class(name: str, classes: Classes, positive: str | None, where: str) -> int:
    """Index of the class that a single column of probabilities is of: as named, else positive.

    Parameters
    ----------
    name : of the column; "" for none.
    classes : takes in classes that no row has, and notes.
    positive : the positive class; None is the second.
    where : what to call the probabilities in a message.
    """
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

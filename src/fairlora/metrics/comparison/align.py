"""Tables of two ways of fine-tuning, a pair a seed, brought to common seeds, rows and classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.groups.intersections import columns_of
from fairlora.metrics.groups.missing import rows_with
from fairlora.metrics.settings import Settings
from fairlora.predictions import GroupColumn, Predictions
from fairlora.predictions.columns import Codes
from fairlora.predictions.pairing import common_classes, over_classes

Int = NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Tables of the same rows: of all seeds, or of one where the test rows vary with the seed.

    Attributes
    ----------
    tables : the first's and the second's table of each seed, all in one order of rows.
    columns : attribute -> its column, combinations included.
    """

    tables: tuple[tuple[Predictions, Predictions], ...]
    columns: Mapping[str, GroupColumn]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def labels(self) -> NDArray[np.integer[Any]]:
        """(n,) class indices."""
        return self.tables[0][0].labels

    @property
    def flat(self) -> list[Predictions]:
        """The 2 S tables: the first's and the second's of one seed, then of the next."""
        return [table for pair in self.tables for table in pair]

    def take(self, rows: NDArray[np.intp] | None, attribute: str) -> Block:
        """The given rows, or all for None, with one attribute."""
        column = self.columns[attribute]
        if rows is None:
            return Block(self.tables, {attribute: column})
        tables = tuple((a.take(rows), b.take(rows)) for a, b in self.tables)
        return Block(tables, {attribute: column.take(rows)})

    @cached_property
    def clusters(self) -> Codes | None:
        """(n,) code of each row's cluster from 0 on, or None where rows are draws of their own."""
        codes = self.tables[0][0].clusters
        return None if codes is None else np.unique(codes, return_inverse=True)[1]


@dataclass(frozen=True)
class Runs:
    """What is compared: seeds, classes, and one block or a block a seed."""

    seeds: tuple[int, ...]
    classes: tuple[str, ...]
    blocks: tuple[Block, ...]

    @property
    def attributes(self) -> list[str]:
        return list(self.blocks[0].columns)

    def compared(self, attribute: str, settings: Settings) -> Runs:
        """The same runs over the rows that have a value of the attribute, its column alone."""
        if settings.missing_group == "keep":
            return self
        rows = [rows_with(block.columns[attribute]) for block in self.blocks]
        if all(some is None for some in rows):
            return self
        parts = [block.take(some, attribute) for block, some in zip(self.blocks, rows, strict=True)]
        return replace(self, blocks=tuple(_over_all_groups(parts)))


def runs_of(
    first: Mapping[int, Predictions],
    second: Mapping[int, Predictions],
    names: tuple[str, str],
    settings: Settings,
    warnings: list[str],
    *,
    same_rows: bool,
) -> Runs:
    """Pair the tables by seed and their rows by id.

    The groups are those of the first table. A seed that one of the two lacks is left out.

    Parameters
    ----------
    first, second : seed -> table.
    names : of the two, for messages.
    settings : of an audit; which attributes to combine, and how many groups they may have.
    warnings : takes the seeds that are left out.
    same_rows : whether all seeds have the same rows; else only the two tables of a seed do.

    Raises
    ------
    InputError : no seed in common; rows, labels, groups or attributes that differ; an id that
        stands twice; a loss or probability that is not finite; or as `columns_of`. The line names
        the seed and the row.
    """
    seeds = _common_seeds(first, second, names, warnings)
    pairs = [(first[seed], second[seed]) for seed in seeds]
    classes = common_classes([table for pair in pairs for table in pair])
    where = [tuple(f"seed {seed} of {name}" for name in names) for seed in seeds]
    one: Predictions | None = None
    blocks: list[list[tuple[Predictions, Predictions]]] = []
    for pair, place in zip(pairs, where, strict=True):
        if one is None or not same_rows:
            one, said = over_classes(pair[0], classes), place[0]
            _check_ids(one, said)
            blocks.append([])
        aligned = [
            one if name == said else _aligned(one, over_classes(table, classes), name, said)
            for table, name in zip(pair, place, strict=True)
        ]
        for table, name in zip(aligned, place, strict=True):
            _check_finite(table, name)
        blocks[-1].append((aligned[0], aligned[1]))
    made = [
        Block(tuple(tables), columns_of(tables[0][0].groups, len(tables[0][0]), settings))
        for tables in blocks
    ]
    return Runs(seeds, classes, tuple(_same_groups(made, where)))


def one_pair(
    first: Predictions, second: Predictions, names: tuple[str, str], settings: Settings
) -> Runs:
    """Two tables of the same rows in the same order as the runs of one seed.

    Parameters
    ----------
    first, second : the tables; the groups are the first's.
    names : of the two, for messages.
    settings : of an audit; which attributes to combine, and how many groups they may have.

    Raises
    ------
    InputError : a loss or probability that is not finite, or as `columns_of`.
    """
    for table, name in zip((first, second), names, strict=True):
        _check_finite(table, name)
    block = Block(((first, second),), columns_of(first.groups, len(first), settings))
    return Runs((0,), first.classes, (block,))


def _common_seeds(
    first: Mapping[int, Predictions],
    second: Mapping[int, Predictions],
    names: tuple[str, str],
    warnings: list[str],
) -> tuple[int, ...]:
    common = sorted(set(first) & set(second))
    if not common:
        raise InputError(
            "no seed in common",
            where=f"{names[0]} and {names[1]}",
            found=f"seeds {_listed(first)} and {_listed(second)}",
            expected="the same seeds in both",
        )
    for name, mine in zip(names, (first, second), strict=True):
        alone = sorted(set(mine) - set(common))
        if alone:
            warnings.append(f"left out, as only {name} has them: seeds {_listed(alone)}")
    return tuple(common)


def _listed(seeds: Any) -> str:
    return ", ".join(str(seed) for seed in sorted(seeds)) or "none"


def _check_ids(table: Predictions, where: str) -> None:
    ids = np.sort(table.ids.astype(str))
    twice = np.flatnonzero(ids[1:] == ids[:-1])
    if len(twice):
        raise InputError("an id stands twice", where=where, found=repr(str(ids[twice[0]])))


def _aligned(one: Predictions, table: Predictions, where: str, of: str) -> Predictions:
    """The table's rows in the order of `one`, which `of` names; `InputError` if not the same."""
    if not np.array_equal(one.ids, table.ids):
        _check_ids(table, where)
        mine, theirs = one.ids.astype(str), table.ids.astype(str)
        lost, extra = np.setdiff1d(mine, theirs), np.setdiff1d(theirs, mine)
        if len(lost) or len(extra):
            what = f"no row {str(lost[0])!r}" if len(lost) else f"a row {str(extra[0])!r}"
            raise InputError(
                "not the same rows",
                where=where,
                found=f"{what} ({len(lost) + len(extra):,} rows differ)",
                expected=f"the ids of {of}",
            )
        order = np.argsort(theirs)
        table = table.take(order[np.searchsorted(theirs[order], mine)])
    changed = np.flatnonzero(one.labels != table.labels)
    if len(changed):
        row = int(changed[0])
        raise InputError(
            "another label",
            where=f"{where}, row {str(one.ids[row])!r}",
            found=one.classes[int(table.labels[row])],
            expected=f"{one.classes[int(one.labels[row])]}, as in {of}",
        )
    _check_groups(one, table, where, of)
    return table


def _check_finite(table: Predictions, where: str) -> None:
    for name in ("loss", "probs"):
        values = getattr(table, name)
        if values is not None and not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))[0])
            raise InputError(
                "not a finite number",
                where=f"{where}, {name} of row {str(table.ids[row])!r}",
                expected="finite numbers",
            )


def _check_groups(one: Predictions, table: Predictions, where: str, of: str) -> None:
    """Groups are of the rows, so tables of the same rows that have them have the same ones."""
    for attribute, column in one.groups.items():
        other = table.groups.get(attribute)
        if other is None or _same_column(column, other):
            continue
        mine, theirs = column.tolist(), other.tolist()
        differ = [k for k, (a, b) in enumerate(zip(mine, theirs, strict=True)) if not _alike(a, b)]
        if differ:
            row = differ[0]
            raise InputError(
                f"another group of {attribute!r}",
                where=f"{where}, row {str(one.ids[row])!r}",
                found=theirs[row],
                expected=f"{mine[row]}, as in {of}",
            )


def _same_column(one: GroupColumn, other: GroupColumn) -> bool:
    if one is other:
        return True
    if one.names != other.names or one.lists != other.lists:
        return False
    return np.array_equal(one.codes, other.codes)


def _alike(one: Any, other: Any) -> bool:
    """The same group, or the same groups in any order."""
    several = isinstance(one, list) and isinstance(other, list)
    return bool(set(one) == set(other)) if several else bool(one == other)


def _same_groups(blocks: list[Block], where: list[tuple[str, ...]]) -> list[Block]:
    """The blocks over the groups that any of them has: a rare one may lack rows in some split."""
    one = blocks[0]
    for block, place in zip(blocks, where, strict=False):
        if list(block.columns) != list(one.columns):
            raise InputError(
                "not the same attributes",
                where=place[0],
                found=", ".join(block.columns) or "none",
                expected=", ".join(one.columns) or "none",
            )
    return _over_all_groups(blocks)


def _over_all_groups(blocks: list[Block]) -> list[Block]:
    """The blocks' columns over the names that any of them has."""
    if len(blocks) == 1:
        return blocks
    out = [dict(block.columns) for block in blocks]
    for attribute in blocks[0].columns:
        parts = [block.columns[attribute].names for block in blocks]
        every = list(dict.fromkeys(name for names in parts for name in names))
        for columns in out:
            columns[attribute] = columns[attribute].renamed(every)
    return [replace(block, columns=columns) for block, columns in zip(blocks, out, strict=True)]

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
from fairlora.predictions.pairing import aligned, check_ids, common_classes, over_classes
from fairlora.predictions.weights import refuse_weights

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
    where = [(f"seed {seed} of {names[0]}", f"seed {seed} of {names[1]}") for seed in seeds]
    for pair, (name, _) in zip(pairs[:1] if same_rows else pairs, where, strict=False):
        check_ids(pair[0], name)
    return _aligned_runs(seeds, pairs, where, settings, same_rows)


def one_pair(
    first: Predictions, second: Predictions, names: tuple[str, str], settings: Settings
) -> Runs:
    """Two tables of the same rows as the runs of one seed; the groups are the first's.

    Parameters
    ----------
    first, second : the tables.
    names : of the two, for messages.
    settings : of an audit; which attributes to combine, and how many groups they may have.

    Raises
    ------
    InputError : rows, labels or groups that differ; a loss or probability that is not finite; or
        as `columns_of`.
    """
    return _aligned_runs((0,), [(first, second)], [names], settings, same_rows=True)


def _aligned_runs(
    seeds: tuple[int, ...],
    pairs: list[tuple[Predictions, Predictions]],
    where: list[tuple[str, str]],
    settings: Settings,
    same_rows: bool,
) -> Runs:
    """The pairs over all classes, in the order of the first table, or of the first of each."""
    every = [table for pair in pairs for table in pair]
    for table in every:
        refuse_weights(table, "a comparison")
    classes = common_classes(every)
    tables: list[list[tuple[Predictions, Predictions]]] = []
    model, of = pairs[0][0], ""
    for (first, second), (name, other) in zip(pairs, where, strict=True):
        first, second = over_classes(first, classes), over_classes(second, classes)
        if not tables or not same_rows:
            model, of = first, name
            tables.append([])
        else:
            first = aligned(model, first, name, of)
        second = aligned(model, second, other, of)
        _check_finite(first, name)
        _check_finite(second, other)
        tables[-1].append((first, second))
    blocks = [
        Block(tuple(some), columns_of(some[0][0].groups, len(some[0][0]), settings))
        for some in tables
    ]
    return Runs(seeds, classes, tuple(_same_groups(blocks, where)))


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


def _same_groups(blocks: list[Block], where: list[tuple[str, str]]) -> list[Block]:
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

"""Decode a table's columns into rows over one list of classes and groups, whole or by batch.

A reader surveys all rows first (which classes and groups there are), settles what they mean, and
then hands out rows. A file in memory is one batch; a stream has many.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.agreement import check_agreement, order_notes, sampled
from fairlora.predictions.arrow import (
    RowNumber,
    among,
    first_row,
    is_list,
    of_rows,
)
from fairlora.predictions.binning import Ranges
from fairlora.predictions.classes import Classes, ClassRules, Named, check_values
from fairlora.predictions.columns import Coded, GroupColumn, code_arrow
from fairlora.predictions.missing_labels import Kept, kept_rows, left_out_note, unused_notes
from fairlora.predictions.named_columns import class_column, groups_named
from fairlora.predictions.own_tables import class_indices, metadata_of, require
from fairlora.predictions.probabilities import checked, read, renormalised_note
from fairlora.predictions.probability_columns import Source, locate
from fairlora.predictions.spellings import ordered
from fairlora.predictions.weights import ZERO, Scale, weight_column, weighted_rows

# Attribute, its groups' names so far, rows so far: raises where that is too many.
CheckGroups = Callable[[str, Sequence[str], int], None]


def one_column_note(name: str) -> str:
    """What is said of a table whose labels and predictions are one column."""
    return f"labels and predictions are one column, {name!r}: every row is right"


@dataclass(frozen=True)
class Roles:
    """Which column is what, and what the user says of them.

    Attributes
    ----------
    label, pred : columns of true and predicted classes.
    probs : a column of lists, of structs or of one class's probability, or a prefix.
    groups : columns of sensitive attributes.
    positive : the positive class.
    rules : of labels and predictions.
    bins : attribute -> edges or "quantiles:K": a column of numbers read as ranges; or `Ranges`,
        whose quantiles are of the file that is read first.
    weight : a column of how much each row counts.
    """

    label: str | None = None
    pred: str | None = None
    probs: str | None = None
    groups: Sequence[str] = ()
    positive: str | None = None
    rules: ClassRules = field(default_factory=ClassRules)
    bins: Mapping[str, str | Ranges] = field(default_factory=dict)
    weight: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", tuple(self.groups))


class Rows(NamedTuple):
    """Rows over the classes and groups of the whole; `kept` says which of those given, or None.

    `weights` (n,) are of those kept, scaled; None where no column of them is named.
    """

    labels: NDArray[np.signedinteger[Any]]
    predictions: NDArray[np.signedinteger[Any]]
    groups: dict[str, GroupColumn]
    probs: NDArray[np.float32] | None
    kept: NDArray[np.bool_] | None
    weights: NDArray[np.float64] | None


class _Part(NamedTuple):
    """The rows of a batch that are kept, how they are numbered, and which of the batch they are."""

    table: pa.Table
    number: RowNumber
    kept: NDArray[np.bool_] | None
    left_out: Mapping[str, int]


class Reader:
    """Reads the columns that `roles` names, by surveying all rows first.

    Parameters
    ----------
    schema, path : of the first file, whose metadata say whether fairlora wrote it.
    roles : as given; those of a table of fairlora default to its own.

    Attributes
    ----------
    label, pred, probs, groups : the columns' names.
    own : whether labels are indices into the classes of fairlora's own metadata.
    classes : class names in order, once settled.
    names : attribute -> its groups' names in order, once settled.

    Raises `InputError` that names the file, the column or row, what was found and what expected.
    """

    def __init__(self, schema: pa.Schema, path: Path, roles: Roles) -> None:
        meta = metadata_of(schema, path)
        label, pred, probs, groups = roles.label, roles.pred, roles.probs, roles.groups
        if meta is not None:
            label, pred = label or "label", pred or "pred"
            groups = groups or tuple(meta["groups"])
            # Its probabilities are in the order of its own classes, not of another label column's.
            if probs is None and label == "label" and "probs" in schema.names:
                probs = "probs"
        every = ", ".join(schema.names)
        if label is None:
            raise InputError(
                "which column holds the true label?", where="--label", expected=f"one of {every}"
            )
        if pred is None and probs is None:
            raise InputError(
                "which column holds the predicted label?",
                where="--pred",
                expected=f"one of {every}, or --probs",
            )
        self.label, self.pred, self.probs, self.groups = label, pred, probs, tuple(groups)
        self.roles, self.path = roles, path
        self.own = meta is not None and label == "label"
        for option, column in (
            ("--label", label),
            ("--pred", pred),
            *(("--group", name) for name in self.groups),
            ("--weight", roles.weight),
        ):
            if column is not None:
                require(schema.names, column, option, path)
        for name in roles.bins:
            if name not in self.groups:
                raise InputError(
                    "no such group column",
                    where="--bin",
                    found=repr(name),
                    expected="one of " + (", ".join(self.groups) or "the --group columns"),
                )
        self._ranges = {
            name: one if isinstance(one, Ranges) else Ranges(one, f"--bin {name}")
            for name, one in roles.bins.items()
        }
        self._plan: Classes | None = None
        self._own_classes: tuple[str, ...] = ()
        if self.own and meta is not None:
            self._own_classes = tuple(meta["classes"])
            if roles.rules != ClassRules():
                raise InputError(
                    "labels of a table of fairlora are of its own classes",
                    where=path,
                    found="--classes, --map, --missing-label or --ignore-label",
                    expected="none of them",
                )
        self.names: dict[str, tuple[str, ...]] = {}
        self._found: dict[str, set[str]] = {name: set() for name in self.groups}
        self._classes_found: dict[str, dict[str, None]] = {name: {} for name in self._columns()}
        # Of all rows, those left out too.
        self._names_met: dict[str, set[str]] = {name: set() for name in self._columns()}
        self._left_out: Counter[str] = Counter()
        self._overlapping: set[str] = set()
        self._lists: set[str] = set()
        self._source: Source | None = None
        self._renormalised = 0
        self._surveyed = 0
        self._sample: list[tuple[Any, ...]] = []
        # A table that is read whole is coded once for the survey and for its rows.
        self._coded: dict[tuple[int, str], Coded | GroupColumn] = {}
        self._scale = Scale()
        self.keep_coded = False

    def _columns(self) -> list[str]:
        return [self.label, *([self.pred] if self.pred is not None else [])]

    @property
    def classes(self) -> tuple[str, ...]:
        return self._own_classes if self._plan is None else self._plan.names

    def surveyed(self) -> list[str]:
        """The columns that the survey reads."""
        return list(
            dict.fromkeys([*self.groups, *([] if self.own else self._columns()), *self._weight()])
        )

    def _weight(self) -> list[str]:
        return [] if self.roles.weight is None else [self.roles.weight]

    def read_columns(self) -> list[str]:
        """The columns that rows are made of, once settled."""
        probs = [] if self._source is None else list(self._source.columns)
        return list(dict.fromkeys([*self._columns(), *self.groups, *probs, *self._weight()]))

    def survey(self, table: pa.Table, path: Path, number: RowNumber = first_row) -> None:
        """Take note of the classes and groups of some rows.

        Parameters
        ----------
        table : the rows.
        path : their file, for a message.
        number : gives the number of the first marked row, for a message.
        """
        if not self.own:
            coded = {name: self._class(table, name, path) for name in self._columns()}
            self._refuse_header(coded, path, number)
            for name, column in coded.items():
                self._names_met[name].update(column.names)
        table, number, _, _ = self._part(table, path, number)
        self._surveyed += table.num_rows
        weights = self._weights(table, path, number)
        if weights is not None:
            self._scale.see(weights, f"{path}, column {self.roles.weight}")
        for name in () if self.own else self._columns():
            column = self._class(table, name, path)
            check_values(column, f"{path}, column {name}", number)
            self._classes_found[name].update(dict.fromkeys(column.names))
        for name in self.groups:
            if name in self._ranges:
                self._ranges[name].see(self._number(table, name, path), number)
            else:
                group = self._group(table, name, path)
                self._found[name].update(group.names)
                if group.lists is not None:
                    self._overlapping.add(name)

    def _part(self, table: pa.Table, path: Path, number: RowNumber) -> _Part:
        """The rows of a table that are kept."""
        weight = self.roles.weight
        if self.own and weight is None:
            return _Part(table, number, None, {})

        def make() -> _Part:
            found = Kept(None, {})
            if not self.own:
                columns = self._columns()
                coded = [self._class(table, name, path) for name in columns]
                places = [f"{path}, column {name}" for name in columns]
                found = kept_rows(coded, places, self.roles.rules, number)
            if weight is not None:
                where = f"{path}, column {weight}"
                values = weight_column(table[weight], where, number)
                found = weighted_rows(values, found, where, number)
            kept, left_out = found
            return _Part(of_rows(table, kept), among(number, kept), kept, left_out)

        return _Part(*self._once(table, "kept", make))

    def _weights(self, table: pa.Table, path: Path, number: RowNumber) -> NDArray[Any] | None:
        """(n,) weights of rows that are kept."""
        weight = self.roles.weight
        if weight is None:
            return None
        return weight_column(table[weight], f"{path}, column {weight}", number)

    def _refuse_header(self, coded: Mapping[str, Coded], path: Path, number: RowNumber) -> None:
        """Refuse a row that repeats the header, as of files put one after the other."""
        if len(coded) < 2 or any(name not in column.names for name, column in coded.items()):
            return
        rows = np.all([c.codes == c.names.index(name) for name, c in coded.items()], axis=0)
        if rows.any():
            raise InputError(
                "the header stands among the rows",
                where=f"{path}, row {number(rows)}",
                found=", ".join(coded),
                expected="one header, in the first line",
            )

    def found(self, name: str) -> set[str]:
        """The groups of an attribute that the survey has met so far."""
        return self._found[name]

    def settle(self, head: pa.Table) -> None:
        """Say what the surveyed names mean; `head` are the first rows, with probabilities."""
        path = str(self.path)
        if not self.own:
            columns = [
                Named(f"{path}, column {name}", tuple(self._classes_found[name]), k == 0)
                for k, name in enumerate(self._columns())
            ]
            self._plan = Classes(columns, self.roles.rules)
        else:
            stated = ClassRules(classes=self._own_classes)
            self._plan = Classes([Named(path, (), True)], stated)
        for name in self.groups:
            if name in self._ranges:
                self._ranges[name].settle()
                self.names[name] = self._ranges[name].names
            else:
                self.names[name] = ordered(self._found[name])
        if self.probs is not None:
            others = {*self._columns(), *self.groups}
            self._source = locate(head, self.probs, self._plan, self.roles.positive, path, others)

    def rows(
        self, table: pa.Table, path: Path, number: RowNumber = first_row, again: bool = False
    ) -> Rows:
        """The rows of a table, checked.

        Of rows that are left out neither probabilities nor groups are looked at.

        Parameters
        ----------
        table : the rows, with the columns of `read_columns`.
        path : their file, for a message.
        number : gives the number of the first marked row, for a message.
        again : whether they were read before, and are in what `finish` says.
        """
        plan = self._plan
        assert plan is not None
        table, number, kept, left_out = self._part(table, path, number)
        self._left_out.update({} if again else left_out)
        if self.own:
            codes: list[Any] = [
                class_indices(table, name, plan.names, path, number) for name in self._columns()
            ]
        else:
            codes = list(plan.place([self._class(table, name, path) for name in self._columns()]))
        groups = {name: self._named(table, name, path) for name in self.groups}
        matrix = None
        if self._source is not None:
            probs = read(table, self._source, plan.names, str(path), number)
            matrix, rounded = checked(probs, str(path), number)
            self._renormalised += 0 if again else rounded
        labels = codes[0]
        if matrix is not None and self.pred is None:
            predictions = matrix.argmax(axis=1)
        else:
            predictions = codes[1]
        if matrix is not None and not again:
            self._remember(labels, predictions, matrix, groups)
        weights = self._weights(table, path, number)
        if weights is not None:
            weights = self._scale.scaled(weights)
        return Rows(labels, predictions, groups, matrix, kept, weights)

    def finish(self, n: int) -> tuple[list[str], dict[str, int]]:
        """What to say of the rows once all are read, and how many were left out, by reason.

        Raises `InputError` where none are left, or where predictions and probabilities disagree.
        """
        plan = self._plan
        assert plan is not None
        left_out = dict(self._left_out)
        if not n and list(left_out) == [ZERO]:
            raise InputError(
                "all weights are 0",
                where=f"{self.path}, column {self.roles.weight}",
                found=f"{left_out[ZERO]:,} rows",
                expected="some above 0",
            )
        if not n and left_out:
            raise InputError("no rows are left", where=self.path, found=left_out_note(left_out, 0))
        met = self._names_met
        notes = plan.notes + unused_notes(
            self.roles.rules, met[self.label], set().union(*met.values())
        )
        notes += [
            f"column {name}: lists, read by the one item of each, else by their text"
            for name in sorted(self._lists)
        ]
        if self.label == self.pred:
            notes.append(one_column_note(self.label))
        if self._renormalised:
            notes.append(renormalised_note(self._renormalised))
        if self._sample and not self.own:
            labels, predictions, matrix = (
                np.concatenate([part[k] for part in self._sample]) for k in range(3)
            )
            where = f"{self.path} (--probs {self.probs})"
            if self.pred is not None:
                groups = {
                    name: np.concatenate([part[3][name] for part in self._sample])
                    for name in self.groups
                }
                notes += check_agreement(
                    predictions, matrix, plan.names, where, groups, plan.single
                )
            else:
                assumed = plan.order_assumed
                notes += order_notes(labels, matrix, plan.names, assumed, plan.single)
        return notes, left_out

    def _remember(
        self, labels: Any, predictions: Any, matrix: Any, groups: Mapping[str, GroupColumn]
    ) -> None:
        """Keep some rows, to compare predictions with probabilities at the end.

        As many as are looked at then, evenly spread over all that are read.
        """
        n, total = len(labels), max(self._surveyed, len(labels))
        share = math.ceil(n * len(sampled(total, matrix.shape[1])) / max(total, 1))
        rows = np.linspace(0, n - 1, share).astype(np.intp)
        codes = {name: column.codes[rows] for name, column in groups.items()}
        self._sample.append((labels[rows], predictions[rows], matrix[rows], codes))

    def _once(self, table: pa.Table, name: str, make: Callable[[], Any]) -> Any:
        if not self.keep_coded:
            return make()
        key = (id(table), name)
        if key not in self._coded:
            self._coded[key] = make()
        return self._coded[key]

    def _class(self, table: pa.Table, name: str, path: Path) -> Coded:
        if is_list(table[name].type):
            self._lists.add(name)
        found = self._once(table, f"class {name}", lambda: class_column(table, name, path))
        return Coded(*found)

    def _group(self, table: pa.Table, name: str, path: Path) -> GroupColumn:
        made: GroupColumn = self._once(
            table, f"group {name}", lambda: groups_named(table, name, path)
        )
        return made

    def _number(self, table: pa.Table, name: str, path: Path) -> Coded:
        def make() -> Coded:
            try:
                return code_arrow(table[name])
            except ValueError as error:
                raise InputError(
                    "not a column of numbers", where=f"{path}, column {name}", found=str(error)
                ) from error

        return Coded(*self._once(table, f"number {name}", make))

    def _named(self, table: pa.Table, name: str, path: Path) -> GroupColumn:
        if name in self._ranges:
            column = self._ranges[name].column(self._number(table, name, path))
        else:
            column = self._group(table, name, path)
        if name in self._overlapping and column.lists is None:
            # Another file has lists here: each row of this one is in one group, or in none known.
            column = GroupColumn(column.names, column.codes, tuple((n,) for n in column.names))
        return column if column.names == self.names[name] else column.renamed(self.names[name])

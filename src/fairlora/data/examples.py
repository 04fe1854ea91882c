"""Room `data`: a data set's native files become `Examples`.

Nothing here knows a model. Pictures stay where they are (a path, or bytes inside a Parquet file)
until somebody opens one; texts are plain strings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.groups.intersections import cross, crossed_name
from fairlora.predictions import GroupColumn, group_column

MISSING = "(missing)"
SPLITS = ("train", "validation", "test")
REST = "rest"


@dataclass(frozen=True)
class Examples:
    """Labelled examples with their groups.

    Attributes
    ----------
    name : the data set's name, for people.
    ids : (n,) unique strings; they never serve as paths.
    labels : (n,) int64 indices into `classes`.
    classes : class names.
    groups : group attribute -> its column. Anything that `group_column` takes is made into one: n
        strings, or n lists of strings where groups overlap; a missing value is ``"(missing)"``.
    fingerprint : a hash of what was read: another copy of the same data has the same.
    images : n pictures, each a path or the bytes of an image file (a sequence with a method
        ``take(rows)`` reads them when asked); or
    texts : n strings. One of the two is there.
    language : the texts are for a language model to continue, and not to be classified: `labels`
        then describe a row and are nothing to predict.
    answers : n strings that follow the texts, which are their prompts; None where the texts are
        learnt as they are. Of language examples alone.
    trainable : (n,) rows that may be trained on, or None for all. The others leave training and
        validation once the rows are split, so that sets of one data set share their test rows.
    family : (n,) strings or None; rows of one family never lie in two splits, and are resampled
        together.
    split : (n,) strings out of `SPLITS`, or None before `fairlora.data.splits` has assigned them.
        Where a data set's own files assign some rows only, the others are `REST` until then.
    notes : what a user should know about the reading, a sentence each.
    """

    name: str
    ids: NDArray[np.str_]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    groups: Mapping[str, GroupColumn]
    fingerprint: str
    images: Sequence[Path | bytes] | None = None
    texts: Sequence[str] | None = None
    family: NDArray[np.str_] | None = None
    split: NDArray[np.str_] | None = None
    notes: tuple[str, ...] = field(default=())
    language: bool = False
    answers: Sequence[str] | None = None
    trainable: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        columns = {name: group_column(values) for name, values in self.groups.items()}
        object.__setattr__(self, "groups", columns)
        n = len(self.ids)
        if (self.images is None) == (self.texts is None):
            raise ValueError("examples are pictures or texts: one of the two")
        if (self.language and self.texts is None) or (self.answers and not self.language):
            raise ValueError("a language model continues texts, and only its texts have answers")
        lengths = {self.kind + "s": len(self.inputs), "labels": len(self.labels)}
        if self.answers is not None:
            lengths["answers"] = len(self.answers)
        if self.trainable is not None:
            lengths["trainable"] = len(self.trainable)
        lengths.update({name: len(values) for name, values in self.groups.items()})
        for name, length in lengths.items():
            if length != n:
                raise InputError("column of another length", where=name, found=length, expected=n)
        unique, counts = np.unique(self.ids, return_counts=True)
        if (counts > 1).any():
            raise InputError(
                "an id stands twice", where=self.name, found=repr(str(unique[counts > 1][0]))
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def kind(self) -> Literal["image", "text"]:
        """What the examples are."""
        return "text" if self.images is None else "image"

    @property
    def inputs(self) -> Sequence[Any]:
        """The pictures or the texts."""
        found = self.texts if self.images is None else self.images
        assert found is not None
        return found

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Examples:
        """The given rows, in the given order (indices, or a mask)."""
        index: NDArray[Any] = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return replace(
            self,
            ids=self.ids[index],
            images=None if self.images is None else _rows(self.images, index),
            texts=None if self.texts is None else _rows(self.texts, index),
            labels=self.labels[index],
            groups={name: values.take(index) for name, values in self.groups.items()},
            family=None if self.family is None else self.family[index],
            split=None if self.split is None else self.split[index],
            answers=None if self.answers is None else _rows(self.answers, index),
            trainable=None if self.trainable is None else self.trainable[index],
        )

    def part(self, split: str) -> Examples:
        """The rows of one split."""
        if self.split is None:
            raise ValueError("the examples are not split yet")
        return self.take(self.split == split)

    def require_groups(self, names: Sequence[str]) -> None:
        """Raise `InputError` for a group attribute that the data do not have."""
        for name in names:
            if name not in self.groups:
                raise InputError(
                    f"{self.name} has no group column {name!r}",
                    where="data.groups",
                    expected="one of " + ", ".join(self.groups),
                )


def cross_groups(examples: Examples, combinations: Iterable[Sequence[str]]) -> Examples:
    """The examples with combinations of group columns as further ones.

    Parameters
    ----------
    examples : as read.
    combinations : names of group columns to cross, two or more each; "label" is the classes, where
        no column has that name.

    Raises
    ------
    InputError : a column that is not there, or a combination that is there already.
    """
    names = np.array(examples.classes, dtype=np.str_)
    known = {"label": group_column(names[examples.labels])} | dict(examples.groups)
    groups = dict(examples.groups)
    for one in combinations:
        name = crossed_name(one)
        if name in groups:
            raise InputError(
                "a group column of that name is there", where="data.intersect", found=name
            )
        groups[name] = cross(known, one, where="data.intersect")
    return replace(examples, groups=groups)


def _rows(values: Sequence[Any], index: NDArray[Any]) -> Sequence[Any]:
    """The given rows; of pictures in a large file only their places, not their bytes."""
    if hasattr(values, "take"):
        taken: Sequence[Any] = values.take(index)
        return taken
    return [values[k] for k in index]


def check_labels(labels: NDArray[np.int64], classes: Sequence[str], *, where: str) -> None:
    """Raise `InputError` unless at least two classes occur.

    Parameters
    ----------
    labels : (n,) indices into `classes`.
    classes : their names.
    where : what the labels are of, for the error.
    """
    present = np.unique(labels)
    if len(present) < 2:
        described = repr(classes[present[0]]) + " alone" if len(present) else "no rows"
        raise InputError(
            "a label with one class cannot be learned",
            where=where,
            found=described,
            expected="at least two classes",
        )

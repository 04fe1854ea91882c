"""The classes of an audit: which names labels and predictions have, and their order.

One plan serves the command line, Python and streams. It knows the distinct names of each column;
rows are placed by it afterwards, all at once or chunk by chunk.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.arrow import MISSING, RowNumber, first_row
from fairlora.predictions.columns import Coded
from fairlora.predictions.containers import unwrapped
from fairlora.predictions.spellings import (
    alike,
    class_named,
    class_names,
    doubtful,
    missing_class,
    near_misses,
    number_of,
    ordered,
    quoted,
    shown,
    spelled,
    whole_number,
)

MissingLabel = Literal["refuse", "drop", "keep"]
# What PyTorch and Hugging Face write for a row that no loss is of.
_IGNORED = "-100"
# More classes than this, all numbers, may be measurements.
_MANY = 30
_NUMERIC = "add --numeric (fairlora.audit_numeric)"


@dataclass(frozen=True)
class ClassRules:
    """What the user says of labels and predictions.

    Attributes
    ----------
    classes : all class names in order; None takes those that occur.
    missing : what becomes of a row without a label or prediction: an error, left out and counted,
        or (`keep`) a word such as "NA" is taken for a class.
    ignore : labels whose rows are left out and counted.
    renamed : other spellings of a class, of labels and predictions alike.

    Raises `InputError` for an unknown policy or a class that stands twice.
    """

    classes: tuple[str, ...] | None = None
    missing: MissingLabel = "refuse"
    ignore: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)

    def is_missing(self, name: str) -> bool:
        """Whether a name in a column means that there is no class."""
        if self.missing == "keep":
            return name == MISSING
        stated = self.classes is not None and name in self.classes and name != MISSING
        return missing_class(name) and self.called(name) == name and not stated

    def ignored(self, name: str) -> str | None:
        """Which ignored label a name in the label's column means, or None."""
        return class_named(self.called(name), self.ignore) if self.ignore else None

    def called(self, name: str) -> str:
        """What a name in a column is called, once renamed."""
        old = self.old_name(name)
        return name if old is None else self.renamed[old]

    def old_name(self, name: str) -> str | None:
        """Which name of `renamed` a name in a column is, or None: "1.0" is "1"."""
        if name in self.renamed:
            return name
        meant = [old for old in self.renamed if class_named(name, (old,)) is not None]
        return meant[0] if len({self.renamed[old] for old in meant}) == 1 else None

    def __post_init__(self) -> None:
        if self.missing not in ("refuse", "drop", "keep"):
            raise InputError(
                "unknown policy for missing labels",
                where="missing_label",
                found=repr(self.missing),
                expected="refuse, drop or keep",
            )
        if self.classes is not None:
            twice = [name for name, count in Counter(self.classes).items() if count > 1]
            if twice or not self.classes:
                raise InputError(
                    "duplicate class" if twice else "no classes",
                    where="classes",
                    found=repr(twice[0]) if twice else "an empty list",
                    expected="each class once",
                )


def class_rules(
    classes: Any = None, missing: Any = "refuse", ignore: Any = None, renamed: Any = None
) -> ClassRules:
    """`ClassRules` from what people have: lists, arrays, numbers, truth values.

    Parameters
    ----------
    classes : all class names in order; None takes those that occur.
    missing : "refuse", "drop" or "keep".
    ignore : a label, or a list of them, whose rows are left out; None is none.
    renamed : other spelling -> class; None is none.

    Raises
    ------
    InputError : `classes` or `ignore` is no list of labels, or `ClassRules` refuses what it is.

    >>> class_rules(np.array([1, 2]), ignore=-100)
    ClassRules(classes=('1', '2'), missing='refuse', ignore=('-100',), renamed={})
    """
    stated = None if classes is None else class_list(classes, "classes")
    single = isinstance(ignore, str | bytes) or not getattr(ignore, "shape", True)
    if single or not hasattr(ignore, "__iter__"):
        ignore = [] if ignore is None else [ignore]
    ignored = _labels(ignore, "ignore_label", "a label, or a list of them")
    return ClassRules(stated, missing, ignored, dict(renamed or {}))


def class_list(classes: Any, where: str) -> tuple[str, ...]:
    """Names of all classes in order, from a list, an array, a Series or a tensor of them.

    Raises `InputError` for what has no order or is no list: a set, a mapping, a number, a word.
    """
    expected = "a list or an array of all classes, in order"
    if isinstance(classes, str | bytes):
        raise InputError(
            "one word, not a list of classes", where=where, found=repr(classes), expected=expected
        )
    if isinstance(classes, Mapping | Set):
        raise InputError(
            f"a {type(classes).__name__}, which states no order of classes",
            where=where,
            found=repr(classes)[:80],
            expected=expected,
        )
    names = _labels(classes, where, expected)
    if "" in names:
        raise InputError(
            "an empty name among the classes",
            where=where,
            found=", ".join(map(repr, names))[:80],
            expected="a name for each class",
        )
    return names


def _labels(values: Any, where: str, expected: str) -> tuple[str, ...]:
    """Names of the single values of a list, an array, a Series or a tensor."""
    try:
        column = unwrapped(values)
        if hasattr(column, "to_pylist"):
            column = column.to_pylist()
        found = values if hasattr(column, "categories") else column
        names = tuple(spelled(one, truth_words=False) for one in found)
    except (TypeError, ValueError) as error:
        raise InputError(
            "not a list of labels", where=where, found=repr(values)[:80], expected=expected
        ) from error
    if MISSING in names:
        raise InputError(
            "a missing value among labels", where=where, found=repr(values)[:80], expected=expected
        )
    return names


class Named(NamedTuple):
    """A column of classes: where it is from, its distinct names, and whether it is the label's."""

    where: str
    names: tuple[str, ...]
    label: bool = False


class Classes:
    """The classes of some columns, and what becomes of each name in them.

    Parameters
    ----------
    columns : the label's column first, then those of predictions.
    rules : what the user says.

    Attributes
    ----------
    names : class names in order: as stated, else numbers by size and words by letter.
    stated : whether the user stated them.
    order_assumed : whether probabilities without names were taken in the order of `names`.
    single : the class that a single column of probabilities was taken to be of, or None.
    notes : what a reader should know: what was assumed, what looks odd.

    Raises `InputError` where a label is none of the stated classes, where labels and predictions
    share no value or differ in spelling alone, and for -100 unless it is ignored.
    """

    def __init__(self, columns: Sequence[Named], rules: ClassRules) -> None:
        self.columns, self.rules, self.stated = list(columns), rules, rules.classes is not None
        self.order_assumed = False
        self.single: int | None = None
        self.notes: list[str] = []
        # Of each column: name -> its spelling.
        self._kept = [{name: rules.called(name) for name in c.names} for c in self.columns]
        if rules.classes is None:
            self._one_spelling()
            known = [set(kept.values()) for kept in self._kept]
            self._check_shared(known)
            self.names = ordered(name for names in known for name in names)
            self._doubts(known)
        else:
            self.names = rules.classes
            self._match(rules.classes)

    def _one_spelling(self) -> None:
        """Numbers and truth values by one spelling, where all columns hold nothing else."""
        found = [class_names(set(kept.values())) for kept in self._kept if kept]
        if all(whole_number(one) == one for called in found for one in called.values()):
            self._kept = [{k: class_names({v})[v] for k, v in kept.items()} for kept in self._kept]

    def _match(self, classes: tuple[str, ...]) -> None:
        """The stated classes that the columns' names mean."""
        for column, kept in zip(self.columns, self._kept, strict=True):
            for name, called in kept.items():
                meant = class_named(called, classes)
                if meant is None:
                    raise InputError(
                        f"a {'label' if column.label else 'prediction'} is none of the classes",
                        where=column.where,
                        found=repr(called),
                        expected="one of " + ", ".join(map(shown, classes)),
                    )
                kept[name] = meant

    def _check_shared(self, known: Sequence[set[str]]) -> None:
        """Refuse predictions that are spelled unlike the labels."""
        labels = known[0]
        for column, predicted in zip(self.columns[1:], known[1:], strict=True):
            if _IGNORED in predicted:
                raise InputError(
                    "the prediction -100 marks rows without one, and is no class",
                    where=column.where,
                    found=_IGNORED,
                    expected="a class in every row, or all classes stated (--classes)",
                )
        if _IGNORED in labels:
            raise InputError(
                "the label -100 marks rows that no loss is of, and is no class",
                where=self.columns[0].where,
                found=_IGNORED,
                expected="--ignore-label -100 (ignore_label=-100) to leave them out, "
                "or all classes stated (--classes)",
            )
        for column, predicted in zip(self.columns[1:], known[1:], strict=True):
            if not labels or not predicted:
                continue
            kinds = {number_of(name) is None for name in labels | predicted}
            if labels.isdisjoint(predicted) and (len(labels | predicted) > 2 or len(kinds) > 1):
                raise InputError(
                    "labels and predictions share no value",
                    where=f"{self.columns[0].where} and {column.where}",
                    found=f"labels {_few(labels)}; predictions {_few(predicted)}",
                    expected=_mapping(ordered(predicted), ordered(labels)),
                )
            for own, others in ((labels, predicted), (predicted, labels)):
                if "-1" in own - others and "0" in others - own and len(own) == 2:
                    raise InputError(
                        "labels and predictions code two classes unlike",
                        where=f"{self.columns[0].where} and {column.where}",
                        found=f"labels {_few(labels)}; predictions {_few(predicted)}",
                        expected="one spelling for both (--map -1=0), or all classes stated "
                        "(--classes)",
                    )
            for name in sorted(predicted - labels):
                meant = [one for one in sorted(labels - predicted) if alike(one) == alike(name)]
                if meant:
                    raise InputError(
                        "labels and predictions spell a class in two ways",
                        where=column.where,
                        found=f"{quoted(name)}, and {quoted(meant[0])} among the labels",
                        expected=f"one spelling (--map {shlex.quote(f'{name}={meant[0]}')})",
                    )

    def _doubts(self, known: Sequence[set[str]]) -> None:
        labels = known[0]
        if "-1" in labels and len(labels) > 2 and not any("-1" in one for one in known[1:]):
            self.notes.append(
                "the label -1 is taken for a class, though nothing is predicted as it: if it marks "
                "rows to leave out, say so (--ignore-label -1)"
            )
        for name in self.names:
            if doubtful(name) and not (self.rules.missing == "keep" and missing_class(name)):
                self.notes.append(
                    f"the word {name!r} is taken for a class, not for a missing label"
                )
        if len(self.names) > _MANY and all(whole_number(name) is not None for name in self.names):
            self.notes.append(
                f"{len(self.names):,} whole numbers are taken for classes: if they are "
                f"measurements, {_NUMERIC}"
            )
        for one, other in near_misses(self.names):
            self.notes.append(
                f"the classes {quoted(one)} and {quoted(other)} differ in how they are written "
                "alone (case, spaces, what nobody sees, numbers)"
            )
        for predicted in known[1:]:
            _shifted(labels, predicted, self.notes)

    def extend(self, names: Sequence[str]) -> None:
        """Take in classes that no row has, where probabilities name them."""
        self.names = ordered((*self.names, *names))

    def place(self, columns: Sequence[Coded]) -> list[NDArray[np.signedinteger[Any]]]:
        """(n,) indices into `names` of each column."""
        place = {name: k for k, name in enumerate(self.names)}
        codes: list[NDArray[np.signedinteger[Any]]] = []
        for coded, kept in zip(columns, self._kept, strict=True):
            table = [place[kept[name]] for name in coded.names]
            same = table == list(range(len(table)))
            codes.append(coded.codes if same else np.array(table, dtype=np.int32)[coded.codes])
        return codes


def check_values(coded: Coded, where: str, number: RowNumber = first_row) -> None:
    """Refuse measurements in a column of classes.

    Raises `InputError` with the number of the row.

    Parameters
    ----------
    coded : the column.
    where : what to call it in the message.
    number : gives the number of the first marked row.
    """
    known = coded.names
    sizes = [number_of(name) for name in known]
    broken = [
        name
        for name, size in zip(known, sizes, strict=True)
        if name in ("inf", "-inf") or (size is not None and whole_number(name) is None)
    ]
    if broken and all(
        size is not None or name in broken for name, size in zip(known, sizes, strict=True)
    ):
        rows = coded.codes == coded.names.index(broken[0])
        raise InputError(
            "a label must be a class, not a measurement",
            where=f"{where}, row {number(rows)}",
            found=broken[0],
            expected=f"whole numbers or words; for measurements {_NUMERIC}",
        )


def _few(names: Iterable[str], most: int = 6) -> str:
    listed = ordered(names)
    return ", ".join(map(shown, listed[:most])) + (", ..." if len(listed) > most else "")


def _mapping(predicted: Sequence[str], labels: Sequence[str]) -> str:
    commas = any("," in name for name in (*predicted, *labels))
    if len(predicted) != len(labels) or len(labels) > 8 or commas:
        return "one spelling for both (--map OLD=NEW,...), or all classes stated (--classes)"
    # LABEL_1 is 1: what stands at the end of a name tells more than the order.
    ends = {one: [name for name in predicted if name.endswith(one)] for one in labels}
    if all(len(found) == 1 for found in ends.values()):
        pairs = [(found[0], one) for one, found in ends.items()]
    else:
        pairs = list(zip(predicted, labels, strict=True))
    option = shlex.quote(",".join(f"{a}={b}" for a, b in pairs))
    return f"one spelling for both; --map {option} perhaps?"


def _shifted(labels: set[str], predicted: set[str], notes: list[str]) -> None:
    """Say where labels count from 1 and predictions from 0, or the other way."""
    if labels == predicted or len(labels) < 2:
        return
    if any(whole_number(name) != name for name in labels | predicted):
        return
    low, other = min(map(int, labels)), min(map(int, predicted))
    high, top = max(map(int, labels)), max(map(int, predicted))
    if abs(low - other) == 1 and low - other == high - top:
        notes.append(
            f"labels run from {low} to {high} and predictions from {other} to {top}: is one of "
            "them shifted by one?"
        )

"""Refuse, or leave out and count, rows without a label or prediction and ignored labels.

What else stands in a row that is left out is not looked at: neither its classes nor its groups are
any of the audit's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.arrow import MISSING, RowNumber, first_row
from fairlora.predictions.classes import ClassRules
from fairlora.predictions.columns import Coded
from fairlora.predictions.spellings import class_named


class Kept(NamedTuple):
    """Which rows stay, (n,) or None for all, and reason -> how many do not, each counted once."""

    rows: NDArray[np.bool_] | None
    left_out: dict[str, int]

    def mask(self, n: int) -> NDArray[np.bool_]:
        """(n,) which rows stay."""
        return np.ones(n, dtype=bool) if self.rows is None else self.rows


def kept_rows(
    columns: Sequence[Coded],
    places: Sequence[str],
    rules: ClassRules,
    number: RowNumber = first_row,
) -> Kept:
    """The rows that an audit is of: those of no ignored label, with a class in every column.

    Parameters
    ----------
    columns : the label's column first, then those of predictions.
    places : what to call them in a message.
    rules : what to ignore, and what becomes of missing values.
    number : numbers the rows in a message.

    Raises `InputError` for a missing value unless `rules` leave such rows out.
    """
    left_out: dict[str, int] = {}
    lost = np.zeros(0, dtype=bool)

    def lose(here: NDArray[np.bool_], reason: str) -> None:
        nonlocal lost
        lost = lost if len(lost) else np.zeros(len(here), dtype=bool)
        new = int((here & ~lost).sum())
        if new:
            left_out[reason] = left_out.get(reason, 0) + new
        lost |= here

    for k, name in enumerate(columns[0].names):
        ignored = rules.ignored(name)
        if ignored is not None:
            lose(columns[0].codes == k, f"label {ignored}")
    for coded, where in zip(columns, places, strict=True):
        missing = [k for k, name in enumerate(coded.names) if rules.is_missing(name)]
        if not missing:
            continue
        here = np.isin(coded.codes, missing)
        if len(lost):
            here &= ~lost
        if rules.missing != "drop" and here.any():
            _refuse_missing(coded, here, f"{where}, row {number(here)}")
        lose(here, f"missing {'label' if coded is columns[0] else 'prediction'}")
    return Kept(~lost if lost.any() else None, left_out)


def _refuse_missing(coded: Coded, rows: NDArray[np.bool_], where: str) -> None:
    word = coded.names[int(coded.codes[rows][0])]
    raise InputError(
        "missing value",
        where=where,
        found=f"{int(rows.sum()):,} rows without a value"
        + ("" if word == MISSING else f", written {word!r}"),
        expected="a class in every row; --missing-label drop leaves such rows out"
        + ("" if word == MISSING else ", keep takes the word for a class"),
    )


def left_out_note(left_out: Mapping[str, int], n: int) -> str:
    """A sentence on the rows that were left out.

    >>> left_out_note({"missing label": 3, "label -100": 1}, 96)
    'left out: 4 of 100 rows (3 missing label, 1 label -100)'
    """
    total = sum(left_out.values())
    parts = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items() if count)
    return f"left out: {total:,} of {total + n:,} rows ({parts})"


def unused_notes(rules: ClassRules, labels: Iterable[str], names: Iterable[str]) -> list[str]:
    """Say which ignored labels and other spellings stand in no row: slips would change nothing.

    Parameters
    ----------
    labels, names : distinct names among the labels, and among labels and predictions, as they
        stand in all rows.
    """
    called = [rules.called(name) for name in labels]
    notes = [
        f"no row has the label {one!r}, which was to be left out"
        for one in rules.ignore
        if all(class_named(name, (one,)) is None for name in called)
    ]
    met = {rules.old_name(name) for name in names}
    # Of "a=b=c" each way to part it was taken down, and one is meant.
    asked: dict[str, bool] = {}
    for old, new in rules.renamed.items():
        pair = f"{old}={new}".strip()
        asked[pair] = asked.get(pair, False) or old in met
    return notes + [
        f"no row has what --map {pair} renames" for pair, used in asked.items() if not used
    ]

"""The column `split` of a file: which rows an audit is of, and what is said of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.arrow import MISSING, is_text
from fairlora.predictions.columns import group_column
from fairlora.predictions.spellings import ordered

# As `split`: the rows of the split test where there is one, else all.
AUTO = "(auto)"
# A column called split with more names than this is of something else.
_MOST_SPLITS = 10


def split_rows(table: pa.Table, split: str) -> NDArray[np.bool_]:
    """(n,) whether each row is of a split."""
    return group_column(table["split"]).contains(split)


def chosen_split(schema: pa.Schema, split: str | None, found: set[str]) -> str | None:
    """The split to audit: the one that is asked for, else "test" where some rows are of it.

    Raises `InputError` for one that no row is of.

    Parameters
    ----------
    schema : of the table.
    split : the one that is asked for, or None.
    found : the splits that rows are of.
    """
    if split is None:
        words = "split" in schema.names and has_splits(schema)
        return "test" if words and "test" in found else None
    if "split" not in schema.names:
        raise InputError(
            "no column 'split'",
            where=f"--split {split}",
            expected="one of " + ", ".join(schema.names),
        )
    if split not in found:
        raise InputError(
            f"no rows of split {split!r}", where="split", found=", ".join(ordered(found))
        )
    return split


def split_notes(split: str | None, found: set[str], n: int, of: int) -> list[str]:
    """What is said of splits: which rows were taken, or that all were.

    Parameters
    ----------
    split : the one that was taken; None where all were.
    found : the splits that rows are of.
    n : how many rows were taken.
    of : how many there are.

    >>> split_notes(None, {"Test", "Train"}, 9, 9)
    ['rows of all splits are counted together: Test, Train (column split; --split names one)']
    """
    if split is not None:
        named = "(column split; --split names another)"
        return [f"rows of split {split!r} alone: {n:,} of {of:,} {named}"] if n < of else []
    known = ordered(found - {MISSING})
    if not 1 < len(known) <= _MOST_SPLITS:
        return []
    return [
        f"rows of all splits are counted together: {', '.join(known)} (column split; --split names "
        "one)"
    ]


def has_splits(schema: pa.Schema) -> bool:
    """Whether a column named split holds words."""
    if "split" not in schema.names:
        return False
    kind = schema.field("split").type
    return is_text(kind.value_type if pa.types.is_dictionary(kind) else kind)

"""What a law asks of an audit of decisions: a standard is one entry of `STANDARDS`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import require_known
from fairlora.predictions import GroupColumn
from fairlora.predictions.arrow import MISSING


@dataclass(frozen=True)
class Standard:
    """The rules of one law.

    Attributes
    ----------
    name : as the command takes it.
    least_share : categories of a smaller share of the rows with a known category are shown, and
        neither compared nor compared with.
    unknown : words for a category that is not known, in lower case.
    source : where the rules stand.
    """

    name: str
    least_share: float
    unknown: frozenset[str]
    source: str

    @property
    def why_left_out(self) -> str:
        return f"under {100 * self.least_share:g} % of those of known category"

    def compared(self, sizes: NDArray[Any]) -> NDArray[np.bool_]:
        """(G,) which categories are compared, from their sizes."""
        return np.asarray((sizes > 0) & (sizes >= self.least_share * sizes.sum()))


STANDARDS = {
    "nyc-ll144": Standard(
        "nyc-ll144",
        0.02,
        frozenset(
            {
                "unknown",
                "missing",
                "missing/unknown",
                "unknown/missing",
                "not known",
                "not specified",
                "not provided",
                "not disclosed",
                "not reported",
                "undisclosed",
                "unspecified",
                "declined",
                "declined to state",
                "decline to state",
                "decline to answer",
                "prefer not to say",
                "prefer not to answer",
                "i don't wish to answer",
                "n/a",
            }
        ),
        "New York City, 6 RCNY 5-300 to 5-304 (Local Law 144 of 2021)",
    )
}


def standard_named(name: str | None) -> Standard | None:
    """The standard of that name; `InputError` for one that is not there."""
    if name is None:
        return None
    require_known([name], STANDARDS, "standard", "--standard")
    return STANDARDS[name]


def unknown_as_missing(
    columns: dict[str, GroupColumn], words: frozenset[str]
) -> tuple[dict[str, GroupColumn], list[str]]:
    """The columns with words for "not known" as missing values, and a note of each.

    Parameters
    ----------
    columns : attribute -> its column.
    words : in lower case.
    """
    out, notes = {}, []
    for attribute, column in columns.items():
        named = [name for name in column.names if name.strip().casefold() in words]
        out[attribute] = _renamed(column, dict.fromkeys(named, MISSING)) if named else column
        if named:
            taken = ", ".join(map(repr, named))
            notes.append(f"{attribute}: {taken} taken as not known, and compared with no group")
    return out, notes


def _renamed(column: GroupColumn, new: dict[str, str]) -> GroupColumn:
    names = tuple(sorted({new.get(name, name) for name in column.names}))
    if column.lists is not None:
        lists = tuple(tuple(dict.fromkeys(new.get(n, n) for n in row)) for row in column.lists)
        return GroupColumn(names, column.codes, lists)
    place = np.array([names.index(new.get(name, name)) for name in column.names], dtype=np.int32)
    return GroupColumn(names, place[column.codes])

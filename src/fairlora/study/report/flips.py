"""Predictions that are another class in one table than in another, by group and direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlora.predictions import Predictions


@dataclass(frozen=True)
class Flips:
    """Counts of rows.

    Attributes
    ----------
    rows : that were compared.
    lost, gained, other : right to wrong, wrong to right, and from one wrong class to another.
    into, out_of : to the positive class and from it; 0 without one.
    """

    rows: int
    lost: int
    gained: int
    other: int
    into: int = 0
    out_of: int = 0

    @property
    def count(self) -> int:
        """Rows whose class is another."""
        return self.lost + self.gained + self.other

    @property
    def share(self) -> float:
        """Of the rows; 0 of none."""
        return self.count / max(self.rows, 1)


def count_flips(
    before: Predictions, after: Predictions, positive: int | None = None
) -> dict[tuple[str, str], Flips]:
    """(attribute, group) -> what flipped; ("", "") has all rows.

    Parameters
    ----------
    before, after : the same rows in the same order.
    positive : number of the positive class.
    """
    masks: dict[tuple[str, str], NDArray[np.bool_]] = {("", ""): np.ones(len(before), dtype=bool)}
    masks |= {
        (attribute, name): column.contains(name)
        for attribute, column in before.groups.items()
        for name in column.names
    }
    was, now, labels = before.predictions, after.predictions, before.labels
    flipped = was != now
    lost, gained = flipped & (was == labels), flipped & (now == labels)
    kinds = [lost, gained, flipped & ~lost & ~gained]
    if positive is not None:
        kinds += [flipped & (now == positive), flipped & (was == positive)]
    return {
        place: Flips(int(mask.sum()), *(int((kind & mask).sum()) for kind in kinds))
        for place, mask in masks.items()
    }

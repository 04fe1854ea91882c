"""Rows to audit, drawn at random: few rows, so that groups are absent, of one class, and tied."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

GROUPS = ("a", "b", "c", "d")


class Rows(NamedTuple):
    labels: NDArray[np.int64]
    predictions: NDArray[np.int64]
    groups: list[list[str]]  # one list a row; of one name where groups do not overlap


def rows_of(
    classes: int, *, overlapping: bool = False, complete: bool = False
) -> st.SearchStrategy[Rows]:
    """Rows of up to four groups.

    With `overlapping` a row is in any number of groups, none included. With `complete` every group
    that occurs has a row of every class.
    """
    code = st.integers(0, classes - 1)
    one = st.sampled_from(GROUPS).map(lambda name: [name])
    several = st.lists(st.sampled_from(GROUPS), max_size=3)
    row = st.tuples(code, code, several if overlapping else one)

    @st.composite
    def build(draw: st.DrawFn) -> Rows:
        drawn = draw(st.lists(row, min_size=2, max_size=40))
        if complete:
            for name in sorted({name for _, _, names in drawn for name in names}):
                drawn += [(c, draw(code), [name]) for c in range(classes)]
        labels, predictions, groups = zip(*drawn, strict=True)
        return Rows(np.array(labels), np.array(predictions), list(groups))

    return build()


@pytest.fixture(scope="session")
def make_rows() -> Callable[..., st.SearchStrategy[Rows]]:
    return rows_of

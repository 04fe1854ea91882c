"""Rows to audit, drawn at random: few rows, so that groups are absent, of one class, and tied.

`make_rows` draws every row by itself, and shrinks well. `make_table` draws a few traits and lets
NumPy draw the rows: for many groups, many classes and probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

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


class Table(NamedTuple):
    labels: NDArray[np.int64]
    predictions: NDArray[np.int64]
    groups: list[str | None]
    probs: NDArray[np.float32]  # (n, c), of which the prediction is the likeliest or tied
    classes: int

    @property
    def names(self) -> NDArray[np.str_]:
        """The groups as an audit names them."""
        return np.array(["(missing)" if g is None else g for g in self.groups])

    def members(self) -> dict[str, NDArray[np.bool_]]:
        """Group -> which rows are in it, in the audit's order."""
        order = sorted(set(self.names.tolist()), key=lambda name: (name == "(missing)", name))
        return {str(g): self.names == g for g in order}


def agreeing(probs: NDArray[Any], predictions: NDArray[Any]) -> NDArray[Any]:
    """The probabilities with the largest of each row at the class that is predicted."""
    out, rows = probs.copy(), np.arange(len(probs))
    top = probs.argmax(axis=1)
    out[rows, top], out[rows, predictions] = probs[rows, predictions], probs[rows, top]
    return out


@st.composite
def table_of(
    draw: st.DrawFn,
    classes: Sequence[int] = (2,),
    groups: Sequence[int] = (1, 2, 5, 40),
    rows: Sequence[int] = (3, 30, 200),
    *,
    complete: bool = False,
    tied: bool = True,
) -> Table:
    """A table with one-class groups, a missing group, ties, and at times all right or all wrong.

    With `complete` every group has a row of every class; with `tied` the scores are of few values.
    """
    c, g, n = (draw(st.sampled_from(v)) for v in (classes, groups, rows))
    right = draw(st.sampled_from([0.0, 0.3, 0.7, 0.7, 0.9, 1.0]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # Some groups and classes are large, some have no row.
    labels = np.minimum(random.geometric(min(0.9, 2 / c), n) - 1, c - 1)
    codes = np.minimum(random.geometric(min(0.6, 2 / g), n) - 1, g - 1)
    if complete:
        labels = np.concatenate([labels, np.tile(np.arange(c), g)])
        codes = np.concatenate([codes, np.repeat(np.arange(g), c)])
    else:
        labels = np.where(codes == 0, labels[0], labels)  # a group of one class
    wrong = (labels + random.integers(1, c, len(labels))) % c
    predictions = np.where(random.random(len(labels)) < right, labels, wrong)
    # Multiples of 1/16 are exact however they are stored, and tied among many rows.
    shape = random.dirichlet(np.full(c, 0.5), size=len(labels))
    probs = (random.multinomial(16, shape) / 16 if tied else shape).astype(np.float32)
    probs = agreeing(probs, predictions)
    missing = draw(st.booleans()) and g > 1
    names: list[str | None] = [None if missing and k == g - 1 else f"g{k:03}" for k in codes]
    return Table(labels, predictions, names, probs, c)


@pytest.fixture(scope="session")
def make_table() -> Callable[..., st.SearchStrategy[Table]]:
    return table_of


def numbers_in(thing: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], dict[str, Any]]:
    """All numbers of an audit's content by their path, an undefined one too."""
    out: dict[tuple[str, ...], dict[str, Any]] = {}
    if isinstance(thing, dict):
        if {"value", "low", "high"} <= thing.keys():
            out[path] = thing
        for key, part in thing.items():
            out |= numbers_in(part, (*path, str(key)))
    elif isinstance(thing, list):
        for place, part in enumerate(thing):
            out |= numbers_in(part, (*path, str(place)))
    return out


@pytest.fixture(scope="session")
def numbers_of() -> Callable[[Any], dict[tuple[str, ...], dict[str, Any]]]:
    return numbers_in


@pytest.fixture(scope="session")
def agree() -> Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]:
    return agreeing


@pytest.fixture(scope="session")
def make_rows() -> Callable[..., st.SearchStrategy[Rows]]:
    return rows_of

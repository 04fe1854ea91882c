"""Ranges of a measurement as groups: `--bin age=18,30,45,60` and `--bin age=quantiles:4`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.predictions.arrow import MISSING, RowNumber, first_row, numbered
from fairlora.predictions.columns import Coded, GroupColumn, code_values, of_kept
from fairlora.predictions.spellings import doubtful, missing_class, number_of

# Quantiles of a stream are of its distinct values; more than this are not kept.
MOST_VALUES = 5_000_000


class Ranges:
    """Named ranges of numbers, by edges or by quantiles of the values seen.

    Parameters
    ----------
    text : edges in ascending order ("18,30,45") or "quantiles:K"; a sequence of numbers, too.
    where : what to call it in a message.

    A value at an edge belongs to the range above it. Raises `InputError` for anything else.

    >>> ranges = Ranges("18,65", "--bin age")
    >>> ranges.column(code_values([3, 18, 70.5, None])).tolist()
    ['under 18', '18 to under 65', '65 and over', '(missing)']
    """

    def __init__(self, text: str | Sequence[float] | Any, where: str) -> None:
        self.where, self.parts, self.edges = where, 0, np.zeros(0)
        self._values: NDArray[np.float64] = np.zeros(0)
        self._counts: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._present: set[int] = set()
        self._missing = False
        given = str(text) if isinstance(text, str) else ""
        kind, colon, count = given.partition(":")
        if colon and kind.strip() == "quantiles" and count.strip().isdecimal() and int(count) > 1:
            self.parts = int(count)
            return
        try:
            self.edges = np.array(
                [float(one) for one in (given.split(",") if given else text)], dtype=np.float64
            )
        except (TypeError, ValueError):
            self.edges = np.zeros(0)
        edges = self.edges
        if not len(edges) or not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
            raise InputError(
                "not ranges of numbers",
                where=where,
                found=repr(text),
                expected="edges in ascending order (18,30,45) or quantiles:K",
            )

    def see(self, coded: Coded, number: RowNumber = first_row) -> None:
        """Take in values: which ranges there are, or what their quantiles are."""
        sizes = self._sizes(coded, number)
        self._missing |= bool(np.isnan(sizes).any())
        if not self.parts:
            self._present |= set(np.digitize(sizes[~np.isnan(sizes)], self.edges).tolist())
            return
        counts = np.bincount(coded.codes, minlength=len(sizes))
        known = np.isfinite(sizes)
        values = np.concatenate([self._values, sizes[known]])
        each = np.concatenate([self._counts, counts[known]])
        self._values, place = np.unique(values, return_inverse=True)
        self._counts = np.bincount(place, weights=each).astype(np.int64)
        if len(self._values) > MOST_VALUES:
            raise InputError(
                "too many distinct values for quantiles of rows that stream",
                where=self.where,
                found=f"more than {MOST_VALUES:,}",
                expected="edges, as in 18,30,45",
            )

    def settle(self) -> None:
        """Find the edges, where the ranges are quantiles: the values that cut the rows evenly."""
        if not self.parts or len(self.edges):
            return
        if not len(self._values):
            raise InputError("no numbers to take quantiles of", where=self.where)
        upto = np.cumsum(self._counts)
        wanted = np.arange(1, self.parts) / self.parts * upto[-1]
        # The first value of which at least the wanted share of rows is below it.
        below = upto - self._counts
        place = np.searchsorted(below, wanted - 1e-9)
        place = np.unique(place[(place > 0) & (place < len(self._values))])
        if not len(place):
            raise InputError(
                "quantiles that do not differ",
                where=self.where,
                found=f"most rows have the value {self._values[int(self._counts.argmax())]:g}",
                expected="edges, as in 18,30,45",
            )
        self.edges = self._values[place]
        self._present = set(range(len(place) + 1))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the ranges that some row is in, in order; missing values last."""
        every = self._every()
        named = [name for k, name in enumerate(every) if k in self._present]
        return (*named, *([MISSING] if self._missing else []))

    def _every(self) -> tuple[str, ...]:
        edges = [f"{edge:.12g}" for edge in self.edges]
        between = [f"{a} to under {b}" for a, b in pairwise(edges)]
        return (f"under {edges[0]}", *between, f"{edges[-1]} and over")

    def column(self, coded: Coded) -> GroupColumn:
        """The rows' ranges; those of no row are left out, and missing values stay missing."""
        self.settle()
        sizes = self._sizes(coded)
        place = np.where(np.isnan(sizes), len(self.edges) + 1, np.digitize(sizes, self.edges))
        codes = np.asarray(place[coded.codes], dtype=np.int32)
        every = GroupColumn((*self._every(), MISSING), codes)
        return every.take(np.arange(len(codes)))

    def _sizes(self, coded: Coded, number: RowNumber = first_row) -> NDArray[np.float64]:
        out = np.full(len(coded.names), np.nan)
        for k, name in enumerate(coded.names):
            size = number_of(name)
            if size is None and not (missing_class(name) or doubtful(name)):
                raise InputError(
                    "not a number",
                    where=f"{self.where}, row {number(coded.codes == k)}",
                    found=repr(name),
                    expected="numbers, to be put into ranges",
                )
            out[k] = np.nan if size is None else size
        return out


def binned(
    values: Any, ranges: Ranges, kept: NDArray[np.bool_] | None = None
) -> tuple[GroupColumn, int]:
    """A column of numbers of any kind as ranges, of the rows kept, and how many rows it has.

    Parameters
    ----------
    values : the numbers, missing ones too.
    ranges : takes in the values that are kept; changed in place.
    kept : (n,) which rows are kept, None for all. Of a column of another length none are left out.

    Raises
    ------
    InputError : a value is no number, or there are no such quantiles.
    """
    coded = code_values(values)
    n = len(coded.codes)
    if kept is None or len(kept) == n:
        coded = of_kept(coded, kept)
    ranges.see(coded, numbered(0, kept))
    return ranges.column(coded), n

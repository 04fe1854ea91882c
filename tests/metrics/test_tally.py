"""Tallies: counts that add up, groups that overlap, bins that close on the right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlora.metrics.counts.tally import Tally, bin_numbers, tally
from fairlora.predictions import group_column

NAMES = ("a", "b", "c", "d")


def column(groups: list[list[str]]) -> Any:
    values = np.empty(len(groups), dtype=object)
    values[:] = [list(names) for names in groups]
    return values


def parts(one: Tally) -> list[Any]:
    assert one.bins is not None
    assert one.powers.keys() == {"loss", "brier", "nll", "confidence_gap"}
    return [one.counts, one.total, *one.bins, *(v for p in one.powers.values() for v in p)]


@settings(derandomize=True, deadline=None, max_examples=40)
@given(data=st.data())
def test_chunks_add_up_to_the_whole_even_where_one_lacks_a_group(
    data: st.DataObject, make_rows: Callable[..., Any]
) -> None:
    rows = data.draw(make_rows(3, overlapping=True))
    cut = data.draw(st.integers(1, len(rows.labels) - 1))
    random = np.random.default_rng(len(rows.labels))
    probs = random.dirichlet([1, 1, 1], size=len(rows.labels))
    loss = random.exponential(size=len(rows.labels))
    groups = column(rows.groups)

    def count(where: slice) -> Tally:
        return tally(
            rows.labels[where],
            rows.predictions[where],
            3,
            group_column(groups[where], NAMES),
            probs=probs[where],
            loss=loss[where],
            bins=5,
        )

    added = count(slice(0, cut)) + count(slice(cut, None))
    for got, expected in zip(parts(added), parts(count(slice(None))), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    assert added.total.sum() == len(rows.labels)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(data=st.data())
def test_counts_are_those_of_a_plain_loop(
    data: st.DataObject, make_rows: Callable[..., Any]
) -> None:
    rows = data.draw(make_rows(3, overlapping=True))
    expected = np.zeros((len(NAMES), 3, 3), dtype=int)
    for y, h, names in zip(rows.labels, rows.predictions, rows.groups, strict=True):
        for name in set(names):
            expected[NAMES.index(name), y, h] += 1
    got = tally(rows.labels, rows.predictions, 3, group_column(column(rows.groups), NAMES))
    np.testing.assert_array_equal(got.counts, expected)


def test_an_overlapping_row_counts_in_each_of_its_groups_and_once_in_all() -> None:
    groups = column([["a", "b"], ["a", "a"], [], ["b"]])
    got = tally(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 2, group_column(groups))
    assert got.names == ("a", "b")
    assert got.sizes.tolist() == [2, 2]
    assert got.total.sum() == 4
    # "not a" leaves the row of both groups out, and holds the row of none.
    assert (got.total - got.counts[0]).tolist() == [[0, 0], [0, 2]]


def test_membership_keeps_the_given_order_of_names() -> None:
    got = group_column(np.array(["y", "x", "y"]), ("y", "z", "x"))
    assert got.names == ("y", "z", "x")
    assert got.codes.tolist() == [0, 2, 0]


def test_tallies_of_other_groups_or_classes_do_not_add() -> None:
    zeros = np.zeros(2, dtype=np.int64)
    one = tally(zeros, zeros, 2, group_column(np.array(["a", "b"])))
    for other in (
        tally(zeros, zeros, 2, group_column(np.array(["a", "c"]))),
        tally(zeros, zeros, 3, group_column(np.array(["a", "b"]))),
    ):
        with pytest.raises(ValueError, match="do not add up"):
            one + other


def test_a_sum_with_a_chunk_without_probabilities_has_no_bins() -> None:
    zeros = np.zeros(2, dtype=np.int64)
    groups = group_column(np.array(["a", "b"]))
    with_probs = tally(zeros, zeros, 2, groups, probs=np.full((2, 2), 0.5), loss=np.ones(2))
    both = with_probs + tally(zeros, zeros, 2, groups)
    assert both.bins is None
    assert both.powers == {}
    assert both.sizes.tolist() == [2, 2]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("bins", [1, 2, 7, 10, 15])
def test_every_edge_belongs_to_the_bin_on_its_left(bins: int, kind: Any) -> None:
    edges = (np.arange(bins + 1) / bins).astype(kind)
    # The first bin holds both its edges; every other its right edge alone.
    assert bin_numbers(edges, bins).tolist() == [0, *range(bins)]
    beyond = edges[:-1] + kind(1e-5)
    assert bin_numbers(beyond, bins).tolist() == list(range(bins))

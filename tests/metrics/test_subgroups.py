"""The search for subgroups, against a loop over rows and conjunctions, and simulation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.groups.subgroups import search
from fairlora.predictions import GroupColumn, group_column

SETTINGS = settings(derandomize=True, deadline=None, max_examples=150)
Codes = NDArray[np.int64]


class Table(NamedTuple):
    groups: dict[str, list[list[str]]]  # a row is in any number of an attribute's groups
    hits: list[bool]
    counted: list[bool]
    depth: int
    least: int


@st.composite
def tables(draw: st.DrawFn) -> Table:
    n = draw(st.integers(2, 30))
    groups = {}
    for attribute in "abc"[: draw(st.integers(1, 3))]:
        several = st.lists(st.sampled_from("xyz"), max_size=2, unique=True)
        one = st.sampled_from("xyz").map(lambda name: [name])
        row = draw(st.sampled_from([one, several]))
        groups[attribute] = draw(st.lists(row, min_size=n, max_size=n))
    flags = st.lists(st.booleans(), min_size=n, max_size=n)
    everyone = st.just([True] * n)
    counted = draw(st.one_of(everyone, flags))
    return Table(groups, draw(flags), counted, draw(st.integers(1, 3)), draw(st.integers(1, 4)))


class Expected(NamedTuple):
    tested: dict[frozenset[tuple[str, str]], tuple[int, int, float]]  # rows, hits, z
    existing: int


def by_loop(table: Table) -> Expected:
    everyone = {i for i, counts in enumerate(table.counted) if counts}
    n, right = len(everyone), sum(table.hits[i] for i in everyone)
    tested, seen, existing = {}, set(), 0
    for size in range(1, table.depth + 1):
        for attributes in combinations(table.groups, size):
            for values in product("xyz", repeat=size):
                named = tuple(zip(attributes, values, strict=True))
                inside = frozenset(
                    i for i in everyone if all(v in table.groups[a][i] for a, v in named)
                )
                if not inside:
                    continue
                existing += 1
                small = min(len(inside), n - len(inside)) < table.least
                if inside in seen or small or right in (0, n):
                    continue
                seen.add(inside)
                got, rate = sum(table.hits[i] for i in inside), right / n
                outside = n - len(inside)
                apart = got / len(inside) - (right - got) / outside
                # The pooled two-proportion z, with the variance that permuting the rows has.
                pooled = math.sqrt(rate * (1 - rate) * (1 / len(inside) + 1 / outside))
                z = apart / pooled * math.sqrt((n - 1) / n)
                tested[frozenset(named)] = (len(inside), got, z)
    return Expected(tested, existing)


@SETTINGS
@given(table=tables())
def test_it_agrees_with_a_plain_loop(table: Table) -> None:
    columns = {name: group_column(rows) for name, rows in table.groups.items()}
    hits, counted = np.array(table.hits), np.array(table.counted)
    found = search(columns, hits, table.depth, table.least, rows=counted, draws=20)
    expected = by_loop(table)
    ranked = {frozenset(row.conditions.items()): row for row in found.ranked}
    assert set(ranked) == set(expected.tested)
    for key, (n, got, z) in expected.tested.items():
        row = ranked[key]
        assert row.n == n
        assert row.rate == pytest.approx(got / n)
        assert row.z == pytest.approx(z, abs=1e-9)
        assert row.p == pytest.approx(math.erfc(abs(z) / math.sqrt(2)))
        assert row.difference == pytest.approx(row.rate - row.rate_outside)
        assert row.low <= row.difference <= row.high
        assert row.p <= row.q <= 1
    sizes = [abs(row.z) for row in found.ranked]
    assert sizes == sorted(sizes, reverse=True)
    lowest = min((z for _, _, z in expected.tested.values()), default=0.0)
    if found.worst is None:  # nobody is below everyone else
        assert lowest >= 0
    else:
        assert found.worst.z == pytest.approx(lowest)
    assert found.tested == len(ranked)
    assert found.tested + found.too_small <= expected.existing


def test_the_p_value_is_that_of_all_permutations() -> None:
    # 8 rows, 3 hits: all 56 ways to deal the hits can be counted.
    groups = {"a": list("xxxyyyzz"), "b": list("uvuvuvuv")}
    hits = np.array([0, 0, 0, 1, 0, 1, 1, 0], dtype=bool)
    columns = {name: group_column(rows) for name, rows in groups.items()}

    def worst(of: Sequence[int]) -> float:
        outcome = [k in of for k in range(8)]
        rows = {name: [[g] for g in column] for name, column in groups.items()}
        table = Table(rows, outcome, [True] * 8, 2, 2)
        # The loop knows the values x, y and z alone.
        rows["b"] = [["x" if g == "u" else "y"] for g in groups["b"]]
        return min(z for _, _, z in by_loop(table).tested.values())

    observed = worst(np.flatnonzero(hits).tolist())
    exact = np.mean([worst(ways) <= observed + 1e-9 for ways in combinations(range(8), 3)])
    found = search(columns, hits, 2, 2, draws=20_000)
    assert found.worst is not None
    assert found.worst.z == pytest.approx(observed)
    assert found.worst.p == pytest.approx(float(exact), abs=0.015)


def drawn(rng: np.random.Generator, n: int, sizes: Mapping[str, int]) -> dict[str, Codes]:
    return {name: rng.integers(0, values, n) for name, values in sizes.items()}


def columns_of(codes: Mapping[str, Codes], sizes: Mapping[str, int]) -> dict[str, GroupColumn]:
    return {
        name: GroupColumn(tuple(f"v{k}" for k in range(sizes[name])), of.astype(np.int32))
        for name, of in codes.items()
    }


SIZES = {"sex": 2, "age": 3, "skin": 4}


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_planted_subgroup_is_found(sign: int) -> None:
    rng = np.random.default_rng(1)
    codes = drawn(rng, 3000, SIZES)
    planted = (codes["sex"] == 1) & (codes["age"] == 2)
    hits = rng.random(3000) < np.where(planted, 0.7 + sign * 0.15, 0.7)
    found = search(columns_of(codes, SIZES), hits, 3, 20, low_is_worst=sign < 0)
    assert found.worst is not None
    assert found.worst.conditions == {"sex": "v1", "age": "v2"}
    assert found.worst.p < 0.01
    assert abs(found.worst.z) > found.worst.chance_95 > found.worst.expected_z > 1
    assert found.ranked[0].conditions == found.worst.conditions


def test_searching_where_nothing_is_finds_something_in_one_of_twenty() -> None:
    rng = np.random.default_rng(3)
    small = 0
    for seed in range(200):
        hits = rng.random(200) < 0.7
        found = search(columns_of(drawn(rng, 200, SIZES), SIZES), hits, 2, 10, draws=99, seed=seed)
        small += found.worst is not None and found.worst.p <= 0.05
    # 10 expected of 200; each alone would have been found in far more.
    assert small / 200 <= 0.09


def test_the_seed_decides() -> None:
    rng = np.random.default_rng(5)
    columns, hits = columns_of(drawn(rng, 300, SIZES), SIZES), rng.random(300) < 0.6

    def judged(seed: int) -> Any:
        return search(columns, hits, 2, 10, draws=50, seed=seed).worst

    assert judged(1) == judged(1)
    assert judged(1).expected_z != judged(2).expected_z


def test_the_shorter_of_two_names_for_the_same_rows_stays() -> None:
    column = group_column(["x", "y"] * 20)
    hits = np.arange(40) % 3 == 0
    found = search({"a": column, "b": column}, hits, 2, 5)
    assert [row.conditions for row in found.ranked] == [{"a": "x"}, {"a": "y"}]
    assert found.tested == 2


def test_one_value_is_no_subgroup() -> None:
    found = search({"a": group_column(["x"] * 40)}, np.arange(40) % 2 == 0, 1, 5)
    assert (found.ranked, found.worst, found.tested, found.too_small) == ([], None, 0, 1)


def test_no_subgroup_is_large_enough() -> None:
    found = search({"a": group_column(list("xxyyzz"))}, np.arange(6) % 2 == 0, 2, 5)
    assert (found.ranked, found.worst, found.tested, found.too_small) == ([], None, 0, 3)


@pytest.mark.parametrize("outcome", [True, False])
def test_outcomes_that_are_all_alike_are_no_finding(outcome: bool) -> None:
    found = search({"a": group_column(["x", "y"] * 20)}, np.full(40, outcome), 1, 5)
    assert (found.ranked, found.worst) == ([], None)


def test_a_missing_value_is_a_group_if_it_is_to_be() -> None:
    column = group_column(["x", None] * 20)
    found = search({"a": column}, np.arange(40) % 2 == 0, 1, 5, missing_group="keep")
    assert {row.conditions["a"] for row in found.ranked} == {"x", "(missing)"}


def test_too_many_conjunctions_are_refused_with_their_number() -> None:
    rng = np.random.default_rng(0)
    sizes = {f"a{k}": 100 for k in range(3)}
    with pytest.raises(InputError, match="1,030,300 conjunctions.*lower depth"):
        search(columns_of(drawn(rng, 50, sizes), sizes), np.ones(50, dtype=bool), 3, 5)

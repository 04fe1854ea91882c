"""Combinations of attributes: the groups that rows have, whole and in an audit."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlora.errors import InputError
from fairlora.metrics import audit
from fairlora.metrics.groups.intersections import cross, crossed_name
from fairlora.predictions import group_column

SETTINGS = settings(derandomize=True, deadline=None, max_examples=60)
NAMES = st.sampled_from(["x", "y", "z"])
ROWS = st.lists(st.tuples(NAMES, NAMES, NAMES), min_size=1, max_size=20)
SEVERAL = st.lists(NAMES, max_size=2, unique=True)


@SETTINGS
@given(rows=ROWS)
def test_each_row_is_in_the_combination_of_its_groups(rows: list[tuple[str, str, str]]) -> None:
    columns = {name: group_column([row[k] for row in rows]) for k, name in enumerate("abc")}
    found = cross(columns, ["a", "b", "c"])
    assert found.tolist() == [" & ".join(row) for row in rows]
    assert list(found.names) == sorted({" & ".join(row) for row in rows})


@SETTINGS
@given(rows=st.lists(st.tuples(SEVERAL, NAMES), min_size=1, max_size=20))
def test_of_overlapping_groups_a_row_is_in_every_pair(rows: list[tuple[list[str], str]]) -> None:
    lists, single = zip(*rows, strict=True)
    columns = {"many": group_column([[], *lists]), "one": group_column(["x", *single])}
    found = cross(columns, ["many", "one"]).tolist()
    assert found[0] == []
    assert [set(names) for names in found[1:]] == [
        {f"{a} & {b}" for a, b in product(several, [one])} for several, one in rows
    ]


def test_the_order_of_the_attributes_is_the_order_in_the_names() -> None:
    columns = {"a": group_column(["p", "q"]), "b": group_column(["r", "s"])}
    assert cross(columns, ["b", "a"]).tolist() == ["r & p", "s & q"]
    assert crossed_name(["b", "a"]) == "b&a"


def test_a_missing_value_makes_a_combination_of_its_own() -> None:
    columns = {"a": group_column(["p", None]), "b": group_column(["r", "r"])}
    assert cross(columns, ["a", "b"], "keep").tolist() == ["p & r", "(missing) & r"]
    # Which combination the row is of is not known.
    assert cross(columns, ["a", "b"]).tolist() == ["p & r", "(missing)"]


def test_the_product_of_many_large_attributes_does_not_overflow() -> None:
    columns = {f"a{k}": group_column(list(range(500))) for k in range(9)}
    found = cross(columns, list(columns))
    assert len(found.names) == 500
    assert found.tolist()[499] == " & ".join(["499"] * 9)


@pytest.mark.parametrize("wanted", [["a", "nope"], ["a"], ["a", "a"], [], [""]])
def test_what_cannot_be_combined_is_refused(wanted: list[str]) -> None:
    columns = {"a": group_column(["p"]), "b": group_column(["q"])}
    with pytest.raises(InputError, match="intersect: cannot combine.*two or more of a, b"):
        cross(columns, wanted)


def test_an_audit_has_the_combinations_beside_the_attributes() -> None:
    labels = [0, 1] * 20
    right = [1, 1, 0, 0] * 10
    predicted = [y if r else 1 - y for y, r in zip(labels, right, strict=True)]
    groups = {"sex": ["f", "f", "m", "m"] * 10, "age": ["old"] * 20 + ["young"] * 20}
    content = audit(
        labels, predicted, groups, positive=1, bootstrap=0, intersect=[["sex", "age"]]
    ).to_dict()
    assert list(content["by_group"]) == ["sex", "age", "sex&age"]
    rows = content["by_group"]["sex&age"]
    assert list(rows) == ["f & old", "f & young", "m & old", "m & young"]
    assert [row["n"] for row in rows.values()] == [10] * 4
    assert [row["accuracy"]["value"] for row in rows.values()] == [1, 1, 0, 0]
    assert content["disparities"]["sex&age"]["accuracy_gap"]["value"] == 1


def test_an_audit_of_an_unknown_combination_is_refused() -> None:
    with pytest.raises(InputError, match="found sex,nope"):
        audit([0, 1], [0, 1], {"sex": ["f", "m"]}, intersect=[["sex", "nope"]])

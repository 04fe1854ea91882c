"""Columns of every kind as codes: the names of a plain loop, row by row."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairlora.predictions import GroupColumn, group_column
from fairlora.predictions.arrow import MISSING
from fairlora.predictions.columns import Coded, code_values, placed
from fairlora.predictions.spellings import is_missing

SETTINGS = settings(derandomize=True, deadline=None, max_examples=60)
WORDS = st.text(max_size=4)
INTS = {
    kind: st.integers(int(np.iinfo(kind).min), int(np.iinfo(kind).max))
    for kind in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
}
ENDS = [-(2**63), -(2**63) + 1, -1, 0, 1, 2**62, 2**63 - 2, 2**63 - 1]


def rows(one: st.SearchStrategy[Any], missing: bool = False) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.one_of(one, st.none()) if missing else one, max_size=30)


def check(found: GroupColumn, expected: Sequence[str], order: Any = None) -> None:
    """The rows' names are those expected, and the groups those that occur, in order."""
    assert found.tolist() == list(expected)
    assert list(found) == list(expected)
    assert len(found) == len(expected)
    assert found.codes.dtype.kind == "i"
    assert found.lists is None
    assert found.patterns() is None
    known = sorted(set(expected) - {MISSING}, key=order)
    assert found.names == (*known, *([MISSING] if MISSING in expected else []))


def called(word: str | None) -> str:
    """What a group is called that a file spells so."""
    missing = {"", "?", "nan", "-nan", "null", "nat", "n/a", "n.a.", "#n/a", "#na", "<na>", "\\n"}
    return MISSING if word is None or word.strip().lower() in missing else word


def size(name: str) -> tuple[float, str]:
    """Numbers by size."""
    return float(name), name


def order_of(names: Sequence[str]) -> Any:
    """The order of names: by size where all are numbers, else by letter."""
    digits = all(re.fullmatch(r"[0-9]+", name) for name in names if name != MISSING)
    return size if digits else None


# Whole numbers.


@pytest.mark.parametrize("kind", sorted(INTS))
@SETTINGS
@given(data=st.data())
def test_whole_numbers_of_numpy_are_ordered_by_size(kind: str, data: st.DataObject) -> None:
    values = data.draw(rows(INTS[kind]))
    array = np.array(values, dtype=kind)
    check(group_column(array), [str(v) for v in values], int)
    check(group_column(pa.array(array)), [str(v) for v in values], int)
    check(group_column(pd.Series(array)), [str(v) for v in values], int)


@SETTINGS
@given(rows(st.sampled_from(ENDS) | st.integers(-3, 3)))
def test_numbers_near_the_ends_of_64_bits_keep_their_digits(values: list[int]) -> None:
    for array in (
        np.array(values, dtype=np.int64),
        values,
        torch.tensor(values, dtype=torch.int64),
    ):
        check(group_column(array), [str(v) for v in values], int)


def test_numbers_far_apart_or_above_the_signed_ones_keep_their_digits() -> None:
    values = [2**64 - 1, 0, 2**63, 2**64 - 2, 2**63 - 1]
    for column in (np.array(values, dtype=np.uint64), pa.array(values, pa.uint64())):
        check(group_column(column), [str(v) for v in values], int)
    near = np.array([2**64 - 1, 2**64 - 3], dtype=np.uint64)
    check(group_column(near), [str(v) for v in near.tolist()], int)
    far = np.array([5, 10**12, 5, -(10**12)])
    check(group_column(far), [str(v) for v in far.tolist()], int)


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint8"])
@settings(SETTINGS, max_examples=20)
@given(data=st.data())
def test_whole_numbers_of_torch_are_those_of_numpy(kind: str, data: st.DataObject) -> None:
    values = data.draw(rows(INTS[kind]))
    tensor = torch.tensor(values, dtype=getattr(torch, kind))
    check(group_column(tensor), [str(v) for v in values], int)


@pytest.mark.parametrize("kind", ["Int8", "Int64", "UInt16", "UInt64"])
@settings(SETTINGS, max_examples=30)
@given(data=st.data())
def test_nullable_numbers_of_pandas_keep_their_digits(kind: str, data: st.DataObject) -> None:
    values = data.draw(rows(INTS[kind.lower()], missing=True))
    expected = [MISSING if v is None else str(v) for v in values]
    found = group_column(pd.Series(values, dtype=kind))
    assert found.tolist() == expected
    assert set(found.names) == set(expected)


@pytest.mark.parametrize("kind", ["int8", "int64", "uint64"])
@settings(SETTINGS, max_examples=30)
@given(data=st.data())
def test_whole_numbers_of_arrow_with_missing_ones_keep_their_digits(
    kind: str, data: st.DataObject
) -> None:
    values = data.draw(rows(INTS[kind], missing=True))
    expected = [MISSING if v is None else str(v) for v in values]
    check(group_column(pa.array(values, getattr(pa, kind)())), expected, int)
    # The bits of a slice begin somewhere in a byte.
    check(group_column(pa.array(values, getattr(pa, kind)())[1:]), expected[1:], int)


# Truth values and floats.


@SETTINGS
@given(rows(st.booleans()))
def test_truth_values_are_words_as_groups_and_numbers_as_classes(values: list[bool]) -> None:
    for column in (
        np.array(values, dtype=bool),
        pd.Series(values, dtype=bool),
        pd.Series(values, dtype="boolean"),
        pa.array(values, pa.bool_()),
        torch.tensor(values, dtype=torch.bool),
        values,
        tuple(values),
    ):
        check(group_column(column), [str(v) for v in values])
        assert set(code_values(column).names) == {str(int(v)) for v in values}


@settings(SETTINGS, max_examples=30)
@given(rows(st.booleans(), missing=True))
def test_missing_truth_values_are_a_group(values: list[bool | None]) -> None:
    expected = [MISSING if v is None else str(v) for v in values]
    for column in (pd.Series(values, dtype="boolean"), pa.array(values, pa.bool_()), values):
        assert group_column(column).tolist() == expected


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
@settings(SETTINGS, max_examples=30)
@given(data=st.data())
def test_whole_floats_are_whole_numbers_others_have_their_shortest_name_and_nan_is_missing(
    kind: str, data: st.DataObject
) -> None:
    width: Any = int(kind[5:])
    array = np.array(data.draw(rows(st.floats(width=width))), dtype=kind)
    expected = [
        MISSING if v != v else str(int(v)) if np.isfinite(v) and v == int(v) else str(v)
        for v in array
    ]
    assert group_column(array).tolist() == expected
    if kind != "float16":  # others hold them as wider floats
        for column in (pa.array(array), pd.Series(array), pd.Series(array).astype("category")):
            assert group_column(column).tolist() == expected


# Words.


@SETTINGS
@example([" ", "Nan", "\\N", "NA", "b"])
@given(rows(WORDS))
def test_words_are_ordered_by_letter(values: list[str]) -> None:
    whole = [v for v in values if "\0" not in v]  # NumPy's words end at a null
    for column in (
        whole,
        tuple(whole),
        np.array(whole, dtype=object),
        pd.Series(whole, dtype=object),
        pd.Series(whole, dtype="string"),
        pd.Series(whole, dtype="category"),
        pa.array(whole, pa.string()),
        pa.array(whole, pa.large_string()),
        pa.array(whole, pa.string()).dictionary_encode(),
        np.array(whole, dtype=str),
    ):
        check(group_column(column), [called(v) for v in whole], order_of(whole))


@SETTINGS
@given(rows(WORDS, missing=True))
def test_missing_words_are_a_group(values: list[str | None]) -> None:
    expected = [called(v) for v in values]
    for column in (
        values,
        np.array([*values, None], dtype=object)[:-1],
        pd.Series(values, dtype=object),
        pd.Series(values, dtype="string"),
        pd.Series(values, dtype="category"),
        pa.array(values, pa.string()),
        pa.array(values, pa.string()).dictionary_encode(),
        [float("nan") if v is None else v for v in values],
        [pd.NA if v is None else v for v in values],
    ):
        check(group_column(column), expected, order_of(expected))


def test_many_words_of_numpy_are_coded_as_few_are() -> None:
    words = np.array(["b", "ä", "", "a"] * 600)
    check(group_column(words), [called(word) for word in words.tolist()])


def test_words_for_a_missing_value_are_missing_and_na_and_none_are_groups() -> None:
    words = ["nan", "NULL", "N/A", "<NA>", "?", "", "NA", "None", "a"]
    expected = [MISSING] * 6 + ["NA", "None", "a"]
    for column in (words, np.array(words), pa.array(words), pd.Series(words)):
        check(group_column(column), expected)
    assert group_column([["NULL", "a"], ["NA"]]).tolist() == [[MISSING, "a"], ["NA"]]


def test_words_that_are_numbers_keep_their_spelling_and_are_ordered_by_size() -> None:
    check(group_column(["10", "9", "10"]), ["10", "9", "10"], int)
    words = ["01", "1", "1e3", "1000", "1.0"]
    assert group_column(words).tolist() == words
    assert group_column(words).names == ("01", "1", "1.0", "1000", "1e3")


def test_a_group_called_as_missing_ones_are_is_one_with_them() -> None:
    check(group_column([MISSING, None, "a"]), [MISSING, MISSING, "a"])


# Dictionaries.


@SETTINGS
@given(st.lists(rows(st.sampled_from("abcde"), missing=True), min_size=1, max_size=4))
def test_chunks_may_each_have_a_dictionary_of_their_own(chunks: list[list[str | None]]) -> None:
    expected = [MISSING if v is None else v for chunk in chunks for v in chunk]
    each = [pa.array(chunk, pa.string()).dictionary_encode() for chunk in chunks]
    check(group_column(pa.chunked_array(each)), expected)
    plain = pa.chunked_array([pa.array(chunk, pa.string()) for chunk in chunks])
    check(group_column(plain), expected)


def test_values_of_a_dictionary_that_no_row_has_are_no_groups() -> None:
    values = pa.DictionaryArray.from_arrays(pa.array([2, 0, 2]), pa.array(["a", "b", "c"]))
    check(group_column(values), ["c", "a", "c"])
    check(group_column(pd.Categorical(["c", "a"], categories=["a", "b", "c"])), ["c", "a"])


def test_a_dictionary_may_hold_a_value_twice_and_a_missing_one() -> None:
    values = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None]), pa.array(["a", None, "a"]))
    check(group_column(values), ["a", MISSING, "a", MISSING])


@settings(SETTINGS, max_examples=30)
@given(rows(st.integers(-5, 200), missing=True))
def test_categories_that_are_numbers_are_ordered_by_size(values: list[int | None]) -> None:
    whole = [v for v in values if v is not None]
    check(group_column(pd.Series(whole, dtype="category")), [str(v) for v in whole], int)
    expected = [MISSING if v is None else str(v) for v in values]
    encoded = pa.array(values, pa.int16()).dictionary_encode()
    check(group_column(encoded), expected, int)


@pytest.mark.parametrize("kind", [pa.string(), pa.int64(), pa.bool_(), pa.float64(), pa.null()])
def test_a_column_of_no_rows_has_no_groups(kind: Any) -> None:
    for column in (pa.array([], kind), pa.chunked_array([], kind)):
        assert group_column(column).names == ()
        assert len(group_column(column)) == 0


def test_a_column_of_arrow_without_any_value_is_all_missing() -> None:
    for kind in (pa.null(), pa.string(), pa.int64(), pa.float64()):
        check(group_column(pa.array([None, None], kind)), [MISSING, MISSING])


# Lists of mixed values.


@SETTINGS
@given(rows(st.one_of(st.integers(-3, 3), st.booleans(), WORDS, st.floats(-2, 2)), missing=True))
def test_values_of_several_kinds_have_the_names_of_a_plain_loop(values: list[Any]) -> None:
    objects = np.empty(len(values), dtype=object)
    objects[:] = values

    def name(value: Any) -> str:
        whole = isinstance(value, float) and value == int(value)
        return (
            called(value)
            if value is None or isinstance(value, str)
            else str(int(value) if whole else value)
        )

    for column in (values, objects):
        assert group_column(column).tolist() == [name(value) for value in values]


def test_a_number_and_the_word_of_it_are_one_group() -> None:
    check(group_column([1, "1", "a"]), ["1", "1", "a"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, True),
        (float("nan"), True),
        (np.float32("nan"), True),
        (pd.NA, True),
        (pd.NaT, True),
        (np.datetime64("NaT"), True),
        ("", False),
        (0, False),
        (False, False),
        ("nan", False),
    ],
)
def test_what_is_missing(value: Any, expected: bool) -> None:
    assert is_missing(value) is expected


@pytest.mark.parametrize("values", [np.zeros((3, 2)), np.zeros((3, 1), dtype=int)])
def test_a_matrix_is_no_column(values: Any) -> None:
    with pytest.raises(ValueError, match="shape"):
        group_column(values)
    with pytest.raises(ValueError, match="shape"):
        code_values(values)


# Overlapping groups.

LISTS = st.lists(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=4), min_size=1)


def distinct(names: Sequence[str | None]) -> list[str]:
    return list(dict.fromkeys(MISSING if n is None else n for n in names))


def in_order(lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """All names of some lists, the missing ones last."""
    names = {name for one in lists for name in one}
    return (*sorted(names - {MISSING}), *sorted(names & {MISSING}))


@SETTINGS
@given(LISTS)
def test_lists_of_names_are_groups_that_overlap(lists: list[list[str | None]]) -> None:
    expected = [distinct(names) for names in lists]
    objects = np.empty(len(lists), dtype=object)
    objects[:] = [np.array(names, dtype=object) for names in lists]
    for column in (
        lists,
        [tuple(names) for names in lists],
        pd.Series(lists),
        objects,
        pa.array(lists, pa.list_(pa.string())),
        pa.array(lists, pa.large_list(pa.string())),
        pa.chunked_array([pa.array(lists[:1], pa.list_(pa.string())), lists[1:]]),
    ):
        found = group_column(column)
        assert found.tolist() == expected
        assert found.names == in_order(expected)
        patterns = found.patterns()
        assert patterns is not None
        for row, names in zip(patterns[found.codes], expected, strict=True):
            assert row.tolist() == [name in names for name in found.names]


@settings(SETTINGS, max_examples=30)
@given(LISTS, st.integers(0, 99))
def test_the_order_of_rows_changes_no_code_of_a_list(
    lists: list[list[str | None]], seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(lists))
    one, other = group_column(lists), group_column([lists[k] for k in order])
    assert one.lists == other.lists
    np.testing.assert_array_equal(one.codes[order], other.codes)


def test_a_single_value_among_lists_is_a_list_of_it() -> None:
    assert group_column([["a", "b"], "ab", None, 3]).tolist() == [
        ["a", "b"],
        ["ab"],
        [MISSING],
        ["3"],
    ]


def test_fixed_lists_of_arrow_may_be_missing() -> None:
    values = pa.array([["a", "b"], None, ["b", None]], pa.list_(pa.string(), 2))
    assert group_column(values).tolist() == [["a", "b"], [MISSING], ["b", MISSING]]


# Parts of a column, and fixed names.


@SETTINGS
@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=20), st.data())
def test_taking_rows_drops_the_groups_of_none_of_them(
    values: list[str], data: st.DataObject
) -> None:
    places = st.lists(st.integers(0, len(values) - 1), max_size=10)
    chosen = np.array(data.draw(places), dtype=np.int64)
    check(group_column(values).take(chosen), [values[k] for k in chosen])
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    kept = [v for v, keep in zip(values, mask, strict=True) if keep]
    check(group_column(values).take(mask), kept)


@SETTINGS
@given(LISTS, st.data())
def test_taking_rows_of_lists_drops_the_groups_of_none_of_them(
    lists: list[list[str | None]], data: st.DataObject
) -> None:
    chosen = np.array(data.draw(st.lists(st.integers(0, len(lists) - 1))), dtype=np.int64)
    found = group_column(lists).take(chosen)
    expected = [distinct(lists[k]) for k in chosen]
    assert found.tolist() == expected
    assert found.names == in_order(expected)
    assert found.lists is not None
    assert set(found.lists) == {tuple(names) for names in expected}


def test_fixed_names_keep_the_place_of_a_group_without_rows() -> None:
    found = group_column(["b", "a", "b"], ("b", "x", "a"))
    assert (found.names, found.codes.tolist()) == (("b", "x", "a"), [0, 2, 0])
    several = group_column([["b"], ["a", "b"]], ("b", "x", "a")).patterns()
    assert several is not None
    assert several.shape == (2, 3)
    assert not several[:, 1].any()


# Classes of several columns.


def test_a_column_is_placed_among_names_that_hold_its_own() -> None:
    names = ("2", "9", "10")
    assert placed(code_values([10, 9]), names).tolist() == [2, 1]
    assert placed(code_values(np.array([2, 10])), names).tolist() == [0, 2]


@pytest.mark.parametrize("make", [np.array, pa.array, pd.Series, list])
def test_a_column_without_rows_has_no_names(make: Callable[[Any], Any]) -> None:
    found = code_values(make([]))
    assert isinstance(found, Coded)
    assert found.names == ()

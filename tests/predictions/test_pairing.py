"""Two files brought to the same rows: by id, over the classes of both, or refused in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlora.errors import InputError
from fairlora.predictions import Predictions
from fairlora.predictions.pairing import paired_rows

ONE, TWO = Path("one.csv"), Path("two.csv")


def table(
    ids: list[Any],
    labels: list[int],
    predictions: list[int] | None = None,
    classes: tuple[str, ...] = ("no", "yes"),
    *,
    probs: bool = False,
) -> Predictions:
    n = len(ids)
    predicted = labels if predictions is None else predictions
    return Predictions(
        ids=np.array(ids, dtype=object),
        split=np.full(n, "test"),
        labels=np.array(labels),
        predictions=np.array(predicted),
        classes=classes,
        groups={"g": [f"group of {i}" for i in ids]},
        probs=np.eye(len(classes), dtype=np.float32)[predicted] if probs else None,
        loss=np.arange(n, dtype=np.float32),
        clusters=np.arange(n, dtype=np.int32),
    )


def pair(first: Predictions, second: Predictions) -> tuple[Predictions, Predictions]:
    return paired_rows(first, second, ONE, TWO)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(data=st.data())
def test_rows_in_another_order_are_paired_by_id(data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.text(max_size=3), min_size=1, max_size=12, unique=True))
    labels = data.draw(st.lists(st.integers(0, 1), min_size=len(ids), max_size=len(ids)))
    order = data.draw(st.permutations(range(len(ids))))
    first = table(ids, labels, probs=True)
    first, second = pair(first, first.take(np.array(order)))
    assert first.ids.tolist() == second.ids.tolist() == ids
    for name in ("labels", "predictions", "probs", "loss", "clusters"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.groups["g"].tolist() == second.groups["g"].tolist()


def test_ids_are_paired_as_words() -> None:
    _, second = pair(table([1, 2, 10], [0, 1, 1]), table(["10", "2", "1"], [1, 1, 0], [0, 1, 0]))
    assert second.predictions.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("mine", "theirs", "message"),
    [
        ("abc", "ab", r"two\.csv: not the same rows .*no row 'c' \(1 rows"),
        ("ab", "abc", r"two\.csv: not the same rows .*a row 'c' \(1 rows"),
        ("abc", "abd", r"two\.csv: not the same rows .*no row 'c' \(2 rows.*--id"),
        ("abb", "abc", r"one\.csv: an id stands twice \(found 'b'\)"),
        ("abc", "abb", r"two\.csv: an id stands twice \(found 'b'\)"),
    ],
)
def test_ids_that_do_not_pair_are_named(mine: str, theirs: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        pair(table(list(mine), [0] * len(mine)), table(list(theirs), [0] * len(theirs)))
    assert "\n" not in str(caught.value)


def test_another_label_is_named_with_its_row() -> None:
    message = r"two\.csv, row 'b': another label .*found yes; expected no"
    with pytest.raises(InputError, match=message):
        pair(table(list("abc"), [0, 0, 1]), table(list("cba"), [1, 1, 0]))


def test_a_class_that_one_model_never_predicts_takes_its_place() -> None:
    first = table(list("ab"), [0, 1], [0, 2], ("cat", "dog", "owl"), probs=True)
    second = table(list("ab"), [0, 1], [1, 0], ("cat", "dog"), probs=True)
    first, second = pair(first, second)
    assert first.classes == second.classes == ("cat", "dog", "owl")
    assert second.predictions.tolist() == [1, 0]
    assert second.probs is not None
    assert second.probs.tolist() == [[0, 1, 0], [1, 0, 0]]


def test_classes_of_either_side_alone_are_all_kept() -> None:
    first = table(list("ab"), [0, 0], [0, 1], ("b", "c"), probs=True)
    second = table(list("ab"), [1, 1], [0, 1], ("a", "b"), probs=True)
    first, second = pair(first, second)
    assert first.classes == ("a", "b", "c")
    assert (first.labels.tolist(), second.labels.tolist()) == ([1, 1], [1, 1])
    assert (first.predictions.tolist(), second.predictions.tolist()) == ([1, 2], [0, 1])
    assert first.probs is not None
    assert first.probs.tolist() == [[0, 1, 0], [0, 0, 1]]


def test_numbers_stay_in_order_of_size() -> None:
    first = table(list("ab"), [0, 1], [0, 1], ("2", "10"))
    second = table(list("ab"), [0, 1], [2, 1], ("2", "10", "9"))
    assert pair(first, second)[0].classes == ("2", "9", "10")


def test_equal_classes_stay_in_their_own_order() -> None:
    first = table(list("ab"), [0, 1], classes=("small", "large"))
    assert pair(first, first)[1].classes == ("small", "large")


def test_the_same_class_spelled_otherwise_is_another_label() -> None:
    first = table(["a"], [0], classes=("yes",))
    with pytest.raises(InputError, match="found Yes; expected yes"):
        pair(first, table(["a"], [0], classes=("Yes",)))


def test_the_groups_of_a_row_have_no_order() -> None:
    first = replace(table(["x", "y"], [0, 1]), groups={"g": [["a", "b"], ["c"]]})
    other = replace(first, groups={"g": [["b", "a"], ["c"]]})
    assert pair(first, other)[1].groups["g"].tolist() == [["b", "a"], ["c"]]
    with pytest.raises(InputError, match="another group of 'g'"):
        pair(first, replace(first, groups={"g": [["a", "b"], ["c", "a"]]}))

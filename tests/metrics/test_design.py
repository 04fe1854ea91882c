"""How rows are drawn: cells of a class, their rates, bootstrap draws and correlations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import multilabel_confusion_matrix

from fairlora.metrics.counts.tally import Tally, tally
from fairlora.metrics.inference.design import (
    IndependentRows,
    Kind,
    class_cells,
    seed_of,
    top_and_bottom,
)
from fairlora.predictions import group_column

SETTINGS = settings(derandomize=True, deadline=None, max_examples=40)


def design_of(cells: Any, draws: int = 400, patterns: Any = None) -> IndependentRows:
    counts = np.asarray(cells, dtype=np.int64)
    names = tuple(str(g) for g in range(len(counts) if patterns is None else len(patterns[0])))
    held = None if patterns is None else np.asarray(patterns, dtype=bool)
    return IndependentRows(Tally(names, counts, held), draws, np.random.default_rng(0))


@SETTINGS
@given(data=st.data())
def test_the_cells_of_a_class_agree_with_scikit_learn(
    data: st.DataObject, make_rows: Callable[..., Any]
) -> None:
    labels, predictions, _ = data.draw(make_rows(4))
    counts = np.zeros((1, 4, 4), dtype=np.int64)
    np.add.at(counts[0], (labels, predictions), 1)
    expected = multilabel_confusion_matrix(labels, predictions, labels=range(4))
    for c in range(4):
        (tn, fp), (fn, tp) = expected[c]
        assert class_cells(counts, c)[0].tolist() == [tp, fn, fp, tn]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("accuracy", (1 + 8, 15)),
        ("selection_rate", (1 + 4, 15)),
        ("tpr", (1, 1 + 2)),
        ("fpr", (4, 4 + 8)),
        ("precision", (1, 1 + 4)),
        ("f1", (1, 1 + 2 + 4)),
    ],
)
def test_a_rate_is_its_top_over_its_bottom(kind: Kind, expected: tuple[int, int]) -> None:
    top, bottom = top_and_bottom(np.array([[1, 2, 4, 8]]), kind)
    assert (top[0], bottom[0]) == expected


def test_draws_keep_each_groups_size_and_its_rate_on_average() -> None:
    found = design_of([[[30, 10], [5, 15]], [[1, 1], [1, 1]]]).extras("tpr", 1).draws
    assert found is not None
    top, bottom = found
    assert top.shape == bottom.shape == (400, 2)
    assert (top <= bottom).all()
    rates = top[:, 0] / bottom[:, 0]
    # Binomial of about 20 rows at 0.75.
    assert rates.mean() == pytest.approx(0.75, abs=4 * rates.std() / 20)
    assert rates.std() == pytest.approx(np.sqrt(0.75 * 0.25 / 20), rel=0.15)


def test_all_rates_of_a_class_come_of_the_same_draws() -> None:
    design = design_of([[[30, 10], [5, 15]]])
    selection, tpr, fpr = (
        design.extras(kind, 1).draws for kind in ("selection_rate", "tpr", "fpr")
    )
    assert selection is not None
    assert tpr is not None
    assert fpr is not None
    np.testing.assert_array_equal(selection[0], tpr[0] + fpr[0])
    np.testing.assert_array_equal(selection[1], tpr[1] + fpr[1])


def test_without_draws_there_are_none() -> None:
    assert design_of([[[3, 1], [1, 3]]], draws=0).extras("accuracy", 0).draws is None


def test_too_many_draws_are_none() -> None:
    assert design_of(np.ones((3000, 2, 2)), draws=2000).extras("accuracy", 0).draws is None


@pytest.mark.parametrize("kind", ["accuracy", "selection_rate", "tpr", "fpr"])
def test_the_correlation_of_overlapping_groups_is_that_of_resampled_rows(kind: Kind) -> None:
    random = np.random.default_rng(3)
    n = 400
    y = random.integers(0, 2, n)
    h = np.where(random.random(n) < 0.7, y, 1 - y)
    lists = [
        [name for name, share in (("a", 0.6), ("b", 0.5)) if random.random() < share]
        for _ in range(n)
    ]
    counted = tally(y, h, 2, group_column(lists))
    found = IndependentRows(counted, 0, random).extras(kind, 1).correlation
    assert found is not None
    among = {"tpr": y == 1, "fpr": y == 0}.get(kind, np.ones(n, dtype=bool))
    hit = (y == h) if kind == "accuracy" else h == 1
    holds = np.array([["a" in row, "b" in row] for row in lists])
    weights = random.multinomial(n, np.full(n, 1 / n), size=4000).astype(float)
    below = weights @ (holds & among[:, None])
    rates = weights @ (holds & (among & hit)[:, None]) / below
    expected = np.corrcoef(rates.T)[0, 1]
    assert found[0, 1] == pytest.approx(expected, abs=0.06)
    assert found[0, 0] == pytest.approx(1)


def test_groups_that_share_no_row_are_not_correlated() -> None:
    extras = design_of([[[3, 1], [1, 3]], [[2, 2], [2, 2]]], patterns=[[1, 0], [0, 1]]).extras(
        "accuracy", 0
    )
    assert extras.correlation is not None
    np.testing.assert_allclose(extras.correlation, np.eye(2), atol=1e-12)


def test_each_purpose_has_a_generator_of_its_own() -> None:
    def first(*arguments: Any) -> float:
        return float(seed_of(*arguments).random())

    assert first(0, "race", "chance") == first(0, "race", "chance")
    others = {first(0, "race", "chance"), first(1, "race", "chance")}
    others |= {first(0, "sex", "chance"), first(0, "race", "bootstrap")}
    assert len(others) == 4

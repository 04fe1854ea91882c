"""The Pareto front and its knee, against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fairlora.study.report.pareto import knee, pareto_front

# Few distinct numbers, so that ties and equal points are common; some undefined.
number = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, float("nan")])
tables = st.integers(1, 3).flatmap(
    lambda k: st.tuples(
        hnp.arrays(np.float64, st.tuples(st.integers(0, 12), st.just(k)), elements=number),
        st.lists(st.sampled_from([-1, 1]), min_size=k, max_size=k),
    )
)


def beats(a: np.ndarray, b: np.ndarray, directions: list[int]) -> bool:
    """At least as good everywhere, and better somewhere."""
    gain = [d * (x - y) for d, x, y in zip(directions, a, b, strict=True)]
    return min(gain) >= 0 and max(gain) > 0


@given(tables)
def test_the_front_is_what_nothing_beats(case: tuple[np.ndarray, list[int]]) -> None:
    values, directions = case
    known = [k for k, row in enumerate(values) if not np.isnan(row).any()]
    expected: list[int] = []
    for k in known:
        again = any((values[j] == values[k]).all() for j in expected)
        if not again and not any(beats(values[j], values[k], directions) for j in known):
            expected.append(k)
    assert pareto_front(values, directions) == expected


@given(tables)
def test_the_knee_is_on_the_front_and_nearest(case: tuple[np.ndarray, list[int]]) -> None:
    values, directions = case
    found, front = knee(values, directions), pareto_front(values, directions)
    if not front:
        assert found is None
        return
    assert found in front
    distances = []
    for k in front:
        squares = 0.0
        for j, direction in enumerate(directions):
            column = [direction * values[f, j] for f in front]
            if max(column) > min(column):
                away = (max(column) - direction * values[k, j]) / (max(column) - min(column))
                squares += away**2
        distances.append(math.sqrt(squares))
    assert distances[front.index(found)] == pytest.approx(min(distances))


@given(tables, st.floats(0.01, 100), st.floats(-10, 10))
def test_other_units_change_nothing(
    case: tuple[np.ndarray, list[int]], scale: float, shift: float
) -> None:
    values, directions = case
    assert pareto_front(values * scale, directions) == pareto_front(values, directions)
    flipped = [-d for d in directions]
    assert pareto_front(-values, flipped) == pareto_front(values, directions)
    assert len(pareto_front(values + shift, directions)) == len(pareto_front(values, directions))


def test_one_objective_has_one_best_the_first_of_equals() -> None:
    assert pareto_front([[0.5], [0.9], [0.9], [math.nan]], [+1]) == [1]
    assert knee([[0.5], [0.9], [0.9]], [-1]) == 0
    assert pareto_front([], [+1]) == []
    assert knee([], [+1]) is None


@pytest.mark.parametrize(
    ("values", "directions"), [([[1.0, 2.0]], [+1]), ([1.0, 2.0], [+1]), ([[1.0]], [0]), ([], [])]
)
def test_what_is_no_table_is_refused(values: list[object], directions: list[int]) -> None:
    with pytest.raises(ValueError, match="found"):
        pareto_front(values, directions)

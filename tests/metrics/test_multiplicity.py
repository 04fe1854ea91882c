"""Adjusted p-values, against SciPy, plain loops and what they must always satisfy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from fairlora.metrics.inference.multiplicity import benjamini_hochberg, holm

SETTINGS = settings(derandomize=True, deadline=None, max_examples=200)
Adjust = Callable[[Any], Any]
# Few distinct values too, so that there are ties.
VALUES = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.5, 1.0]))
LISTS = st.lists(VALUES, min_size=1, max_size=20)
both = pytest.mark.parametrize("adjust", [benjamini_hochberg, holm])


@SETTINGS
@given(p=LISTS)
def test_benjamini_hochberg_agrees_with_scipy(p: list[float]) -> None:
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p), rtol=1e-12)


@SETTINGS
@given(p=LISTS)
def test_holm_agrees_with_a_plain_loop(p: list[float]) -> None:
    expected, most = [0.0] * len(p), 0.0
    for step, place in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        most = max(most, min(1.0, (len(p) - step) * p[place]))
        expected[place] = most
    np.testing.assert_allclose(holm(p), expected, rtol=1e-12)


@both
@SETTINGS
@given(p=LISTS, data=st.data())
def test_what_always_holds(adjust: Adjust, p: list[float], data: st.DataObject) -> None:
    found = adjust(p)
    assert (found >= p).all()
    assert (found <= 1).all()
    # Smaller p-values never get larger adjusted ones.
    order = np.argsort(p, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    # The order of the tests makes no difference; an undefined one makes none either.
    moved = data.draw(st.permutations(range(len(p))))
    np.testing.assert_array_equal(adjust(np.array(p)[moved]), found[moved])
    place = data.draw(st.integers(0, len(p)))
    with_nan = adjust(np.insert(p, place, np.nan))
    assert np.isnan(with_nan[place])
    np.testing.assert_array_equal(np.delete(with_nan, place), found)


@SETTINGS
@given(p=LISTS)
def test_holm_is_the_stricter(p: list[float]) -> None:
    assert (holm(p) >= benjamini_hochberg(p) - 1e-15).all()


@both
def test_no_tests_at_all(adjust: Adjust) -> None:
    assert adjust([]).tolist() == []
    assert np.isnan(adjust([np.nan, np.nan])).all()


@both
@pytest.mark.parametrize("p", [[-0.1], [1.1], [[0.5]], 0.5])
def test_what_is_no_list_of_p_values_is_refused(adjust: Adjust, p: Any) -> None:
    with pytest.raises(ValueError, match="p-value"):
        adjust(p)

"""One way over its seeds: the intervals of SciPy, and Nadeau and Bengio's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fairlora.errors import InputError
from fairlora.metrics.comparison.summary import summarise_over_seeds

VALUES = st.lists(st.floats(-1, 1), min_size=2, max_size=12)


@settings(derandomize=True, max_examples=50)
@given(values=VALUES, level=st.sampled_from([0.9, 0.95]))
def test_the_interval_is_students(values: list[float], level: float) -> None:
    found = summarise_over_seeds(values, level=level)
    assert found.n == len(values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-12)
    assert found.sd == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    half = stats.t.ppf(0.5 + level / 2, len(values) - 1) * np.std(values, ddof=1)
    half /= math.sqrt(len(values))
    assert found.low == pytest.approx(found.mean - half, abs=1e-9)
    assert found.high == pytest.approx(found.mean + half, abs=1e-9)


def test_the_corrected_interval_is_wider_by_the_share_of_test_rows() -> None:
    # Nadeau and Bengio: (1 / J + n2 / n1) instead of 1 / J.
    values = [0.90, 0.94, 0.93, 0.91]
    plain, corrected = summarise_over_seeds(values), summarise_over_seeds(values, ratio=0.25)
    assert corrected.high is not None
    assert plain.high is not None
    wider = (corrected.high - corrected.mean) / (plain.high - plain.mean)
    assert wider == pytest.approx(math.sqrt((1 / 4 + 0.25) / (1 / 4)))
    assert corrected.sd == plain.sd


def test_one_value_has_no_spread_and_no_interval() -> None:
    assert summarise_over_seeds([0.5], ratio=0.1) == (0.5, None, None, None, 1)


@pytest.mark.parametrize(
    ("values", "ratio", "message"),
    [
        ([], None, "values: no values"),
        ([0.5, float("nan")], None, "values: not a finite number"),
        ([0.5, 0.6], 0.0, "ratio: no ratio of rows .found 0.0"),
        ([0.5, 0.6], float("inf"), "ratio: no ratio of rows"),
    ],
)
def test_what_has_no_summary_is_refused(
    values: list[float], ratio: float | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        summarise_over_seeds(values, ratio=ratio)

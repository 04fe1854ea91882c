"""What a study could find, before it runs: by hand for one test, and against simulated studies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fairlora.errors import InputError
from fairlora.metrics import tally
from fairlora.metrics.comparison.power import power_of_study
from fairlora.metrics.inference.power import detectable
from fairlora.predictions import group_column

SEX = {"sex": {"f": 400, "m": 1600}}


def by_metric(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["metric"]: row for row in rows}


def test_without_variation_over_seeds_it_is_the_rows_alone() -> None:
    found = by_metric(power_of_study(2000, SEX, 5, seed_sd=0.0))
    # Of a row: 2 x 0.9 x 0.1 x 0.5.
    assert found["accuracy"]["detectable"] == pytest.approx(detectable(0.09 / 2000), rel=1e-3)
    assert found["accuracy_worst"]["detectable"] == pytest.approx(detectable(0.09 / 400), rel=1e-3)
    two = 0.09 / 400 + 0.09 / 1600
    assert found["accuracy_gap"]["detectable"] == pytest.approx(detectable(two), rel=1e-3)
    assert found["accuracy_gap"]["groups"] == ["f", "m"]
    assert found["accuracy"]["detectable_with_more_seeds"] == pytest.approx(
        found["accuracy"]["detectable"], rel=1e-3
    )


def test_with_few_seeds_it_is_students() -> None:
    # Rows without end: a one-sample t test of three differences.
    row = power_of_study(10**12, {}, 3, seed_sd=0.01)[0]
    c, at = stats.t.ppf(0.975, 2), row["detectable"] / (0.01 / math.sqrt(3))
    assert stats.nct.sf(c, 2, at) == pytest.approx(0.8, abs=2e-3)
    assert row["detectable_with_more_seeds"] < 1e-4


def test_more_of_anything_finds_smaller_differences() -> None:
    def found(rows: int = 1000, seeds: int = 3, **assumed: float) -> float:
        return float(power_of_study(rows, {}, seeds, **assumed)[0]["detectable"])  # type: ignore[arg-type]

    assert found(rows=4000) < found()
    assert found(seeds=5) < found()
    assert found(correlation=0.8) < found()
    assert found(accuracy=0.97) < found()
    assert found(seed_sd=0.02) > found()
    assert found(tests=9) > found()


def test_a_tally_gives_the_sizes_and_small_groups_are_left_out() -> None:
    groups = group_column(["a"] * 60 + ["b"] * 30 + ["c"] * 5)
    table = tally(np.zeros(95, dtype=int), np.zeros(95, dtype=int), 2, groups)
    found = by_metric(power_of_study(95, {"g": table}, 3))
    assert found["accuracy_worst"]["groups"] == ["b"]
    assert found["accuracy_gap"]["groups"] == ["b", "a"]
    alone = by_metric(power_of_study(95, {"g": {"a": 60, "b": 9}}, 3))
    assert "accuracy_gap" not in alone
    assert [row["metric"] for row in power_of_study(95, {"g": {"a": 3}}, 3)] == ["accuracy"]


def test_one_seed_says_that_training_is_not_in_it() -> None:
    row = power_of_study(2000, {}, 1)[0]
    assert row["detectable"] == pytest.approx(detectable(0.09 / 2000), rel=1e-3)
    assert row["error_seeds"] is None
    assert "training" in row["reason"]
    assert power_of_study(2000, {}, 1, ratio=0.25)[0]["detectable"] is None


def test_test_rows_that_vary_with_the_seed_are_nadeau_and_bengios() -> None:
    row = power_of_study(2000, {}, 5, ratio=0.25)[0]
    error = math.sqrt((1 / 5 + 0.25) * (0.09 / 2000 + 0.005**2))
    c, at = stats.t.ppf(0.975, 4), row["detectable"] / error
    assert stats.nct.sf(c, 4, at) == pytest.approx(0.8, abs=2e-3)
    assert row["detectable_with_more_seeds"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accuracy": 1.0}, "accuracy: out of range"),
        ({"correlation": 1.0}, "correlation: out of range"),
        ({"seed_sd": -0.1}, "seed_sd: out of range"),
        ({"tests": 0}, "tests: too few"),
        ({"ratio": -1.0}, "ratio: no ratio"),
        ({"seeds": 0}, "seeds: too few"),
        ({"rows": 0}, "rows: too few"),
    ],
)
def test_assumptions_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    given = {"rows": 100, "groups": {}, "seeds": 3, **options}
    with pytest.raises(InputError, match=message):
        power_of_study(**given)

"""The linear probe: scikit-learn as the oracle, families kept whole, chance where it is chance."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairlora.errors import InputError
from fairlora.predictions import group_column
from fairlora.probes.features import BASE, probe_features
from fairlora.probes.linear import cross_validated, folds_of


def rows(n: int = 300, d: int = 6, signal: float = 1.0, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    values = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    features = rng.normal(size=(n, d))
    features[:, :3] += signal * np.eye(3)[values]
    return features, values


def test_it_predicts_what_scikit_learn_predicts() -> None:
    features, values = rows()
    fold = folds_of(values, np.arange(len(values)), 5, 0)
    found = cross_validated(features * [1, 10, 1, 0.1, 1, 1], values, fold, penalties=[10.0])
    wanted = np.empty_like(found)
    for k in range(5):
        test = fold == k
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1 / 10.0, tol=1e-8))
        wanted[test] = model.fit(features[~test], values[~test]).predict(features[test])
    assert (found == wanted).mean() > 0.995


def test_folds_keep_families_whole_and_values_in_proportion() -> None:
    _, values = rows(600)
    units = np.arange(600) // 3
    values = values[units * 3]
    fold = folds_of(values, units, 5, 0)
    for unit in range(200):
        assert len(set(fold[units == unit].tolist())) == 1
    for value in range(3):
        counts = np.bincount(fold[values == value], minlength=5)
        assert counts.max() - counts.min() <= 3
    assert (folds_of(values, units, 5, 0) == fold).all()
    assert (folds_of(values, units, 5, 1) != fold).any()


def test_a_constant_feature_says_nothing_and_breaks_nothing() -> None:
    features, values = rows()
    fold = folds_of(values, np.arange(len(values)), 5, 0)
    with_constant = np.column_stack([features, np.full(len(values), 7.0)])
    plain = cross_validated(features, values, fold, penalties=[1.0])
    assert (cross_validated(with_constant, values, fold, penalties=[1.0]) == plain).mean() > 0.99


def column_of(values: Any) -> Any:
    return group_column(np.array(["a", "b", "c"])[values])


def test_what_is_there_is_found_and_what_is_not_is_at_the_majority_rate() -> None:
    features, values = rows(600, signal=4.0)
    noise = np.random.default_rng(1).normal(size=features.shape)
    found = probe_features({BASE: noise, "tuned": features}, column_of(values))
    base, tuned = found["models"][BASE], found["models"]["tuned"]
    assert tuned["accuracy"]["value"] > 0.95
    assert tuned["over_majority"]["low"] > 0.3
    assert base["over_majority"]["low"] <= 0.02
    assert base["balanced_accuracy"]["low"] < 1 / 3 + 0.05
    assert found["majority"]["value"] == pytest.approx((values == 0).mean(), abs=0.01)
    assert tuned["against_base"]["verdict"] == "worse"  # it holds more
    assert tuned["against_base"]["first"] == tuned["accuracy"]["value"]


def test_the_same_features_are_equivalent() -> None:
    features, values = rows(600)
    found = probe_features({BASE: features, "same": features.copy()}, column_of(values))
    assert found["models"]["same"]["against_base"]["verdict"] == "equivalent"
    assert found["models"]["same"]["accuracy"] == found["models"][BASE]["accuracy"]


def test_intervals_cover_the_accuracy_of_many_rows() -> None:
    """Where nothing is to be read, the probe is right as often as the values it says are frequent:
    with two values of one half each, in half of the rows."""
    covered = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        values = group_column(np.array(["a", "b"])[rng.permutation(100) % 2])
        found = probe_features({BASE: rng.normal(size=(100, 3))}, values, folds=3)
        own = found["models"][BASE]["balanced_accuracy"]
        covered += own["low"] <= 0.5 <= own["high"]
    assert covered >= 52


def test_families_widen_the_intervals() -> None:
    rng = np.random.default_rng(0)
    family = np.repeat(np.arange(40), 10)
    values = rng.integers(0, 2, 40)[family]
    features = (rng.normal(size=(40, 4)) + 0.7 * rng.integers(0, 2, 40)[:, None])[family]
    features[:, 0] += values
    column = group_column(np.array(["a", "b"])[values])
    together = probe_features({BASE: features}, column, family)["models"][BASE]["accuracy"]
    width = together["high"] - together["low"]
    assert width > 0.2
    alone = probe_features({BASE: features}, column)["models"][BASE]["accuracy"]
    assert alone["high"] - alone["low"] < width
    # Twins in other folds would give the family away.
    assert alone["value"] > together["value"]


@pytest.mark.parametrize(
    ("column", "options", "said"),
    [
        ([["a"], ["a", "b"]] * 20, {}, "several groups"),
        (["a"] * 40, {}, "one value alone"),
        (["a"] * 38 + ["b"] * 2, {}, "'b'"),
        (["a", "b"] * 20, {"folds": 2}, "folds"),
    ],
)
def test_bad_input_is_one_line(column: Any, options: Any, said: str) -> None:
    with pytest.raises(InputError) as error:
        probe_features({BASE: np.ones((40, 2))}, group_column(column), **options)
    assert said.strip("'") in str(error.value)


def test_a_missing_scikit_learn_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.pipeline", None)
    features, values = rows()
    with pytest.raises(InputError, match=r"'sklearn' is not installed: .*fairlora\[train\]"):
        cross_validated(features, values, np.arange(300) % 3)

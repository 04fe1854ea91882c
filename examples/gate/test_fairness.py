"""The same policy in your tests: pytest examples/gate/test_fairness.py, beside predictions.csv."""

from __future__ import annotations

from fairlora.testing import assert_fair


def test_the_model_is_fair_enough() -> None:
    assert_fair(
        "predictions.csv",
        label="y",
        pred="y_hat",
        policy="policy.yaml",
        against="released.csv",
        id_column="id",
    )

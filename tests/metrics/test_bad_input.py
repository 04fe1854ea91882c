"""What an audit refuses: one line that says where, what was found and what was expected."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import fairlora
from fairlora.errors import InputError
from fairlora.metrics import AuditResult, audit, audit_predictions
from fairlora.predictions import Predictions

OK: dict[str, Any] = {"labels": [0, 1, 1], "predictions": [0, 1, 0], "groups": {"g": list("aba")}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [], "predictions": [], "groups": {}}, "labels: no rows"),
        ({"predictions": [0, 1]}, "predictions: another length (found 2; expected 3)"),
        ({"groups": {"g": ["a"]}}, "groups['g']: another length (found 1; expected 3)"),
        ({"labels": [0, None, 1]}, "labels, row 2: missing value"),
        ({"labels": ["x", "y", float("nan")]}, "labels, row 3: missing value"),
        ({"labels": [0.0, 0.5, 1.0]}, "labels, row 2: a label must be a class (found 0.5)"),
        ({"predictions": [0, float("nan"), 1]}, "predictions, row 2"),
        ({"labels": [[0], [1], [1]]}, "labels: not one value a row (found shape (3, 1))"),
        ({"labels": pd.Series([0, None, 1], dtype="Int64")}, "labels, row 2"),
        ({"positive": "x"}, "positive: no such class (found 'x'; expected one of 0, 1)"),
        ({"positive": "x", "probs": [0.1, 0.2, 0.3]}, "positive: no such class (found 'x'"),
        ({"classes": ["a", "b"], "labels": list("aca")}, "labels: a label is none of the classes"),
        ({"classes": ["a", "b"], "labels": [0, 2, 0]}, "labels: class index out of range"),
        ({"probs": [[0.5, 0.5]]}, "probs: probabilities of another shape (found (1, 2)"),
        ({"probs": [0.1, 0.2, 1.3]}, "probs, row 3: not probabilities"),
        ({"probs": [[0.5, 0.5], [0.7, 0.7], [1, 0]]}, "probs, row 2: not probabilities"),
        ({"probs": [0.1, float("nan"), 0.3]}, "probs, row 2: not probabilities"),
        ({"probs": ["high", "low", "low"]}, "probs: not numbers"),
        ({"loss": [1.0, 2.0]}, "loss: losses of another shape (found (2,); expected (3,))"),
        ({"loss": [1.0, float("inf"), 2.0]}, "loss, row 2: not a finite number"),
        ({"loss": ["much", "less", "none"]}, "loss: not numbers"),
        ({"bins": 0}, "bins: too few bins (found 0"),
        ({"confidence": "high"}, "confidence: unknown confidence (found 'high'"),
        (
            {"confidence": "positive", "labels": [0, 1, 2]},
            "confidence: confidence='positive' needs two classes (found 3)",
        ),
    ],
)
def test_bad_input_is_refused_with_its_place(change: dict[str, Any], message: str) -> None:
    assert audit(**OK).to_dict()["n"] == 3
    with pytest.raises(InputError) as caught:
        audit(**(OK | change))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_loss_that_is_not_finite_is_refused_and_not_written_as_json(bad: float) -> None:
    table = Predictions(
        ids=np.array(["p", "q"]),
        split=np.full(2, "test"),
        labels=np.array([0, 1]),
        predictions=np.array([0, 1]),
        classes=("no", "yes"),
        groups={"g": np.array(["a", "b"])},
        loss=np.array([0.5, bad], dtype=np.float32),
    )
    with pytest.raises(InputError, match="loss of row q.*not a finite number"):
        audit_predictions(table)

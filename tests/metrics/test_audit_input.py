"""What an audit takes: labels, probabilities and groups of every kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from fairlora.metrics import AuditResult, audit, audit_predictions
from fairlora.predictions import Predictions

LABELS = [1, 1, 0, 0, 1, 0, 1, 0]
PREDICTED = [1, 0, 0, 1, 1, 0, 1, 0]
SEX = ["f", "f", "f", "f", "m", "m", "m", "m"]
POSITIVE = [0.9, 0.3, 0.05, 0.6, 0.8, 0.1, 0.7, 0.4]


def small(**options: Any) -> AuditResult:
    """The audit of the eight rows above."""
    options = {"positive": 1, "min_group": 1, **options}
    return audit(LABELS, PREDICTED, {"sex": SEX}, POSITIVE, **options)


def as_words(values: list[int]) -> list[str]:
    return [str(v) for v in values]


@pytest.mark.parametrize(
    "kind",
    [
        tuple,
        np.array,
        torch.tensor,
        pd.Series,
        as_words,
        lambda v: np.array(v, dtype=bool),
        lambda v: np.array(v, dtype=float),
        lambda v: [float(x) for x in v],
        lambda v: list(np.array(v, dtype=float)),
        lambda v: [float(x) if k % 3 else x for k, x in enumerate(v)],
        lambda v: np.array([float(x) for x in v], dtype=object),
        lambda v: pd.Series(v, dtype="Float64"),
        lambda v: torch.tensor(v, dtype=torch.float16),
        lambda v: pa.array([float(x) for x in v]),
        pa.array,
        lambda v: pa.chunked_array([v[:3], v[3:]]),
        lambda v: np.array(v, dtype=object),
        lambda v: pd.Series(v, dtype="Int64"),
        lambda v: pd.Series(as_words(v), dtype="category"),
        lambda v: torch.tensor(v, dtype=torch.int8),
    ],
    ids=[
        "tuple",
        "numpy",
        "torch",
        "pandas",
        "words",
        "bool",
        "float",
        "list of floats",
        "list of NumPy floats",
        "list of integers and floats",
        "object of floats",
        "nullable float",
        "half",
        "arrow float",
        "arrow",
        "chunked",
        "object",
        "nullable",
        "category",
        "int8",
    ],
)
def test_labels_of_every_kind_give_the_same_audit(kind: Callable[[list[int]], Any]) -> None:
    result = audit(
        kind(LABELS), kind(PREDICTED), {"sex": pd.Series(SEX)}, POSITIVE, positive=1, min_group=1
    )
    assert result.to_dict() == small().to_dict()


@pytest.mark.parametrize("kind", [list, np.array, np.float64, pd.Series, torch.tensor, pa.array])
def test_labels_and_predictions_may_be_of_two_kinds(kind: Callable[[list[int]], Any]) -> None:
    result = audit(kind(LABELS), PREDICTED, {"sex": SEX}, POSITIVE, positive=1, min_group=1)
    assert result.to_dict() == small().to_dict()


@pytest.mark.parametrize(
    "probs",
    [
        [[1 - p, p] for p in POSITIVE],
        np.array(POSITIVE, dtype=np.float32),
        torch.tensor([[1 - p, p] for p in POSITIVE], requires_grad=True),
        pd.DataFrame({"no": [1 - p for p in POSITIVE], "yes": POSITIVE}).to_numpy(),
        pd.DataFrame({1: POSITIVE, 0: [1 - p for p in POSITIVE]}),
    ],
    ids=["lists", "of the positive", "torch", "pandas", "by name"],
)
def test_probabilities_of_every_kind_give_the_same_audit(probs: Any) -> None:
    result = audit(LABELS, PREDICTED, {"sex": SEX}, probs, positive=1, min_group=1)
    got, expected = result.to_dict(), small().to_dict()
    for name in ("ece", "brier", "nll", "confidence_gap"):
        assert got["overall"][name]["value"] == pytest.approx(expected["overall"][name]["value"])


def test_one_column_of_probabilities_is_of_the_positive_class() -> None:
    words = ["yes" if y else "no" for y in LABELS]
    groups = {"sex": SEX}
    of_yes = audit(words, words, groups, POSITIVE, positive="yes").to_dict()
    of_no = audit(words, words, groups, [1 - p for p in POSITIVE], positive="no").to_dict()
    assert of_yes["classes"] == ["no", "yes"]
    assert of_no["overall"]["brier"]["value"] == pytest.approx(of_yes["overall"]["brier"]["value"])


def test_integer_groups_and_missing_values() -> None:
    def names(values: Any) -> set[str]:
        found = audit(LABELS[:3], PREDICTED[:3], {"g": values}).to_dict()
        return set(found["by_group"]["g"])

    assert names(torch.tensor([3, 4, 3])) == {"3", "4"}
    assert names(["a", None, float("nan")]) == {"a", "(missing)"}
    assert names(np.array([1, np.nan, 2], dtype=np.float32)) == {"1", "2", "(missing)"}
    assert names(pd.Series(["a", None, "b"], dtype="string")) == {"a", "b", "(missing)"}
    assert names(pd.Series([1, None, 2], dtype="Int64")) == {"1", "2", "(missing)"}
    assert names([["a", "bc"], None, ["bc", None]]) == {"a", "bc", "(missing)"}
    assert names([["a", "bc"], "bc", ("a",)]) == {"a", "bc"}


def test_classes_that_no_row_has_may_be_named() -> None:
    names = ["cat", "dog", "owl"]
    found = audit(
        ["cat", "dog", "dog"], ["cat", "dog", "cat"], {"g": ["a", "a", "b"]}, classes=names
    ).to_dict()
    assert found["classes"] == names
    tpr = found["by_group"]["g"]["a"]["tpr"]["by_class"]
    assert tpr["dog"]["value"] == 1
    assert tpr["owl"]["value"] is None


def test_numbers_are_ordered_by_size_and_words_by_letter() -> None:
    assert audit([10, 9], [9, 9], {"g": ["a", "b"]}).to_dict()["classes"] == ["9", "10"]
    assert audit(["10", "9"], ["9", "9"], {"g": ["a", "b"]}).to_dict()["classes"] == ["9", "10"]
    assert audit(["b10", "b9"], ["b9"] * 2, {"g": ["a", "b"]}).to_dict()["classes"] == ["b10", "b9"]


def test_a_predictions_table_gives_the_same_audit_and_its_own_losses() -> None:
    p = np.array(POSITIVE)
    table = Predictions(
        ids=np.arange(8),
        split=np.full(8, "test"),
        labels=np.array(LABELS),
        predictions=np.array(PREDICTED),
        classes=("0", "1"),
        groups={"sex": np.array(SEX)},
        probs=np.stack([1 - p, p], axis=1).astype(np.float32),
    )
    assert audit_predictions(table, positive="1", min_group=1).to_dict() == small().to_dict()
    losses = np.arange(8, dtype=np.float32)
    content = small(loss=losses).to_dict()
    assert content["overall"]["mean_loss"]["value"] == 3.5
    assert content["disparities"]["sex"]["loss_variance"]["value"] == 4

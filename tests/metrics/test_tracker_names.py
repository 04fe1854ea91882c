"""Names of groups in experiment trackers: kept by every tracker, distinct, and read back."""

from __future__ import annotations

import posixpath
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlora import TrainerMetrics
from fairlora.metrics.labels import tracker_name, untracked_name

# As transformers' MLflowCallback writes names; what it would change is lost there.
CLEANED = re.compile(r"[^0-9A-Za-z_\-\.\ :/]")
LONGEST = 250  # of a metric's name, MLflow's MAX_ENTITY_KEY_LENGTH


def check(name: str) -> str:
    """The name in a tracker, which MLflow takes as it is (a colon not, on Windows)."""
    found = tracker_name(name)
    whole = f"eval_{'a' * 90}/{found}/accuracy_worst"
    assert CLEANED.sub("_", whole) == whole
    assert ":" not in found
    assert "/" not in found
    assert posixpath.normpath(f"loss/{found}") == f"loss/{found}"
    assert len(whole) <= LONGEST
    return found


@pytest.mark.parametrize(
    "name",
    ["<40", "女", "זכר", "a/b", "..", ".", "", " ", "a ", "_x3C_", "_xx",
     "女x41_", "_", "__x", "_xx0123456789abcdef", "\U0010ffff"],
)  # fmt: skip
def test_a_name_is_read_back(name: str) -> None:
    assert untracked_name(check(name)) == name


@given(st.text(max_size=8) | st.text(alphabet="_xX5F.1é/ ", max_size=8))
def test_any_name_is_read_back(name: str) -> None:
    assert untracked_name(check(name)) == name


@given(st.lists(st.text(alphabet="ab_x女", max_size=200), unique=True, max_size=8))
def test_different_names_stay_different_however_long(names: list[str]) -> None:
    assert len({check(name) for name in names}) == len(names)


def test_names_that_are_plain_stay_as_they_are() -> None:
    for name in ("dark", "medium-dark", "18-24", "North America", "v1.5", "a_b"):
        assert check(name) == name


def test_the_trainers_metrics_have_a_name_each() -> None:
    ages = np.array(["<40", ">40"] * 20)
    labels = np.array([0, 1] * 20)
    logits = np.where((ages == "<40")[:, None], np.eye(2)[labels], np.eye(2)[1 - labels])

    class Evaluation:
        predictions: Any = logits
        label_ids: Any = labels

    found = TrainerMetrics({"age": ages})(Evaluation())
    assert found["age/_x3C_40/accuracy"] == 1
    assert found["age/_x3E_40/accuracy"] == 0

"""Names of groups in experiment trackers: distinct after MLflow's own cleaning, and taken by it."""

from __future__ import annotations

import posixpath
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlora import TrainerMetrics
from fairlora.metrics.labels import tracker_names

# As transformers' MLflowCallback writes names, and as MLflow checks them.
TAKEN = re.compile(r"^[0-9A-Za-z_\-. :/]+$")


def as_mlflow(name: str) -> str:
    return re.sub(r"[^0-9A-Za-z_\-\.\ :/]", "_", name)


def check(names: list[str]) -> dict[str, str]:
    found = tracker_names(names)
    logged = [as_mlflow(f"loss/{found[name]}") for name in names]
    assert len(set(logged)) == len(names)
    assert all(TAKEN.match(name) and posixpath.normpath(name) == name for name in logged)
    return found


@pytest.mark.parametrize(
    "names",
    [
        ["<40", ">40"],
        ["女", "男", "不明"],
        ["<40", ">40", "_40", "_40.1", "<40.2"],
        ["a/b", "a//b", "/", "..", ".", "", "a/../b"],
        ["זכר", "נקבה", "dark", "light"],
    ],
)
def test_names_are_told_apart(names: list[str]) -> None:
    check(names)


@given(st.lists(st.text(alphabet="a_<>.1é/ ", max_size=4), unique=True, max_size=8))
def test_any_names_are_told_apart(names: list[str]) -> None:
    check(names)


def test_names_that_are_plain_stay_as_they_are() -> None:
    names = ["dark", "medium-dark", "18-24", "women|elders", "女"]
    assert check(names) == {name: name for name in names}


def test_the_trainers_metrics_have_a_name_each() -> None:
    ages = np.array(["<40", ">40"] * 20)
    labels = np.array([0, 1] * 20)
    logits = np.where((ages == "<40")[:, None], np.eye(2)[labels], np.eye(2)[1 - labels])

    class Evaluation:
        predictions: Any = logits
        label_ids: Any = labels

    found = {as_mlflow(name): v for name, v in TrainerMetrics({"age": ages})(Evaluation()).items()}
    assert found["age/_40.1/accuracy"] == 1
    assert found["age/_40.2/accuracy"] == 0

"""`TrainerMetrics` called by hand: the numbers of an audit, at once or batch by batch."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.typing import NDArray

from fairlora import TrainerMetrics, audit
from fairlora.errors import InputError

N = 240
RNG = np.random.default_rng(0)
RACE = RNG.choice(["dark", "light", "mid"], N)
AGE = RNG.integers(1, 12, N)
GROUPS = {"race": RACE, "age": AGE}


def outputs(classes: int = 2, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Logits and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, N)
    logits = rng.normal(size=(N, classes)) + np.eye(classes)[labels]
    return logits.astype(np.float32), labels


def given(logits: Any, labels: Any) -> Any:
    """What the Trainer hands over."""
    return SimpleNamespace(predictions=logits, label_ids=labels)


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    z = np.exp(logits.astype(np.float64))
    return np.asarray(z / z.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("classes", [2, 3])
def test_the_numbers_are_those_of_an_audit(classes: int) -> None:
    logits, labels = outputs(classes)
    positive = 1 if classes == 2 else None
    found = TrainerMetrics(GROUPS, positive=positive)(given(logits, labels))
    names = [str(c) for c in range(classes)]
    content = audit(
        labels,
        logits.argmax(axis=1),
        GROUPS,
        softmax(logits),
        classes=names,
        positive=positive,
        bootstrap=0,
    ).to_dict()
    expected = {
        name: content["overall"][name]["value"]
        for name in ("accuracy", "f1", "recall", "ece", "brier", "nll")
    }
    for attribute in GROUPS:
        for name in ("accuracy_worst", "accuracy_gap", "dpd", "eod", "eopp_max", "f1_min"):
            expected[f"{attribute}/{name}"] = content["disparities"][attribute][name]["value"]
        for group, row in content["by_group"][attribute].items():
            expected[f"{attribute}/{group}/accuracy"] = row["accuracy"]["value"]
    assert found == pytest.approx({k: v for k, v in expected.items() if v is not None}, abs=1e-6)
    assert all(type(value) is float for value in found.values())


@pytest.mark.parametrize("tensors", [False, True])
def test_batch_by_batch_is_at_once(tensors: bool) -> None:
    logits, labels = outputs()
    at_once = TrainerMetrics(GROUPS, positive=1)
    expected = at_once(given(logits, labels))
    metrics = TrainerMetrics(GROUPS, positive=1)
    for start, end in ((0, 64), (64, 128), (128, 200), (200, N)):
        part: tuple[Any, Any] = logits[start:end], labels[start:end]
        if tensors:
            part = torch.from_numpy(part[0]), torch.from_numpy(part[1])
        found = metrics(given(*part), compute_result=end == N)
        assert (found == {}) is (end < N)
    assert found == pytest.approx(expected, abs=1e-6)
    assert metrics.last is not None
    assert at_once.last is not None
    assert metrics.last["n"] == at_once.last["n"] == N


def test_half_precision_tensors_are_read() -> None:
    logits, labels = outputs()
    half = torch.from_numpy(logits).bfloat16()
    found = TrainerMetrics(GROUPS)(given(half, torch.from_numpy(labels)))
    expected = TrainerMetrics(GROUPS)(given(half.float().numpy(), labels))
    assert found == expected


def test_logits_and_labels_may_come_first_of_several_outputs() -> None:
    logits, labels = outputs()
    found = TrainerMetrics(GROUPS)(given((logits, np.zeros((N, 9))), (labels,)))
    assert found == TrainerMetrics(GROUPS)(given(logits, labels))


def test_overlapping_groups_and_missing_ones() -> None:
    logits, labels = outputs()
    lists = [[["a"], ["a", "b"], [], ["b"]][k % 4] for k in range(N)]
    missing = [None if k % 2 else "x" for k in range(N)]
    found = TrainerMetrics({"many": lists, "some": missing})(given(logits, labels))
    right = logits.argmax(axis=1) == labels
    inside = np.array(["a" in one for one in lists])
    assert found["many/a/accuracy"] == pytest.approx(right[inside].mean())
    assert found["some/_x28_missing_x29_/accuracy"] == pytest.approx(right[1::2].mean())


def test_the_whole_audit_stays() -> None:
    logits, labels = outputs()
    metrics = TrainerMetrics(GROUPS, classes=["no", "yes"], positive="no")
    metrics(given(logits, labels))
    assert metrics.last is not None
    assert metrics.last["classes"] == ["no", "yes"]
    assert metrics.last["positive"] == "no"
    assert metrics.last["disparities"]["race"]["accuracy_gap"]["low"] is not None


def test_one_evaluation_after_another_starts_afresh() -> None:
    metrics = TrainerMetrics(GROUPS)
    first = metrics(given(*outputs(seed=1)))
    second = metrics(given(*outputs(seed=2)))
    assert first != second
    assert metrics(given(*outputs(seed=1))) == first


def test_what_is_undefined_is_left_out() -> None:
    logits, labels = outputs()
    found = TrainerMetrics({"g": ["a"] * N})(given(logits, labels))
    assert "g/accuracy_gap" not in found
    assert found["g/accuracy_worst"] == found["accuracy"]


@pytest.mark.parametrize("rows", [N - 1, N + 1])
def test_groups_of_another_evaluation_set_are_refused(rows: int) -> None:
    metrics = TrainerMetrics({"race": np.resize(RACE, rows)})
    with pytest.raises(InputError, match=f"'race'.*found {rows} rows.*{N}"):
        metrics(given(*outputs()))


def test_a_refusal_leaves_nothing_behind() -> None:
    logits, labels = outputs()
    metrics = TrainerMetrics(GROUPS)
    expected = metrics(given(logits, labels))
    with pytest.raises(InputError):
        metrics(given(logits[:100], labels[:100]))
    assert metrics(given(logits, labels)) == expected


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        (np.zeros((N, 5, 2)), np.zeros(N, dtype=int)),
        (np.zeros(N), np.zeros(N, dtype=int)),
        (np.zeros((N, 2)), np.zeros((N, 5), dtype=int)),
        (np.zeros((N, 2)), np.zeros(N - 1, dtype=int)),
    ],
)
def test_outputs_of_other_tasks_are_refused(logits: Any, labels: Any) -> None:
    with pytest.raises(InputError, match="not logits of a classifier"):
        TrainerMetrics(GROUPS)(given(logits, labels))


def test_a_label_that_the_logits_have_no_column_for_is_refused() -> None:
    logits, labels = outputs()
    for wrong in (2, -100):
        labels[7] = wrong
        with pytest.raises(InputError, match=f"row 8.*{wrong}"):
            TrainerMetrics(GROUPS)(given(logits, labels))


def test_class_names_that_do_not_fit_the_logits_are_refused() -> None:
    with pytest.raises(InputError, match="classes"):
        TrainerMetrics(GROUPS, classes=["a", "b", "c"])(given(*outputs()))


def test_a_positive_class_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="positive: no such class"):
        TrainerMetrics(GROUPS, positive="yes")(given(*outputs()))


def test_no_groups_at_all_are_refused() -> None:
    with pytest.raises(InputError, match="TrainerMetrics: no groups"):
        TrainerMetrics({})


def test_groups_can_be_bound_later() -> None:
    metrics = TrainerMetrics(columns=["race"])
    metrics.bind({"race": RACE})
    logits, labels = outputs()
    assert metrics(given(logits, labels)) == TrainerMetrics({"race": RACE})(given(logits, labels))


def test_importing_it_imports_no_torch() -> None:
    code = (
        "import sys, fairlora.metrics.trainer; "
        "print([m for m in ('torch', 'transformers', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", [dict, pd.DataFrame, pl.DataFrame])
def test_groups_of_every_kind(kind: Any) -> None:
    logits, labels = outputs()
    race = ["a", "b"] * (len(labels) // 2)
    wanted = TrainerMetrics({"race": race})(given(logits, labels))
    assert TrainerMetrics(kind({"race": race}))(given(logits, labels)) == wanted
    assert TrainerMetrics(pd.Series(race, name="race"))(given(logits, labels)) == wanted
    unnamed = TrainerMetrics(race)(given(logits, labels))
    assert unnamed["group/accuracy_gap"] == wanted["race/accuracy_gap"]


@pytest.mark.parametrize("kind", [float, bool, np.int8])
def test_labels_of_every_type(kind: Any) -> None:
    logits, labels = outputs()
    race = ["a", "b"] * (len(labels) // 2)
    wanted = TrainerMetrics({"race": race})(given(logits, labels))
    found = TrainerMetrics({"race": race})(given(logits, labels.astype(kind)))
    assert found == wanted


@pytest.mark.parametrize("classes", [[7, 9], np.array([7, 9]), torch.tensor([7, 9])])
def test_classes_are_labels_of_any_kind(classes: Any) -> None:
    logits, labels = outputs()
    metrics = TrainerMetrics({"g": ["a"] * len(labels)}, classes=classes, positive=7)
    metrics(given(logits, labels))
    assert metrics.last is not None
    assert json.loads(json.dumps(metrics.last["classes"])) == ["7", "9"]
    assert metrics.last["positive"] == "7"


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.5])
def test_what_is_no_number_is_refused(bad: float) -> None:
    logits, labels = outputs()
    metrics = TrainerMetrics({"g": ["a"] * len(labels)})
    with pytest.raises(InputError, match="row 4"):
        metrics(given(logits, np.where(np.arange(len(labels)) == 3, bad, labels)))
    if bad != 0.5:
        logits[3, 1] = bad
        with pytest.raises(InputError, match="logits of row 4: not a finite number"):
            metrics(given(logits, labels))


def test_ids_and_structs_are_no_groups() -> None:
    with pytest.raises(InputError, match="too many groups"):
        TrainerMetrics({"g": np.random.default_rng(0).random(500)})
    with pytest.raises(InputError, match="not one value a row"):
        TrainerMetrics({"g": [{"a": 1}] * 10})
    assert TrainerMetrics({"g": np.arange(100)}, max_groups=100).groups["g"].names[-1] == "99"

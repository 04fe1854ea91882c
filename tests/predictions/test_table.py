"""Scores of logits, and writing a predictions table: whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax, logsumexp

from fairlora.errors import InputError
from fairlora.predictions import Predictions, PredictionsWriter, read_predictions, score_logits
from fairlora.predictions.table import METADATA_KEY, OWN_COLUMNS

CLASSES = ("cat", "dog", "owl")
LOGITS = np.array([[2.0, 0.0, -1.0], [0.0, 3.0, 0.5], [1.0, 1.0, 0.0], [-2.0, 0.0, 4.0]])
LABELS = np.array([0, 1, 1, 2])
HOSTILE = ["<b>&\"'", "日本語 🧑🏿‍🔬", "a,b\nc", "(missing)", "", " x ", "NA", "עברית"]


# Scores.


@settings(derandomize=True, deadline=None, max_examples=80)
@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 6), st.integers(2, 5)),
        elements=st.floats(-300, 300, allow_subnormal=False),
    )
)
def test_scores_agree_with_scipy(logits: Any) -> None:
    rows = np.arange(len(logits))
    labels = rows % logits.shape[1]
    scores = score_logits(logits, labels)
    logs = log_softmax(logits, axis=1)
    others = logits.copy()
    others[rows, labels] = -np.inf
    np.testing.assert_allclose(scores.probs, np.exp(logs), atol=1e-6)
    np.testing.assert_allclose(scores.probs.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(scores.loss, -logs[rows, labels], rtol=1e-5, atol=1e-6)
    margin = logits[rows, labels] - logsumexp(others, axis=1)
    np.testing.assert_allclose(scores.margin, margin, rtol=1e-5, atol=1e-5)
    # The prediction is the first of the largest probabilities as they are stored.
    for p, h in zip(scores.probs.tolist(), scores.predictions.tolist(), strict=True):
        assert h == p.index(max(p))


def test_scores_have_the_types_of_the_table() -> None:
    scores = score_logits(LOGITS.astype(np.float32), LABELS)
    kinds = [values.dtype.name for values in scores]
    assert kinds == ["float32", "int64", "float32", "float32"]
    assert scores.probs.shape == (4, 3)


@pytest.mark.parametrize("size", [50.0, 1e4, 1e30])
def test_the_margin_does_not_saturate_where_the_probability_does(size: float) -> None:
    scores = score_logits([[size, -size], [size, -size]], [0, 1])
    assert scores.probs.tolist()[0] == [1, pytest.approx(0)]
    assert scores.margin == pytest.approx([2 * size, -2 * size])
    assert scores.loss == pytest.approx([0, 2 * size])


def test_a_tie_is_the_lowest_index() -> None:
    scores = score_logits([[0.0, 0.0, 0.0], [-1.0, 5.0, 5.0]], [2, 2])
    assert scores.predictions.tolist() == [0, 1]


# Writing.


def write(path: Path, groups: dict[str, Any], batches: int = 2) -> None:
    """Four rows, in batches."""
    with PredictionsWriter(path, CLASSES, list(groups)) as writer:
        for rows in np.array_split(np.arange(4), batches):
            writer.append(
                [f"row {r}" for r in rows],
                ["test" if r < 3 else "train" for r in rows],
                LABELS[rows],
                score_logits(LOGITS[rows], LABELS[rows]),
                {name: [values[r] for r in rows] for name, values in groups.items()},
            )


@pytest.mark.parametrize("batches", [1, 2, 4])
def test_what_is_written_is_read_again(tmp_path: Path, batches: int) -> None:
    path = tmp_path / "new" / "folder" / "predictions.parquet"
    targets = [["women", "asian"], [], ["men"], ["women"]]
    write(path, {"race": ["b", "a", "b", "a"], "targets": targets}, batches)
    scores = score_logits(LOGITS, LABELS)
    found = read_predictions(path)
    assert found.classes == CLASSES
    assert len(found) == 4
    assert found.ids.tolist() == ["row 0", "row 1", "row 2", "row 3"]
    assert found.split.tolist() == ["test", "test", "test", "train"]
    assert list(found.groups) == ["race", "targets"]
    assert found.groups["race"].tolist() == ["b", "a", "b", "a"]
    assert found.groups["targets"].tolist() == targets
    np.testing.assert_array_equal(found.labels, LABELS)
    np.testing.assert_array_equal(found.predictions, scores.predictions)
    for name in ("probs", "loss", "margin"):
        np.testing.assert_array_equal(getattr(found, name), getattr(scores, name))
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_hostile_group_and_class_names_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    n = len(HOSTILE)
    labels = np.arange(n)
    with PredictionsWriter(path, HOSTILE, ["<g>", "lists"]) as writer:
        writer.append(
            HOSTILE,
            ["test"] * n,
            labels,
            score_logits(np.eye(n), labels),
            {"<g>": HOSTILE, "lists": [HOSTILE[:k] for k in range(n)]},
        )
    found = read_predictions(path)
    assert found.classes == tuple(HOSTILE)
    assert found.ids.tolist() == HOSTILE
    # An empty name is how a file writes that there is none.
    names = [name or "(missing)" for name in HOSTILE]
    assert found.groups["<g>"].tolist() == names
    lists = found.groups["lists"].tolist()
    assert lists == [list(dict.fromkeys(names[:k])) for k in range(n)]


def test_missing_groups_come_back_as_missing(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    groups = {"race": ["a", None, "b", "a"], "targets": [["x", "yz"], None, "yz", ["x", None]]}
    write(path, groups, batches=1)
    found = read_predictions(path)
    assert found.groups["race"].tolist() == ["a", "(missing)", "b", "a"]
    targets = found.groups["targets"].tolist()
    assert targets == [["x", "yz"], ["(missing)"], ["yz"], ["x", "(missing)"]]


def test_the_metadata_says_version_classes_and_groups(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    write(path, {"race": ["a"] * 4})
    schema = pq.read_schema(path)
    assert json.loads(schema.metadata[METADATA_KEY]) == {
        "version": 1,
        "classes": list(CLASSES),
        "groups": ["race"],
    }
    assert schema.names == [*OWN_COLUMNS, "race"]
    assert str(schema.field("probs").type).startswith("fixed_size_list")


def write_and_stop(path: Path) -> None:
    """One batch, then an error."""
    with PredictionsWriter(path, CLASSES, []) as writer:
        writer.append(["x"] * 4, ["test"] * 4, LABELS, score_logits(LOGITS, LABELS), {})
        raise RuntimeError("in the middle")


def test_after_an_error_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="in the middle"):
        write_and_stop(tmp_path / "predictions.parquet")
    assert list(tmp_path.iterdir()) == []


def test_after_an_error_the_table_of_before_is_still_there(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    write(path, {"race": ["a"] * 4})
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="in the middle"):
        write_and_stop(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_batch_without_a_group_column_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="race"):
        write_without_race(tmp_path / "predictions.parquet")
    assert list(tmp_path.iterdir()) == []


def write_without_race(path: Path) -> None:
    with PredictionsWriter(path, CLASSES, ["race"]) as writer:
        writer.append(["x"] * 4, ["test"] * 4, LABELS, score_logits(LOGITS, LABELS), {})


@pytest.mark.parametrize("name", OWN_COLUMNS)
def test_a_group_may_not_have_the_name_of_a_column_of_the_table(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: a group column has the name"):
        PredictionsWriter(tmp_path / "x.parquet", CLASSES, ["race", name])


# In memory.


def test_a_split_is_taken_with_everything_of_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    write(path, {"race": list("abcd")})
    whole = read_predictions(path)
    test = whole.select("test")
    assert (len(test), len(whole)) == (3, 4)
    assert test.groups["race"].tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(whole.select("train").margin, whole.margin[3:])
    with pytest.raises(InputError, match=r"no rows of split 'validation' \(found test, train\)"):
        whole.select("validation")


def test_rows_are_taken_in_the_given_order_and_absent_columns_stay_absent() -> None:
    table = Predictions(
        ids=np.array(["x", "y", "z"]),
        split=np.array(["test"] * 3),
        labels=np.array([0, 1, 2]),
        predictions=np.array([0, 0, 2]),
        classes=CLASSES,
        loss=np.array([0.1, 0.2, 0.3], dtype=np.float32),
    )
    taken = table.take(np.array([2, 0]))
    assert taken.ids.tolist() == ["z", "x"]
    assert taken.loss == pytest.approx([0.3, 0.1])
    assert taken.probs is None
    assert taken.margin is None

"""The room's face: a table goes out and comes back, other people's keep their meaning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fairlora.errors import InputError
from fairlora.predictions import (
    Predictions,
    read_predictions,
    read_table,
    score_logits,
    write_predictions,
)


@pytest.fixture
def table() -> Predictions:
    """Classes out of order by letter, so that an order mistaken shows."""
    logits, labels = [[4.0, 0.0], [4.0, 0.0], [0.0, 4.0]], np.array([0, 0, 1])
    scores = score_logits(logits, labels)
    lists = np.empty(3, dtype=object)
    lists[:] = [["a", "b"], ["b"], []]
    return Predictions(
        ids=np.array(["p", "q", "p"]),
        split=np.array(["train", "test", "test"]),
        labels=labels,
        predictions=scores.predictions,
        classes=("zebra", "ant"),
        groups={"word": np.array(["zebra", "zebra", "ant"]), "targets": lists},
        probs=scores.probs,
        loss=scores.loss,
        margin=scores.margin,
    )


def test_a_whole_table_is_written_and_read_again(tmp_path: Path, table: Predictions) -> None:
    write_predictions(tmp_path / "p.parquet", table)
    again = read_predictions(tmp_path / "p.parquet")
    assert again.classes == table.classes
    for name in ("ids", "split", "labels", "predictions", "probs", "loss", "margin"):
        np.testing.assert_array_equal(getattr(again, name), getattr(table, name))
    assert list(again.groups["word"]) == list(table.groups["word"])
    assert [list(v) for v in again.groups["targets"]] == [["a", "b"], ["b"], []]
    assert list(tmp_path.iterdir()) == [tmp_path / "p.parquet"]


def test_a_table_without_scores_is_not_written(tmp_path: Path, table: Predictions) -> None:
    bare = Predictions(table.ids, table.split, table.labels, table.predictions, table.classes)
    with pytest.raises(InputError, match="written with its scores"):
        write_predictions(tmp_path / "p.parquet", bare)
    assert list(tmp_path.iterdir()) == []


def test_probabilities_are_not_taken_for_the_classes_of_another_label(
    tmp_path: Path, table: Predictions
) -> None:
    write_predictions(tmp_path / "p.parquet", table)
    other = read_table(tmp_path / "p.parquet", label="word", pred="word")
    assert other.classes == ("ant", "zebra")
    assert other.probs is None


def test_the_splits_of_a_file_of_others_are_its_own(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("y,h,g,split\n1,0,a,train\n1,1,b,test\n0,0,b,test\n")
    read = read_table(path, label="y", pred="h", groups=["g"])
    assert read.split.tolist() == ["train", "test", "test"]
    assert len(read.select("train")) == 1


def test_a_column_split_of_numbers_is_no_split(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("y,h,g,split\n1,0,a,3\n1,1,b,4\n")
    assert set(read_table(path, label="y", pred="h", groups=["g"]).split) == {"test"}


def test_an_infinite_loss_names_its_row(tmp_path: Path, table: Predictions) -> None:
    assert table.loss is not None
    table.loss[1] = np.inf
    write_predictions(tmp_path / "p.parquet", table)
    with pytest.raises(InputError, match="column loss, row 2: not a finite number"):
        read_predictions(tmp_path / "p.parquet")


@pytest.mark.filterwarnings("error")
def test_a_class_alone_has_an_infinite_margin(tmp_path: Path) -> None:
    assert score_logits([[1.0]], [0]).margin.tolist() == [np.inf]

"""Reading tables of fairlora and of anybody, and what is said of those that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlora.errors import InputError
from fairlora.predictions import PredictionsWriter, read_predictions, read_table, score_logits
from fairlora.predictions.table import METADATA_KEY

LOGITS = [[1.0, 0.0], [0.0, 2.0], [0.5, 0.0]]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A table of fairlora with three rows."""
    path = tmp_path / "predictions.parquet"
    with PredictionsWriter(path, ("no", "yes"), ["race"]) as writer:
        scores = score_logits(LOGITS, [0, 1, 1])
        writer.append(["a", "b", "c"], ["test"] * 3, [0, 1, 1], scores, {"race": ["x", "y", "x"]})
    return path


def change(path: Path, **columns: Any) -> None:
    """Replace columns of a table, its metadata kept; None takes the column away."""
    table = pq.read_table(path)
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.remove_column(place)
        if values is not None:
            table = table.add_column(place, name, pa.array(values))
    pq.write_table(table, path)


def change_metadata(path: Path, text: bytes) -> None:
    pq.write_table(pq.read_table(path).replace_schema_metadata({METADATA_KEY: text}), path)


def csv(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def parquet(folder: Path, **columns: Any) -> Path:
    path = folder / "table.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def refused(path: Path, *expected: str, **options: Any) -> None:
    """Reading fails with one line that names the file and holds all of `expected`."""
    with pytest.raises(InputError) as caught:
        read_table(path, **options)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    for text in expected:
        assert text in message, message


# Tables of anybody.


def test_a_csv_with_words_for_labels(tmp_path: Path) -> None:
    path = csv(tmp_path, "truth,guess,sex,age\nyes,no,f,30\nno,no,m,41\nyes,yes,,30\n")
    found = read_table(path, label="truth", pred="guess", groups=["sex", "age"])
    assert found.classes == ("no", "yes")
    assert found.labels.tolist() == [1, 0, 1]
    assert found.predictions.tolist() == [0, 0, 1]
    assert found.groups["sex"].tolist() == ["f", "m", "(missing)"]
    assert found.groups["age"].tolist() == ["30", "41", "30"]
    assert found.split.tolist() == ["test"] * 3
    assert len(set(found.ids.tolist())) == 3
    assert (found.probs, found.loss, found.margin) == (None, None, None)


def test_numbers_are_ordered_by_size(tmp_path: Path) -> None:
    found = read_table(csv(tmp_path, "y,h\n10,9\n9,9\n2,10\n"), label="y", pred="h")
    assert found.classes == ("2", "9", "10")
    assert found.labels.tolist() == [2, 1, 0]


def test_whole_floats_truth_values_and_numbers_are_the_same_classes(tmp_path: Path) -> None:
    path = parquet(tmp_path, y=[1.0, 0.0], h=[True, False], k=pa.array([1, 0], pa.uint8()))
    for pred in ("h", "k"):
        found = read_table(path, label="y", pred=pred)
        assert found.classes == ("0", "1")
        assert found.labels.tolist() == found.predictions.tolist() == [1, 0]


def test_a_categorical_column_is_read_as_its_words(tmp_path: Path) -> None:
    words = pa.array(["b", "a", None]).dictionary_encode()
    path = parquet(tmp_path, y=pa.array(["b", "a", "b"]).dictionary_encode(), g=words)
    found = read_table(path, label="y", pred="y", groups=["g"])
    assert found.classes == ("a", "b")
    assert found.groups["g"].tolist() == ["b", "a", "(missing)"]


def test_missing_numbers_among_groups(tmp_path: Path) -> None:
    path = parquet(tmp_path, y=[0, 1, 1], i=[7, None, 8], f=[1.5, float("nan"), None])
    found = read_table(path, label="y", pred="y", groups=["i", "f"])
    assert found.groups["i"].tolist() == ["7", "(missing)", "8"]
    assert found.groups["f"].tolist() == ["1.5", "(missing)", "(missing)"]


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.string()), pa.large_list(pa.string()), pa.list_(pa.string(), 2)]
)
def test_lists_are_overlapping_groups(tmp_path: Path, kind: pa.DataType) -> None:
    lists = pa.array([["a", "b"], None, ["b", None]], kind)
    found = read_table(parquet(tmp_path, y=[0, 1, 1], g=lists), label="y", pred="y", groups=["g"])
    assert found.groups["g"].tolist() == [["a", "b"], ["(missing)"], ["b", "(missing)"]]


def test_a_prefix_finds_one_column_a_class(tmp_path: Path) -> None:
    text = "y,p_owl,p_cat,p_dog\ncat,0.1,0.6,0.3\ndog,0,0,1\nowl,0.5,0.25,0.25\n"
    found = read_table(csv(tmp_path, text), label="y", probs="p_")
    assert found.classes == ("cat", "dog", "owl")
    assert found.probs is not None
    np.testing.assert_allclose(found.probs[0], [0.6, 0.3, 0.1], atol=1e-7)
    # Without a column of predictions the likeliest class is the prediction.
    assert found.predictions.tolist() == [0, 1, 2]


@pytest.mark.parametrize(("positive", "expected"), [(None, 0.8), ("yes", 0.8), ("no", 0.2)])
def test_one_column_is_of_the_positive_class(
    tmp_path: Path, positive: str | None, expected: float
) -> None:
    path = csv(tmp_path, "y,h,p\nyes,yes,0.8\nno,no,0.5\n")
    found = read_table(path, label="y", pred="h", probs="p", positive=positive)
    assert found.probs is not None
    np.testing.assert_allclose(found.probs[0], [1 - expected, expected], atol=1e-7)


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 2)]
)
def test_a_column_of_lists_is_in_the_order_of_the_classes(
    tmp_path: Path, kind: pa.DataType
) -> None:
    path = parquet(tmp_path, y=[0, 1], p=pa.array([[0.75, 0.25], [1, 0]], kind))
    found = read_table(path, label="y", probs="p")
    assert found.probs is not None
    assert found.probs.tolist() == [[0.75, 0.25], [1, 0]]
    assert found.predictions.tolist() == [0, 0]


def test_a_table_of_fairlora_needs_no_names_and_takes_others(own: Path) -> None:
    found = read_table(own)
    assert list(found.groups) == ["race"]
    assert found.margin is not None
    assert read_table(own, groups=["split"]).groups["split"].tolist() == ["test"] * 3
    assert read_table(own, pred="label").predictions.tolist() == [0, 1, 1]


def test_a_fault_in_a_split_has_the_row_of_the_file(own: Path) -> None:
    change(own, split=["train", "test", "test"], loss=[float("nan"), 0.1, float("nan")])
    refused(own, "column loss, row 3", "not a number", split="test")


def test_an_id_may_stand_in_two_splits(own: Path) -> None:
    change(own, id=["a", "b", "a"], split=["test", "test", "train"])
    assert len(read_predictions(own)) == 3


# What cannot be read.


def test_a_file_that_is_none(tmp_path: Path) -> None:
    refused(tmp_path / "none.csv", "no such file")
    refused(tmp_path, "no tables in this folder", "no files")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (bytes(range(256)) * 20, "bytes of no known format; expected Parquet, "),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(128, 256)) * 3, "a picture"),
        (b"PAR1 and then something else", "Parquet magic bytes not found in footer"),
        (b"a,b\n1,2\n1,2,3\n", "Row #3: Expected 2 columns, got 3"),
    ],
    ids=["empty", "bytes", "picture", "broken parquet", "ragged"],
)
def test_a_file_that_is_no_table(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    refused(path, "not a readable table", found, label="a", pred="b")


def test_a_parquet_file_cut_short(own: Path) -> None:
    own.write_bytes(own.read_bytes()[:-40])
    refused(own, "not a readable table")


def test_a_table_without_rows_or_with_a_name_twice(tmp_path: Path) -> None:
    refused(csv(tmp_path, "y,h\n"), "no rows", label="y", pred="h")
    refused(csv(tmp_path, "y,h,y\n1,1,1\n"), "stands twice", "y", label="y", pred="h")


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"label": "z", "pred": "h"}, "--label"),
        ({"label": "y", "pred": "z"}, "--pred"),
        ({"label": "y", "pred": "h", "groups": ["g", "z"]}, "--group"),
        ({"label": "y", "pred": "h", "probs": "z"}, "--probs"),
    ],
)
def test_a_column_that_is_not_there_lists_those_that_are(
    tmp_path: Path, options: dict[str, Any], option: str
) -> None:
    path = csv(tmp_path, "y,h,g\n1,0,a\n0,0,b\n")
    refused(path, option, "no column 'z'", "expected one of y, h, g", **options)


def test_a_column_that_was_not_named_lists_those_that_are(tmp_path: Path) -> None:
    path = csv(tmp_path, "y,h\n1,0\n")
    with pytest.raises(InputError, match=r"--label: which column .*one of y, h"):
        read_table(path)
    with pytest.raises(InputError, match=r"--pred: which column .*one of y, h, or --probs"):
        read_table(path, label="y")


def test_a_missing_or_fractional_label_names_its_row(tmp_path: Path) -> None:
    path = csv(tmp_path, "y,h\nyes,yes\n,no\nno,NA\n")
    refused(path, "column y, row 2", "missing value", "1 row", label="y", pred="y")
    refused(path, "column h, row 3", "missing value", label="h", pred="h")
    path = csv(tmp_path, "y,h\n1,1\n0,0.5\n")
    refused(path, "column h, row 2", "found 0.5", label="y", pred="h")


def test_columns_of_another_kind(tmp_path: Path) -> None:
    path = parquet(tmp_path, y=[0, 1], t=pa.array([0, 1], pa.timestamp("s")), s=[{"a": 1}] * 2)
    refused(path, "column t", "not a column of classes", label="t", pred="y")
    refused(path, "column s", "not a column of group names", label="y", pred="y", groups=["s"])


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("y,g\n1,café\n0,b\n".encode("latin-1"))
    refused(path, "column g", "UTF-8", label="y", pred="y", groups=["g"])


@pytest.mark.parametrize(
    ("text", "probs", "expected"),
    [
        ("y,p\n1,0.5\n0,1.5\n", "p", ("row 2", "outside 0 to 1")),
        ("y,p\n1,0.5\n0,-0.5\n", "p", ("row 2", "outside 0 to 1")),
        ("y,p\n1,0.5\n0,\n", "p", ("row 2", "outside 0 to 1")),
        ("y,p\n1,half\n0,full\n", "p", ("column p", "not numbers")),
        ("y,p\n1,0.5\n0,0.5\n2,0.5\n", "p", ("column p", "two classes", "found 3 classes")),
        ("y,p0,p1\n1,0.5,0.5\n0,0.7,0.7\n", "p", ("row 2", "do not sum to 1", "1.4")),
        ("y,p0,p1\n1,0.5,0.5\n0,x,y\n", "p", ("not numbers",)),
        (
            "y,p0,q1\n1,0.5,0.5\n0,0.7,0.3\n",
            "p",
            ("no column 'p', and no column 'p1' of that prefix", "y, p0, q1"),
        ),
    ],
)
def test_probabilities_that_are_none(
    tmp_path: Path, text: str, probs: str, expected: tuple[str, ...]
) -> None:
    refused(csv(tmp_path, text), *expected, label="y", probs=probs)


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ([[0.5, 0.5], [0.2, 0.3, 0.5]], ("column p, row 2", "found 3", "expected 2 (0, 1)")),
        # As many numbers in all as there should be.
        ([[0.5, 0.5, 1.0], [0.0]], ("column p, row 2", "found 1")),
        ([[0.5, 0.5], None], ("column p, row 2", "found 0")),
        ([["a", "b"], ["c", "d"]], ("column p", "not numbers")),
        ([[0.5, 0.5], [0.5, None]], ("row 2", "outside 0 to 1")),
    ],
)
def test_lists_of_probabilities_that_are_none(
    tmp_path: Path, lists: list[Any], expected: tuple[str, ...]
) -> None:
    refused(parquet(tmp_path, y=[0, 1], p=lists), *expected, label="y", probs="p")


# Broken tables of fairlora.


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"label": [0, 2, 1]}, ("column label, row 2", "out of range", "found 2", "0 to 1")),
        ({"pred": [0, 1, -1]}, ("column pred, row 3", "out of range", "found -1")),
        ({"label": ["no", "yes", "no"]}, ("column label", "not a class index", "found 'no'")),
        ({"label": [0, None, 1]}, ("column label, row 2", "missing value")),
        ({"id": ["a", "b", "a"]}, ("row 3", "an id stands twice", "'a' in 'test'")),
        ({"id": ["a", None, "c"]}, ("column id, row 2", "missing value")),
        ({"loss": [0.1, float("nan"), 0.2]}, ("column loss, row 2", "not a number")),
        ({"margin": ["x", "y", "z"]}, ("column margin", "not numbers")),
        ({"probs": [[0.5, 0.5]] * 2 + [[0.5, 0.4]]}, ("row 3", "do not sum to 1")),
        ({"split": None}, ("no column 'split'",)),
        ({"race": None}, ("no column 'race'", "--group")),
    ],
)
def test_a_broken_table_of_fairlora_names_the_row(
    own: Path, columns: dict[str, Any], expected: tuple[str, ...]
) -> None:
    change(own, **columns)
    refused(own, *expected)


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        (b'{"version": 99, "classes": [], "groups": []}', ("version 99", "expected version 1")),
        (b"{", ("broken metadata",)),
        (b'{"version": 1}', ("broken metadata",)),
        (b"[]", ("broken metadata",)),
        (b'{"version": 1, "classes": null, "groups": []}', ("broken metadata", "classes")),
        (b'{"version": 1, "classes": [1, 2], "groups": []}', ("broken metadata", "classes.0")),
        (b'{"version": 1, "classes": [["a"]], "groups": []}', ("broken metadata", "classes.0")),
        (b'{"version": 1, "classes": ["a"], "groups": "sex"}', ("broken metadata", "groups")),
        (b"[" * 100_000, ("broken metadata",)),
    ],
    ids=range(9),
)
def test_other_metadata(own: Path, meta: bytes, expected: tuple[str, ...]) -> None:
    change_metadata(own, meta)
    refused(own, *expected)


def test_only_a_table_of_fairlora_is_read_as_one(tmp_path: Path) -> None:
    path = csv(tmp_path, "label,pred\n1,1\n")
    with pytest.raises(InputError, match="not a predictions table") as caught:
        read_predictions(path)
    assert str(path) in str(caught.value)


def test_probabilities_loss_and_margin_may_be_absent(own: Path) -> None:
    change(own, probs=None, loss=None, margin=None)
    found = read_predictions(own)
    assert (found.probs, found.loss, found.margin) == (None, None, None)
    assert found.groups["race"].tolist() == ["x", "y", "x"]


def test_a_group_called_na_is_no_missing_value(tmp_path: Path) -> None:
    """North America; an empty cell alone is missing."""
    path = csv(tmp_path, "y,h,region\n1,1,NA\n0,1,EU\n0,0,\n")
    groups = read_table(path, label="y", pred="h", groups=["region"]).groups["region"]
    assert groups.tolist() == ["NA", "EU", "(missing)"]

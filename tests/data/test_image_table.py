"""image-table: anybody's pictures from a CSV or Parquet file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from fairlora.data import Examples, assign_splits, load_examples
from fairlora.errors import InputError

NAMES = [f"{k}.jpg" for k in range(6)]
COLUMNS: dict[str, list[Any]] = {
    "image": [f"pictures/{name}" for name in NAMES],
    "label": ["dog", "cat", "dog", "cat", "owl", "dog"],
    "region": ["north", "south", "", "north", "south", "south"],
    "person": ["p1", "p1", "p2", "p2", "p3", "p3"],
    "part": ["train", "train", "val", "dev", "TEST", "test"],
    "key": ["k0", "k1", "k2", "k3", "k4", "k5"],
}
Write = Callable[..., Path]


@pytest.fixture
def write(pictures: Callable[..., list[Path]], tmp_path: Path) -> Write:
    def make(name: str = "table.csv", **changed: list[Any]) -> Path:
        pictures(NAMES, folder=tmp_path / "pictures")
        columns = {**COLUMNS, **changed}
        path = tmp_path / name
        if path.suffix == ".csv":
            pa_csv.write_csv(pa.table(columns), path)
        else:
            rows = {k: [None if v == "" else v for v in values] for k, values in columns.items()}
            pq.write_table(pa.table(rows), path)
        return path

    return make


def load(path: Path, **options: Any) -> Examples:
    return load_examples("image-table", {"path": str(path), "groups": ["region"], **options})


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_a_table_is_read(write: Write, tmp_path: Path, name: str) -> None:
    examples = load(write(name))
    assert examples.classes == ("cat", "dog", "owl")
    assert examples.labels.tolist() == [1, 0, 1, 0, 2, 1]
    assert examples.groups["region"].tolist()[:3] == ["north", "south", "(missing)"]
    assert examples.ids.tolist() == COLUMNS["image"]
    assert examples.images[0] == tmp_path / "pictures" / "0.jpg"
    assert examples.family is None
    assert examples.split is None


def test_both_kinds_of_file_have_one_fingerprint(write: Write) -> None:
    first = load(write("table.csv")).fingerprint
    assert load(write("table.parquet")).fingerprint == first
    assert load(write("other.csv", label=["cat", *COLUMNS["label"][1:]])).fingerprint != first


def test_ids_families_splits_and_the_root_can_be_named(write: Write, tmp_path: Path) -> None:
    path = write(image=NAMES)
    examples = load(path, root=str(tmp_path / "pictures"), id="key", family="person", split="part")
    assert examples.ids.tolist() == COLUMNS["key"]
    assert examples.family is not None
    assert examples.family.tolist() == COLUMNS["person"]
    assert examples.split is not None
    expected = ["train", "train", "validation", "validation", "test", "test"]
    assert examples.split.tolist() == expected
    assert assign_splits(examples, 5).split is examples.split


def test_numbers_as_labels_are_ordered_as_numbers(write: Write) -> None:
    examples = load(write("t.parquet", label=[10, 2, 10, 2, 1, 1]))
    assert examples.classes == ("1", "2", "10")
    text = load(write("t.csv", label=["10", "2", "nan", "2", "b", "a"]))
    assert text.classes == ("2", "10", "a", "b", "nan")


def test_codes_with_leading_zeros_stay_what_they_are(write: Write) -> None:
    examples = load(write(region=["01", "1", "01", "1", "1", "1"]))
    assert set(examples.groups["region"].tolist()) == {"01", "1"}


@pytest.mark.parametrize(
    ("changed", "options", "message"),
    [
        ({}, {"groups": ["religion"]}, r"table\.csv: no column 'religion'.*expected one of image"),
        ({}, {"target": "breed"}, "no column 'breed'"),
        ({}, {"family": "household"}, "no column 'household'"),
        ({}, {"groups": None}, r"data\.groups: no group columns named.*region"),
        ({"label": ["dog"] * 6}, {}, r"column label: .*one class.*found 'dog' alone"),
        ({"label": ["dog", "", "cat"] * 2}, {}, r"table\.csv, row 2: missing label"),
        ({"image": ["", *COLUMNS["image"][1:]]}, {}, "row 1: missing image path"),
        ({"image": [*COLUMNS["image"][:5], "gone.jpg"]}, {}, r"row 6: no such picture.*gone\.jpg"),
        ({"image": [COLUMNS["image"][0]] * 6}, {}, r"an id stands twice .*pictures/0\.jpg"),
        ({"part": ["train"] * 6}, {"split": "part"}, "no row of split 'validation'"),
        (
            {"part": ["train", "holdout"] * 3},
            {"split": "part"},
            "row 2: unknown split .found 'holdout'",
        ),
    ],
)
def test_what_is_wrong_is_named_by_row_or_column(
    write: Write, changed: dict[str, list[Any]], options: dict[str, Any], message: str
) -> None:
    path = write(**changed)
    with pytest.raises(InputError, match=message):
        load(path, **options)


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "table.parquet"
    wrong.write_text("no table")
    with pytest.raises(InputError, match="not a readable table"):
        load(wrong)
    empty = tmp_path / "empty.csv"
    empty.write_text("image,label,region\n")
    with pytest.raises(InputError, match="no rows"):
        load(empty)
    (tmp_path / "nothing.csv").write_text("")
    with pytest.raises(InputError, match="not a readable table"):
        load(tmp_path / "nothing.csv")

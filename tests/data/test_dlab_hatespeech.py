"""Measuring Hate Speech: first rows, subsets, overlapping targets, labels, bad cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from fairlora.data import DATA_SETS, Examples, load_examples, parse_options
from fairlora.errors import InputError

COLUMNS: dict[str, list[Any]] = {
    "comment_id": [10, 10, 11, 12, 13, 14, 15],
    "annotator_id": [1, 2, 1, 1, 1, 1, 1],
    "text": ["one", "one", "two", "three", "four", "five", "one"],
    "hate_speech_score": [0.51, 0.51, 0.5, -2.0, 3.0, 1.0, 0.51],
    "target_gender": [True, False, True, True, False, True, True],
    "target_gender_men": [False, True, True, False, False, False, True],
    "target_gender_women": [True, False, True, True, False, False, True],
    "target_race": [False, True, True, False, True, False, True],
    "target_race_black": [False, True, True, False, True, False, True],
    "target_race_white": [False, False, False, False, True, False, True],
}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(name: str = "hate.parquet", **changed: list[Any] | None) -> Path:
        columns = {k: v for k, v in {**COLUMNS, **changed}.items() if v is not None}
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        (pa_csv.write_csv if path.suffix == ".csv" else pq.write_table)(pa.table(columns), path)
        return path

    return make


def load(path: Path, **options: Any) -> Examples:
    return load_examples("dlab-hatespeech", {"path": str(path), **options})


@pytest.mark.parametrize("name", ["hate.parquet", "hate.csv"])
def test_first_rows_of_the_subset_with_overlapping_targets(write: Write, name: str) -> None:
    examples = load(write(name))
    # The second annotation of "one", and the same text as another comment, are left out.
    assert examples.ids.tolist() == ["10", "11", "12", "14"]
    assert examples.texts == ["one", "two", "three", "five"]
    assert examples.classes == ("not hateful", "hateful")
    assert examples.labels.tolist() == [1, 0, 0, 1]
    assert list(examples.groups) == ["gender"]
    assert examples.groups["gender"].tolist() == [["women"], ["men", "women"], ["women"], []]
    assert examples.notes == ("1 rows are in no group of gender",)
    race = load(write(name), subset="race")
    # "one" is not about race in its first row, though it is in a later one.
    assert race.ids.tolist() == ["11", "13"]
    assert race.groups["race"].tolist() == [["black"], ["black", "white"]]
    assert race.notes == ()


def test_every_subset_of_every_kind_of_file_has_one_fingerprint(write: Write) -> None:
    first = load(write()).fingerprint
    assert load(write(), subset="race").fingerprint == first
    assert load(write("hate.csv")).fingerprint == first
    other = write("other.parquet", target_race_white=[True] * 7)
    assert load(other).fingerprint != first


def test_a_folder_of_files_is_one_table(write: Write, tmp_path: Path) -> None:
    whole = load(write())
    for k, rows in enumerate((slice(0, 3), slice(3, 7))):
        write(f"data/train-{k}.parquet", **{c: v[rows] for c, v in COLUMNS.items()})
    parts = load(tmp_path / "data")
    assert parts.ids.tolist() == whole.ids.tolist()
    assert parts.fingerprint == whole.fingerprint


def test_a_check_knows_the_published_counts(write: Write) -> None:
    for subset, published in (("gender", "13,976"), ("race", "11,670")):
        options = parse_options("dlab-hatespeech", {"path": str(write()), "subset": subset})
        findings = {f.what: f for f in DATA_SETS["dlab-hatespeech"].check(options)}
        assert findings["examples"].finding.endswith(f"published {published}")
        assert findings["characters"].finding.startswith("median")


@pytest.mark.parametrize(
    ("changed", "options", "message"),
    [
        ({"text": None}, {}, r"hate\.csv: no column 'text'"),
        ({"hate_speech_score": None}, {}, "no column 'hate_speech_score'"),
        ({"target_gender": None}, {}, "no column 'target_gender'"),
        ({}, {"subset": "religion"}, "no column 'target_religion'"),
        ({}, {"subset": "age"}, r"data\.subset"),
        ({"target_gender_men": None, "target_gender_women": None}, {}, "no columns of targets"),
        ({"target_gender": ["True", "True", "maybe"] + ["False"] * 4}, {},
         r"hate\.csv, row 3: target_gender is not true or false \(found 'maybe'\)"),
        ({"target_gender_men": [""] * 7}, {}, "row 1: target_gender_men is not true or false"),
        ({"hate_speech_score": ["1", "1", "high", "1", "1", "1", "1"]}, {},
         "row 3: hate_speech_score is not a number .found 'high'"),
        ({"hate_speech_score": ["1", "1", "nan", "1", "1", "1", "1"]}, {}, "row 3: hate_speech_s"),
        ({"hate_speech_score": [1.0] * 7}, {}, "one class.*found 'hateful' alone"),
        ({"target_gender": [False] * 7}, {}, "no row with target_gender true"),
        ({"text": ["a", "a", "", "c", "d", "e", "f"]}, {}, r"hate\.csv, row 3: empty text"),
        ({"comment_id": [1] * 7}, {}, "an id stands twice .found '1'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    write: Write, changed: dict[str, list[Any] | None], options: dict[str, Any], message: str
) -> None:
    path = write("hate.csv", **changed)
    with pytest.raises(InputError, match=message):
        load(path, **options)


def test_an_empty_folder_or_table_is_refused(write: Write, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no table in the folder"):
        load(tmp_path / "empty")
    with pytest.raises(InputError, match="the table has no rows"):
        load(write(**{name: values[:0] for name, values in COLUMNS.items()}))

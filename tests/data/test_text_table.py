"""text-table: anybody's texts from a CSV or Parquet file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from fairlora.data import (
    DATA_SETS,
    Examples,
    load_examples,
    parse_options,
)
from fairlora.errors import InputError

COLUMNS: dict[str, list[Any]] = {
    "text": ["good day", "bad, day", 'a "quoted" one', "two\nlines", "naïve – ☂", "end"],
    "label": ["no", "yes", "no", "yes", "no", "yes"],
    "target": ["women", "black|women", "", "black", "jews| women", "black"],
    "template": ["t1", "t1", "t2", "t2", "t3", "t3"],
    "part": ["train", "train", "train", "train", "test", "test"],
    "key": ["k0", "k1", "k2", "k3", "k4", "k5"],
}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(name: str = "texts.csv", **changed: list[Any]) -> Path:
        columns = {**COLUMNS, **changed}
        path = tmp_path / name
        if path.suffix == ".csv":
            pa_csv.write_csv(pa.table(columns), path)
        else:
            pq.write_table(pa.table(columns), path)
        return path

    return make


def load(path: Path, **options: Any) -> Examples:
    return load_examples("text-table", {"path": str(path), "groups": ["target"], **options})


@pytest.mark.parametrize("name", ["texts.csv", "texts.parquet"])
def test_a_table_of_texts_is_read(write: Write, name: str) -> None:
    examples = load(write(name))
    assert examples.kind == "text"
    assert examples.texts == COLUMNS["text"]
    assert examples.classes == ("no", "yes")
    assert examples.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert examples.ids.tolist() == ["1", "2", "3", "4", "5", "6"]
    assert examples.split is None
    assert examples.family is None


def test_a_separator_parts_the_groups_of_a_cell(write: Write) -> None:
    whole = load(write()).groups["target"]
    assert whole.lists is None
    assert whole.tolist()[1:3] == ["black|women", "(missing)"]
    parted = load(write(), separator="|", groups=["target", "template"]).groups
    assert parted["target"].names == ("black", "jews", "women", "(missing)")
    assert parted["target"].tolist()[:3] == [["women"], ["black", "women"], ["(missing)"]]
    assert parted["target"].tolist()[4] == ["jews", "women"]
    # A column without the separator stays as it was.
    assert parted["template"].lists is None


def test_a_list_column_holds_overlapping_groups(write: Write) -> None:
    lists = [["women"], ["black", "women"], [], None, ["jews"], ["black"]]
    column = load(write("texts.parquet", target=lists)).groups["target"]
    assert column.tolist() == [
        ["women"],
        ["black", "women"],
        [],
        ["(missing)"],
        ["jews"],
        ["black"],
    ]
    assert int(column.contains("women").sum()) == 2


def test_ids_families_and_splits_can_be_named(write: Write) -> None:
    examples = load(write(), id="key", family="template", split="part")
    assert examples.ids.tolist() == COLUMNS["key"]
    assert examples.family is not None
    assert examples.family.tolist() == COLUMNS["template"]
    assert examples.split is not None
    # There is no validation split: `assign_splits` draws it from the rest.
    assert examples.split.tolist() == ["rest"] * 4 + ["test"] * 2
    assert examples.notes == ("no validation split: it is drawn from the training rows",)
    whole = load(write(part=["train", "train", "val", "dev", "test", "test"]), split="part")
    assert whole.notes == ()


def test_long_texts_are_read(write: Write) -> None:
    examples = load(write(text=[c * 3_000_000 for c in "abcdef"]))
    assert [len(text) for text in examples.inputs] == [3_000_000] * 6


@pytest.mark.parametrize(
    ("changed", "options", "message"),
    [
        ({}, {"text": "tweet"}, r"texts\.csv: no column 'tweet'.*expected one of text, label"),
        ({}, {"groups": ["race"]}, "no column 'race'"),
        ({}, {"target": "hate"}, "no column 'hate'"),
        ({}, {"groups": None}, r"data\.groups: no group columns named"),
        ({}, {"separator": ""}, r"data\.separator"),
        ({"text": ["a", "", "b", " ", "c", "d"]}, {}, r"texts\.csv, row 2: empty text"),
        ({"label": ["yes"] * 6}, {}, r"column label: .*one class"),
        ({"label": ["yes", "no", ""] * 2}, {}, "row 3: missing label"),
        ({"key": ["k0", "k1", "k2"] * 2}, {"id": "key"}, r"an id stands twice .*'k0'"),
        ({"part": ["train"] * 6}, {"split": "part"}, "no row of split 'validation'"),
        ({"part": ["test"] * 6}, {"split": "part"}, "no row of split 'train'"),
        ({"part": ["train", "later"] * 3}, {"split": "part"}, "row 2: unknown split"),
    ],
)
def test_what_is_wrong_is_named_by_row_or_column(
    write: Write, changed: dict[str, list[Any]], options: dict[str, Any], message: str
) -> None:
    path = write(**changed)
    with pytest.raises(InputError, match=message):
        load(path, **options)


def test_a_missing_text_of_a_parquet_file_is_named(write: Write) -> None:
    path = write("texts.parquet", text=["a", "b", None, "c", "d", "e"])
    with pytest.raises(InputError, match=r"texts\.parquet, row 3: empty text"):
        load(path)


def test_a_check_reports_lengths_and_all_empty_texts(write: Write) -> None:
    path = write(text=["a", "", "abc", " ", "abc", "abcdefgh"])
    options = parse_options("text-table", {"path": str(path), "groups": ["target"]})
    findings = {f.what: f for f in DATA_SETS["text-table"].check(options)}
    assert findings["characters"].finding == "median 2, longest 8"
    assert findings["repeated texts"].finding == "1"
    assert findings["empty texts"].finding == f"2: {path}, row 2, {path}, row 4"
    assert findings["empty texts"].ok is False


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,label,label,target\na,0,1,x\nb,1,0,y\n")
    with pytest.raises(InputError, match=r"t\.csv: a column stands twice \(found 'label'\)"):
        load(path)


@pytest.mark.real_data
def test_real_tables_of_texts(shared: Path) -> None:
    folder = shared / "data" / "text"
    if not folder.is_dir():
        pytest.skip("shared/data/text is not there")
    bias = load(folder / "redditbias.csv", groups=["group"])
    assert len(bias) == 11_472
    assert set(bias.groups["group"].names) == {"women", "lgbtq", "black", "jews", "muslims"}
    check = load(folder / "hatecheck.csv", groups=["target_ident"], text="test_case",
                 target="label_gold", id="case_id", family="templ_id")  # fmt: skip
    assert len(check) == 3_728
    assert check.classes == ("hateful", "non-hateful")
    assert "(missing)" in check.groups["target_ident"].names
    assert len(check.groups["target_ident"].names) == 8

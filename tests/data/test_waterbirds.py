"""Waterbirds: codes, official splits, published counts, lists that lie."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlora.data import DATA_SETS, Examples, load_examples, parse_options
from fairlora.errors import InputError

HEADER = ["img_id", "img_filename", "y", "split", "place", "place_filename"]
ROWS = [
    ["1", "001.Albatross/a.jpg", "1", "0", "1", "/o/ocean/1.jpg"],
    ["2", "002.Wren/b.jpg", "0", "0", "0", "/f/forest/1.jpg"],
    ["3", "002.Wren/c.jpg", "0", "0", "1", "/o/ocean/2.jpg"],
    ["4", "001.Albatross/d.jpg", "1", "1", "0", "/f/forest/2.jpg"],
    ["5", "002.Wren/e.jpg", "0", "2", "1", "/o/ocean/3.jpg"],
]
Write = Callable[..., Path]


@pytest.fixture
def write(pictures: Callable[..., list[Path]], tmp_path: Path) -> Write:
    def make(rows: list[list[str]] = ROWS, header: list[str] = HEADER) -> Path:
        folder = tmp_path / "birds"
        for row in ROWS:
            (folder / row[1]).parent.mkdir(parents=True, exist_ok=True)
        pictures([row[1] for row in ROWS], folder=folder)
        with (folder / "metadata.csv").open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        return folder

    return make


def load(folder: Path, **options: Any) -> Examples:
    return load_examples("waterbirds", {"path": str(folder), **options})


def changed(row: int, column: str, value: str) -> list[list[str]]:
    rows = [list(r) for r in ROWS]
    rows[row][HEADER.index(column)] = value
    return rows


def test_codes_become_names(write: Write) -> None:
    folder = write()
    examples = load(folder)
    assert examples.classes == ("landbird", "waterbird")
    assert examples.labels.tolist() == [1, 0, 0, 1, 0]
    assert examples.groups["place"].tolist() == ["water", "land", "water", "land", "water"]
    assert list(examples.groups) == ["place"]
    assert examples.split is not None
    assert examples.split.tolist() == ["train"] * 3 + ["validation", "test"]
    assert examples.ids.tolist() == ["1", "2", "3", "4", "5"]
    assert examples.images is not None
    assert examples.images[0] == folder / "001.Albatross" / "a.jpg"


def test_a_check_holds_the_counts_against_the_published_ones(write: Write) -> None:
    options = parse_options("waterbirds", {"path": str(write())})
    findings = {f.what: f for f in DATA_SETS["waterbirds"].check(options)}
    assert findings["examples"].finding == "found 5, published 11,788"
    assert findings["split train"].finding == "found 3, published 4,795"
    assert findings["split validation"].finding == "found 1, published 1,199"
    assert findings["split test"].finding == "found 1, published 5,794"
    assert findings["training landbirds on water"].finding == "found 1, published 184"
    assert findings["training waterbirds on land"].finding == "found 0, published 56"
    assert findings["pictures"].finding == "all 5 open"


def test_the_published_cells_add_up() -> None:
    from fairlora.data.waterbirds import ROWS, TRAINING_CELLS

    assert sum(TRAINING_CELLS.values()) == ROWS["train"]
    assert sum(ROWS.values()) == 11_788


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (changed(1, "y", "2"), r"metadata\.csv, row 2: unknown y \(found '2'; expected 0 \(landb"),
        (changed(0, "y", "waterbird"), "row 1: unknown y .found 'waterbird'"),
        (changed(0, "y", ""), "row 1: unknown y .found None"),
        (changed(2, "split", "3"), r"row 3: unknown split .*2 \(test\)"),
        (changed(2, "place", "sea"), "row 3: unknown place"),
        (changed(3, "img_id", "1"), "an id stands twice .found '1'"),
        (changed(4, "img_filename", "../../secret.jpg"), "row 5: a path that leaves the data set"),
        (changed(4, "img_filename", "/etc/passwd"), "row 5: a path that leaves the data set"),
        (changed(4, "img_filename", "C:\\x.jpg"), "row 5: a path that leaves the data set"),
        (changed(4, "img_filename", "a\\..\\..\\x.jpg"), "row 5: a path that leaves"),
        (changed(4, "img_filename", ""), "row 5: missing image path"),
        (changed(4, "img_filename", "002.Wren"), r"row 5: no such picture .*002\.Wren\)"),
        (ROWS[:3], r"metadata\.csv: no row of split 'validation'"),
        (ROWS[:4], r"metadata\.csv: no row of split 'test'"),
        ([], "the table has no rows"),
    ],
)
def test_what_is_wrong_is_named_by_row(write: Write, rows: list[list[str]], message: str) -> None:
    folder = write(rows)
    with pytest.raises(InputError, match=message):
        load(folder)


def test_a_missing_column_or_file_is_named(write: Write) -> None:
    with pytest.raises(InputError, match=r"metadata\.csv: no column 'place'"):
        load(write(header=["img_id", "img_filename", "y", "split", "background", "x"]))
    folder = write()
    (folder / "metadata.csv").unlink()
    with pytest.raises(InputError, match=r"birds: no metadata\.csv"):
        load(folder)


def test_a_check_goes_on_without_a_split(write: Write) -> None:
    options = parse_options("waterbirds", {"path": str(write(ROWS[:4]))})
    findings = DATA_SETS["waterbirds"].check(options)
    assert [f.ok for f in findings if f.what == "split test"] == [False, False]

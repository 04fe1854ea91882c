"""GeoDE: objects by region, where the pictures lie, an index that lies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlora.data import DATA_SETS, Examples, assign_splits, load_examples, parse_options
from fairlora.errors import InputError

INDEX = """,file_path,file_name,object,region,ip_country
0,0.bag/Africa_1.jpg,Africa_1.jpg,bag,Africa,Ghana
1,0.bag/Europe_1.jpg,Europe_1.jpg,bag,Europe,Italy
2,12.hat/Africa_2.jpg,Africa_2.jpg,hat,Africa,Nigeria
3,12.hat/WestAsia_1.jpg,WestAsia_1.jpg,hat,WestAsia,
"""
Write = Callable[..., Path]


@pytest.fixture
def write(pictures: Callable[..., list[Path]], tmp_path: Path) -> Write:
    def make(index: str = INDEX, under: str = "images") -> Path:
        folder = tmp_path / "geode"
        names = [line.split(",")[1] for line in INDEX.splitlines()[1:]]
        for name in names:
            (folder / under / name).parent.mkdir(parents=True, exist_ok=True)
        pictures(names, folder=folder / under)
        (folder / "index.csv").write_text(index)
        return folder

    return make


def load(folder: Path, **options: Any) -> Examples:
    return load_examples("geode", {"path": str(folder), **options})


def test_objects_are_classes_and_regions_groups(write: Write) -> None:
    folder = write()
    examples = load(folder)
    assert examples.classes == ("bag", "hat")
    assert examples.labels.tolist() == [0, 0, 1, 1]
    assert examples.groups["region"].tolist() == ["Africa", "Europe", "Africa", "WestAsia"]
    assert list(examples.groups) == ["region"]
    assert examples.ids.tolist()[0] == "0.bag/Africa_1.jpg"
    assert examples.split is None
    assert examples.images is not None
    assert examples.images[0] == folder / "images" / "0.bag" / "Africa_1.jpg"


def test_the_country_is_a_group_when_asked_for(write: Write) -> None:
    folder = write()
    examples = load(folder, country=True)
    assert examples.groups["country"].tolist() == ["Ghana", "Italy", "Nigeria", "(missing)"]
    assert examples.fingerprint == load(folder).fingerprint
    with pytest.raises(InputError, match="no column 'ip_country'"):
        load(write(INDEX.replace("ip_country", "land")), country=True)


def test_paths_may_count_from_the_folder(write: Write) -> None:
    assert len(load(write(under="."))) == 4
    listed = write(INDEX.replace("0.bag/", "images/0.bag/").replace("12.hat/", "images/12.hat/"))
    assert len(load(listed)) == 4


def test_the_index_may_call_the_path_something_else(write: Write) -> None:
    folder = write(INDEX.replace("file_path", "image_path"))
    assert len(load(folder)) == 4


def test_a_check_knows_the_published_counts(write: Write) -> None:
    options = parse_options("geode", {"path": str(write())})
    findings = {f.what: f for f in DATA_SETS["geode"].check(options)}
    assert findings["examples"].finding == "found 4, published 61,940"
    assert findings["classes"].finding == "found 2, published 40"
    assert findings["regions"].finding == "found 3, published 6"


def test_a_fifth_is_set_aside_for_testing(tiny: Callable[..., dict[str, Any]]) -> None:
    examples = assign_splits(load_examples("geode", tiny("geode")), 0)
    assert len(examples.part("test")) == pytest.approx(0.2 * len(examples), abs=1)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (INDEX.replace("file_path", "a").replace("file_name", "b"), "no column 'file_path'"),
        (INDEX.replace("object", "thing"), "no column 'object'"),
        (INDEX.replace("region", "place"), "no column 'region'"),
        (INDEX.replace("0.bag/Africa_1", "../Africa_1"), "row 1: a path that leaves the data set"),
        (INDEX.replace("0.bag/Africa_1", "/Africa_1"), "row 1: a path that leaves the data set"),
        (INDEX.replace("0.bag/Africa_1", "images/../../x"), "row 1: a path that leaves"),
        (INDEX.replace("0.bag/Africa_1.jpg", ""), "row 1: missing image path"),
        (INDEX.replace(",bag,", ",,"), "row 1: missing label"),
        (INDEX.replace(",hat,", ",bag,"), "one class"),
        (INDEX.replace("Africa_2", "Africa_9"), r"row 3: no such picture .*Africa_9\.jpg"),
        (INDEX + INDEX.splitlines()[1] + "\n", "an id stands twice"),
        (INDEX.splitlines()[0] + "\n", "the table has no rows"),
    ],
)
def test_what_is_wrong_is_named(write: Write, index: str, message: str) -> None:
    folder = write(index)
    with pytest.raises(InputError, match=message):
        load(folder)


def test_a_folder_without_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no index\.csv"):
        load(tmp_path)

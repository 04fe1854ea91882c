"""FGVC-Aircraft: three levels, official splits, lists that are missing or lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlora.data import DATA_SETS, Examples, assign_splits, load_examples, parse_options
from fairlora.errors import InputError

NAMES = {
    "variant": {"1": "707-320", "2": "F/A-18", "3": "DC-9-30", "4": "707-320", "5": "F/A-18"},
    "family": {"1": "Boeing 707", "2": "F/A-18", "3": "DC-9", "4": "Boeing 707", "5": "F/A-18"},
    "manufacturer": {"1": "Boeing", "2": "McDonnell Douglas", "3": "McDonnell Douglas",
                     "4": "Boeing", "5": "McDonnell Douglas"},
}  # fmt: skip
SPLITS = {"train": ["1", "2", "3"], "val": ["4"], "test": ["5"]}
Write = Callable[..., Path]


@pytest.fixture
def write(pictures: Callable[..., list[Path]], tmp_path: Path) -> Write:
    def make(**changed: str | None) -> Path:
        data = tmp_path / "fgvc-aircraft-2013b" / "data"
        pictures([f"{k}.jpg" for k in NAMES["variant"]], folder=data / "images")
        for level, names in NAMES.items():
            for split, ids in SPLITS.items():
                lines = "".join(f"{i} {names[i]}\n" for i in ids)
                content = changed.get(f"{level}_{split}", lines)
                if content is not None:
                    (data / f"images_{level}_{split}.txt").write_text(content)
        return data.parent

    return make


def load(folder: Path, **options: Any) -> Examples:
    return load_examples("fgvc-aircraft", {"path": str(folder), **options})


def test_variants_families_and_manufacturers(write: Write) -> None:
    folder = write()
    examples = load(folder)
    assert examples.ids.tolist() == ["1", "2", "3", "4", "5"]
    assert examples.classes == ("707-320", "DC-9-30", "F/A-18")
    assert examples.labels.tolist() == [0, 2, 1, 0, 2]
    assert examples.groups["manufacturer"].tolist() == list(NAMES["manufacturer"].values())
    assert examples.groups["family"].tolist() == list(NAMES["family"].values())
    assert examples.split is not None
    assert examples.split.tolist() == ["train"] * 3 + ["validation", "test"]
    assert load(folder, target="family").classes == ("Boeing 707", "DC-9", "F/A-18")
    assert load(folder, target="manufacturer").classes == ("Boeing", "McDonnell Douglas")


def test_the_folder_data_is_the_data_set_too_and_so_is_every_target(write: Write) -> None:
    folder = write()
    prints = {load(folder / "data").fingerprint, load(folder).fingerprint}
    prints |= {load(folder, target="family", validation="ours").fingerprint}
    assert len(prints) == 1


def test_validation_can_be_ours(tiny: Callable[..., dict[str, Any]]) -> None:
    options = tiny("fgvc-aircraft")
    official = load_examples("fgvc-aircraft", options)
    ours = load_examples("fgvc-aircraft", {**options, "validation": "ours"})
    one, other = (assign_splits(ours, seed) for seed in (0, 1))
    for divided in (one, other):
        assert set(divided.part("test").ids) == set(official.part("test").ids)
        assert len(divided.part("validation")) == pytest.approx(20, abs=1)
    assert set(one.part("validation").ids) != set(other.part("validation").ids)


def test_a_check_knows_the_published_counts(write: Write) -> None:
    for validation, name in (("official", "split train"), ("ours", "official train")):
        options = parse_options("fgvc-aircraft", {"path": str(write()), "validation": validation})
        findings = {f.what: f for f in DATA_SETS["fgvc-aircraft"].check(options)}
        assert findings[name].finding == "found 3, published 3,334"
        assert findings["examples"].finding == "found 5, published 10,000"
        assert findings["classes"].finding == "found 3, published 100"


@pytest.mark.parametrize("gone", ["family_test", "variant_val", "manufacturer_train"])
def test_a_missing_list_is_named_by_the_check_and_stops_training(write: Write, gone: str) -> None:
    folder = write(**{gone: None})
    with pytest.raises(InputError, match=rf"images_{gone}\.txt: no such file"):
        load(folder)
    options = parse_options("fgvc-aircraft", {"path": str(folder)})
    findings = {f.what: f for f in DATA_SETS["fgvc-aircraft"].check(options)}
    assert findings["missing list"].finding == f"images_{gone}.txt"
    assert findings["missing list"].ok is False


def test_a_check_goes_on_with_one_list_of_the_target_alone(write: Write) -> None:
    folder = write(variant_val=None, variant_test=None)
    options = parse_options("fgvc-aircraft", {"path": str(folder)})
    findings = DATA_SETS["fgvc-aircraft"].check(options)
    missing = [f.finding for f in findings if f.what == "missing list"]
    assert missing == ["images_variant_val.txt", "images_variant_test.txt"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"variant_val": "4\n"}, r"images_variant_val\.txt, line 1: no name after the picture"),
        ({"family_val": "\n4 \n"}, r"images_family_val\.txt, line 2: no name"),
        ({"variant_test": "../5 F/A-18\n"}, r"variant_test\.txt, line 1: a path that leaves"),
        ({"variant_test": "/etc/x F/A-18\n"}, r"variant_test\.txt, line 1: a path that leaves"),
        ({"variant_test": "77 F/A-18\n"}, r"variant_test\.txt, line 1: no such picture .*77\.jpg"),
        ({"variant_test": "1 707-320\n"}, "an id stands twice .found '1'"),
        ({"variant_test": ""}, r"images_variant_test\.txt: the list is empty"),
        ({"variant_train": None, "variant_val": None, "variant_test": None}, "no lists of"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_line(
    write: Write, changed: dict[str, str | None], message: str
) -> None:
    folder = write(**changed)
    with pytest.raises(InputError, match=message):
        load(folder)


def test_a_list_that_is_no_text_is_refused(write: Write) -> None:
    folder = write()
    (folder / "data" / "images_variant_train.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"images_variant_train\.txt: unreadable list"):
        load(folder)

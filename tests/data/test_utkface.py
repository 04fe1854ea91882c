"""UTKFace: native names, the five misnamed files, age bins, and the real sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from fairlora.data import Examples, load_examples, open_image
from fairlora.data.utkface import AGE_BINS, age_bin
from fairlora.errors import InputError

REGULAR = [
    "25_1_2_20170104022131102.jpg.chip.jpg",
    "1_0_0_20161219140623097.jpg.chip.jpg",
    "116_1_3_20170120134639935.jpg.chip.jpg",
    "40_0_4_20170117151304123.jpg.chip.jpg",
]
NO_RACE = [
    "39_1_20170116174525125.jpg.chip.jpg",
    "61_1_20170109142408075.jpg.chip.jpg",
    "61_1_20170109150557335.jpg.chip.jpg",
]
ODD_SUFFIX = [
    "24_0_1_20170116220224657 .jpg.chip.jpg",
    "55_0_0_20170116232725357jpg.chip.jpg",
]
Make = Callable[..., Examples]


@pytest.fixture
def load(pictures: Callable[..., list[Path]], tmp_path: Path) -> Make:
    def make(names: list[str], **options: object) -> Examples:
        folder = tmp_path / "utk"
        pictures(names, folder=folder)
        return load_examples("utkface", {"path": str(folder), **options})

    return make


def row(examples: Examples, name: str) -> dict[str, str]:
    k = examples.ids.tolist().index(name)
    found = {"label": examples.classes[examples.labels[k]]}
    return {**found, **{group: str(v[k]) for group, v in examples.groups.items()}}


def test_names_are_labels_and_groups(load: Make) -> None:
    examples = load(REGULAR)
    assert examples.classes == ("male", "female")
    assert examples.notes == ()
    assert row(examples, REGULAR[0]) == {
        "label": "female",
        "race": "Asian",
        "gender": "female",
        "age_bin": "21-30",
    }
    assert row(examples, REGULAR[3]) == {
        "label": "male",
        "race": "Others",
        "gender": "male",
        "age_bin": "31-40",
    }
    assert row(load(REGULAR, target="age"), REGULAR[2])["label"] == "over 80"
    assert open_image(examples.images[0], name="x").size == (8, 8)


def test_misnamed_files_are_kept_or_left_out_with_one_warning(load: Make) -> None:
    examples = load(REGULAR + NO_RACE + ODD_SUFFIX)
    assert set(examples.ids.tolist()) == set(REGULAR + ODD_SUFFIX)
    assert row(examples, ODD_SUFFIX[0])["race"] == "Black"
    assert row(examples, ODD_SUFFIX[1])["age_bin"] == "51-60"
    (note,) = examples.notes
    assert note.startswith("5 files break the naming rule")
    assert "3 left out, a label is missing" in note
    assert "2 kept, all labels there and the suffix odd" in note
    assert all(name in note for name in NO_RACE + ODD_SUFFIX)


def test_names_out_of_range_are_left_out(load: Make) -> None:
    strange = ["25_2_0_2017.jpg.chip.jpg", "25_0_5_2017.jpg.chip.jpg", "face.jpg"]
    examples = load(REGULAR + strange)
    assert len(examples) == 4
    assert examples.notes[0].startswith("3 files break")


def test_age_bins_are_closed_on_the_right() -> None:
    for age in range(1, 121):
        expected = next(
            (k for k, top in enumerate((10, 20, 30, 40, 50, 60, 70, 80)) if age <= top), 8
        )
        assert age_bin(age) == expected, age
    assert age_bin(0) == 0
    assert len(AGE_BINS) == 9


def test_pictures_in_subfolders_are_found_and_ids_are_their_places(
    pictures: Callable[..., list[Path]], tmp_path: Path
) -> None:
    pictures(REGULAR[:2], folder=tmp_path / "utk" / "part1")
    pictures(REGULAR[:2], folder=tmp_path / "utk" / "part2")
    examples = load_examples("utkface", {"path": str(tmp_path / "utk")})
    assert examples.ids.tolist() == sorted(f"part{k}/{n}" for k in (1, 2) for n in REGULAR[:2])


def test_one_class_alone_cannot_be_learned(load: Make) -> None:
    with pytest.raises(InputError, match=r"gender.*one class.*found 'female' alone"):
        load([REGULAR[0], REGULAR[2]])


def test_a_folder_without_faces_says_what_names_are_expected(load: Make) -> None:
    with pytest.raises(InputError, match=r"found 1 pictures; expected names like 25_1_2_"):
        load(["holiday.jpg"])


def test_an_absent_group_column_is_refused(load: Make) -> None:
    assert list(load(REGULAR, groups=["race"]).groups) == ["race"]
    with pytest.raises(InputError, match="no group column 'religion'.*race, gender, age_bin"):
        load(REGULAR, groups=["religion"])


def test_a_copy_elsewhere_has_the_same_fingerprint(
    load: Make, pictures: Callable[..., list[Path]], tmp_path: Path
) -> None:
    first = load(REGULAR)
    pictures(REGULAR, folder=tmp_path / "copy")
    copy = load_examples("utkface", {"path": str(tmp_path / "copy")})
    assert copy.fingerprint == first.fingerprint
    (tmp_path / "copy" / REGULAR[0]).unlink()
    fewer = load_examples("utkface", {"path": str(tmp_path / "copy")})
    assert fewer.fingerprint != first.fingerprint


@pytest.mark.real_data
def test_the_real_sample_reads_as_its_note_says(shared: Path) -> None:
    folder = shared / "data" / "utkface"
    if not folder.is_dir():
        pytest.skip("shared/data/utkface is not there")
    examples = load_examples("utkface", {"path": str(folder), "target": "age"})
    assert len(examples) == 4002
    (note,) = examples.notes
    assert "3 left out" in note
    assert "2 kept" in note
    assert all(name in examples.ids for name in ODD_SUFFIX)
    counts = Counter(examples.groups["gender"].tolist())
    assert set(counts) == {"male", "female"}
    assert min(counts.values()) > 1800
    assert set(examples.groups["race"].tolist()) == {"White", "Black", "Asian", "Indian", "Others"}
    assert set(examples.labels.tolist()) == set(range(9))
    assert open_image(examples.images[0], name="first").size == (200, 200)

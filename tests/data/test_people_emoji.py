"""people-emoji: counts, families that must stay together, options, broken files."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlora.data import DATA_SETS, assign_splits, load_examples, open_image, parse_options
from fairlora.data.people_emoji import EMBEDDED, TONES, role_family
from fairlora.errors import InputError


def test_counts() -> None:
    examples = load_examples("people-emoji")
    assert len(examples) == 2910
    assert examples.classes == ("female", "male")
    assert set(examples.groups) == {"skin_tone", "renderer", "gender"}
    renderers = Counter(examples.groups["renderer"].tolist())
    assert set(renderers) == {"fluent", "noto", "twemoji"}
    assert renderers["noto"] == 994
    labels = Counter(examples.labels.tolist())
    assert min(labels.values()) > 1400
    genders = np.array(examples.classes)[examples.labels]
    assert genders.tolist() == examples.groups["gender"].tolist()
    assert open_image(examples.images[0], name="first").size == (64, 64)


def test_tones_are_copies_of_each_other() -> None:
    examples = load_examples("people-emoji", {"target": "skin_tone"})
    assert examples.classes == TONES
    counts = np.bincount(examples.labels)
    assert counts.min() > 0.9 * counts.max()


def test_shades_are_two_groups_of_tones() -> None:
    chosen = {"tones": ["light", "medium-light", "medium-dark", "dark"], "groups": ["shade"]}
    examples = load_examples("people-emoji", chosen)
    assert Counter(examples.groups["shade"].tolist()) == {"lighter": 960, "darker": 960}
    (checked, *_) = DATA_SETS["people-emoji"].check(parse_options("people-emoji", chosen))
    assert checked.ok
    assert "1,920" in checked.finding
    every = load_examples("people-emoji", {"groups": ["shade"]})
    assert Counter(every.groups["shade"].tolist())["(missing)"] == 510 + 480


def test_a_family_holds_every_variant_of_its_role() -> None:
    assert role_family("1f3c3-27a1") == role_family("1f3c3")
    assert len({role_family(r) for r in ("plain", "1f9b0", "1f9b1", "1f9b2", "1f9b3")}) == 1
    assert role_family("1f478") == role_family("1f934")
    assert role_family("1f483") == role_family("1f57a")
    assert role_family("1f478") != role_family("1f483")


def test_every_family_has_both_genders() -> None:
    examples = load_examples("people-emoji")
    assert examples.family is not None
    genders = defaultdict(set)
    for family, gender in zip(examples.family, examples.groups["gender"], strict=True):
        genders[str(family)].add(str(gender))
    assert {family for family, found in genders.items() if len(found) < 2} == set()
    roles = pq.read_table(EMBEDDED, columns=["role"])["role"].unique().to_pylist()
    assert set(genders) == {role_family(role) for role in roles}
    assert len(genders) < len(roles)


@pytest.mark.parametrize("seed", range(3))
def test_no_family_lies_in_two_splits(seed: int) -> None:
    examples = assign_splits(load_examples("people-emoji"), seed)
    assert examples.family is not None
    assert examples.split is not None
    where = defaultdict(set)
    for family, split in zip(examples.family, examples.split, strict=True):
        where[str(family)].add(str(split))
    assert all(len(found) == 1 for found in where.values())
    for part in ("train", "validation", "test"):
        assert set(examples.part(part).labels.tolist()) == {0, 1}


def test_renderers_and_groups_can_be_chosen() -> None:
    examples = load_examples("people-emoji", {"renderers": ["noto"], "groups": ["skin_tone"]})
    assert len(examples) == 994
    assert list(examples.groups) == ["skin_tone"]
    with pytest.raises(InputError, match=r"data\.renderers"):
        load_examples("people-emoji", {"renderers": ["comic"]})


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    text, other = tmp_path / "text.parquet", tmp_path / "other.parquet"
    text.write_text("no table")
    pq.write_table(pa.table({"id": ["a"]}), other)
    for path in (text, other):
        with pytest.raises(InputError, match="not a people-emoji file.*columns id, renderer"):
            load_examples("people-emoji", {"path": str(path)})
    with pytest.raises(InputError, match=r"gone\.parquet"):
        load_examples("people-emoji", {"path": str(tmp_path / "gone.parquet")})


def test_an_unknown_gender_is_refused(tmp_path: Path) -> None:
    columns = {name: ["x", "y"] for name in ("id", "renderer", "skin_tone", "role")}
    path = tmp_path / "people.parquet"
    pq.write_table(pa.table({**columns, "gender": ["male", "robot"], "image": [b"", b""]}), path)
    with pytest.raises(InputError, match="unknown gender.*found robot"):
        load_examples("people-emoji", {"path": str(path)})

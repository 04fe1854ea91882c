"""Examples, the registry and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlora.data import DATA_SETS, DataOptions, Examples, load_examples, parse_options
from fairlora.errors import InputError


def examples(**changed: Any) -> Examples:
    values: dict[str, Any] = {
        "name": "made",
        "ids": np.array(["a", "b", "c"]),
        "images": [b"1", b"2", b"3"],
        "labels": np.array([0, 1, 0]),
        "classes": ("no", "yes"),
        "groups": {"tone": np.array(["dark", "light", "dark"])},
        "fingerprint": "x",
        "family": np.array(["f", "g", "f"]),
        "split": np.array(["train", "test", "validation"]),
    }
    return Examples(**{**values, **changed})


def test_rows_are_taken_whole_and_in_order() -> None:
    taken = examples().take(np.array([2, 1]))
    assert taken.ids.tolist() == ["c", "b"]
    assert taken.images == [b"3", b"2"]
    assert taken.labels.tolist() == [0, 1]
    assert taken.groups["tone"].tolist() == ["dark", "light"]
    assert taken.family is not None
    assert taken.family.tolist() == ["f", "g"]
    assert examples().take(np.array([True, False, True])).ids.tolist() == ["a", "c"]
    assert examples().part("test").ids.tolist() == ["b"]


def test_a_part_needs_a_split() -> None:
    with pytest.raises(ValueError, match="not split"):
        examples(split=None).part("test")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": np.array([0, 1])}, r"labels: .*found 2; expected 3"),
        ({"images": []}, r"images: "),
        ({"groups": {"tone": np.array(["dark"])}}, r"tone: "),
        ({"ids": np.array(["a", "b", "a"])}, r"an id stands twice \(found 'a'\)"),
    ],
)
def test_columns_must_fit_and_ids_be_unique(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        examples(**changed)


def test_an_absent_group_column_is_named_with_those_there_are() -> None:
    with pytest.raises(InputError, match="no group column 'race'.*expected one of tone"):
        examples().require_groups(["tone", "race"])


@pytest.mark.parametrize("name", DATA_SETS)
def test_every_data_set_describes_itself_and_refuses_unknown_options(name: str) -> None:
    data = DATA_SETS[name]
    assert data.name == name
    assert len(data.summary) > 20
    own = set(data.options.model_fields) - set(DataOptions.model_fields)
    assert all(data.options.model_fields[key].description for key in own)
    with pytest.raises(InputError, match=rf"{name}: data\.zzz: unknown key \(expected one of path"):
        parse_options(name, {"zzz": "red"})
    with pytest.raises(InputError, match=r"data\.groups"):
        parse_options(name, {"groups": 3})


def test_an_unknown_data_set_is_named_with_those_there_are() -> None:
    with pytest.raises(InputError, match="'faces'.*people-emoji, utkface, image-table"):
        load_examples("faces")


@pytest.mark.parametrize("name", ["utkface", "image-table"])
def test_data_from_a_path_need_one_that_is_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.path: no path given"):
        load_examples(name)
    with pytest.raises(InputError, match=r"data\.path: no such .*nowhere"):
        load_examples(name, {"path": str(tmp_path / "nowhere")})
    file = tmp_path / "file.csv"
    file.write_text("a\n")
    wrong = file if name == "utkface" else tmp_path
    with pytest.raises(InputError, match=r"data\.path: not a f"):
        load_examples(name, {"path": str(wrong)})

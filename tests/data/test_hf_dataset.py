"""hf-dataset: features, splits, files on disk, no network, pictures that stay where they are."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fairlora.data import (
    DATA_SETS,
    Examples,
    assign_splits,
    load_examples,
    open_image,
    parse_options,
)
from fairlora.data.hf_columns import StoredRows
from fairlora.errors import InputError

TEXTS: dict[str, list[Any]] = {
    "text": ["a", "b", "c", "d"],
    "label": [0, 1, 0, 1],
    "sex": [1, 0, 1, -1],
    "race": [[0, 1], [1], [], None],
    "age": [30, 40, 30, 40],
    "key": ["k0", "k1", "k2", "k3"],
    "score": [0.5, 0.1, 0.3, 0.2],
}
FEATURES = datasets.Features(
    {
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["no", "yes", "perhaps"]),
        "sex": datasets.ClassLabel(names=["f", "m"]),
        "race": [datasets.ClassLabel(names=["black", "white"])],
        "age": datasets.Value("int64"),
        "key": datasets.Value("string"),
        "score": datasets.Value("float64"),
    }
)
Save = Callable[..., Path]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def make(*names: str, **changed: list[Any]) -> Path:
        columns = {**TEXTS, **changed}
        one = datasets.Dataset.from_dict(columns, features=FEATURES)
        path = tmp_path / "saved"
        if names:
            parts = {}
            for name in names:
                keys = [f"{name}-{k}" for k in columns["key"]]
                parts[name] = datasets.Dataset.from_dict(
                    {**columns, "key": keys}, features=FEATURES
                )
            datasets.DatasetDict(parts).save_to_disk(str(path))
        else:
            one.save_to_disk(str(path))
        return path

    return make


def load(path: Path, **options: Any) -> Examples:
    return load_examples("hf-dataset", {"path": str(path), "groups": ["sex"], **options})


def encoded(colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (6, 6), colour).save(buffer, format="PNG")
    return buffer.getvalue()


def test_class_labels_keep_their_names(save: Save) -> None:
    examples = load(save(), groups=["sex", "race", "age", "key"])
    assert examples.kind == "text"
    assert examples.texts == TEXTS["text"]
    assert examples.classes == ("no", "yes", "perhaps")
    assert examples.labels.tolist() == [0, 1, 0, 1]
    assert examples.groups["sex"].tolist() == ["m", "f", "m", "(missing)"]
    assert examples.groups["race"].tolist()[:3] == [["black", "white"], ["white"], []]
    assert examples.groups["age"].tolist() == ["30", "40", "30", "40"]
    assert examples.ids.tolist() == ["train/0", "train/1", "train/2", "train/3"]
    assert examples.split is None


def test_plain_columns_can_be_labels_and_ids_and_families(save: Save) -> None:
    examples = load(save(), target="age", id_column="key", family="sex")
    assert examples.classes == ("30", "40")
    assert examples.ids.tolist() == TEXTS["key"]
    assert examples.family is not None
    assert examples.family.tolist() == ["1", "0", "1", "-1"]


@pytest.mark.parametrize(
    ("names", "options", "splits"),
    [
        (["train", "validation", "test"], {}, {"train", "validation", "test"}),
        (["train", "test"], {}, {"rest", "test"}),
        (["train", "val"], {}, {"rest", "validation"}),
        (["train", "test", "unsupervised"], {}, {"rest", "test"}),
        (["train", "eval"], {"splits": {"train": "train", "eval": "test"}}, {"rest", "test"}),
        (["train", "test"], {"splits": {"test": "test"}}, None),
        (["anything"], {}, None),
    ],
)
def test_their_splits_become_ours(
    save: Save, names: list[str], options: dict[str, Any], splits: set[str] | None
) -> None:
    examples = load(save(*names), **options)
    found = None if examples.split is None else set(examples.split.tolist())
    assert found == splits
    if "unsupervised" in names:
        assert "not used: the splits unsupervised" in examples.notes
        assert len(examples) == 8
    if splits == {"rest", "test"}:
        divided = assign_splits(examples, 0)
        assert divided.split is not None
        assert (divided.split == "test").sum() == 4


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_files_are_read(tmp_path: Path, kind: str) -> None:
    table = datasets.Dataset.from_dict(
        {"text": ["a", "b"], "label": ["no", "yes"], "sex": ["f", None]}
    )
    path = tmp_path / f"data.{kind}"
    {"parquet": table.to_parquet, "csv": table.to_csv, "jsonl": table.to_json}[kind](str(path))
    examples = load(path)
    assert examples.classes == ("no", "yes")
    assert examples.groups["sex"].tolist() == ["f", "(missing)"]


def test_a_folder_of_files_has_their_splits(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for name in ("train", "test"):
        (folder / f"{name}.csv").write_text("text,label,sex\na,x,f\nb,y,m\n")
    examples = load(folder)
    assert examples.split is not None
    assert sorted(examples.split.tolist()) == ["rest", "rest", "test", "test"]


def test_pictures_are_read_one_by_one(tmp_path: Path) -> None:
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (9, 9, 9)]
    rows = {
        "img": [{"bytes": encoded(c), "path": None} for c in colours],
        "label": ["r", "g", "b", "r"],
        "sex": ["f", "m", "f", "m"],
    }
    features = datasets.Features(
        {"img": datasets.Image(), "label": datasets.Value("string"),
         "sex": datasets.Value("string")}
    )  # fmt: skip
    part = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"train": part, "test": part}).save_to_disk(str(tmp_path / "saved"))
    examples = load(tmp_path / "saved")
    assert examples.kind == "image"
    assert len(examples.inputs) == len(examples) == 8
    seen = [open_image(p, name="x").getpixel((0, 0)) for p in examples.inputs]
    assert seen == colours * 2
    taken = examples.take(np.array([6, 1])).take(np.array([1, 0]))
    assert [open_image(p, name="x").getpixel((0, 0)) for p in taken.inputs] == [
        colours[1],
        colours[2],
    ]
    assert len(examples.inputs[2:5]) == 3


def test_picture_files_of_a_folder_are_paths(tmp_path: Path) -> None:
    for k in range(4):
        place = tmp_path / "pets" / "train" / ("cat", "dog")[k % 2] / f"{k}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(encoded((k, k, k)))
    examples = load(tmp_path / "pets", groups=["label"])
    assert examples.classes == ("cat", "dog")
    assert isinstance(examples.inputs[0], Path)
    assert open_image(examples.inputs[0], name="x").size == (6, 6)


def pictures_file(tmp_path: Path, pictures: list[Any]) -> Path:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table(
        {
            "image": pa.array(pictures, kind),
            "label": [k % 2 for k in range(len(pictures))],
            "sex": ["f"] * len(pictures),
        }
    )
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.Value("int64"),
         "sex": datasets.Value("string")}
    )  # fmt: skip
    path = tmp_path / "pictures.parquet"
    pq.write_table(table.replace_schema_metadata(features.arrow_schema.metadata), path)
    return path


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret.png", "DIR/../../x.png"])
def test_a_picture_never_lies_outside_the_data_set(tmp_path: Path, name: str) -> None:
    whole = {"bytes": encoded((1, 2, 3)), "path": None}
    named = {"bytes": None, "path": name.replace("DIR", str(tmp_path))}
    with pytest.raises(InputError, match="a path that leaves the data set"):
        load(pictures_file(tmp_path, [whole, named]))


@pytest.mark.parametrize("lost", [None, {"bytes": None, "path": "gone.png"}])
def test_a_picture_that_is_not_there_is_named(tmp_path: Path, lost: dict[str, Any] | None) -> None:
    whole = {"bytes": encoded((1, 2, 3)), "path": None}
    path = pictures_file(tmp_path, [whole, whole, lost, whole])
    with pytest.raises(InputError, match=r"train/2: no (such )?picture"):
        load(path)
    options = parse_options("hf-dataset", {"path": str(path), "groups": ["sex"]})
    findings = {f.what: f for f in DATA_SETS["hf-dataset"].check(options)}
    assert findings["missing pictures"].ok is False
    assert findings["pictures"].finding == "3 of 4 open"


@pytest.mark.parametrize(
    ("changed", "options", "message"),
    [
        ({}, {"input": "image"}, r"no column 'image' .*expected one of text, label, sex"),
        ({}, {"groups": ["religion"]}, "no column 'religion'"),
        ({}, {"groups": None}, r"data\.groups: no group columns named"),
        ({}, {"family": "person"}, "no column 'person'"),
        ({}, {"target": "score"}, "column 'score' cannot be a label .found float64"),
        ({}, {"target": "race"}, "column 'race' cannot be a label"),
        ({}, {"input": "score"}, "column 'score' holds neither pictures nor texts"),
        ({}, {"splits": {"dev": "test"}}, r"data\.splits: .* has no split 'dev'.*train"),
        ({}, {"splits": {"train": "exam"}}, r"data\.splits"),
        ({}, {"id": "owner/name"}, r"data\.id: a hub id or a path .found both"),
        ({"label": [0, 1, -1, 1]}, {}, "train/2: missing label"),
        ({"label": [0, 1, None, 1]}, {}, "train/2: missing label"),
        ({"label": [0, 0, 0, 0]}, {}, "one class"),
        ({"text": ["a", " ", "c", "d"]}, {}, "train/1: empty text"),
        ({"text": ["a", "b", "c", None]}, {}, "train/3: empty text"),
        ({"key": ["k", "k", "l", "m"]}, {"id_column": "key"}, "an id stands twice .found 'k'"),
    ],
)
def test_what_is_wrong_is_named(
    save: Save, changed: dict[str, list[Any]], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load(save(**changed), **options)


def test_splits_without_known_names_must_be_named(save: Save) -> None:
    with pytest.raises(InputError, match=r"data\.splits: no split of a known name .found a, b"):
        load(save("a", "b"))


def test_an_empty_data_set_is_refused() -> None:
    empty = datasets.Dataset.from_dict({name: [] for name in TEXTS}, features=FEATURES)
    with pytest.raises(InputError, match="made: the data set has no rows"):
        StoredRows("made", {"train": empty})


def test_without_a_network_the_hub_is_named(tmp_path: Path, monkeypatch: Any) -> None:
    options = {"id": "nobody/no-such-data", "groups": ["sex"]}
    with pytest.raises(InputError, match=r"data\.id: cannot load this data set from the hub"):
        load_examples("hf-dataset", options)
    with pytest.raises(InputError, match="a hub id or a path .found neither"):
        load_examples("hf-dataset", {"groups": ["sex"]})
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="a file or folder, not a name on the hub"):
        load_examples("hf-dataset", {"id": "here", "groups": ["sex"]})


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    broken, odd = tmp_path / "broken.parquet", tmp_path / "notes.txt"
    broken.write_text("no table")
    odd.write_text("no table")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"broken\.parquet: not a readable data set"):
        load(broken)
    with pytest.raises(InputError, match=r"notes\.txt: unknown kind of file"):
        load(odd)
    with pytest.raises(InputError, match="empty: not a readable data set"):
        load(tmp_path / "empty")


def test_the_hub_is_asked_for_the_configuration_and_revision(monkeypatch: Any) -> None:
    asked: dict[str, Any] = {}

    def fake(name: str, config: str | None = None, **arguments: Any) -> Any:
        asked.update(name=name, config=config, **arguments)
        one = datasets.Dataset.from_dict(TEXTS, features=FEATURES)
        return datasets.DatasetDict({"train": one})

    monkeypatch.setattr(datasets, "load_dataset", fake)
    examples = load_examples(
        "hf-dataset", {"id": "owner/name", "config": "en", "revision": "v1", "groups": ["sex"]}
    )
    assert examples.name == "owner/name"
    assert asked == {"name": "owner/name", "config": "en", "revision": "v1"}

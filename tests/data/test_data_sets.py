"""What holds of every data set: a tiny copy is read, checked and split, and is told from others."""

from __future__ import annotations

import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlora.data import (
    DATA_SETS,
    SplitPlan,
    assign_splits,
    load_examples,
    open_image,
    parse_options,
)
from fairlora.data.people_emoji import EMBEDDED
from fairlora.data.tiny import TINY, write_tiny
from fairlora.errors import InputError

Write = Callable[..., dict[str, Any]]
# Those whose published counts a tiny copy cannot have.
LISTED = {"waterbirds", "geode", "fgvc-aircraft", "dlab-hatespeech", "winomt"}
FROM_FILES = [name for name in TINY if name != "people-emoji"]


def test_every_data_set_has_a_tiny_copy() -> None:
    assert set(TINY) == set(DATA_SETS)


@pytest.mark.parametrize("name", TINY)
def test_a_tiny_copy_is_read_checked_and_split(tiny: Write, name: str) -> None:
    options = tiny(name)
    examples = load_examples(name, options)
    assert set(examples.labels.tolist()) == set(range(len(examples.classes)))
    assert examples.groups or examples.language
    assert all(len(column.names) > 1 for column in examples.groups.values())
    assert all(len(column) == len(examples) for column in examples.groups.values())
    if examples.kind == "image":
        assert open_image(examples.inputs[0], name="first").size == (64, 64)
    else:
        assert all(isinstance(text, str) and text for text in examples.inputs)

    findings = DATA_SETS[name].check(parse_options(name, options))
    assert [f.what for f in findings][:2] == ["examples", "fingerprint"]
    assert any(f.ok is False for f in findings) == (name in LISTED)
    whole = [f for f in findings if f.what in ("pictures", "empty texts")]
    assert [f.ok for f in whole] == [True]

    for seed in (0, 1):
        divided = assign_splits(examples, seed)
        assert divided.split is not None
        assert set(divided.split.tolist()) == {"train", "validation", "test"}
        assert len(set(divided.part("train").labels.tolist())) == len(examples.classes)


@pytest.mark.parametrize("name", FROM_FILES)
def test_a_tiny_copy_hangs_on_its_seed_alone(tmp_path: Path, name: str) -> None:
    prints = []
    for k, seed in enumerate((0, 0, 1)):
        options = write_tiny(name, tmp_path / str(k), seed=seed)
        prints.append(load_examples(name, options).fingerprint)
    assert prints[0] == prints[1]
    assert prints[0] != prints[2]
    started = time.process_time()
    write_tiny(name, tmp_path / "timed")
    assert time.process_time() - started < 1


def test_a_tiny_copy_has_as_many_rows_as_asked_for(tmp_path: Path) -> None:
    for name in FROM_FILES:
        if name not in ("dlab-hatespeech", "winomt"):
            options = write_tiny(name, tmp_path / name, rows=60)
            assert len(load_examples(name, options)) == 60
    with pytest.raises(InputError, match="too few rows"):
        write_tiny("geode", tmp_path, rows=3)
    with pytest.raises(InputError, match="no tiny copy.*'faces'"):
        write_tiny("faces", tmp_path)


def swap_in_text(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def change_a_label(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Change one label in the native files; returns the options that read them."""
    path = Path(options.get("path", EMBEDDED))
    if name == "people-emoji":
        table = pq.read_table(path)
        genders = table["gender"].to_pylist()
        genders[0] = "male" if genders[0] == "female" else "female"
        place = table.column_names.index("gender")
        changed = Path(options["folder"]) / "people.parquet"
        changed.parent.mkdir(parents=True)
        pq.write_table(table.set_column(place, "gender", pa.array(genders)), changed)
        return {"path": str(changed)}
    if name == "utkface":
        picture = sorted(path.iterdir())[0]
        age, gender, rest = picture.name.split("_", 2)
        picture.rename(picture.with_name(f"{age}_{1 - int(gender)}_{rest}"))
    elif name == "image-table":
        swap_in_text(path, ",cat,", ",dog,")
    elif name == "text-table":
        swap_in_text(path, ",friendly,", ",hostile,")
    elif name == "waterbirds":
        swap_in_text(path / "metadata.csv", ".jpg,0,", ".jpg,1,")
    elif name == "geode":
        swap_in_text(path / "index.csv", ",object_00,", ",object_01,")
    elif name == "fgvc-aircraft":
        swap_in_text(path / "data/images_variant_val.txt", "Model 0/0", "Model 1/0")
    elif name == "dlab-hatespeech":
        table = pq.read_table(path)
        scores = [-score for score in table["hate_speech_score"].to_pylist()]
        place = table.column_names.index("hate_speech_score")
        pq.write_table(table.set_column(place, "hate_speech_score", pa.array(scores)), path)
    elif name == "winomt":
        for file in ("en.txt", "en_pro.txt"):
            lines = (path / file).read_text().splitlines()
            # One line of the pro-stereotype sentences names another occupation of its stereotype.
            place = next(k for k, x in enumerate(lines) if x.endswith("\tnurse") and " she " in x)
            lines[place] = lines[place].removesuffix("nurse") + "cleaner"
            (path / file).write_text("\n".join(lines) + "\n")
    elif name == "yelp-md-gender":
        file = path / "train" / "0000.parquet"
        table = pq.read_table(file)
        texts = table["text"].to_pylist()
        texts[0] = "another review"
        pq.write_table(table.set_column(0, "text", pa.array(texts)), file)
    elif name == "plain-text":
        swap_in_text(path, ",south", ",north")
    else:
        import datasets

        saved = datasets.load_from_disk(str(path))
        labels = saved["train"]["label"][:]
        features = saved["train"].features
        saved["train"] = saved["train"].remove_columns("label").add_column(
            "label", [1 - labels[0], *labels[1:]], feature=features["label"]
        )  # fmt: skip
        saved.save_to_disk(str(path) + "-changed")
        return {**options, "path": str(path) + "-changed"}
    return options


@pytest.mark.parametrize("name", TINY)
def test_the_fingerprint_is_a_copys_own(tiny: Write, tmp_path: Path, name: str) -> None:
    options = tiny(name)
    first = load_examples(name, options).fingerprint
    assert load_examples(name, options).fingerprint == first
    if options:
        shutil.copytree(tmp_path / "copy", tmp_path / "elsewhere")
        moved = options["path"].replace(str(tmp_path / "copy"), str(tmp_path / "elsewhere"))
        assert load_examples(name, {**options, "path": moved}).fingerprint == first
    else:
        options = {"folder": str(tmp_path / "copy")}
    assert load_examples(name, change_a_label(name, options)).fingerprint != first


@pytest.mark.parametrize("name", ["image-table", "waterbirds", "geode", "fgvc-aircraft"])
def test_a_lost_picture_stops_training_and_not_the_check(tiny: Write, name: str) -> None:
    options = tiny(name)
    before = load_examples(name, options)
    gone = before.inputs[3]
    gone.unlink()
    with pytest.raises(InputError, match=rf"(row|line) \d+: no such picture .*{gone.name}"):
        load_examples(name, options)
    findings = {f.what: f for f in DATA_SETS[name].check(parse_options(name, options))}
    missing = findings["missing pictures"]
    assert missing.ok is False
    assert missing.finding == f"1 of {len(before)} listed pictures are missing: {gone}"
    assert findings["pictures"].finding == f"{len(before) - 1} of {len(before)} open"


@pytest.mark.parametrize("name", ["waterbirds", "fgvc-aircraft"])
def test_official_splits_are_the_same_for_every_seed_and_plan(tiny: Write, name: str) -> None:
    examples = load_examples(name, tiny(name))
    for seed in (0, 7):
        again = assign_splits(examples, seed, SplitPlan(mode="papers", test=0.5))
        np.testing.assert_array_equal(again.split, examples.split)


@pytest.mark.parametrize("name", TINY)
def test_examples_survive_the_way_to_a_worker_process(tiny: Write, name: str) -> None:
    examples = load_examples(name, tiny(name))
    copy = pickle.loads(pickle.dumps(examples.take(np.array([5, 2]))))
    assert copy.ids.tolist() == [examples.ids[5], examples.ids[2]]
    assert copy.inputs[1] == examples.inputs[2]


@pytest.mark.parametrize("name", FROM_FILES)
@pytest.mark.parametrize("made", ["nothing", "folder", "file"])
def test_a_path_that_is_no_copy_is_refused(name: str, made: str, tmp_path: Path) -> None:
    path = tmp_path / "place"
    if made == "folder":
        path.mkdir()
    elif made == "file":
        path.write_text("")
    with pytest.raises(InputError, match="place"):
        load_examples(name, {"path": str(path), "groups": ["g"]})

"""Data sets for language models: winomt, yelp-md-gender, plain-text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlora.data import DATA_SETS, assign_splits, keep_trainable, load_examples, parse_options
from fairlora.data.tiny import write_tiny
from fairlora.data.winomt import read_sentences
from fairlora.errors import InputError


@pytest.fixture
def winomt(tmp_path: Path) -> dict[str, Any]:
    return write_tiny("winomt", tmp_path / "winomt")


def test_a_pair_becomes_a_prompt_and_its_answer(winomt: dict[str, Any]) -> None:
    examples = load_examples("winomt", winomt)
    assert examples.language
    assert examples.answers is not None
    assert examples.inputs[0].startswith("Turkish: ")
    assert examples.inputs[0].endswith(" English:")
    assert examples.answers[0].startswith("The ")
    other = load_examples("winomt", {**winomt, "template": "Translate: {source}\n"})
    assert other.inputs[0].startswith("Translate: ")
    with pytest.raises(InputError, match=r"data.template: the template has no place"):
        load_examples("winomt", {**winomt, "template": "Translate this"})


def test_a_sentence_is_for_or_against_its_occupations_stereotype(winomt: dict[str, Any]) -> None:
    examples = load_examples("winomt", winomt)
    gender = np.array(examples.classes)[examples.labels]
    stereotype = np.array(examples.groups["stereotype"].tolist())
    case = np.array(examples.groups["case"].tolist())
    assert (gender == stereotype)[case == "pro"].all()
    assert (gender != stereotype)[case == "anti"].all()
    assert set(stereotype[case != "other"]) == {"female", "male"}
    assert set(stereotype[case == "other"]) <= {"none", "female", "male"}


def test_a_scene_has_four_or_twelve_lines_and_stays_together(winomt: dict[str, Any]) -> None:
    examples = load_examples("winomt", winomt)
    assert examples.family is not None
    sentences, _ = read_sentences(Path(winomt["path"]))
    _, sizes = np.unique([one.scene for one in sentences], return_counts=True)
    assert set(sizes.tolist()) == {4, 12}
    homes: dict[int, set[str]] = {}
    by_sentence = {one.sentence: one.scene for one in sentences}
    for answer, family in zip(examples.answers or (), examples.family, strict=True):
        homes.setdefault(by_sentence[answer], set()).add(str(family))
    assert all(len(home) == 1 for home in homes.values())
    divided = assign_splits(examples, 3)
    assert divided.split is not None
    for scene in set(examples.family.tolist()):
        assert len(set(divided.split[examples.family == scene].tolist())) == 1


def test_every_set_is_judged_on_the_same_scenes(winomt: dict[str, Any]) -> None:
    parts = {}
    for name in ("balanced", "pro-stereotype", "anti-stereotype"):
        examples = load_examples("winomt", {**winomt, "set": name})
        parts[name] = keep_trainable(assign_splits(examples, 0))
    tests = {name: part.part("test").ids.tolist() for name, part in parts.items()}
    assert tests["balanced"] == tests["pro-stereotype"] == tests["anti-stereotype"]
    for name, case in (("pro-stereotype", "pro"), ("anti-stereotype", "anti")):
        train = parts[name].part("train")
        assert set(train.groups["case"].tolist()) == {case}
        assert set(train.ids) < set(parts["balanced"].part("train").ids)
        scenes = {str(scene) for scene in train.family}  # type: ignore[union-attr]
        of_test = {str(scene) for scene in parts[name].part("test").family}  # type: ignore[union-attr]
        assert not scenes & of_test


def test_lines_of_a_scene_may_stand_in_another_order(winomt: dict[str, Any]) -> None:
    """In the published files they do: the two kinds of file are joined by the sentence."""
    before = load_examples("winomt", winomt)
    path = Path(winomt["path"]) / "en_tr_general.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[0], lines[1] = lines[1], lines[0]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    after = load_examples("winomt", winomt)
    assert after.answers is not None
    assert before.answers is not None
    assert after.answers[0] == before.answers[1]
    assert after.labels[0] == before.labels[1]
    assert after.family is not None
    assert after.family[0] == after.family[1]


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("en.txt", "female\t1", "woman\t1", r"en.txt, line 2: not a line of WinoMT .*woman"),
        ("en_tr_general.txt", " ||| ", " | ", r"en_tr_general.txt, line 1: not a pair"),
        ("en_tr_general.txt", "The ", "A ", r"line 1: a sentence that en.txt does not have"),
        ("en_pro.txt", "female\t1", "male\t1", r"two stereotypes|in their place"),
    ],
)
def test_a_broken_line_is_named(
    winomt: dict[str, Any], file: str, old: str, new: str, says: str
) -> None:
    path = Path(winomt["path"]) / file
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=says):
        load_examples("winomt", winomt)


def test_a_missing_file_is_named(winomt: dict[str, Any]) -> None:
    (Path(winomt["path"]) / "en_anti.txt").unlink()
    with pytest.raises(InputError, match=r"en_anti.txt: no such file"):
        load_examples("winomt", winomt)


@pytest.mark.real_data
def test_the_published_files_are_read_whole(shared: Path) -> None:
    folder = shared / "data" / "winomt"
    if not folder.is_dir():
        pytest.skip("no winomt in the folder of real data")
    sentences, stereotypes = read_sentences(folder)
    assert len(stereotypes) == 40
    assert sum(gender == "female" for gender in stereotypes.values()) == 20
    options = parse_options("winomt", {"path": str(folder)})
    assert all(row.ok is not False for row in DATA_SETS["winomt"].check(options))
    examples = load_examples("winomt", {"path": str(folder)})
    assert examples.family is not None
    # Twice two scenes have a Turkish sentence in common.
    assert len(set(examples.family.tolist())) == 1584 // 2 + 720 // 12 - 2
    assert len(sentences) == len(examples)


def reviews(folder: Path, **columns: Any) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "yelp.parquet"
    number = len(columns["text"])
    columns.setdefault("binary_label", [0] * number)
    pq.write_table(pa.table(columns), path)
    return path


def test_reviews_of_unclear_gender_are_kept_once(tmp_path: Path) -> None:
    path = reviews(
        tmp_path,
        text=["a", "b", "c", "a", " ", "d"],
        binary_score=[0.5, 0.95, 0.41, 0.5, 0.5, 0.62],
    )
    examples = load_examples("yelp-md-gender", {"path": str(path)})
    assert examples.texts == ["a", "c"]
    assert any("no rating" in note for note in examples.notes)
    assert any("1 empty" in note for note in examples.notes)
    wider = load_examples("yelp-md-gender", {"path": str(path), "unclear": 0.2})
    assert wider.texts == ["a", "c", "d"]


def test_where_there_are_ratings_threes_are_kept(tmp_path: Path) -> None:
    path = reviews(
        tmp_path, text=["a", "b", "c"], binary_score=[0.5, 0.5, 0.5], stars=[3.0, 5.0, 3.0]
    )
    examples = load_examples("yelp-md-gender", {"path": str(path)})
    assert examples.texts == ["a", "c"]
    assert not any("rating" in note for note in examples.notes)


def test_the_sample_hangs_on_its_own_seed(tmp_path: Path) -> None:
    path = reviews(tmp_path, text=[str(k) for k in range(40)], binary_score=[0.5] * 40)
    options = {"path": str(path), "sample": 10}
    first = load_examples("yelp-md-gender", options)
    assert len(first) == 10
    assert load_examples("yelp-md-gender", options).texts == first.texts
    other = load_examples("yelp-md-gender", {**options, "sample_seed": 1})
    assert other.texts != first.texts


def test_a_score_that_is_none_is_named(tmp_path: Path) -> None:
    path = reviews(tmp_path, text=["a", "b"], binary_score=[0.5, float("nan")])
    with pytest.raises(InputError, match=r"row 2: binary_score is no share"):
        load_examples("yelp-md-gender", {"path": str(path)})
    path = reviews(tmp_path, text=["a", "b"], binary_score=[0.9, 0.1])
    with pytest.raises(InputError, match=r"no review is left .*larger data.unclear"):
        load_examples("yelp-md-gender", {"path": str(path)})


def test_a_text_file_is_paragraphs_or_lines(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_text("one\ntwo\n  \nthree\n\n\n", encoding="utf-8")
    assert load_examples("plain-text", {"path": str(path)}).texts == ["one\ntwo", "three"]
    lines = load_examples("plain-text", {"path": str(path), "by": "line"})
    assert lines.texts == ["one", "two", "three"]
    assert lines.answers is None
    with pytest.raises(InputError, match=r"data.answer: a text file has no columns"):
        load_examples("plain-text", {"path": str(path), "answer": "b"})


def test_a_table_may_have_answers_and_groups(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("text,answer,who\nhow,so,a\nwhy,,b\n", encoding="utf-8")
    options = {"path": str(path), "answer": "answer", "groups": ["who"], "template": "Q: {text} A:"}
    with pytest.raises(InputError, match=r"row 2: empty answer"):
        load_examples("plain-text", options)
    path.write_text("text,answer,who\nhow,so,a\nwhy,hm,b\n", encoding="utf-8")
    examples = load_examples("plain-text", options)
    assert examples.texts == ["Q: how A:", "Q: why A:"]
    assert examples.answers == ["so", "hm"]
    assert examples.groups["who"].tolist() == ["a", "b"]


def test_an_empty_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('text,g\nfine,1\n"",2\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"row 2: empty text"):
        load_examples("plain-text", {"path": str(path)})
    path = tmp_path / "t.txt"
    path.write_text("\n \n", encoding="utf-8")
    with pytest.raises(InputError, match="the file has no text"):
        load_examples("plain-text", {"path": str(path)})


def test_scenes_with_one_turkish_sentence_are_one_family(winomt: dict[str, Any]) -> None:
    """Trained on in one scene, it would be judged in the other."""
    whole = Path(winomt["path"]) / "en_tr_general.txt"
    before = load_examples("winomt", winomt)
    assert before.family is not None
    first, second = sorted(set(before.family), key=lambda name: int(str(name).split()[1]))[1:3]
    lines = whole.read_text(encoding="utf-8").splitlines()
    one = int(np.flatnonzero(before.family == first)[0])
    other = int(np.flatnonzero(before.family == second)[0])
    english, turkish = lines[other].split(" ||| ")[0], lines[one].split(" ||| ")[1]
    lines[other] = f"{english} ||| {turkish}"
    whole.write_text("\n".join(lines) + "\n", encoding="utf-8")
    after = load_examples("winomt", winomt)
    assert after.family is not None
    joined = np.where(before.family == second, first, before.family)
    assert after.family.tolist() == joined.tolist()


def test_a_template_without_its_slot_is_refused(winomt: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data.template: .*\{source\} in it"):
        load_examples("winomt", {**winomt, "template": "Turkish:"})
    path = tmp_path / "texts.txt"
    path.write_text("one\n")
    with pytest.raises(InputError, match=r"data.template: .*\{text\} in it"):
        load_examples("plain-text", {"path": str(path), "template": "text"})

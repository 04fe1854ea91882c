"""A file is written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from fairlora.errors import InputError
from fairlora.io import parse_yaml, read_content, replacing, write_text


@pytest.mark.parametrize("durable", [False, True])
def test_a_text_is_there_whole_with_its_folder(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "new" / "a.json"
    write_text(path, "é\n", durable=durable)
    write_text(path, "second\n", durable=durable)
    assert path.read_text(encoding="utf-8") == "second\n"
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


def test_what_was_there_stays_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"first")

    def fail() -> None:
        with replacing(path) as partial:
            partial.write_bytes(b"half")
            assert partial.suffix == ".npy"
            assert partial.name.startswith(".a.")
            assert path.read_bytes() == b"first"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes() == b"first"
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]


def test_no_link_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, path = tmp_path / "theirs", tmp_path / "a.txt"
    theirs.write_text("kept")
    path.symlink_to(theirs)
    write_text(path, "mine")
    assert (theirs.read_text(), path.is_symlink(), path.read_text()) == ("kept", False, "mine")
    monkeypatch.setattr("secrets.token_hex", lambda n: "guessed")
    (tmp_path / ".a.guessed.partial.txt").symlink_to(theirs)
    with pytest.raises(FileExistsError):
        write_text(path, "another")
    assert theirs.read_text() == "kept"


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(OSError) as error:
        write_text(tmp_path / "a.json", "x")
    assert error.value.filename == str(tmp_path / "a.json")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


class Thing(BaseModel):
    name: str
    size: float = 0.0
    rest: dict[str, object] = {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"name": "a"', "not readable as JSON .*EOF"),
        ("", "not readable as JSON"),
        ("[" * 100_000, "not readable as JSON .*recursion"),
        ('{"name": "a", "rest": {"x": NaN}}', "not readable as JSON"),
        ("[]", r"not a JSON object \(found \[\]\)"),
        ("{}", "name: missing"),
        ('{"name": 1}', r"name: .*\(found 1\)"),
    ],
)
def test_a_file_of_another_content_is_one_line_with_the_path(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "thing.json"
    assert read_content(path, Thing) is None
    path.write_text(text)
    with pytest.raises(InputError, match=f"^{path}: {words}"):
        read_content(path, Thing)


ANCHORS = "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]\n" for k in range(1, 30))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a0: &a0 [x]\n" + ANCHORS, "line 6: too many values, with its aliases .*100,000"),
        ("a: &a [*a]", "line 1: a part that holds itself"),
        ("a: &a {b: [c, {d: *a}]}", "line 1: a part that holds itself"),
        ("[" * 400 + "]" * 400, "line 1: too many levels .*at most 50"),
        ("a: &a " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 20 + "*a" + "]" * 20, "too many levels"),
        ("\n".join("  " * k + f"k{k}:" for k in range(400)), "line 51: too many levels"),
        ("day: 2026-13-45", "not a value .*month"),
        ("n: " + "9" * 5_000, "not a value .*4300 digits"),
        ("n: " + "a" * 1_000_001, "too long a text"),
        ("a: [1", "not valid YAML"),
        ("a: !!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_yaml_is_bounded_before_anything_is_made_of_it(text: str, words: str) -> None:
    with pytest.raises(InputError, match=f"^study.yaml.*{words}"):
        parse_yaml(text, "study.yaml")


def test_aliases_within_the_bounds_are_as_yaml_has_them() -> None:
    text = "a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]\nd: &d 3\ne: *d"
    assert parse_yaml(text, "f") == yaml.safe_load(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_yaml_writes_is_read_back(value: object) -> None:
    assert parse_yaml(yaml.safe_dump(value), "f") == value

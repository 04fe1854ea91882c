"""Answers of a model that nothing trains: asked once, and again where what is kept is not whole."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlora.study.runs import kept
from fairlora.study.runs.kept import KeptAnswers

ANSWER = {"loss": 0.1 + 0.2, "words": ["a", None], "nothing": float("inf")}


class Base:
    """A model that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> Any:
        self.asked += 1
        return ANSWER


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def _change(path: Path) -> None:
    path.write_text(path.read_text().replace("0.3", "0.4"))


def _of_another_version(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "key": "0" * 32}))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_cut, "is cut off"),
        (lambda path: path.write_text("[]"), "is cut off"),
        (lambda path: path.write_bytes(b"\xff"), "is cut off"),
        (_change, "is not as it was written"),
        (_of_another_version, "is of another version"),
    ],
    ids=["cut", "a list", "bytes", "changed", "version"],
)
def test_an_answer_is_asked_once_and_again_where_it_is_not_whole(
    harm: Callable[[Path], Any], said: str, tmp_path: Path
) -> None:
    base = Base()
    for _ in range(2):
        assert KeptAnswers(tmp_path, ["model"]).get("rows", base) == ANSWER
    assert base.asked == 1
    KeptAnswers(tmp_path, ["model"]).get("other rows", base)
    KeptAnswers(tmp_path, ["other model"]).get("rows", base)
    assert base.asked == 3
    for path in tmp_path.glob("*/answer.json"):
        harm(path)
    healed = KeptAnswers(tmp_path, ["model"])
    for _ in range(2):
        assert healed.get("rows", base) == ANSWER
    assert base.asked == 4
    (note,) = healed.notes
    assert note.startswith("the base model is asked again: ")
    assert note.endswith(said)


def test_a_folder_that_keeps_nothing_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    base = Base()
    nowhere = KeptAnswers(tmp_path / "file", ["model"])
    for rows in ("rows", "other rows"):
        assert nowhere.get(rows, base) == ANSWER
    assert nowhere.notes == [
        f"the base model's answers are not kept: {tmp_path / 'file'}: Not a directory"
    ]

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kept, "write_text", full)
    disk = KeptAnswers(tmp_path, ["model"])
    for rows in ("rows", "other rows"):
        assert disk.get(rows, base) == ANSWER
    (note,) = disk.notes
    assert "No space left" in note
    assert KeptAnswers(None, ["model"]).get("rows", base) == ANSWER
    assert base.asked == 5

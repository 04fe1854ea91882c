"""Answers kept in a folder: whole or made again, by any number of writers, with room or without."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fairlora.training import activations
from fairlora.training.activations import Activations, Asked, NoRoom

ROWS = [Asked(f"row {k}", mirrored) for k in range(300) for mirrored in (False, True)]


def answer(some: Sequence[Asked]) -> Tensor:
    """(n, 2) the row's number, and whether it is mirrored."""
    return torch.tensor([[float(one.id[4:]), float(one.mirrored)] for one in some])


class Counting:
    """Answers, and counts the rows that it was asked."""

    def __init__(self, between: Callable[[], Any] = lambda: None) -> None:
        self.rows, self.between = 0, between

    def __call__(self, some: Sequence[Asked]) -> Tensor:
        self.rows += len(some)
        self.between()
        return answer(some)


def check(kept: Activations) -> None:
    assert torch.equal(torch.stack([kept[one] for one in ROWS]), answer(ROWS))


def test_a_row_is_computed_once_by_all_who_share_a_folder(tmp_path: Path) -> None:
    first, second = Activations(tmp_path, "k"), Activations(tmp_path, "k")
    asked = Counting()
    first.fill(ROWS[:400], asked)
    second.fill(ROWS, asked)
    second.fill(ROWS, asked)
    assert asked.rows == len(ROWS)
    check(second)
    assert not first.notes + second.notes


def test_answers_of_several_lengths_are_kept_each_as_long_as_it_is(tmp_path: Path) -> None:
    rows = [Asked(f"row {k}", False) for k in range(300)]

    def answers(some: Sequence[Asked]) -> list[Tensor]:
        return [torch.full((1 + int(one.id[4:]) % 7, 2), float(one.id[4:])) for one in some]

    Activations(tmp_path, "k").fill(rows, answers)
    (first, *_) = sorted(tmp_path.iterdir())
    _change(first)
    kept = Activations(tmp_path, "k")
    kept.fill(rows, answers)
    (note,) = kept.notes
    assert "is not as it was written" in note
    in_memory = Activations(None, "k")
    in_memory.fill(rows, answers)
    for each in (kept, in_memory):
        for one, expected in zip(rows, answers(rows), strict=True):
            assert torch.equal(each[one], expected)


def test_two_writers_at_once_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "FEWEST", 20)
    other = Activations(tmp_path, "k")
    theirs = Counting()
    # While one computes some rows, the other writes some of the same.
    ours = Counting(lambda: other.fill(ROWS[:120], theirs))
    one = Activations(tmp_path, "k")
    one.fill(ROWS, ours)
    check(one)
    third = Counting()
    last = Activations(tmp_path, "k")
    last.fill(ROWS, third)
    check(last)
    assert third.rows == 0
    assert theirs.rows == 120
    assert ours.rows <= len(ROWS)


def test_what_another_computes_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "FEWEST", 20)
    asked: dict[str, list[Sequence[Asked]]] = {"first": [], "second": []}

    def second(some: Sequence[Asked]) -> Tensor:
        asked["second"].append(some)
        return answer(some)

    def first(some: Sequence[Asked]) -> Tensor:
        asked["first"].append(some)
        # The other does all the rest before it takes what this one is at.
        Activations(tmp_path, "k").fill(ROWS[::-1], second)
        return answer(some)

    kept = Activations(tmp_path, "k")
    kept.fill(ROWS, first)
    check(kept)
    (mine,) = asked["first"]
    assert {one for some in asked["second"][:-1] for one in some}.isdisjoint(mine)
    assert set(asked["second"][-1]) == set(mine)
    assert not list(tmp_path.glob("*.claim"))


@pytest.mark.parametrize("content", ["[[", "{}", "[1, 2]", '[["row 0", false, 3]]', "\0"])
def test_claims_that_say_nothing_are_left_alone(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.claim").write_text(content)
    kept = Activations(tmp_path, "k")
    kept.fill(ROWS, answer)
    check(kept)
    assert not kept.notes


def test_a_claim_of_a_process_that_is_gone_is_taken_away(tmp_path: Path) -> None:
    claim = tmp_path / "a.claim"
    claim.write_text('[["row 0", false]]')
    Activations(tmp_path, "k").fill(ROWS[:300], answer)
    assert claim.exists()
    os.utime(claim, (0, 0))
    Activations(tmp_path, "k").fill(ROWS, answer)
    assert not claim.exists()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def _of_another_version(path: Path) -> None:
    save_file(load_file(path), path, {"key": "older", "rows": "[]", "crc32": "0"})


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_cut, "is cut off"),
        (_empty, "is cut off"),
        (_change, "is not as it was written"),
        (_of_another_version, "is of another version"),
    ],
)
def test_what_is_not_whole_is_made_again(
    harm: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    Activations(tmp_path, "k").fill(ROWS, answer)
    (first, *_) = sorted(tmp_path.iterdir())
    harm(first)
    kept, again = Activations(tmp_path, "k"), Counting()
    kept.fill(ROWS, again)
    check(kept)
    assert 0 < again.rows < len(ROWS)
    (note,) = kept.notes
    assert said in note
    assert str(first) in note
    healed = Activations(tmp_path, "k")
    assert healed.missing(ROWS) == []
    assert not healed.notes


def test_a_full_disk_and_a_folder_that_is_none_leave_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    nowhere = Activations(tmp_path / "file", "k")
    nowhere.make_room(len(ROWS), 8)
    nowhere.fill(ROWS, answer)
    check(nowhere)
    assert "kept in memory alone" in nowhere.notes[0]
    assert len(nowhere.notes) == 1

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(activations, "save_file", full)
    kept = Activations(tmp_path / "disk", "k")
    kept.fill(ROWS, answer)
    check(kept)
    (note,) = kept.notes
    assert "the disk is full" in note
    assert [p.name for p in (tmp_path / "disk").iterdir()] == []
    monkeypatch.setattr(activations, "MEMORY_BYTES", 100)
    with pytest.raises(NoRoom):
        Activations(tmp_path / "disk", "k").fill(ROWS, answer)


def test_a_disk_is_filled_by_half_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Activations(tmp_path, "k")
    monkeypatch.setattr(activations.shutil, "disk_usage", lambda _: SimpleNamespace(free=8_000_000))
    kept.make_room(1, 4_000_000)
    assert kept.folder == tmp_path
    kept.make_room(1, 4_000_001)
    assert kept.notes == [
        f"activations are kept in memory alone: {tmp_path}: 4 MB are needed, 4 MB may be filled"
    ]
    with pytest.raises(NoRoom, match="3,000 MB are needed"):
        kept.make_room(1000, 3_000_000)


def test_a_disk_that_keeps_nothing_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Activations, "_write", lambda *_: None)
    kept = Activations(tmp_path, "k")
    kept.fill(ROWS, answer)
    check(kept)
    assert kept.notes == [
        f"activations are kept in memory alone: {tmp_path}: what was written is not there"
    ]

"""A file is written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlora.io import replacing, write_text


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


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(OSError):
        write_text(tmp_path / "a.json", "x")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]

"""`fairlora data`: what is listed, what a check says of a copy, and its exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlora.data import DATA_SETS
from fairlora.data.tiny import TINY, write_tiny

Command = Callable[..., Any]


def settings(options: dict[str, Any]) -> list[str]:
    return [part for k, v in options.items() for part in ("--set", f"data.{k}={json.dumps(v)}")]


def found(done: Any) -> dict[str, dict[str, Any]]:
    return {row["what"]: row for row in json.loads(done.out)["findings"]}


def test_all_data_sets_are_listed_with_their_options(fairlora: Command) -> None:
    listed = {row["name"]: row for row in json.loads(fairlora("data", "list", "--json").out)}
    assert list(listed) == list(DATA_SETS)
    assert "subset" in listed["dlab-hatespeech"]["options"]
    plain = fairlora("data", "list").out
    assert all(name in plain for name in DATA_SETS)


@pytest.mark.parametrize("name", TINY)
def test_a_tiny_copy_is_checked(fairlora: Command, tmp_path: Path, name: str) -> None:
    options = settings(write_tiny(name, tmp_path))
    done = fairlora("data", "check", name, *options)
    published = name in ("waterbirds", "geode", "fgvc-aircraft", "dlab-hatespeech", "winomt")
    assert done.code == (1 if published else 0), done.err
    assert "Traceback" not in done.err
    assert ("found " in done.out) == published
    as_json = fairlora("data", "check", name, *options, "--json")
    assert as_json.code == done.code
    report = json.loads(as_json.out)
    assert report["data"] == name
    assert report["ok"] is not published
    assert {row["ok"] for row in report["findings"]} <= {True, False, None}


def test_what_is_as_published_is_called_so(fairlora: Command) -> None:
    done = fairlora("data", "check", "people-emoji", "--json")
    assert done.code == 0
    row = found(done)["examples"]
    assert row == {"what": "examples", "finding": "2,910, as published", "ok": True}


def test_a_part_of_utkface_is_a_good_copy(fairlora: Command, tmp_path: Path) -> None:
    write_tiny("utkface", tmp_path)
    done = fairlora("data", "check", "utkface", "--set", f"data.path={tmp_path}")
    assert done.code == 0
    assert "a part: 180 of 23,708" in done.out


def test_missing_and_broken_pictures_are_all_reported(fairlora: Command, tmp_path: Path) -> None:
    options = settings(write_tiny("image-table", tmp_path))
    assert fairlora("data", "check", "image-table", *options).code == 0
    for k in (1, 2):
        (tmp_path / "pictures" / f"{k}.jpg").unlink()
    for k in (4, 5, 6):
        (tmp_path / "pictures" / f"{k}.jpg").write_bytes(b"no picture")
    done = fairlora("data", "check", "image-table", *options, "--json")
    assert done.code == 1
    rows = found(done)
    first = tmp_path / "pictures" / "1.jpg"
    assert rows["missing pictures"]["finding"].startswith(
        f"2 of 96 listed pictures are missing: {first}, "
    )
    assert rows["pictures"]["finding"].startswith("3 of 96 unreadable: ")
    assert "4.jpg" in rows["pictures"]["finding"]
    plain = fairlora("data", "check", "image-table", *options)
    assert plain.code == 1
    assert "unreadable" in plain.out


def test_empty_texts_are_reported_with_the_lengths(fairlora: Command, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("text,label,g\nabc,1,x\n,0,y\nabcde,1,x\n")
    done = fairlora("data", "check", "text-table", "--json",
                    "--set", f"data.path={table}", "--set", "data.groups=[g]")  # fmt: skip
    assert done.code == 1
    rows = found(done)
    assert rows["characters"]["finding"] == "median 3, longest 5"
    assert rows["empty texts"] == {
        "what": "empty texts",
        "finding": f"1: {table}, row 2",
        "ok": False,
    }


def test_missing_lists_are_reported(fairlora: Command, tmp_path: Path) -> None:
    write_tiny("fgvc-aircraft", tmp_path)
    (tmp_path / "data" / "images_family_val.txt").unlink()
    done = fairlora("data", "check", "fgvc-aircraft", "--set", f"data.path={tmp_path}")
    assert done.code == 1
    assert "images_family_val.txt" in done.out


def test_names_in_a_data_set_cannot_write_to_the_terminal(
    fairlora: Command, tmp_path: Path
) -> None:
    table = tmp_path / "t.csv"
    table.write_text("text,label,g\nabc,1,\x1b[31mred\nabcde,0,y\n")
    done = fairlora("data", "check", "text-table", "--set", f"data.path={table}",
                    "--set", "data.groups=[g]")  # fmt: skip
    assert done.code == 0
    assert "\x1b" not in done.out


@pytest.mark.parametrize("name", [n for n in TINY if n != "people-emoji"])
def test_nothing_to_check_is_one_line_and_code_2(
    fairlora: Command, tmp_path: Path, name: str
) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        done = fairlora("data", "check", name, *settings({"path": str(path), "groups": ["g"]}))
        if name == "hf-dataset" and path == tmp_path:
            assert "not a readable data set" in done.err
        assert done.code == 2
        assert done.out == ""
        (line,) = done.err.splitlines()
        assert line.startswith("fairlora: ")


def test_the_help_says_what_the_exit_codes_mean(fairlora: Command) -> None:
    text = " ".join(fairlora("data", "check", "--help").out.split())
    assert "exit code is 0 if nothing differs" in text

"""How far cells are, told from their folders."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from fairlora.errors import InputError
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.status import SILENCE_SECONDS, CellState, list_store, state_of, tally


def cell(root: Path, name: str, **files: Any) -> RunFolder:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "environment.json").write_text("{}")
    for key, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{key}.json").write_text(text)
    return RunFolder(folder)


def finished(root: Path, name: str, seconds: float) -> RunFolder:
    folder = cell(root, name)
    folder.write_status("finished", seconds, identity="a")
    return folder


def progress(**changes: Any) -> dict[str, Any]:
    told = {
        "phase": "training",
        "done": 3,
        "total": 12,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "time": time.time(),
    }
    return {**told, **changes}


def dead_process() -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def test_a_folder_says_what_became_of_its_cell(tmp_path: Path) -> None:
    done = finished(tmp_path, "done", 5.0)
    failed = cell(tmp_path, "failed", status={"state": "failed", "reason": "no room"})
    stopped = cell(tmp_path, "stopped", status={"state": "preempted", "reason": "SIGTERM"})
    waiting = cell(tmp_path, "waiting")
    assert state_of(done) == CellState("done", "done", share=1.0, seconds=5.0)
    assert state_of(failed) == CellState("failed", "failed", "no room", seconds=0.0)
    assert state_of(stopped).state == "preempted"
    assert state_of(waiting) == CellState("waiting", "waiting")
    assert state_of(RunFolder(tmp_path / "absent")).state == "waiting"


def test_a_running_cell_is_one_whose_process_lives(tmp_path: Path) -> None:
    running = state_of(cell(tmp_path, "a", progress=progress()))
    assert (running.state, running.share, running.phase) == ("running", 0.25, "training")
    assert state_of(cell(tmp_path, "b", progress=progress(pid=dead_process()))).state == "waiting"
    # A cell that failed before is running again, whatever its last end was.
    again = cell(tmp_path, "c", progress=progress(), status={"state": "failed"})
    assert state_of(again).state == "running"


def test_another_machine_is_believed_for_a_while(tmp_path: Path) -> None:
    near = cell(tmp_path, "near", progress=progress(host="elsewhere", pid=1))
    silent = progress(host="elsewhere", pid=1, time=time.time() - SILENCE_SECONDS - 1)
    assert state_of(near).state == "running"
    assert state_of(cell(tmp_path, "far", progress=silent)).state == "waiting"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "[" * 100_000, '{"state": "unheard of"}', '{"state": "finished"}',
     '{"state": "finished", "format": "3"}', '{"state": "finished", "seconds": 1e999}',
     '{"state": "finished", "seconds": NaN}', '{"state": "failed", "reason": {}}', "null"],
)  # fmt: skip
def test_a_broken_cell_is_a_state_and_hides_no_other(tmp_path: Path, text: str) -> None:
    cell(tmp_path, "a", status=text)
    finished(tmp_path, "b", 1.0)
    states = list_store(tmp_path)
    assert [s.state for s in states] == ["broken", "done"]
    assert str(tmp_path / "a") in states[0].reason


def test_progress_that_is_no_progress_is_ignored(tmp_path: Path) -> None:
    texts = ["{", "[]", '{"pid": "x", "host": 1}', "null", "[" * 100_000]
    texts += [json.dumps(progress(pid=10**30)), json.dumps(progress(done="all"))]
    for number, text in enumerate(texts):
        assert state_of(cell(tmp_path, str(number), progress=text)).state == "waiting"


def test_folders_without_a_run_are_not_cells(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "study.json").write_text("{}")
    cell(tmp_path, "a")
    assert [s.name for s in list_store(tmp_path)] == ["a"]
    assert list_store(tmp_path / "nowhere") == []
    with pytest.raises(InputError, match="cannot read"):
        list_store(tmp_path / "study.json")


def test_time_left_is_what_the_rest_takes_over_those_at_work() -> None:
    states = [
        CellState("a", "done", seconds=10.0),
        CellState("b", "done", seconds=20.0),
        CellState("c", "running", share=0.5),
        CellState("d", "waiting"),
        CellState("e", "failed"),
    ]
    assert tally(states, slots=1).seconds_left == pytest.approx(22.5)
    assert tally(states, slots=2).seconds_left == pytest.approx(11.25)
    assert tally(states[2:]).seconds_left is None
    assert tally(states[:2]).seconds_left == 0.0
    assert tally(states).counts["done"] == 2

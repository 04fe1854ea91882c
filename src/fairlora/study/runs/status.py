"""Status of a study's cells, read from their folders alone: any process may ask, at any time."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fairlora.errors import InputError
from fairlora.io import read_content
from fairlora.study.runs.content import Told
from fairlora.study.runs.folder import RunFolder

State = Literal["done", "running", "failed", "preempted", "waiting", "broken"]
# A worker on another machine that has not been heard of for so long is taken for dead.
SILENCE_SECONDS = 600.0


@dataclass(frozen=True)
class CellState:
    """One cell as its folder tells it.

    Attributes
    ----------
    state : "done", with a `reason` where somebody's change was accepted; "running" (a living
        process writes in it); "failed" or "preempted" with the `reason`; "waiting" (never run, or
        its process died without a word); "broken" (`RunFolder.whole`), with the reason.
    share : of the work that a running cell has done, 0 to 1.
    seconds : how long it took, or has been running.
    """

    name: str
    state: State
    reason: str = ""
    share: float = 0.0
    seconds: float | None = None
    phase: str = ""


def state_of(folder: RunFolder, identity: str | None = None) -> CellState:
    """The state of one cell. A broken one is a state, not an error: others are fine.

    `identity` is what the cell must be, where that is known.
    """
    name = folder.path.name
    try:
        whole = folder.whole(identity)
        if whole is not None:
            return CellState(name, "done", whole.changes, share=1.0, seconds=whole.seconds)
        running = _running(folder)
        if running is not None:
            return running
        status = folder.status()
    except InputError as error:
        return CellState(name, "broken", str(error))
    if status is None or status.state == "finished":
        return CellState(name, "waiting")  # finished in this very moment, if at all
    return CellState(name, status.state, status.reason, seconds=status.seconds)


def _running(folder: RunFolder) -> CellState | None:
    try:
        told = read_content(folder.path / "progress.json", Told)
    except InputError:
        return None  # of no use, and replaced in two seconds
    if told is None or not _alive(told):
        return None
    started = told.time if told.started is None else told.started
    return CellState(
        folder.path.name,
        "running",
        told.message,
        min(1.0, max(0.0, told.done / told.total)) if told.total else 0.0,
        time.time() - started,
        told.phase,
    )


def _alive(told: Told) -> bool:
    """Whether the process that wrote this still lives, as far as can be told from here."""
    if told.host != socket.gethostname():
        return time.time() - told.time < SILENCE_SECONDS
    try:
        os.kill(told.pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def list_store(root: Path) -> list[CellState]:
    """Every cell on disk below a study's folder, by name; folders that hold no run are left out."""
    try:
        with os.scandir(root) as entries:
            names = sorted(e.name for e in entries if e.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError("cannot read this folder", where=root, found=error.strerror) from error
    states = []
    for name in names:
        path = root / name
        if (path / "status.json").exists() or (path / "environment.json").exists():
            states.append(state_of(RunFolder(path)))
    return states


@dataclass(frozen=True)
class Tally:
    """How many cells are in each state, and how long the rest may take."""

    counts: Counter[str]
    seconds_left: float | None


def tally(states: Sequence[CellState], slots: int = 1) -> Tally:
    """Count the states, and estimate the time left from the cells that are done.

    Parameters
    ----------
    slots : how many cells run at a time.
    """
    counts: Counter[str] = Counter(s.state for s in states)
    took = [s.seconds for s in states if s.state == "done" and s.seconds]
    left = [s for s in states if s.state in ("waiting", "running", "preempted")]
    if not left:
        return Tally(counts, 0.0)
    if not took:
        return Tally(counts, None)
    work = sum(1 - s.share for s in left) * sum(took) / len(took)
    return Tally(counts, work / max(1, min(slots, len(left))))

"""Status of a study's cells, read from their folders alone: any process may ask, at any time."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fairlora.errors import InputError
from fairlora.study.runs.folder import RunFolder

State = Literal["done", "running", "failed", "preempted", "waiting", "unreadable"]
# A worker on another machine that has not been heard of for so long is taken for dead.
SILENCE_SECONDS = 600.0


@dataclass(frozen=True)
class CellState:
    """One cell as its folder tells it.

    Attributes
    ----------
    state : "done"; "running" (a living process writes in it); "failed" or "preempted" with the
        `reason`; "waiting" (never run, or its process died without a word); "unreadable".
    share : of the work that a running cell has done, 0 to 1.
    seconds : how long it took, or has been running.
    """

    name: str
    state: State
    reason: str = ""
    share: float = 0.0
    seconds: float | None = None
    phase: str = ""


def state_of(folder: RunFolder) -> CellState:
    """The state of one cell. An unreadable file is a state, not an error: others are fine."""
    name = folder.path.name
    try:
        status = folder.status()
        if status is None or status.get("state") != "finished":
            running = _running(folder)
            if running is not None:
                return running
    except InputError as error:
        return CellState(name, "unreadable", str(error))
    if status is None:
        return CellState(name, "waiting")
    seconds, reason = status.get("seconds"), str(status.get("reason", ""))
    match status.get("state"):
        case "finished":
            return CellState(name, "done", share=1.0, seconds=seconds)
        case "preempted":
            return CellState(name, "preempted", reason, seconds=seconds)
        case "failed":
            return CellState(name, "failed", reason, seconds=seconds)
        case other:
            return CellState(name, "unreadable", f"status.json: state {other!r}")


def _running(folder: RunFolder) -> CellState | None:
    try:
        progress: dict[str, Any] = json.loads((folder.path / "progress.json").read_text("utf-8"))
        if not _alive(progress):
            return None
        done, total = float(progress.get("done", 0)), float(progress.get("total", 0))
        return CellState(
            folder.path.name,
            "running",
            str(progress.get("message", "")),
            min(1.0, done / total) if total else 0.0,
            time.time() - float(progress.get("started", progress.get("time", time.time()))),
            str(progress.get("phase", "")),
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _alive(told: dict[str, Any]) -> bool:
    """Whether the process that wrote this still lives, as far as can be told from here."""
    if told.get("host") != socket.gethostname():
        return time.time() - float(told.get("time", 0)) < SILENCE_SECONDS
    try:
        os.kill(int(told["pid"]), 0)
    except ProcessLookupError:
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

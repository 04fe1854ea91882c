"""One worker process as the engine that started it sees it. Its other end is `serve`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fairlora.study.engines.jobs import Job, Report

# How much of a log's end is read, and how much of it a reason may hold.
TAIL_BYTES, TAIL_CHARACTERS = 8192, 300


class WorkerProcess:
    """A fresh interpreter that does jobs; what it prints goes to a log of its own.

    Parameters
    ----------
    environment : over this process's environment.
    log : the file that its standard output and error are added to.

    Raises `OSError` where no process can be started.
    """

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self.ready = False
        self.stopping = False
        self.assigned: Any = None  # what the job at hand is to whoever sent it
        self._unread = b""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                # -P: a file in the current folder must not pass for a module.
                [sys.executable, "-P", "-m", "fairlora.study.engines.serve"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **environment},
                # A group of its own: Ctrl-C is for the engine, which tells the workers.
                start_new_session=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders, self._replies = self._process.stdin, self._process.stdout
        os.set_blocking(self._replies.fileno(), False)
        self._since = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        """Its replies, for a selector."""
        return self._replies.fileno()

    def send(self, job: Job, wait: float) -> None:
        """Give it a job; one that has died meanwhile says so by `ended`."""
        self._since = self._log_size()
        self._order({"job": asdict(job), "wait": wait})

    def stop(self) -> None:
        """Tell it to stop what it does, and to end; what can be saved is saved."""
        self.stopping = True
        self._order({"stop": True})

    def _order(self, order: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._orders.write(json.dumps(order).encode() + b"\n")
            self._orders.flush()

    def read(self) -> list[Report]:
        """The reports that have come, without waiting."""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self.fileno(), 65536):
                self._unread += chunk
        *lines, self._unread = self._unread.split(b"\n")
        reports = []
        for line in lines:
            if b'"ready"' in line[:10]:
                self.ready = True
            else:
                reports.append(Report.from_json(line.decode()))
        return reports

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def dismiss(self) -> None:
        """Tell it that no more orders come."""
        with contextlib.suppress(BrokenPipeError):
            self._orders.close()

    def close(self, seconds: float) -> None:
        """Wait for its end, or end it by force, with all that it started."""
        self.dismiss()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        clean = self._process.poll() == 0
        # Also after its own end: loaders that it left would hold the cell's lock.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._replies.close()
        if clean and not self._said():
            self.log.unlink(missing_ok=True)

    def _said(self) -> bool:
        """Whether its log holds more than the names of its jobs."""
        try:
            with self.log.open("rb") as file:
                return any(not line.startswith(b"== ") for line in file)
        except OSError:
            return False

    def _log_size(self) -> int:
        try:
            return self.log.stat().st_size
        except OSError:
            return 0

    def end(self) -> End:
        """How the process ended, which it has."""
        code = self._process.wait()
        return End(code, last_words(self.log, self._since), self.log)


@dataclass(frozen=True)
class End:
    """How a process ended: its exit code (below 0: by that signal), its last words, its log."""

    code: int
    words: str
    log: Path

    def __str__(self) -> str:
        if self.code < 0:
            try:
                how = f"was killed by {signal.Signals(-self.code).name}"
            except ValueError:
                how = f"was killed by signal {-self.code}"
        else:
            how = f"ended with code {self.code}"
        if self.code == -signal.SIGKILL:
            how += (
                ", as the system does when memory runs out: run fewer processes, or lower "
                "training.batch_size"
            )
        return how + (f"; its last words: {self.words}" if self.words else "") + f" ({self.log})"


def last_words(log: Path, since: int = 0) -> str:
    """The last lines of a log after byte `since`, as one; empty where there are none."""
    try:
        with log.open("rb") as file:
            file.seek(max(since, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(line for line in lines[-3:] if not line.startswith("== "))[-TAIL_CHARACTERS:]

"""One worker process as the engine that started it sees it. Its other end is `serve`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from fairlora.study.engines.jobs import Job, Report

LOOK_SECONDS = 0.5
# How much of a log's end is read, and how much of it a reason may hold.
TAIL_BYTES, TAIL_CHARACTERS = 8192, 300


class WorkerProcess:
    """A fresh interpreter that does jobs; what it prints goes to a log of its own.

    Parameters
    ----------
    environment : over this process's environment.
    log : the file that its standard output and error are added to.
    module : what it runs; the other end of `order` and `reply`.

    Raises `OSError` where no process can be started.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        log: Path,
        module: str = "fairlora.study.engines.serve",
    ) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                # -P: a file in the current folder must not pass for a module.
                [sys.executable, "-P", "-m", module],
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
        self._read = b""  # replies that came beside the one that was asked for
        self._since = 0
        self._up = False
        self.asked = False  # for anything

    @property
    def pid(self) -> int:
        return self._process.pid

    def comes_up(self) -> bool:
        """Whether it is ready for jobs, which the first time is waited for; False if it ended."""
        self._up = self._up or self.reply() is not None
        return self._up and not self.ended

    def do(self, jobs: Sequence[Job], seconds: float) -> list[Report] | None:
        """Have it do a pack of jobs and wait for the reports; None where it ends without them.

        `seconds` : how long it may wait for a folder that another process holds.
        """
        with contextlib.suppress(OSError):
            self._since = self.log.stat().st_size
        line = self.ask({"jobs": [asdict(job) for job in jobs], "wait": seconds})
        return None if line is None else [Report(**report) for report in json.loads(line)]

    def ask(self, order: dict[str, Any]) -> str | None:
        """Tell it something and wait for its answer; None where it ends without one."""
        self.asked = True
        self.order(order)
        return self.reply()

    def stop(self) -> None:
        """Tell it to stop what it does, and to end; what can be saved is saved."""
        self.order({"stop": True})

    def order(self, order: dict[str, Any]) -> None:
        """Tell it something, unless it is gone."""
        with contextlib.suppress(BrokenPipeError, ValueError):  # it ended; its orders are closed
            self._orders.write(json.dumps(order).encode() + b"\n")
            self._orders.flush()

    def reply(self) -> str | None:
        """Its next line; None where it is gone, though what it left may hold the pipe open."""
        gone = False
        # Not by `readline`: lines that came together would lie in its buffer, where no wait on the
        # pipe sees them.
        while b"\n" not in self._read:
            if wait([self._replies.fileno()], LOOK_SECONDS):
                more = os.read(self._replies.fileno(), 1 << 16)
                if not more:
                    return None
                self._read += more
            elif gone:
                return None
            else:
                gone = self.ended  # what it said last is read all the same
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()

    def ends(self, seconds: float) -> bool:
        """Wait so long for its end; whether it came."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.ended

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def dismiss(self) -> None:
        """Tell it that no more orders come."""
        with contextlib.suppress(BrokenPipeError):
            self._orders.close()

    def kill(self) -> None:
        """End it by force, with all that it started: its loaders would hold the cell's lock."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self, seconds: float) -> None:
        """Wait for its end, or end it by force, with all that it started."""
        self.dismiss()
        self.ends(seconds if self.asked else 0.0)  # else there is nothing that it could save
        clean = self._process.poll() == 0
        self.kill()
        self._process.wait()
        self._replies.close()
        if (clean or not self.asked) and not self._said():
            self.log.unlink(missing_ok=True)

    def _said(self) -> bool:
        """Whether its log holds more than the names of its jobs."""
        try:
            with self.log.open("rb") as file:
                return any(not line.startswith(b"== ") for line in file)
        except OSError:
            return False

    def how_it_ended(self) -> str:
        """How the process ended, which it has: see `describe_end`."""
        return describe_end(self._process.wait(), last_words(self.log, self._since), self.log)


def describe_end(code: int, words: str, log: Path) -> str:
    """How a process ended, in words.

    Parameters
    ----------
    code : its exit code; below 0, the signal that killed it.
    words : the last that it printed; "" where there is nothing.
    log : where to read more.
    """
    how = f"ended with code {code}"
    if code < 0:
        known = -code in {number.value for number in signal.Signals}
        how = f"was killed by {signal.Signals(-code).name if known else f'signal {-code}'}"
    if code == -signal.SIGKILL:
        how += (
            ", as the system does when memory runs out: run fewer processes, or lower "
            "training.batch_size"
        )
    return how + (f"; its last words: {words}" if words else "") + f" ({log})"


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

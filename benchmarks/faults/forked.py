"""A command of fairlora in a fork of this process: imports are paid once, and it may be killed."""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from io import StringIO
from typing import NamedTuple

LIMIT_SECONDS = 240.0


class Done(NamedTuple):
    """What a command left; `code`: None where it never ended, negative after a signal."""

    code: int | None
    out: str
    err: str


@dataclass
class Running:
    """A command at work in a process group of its own, and what it has printed so far."""

    process: int
    pipes: tuple[int, int]
    printed: tuple[bytearray, bytearray] = field(default_factory=lambda: (bytearray(), bytearray()))

    def wait(self, *, kill: tuple[int, float] | None = None) -> Done:
        """Wait for its end; send it the signal `kill[0]` after `kill[1]` seconds."""
        start = time.monotonic()
        while True:
            self.read()
            ended, status = os.waitpid(self.process, os.WNOHANG)
            if ended:
                return self._done(os.waitstatus_to_exitcode(status))
            passed = time.monotonic() - start
            if kill is not None and passed >= kill[1]:
                with suppress(ProcessLookupError):  # not the leader of its group yet
                    os.killpg(self.process, kill[0])
                    kill = None
            if passed > LIMIT_SECONDS:
                os.killpg(self.process, signal.SIGKILL)
                os.waitpid(self.process, 0)
                return self._done(None)
            time.sleep(0.01)

    def read(self) -> None:
        """Take what it has printed, so that it never waits for us."""
        for pipe, text in zip(self.pipes, self.printed, strict=True):
            with suppress(BlockingIOError):
                while more := os.read(pipe, 65536):
                    text += more

    def _done(self, code: int | None) -> Done:
        self.read()
        for pipe in self.pipes:
            os.close(pipe)
        return Done(code, *(text.decode("utf-8", "replace") for text in self.printed))


def start(
    words: list[object] | Callable[[], object], *, prepare: Callable[[], None] | None = None
) -> Running:
    """Start `fairlora WORDS`, or a function whose answer is printed, in a fork.

    Parameters
    ----------
    words : the words of a command, or what to call instead.
    prepare : called in the fork before, to set limits.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    ends = [os.pipe(), os.pipe()]
    process = os.fork()
    if process:
        for read, write in ends:
            os.close(write)
            os.set_blocking(read, False)
        return Running(process, (ends[0][0], ends[1][0]))
    code = 1
    try:
        os.setsid()
        for number, (_, write) in zip((1, 2), ends, strict=True):
            os.dup2(write, number)
        if prepare is not None:
            prepare()
        code = _call(words)
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _call(words: list[object] | Callable[[], object]) -> int:
    if callable(words):
        print(words())
        return 0
    from fairlora.cli import main

    sys.argv = ["fairlora", *map(str, words)]
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def fairlora(*words: object, prepare: Callable[[], None] | None = None) -> Done:
    """Run `fairlora WORDS` in a fork to its end."""
    return start(list(words), prepare=prepare).wait()


def import_what_these_need(commands: list[list[object]]) -> None:
    """Import here what the commands import in a fork, so that no later fork has to."""
    for words in commands:

        def names(words: list[object] = words) -> str:
            with redirect_stdout(StringIO()):
                _call(words)
            return "MODULES" + json.dumps(sorted(sys.modules))

        found = start(names).wait().out
        for name in json.loads(found.partition("MODULES")[2] or "[]"):
            with suppress(Exception):  # some modules are none that can be asked for by name
                importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a fork need not go through what is imported

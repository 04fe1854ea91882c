"""How a case ended, and what every command must keep to."""

from __future__ import annotations

from typing import Literal, NamedTuple

from forked import Done

Kind = Literal["survived", "refused", "wrong", "broken"]


class Outcome(NamedTuple):
    """A case's end: what was done, how it ended, and for a fault what was seen."""

    kind: Kind
    what: str
    seen: str = ""


class Fault(Exception):
    """A command broke its word: a traceback, no end, an exit code of its own, no reason."""


def keeps_its_word(done: Done, *, killed: bool = False) -> bool:
    """Whether the command refused in one line; raises `Fault` for what no command may do."""
    if done.code is None:
        raise Fault("it never ended")
    for text in (done.err, done.out):
        if "Traceback (most recent call last)" in text:
            raise Fault(text.strip()[-400:])
    if killed:
        return False
    if done.code not in (0, 1, 2):
        raise Fault(f"exit code {done.code}: {done.err[-300:]}")
    if done.code == 0:
        return False
    lines = [line for line in done.err.splitlines() if line.strip()]
    if done.code == 2 and not (lines and lines[-1].startswith("fairlora: ")):
        raise Fault(f"exit code 2 without one line: {done.err[-300:]}")
    return done.code == 2

"""Kills: `study run` gets a signal at a random moment, once or more, and is then run again."""

from __future__ import annotations

import signal
from pathlib import Path
from random import Random

from forked import fairlora, start
from outcome import Outcome, keeps_its_word

from study import Truth, differences


def one(draw: Random, place: Path, truth: Truth) -> Outcome:
    """Kill a study of its own at random moments; its end must be the undisturbed one's."""
    engine = draw.choice(["inline"] * 11 + ["local"])
    run = ["study", "run", truth.file, "--out", place / "runs", "--engine", engine]
    told = []
    for _ in range(draw.randint(1, 3)):
        name = draw.choice(["SIGKILL", "SIGKILL", "SIGTERM", "SIGINT"])
        after = draw.uniform(0.0, truth.seconds * 1.1)
        told.append(f"{name} after {after:.2f} s")
        done = start(run).wait(kill=(getattr(signal, name), after))
        keeps_its_word(done, killed=True)
    what = f"{engine}: {', '.join(told)}"
    done = fairlora(*run)
    if keeps_its_word(done) or done.code:
        return Outcome("broken", what, done.err[-400:])
    seen = differences(place / "runs" / "small", truth)
    return Outcome("wrong" if seen else "survived", what, seen)

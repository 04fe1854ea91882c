"""Progress of a run, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One report of a run: for bars and log lines."""

    phase: str  # "training", "predicting"
    done: int
    total: int
    message: str = ""
    detail: str = ""  # where in the phase: "epoch 1.25 of 3"


Watcher = Callable[[Progress], None]

"""What an engine is: something that runs jobs and says what became of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from fairlora.study.jobs import Job, Report

Ended = Callable[[Report], None]


class Engine(Protocol):
    """Runs jobs. A failing job stops no other.

    `slots` is how many cells run at a time, as far as the engine knows.
    """

    @property
    def slots(self) -> int: ...

    def run(self, jobs: Sequence[Job], ended: Ended) -> list[Report]:
        """Run all `jobs`; returns a report a job, in their order.

        `ended` is called in this process, once a job, when its report is there. Progress within a
        cell is read from the cell's own folder (``progress.json``). On KeyboardInterrupt, workers
        are told to stop (SIGTERM: a checkpoint is saved where the study says so) and the exception
        goes on.
        """
        ...

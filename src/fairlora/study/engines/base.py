"""An engine: it runs jobs and reports each."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Self

from fairlora.study.engines.jobs import Job, Report
from fairlora.study.runs.precision import Precision, Shape, measure_aside

Ended = Callable[[Report], None]


def _warn(line: str) -> None:
    warnings.warn(line, stacklevel=3)


class Engine:
    """Runs jobs. A failing job stops no other.

    An engine that is used in a ``with`` keeps what it started (processes, a connection) from one
    `run` to the next: `open` and `close` are called with the outermost ``with``. An engine's `run`
    is itself one, so that without another every run starts and ends its own.

    Attributes
    ----------
    slots : how many cells run at a time, as far as the engine knows.
    here : whether cells run on this machine.
    cell_threads : CPU threads of a cell; None is torch's own number.
    notify : takes what people should know while they wait, a line at a time; a warning unless it is
        set.
    """

    slots: int
    here: bool = False
    cell_threads: int | None = None
    notify: Callable[[str], None] = staticmethod(_warn)
    _depth = 0

    def run(self, jobs: Sequence[Job], ended: Ended) -> list[Report]:
        """Run all `jobs`; returns a report a job, in their order.

        `ended` is called in this process, once a job, when its report is there. Progress within a
        cell is read from the cell's own folder (``progress.json``). On KeyboardInterrupt, workers
        are told to stop (as by SIGTERM: a checkpoint is saved where the study says so) and the
        exception goes on.
        """
        raise NotImplementedError

    def open(self) -> None:
        """Start or connect to what every run needs."""

    def close(self) -> None:
        """End what was started."""

    def warm(self) -> None:
        """Start, without waiting, what takes long and is surely needed soon."""

    def measure(self, shapes: Sequence[Shape]) -> Precision | None:
        """Time products of these shapes as a cell on this machine would do them.

        Returns None where that fails.
        """
        return measure_aside(shapes, self.cell_threads)

    def __enter__(self) -> Self:
        if self._depth == 0:
            self.open()
        self._depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.close()

"""Cells in several long-lived processes of this machine."""

from __future__ import annotations

import contextlib
import os
import selectors
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from fairlora.errors import InputError
from fairlora.study.engines.base import Ended, Held
from fairlora.study.engines.devices import available_gpus, threads_each
from fairlora.study.engines.jobs import Job, Report, State
from fairlora.study.engines.process import WorkerProcess
from fairlora.study.engines.worker import THREAD_VARIABLES

RETRIES = 1
# Workers that do not come up at all: so many in a row, and their place is given up.
FAILED_STARTS = 3
# What a dead worker started may hold its cell's lock for some seconds longer.
ORPHAN_SECONDS = 60.0
LOOK_SECONDS = 0.5
CLOSE_SECONDS = 10.0


@dataclass
class _Task:
    """A job on its way. `place` is that of its report."""

    place: int
    job: Job
    attempt: int = 0


class LocalEngine(Held):
    """Runs jobs in processes of this machine, each on its share of the cores and on one GPU.

    Parameters
    ----------
    processes : how many cells run at a time; None is one a GPU, and one where there is none.
    threads : CPU threads of each process; None shares out the cores.
    gpus : what CUDA_VISIBLE_DEVICES calls them, given out in turn; None is all, empty is none.
    logs : folder for what the processes print (default: ``logs`` beside the first job's folder).
    grace : seconds that a cell may take to save when the study is interrupted.

    A process that dies is replaced and its cell run once more; a cell that takes its process down
    twice is "lost".
    """

    def __init__(
        self,
        processes: int | None = None,
        threads: int | None = None,
        gpus: Sequence[str] | None = None,
        *,
        logs: Path | None = None,
        grace: float = 60.0,
    ) -> None:
        self._hides = gpus is not None
        self.gpus = tuple(available_gpus() if gpus is None else gpus)
        self.slots = max(1, len(self.gpus)) if processes is None else processes
        if self.slots < 1:
            raise InputError("no process to run in", where="engine.processes", found=self.slots)
        self.threads = threads_each(self.slots) if threads is None else threads
        self.logs, self.grace = logs, grace
        self.workers: dict[int, WorkerProcess] = {}  # by their place among `slots`
        self._numbers = count()

    def run(self, jobs: Sequence[Job], ended: Ended) -> list[Report]:
        """Run the jobs, as many at a time as there are processes; see `Engine.run`."""
        if not jobs:
            return []
        with self:
            run = _Run(self, jobs, ended)
            try:
                return run.to_the_end()
            except BaseException:
                # Ctrl-C, or a fault of whoever listens: nothing goes on behind their back.
                try:
                    run.stop()
                finally:
                    self._end(0.0)
                raise

    def close(self) -> None:
        """End the processes."""
        self._end(CLOSE_SECONDS)

    def _end(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for worker in self.workers.values():
            worker.dismiss()  # all at once: to leave takes a process with torch some seconds
        while self.workers:
            _, worker = self.workers.popitem()
            worker.close(max(0.0, deadline - time.monotonic()))

    def worker(self, place: int, beside: Job) -> WorkerProcess:
        """The living process of a place, started if need be. `beside`: a job whose study it is."""
        worker = self.workers.get(place)
        if worker is not None and worker.ended and worker.assigned is None:
            self.drop(place)
            worker = None
        if worker is None:
            logs = self.logs or Path(beside.folder).parent / "logs"
            stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{next(self._numbers)}"
            environment = dict.fromkeys(THREAD_VARIABLES, str(self.threads))
            if self.gpus:
                environment["CUDA_VISIBLE_DEVICES"] = self.gpus[place % len(self.gpus)]
            elif self._hides:
                environment["CUDA_VISIBLE_DEVICES"] = ""
            worker = WorkerProcess(environment, logs / f"local-{stamp}.log")
            self.workers[place] = worker
        return worker

    def drop(self, place: int, seconds: float = 0.0) -> None:
        """Clear away a process that has ended or will within `seconds`, with what it left."""
        self.workers.pop(place).close(seconds)


class _Run:
    """One `LocalEngine.run`: which job is where, and what came back."""

    def __init__(self, engine: LocalEngine, jobs: Sequence[Job], ended: Ended) -> None:
        self.engine, self.ended = engine, ended
        self.reports: list[Report | None] = [None] * len(jobs)
        self.waiting = deque(_Task(place, job) for place, job in enumerate(jobs))
        self.failed_starts = dict.fromkeys(range(min(engine.slots, len(jobs))), 0)
        self.why = ""  # the last start failed
        self.stopping = False

    def to_the_end(self) -> list[Report]:
        while self.waiting or self._busy():
            self._hand_out()
            self._listen()
        assert all(report is not None for report in self.reports)
        return [report for report in self.reports if report is not None]

    def _busy(self) -> dict[int, WorkerProcess]:
        return {p: w for p, w in self.engine.workers.items() if w.assigned is not None}

    def _hand_out(self) -> None:
        for place in list(self.failed_starts):
            if not self.waiting:
                return
            worker = self.engine.workers.get(place)
            if worker is not None and worker.assigned is not None:
                continue
            try:
                worker = self.engine.worker(place, self.waiting[0].job)
            except OSError as error:
                self._failed_start(place, f"{error.filename}: {error.strerror}")
                continue
            task = worker.assigned = self.waiting.popleft()
            worker.send(task.job, ORPHAN_SECONDS if task.attempt else 0.0)
        if not self.failed_starts:
            for task in self.waiting:
                self._report(task, "lost", f"no worker process comes up: {self.why}")
            self.waiting.clear()

    def _failed_start(self, place: int, why: str) -> None:
        self.why = why
        self.failed_starts[place] += 1
        if self.failed_starts[place] >= FAILED_STARTS:
            del self.failed_starts[place]

    def _listen(self) -> None:
        """Wait a moment for replies, and see who has died."""
        busy = self._busy()
        with selectors.DefaultSelector() as selector:
            for worker in busy.values():
                selector.register(worker, selectors.EVENT_READ)
            selector.select(LOOK_SECONDS)
        for place, worker in busy.items():
            # Asked before reading: what it said last is read all the same.
            gone = worker.ended
            self._take(place, worker)
            if gone and worker.assigned is not None:
                self._died(place, worker)

    def _take(self, place: int, worker: WorkerProcess) -> None:
        for report in worker.read():
            task, worker.assigned = worker.assigned, None
            if report.state == "preempted":
                self.engine.drop(place, CLOSE_SECONDS)  # it leaves by itself
            self._keep(task, report)
        if worker.ready and place in self.failed_starts:
            self.failed_starts[place] = 0

    def _died(self, place: int, worker: WorkerProcess) -> None:
        task: _Task = worker.assigned
        end = worker.end()
        self.engine.drop(place)
        with contextlib.suppress(OSError):
            (Path(task.job.folder) / "progress.json").unlink(missing_ok=True)
        if worker.stopping:
            self._report(task, "preempted", f"stopped; its process {end}")
        elif not worker.ready:
            self._failed_start(place, f"the last one {end}")
            self.waiting.appendleft(task)
        elif task.attempt < RETRIES:
            task.attempt += 1
            self.waiting.append(task)
        else:
            self._report(task, "lost", f"its process {end}, for the second time")

    def _report(self, task: _Task, state: State, reason: str) -> None:
        self._keep(task, Report(task.job.folder, state, reason))

    def _keep(self, task: _Task, report: Report) -> None:
        self.reports[task.place] = report
        # Whoever interrupted may fail again; what cells save is not for them to break off.
        with contextlib.suppress(*([Exception] if self.stopping else [])):
            self.ended(report)

    def stop(self) -> None:
        """Tell every worker to save and stop; wait for them as long as `grace` says."""
        self.stopping = True
        for worker in self._busy().values():
            worker.stop()
        deadline = time.monotonic() + self.engine.grace
        while self._busy() and time.monotonic() < deadline:
            self._listen()

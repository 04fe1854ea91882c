"""Run cells in several long-lived processes of this machine."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from itertools import count
from pathlib import Path

from fairlora.errors import InputError
from fairlora.study.engines.base import Ended, Engine
from fairlora.study.engines.devices import available_cores, available_gpus, threads_each
from fairlora.study.engines.jobs import Job, Report, State
from fairlora.study.engines.packs import packs
from fairlora.study.engines.process import LOOK_SECONDS, WorkerProcess
from fairlora.study.engines.worker import THREAD_VARIABLES
from fairlora.study.runs.memory import processes_that_fit
from fairlora.study.runs.precision import Precision, Shape

RETRIES = 1
# After so many processes in a row that do not come up, their slot is given up.
FAILED_STARTS = 3
# What a dead worker started may hold its cell's lock for some seconds longer.
ORPHAN_SECONDS = 60.0
CLOSE_SECONDS = 10.0


class LocalEngine(Engine):
    """Runs jobs in processes of this machine, each on its share of the cores and on one GPU.

    A thread pool, whose threads each wait for a process of their own, and no ProcessPoolExecutor:
    there one dead worker breaks the whole pool and its exit code is lost, all workers have one
    environment (here each has its GPU and threads, set before torch is loaded), and none leads a
    process group, which is what clears away the data loaders that a killed worker leaves.

    Parameters
    ----------
    processes : how many cells run at a time; None is one a GPU, and where there is none one a core,
        as many as fit in memory and have a cell to run.
    stack : how many adapters each process trains in one pass, where they can be.
    threads : CPU threads of each process; None shares out the cores.
    cell_bytes : about what a cell takes of memory.
    cells : how many there are to run at most; None is not known.
    gpus : what CUDA_VISIBLE_DEVICES calls them, given out in turn; None is all, empty is none.
    logs : folder for what the processes print (default: ``logs`` beside the first job's folder).
    grace : seconds that a cell may take to save when the study is interrupted.

    A process that dies is replaced and its cell run once more; a cell that takes its process down
    twice is "lost".
    """

    here = True

    def __init__(
        self,
        processes: int | None = None,
        threads: int | None = None,
        gpus: Sequence[str] | None = None,
        *,
        cell_bytes: int = 0,
        cells: int | None = None,
        stack: int = 1,
        logs: Path | None = None,
        grace: float = 60.0,
    ) -> None:
        self._hides = gpus is not None
        self.gpus = tuple(available_gpus() if gpus is None else gpus)
        if processes is None:
            processes = len(self.gpus) or processes_that_fit(available_cores(), cell_bytes)
            if cells is not None:
                processes = min(processes, max(1, cells))  # the cores are for those that run
        self.slots = processes
        if self.slots < 1:
            raise InputError("no process to run in", where="engine.processes", found=self.slots)
        self.threads = threads_each(self.slots) if threads is None else threads
        self.cell_threads = self.threads
        self.logs, self.grace, self.stack = logs, grace, stack
        self.workers: dict[int, WorkerProcess] = {}  # by slot
        self._numbers = count()

    def run(self, jobs: Sequence[Job], ended: Ended) -> list[Report]:
        """Run the jobs, as many at a time as there are processes; see `Engine.run`."""
        if not jobs:
            return []
        with self:
            together = packs(jobs, self.stack)
            run = _Run(self, min(self.slots, len(together)))
            with ThreadPoolExecutor(run.slots) as pool:
                futures = [pool.submit(run.work, pack) for pack in together]
                left = set(futures)
                try:
                    while left:
                        # Not for ever: Python hears of Ctrl-C between two waits, whatever the
                        # thread that the system told.
                        done, _ = wait(left, LOOK_SECONDS, FIRST_COMPLETED)
                        for future in done:
                            left.remove(future)
                            for report in future.result():
                                ended(report)
                except BaseException:
                    # Ctrl-C, or a fault of whoever listens: nothing goes on behind their back.
                    pool.shutdown(wait=False, cancel_futures=True)
                    run.stop(left, ended)
                    raise
        reports = {report.folder: report for future in futures for report in future.result()}
        return [reports[job.folder] for job in jobs]

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """End the processes, by force those that take longer than so many seconds."""
        deadline = time.monotonic() + seconds
        for worker in self.workers.values():
            worker.dismiss()  # all at once: to leave takes a process with torch some seconds
        while self.workers:
            _, worker = self.workers.popitem()
            worker.close(max(0.0, deadline - time.monotonic()))

    def warm(self) -> None:
        """Start all processes: they load torch while the study's data are read and checked."""
        if self.logs is None:
            return  # the first job says where
        for slot in range(self.slots):
            with contextlib.suppress(OSError):  # it is said when there is a job
                self.start(slot, self.logs)

    def measure(self, shapes: Sequence[Shape]) -> Precision | None:
        """Time products in a process that will run cells, with its cores and its GPU."""
        worker = self.workers.get(0)
        if worker is None:
            return super().measure(shapes)
        order = {"measure": list(shapes), "threads": self.threads}
        answer = worker.ask(order) if worker.comes_up() else None
        if answer is None:
            self.drop(0)
            return None
        return Precision.model_validate_json(answer) if answer != "null" else None

    def start(self, slot: int, logs: Path) -> WorkerProcess:
        """Start the process of a slot, which prints into a file of this folder."""
        stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{next(self._numbers)}"
        environment = dict.fromkeys(THREAD_VARIABLES, str(self.threads))
        if self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpus[slot % len(self.gpus)]
        elif self._hides:
            environment["CUDA_VISIBLE_DEVICES"] = ""
        worker = self.workers[slot] = WorkerProcess(environment, logs / f"local-{stamp}.log")
        return worker

    def drop(self, slot: int, seconds: float = 0.0) -> str:
        """Clear away a process that has ended or will within `seconds`; returns how it ended."""
        worker = self.workers.pop(slot)
        worker.close(seconds)
        return worker.how_it_ended()


class _Run:
    """One `LocalEngine.run`: what its threads share."""

    def __init__(self, engine: LocalEngine, slots: int) -> None:
        self.engine, self.slots = engine, slots
        # None comes after the last slot was given up: no job need wait for one.
        self.free: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        for slot in range(slots):
            self.free.put(slot)
        self.why = ""  # the last start failed
        self.stopping = False
        self.lock = threading.Lock()  # nothing is started once stopping

    def work(self, pack: Sequence[Job], deaths: int = 0) -> list[Report]:
        """Run a pack of jobs in the process of a free slot; after a death once more, each alone."""

        def all_of(state: State, reason: str) -> list[Report]:
            return [Report(job.folder, state, reason) for job in pack]

        while (slot := self.free.get()) is not None:
            worker = self._ready_worker(slot, pack[0])
            if worker is None:
                continue  # another slot may do
            reports = worker.do(pack, ORPHAN_SECONDS if deaths else 0.0)
            how = ""
            if reports is None or any(report.state == "preempted" for report in reports):
                how = self.engine.drop(slot, CLOSE_SECONDS if reports else 0.0)
            self.free.put(slot)
            if reports is not None:
                return reports
            for job in pack:
                with contextlib.suppress(OSError):
                    (Path(job.folder) / "progress.json").unlink(missing_ok=True)
            if self.stopping:
                return all_of("preempted", f"stopped; its process {how}")
            if deaths == RETRIES:
                return all_of("lost", f"its process {how}, for the second time")
            deaths += 1
            if len(pack) > 1:
                return [report for job in pack for report in self.work([job], deaths)]
        self.free.put(None)
        if self.stopping:
            return all_of("preempted", "stopped before it began")
        return all_of("lost", f"no worker process comes up: {self.why}")

    def _ready_worker(self, slot: int, job: Job) -> WorkerProcess | None:
        """The living process of a slot; None where none comes up, and the slot is given up."""
        worker = self.engine.workers.get(slot)
        if worker is not None:
            if worker.comes_up():
                return worker
            self.engine.drop(slot)
        for _ in range(FAILED_STARTS):
            try:
                with self.lock:
                    if self.stopping:
                        break
                    logs = self.engine.logs or Path(job.folder).parent / "logs"
                    worker = self.engine.start(slot, logs)
            except OSError as error:
                self.why = f"{error.filename}: {error.strerror}"
                continue
            if worker.comes_up():
                return worker
            self.why = f"the last one {self.engine.drop(slot)}"
        with self.lock:
            self.slots -= 1
            if not self.slots:
                self.free.put(None)
        return None

    def stop(self, left: set[Future[list[Report]]], ended: Ended) -> None:
        """Have every worker save and stop; those that take longer than `grace` are killed."""
        with self.lock:
            self.stopping = True
        try:
            for worker in list(self.engine.workers.values()):
                worker.stop()
            running = [future for future in left if not future.cancelled()]
            with contextlib.suppress(TimeoutError):
                for future in as_completed(running, self.engine.grace):
                    # Whoever interrupted may fail again; what cells save is not for them to break.
                    with contextlib.suppress(Exception):
                        for report in future.result():
                            ended(report)
        finally:
            for worker in list(self.engine.workers.values()):
                worker.kill()

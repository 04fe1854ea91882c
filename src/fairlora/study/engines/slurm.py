"""Run cells as a job array of Slurm, through submitit."""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from fairlora.errors import InputError, optional_module
from fairlora.io import locked, read_content, write_text
from fairlora.study.engines.base import Ended, Engine
from fairlora.study.engines.jobs import Job, Report, State
from fairlora.study.engines.process import last_words
from fairlora.study.engines.slurm_queue import Queue, longest_array
from fairlora.study.engines.worker import StopSignal, limit_threads, work_on
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.status import state_of

# Cells of an array where Slurm allows as many (MaxArraySize is 1001 unless somebody changed it).
ARRAY = 1000
LOOK_SECONDS = {"slurm": 5.0, "local": 0.2}
# When and how often Slurm itself is asked; how long a result may take to be seen after its job's
# end.
FIRST_SECONDS = {"slurm": 10.0, "local": 0.2}
ASK_SECONDS = {"slurm": 60.0, "local": 0.2}
LATE_SECONDS = {"slurm": 90.0, "local": 2.0}
# How long another study may take to queue its jobs through the same folder.
QUEUEING_SECONDS = 600.0
# What submitit writes before Slurm has a job; named after it once it has.
_UNSENT = re.compile(r"[0-9a-f]{32}\.pkl|\.submission_file_[0-9a-f]{32}\.sh")


class CellTask:
    """What a Slurm job does: a `Job` in, a `Report` out, both as JSON.

    The report is a file beside submitit's own. Those are pickles, and none is read here: whoever
    may write in the folder could have put it there.

    submitit pickles the task, so it holds plain numbers alone; having `checkpoint`, it is queued
    again when Slurm takes its machine away or its time is up.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def __call__(self, job: str) -> None:
        limit_threads(self.threads)
        from submitit import JobEnvironment

        warning = signal.Signals[f"SIG{JobEnvironment.USR_SIG}"]
        queue_again: Any = signal.getsignal(warning)
        # submitit's own handler would leave in the middle of a step: first the checkpoint.
        stop = StopSignal(warning)
        try:
            with stop:
                report = work_on(Job.from_json(job))
        finally:
            stop.restore()
        if report.state == "preempted":
            if stop.asked and callable(queue_again):
                queue_again(warning, None)
            # SIGTERM alone: cancelled, or queued again by Slurm itself. No result either way.
            raise SystemExit(128 + signal.SIGTERM)
        write_text(_answer(JobEnvironment().paths), report.to_json())

    def checkpoint(self, job: str) -> Any:
        """The same again: the cell's folder holds what it goes on from."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, job)


@dataclass
class _Task:
    """A job with its place among the reports and its Slurm job."""

    place: int
    job: Job
    slurm: Any
    end: str | None = None  # how it ended, as Slurm said last
    gone: float | None = None  # since when Slurm has said so

    @property
    def id(self) -> str:
        """What Slurm calls it: 17_0."""
        return str(self.slurm.job_id)


class SlurmEngine(Engine):
    """Runs jobs as a Slurm array; a preempted cell saves, is queued again and goes on.

    Parameters
    ----------
    folder : for logs and for submitit's files; None is ``logs/slurm`` beside the first job's
        folder. All machines must see it, as the cells' folders.
    partition, minutes, cpus, gpus, memory_gb : of one cell.
    array_parallelism : how many cells run at a time.
    requeues : how often a cell that runs out of its minutes is queued again.
    parameters : more for submitit's ``update_parameters``, such as ``slurm_account``.
    cluster : "slurm", or "local" for processes of this machine.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        partition: str | None = None,
        minutes: int = 240,
        cpus: int = 1,
        gpus: int = 0,
        memory_gb: float | None = None,
        array_parallelism: int = 32,
        requeues: int = 3,
        parameters: Mapping[str, Any] | None = None,
        cluster: str = "slurm",
    ) -> None:
        self.folder, self.cluster, self.cpus = folder, cluster, cpus
        self.slots = array_parallelism
        self.here, self.cell_threads = cluster == "local", cpus
        self.requeues = requeues
        self.parameters = {
            "name": "fairlora",
            "timeout_min": minutes,
            "cpus_per_task": cpus,
            "gpus_per_node": gpus or None,
            "mem_gb": memory_gb,
            "slurm_partition": partition,
            # submitit's 90 seconds, unless a cell would be stopped before it has begun.
            "slurm_signal_delay_s": min(90, 15 * minutes),
            **(parameters or {}),
        }

    def run(self, jobs: Sequence[Job], ended: Ended) -> list[Report]:
        """Queue the jobs and wait for them; see `Engine.run`. Ctrl-C cancels what is queued.

        Raises `InputError` where submitit or Slurm is missing, or Slurm refuses the settings.
        """
        if not jobs:
            return []
        folder = self.folder or Path(jobs[0].folder).parent / "logs" / "slurm"
        with self:
            tasks: list[_Task] = []
            try:
                self._submit(folder, jobs, tasks)
            except BaseException:
                self._cancel(tasks)
                for task in tasks:  # of the arrays before the one that was refused
                    task.slurm.paths.submitted_pickle.unlink(missing_ok=True)
                raise
            try:
                return self._wait(folder, tasks, ended)
            except BaseException:
                self._cancel(tasks)
                raise

    def _cancel(self, tasks: Sequence[_Task]) -> None:
        if not tasks:
            return
        if self.cluster == "slurm":
            # An array at once: one command for each of its jobs would take minutes.
            arrays = {task.id.partition("_")[0] for task in tasks}
            subprocess.run(["scancel", *sorted(arrays)], check=False)
            return
        for task in tasks:
            task.slurm.cancel(check=False)

    def _submit(self, folder: Path, jobs: Sequence[Job], tasks: list[_Task]) -> None:
        longest = longest_array(ARRAY) if self.cluster == "slurm" else ARRAY
        arrays = math.ceil(len(jobs) / longest)
        executor = self._executor(folder, max(1, self.slots // arrays))
        task = CellTask(self.cpus)
        for first in range(0, len(jobs), longest):
            part = jobs[first : first + longest]
            try:
                with _nothing_left(folder):
                    queued = executor.map_array(task, [job.to_json() for job in part])
            except (RuntimeError, OSError) as error:
                raise InputError(
                    "Slurm refuses the job array", where="engine.slurm", found=_line(error)
                ) from error
            for number, (job, slurm) in enumerate(zip(part, queued, strict=True), first):
                tasks.append(_Task(number, job, slurm))

    def _executor(self, folder: Path, parallelism: int) -> Any:
        submitit = optional_module("submitit", where="engine.kind slurm")
        most = {f"{self.cluster}_max_num_timeout": self.requeues}
        parallel = {"slurm_array_parallelism": parallelism} if self.cluster == "slurm" else {}
        try:
            executor = submitit.AutoExecutor(folder=folder, cluster=self.cluster, **most)
            executor.update_parameters(**self.parameters, **parallel)
        except (RuntimeError, ValueError, NameError, AssertionError) as error:
            raise InputError(
                "submitit cannot queue this", where="engine.slurm", found=_line(error)
            ) from error
        return executor

    def _wait(self, folder: Path, tasks: Sequence[_Task], ended: Ended) -> list[Report]:
        reports: dict[int, Report] = {}
        queue = Queue(self.notify)
        waiting, due = list(tasks), time.monotonic() + FIRST_SECONDS[self.cluster]
        while waiting:
            files = _listed(folder)
            if time.monotonic() >= due:
                self._ask(waiting, queue)
                due = time.monotonic() + ASK_SECONDS[self.cluster]
            for task in list(waiting):
                report = self._report(task, files)
                if report is not None:
                    waiting.remove(task)
                    reports[task.place] = report
                    ended(report)
            if waiting:
                time.sleep(LOOK_SECONDS[self.cluster])
        return [reports[number] for number in range(len(tasks))]

    def _ask(self, tasks: Sequence[_Task], queue: Queue) -> None:
        """Note which jobs are over, and since when."""
        if self.cluster == "local":
            over = {t.id: str(t.slurm.state) if t.slurm.done(True) else None for t in tasks}
        else:
            said = queue.ask([task.id for task in tasks])
            over = {job: str(word) if word.over else None for job, word in said.items()}
        for task in tasks:
            if task.id in over:
                task.end = over[task.id]
                task.gone = (task.gone or time.monotonic()) if task.end else None

    def _report(self, task: _Task, files: set[str]) -> Report | None:
        """The report of a job that is over, else None."""
        answer = _answer(task.slurm.paths)
        if answer.name in files:
            report = _read(task, answer)
            return None if report.state == "busy" and _at_work(task.job) else report
        if task.slurm.paths.result_pickle.name in files:
            return _lost(task, "failed")
        # Results are seen late on a network's file system; requeued jobs look over for a while.
        if task.gone is None or time.monotonic() - task.gone < LATE_SECONDS[self.cluster]:
            return None
        return _lost(task, task.end or "")


@contextlib.contextmanager
def _nothing_left(folder: Path) -> Iterator[None]:
    """Remove what submitit has written for an array if queueing it fails, and what it prints."""
    busy = InputError("another study has been queueing its jobs here for long", where=folder)
    with locked(folder / ".queueing.lock", busy, QUEUEING_SECONDS):
        before = _listed(folder)
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # the error says it too
                yield
        except BaseException:
            for name in filter(_UNSENT.fullmatch, _listed(folder) - before):
                (folder / name).unlink(missing_ok=True)
            raise


def _at_work(job: Job) -> bool:
    """Whether another process runs the cell, such as a job of a study whose command was killed.

    Until it has ended, the cell need not be queued again: its jobs would come and go for hours.
    """
    return state_of(RunFolder(Path(job.folder))).state == "running"


class _Answer(BaseModel):
    """A `Report` as a job hands it back."""

    folder: str
    state: State
    reason: str | None = None
    seconds: float = 0.0


def _answer(paths: Any) -> Path:
    """Where a job's report goes."""
    path: Path = paths.result_pickle.with_suffix(".json")
    return path


def _read(task: _Task, path: Path) -> Report:
    try:
        answer = read_content(path, _Answer)
    except InputError as error:
        return _lost(task, str(error))
    if answer is None or answer.folder != task.job.folder:
        return _lost(task, f"{path} is not its report")
    return Report(**answer.model_dump())


def _lost(task: _Task, state: str) -> Report:
    """The report of a job that ended without one."""
    cell = RunFolder(Path(task.job.folder))
    if cell.is_result(task.job.identity):
        return Report(task.job.folder, "finished")
    log = task.slurm.paths.stderr
    words = last_words(log) or last_words(task.slurm.paths.stdout)
    said = f"; its last words: {words}" if words else ""
    return Report(task.job.folder, "lost", f"Slurm job {task.id}: {state}{said} ({log})")


def _listed(folder: Path) -> set[str]:
    """The names in a folder, as they are on the server and not in this machine's memory of it."""
    with contextlib.suppress(OSError):
        os.utime(folder)  # on NFS, this drops what is remembered
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" -")]
    return " | ".join(lines[:2])[:300] or type(error).__name__

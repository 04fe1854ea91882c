"""Run one job: from its strings to a finished folder and a report. Nothing is raised but stops.

Every engine calls `work_on` in the process that is to do the work.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

import fairlora
from fairlora.data import Examples
from fairlora.errors import FairloraError, InputError
from fairlora.io import write_text
from fairlora.models.libraries import load_libraries
from fairlora.study.engines.jobs import Job, Report, State
from fairlora.study.runs.cell import explain, run_cell
from fairlora.study.runs.folder import FolderBusy, RunFolder, dump_json
from fairlora.study.runs.kept import kept_of_study
from fairlora.study.runs.precision import settled
from fairlora.study.runs.prepare import DataSets, prepare
from fairlora.study.runs.progress import Progress
from fairlora.study.spec.run import RunSpec, parse_spec

# Where the traceback of a failure goes that a report tells in one line; silent unless configured.
log = logging.getLogger(__name__)

PROGRESS_SECONDS = 2.0
BUSY_SECONDS = 1.0
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

# A study's cells share one data set or few; a worker's memory is for models.
_examples = DataSets(most=2)


def work_on(job: Job, *, wait: float = 0.0) -> Report:
    """Run a job's cell unless it is finished, and say what became of it.

    Parameters
    ----------
    wait : seconds to wait for a folder that another process holds before it counts as "busy".

    Whatever fails becomes a report, and is recorded in the folder where that harms nobody's run.
    A KeyboardInterrupt goes on; SIGTERM gives the report "preempted".
    """
    started = time.monotonic()
    folder = RunFolder(Path(job.folder))

    def report(state: State, reason: str | None = None) -> Report:
        return Report(job.folder, state, reason, round(time.monotonic() - started, 2))

    progress = _ProgressFile(folder)
    try:
        # Before the data are read: most of a study that is run again is this.
        if folder.is_result(job.identity):
            return report("kept")
        load_libraries()
        prepared = prepare(*_inputs(job))
        if prepared.identity != job.identity:
            raise InputError(
                "the data or the weights changed since the study was planned",
                where=job.name,
                expected="the study to be planned anew, by running it again",
            )
        deadline = time.monotonic() + wait
        while True:
            try:
                precision = settled(folder.path.parent)  # the study's
                kept = kept_of_study(folder.path.parent)
                ran = run_cell(
                    prepared,
                    folder,
                    progress,
                    resume=True,
                    precision=precision,
                    kept=kept,
                    source=Path(job.source) if job.source else None,
                )
                return report("finished" if ran else "kept")
            except FolderBusy as busy:
                if time.monotonic() >= deadline:
                    return report("busy", str(busy))
                time.sleep(BUSY_SECONDS)
    except SystemExit as stop:
        return report("preempted", str(stop))
    except Exception as error:
        log.debug("%s failed", job.name, exc_info=True)
        reason = str(error) if isinstance(error, FairloraError) else explain(error)
        _record(folder, job, reason, time.monotonic() - started)
        return report("failed", reason)
    finally:
        if progress.told:
            progress.remove()
            _free_memory()


def work_together(jobs: Sequence[Job], *, wait: float = 0.0) -> list[Report]:
    """Run several jobs' cells, whose adapters are trained in one pass where they can be.

    Where memory runs out, the jobs that it ran out for are run again in halves, then alone.

    Parameters
    ----------
    jobs : of one pack (`fairlora.study.engines.packs`).
    wait : as of `work_on`.
    """
    if len(jobs) == 1:
        return [work_on(jobs[0], wait=wait)]
    from fairlora.training.stacked import Stack

    works = [partial(work_on, job, wait=wait) for job in jobs]
    reports = []
    for job, found in zip(jobs, Stack(len(jobs)).run(works), strict=True):
        if isinstance(found, BaseException):
            if not isinstance(found, Exception):
                raise found
            found = Report(job.folder, "failed", explain(found))
        reports.append(found)
    short = [k for k, report in enumerate(reports) if "out of memory" in (report.reason or "")]
    if short:
        size = max(1, len(jobs) // 2)
        warnings.warn(
            f"out of memory with {len(jobs)} adapters in one pass: {size} at a time", stacklevel=2
        )
        for first in range(0, len(short), size):
            part = short[first : first + size]
            again = work_together([jobs[k] for k in part], wait=wait)
            for k, report in zip(part, again, strict=True):
                reports[k] = report
    return reports


def _inputs(job: Job) -> tuple[RunSpec, Examples]:
    spec = parse_spec(yaml.safe_load(job.spec), where=job.name)
    return spec, _examples(spec)


def _record(folder: RunFolder, job: Job, reason: str, seconds: float) -> None:
    """Write down a failure that came before the cell began, unless the folder is another's."""
    # What cannot be written down is in the report.
    with contextlib.suppress(FairloraError, OSError), folder.writing():
        status = folder.status()
        if status is not None and status.reason == reason:
            return  # the cell itself did
        folder.check_free(job.identity)  # refuses a finished run, and what is no run
        if not folder.environment():
            # Says whose folder this is, so that the cell can be run in it once its fault is mended.
            origin = {"identity": job.identity, "fairlora": fairlora.__version__}
            folder.write("environment.json", origin)
        folder.write_status("failed", seconds, reason=reason)


def _free_memory() -> None:
    """Let go of a cell's model: a trainer and its callbacks hold each other in circles."""
    gc.collect()
    # What is left are modules, for the most part: looking through them again would take a third of
    # a second at each collection, of which a cell has several.
    gc.freeze()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


class _ProgressFile:
    """``progress.json``: how far the cell is and who runs it, every two seconds at most."""

    def __init__(self, folder: RunFolder) -> None:
        self._path = folder.path / "progress.json"
        self.told = False
        self._next = float("-inf")
        self._started = time.time()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self.told, self._next = True, now + PROGRESS_SECONDS
        content = {
            "phase": progress.phase,
            "done": progress.done,
            "total": progress.total,
            "message": progress.message,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": round(self._started, 1),
            "time": round(time.time(), 1),
        }
        # Not knowing how far it is must not end a run.
        with contextlib.suppress(OSError):
            write_text(self._path, dump_json(content))

    def remove(self) -> None:
        """Take the file away."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def limit_threads(threads: int) -> None:
    """Use so many CPU threads in this process and in those that it starts."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)


class Stopped(SystemExit):
    """A cell was asked to stop while nothing could be saved: loading, predicting."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)

    def __str__(self) -> str:
        return "stopped outside training; nothing was saved"


class StopSignal:
    """Makes a signal stop the cell that runs in this process, saving what can be saved.

    While a cell trains, the signal is passed to the training as SIGTERM: the checkpoint of the
    current step is saved where the study says so. Otherwise the cell is left at once. A context
    manager around `work_on`; the signal does nothing but be noted (`asked`) outside of it. Where
    this is not the main thread, no signal can be listened to, and it does nothing.
    """

    def __init__(self, number: signal.Signals) -> None:
        self.asked = False
        self._working = self._told = False
        self._undo: list[Callable[[], object]] = []
        with contextlib.suppress(ValueError):
            # Others' handlers of SIGTERM (Ray's, submitit's) would keep training from listening.
            for which, handler in ((number, self._handle), (signal.SIGTERM, signal.SIG_DFL)):
                before: Any = signal.signal(which, handler)
                self._undo.append(partial(signal.signal, which, before))

    def __enter__(self) -> StopSignal:
        self._working = True
        return self

    def __exit__(self, *_: object) -> None:
        self._working = False

    def restore(self) -> None:
        """Give the signals back to whoever had them."""
        while self._undo:
            self._undo.pop()()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if not self._working or self._told:
            return
        self._told = True
        training = signal.getsignal(signal.SIGTERM)
        if not callable(training):
            raise Stopped
        training(signal.SIGTERM, frame)

"""Jobs as tasks of a Ray cluster: what a lost process or machine was doing is done elsewhere.

The driver's process (`ray_driver`) uses `ClusterRun`; the cluster's machines, `run_task`.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairlora.study.engines.jobs import Job, Report, State
from fairlora.study.engines.worker import StopSignal, limit_threads, work_on

# A dead machine's lock may outlive it for as long as the file system needs to notice.
PAUSE_SECONDS, PATIENCE_SECONDS = 5.0, 180.0
LOOK_SECONDS = 1.0


def run_task(job: str, threads: int) -> str:
    """What a machine of the cluster does: a `Job` in, a `Report` out, both as JSON."""
    limit_threads(threads)
    # Ray cancels a task as Ctrl-C would.
    stop = StopSignal(signal.SIGINT)
    try:
        with stop:
            return work_on(Job.from_json(job)).to_json()
    finally:
        stop.restore()


@dataclass
class _Task:
    """A job on its way. `place` is that of its report; `losses`, how often it was lost."""

    place: int
    job: Job
    losses: int = 0
    why: str = ""
    due: float = 0.0
    patience: float = PATIENCE_SECONDS


class ClusterRun:
    """One `RayEngine.run`: which job is where, and what came back.

    Parameters
    ----------
    ray : the package, connected to a cluster.
    ended : called once a job, with its place among `jobs` and its report.
    needs : what a cell takes: CPU, GPU and memory, as Ray counts them.
    retries : how often a lost cell is started again before it counts as "lost".
    stopping : set from elsewhere, it ends the run.
    """

    def __init__(
        self,
        ray: Any,
        jobs: Sequence[Job],
        ended: Callable[[int, Report], None],
        needs: Mapping[str, float],
        retries: int,
        stopping: threading.Event,
    ) -> None:
        self.ray, self.ended, self.retries, self.stopping = ray, ended, retries, stopping
        # Retries are ours: Ray would start a cell anew for ever that fills its machine's memory.
        self.remote = self.ray.remote(
            num_cpus=needs["CPU"],
            num_gpus=needs["GPU"],
            memory=needs.get("memory"),
            max_retries=0,
            scheduling_strategy="SPREAD",
        )(run_task)
        self.threads = max(1, math.floor(needs["CPU"]))
        self.waiting = [_Task(number, job) for number, job in enumerate(jobs)]
        self.running: dict[Any, _Task] = {}

    def to_the_end(self) -> None:
        """Until every job has its report, or `stopping` is set."""
        while (self.waiting or self.running) and not self.stopping.is_set():
            now = time.monotonic()
            due = [task for task in self.waiting if task.due <= now]
            self.waiting = [task for task in self.waiting if task.due > now]
            for task in due:
                self.running[self.remote.remote(task.job.to_json(), self.threads)] = task
            if self.running:
                self._listen(LOOK_SECONDS)
            else:
                time.sleep(LOOK_SECONDS)

    def _listen(self, seconds: float) -> None:
        ready, _ = self.ray.wait(list(self.running), num_returns=1, timeout=seconds)
        for reference in ready:
            task = self.running.pop(reference)
            try:
                report = Report.from_json(self.ray.get(reference))
            except self.ray.exceptions.RayTaskError as error:
                # Nothing of a cell raises: this is a machine that cannot even begin.
                self._keep(task, "failed", f"a machine cannot run cells: {_line(error.cause)}")
            except self.ray.exceptions.RayError as error:
                self._lost(task, f"{type(error).__name__}: {_line(error)}")
            else:
                self._came(task, report)

    def _came(self, task: _Task, report: Report) -> None:
        if report.state == "preempted":
            # Nobody here asked for it: its machine is being taken away.
            self._lost(task, report.reason or "preempted", final="preempted")
        elif report.state == "busy" and task.losses and task.patience > 0:
            # Its own former attempt, as far as the file system knows.
            task.patience -= PAUSE_SECONDS
            task.due = time.monotonic() + PAUSE_SECONDS
            self.waiting.append(task)
        else:
            self._keep(task, report)

    def _lost(self, task: _Task, why: str, final: State = "lost") -> None:
        task.losses += 1
        if task.losses > self.retries:
            self._keep(task, final, f"given up after {task.losses} attempts: {why}")
        else:
            self.waiting.append(task)

    def _keep(self, task: _Task, state: State | Report, reason: str | None = None) -> None:
        report = state if isinstance(state, Report) else Report(task.job.folder, state, reason)
        self.ended(task.place, report)

    def cancel(self, grace: float) -> None:
        """Stop every task: gently, and after `grace` seconds by force."""
        running, self.running = self.running, {}
        for reference in running:
            self.ray.cancel(reference, force=False)
        left = list(running)
        try:
            if left:
                _, left = self.ray.wait(left, num_returns=len(left), timeout=grace)
        finally:
            for reference in left:
                self.ray.cancel(reference, force=True)


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]

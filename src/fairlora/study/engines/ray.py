"""Run cells as tasks of a Ray cluster, on however many machines it has."""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fairlora.errors import InputError, optional_module
from fairlora.study.engines.base import Ended, Engine
from fairlora.study.engines.devices import available_cores
from fairlora.study.engines.jobs import Job, Report, State
from fairlora.study.engines.worker import StopSignal, limit_threads, work_on

# A dead machine's lock may outlive it for as long as the file system needs to notice.
PAUSE_SECONDS, PATIENCE_SECONDS = 5.0, 180.0
LOOK_SECONDS = 1.0
CONNECT_SECONDS = 20.0


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


class RayEngine(Engine):
    """Runs jobs on a Ray cluster; what a lost process or machine was doing is done elsewhere.

    All machines see the cells' folders under the same path, and have the same fairlora.

    Parameters
    ----------
    address : "auto", "ray://host:10001" or "host:6379"; None is RAY_ADDRESS, and where there is
        none a cluster of this machine alone, which ends with the engine.
    cpus, gpus, memory_gb : what one cell takes; `cpus` is also its number of threads.
    retries : how often a lost cell is started again before it counts as "lost".
    grace : seconds that cells may take to save when the study is interrupted.

    Raises `InputError` where Ray is missing, does not answer, or has no machine of such a size.
    """

    def __init__(
        self,
        address: str | None = None,
        cpus: float = 1,
        gpus: float = 0,
        memory_gb: float | None = None,
        retries: int = 3,
        *,
        grace: float = 60.0,
    ) -> None:
        self.address, self.retries, self.grace = address, retries, grace
        self.needs: dict[str, float] = {"CPU": cpus, "GPU": gpus}
        if memory_gb is not None:
            self.needs["memory"] = int(memory_gb * 1024**3)
        self._own = False
        self._connected = False
        self._sigterm: Any = None

    @property
    def slots(self) -> int:  # type: ignore[override]
        """How many cells the cluster's machines can hold at a time; a guess until connected."""
        if self._connected:
            there: dict[str, float] = _ray().cluster_resources()
        elif self.address or os.environ.get("RAY_ADDRESS"):
            return 1
        else:
            there = {"CPU": float(available_cores())}
        held = (there.get(name, 0) // needed for name, needed in self.needs.items() if needed)
        return max(1, int(min(held)))

    def open(self) -> None:
        """Connect, or start a cluster of this machine; one that is connected to is used."""
        ray = _ray()
        if not ray.is_initialized():
            # Ray takes SIGTERM, and would keep it: training in this process could no longer save.
            self._sigterm = signal.getsignal(signal.SIGTERM)
            address = self.address or os.environ.get("RAY_ADDRESS") or "local"
            own = {"include_dashboard": False} if address == "local" else {}
            try:
                _knock(address)
                ray.init(address=address, log_to_driver=False, logging_level="WARNING", **own)
            except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
                self._give_back_sigterm()
                raise InputError(
                    "cannot connect to Ray",
                    where=f"engine.ray.address {address}",
                    found=str(error).strip().split("\n")[0][:200] or type(error).__name__,
                    expected="a cluster that was started with 'ray start'",
                ) from error
            self._own = True
            _messages(False)
        self._connected = True
        try:
            self._check_size(ray)
        except InputError:
            self.close()
            raise

    def _check_size(self, ray: Any) -> None:
        """A cell that fits on no machine would wait for ever, without a word from Ray."""
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        needs = {name: needed for name, needed in self.needs.items() if needed}
        if any(all(m.get(name, 0) >= needs[name] for name in needs) for m in machines):
            return
        most = {name: max((m.get(name, 0) for m in machines), default=0) for name in needs}
        if self.address or os.environ.get("RAY_ADDRESS"):
            # A cluster that grows on demand may yet get one.
            self.notify(
                f"no machine of the Ray cluster has {_size(needs)} for a cell (the largest: "
                f"{_size(most)}); waiting for one"
            )
            return
        raise InputError(
            "this machine is too small for a cell",
            where="engine.ray",
            found=_size(most),
            expected=_size(needs),
        )

    def close(self) -> None:
        """Leave the cluster, unless it was connected to before; end one of our own."""
        if self._own:
            _ray().shutdown()
            _messages(True)
            self._give_back_sigterm()
        self._own = self._connected = False

    def _give_back_sigterm(self) -> None:
        if threading.current_thread() is threading.main_thread() and self._sigterm is not None:
            signal.signal(signal.SIGTERM, self._sigterm)

    def run(self, jobs: Sequence[Job], ended: Ended) -> list[Report]:
        """Run the jobs on the cluster; see `Engine.run`."""
        if not jobs:
            return []
        with self:
            run = _Run(self, jobs, ended)
            try:
                return run.to_the_end()
            except BaseException:
                run.cancel()
                raise


class _Run:
    """One `RayEngine.run`: which job is where, and what came back."""

    def __init__(self, engine: RayEngine, jobs: Sequence[Job], ended: Ended) -> None:
        self.ray, self.engine, self.ended = _ray(), engine, ended
        needs = engine.needs
        # Retries are ours: Ray would start a cell anew for ever that fills its machine's memory.
        self.remote = self.ray.remote(
            num_cpus=needs["CPU"],
            num_gpus=needs["GPU"],
            memory=needs.get("memory"),
            max_retries=0,
            scheduling_strategy="SPREAD",
        )(run_task)
        self.threads = max(1, math.floor(needs["CPU"]))
        self.reports: list[Report | None] = [None] * len(jobs)
        self.waiting = [_Task(number, job) for number, job in enumerate(jobs)]
        self.running: dict[Any, _Task] = {}

    def to_the_end(self) -> list[Report]:
        while self.waiting or self.running:
            now = time.monotonic()
            due = [task for task in self.waiting if task.due <= now]
            self.waiting = [task for task in self.waiting if task.due > now]
            for task in due:
                self.running[self.remote.remote(task.job.to_json(), self.threads)] = task
            if self.running:
                self._listen(LOOK_SECONDS)
            else:
                time.sleep(LOOK_SECONDS)
        assert all(report is not None for report in self.reports)
        return [report for report in self.reports if report is not None]

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
        if task.losses > self.engine.retries:
            self._keep(task, final, f"given up after {task.losses} attempts: {why}")
        else:
            self.waiting.append(task)

    def _keep(self, task: _Task, state: State | Report, reason: str | None = None) -> None:
        report = state if isinstance(state, Report) else Report(task.job.folder, state, reason)
        self.reports[task.place] = report
        self.ended(report)

    def cancel(self) -> None:
        """Stop every task: gently, then by force."""
        running, self.running = self.running, {}
        for reference in running:
            self.ray.cancel(reference, force=False)
        left = list(running)
        try:
            if left:
                _, left = self.ray.wait(left, num_returns=len(left), timeout=self.engine.grace)
        finally:
            for reference in left:
                self.ray.cancel(reference, force=True)


def _ray() -> Any:
    """Ray itself; `InputError` where it is not installed."""
    # Before the import: Ray reads it then.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    return optional_module("ray", where="engine.kind ray")


def _messages(shown: bool) -> None:
    """Whether Ray prints pages of its machines' logs when one dies: on standard output, it does."""
    # No setting turns this off. Where Ray has no such name any more, nothing is lost.
    with contextlib.suppress(ModuleNotFoundError):
        worker: Any = importlib.import_module("ray._private.worker")
        worker._worker_logs_enabled = shown


def _knock(address: str) -> None:
    """Raise `OSError` if nobody listens at host:port, which Ray takes minutes to say."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()


def _size(resources: dict[str, float]) -> str:
    return ", ".join(f"{name} {number:g}" for name, number in resources.items())


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]

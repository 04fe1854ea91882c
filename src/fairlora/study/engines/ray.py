"""Run cells as tasks of a Ray cluster, on however many machines it has."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

from fairlora.errors import FairloraError, InputError, WorkError
from fairlora.study.engines.base import Ended, Engine
from fairlora.study.engines.devices import available_cores
from fairlora.study.engines.jobs import Job, Report
from fairlora.study.engines.process import WorkerProcess

CLOSE_SECONDS = 15.0
_numbers = count()


class RayEngine(Engine):
    """Runs jobs on a Ray cluster; what a lost process or machine was doing is done elsewhere.

    All machines see the cells' folders under the same path, and have the same fairlora. A process
    of its own talks to Ray (`ray_driver`), and ends the cluster of this machine with the study.

    Parameters
    ----------
    address : "auto", "ray://host:10001" or "host:6379"; None is the cluster that this process is
        connected to, else RAY_ADDRESS, and where there is none a cluster of this machine and this
        user alone, which ends with the engine.
    cpus, gpus, memory_gb : what one cell takes; `cpus` is also its number of threads.
    retries : how often a lost cell is started again before it counts as "lost".
    logs : folder for Ray's logs and files (default: ``logs`` beside the first job's folder).
    grace : seconds that cells may take to save when the study is interrupted.

    Raises `InputError` where Ray is missing or too old, does not answer, or its own cluster has no
    machine of such a size; `WorkError` where Ray itself fails.
    """

    def __init__(
        self,
        address: str | None = None,
        cpus: float = 1,
        gpus: float = 0,
        memory_gb: float | None = None,
        retries: int = 3,
        *,
        logs: Path | None = None,
        grace: float = 60.0,
    ) -> None:
        self.address, self.retries, self.logs, self.grace = address, retries, logs, grace
        self.needs: dict[str, float] = {"CPU": cpus, "GPU": gpus}
        if memory_gb is not None:
            self.needs["memory"] = int(memory_gb * 1024**3)
        self.here = not (address or os.environ.get("RAY_ADDRESS"))
        self.cell_threads = max(1, int(cpus))
        self._driver: WorkerProcess | None = None
        self._slots = 1

    @property
    def slots(self) -> int:  # type: ignore[override]
        """How many cells the cluster's machines can hold at a time; a guess until connected."""
        if self._driver is not None or self._address() or os.environ.get("RAY_ADDRESS"):
            return self._slots
        return max(1, int(available_cores() // (self.needs["CPU"] or 1)))

    def _address(self) -> str | None:
        ray: Any = sys.modules.get("ray")
        if self.address is None and ray is not None and ray.is_initialized():
            connected: str = ray.get_runtime_context().gcs_address
            return connected
        return self.address

    def open(self) -> None:
        """Connect, or start a cluster of this machine."""
        logs = self.logs or Path(tempfile.mkdtemp(prefix="fairlora-ray-"))
        name = f"ray-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{next(_numbers)}"
        module = "fairlora.study.engines.ray_driver"
        driver = self._driver = WorkerProcess({}, logs / f"{name}.log", module)
        folder = str(logs / name)
        driver.order({"address": self._address(), "needs": self.needs, "folder": folder})
        try:
            if self._answer(driver) is None:
                driver.close(CLOSE_SECONDS)
                raise WorkError(f"Ray cannot be started: its process {driver.how_it_ended()}")
        except FairloraError:
            self.close()
            raise
        except BaseException:
            self._end(None)  # it may be busy with starting
            raise

    def _answer(self, driver: WorkerProcess) -> dict[str, Any] | None:
        """The driver's next message; None where it is gone."""
        while (line := driver.reply()) is not None:
            message: dict[str, Any] = json.loads(line)
            if "refused" in message:
                raise InputError(message["refused"])
            if "warning" in message:
                self.notify(message["warning"])
                continue
            self._slots = message["slots"]
            return message
        return None

    def close(self) -> None:
        """Leave the cluster; end one of our own."""
        self._end(0.0)

    def _end(self, grace: float | None) -> None:
        """End the driver; running cells may take `grace` seconds to save, None is by force."""
        driver, self._driver = self._driver, None
        if driver is not None:
            try:
                if grace is not None:
                    driver.order({"stop": grace})
                    driver.ends(grace + CLOSE_SECONDS)
            finally:
                driver.close(CLOSE_SECONDS)
            if self.logs is None:
                with contextlib.suppress(OSError):  # there is something to read in it
                    driver.log.parent.rmdir()

    def run(self, jobs: Sequence[Job], ended: Ended) -> list[Report]:
        """Run the jobs on the cluster; see `Engine.run`."""
        if not jobs:
            return []
        if self.logs is None and self._driver is None:
            self.logs = Path(jobs[0].folder).parent / "logs"
        with self:
            if self._driver is None:  # an interrupted run took it along
                self.open()
            assert self._driver is not None
            driver = self._driver
            driver.order({"jobs": [asdict(job) for job in jobs], "retries": self.retries})
            reports: dict[int, Report] = {}
            try:
                while len(reports) < len(jobs):
                    message = self._answer(driver)
                    if message is None:
                        break
                    report = Report(**message["report"])
                    reports[message["place"]] = report
                    ended(report)
            except BaseException:
                self._end(self.grace)
                raise
            if len(reports) < len(jobs):
                self.close()
                how = f"the process that talks to Ray {driver.how_it_ended()}"
                for place, job in enumerate(jobs):
                    if place not in reports:
                        reports[place] = Report(job.folder, "lost", how)
                        ended(reports[place])
        return [reports[place] for place in range(len(jobs))]

"""Run cells in this very process, one after another."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from fairlora.study.engines.base import Ended, Engine
from fairlora.study.engines.jobs import Job, Report
from fairlora.study.engines.packs import packs
from fairlora.study.engines.worker import work_together


class InlineEngine(Engine):
    """Runs jobs in this process: for one cell, for debugging, and where no process can be started.

    `stack` is how many adapters are trained in one pass, where they can be. A cell that takes the
    process down takes the study down; see `LocalEngine`.
    """

    slots = 1
    here = True

    def __init__(self, stack: int = 1) -> None:
        self.stack = stack

    def run(self, jobs: Sequence[Job], ended: Ended) -> list[Report]:
        """Run the jobs in order; see `Engine.run`. SIGTERM ends the process after its cell."""
        reports: dict[str, Report] = {}
        for pack in packs(jobs, self.stack):
            for report in work_together(pack):
                reports[report.folder] = report
                ended(report)
                if report.state == "preempted":
                    raise SystemExit(128 + signal.SIGTERM)
        return [reports[job.folder] for job in jobs]

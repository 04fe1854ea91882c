"""A process that does one job after another: ``python -m fairlora.study.engines.serve``.

`process` is the other end. In come lines of JSON: ``{"jobs": [{...}], "wait": 0}``,
``{"measure": [[rows, inner, columns], ...], "threads": 1}``, or ``{"stop": true}``, which ends the
job at hand as SIGTERM does. Out go ``{"ready": true}``, a list of one `Report` a job, and a
`Precision`. The end of the input is the end of whoever asked: the process stops too.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import gc
import json
import logging
import os
import queue
import signal
import sys
import threading
from typing import Any

from fairlora.models.libraries import load_libraries
from fairlora.study.engines.jobs import Job
from fairlora.study.engines.worker import StopSignal, log, work_together
from fairlora.study.runs.precision import measure_aside

STOP = signal.SIGUSR2
# How long a cell may take to save, once nobody is left to hear of it.
LAST_SECONDS = 120.0


def serve() -> None:
    """Do jobs until the input ends or a stop is asked for."""
    replies = own_output()
    faulthandler.enable()
    atexit.register(gc.freeze)  # what is left at the end need not be looked through
    logging.basicConfig(format="%(message)s")
    log.setLevel(logging.DEBUG)  # tracebacks of failures, into the worker's log
    stop = StopSignal(STOP)
    orders: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    say(replies, json.dumps({"ready": True}))
    with contextlib.suppress(Exception):  # the first job says what is missing
        load_libraries()
    while (order := orders.get()) is not None and not stop.asked:
        if "measure" in order:
            found = measure_aside(order["measure"], order["threads"])
            say(replies, "null" if found is None else found.model_dump_json())
            continue
        jobs = [Job(**job) for job in order["jobs"]]
        print(f"== {', '.join(job.name for job in jobs)}", file=sys.stderr, flush=True)
        with stop:
            reports = work_together(jobs, wait=order["wait"])
        say(replies, json.dumps([vars(report) for report in reports]))
        if any(report.state == "preempted" for report in reports):
            return  # SIGTERM, from whoever: the machine is wanted for something else


def own_output() -> int:
    """Keep standard output for replies alone: what anybody prints goes to standard error."""
    replies = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return replies


def say(replies: int, line: str) -> None:
    """Write a line to whoever started this process."""
    with contextlib.suppress(BrokenPipeError):  # nobody is left to hear it
        os.write(replies, line.encode() + b"\n")


def _listen(orders: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    """Read orders while the main thread works: a stop must not wait for the job's end."""
    for line in sys.stdin:
        order = json.loads(line)
        if "stop" in order:
            _stop(orders)
        else:
            orders.put(order)
    timer = threading.Timer(LAST_SECONDS, os._exit, (128 + signal.SIGTERM,))
    timer.daemon = True
    timer.start()
    _stop(orders)


def _stop(orders: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    orders.put(None)
    os.kill(os.getpid(), STOP)


if __name__ == "__main__":
    serve()

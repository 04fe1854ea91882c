"""Processes of this machine: killed, interrupted, orphaned; and what each is given."""

from __future__ import annotations

import _thread
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fairlora.errors import InputError
from fairlora.study import RunFolder
from fairlora.study.engines import devices, process
from fairlora.study.engines.jobs import Job, Report
from fairlora.study.engines.local import LocalEngine

MakeJob = Callable[..., Job]
Wait = Callable[[Callable[[], Any]], Any]
Progress = Callable[[Job], dict[str, Any] | None]

# Long enough to be met while it trains, with checkpoints to go on from.
LONG: dict[str, Any] = {
    "steps": 100_000,
    "training": {"resume": "checkpoint", "arguments": {"save_steps": 50, "save_strategy": "steps"}},
}


def test_processes_that_are_warm_measure_and_then_do_the_jobs(
    make_job: MakeJob, tmp_path: Path
) -> None:
    shape = (16, 32, 64)
    with LocalEngine(2, 1, [], logs=tmp_path / "logs") as engine:
        engine.warm()
        first = [engine.workers[slot].pid for slot in range(2)]
        found = engine.measure([shape])
        assert found is not None
        assert (found.shapes, found.threads, found.device) == ((shape,), 1, "cpu")
        assert min(found.float32, found.bfloat16) > 0
        assert engine.run([make_job(tmp_path, 0)], lambda _: None)[0].state == "finished"
        assert [engine.workers[slot].pid for slot in range(2)] == first


def test_a_process_that_dies_instead_of_measuring_is_replaced(
    make_job: MakeJob, tmp_path: Path
) -> None:
    with LocalEngine(1, 1, [], logs=tmp_path / "logs") as engine:
        engine.warm()
        os.kill(engine.workers[0].pid, signal.SIGKILL)
        assert engine.measure([(16, 16, 16)]) is None
        assert engine.run([make_job(tmp_path, 0)], lambda _: None)[0].state == "finished"


def test_warm_processes_that_were_asked_nothing_end_at_once_and_leave_no_log(
    tmp_path: Path,
) -> None:
    with LocalEngine(2, 1, [], logs=tmp_path / "logs") as engine:
        engine.warm()
        pids = [worker.pid for worker in engine.workers.values()]
    assert all(map(is_gone, pids))
    assert list((tmp_path / "logs").iterdir()) == []


def is_gone(pid: int) -> bool:
    """Whether a process is no more, or waits for its parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_cell_whose_process_is_killed_is_run_again_and_then_lost(
    make_job: MakeJob, tmp_path: Path, kill_in: Callable[..., Any]
) -> None:
    jobs = [make_job(tmp_path, seed, steps=50) for seed in (0, 1, 2)]
    once, twice = kill_in(jobs[0]), kill_in(jobs[1], times=2)
    first, second, third = LocalEngine(2).run(jobs, lambda _: None)
    assert len(once.killed) == 1
    assert first.state == "finished"
    assert RunFolder(Path(jobs[0].folder)).is_finished()
    assert len(set(twice.killed)) == 2
    assert second.state == "lost"
    assert second.reason is not None
    assert "SIGKILL" in second.reason
    assert "memory" in second.reason
    assert not RunFolder(Path(jobs[1].folder)).is_finished()
    assert not (Path(jobs[1].folder) / "progress.json").exists()
    assert third.state == "finished"


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C raises, as at a terminal; a shell that starts pytest in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_saves_what_runs_and_leaves_no_process(
    make_job: MakeJob, tmp_path: Path, wait_for: Wait, progress: Progress
) -> None:
    jobs = [make_job(tmp_path, 0, **LONG), make_job(tmp_path, 1)]
    pids = []

    def interrupt() -> None:
        told = wait_for(lambda: (t := progress(jobs[0])) and t["phase"] == "training" and t)
        pids.append(told["pid"])
        _thread.interrupt_main()

    thread = threading.Thread(target=interrupt)
    thread.start()
    told: list[Report] = []
    with pytest.raises(KeyboardInterrupt):
        LocalEngine(1).run(jobs, told.append)
    thread.join()
    assert [report.state for report in told] == ["preempted"]
    assert list((Path(jobs[0].folder) / "checkpoints").glob("checkpoint-*"))
    status = RunFolder(Path(jobs[0].folder)).status()
    assert status is not None
    assert status.state == "preempted"
    assert "saved as" in status.reason
    assert wait_for(lambda: is_gone(pids[0]))
    assert not Path(jobs[1].folder).exists()


def test_a_worker_stops_when_the_study_is_killed(
    make_job: MakeJob, tmp_path: Path, wait_for: Wait, progress: Progress
) -> None:
    job = make_job(tmp_path, 0, **LONG)
    code = (
        "import sys\n"
        "from fairlora.study.engines.local import LocalEngine\n"
        "from fairlora.study.engines.jobs import Job\n"
        "LocalEngine(1).run([Job.from_json(sys.argv[1])], print)"
    )
    study = subprocess.Popen([sys.executable, "-c", code, job.to_json()])
    told = wait_for(lambda: (t := progress(job)) and t["phase"] == "training" and t)
    study.kill()
    study.wait()
    wait_for(lambda: is_gone(told["pid"]))
    status = RunFolder(Path(job.folder)).status()
    assert status is not None
    assert status.state == "preempted"


def test_each_process_has_its_share_and_outlives_a_run(finished_cell: Job, tmp_path: Path) -> None:
    with LocalEngine(2, threads=3, gpus=["5", "GPU-a"], logs=tmp_path) as engine:
        seen = []
        for _ in range(2):
            engine.run([finished_cell] * 4, lambda _: None)
            seen.append({place: worker.pid for place, worker in engine.workers.items()})
        assert seen[0] == seen[1]
        for place, gpu in enumerate(("5", "GPU-a")):
            given = Path(f"/proc/{seen[0][place]}/environ").read_bytes().decode().split("\0")
            assert {"OMP_NUM_THREADS=3", "MKL_NUM_THREADS=3"} <= set(given)
            assert f"CUDA_VISIBLE_DEVICES={gpu}" in given
        os.kill(seen[0][0], signal.SIGKILL)  # while it has nothing to do
        reports = engine.run([finished_cell] * 2, lambda _: None)
        assert [report.state for report in reports] == ["kept", "kept"]
    assert all(is_gone(pid) for pid in seen[0].values())
    # Only the log of the one that was killed is there to be looked at: the others said nothing.
    assert len(list(tmp_path.glob("local-*.log"))) == 1


def test_what_a_worker_prints_is_kept(finished_cell: Job, tmp_path: Path) -> None:
    broken = replace(finished_cell, folder=str(tmp_path / "cell"), spec="data: {name: nowhere}\n")
    (report,) = LocalEngine(1).run([broken], lambda _: None)
    assert report.state == "failed"
    (log,) = (tmp_path / "logs").iterdir()
    lines = log.read_text().splitlines()
    assert lines[0] == "== cell"
    assert "Traceback (most recent call last):" in lines
    assert report.reason is not None
    assert lines[-1].endswith(report.reason)


@pytest.mark.parametrize(
    ("interpreter", "said"), [("/bin/false", "ended with code 1"), ("/nowhere", "No such file")]
)
def test_workers_that_do_not_come_up_lose_their_jobs_and_say_why(
    interpreter: str,
    said: str,
    finished_cell: Job,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process.sys, "executable", interpreter)
    told: list[Report] = []
    reports = LocalEngine(2, logs=tmp_path).run([finished_cell] * 3, told.append)
    assert reports == told
    for report in reports:
        assert report.state == "lost"
        assert report.reason is not None
        assert "no worker process comes up" in report.reason
        assert said in report.reason


def test_a_listener_that_fails_ends_the_run_and_its_processes(
    finished_cell: Job, tmp_path: Path
) -> None:
    engine = LocalEngine(1, logs=tmp_path)

    def fail(_: Report) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        engine.run([finished_cell] * 2, fail)
    assert engine.workers == {}


def test_the_last_words_are_those_of_the_job(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("of another job\n")
    since = log.stat().st_size
    assert process.last_words(log, since) == ""
    with log.open("a") as file:
        file.write("== cell\none\n\n two\n")
    assert process.last_words(log, since) == "one | two"
    assert process.last_words(tmp_path / "nowhere") == ""
    end = process.describe_end(-signal.SIGSEGV, "one | two", log)
    assert end == f"was killed by SIGSEGV; its last words: one | two ({log})"


def test_no_process_is_refused() -> None:
    with pytest.raises(InputError, match="engine.processes"):
        LocalEngine(0)


def test_gpus_are_those_that_are_listed_else_those_that_the_driver_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for listed, found in (("0,1", ("0", "1")), (" GPU-b ", ("GPU-b",)), ("", ()), ("-1", ())):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
        assert devices.available_gpus() == found
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices.available_gpus() == ()
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho GPU-1; echo GPU-2\n")
    driver.chmod(0o755)
    assert devices.available_gpus() == ("GPU-1", "GPU-2")
    driver.write_text("#!/bin/sh\necho no driver; exit 9\n")
    assert devices.available_gpus() == ()


def test_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "available_cores", lambda: 12)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [devices.threads_each(n) for n in (1, 4, 5, 24)] == [12, 3, 2, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert [devices.threads_each(n) for n in (1, 4, 24)] == [2, 2, 1]

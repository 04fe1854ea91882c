"""Ray: a machine that dies in the middle, a cluster that is not there or too small."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlora.errors import InputError
from fairlora.study import RunFolder
from fairlora.study.engines import ray as ray_engine
from fairlora.study.engines.jobs import Job, Report
from fairlora.study.engines.ray import RayEngine
from fairlora.study.engines.worker import THREAD_VARIABLES

MakeJob = Callable[..., Job]
Progress = Callable[[Job], dict[str, Any] | None]


def test_a_machine_that_dies_in_the_middle_loses_nothing(
    ray_cluster: Any,
    ray_address: str,
    make_job: MakeJob,
    tmp_path: Path,
    progress: Progress,
    wait_for: Callable[[Callable[[], Any]], Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    jobs = [make_job(tmp_path, seed, steps=150) for seed in (0, 1, 2)]
    second = ray_cluster.add_node(num_cpus=1)
    pids: set[int] = set()

    def kill() -> None:
        """Once both machines have a cell, the second is gone from one moment to the next."""
        wait_for(lambda: pids.update(t["pid"] for j in jobs if (t := progress(j))) or len(pids) > 1)
        ray_cluster.remove_node(second, allow_graceful=False)

    thread = threading.Thread(target=kill)
    thread.start()
    told: list[Report] = []
    with RayEngine(ray_address, retries=2) as engine:
        assert engine.slots == 2
        reports = engine.run(jobs, told.append)
    thread.join()
    assert len(told) == len(reports) == 3
    assert {report.state for report in reports} <= {"finished", "kept"}
    assert all(RunFolder(Path(job.folder)).is_finished() for job in jobs)
    assert capsys.readouterr().out == ""


def test_a_cell_that_kills_its_process_is_lost_and_no_other_with_it(
    ray_address: str, make_job: MakeJob, tmp_path: Path, kill_in: Callable[..., Any]
) -> None:
    jobs = [make_job(tmp_path, seed, steps=50) for seed in (0, 1)]
    deaths = kill_in(jobs[0], times=2)
    reports = RayEngine(ray_address, retries=1).run(jobs, lambda _: None)
    assert len(deaths.killed) == 2
    assert reports[0].state == "lost"
    assert reports[0].reason is not None
    assert "given up after 2 attempts" in reports[0].reason
    assert reports[1].state == "finished"


class Calls:
    """Stands in for Ray where a task's answers matter and not its machine."""

    class exceptions:
        class RayError(Exception): ...

        class RayTaskError(RayError):
            cause = ModuleNotFoundError("No module named 'fairlora'")

    def __init__(self, answers: list[Report | Exception]) -> None:
        self.answers = answers
        self.cancelled: list[bool] = []

    def remote(self, *_: Any, **options: Any) -> Any:
        """Both what makes a function remote and what calls it."""
        return (lambda _: self) if options else object()

    def wait(self, references: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return references[:1], references[1:]

    def get(self, _: object) -> str:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer.to_json()

    def cancel(self, _: object, *, force: bool) -> None:
        self.cancelled.append(force)


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Report]:
    def run(*answers: Report | Exception) -> Report:
        calls = Calls(list(answers))
        monkeypatch.setattr(ray_engine, "_ray", lambda: calls)
        monkeypatch.setattr(ray_engine, "PAUSE_SECONDS", 0.01)
        monkeypatch.setattr(ray_engine, "LOOK_SECONDS", 0.01)
        monkeypatch.setattr(ray_engine, "PATIENCE_SECONDS", 0.02)
        engine = RayEngine(retries=2)
        run = ray_engine._Run(engine, [Job("/cell", "", "")], lambda _: None)
        run.waiting[0].patience = 0.02
        (report,) = run.to_the_end()
        assert calls.answers == []
        return report

    return run


def test_a_busy_folder_is_believed_unless_it_may_be_a_dead_machines(
    answered: Callable[..., Report],
) -> None:
    lost = Calls.exceptions.RayError("the machine died")
    busy, finished, kept = (Report("/cell", s) for s in ("busy", "finished", "kept"))
    assert answered(busy) == busy
    assert answered(lost, busy, kept) == kept
    assert answered(lost, busy, busy, finished) == finished
    assert answered(lost, busy, busy, busy) == busy


def test_a_preempted_cell_goes_elsewhere_and_retries_have_an_end(
    answered: Callable[..., Report],
) -> None:
    lost = Calls.exceptions.RayError("the machine died\nits log follows")
    preempted, finished = Report("/cell", "preempted", "SIGTERM"), Report("/cell", "finished")
    assert answered(preempted, lost, finished) == finished
    assert answered(preempted, preempted, preempted).state == "preempted"
    report = answered(lost, lost, lost)
    assert report.state == "lost"
    assert report.reason == "given up after 3 attempts: RayError: the machine died"
    broken = answered(Calls.exceptions.RayTaskError())
    assert broken.state == "failed"
    assert broken.reason is not None
    assert "No module named 'fairlora'" in broken.reason


def test_a_cancelled_task_stops_as_by_sigterm(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(
        "fairlora.study.tasks.base.Task.run", lambda *_: os.kill(os.getpid(), signal.SIGINT)
    )
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "1")  # as it is in tests, and to be put back
    report = Report.from_json(ray_engine.run_task(make_job(tmp_path).to_json(), 1))
    assert report.state == "preempted"
    assert signal.getsignal(signal.SIGINT) is before


def test_no_cluster_and_no_ray_are_said_in_a_line(
    ray_address: str, finished_cell: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1"):
        with pytest.raises(InputError, match="cannot connect to Ray.*refused.*ray start"):
            RayEngine(address).run([finished_cell], lambda _: None)
    with (
        pytest.warns(UserWarning, match=r"no machine .* has CPU 1, GPU 8 .*largest: CPU 1, GPU 0"),
        RayEngine(ray_address, gpus=8) as engine,
    ):
        assert engine.slots == 1
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'fairlora\[ray\]'"):
        RayEngine().run([finished_cell], lambda _: None)


def test_sigterm_is_given_back(ray_address: str, make_job: MakeJob, tmp_path: Path) -> None:
    def mine(*_: object) -> None: ...

    before = signal.signal(signal.SIGTERM, mine)
    try:
        with RayEngine(ray_address) as engine:
            engine.run([make_job(tmp_path)], lambda _: None)
        assert signal.getsignal(signal.SIGTERM) is mine
        with pytest.raises(InputError, match="cannot connect"):
            RayEngine("127.0.0.1:9").open()
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)

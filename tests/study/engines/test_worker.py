"""Work on one job: what is recorded, kept and refused, whatever goes wrong."""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlora.errors import InputError
from fairlora.study import RunFolder
from fairlora.study.engines import worker
from fairlora.study.engines.inline import InlineEngine
from fairlora.study.engines.jobs import Job
from fairlora.study.engines.worker import StopSignal, work_on
from fairlora.study.runs import prepare
from fairlora.study.runs.content import Status

MakeJob = Callable[..., Job]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No data remembered from other tests."""
    monkeypatch.setattr(worker, "_examples", prepare.DataSets())


def status_of(job: Job) -> Status:
    status = RunFolder(Path(job.folder)).status()
    assert status is not None
    return status


def test_data_are_read_once_and_for_a_finished_cell_not_at_all(
    make_job: MakeJob,
    finished_cell: Job,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fresh: None,
) -> None:
    read = []
    load = prepare.load_examples
    jobs = [make_job(tmp_path, seed) for seed in (0, 1)]

    def counted(name: str, options: dict[str, Any]) -> Any:
        read.append(name)
        return load(name, options)

    monkeypatch.setattr(prepare, "load_examples", counted)
    assert work_on(finished_cell).state == "kept"
    assert read == []
    assert [work_on(job).state for job in jobs] == ["finished", "finished"]
    assert read == ["waterbirds"]


def test_progress_is_there_while_the_cell_runs(
    make_job: MakeJob,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    progress: Callable[[Job], dict[str, Any] | None],
) -> None:
    job = make_job(tmp_path)
    seen = []
    monkeypatch.setattr(
        "fairlora.study.tasks.base.Task.train", lambda *_: seen.append(progress(job)) or 1 / 0
    )
    assert work_on(job).state == "failed"
    (told,) = seen
    assert told is not None
    assert {"phase", "done", "total", "message", "pid", "host", "started", "time"} == set(told)
    assert progress(job) is None


def test_a_failure_before_the_cell_begins_is_recorded_and_can_be_mended(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: None
) -> None:
    job = make_job(tmp_path)

    def gone(*_: object) -> Any:
        raise InputError("no such folder", where="data.path")

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "load_examples", gone)
        report = work_on(job)
    assert (report.state, report.reason) == ("failed", "data.path: no such folder")
    assert (status_of(job).state, status_of(job).reason) == ("failed", report.reason)
    assert work_on(job).state == "finished"


def test_a_spec_that_no_run_has_is_a_report(tmp_path: Path) -> None:
    for spec, said in (("adaptor: {}", "unknown key"), ("a: [", "ParserError")):
        report = work_on(Job(str(tmp_path / "cell"), spec, "0" * 32))
        assert report.state == "failed"
        assert report.reason is not None
        assert said in report.reason
        shutil.rmtree(tmp_path / "cell")


def test_a_folder_of_other_things_is_left_alone(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(tmp_path)
    folder = Path(job.folder)
    folder.mkdir()
    (folder / "thesis.txt").write_text("chapter one")
    report = work_on(job)
    assert report.state == "failed"
    assert report.reason is not None
    assert "holds no run" in report.reason
    assert {p.name for p in folder.iterdir()} - {".lock"} == {"thesis.txt"}


def test_changed_data_leave_a_run_that_was_not_finished_as_failed(
    make_job: MakeJob, tmp_path: Path
) -> None:
    job = replace(make_job(tmp_path), identity="f" * 32)
    assert work_on(job).state == "failed"
    assert "changed since" in status_of(job).reason


def test_a_held_folder_is_busy_or_waited_for(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(tmp_path)
    folder = Path(job.folder)
    folder.mkdir()
    with (folder / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        report = work_on(job)
        assert report.state == "busy"
        assert [p.name for p in folder.iterdir()] == [".lock"]
        threading.Timer(0.5, lambda: fcntl.flock(handle, fcntl.LOCK_UN)).start()
        assert work_on(job, wait=60).state == "finished"


def test_the_peak_of_memory_is_the_cells_own(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the system does not say")
    job = make_job(tmp_path)
    before = np.ones(400 * 2**20, dtype=np.uint8)
    assert before[-1] == 1
    held = RunFolder(Path(job.folder))
    status = Path("/proc/self/status").read_text()
    highest = int(status.split("VmHWM:")[1].split()[0]) / 1024
    del before
    assert work_on(job).state == "finished"
    assert held.environment()["peak_memory_mb"] < highest - 200


def test_ctrl_c_goes_on(make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fairlora.study.tasks.base.Task.train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        work_on(make_job(tmp_path))


def test_a_stop_in_training_saves_and_the_cell_goes_on_from_there(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import TrainerCallback

    from fairlora.study.tasks.classification import Classification

    class AtTheThirdStep(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 2:
                signal.raise_signal(signal.SIGUSR2)

    job = make_job(tmp_path, steps=5, training={"resume": "checkpoint"})
    train = Classification.train

    def watched(self: Classification, checkpoint: str | None = None) -> None:
        self.trainer.add_callback(AtTheThirdStep())
        train(self, checkpoint)

    stop = StopSignal(signal.SIGUSR2)
    try:
        with monkeypatch.context() as patch, stop:
            patch.setattr(Classification, "train", watched)
            report = work_on(job)
    finally:
        stop.restore()
    assert report.state == "preempted"
    assert stop.asked
    assert "after step 3" in status_of(job).reason
    assert (Path(job.folder) / "checkpoints" / "checkpoint-3").is_dir()
    assert work_on(job).state == "finished"


def test_a_stop_outside_training_leaves_at_once(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(tmp_path)
    before = signal.getsignal(signal.SIGUSR2), signal.getsignal(signal.SIGTERM)
    stop = StopSignal(signal.SIGUSR2)
    signal.raise_signal(signal.SIGUSR2)  # not in a cell: noted, no more
    assert stop.asked
    monkeypatch.setattr(
        "fairlora.study.tasks.base.Task.run", lambda *_: signal.raise_signal(signal.SIGUSR2)
    )
    with stop:
        report = work_on(job)
    stop.restore()
    assert report.state == status_of(job).state == "preempted"
    assert report.reason == "stopped outside training; nothing was saved"
    assert (signal.getsignal(signal.SIGUSR2), signal.getsignal(signal.SIGTERM)) == before


def test_sigterm_ends_the_inline_engine_after_its_cell(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [make_job(tmp_path, seed) for seed in (0, 1)]

    def preempted(*_: object) -> None:
        raise SystemExit(143)

    monkeypatch.setattr("fairlora.study.tasks.base.Task.run", preempted)
    told: list[Any] = []
    with pytest.raises(SystemExit) as stopped:
        InlineEngine().run(jobs, told.append)
    assert stopped.value.code == 143
    assert [report.state for report in told] == ["preempted"]
    assert not Path(jobs[1].folder).exists()


def test_a_report_travels_as_json() -> None:
    job = Job("/runs/a", "seed: 1\n", "0" * 32)
    assert Job.from_json(job.to_json()) == job
    assert json.loads(job.to_json())["folder"] == "/runs/a"

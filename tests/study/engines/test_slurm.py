"""Slurm, with submitit's jobs of this machine and stand-ins for Slurm's commands."""

from __future__ import annotations

import os
import pickle
import re
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fairlora.errors import InputError
from fairlora.study import RunFolder
from fairlora.study.engines import slurm
from fairlora.study.engines.jobs import Job, Report
from fairlora.study.engines.slurm import SlurmEngine

pytest.importorskip("submitit")
from submitit.core.utils import JobPaths

MakeJob = Callable[..., Job]


def test_a_preempted_cell_saves_is_queued_again_and_goes_on(
    make_job: MakeJob,
    tmp_path: Path,
    progress: Callable[[Job], dict[str, Any] | None],
    wait_for: Callable[[Callable[[], Any]], Any],
) -> None:
    saving = {"save_steps": 50, "save_strategy": "steps"}
    job = make_job(tmp_path, steps=400, training={"resume": "checkpoint", "arguments": saving})
    pids: list[int] = []
    reason: list[str] = []

    def preempt() -> None:
        told = wait_for(lambda: (t := progress(job)) and t["phase"] == "training" and t)
        pids.append(told["pid"])
        os.kill(told["pid"], signal.SIGUSR2)
        status = wait_for(RunFolder(Path(job.folder)).status)
        reason.append(status.reason)

    thread = threading.Thread(target=preempt)
    thread.start()
    (report,) = SlurmEngine(cluster="local", minutes=10).run([job], lambda _: None)
    thread.join()
    assert report.state == "finished"
    (step,) = re.findall(r"after step (\d+); saved as", reason[0])
    (output,) = (tmp_path / "logs" / "slurm").glob("*_log.err")
    assert "Requeued job" in output.read_text() + output.with_suffix(".out").read_text()
    assert 0 < int(step) < 400


class Trap:
    """A pickle that says when it is read."""

    def __init__(self, told: Path) -> None:
        self.told = told

    def __reduce__(self) -> Any:
        return Path.touch, (self.told,)


@pytest.mark.parametrize("text", [None, "{", "[" * 100_000, '{"state": "fine", "folder": "x"}'])
def test_what_a_job_hands_back_is_data_and_no_pickle(
    finished_cell: Job, tmp_path: Path, text: str | None
) -> None:
    job = Job(str(tmp_path / "cell"), finished_cell.spec, finished_cell.identity)
    paths = JobPaths(tmp_path, job_id="17", task_id=0)
    paths.result_pickle.write_bytes(pickle.dumps(("success", Trap(tmp_path / "read"))))
    files = {paths.result_pickle.name}
    if text is not None:
        paths.result_pickle.with_suffix(".json").write_text(text)
        files.add(paths.result_pickle.with_suffix(".json").name)
    paths.stderr.write_text("Traceback\nRuntimeError: no room\n")
    task = slurm._Task(0, job, SimpleNamespace(paths=paths, job_id="17", state="COMPLETED"))
    report = SlurmEngine(tmp_path)._report(task, files, ask=True, first=True)
    assert report is not None
    assert report.state == "lost"
    assert "RuntimeError: no room" in (report.reason or "")
    assert not (tmp_path / "read").exists()


def test_a_job_that_dies_is_lost_with_its_log(
    make_job: MakeJob, tmp_path: Path, kill_in: Callable[..., Any]
) -> None:
    job = make_job(tmp_path, steps=50)
    deaths = kill_in(job)
    told: list[Report] = []
    (report,) = SlurmEngine(tmp_path / "slurm", cluster="local", minutes=10).run([job], told.append)
    assert len(deaths.killed) == 1
    assert told == [report]
    assert report.state == "lost"
    assert report.reason is not None
    assert report.reason.startswith("Slurm job ")
    (log,) = re.findall(r"\((/.*_log\.err)\)", report.reason)
    assert Path(log).is_file()


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Puts a command of Slurm's into the path; what it is called with is added to its log."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name: str, body: str) -> Path:
        path = folder / name
        path.write_text(f'#!/bin/bash\necho "$@" >> {path}.log\n{body}\n')
        path.chmod(0o755)
        return path.with_name(f"{name}.log")

    return make


def test_what_slurm_is_asked_for(
    stand_in: Callable[[str, str], Path],
    finished_cell: Job,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """sbatch gets the array; a job that Slurm says is over and left no result is lost."""
    monkeypatch.setattr("fairlora.study.engines.slurm.LOOK_SECONDS", {"slurm": 0.05})
    monkeypatch.setattr("fairlora.study.engines.slurm.ASK_SECONDS", {"slurm": 0.05})
    monkeypatch.setattr("fairlora.study.engines.slurm.LATE_SECONDS", {"slurm": 0.1})
    stand_in("srun", "")
    stand_in("sbatch", f'cp "$1" {tmp_path}/script; echo "Submitted batch job 17"')
    states = "JobID|State|NodeList\\n17_0|NODE_FAIL|a\\n17_1|PREEMPTED|b\\n"
    stand_in("sacct", f"printf '{states}'")
    cancelled = stand_in("scancel", "")
    other = Job(str(tmp_path / "other"), finished_cell.spec, finished_cell.identity)
    engine = SlurmEngine(
        tmp_path / "slurm",
        partition="gpu",
        minutes=90,
        cpus=4,
        gpus=1,
        memory_gb=16,
        array_parallelism=8,
        parameters={"slurm_account": "fair"},
    )
    reports = engine.run([other, finished_cell], lambda _: None)
    script = (tmp_path / "script").read_text()
    for flag in (
        "--array=0-1%2",
        "--partition=gpu",
        "--time=90",
        "--cpus-per-task=4",
        "--gpus-per-node=1",
        "--mem=16GB",
        "--account=fair",
        "--signal=USR2@90",
    ):
        assert f"#SBATCH {flag}" in script
    assert reports[0].state == "lost"
    assert reports[0].reason is not None
    assert "NODE_FAIL" in reports[0].reason
    # Its result got lost, its cell did not.
    assert reports[1].state == "finished"
    assert not cancelled.exists()


def test_ctrl_c_cancels_what_is_queued(
    stand_in: Callable[[str, str], Path],
    finished_cell: Job,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in("srun", "")
    stand_in("sbatch", 'echo "Submitted batch job 18"')
    cancelled = stand_in("scancel", "")

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fairlora.study.engines.slurm.time.sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        SlurmEngine(tmp_path / "slurm").run([finished_cell] * 2, lambda _: None)
    assert cancelled.read_text().split() == ["18"]


def test_what_slurm_or_submitit_refuses_is_said_in_a_line(
    stand_in: Callable[[str, str], Path],
    finished_cell: Job,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(match: str, **settings: Any) -> None:
        with pytest.raises(InputError, match=match) as error:
            SlurmEngine(tmp_path / "slurm", **settings).run([finished_cell], lambda _: None)
        assert "\n" not in str(error.value)

    refused("cannot queue this.*srun")
    stand_in("srun", "")
    stand_in("sbatch", "echo 'sbatch: error: invalid partition specified: gpux' >&2; exit 1")
    refused("refuses the job array.*invalid partition specified: gpux", partition="gpux")
    refused("cannot queue this.*slurm_acount", parameters={"slurm_acount": "fair"})
    monkeypatch.setitem(sys.modules, "submitit", None)
    refused(r"pip install 'fairlora\[slurm\]'")

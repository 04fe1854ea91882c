"""Slurm, with submitit's jobs of this machine and stand-ins for Slurm's commands."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import socket
import sys
import threading
import time
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
    job = make_job(tmp_path, steps=1200, training={"resume": "checkpoint", "arguments": saving})
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
    assert 0 < int(step) < 1200


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
    task = slurm._Task(0, job, SimpleNamespace(paths=paths, job_id="17"), "COMPLETED", 0.0)
    report = SlurmEngine(tmp_path)._report(task, files)
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


class Clock:
    """Time that passes only where the engine sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.at: dict[float, Callable[[], Any]] = {}  # what happens when

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for due in [due for due in self.at if due <= self.now]:
            self.at.pop(due)()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(slurm, "time", made)
    return made


@pytest.mark.usefixtures("clock")
def test_what_slurm_is_asked_for(
    stand_in: Callable[[str, str], Path], finished_cell: Job, tmp_path: Path
) -> None:
    """sbatch gets the array; a job that Slurm says is over and left no result is lost."""
    stand_in("srun", "")
    stand_in("scontrol", "exit 1")
    stand_in("squeue", "echo 'slurm_load_jobs error: Unable to contact' >&2; exit 1")
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

    monkeypatch.setattr(slurm.time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        SlurmEngine(tmp_path / "slurm").run([finished_cell] * 2, lambda _: None)
    assert cancelled.read_text().split() == ["18"]


def test_without_accounting_the_queue_says_how_jobs_ended(
    stand_in: Callable[[str, str], Path],
    make_job: MakeJob,
    tmp_path: Path,
    clock: Clock,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """One is held, then cancelled; one is queued again after its node died, and then forgotten."""
    stand_in("srun", "")
    stand_in("scontrol", "exit 1")
    stand_in("sbatch", 'echo "Submitted batch job 17"')
    sacct = stand_in("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    squeue = stand_in(
        "squeue",
        "case $(wc -l < $0.log) in\n"
        "1) echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1;;\n"
        "2) echo '17_0|PENDING|JobHeldAdmin'; echo '17_1|NODE_FAIL|None';;\n"
        "3) echo '17_0|CANCELLED|None'; echo '17_1|PENDING|BeginTime';;\n"
        "4) echo '17_0|CANCELLED|None'; echo '17_1|RUNNING|None';;\n"
        "*) echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1;;\n"
        "esac",
    )
    jobs = [make_job(tmp_path, seed) for seed in (0, 1)]
    engine = SlurmEngine(tmp_path / "slurm")
    said: list[str] = []
    engine.notify = said.append  # type: ignore[method-assign]
    ends: list[float] = []
    logs = [tmp_path / "slurm" / f"17_{number}_0_log.err" for number in (0, 1)]
    reports = engine.run(jobs, lambda _: ends.append(clock.now))
    assert [(report.state, report.reason) for report in reports] == [
        ("lost", f"Slurm job 17_0: CANCELLED ({logs[0]})"),
        ("lost", f"Slurm job 17_1: Slurm no longer knows it ({logs[1]})"),
    ]
    assert said == [
        "Slurm does not answer, and is asked again: "
        "slurm_load_jobs error: Unable to contact slurm controller",
        "cells of Slurm job 17 that wait: 1 (JobHeldAdmin)",
    ]
    # Asked after 10 seconds and then once a minute, about all jobs; an end is believed after 90.
    assert ends == [130 + 90, 250 + 90]
    asked = squeue.read_text().splitlines()
    assert asked == ["--jobs 17 --states all --array --noheader --format %i|%T|%r"] * 6
    assert len(sacct.read_text().splitlines()) == 3  # where the queue was silent, or had forgotten
    assert "".join(capfd.readouterr()) == ""


def test_arrays_are_as_long_as_slurm_allows_and_a_refused_one_leaves_nothing(
    stand_in: Callable[[str, str], Path],
    finished_cell: Job,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    stand_in("srun", "")
    stand_in("scontrol", "echo 'MaxArraySize            = 2'")
    cancelled = stand_in("scancel", "")
    sbatch = stand_in(
        "sbatch",
        f"grep -h -- --array $1 >> {tmp_path}/arrays\n"
        "(( $(wc -l < $0.log) == 1 )) && echo 'Submitted batch job 17' && exit 0\n"
        "echo 'sbatch: error: Job violates accounting/QOS policy' >&2; exit 1",
    )
    mine = tmp_path / "slurm" / f"{'0' * 32}.pkl"  # of another study that uses the folder
    mine.parent.mkdir()
    mine.touch()
    with pytest.raises(InputError, match="refuses the job array.*QOS policy"):
        SlurmEngine(mine.parent).run([finished_cell] * 5, lambda _: None)
    assert len(sbatch.read_text().splitlines()) == 2
    arrays = (tmp_path / "arrays").read_text().splitlines()
    assert arrays == ["#SBATCH --array=0-1%2"] * 2
    assert cancelled.read_text().split() == ["17"]
    assert list(mine.parent.glob("*.pkl")) == [mine]
    assert capfd.readouterr().err == ""


def test_a_cell_that_another_study_runs_is_waited_for(
    stand_in: Callable[[str, str], Path], make_job: MakeJob, tmp_path: Path, clock: Clock
) -> None:
    """Its job says that it is busy; it is not queued again for as long as the other runs it."""
    job = make_job(tmp_path)
    stand_in("srun", "")
    stand_in("scontrol", "exit 1")
    busy = Report(job.folder, "busy", "another process is running").to_json()
    answer = tmp_path / "slurm" / "17_0_result.json"
    stand_in("sbatch", f"cat > {answer} <<< '{busy}'\necho 'Submitted batch job 17'")
    stand_in("squeue", "echo '17|COMPLETED|None'")
    told = Path(job.folder) / "progress.json"
    told.parent.mkdir()
    content = {"phase": "training", "done": 1, "total": 2, "message": "", "pid": os.getpid()}
    told.write_text(json.dumps({**content, "host": socket.gethostname(), "time": time.time()}))
    clock.at[600.0] = told.unlink
    ends: list[float] = []
    (report,) = SlurmEngine(tmp_path / "slurm").run([job], lambda _: ends.append(clock.now))
    assert report.state == "busy"
    assert ends == [600.0]


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

    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        refused("cannot queue this.*srun")
    stand_in("srun", "")
    stand_in("sbatch", "echo 'sbatch: error: invalid partition specified: gpux' >&2; exit 1")
    refused("refuses the job array.*invalid partition specified: gpux", partition="gpux")
    refused("cannot queue this.*slurm_acount", parameters={"slurm_acount": "fair"})
    monkeypatch.setitem(sys.modules, "submitit", None)
    refused(r"pip install 'fairlora\[slurm\]'")

"""A real Slurm of this machine, without accounting; skipped, with the reason, where there is none.

Where ``slurmctld``, ``slurmd`` and ``munged`` are installed and the tests run as root:
``make check-clusters`` (of Slurm about four minutes).
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlora.errors import InputError
from fairlora.study import RunFolder
from fairlora.study.engines.jobs import Job
from fairlora.study.engines.slurm import SlurmEngine
from fairlora.study.engines.worker import work_on

pytestmark = pytest.mark.cluster
MakeJob = Callable[..., Job]
Wait = Callable[[Callable[[], Any]], Any]
Progress = Callable[[Job], dict[str, Any] | None]

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "slurm.sh"
SAVING: dict[str, Any] = {
    "steps": 400,
    "training": {"resume": "checkpoint", "arguments": {"save_steps": 50, "save_strategy": "steps"}},
}


def free_ports() -> int:
    """A free port with another one above it."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a Slurm that runs, and is what Slurm's commands ask."""
    pytest.importorskip("submitit")
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run(
        [SCRIPT, "start", folder, str(free_ports())], capture_output=True, text=True
    )
    if started.returncode:
        said = started.stderr.strip().splitlines() or [f"code {started.returncode}"]
        pytest.skip(f"no Slurm here: {said[-1]}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        for name, value in (("LOOK", 0.2), ("FIRST", 1.0), ("ASK", 1.0), ("LATE", 5.0)):
            seconds = {"slurm": value, "local": value}
            patch.setattr(f"fairlora.study.engines.slurm.{name}_SECONDS", seconds)
        yield folder
    subprocess.run([SCRIPT, "stop", folder], check=True)


def slurm(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def as_undisturbed(tmp_path: Path) -> Callable[[Job], None]:
    """Asserts that a cell has the numbers that it has where nothing happens to it."""

    def check(job: Job) -> None:
        root = tmp_path / "undisturbed"
        alone = Job(str(root / job.name), job.spec, job.identity)
        assert work_on(alone).state == "finished"
        cells = [Path(folder) for folder in (job.folder, alone.folder)]
        assert RunFolder(cells[0]).is_finished()
        found, expected = ((cell / "predictions.parquet").read_bytes() for cell in cells)
        assert found == expected
        for metrics in (both := [RunFolder(cell).metrics() for cell in cells]):
            del metrics["training_seconds"]
        assert both[0] == both[1]

    return check


class Meanwhile:
    """Does something beside the engine, and says what went wrong in it."""

    def __init__(self, action: Callable[[], None]) -> None:
        self.fault: BaseException | None = None
        self.thread = threading.Thread(target=self._run, args=(action,))

    def _run(self, action: Callable[[], None]) -> None:
        try:
            action()
        except BaseException as fault:
            self.fault = fault

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.thread.join()
        if self.fault is not None:
            raise self.fault


def test_an_array_of_which_one_is_cancelled_one_requeued_one_killed_and_its_node_drained(
    cluster: Path,
    make_job: MakeJob,
    tmp_path: Path,
    progress: Progress,
    wait_for: Wait,
    as_undisturbed: Callable[[Job], None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    jobs = [make_job(tmp_path, seed, steps=100 if seed else 1) for seed in range(4)]
    node = slurm("sinfo", "--noheader", "--format=%n").strip()
    slurm("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")
    said: list[str] = []
    engine = SlurmEngine(tmp_path / "logs", minutes=10, array_parallelism=4)
    engine.notify = said.append  # type: ignore[method-assign]

    def array() -> str:
        return slurm("squeue", "--noheader", "--format=%F").split()[0]

    def pid_of(job: Job) -> int:
        """Of the process that runs a cell, which is stopped so that it does not end before."""
        told = wait_for(lambda: progress(job))
        os.kill(told["pid"], signal.SIGSTOP)
        pid: int = told["pid"]
        return pid

    def disturb() -> None:
        wait_for(lambda: said)
        slurm("scontrol", "update", f"NodeName={node}", "State=RESUME")
        number = array()
        pid_of(jobs[1])
        slurm("scancel", f"{number}_1")
        killed = pid_of(jobs[2])
        os.kill(killed, signal.SIGKILL)
        again = pid_of(jobs[3])
        slurm("scontrol", "requeue", f"{number}_3")
        wait_for(lambda: not Path(f"/proc/{again}").exists())

    with Meanwhile(disturb):
        reports = engine.run(jobs, lambda _: None)
    assert [report.state for report in reports] == ["finished", "lost", "lost", "finished"]
    for report, number, how in ((reports[1], 1, "CANCELLED"), (reports[2], 2, "FAILED")):
        assert report.reason is not None
        assert re.match(rf"Slurm job \d+_{number}: {how}", report.reason)
        (log,) = re.findall(r"\((/.*_log\.err)\)", report.reason)
        assert Path(log).is_file()
    as_undisturbed(jobs[0])
    as_undisturbed(jobs[3])
    assert len(said) == 1
    assert re.fullmatch(
        r"cells of Slurm job \d+ that wait: 4 \(.*(DRAINED|NodeNotAvail).*\)", said[0]
    )
    # What submitit and Slurm's own commands have to say of a Slurm without accounting is not shown.
    out, error = capfd.readouterr()
    assert "sacct" not in out + error
    assert "accounting" not in out + error


def test_a_cell_whose_minutes_are_over_saves_and_goes_on(
    cluster: Path,
    make_job: MakeJob,
    tmp_path: Path,
    progress: Progress,
    wait_for: Wait,
    as_undisturbed: Callable[[Job], None],
) -> None:
    job = make_job(tmp_path, **SAVING)
    engine = SlurmEngine(tmp_path / "logs", minutes=10)
    reasons: list[str] = []

    def wait_in_training() -> None:
        """Let it stand still in training until Slurm wakes it and says that the end is near."""
        told = wait_for(lambda: (t := progress(job)) and t["phase"] == "training" and t)
        os.kill(told["pid"], signal.SIGSTOP)
        (number,) = slurm("squeue", "--noheader", "--format=%A").split()
        used = slurm("squeue", "--noheader", "--format=%M").strip().split(":")[-2]
        slurm("scontrol", "update", f"JobId={number}", f"TimeLimit={int(used) + 2}")
        reasons.append(wait_for(RunFolder(Path(job.folder)).status).reason)
        slurm("scontrol", "update", f"JobId={number}", "TimeLimit=10")

    with Meanwhile(wait_in_training):
        (report,) = engine.run([job], lambda _: None)
    assert report.state == "finished", report
    (step,) = re.findall(r"after step (\d+); saved as", reasons[0])
    assert 0 < int(step) < 400
    as_undisturbed(job)


def test_a_command_that_is_killed_and_run_again_ends_with_the_same_numbers(
    cluster: Path,
    make_job: MakeJob,
    tmp_path: Path,
    progress: Progress,
    wait_for: Wait,
    as_undisturbed: Callable[[Job], None],
) -> None:
    job = make_job(tmp_path, steps=100)
    code = (
        "import sys\n"
        "from fairlora.study.engines.slurm import SlurmEngine\n"
        "from fairlora.study.engines.jobs import Job\n"
        "SlurmEngine(minutes=10).run([Job.from_json(sys.argv[1])], print)"
    )
    command = subprocess.Popen([sys.executable, "-c", code, job.to_json()])
    wait_for(lambda: progress(job))
    command.kill()
    command.wait()
    (report,) = SlurmEngine(minutes=10).run([job], lambda _: None)
    assert report.state in ("busy", "kept")
    as_undisturbed(job)


def test_a_refused_array_leaves_nothing_behind(
    cluster: Path, finished_cell: Job, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for settings, why in (
        ({"partition": "gpux"}, "invalid partition specified: gpux"),
        ({"minutes": 10_000}, "Requested time limit is invalid"),
        ({"cpus": 1000}, "More processors requested than permitted"),
    ):
        with pytest.raises(InputError, match=f"refuses the job array.*{why}") as error:
            SlurmEngine(tmp_path / "logs", **settings).run([finished_cell] * 3, lambda _: None)
        assert "\n" not in str(error.value)
        assert capfd.readouterr().err == ""
        assert {path.name for path in (tmp_path / "logs").iterdir()} <= {".queueing.lock"}

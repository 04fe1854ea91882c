"""Ray: a machine that dies in the middle, a cluster that is not there, too small, or one's own."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fairlora.errors import InputError
from fairlora.study import RunFolder
from fairlora.study.engines import ray_driver, ray_tasks
from fairlora.study.engines.jobs import Job, Report
from fairlora.study.engines.ray import RayEngine
from fairlora.study.engines.worker import THREAD_VARIABLES

MakeJob = Callable[..., Job]
Progress = Callable[[Job], dict[str, Any] | None]
Wait = Callable[[Callable[[], Any]], Any]

# Fails at once, reads nothing and writes nothing.
BROKEN = Job("/dev/null/cell", "wishful: 1", "f" * 64)


@pytest.fixture(scope="module")
def cluster(at_ray_home: None) -> Iterator[Any]:
    """A shared cluster with a token, of one machine with one core; others may be added."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        from ray.cluster_utils import Cluster

        before = signal.getsignal(signal.SIGTERM)  # which each machine that Ray starts takes over
        try:
            head = {"num_cpus": 1, "include_dashboard": False}
            made = Cluster(initialize_head=True, connect=False, head_node_args=head)
            assert made.address.startswith("127.0.0.1:")
            yield made
            made.shutdown()
        finally:
            signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def engine(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayEngine]:
    """Connected to the cluster: what it has loaded serves every test."""
    logs = tmp_path_factory.mktemp("logs")
    with RayEngine(cluster.address, retries=1, logs=logs) as made:
        yield made


@pytest.mark.cluster
def test_a_machine_that_dies_in_the_middle_loses_nothing(
    cluster: Any,
    engine: RayEngine,
    make_job: MakeJob,
    tmp_path: Path,
    progress: Progress,
    wait_for: Wait,
    capfd: pytest.CaptureFixture[str],
) -> None:
    jobs = [make_job(tmp_path, seed, steps=50) for seed in (0, 1)]
    second = cluster.add_node(num_cpus=1)
    pids: set[int] = set()

    def kill() -> None:
        """Once both machines have a cell, the second is gone from one moment to the next."""
        wait_for(lambda: pids.update(t["pid"] for j in jobs if (t := progress(j))) or len(pids) > 1)
        cluster.remove_node(second, allow_graceful=False)

    thread = threading.Thread(target=kill)
    thread.start()
    told: list[Report] = []
    reports = engine.run(jobs, told.append)
    thread.join()
    assert len(told) == len(reports) == 2
    assert {report.state for report in reports} <= {"finished", "kept"}
    assert all(RunFolder(Path(job.folder)).is_finished() for job in jobs)
    assert capfd.readouterr().out == ""


@pytest.mark.cluster
def test_a_cell_that_kills_its_process_is_lost_and_no_other_with_it(
    engine: RayEngine, make_job: MakeJob, tmp_path: Path, kill_in: Callable[..., Any]
) -> None:
    jobs = [make_job(tmp_path, seed, steps=50) for seed in (0, 1)]
    deaths = kill_in(jobs[0])
    engine.retries = 0  # that it is run again is seen above, and costs a process each time
    reports = engine.run(jobs, lambda _: None)
    assert len(deaths.killed) == 1
    assert reports[0].state == "lost"
    assert reports[0].reason is not None
    assert "given up after 1 attempts" in reports[0].reason
    assert reports[1].state == "finished"


@pytest.mark.cluster
def test_an_interrupted_run_saves_its_cells(
    engine: RayEngine, make_job: MakeJob, tmp_path: Path, wait_for: Wait, progress: Progress
) -> None:
    long = make_job(tmp_path, 0, steps=100_000, training={"resume": "checkpoint"})

    def interrupt(report: Report) -> None:
        assert report.state == "failed"
        wait_for(lambda: (t := progress(long)) and t["phase"] == "training")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.run([BROKEN, long], interrupt)
    status = RunFolder(Path(long.folder)).status()
    assert status is not None
    assert (status.state, "saved as" in (status.reason or "")) == ("preempted", True)
    # The next run connects anew.
    assert [r.state for r in engine.run([BROKEN], lambda _: None)] == ["failed"]


@pytest.mark.cluster
def test_a_cell_too_large_is_waited_for_and_a_driver_that_dies_loses_its_jobs(
    cluster: Any, tmp_path: Path
) -> None:
    engine = RayEngine(cluster.address, gpus=8, logs=tmp_path)
    waits = r"no machine .* has CPU 1, GPU 8 .*largest: CPU 1, GPU 0"
    with contextlib.ExitStack() as stack:
        with pytest.warns(UserWarning, match=waits):
            stack.enter_context(engine)
        assert engine.slots == 1
        os.kill(engine._driver.pid, signal.SIGKILL)  # type: ignore[union-attr]
        told: list[Report] = []
        reports = engine.run([BROKEN] * 2, told.append)
    assert reports == told
    assert [report.state for report in reports] == ["lost", "lost"]
    assert "killed by SIGKILL" in (reports[0].reason or "")


@pytest.mark.usefixtures("at_ray_home")
def test_a_cluster_that_is_not_there_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot connect to Ray.*refused.*ray start"):
        RayEngine("ray://127.0.0.1:1", logs=tmp_path).open()


def test_a_ray_that_is_missing_or_lets_others_in_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for version in ("2.51.2", "2.40.0", "1.13.0"):
        monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(__version__=version))
        with pytest.raises(InputError, match=rf"found ray {version}; .*'ray>=2\.52'"):
            ray_driver.import_ray()
    for version in ("2.52.0", "2.60.0", "3.0.0.dev0"):
        ray = SimpleNamespace(__version__=version)
        monkeypatch.setitem(sys.modules, "ray", ray)
        assert ray_driver.import_ray() is ray
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'fairlora\[ray\]'"):
        ray_driver.import_ray()


NEEDS = {"CPU": 1.0, "GPU": 0.0}


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
        monkeypatch.setattr(ray_tasks, "PAUSE_SECONDS", 0.01)
        monkeypatch.setattr(ray_tasks, "LOOK_SECONDS", 0.01)
        monkeypatch.setattr(ray_tasks, "PATIENCE_SECONDS", 0.02)
        reports: dict[int, Report] = {}
        run = ray_tasks.ClusterRun(
            calls, [Job("/cell", "", "")], reports.__setitem__, NEEDS, 2, threading.Event()
        )
        run.waiting[0].patience = 0.02
        run.to_the_end()
        assert calls.answers == []
        assert list(reports) == [0]
        return reports[0]

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
    report = Report.from_json(ray_tasks.run_task(make_job(tmp_path).to_json(), 1))
    assert report.state == "preempted"
    assert signal.getsignal(signal.SIGINT) is before


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("at_ray_home")
def test_a_cluster_of_ones_own_is_closed_to_others_and_goes_with_its_study(
    make_job: MakeJob, tmp_path: Path, wait_for: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    psutil = pytest.importorskip("psutil")
    root = tmp_path / ("deep-" * 30)  # a path that no socket may have
    job = make_job(root, 0, steps=100_000)
    code = (
        "import sys\n"
        "from fairlora.study.engines.ray import RayEngine\n"
        "from fairlora.study.engines.jobs import Job\n"
        "RayEngine().run([Job.from_json(sys.argv[1])], print)"
    )
    study = psutil.Popen([sys.executable, "-c", code, job.to_json()])

    def processes() -> dict[str, Any]:
        """Those of the study by their titles, once it runs the cell."""
        found = {}
        for process in study.children(recursive=True):
            try:
                found[" ".join(process.cmdline())] = process
            except psutil.Error:  # already gone
                continue
        return found if any("ray::run_task" in title for title in found) else {}

    try:
        running = wait_for(processes)
        # Nobody else reads its folders.
        (folder,) = (root / "logs").glob("ray-*/")
        (server,) = (p for title, p in running.items() if "gcs_server" in title)
        token = Path(server.environ()["RAY_AUTH_TOKEN_PATH"])
        assert [mode(path) for path in (token, token.parent, folder)] == [0o600, 0o700, 0o700]
        assert (token.parent / "ray").samefile(folder)
        folders = [path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()]
        assert len(folders) > 5
        assert not [path for path in folders if mode(path) & 0o022]
        # Nobody hears it from elsewhere, and nobody here joins it without its token.
        sockets = [c for p in running.values() for c in p.net_connections("tcp")]
        heard = {c.laddr.ip for c in sockets if c.status == psutil.CONN_LISTEN}
        assert heard <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
        (port,) = (c.laddr.port for c in server.net_connections("tcp") if c.status == "LISTEN")
        monkeypatch.setenv("HOME", str(tmp_path))
        with pytest.raises(InputError, match="cannot connect to Ray"):
            RayEngine(f"127.0.0.1:{port}", logs=tmp_path / "other").open()
    finally:
        left = study.children(recursive=True)
        study.kill()
        study.wait()
    _, alive = psutil.wait_procs(left, timeout=5)
    assert not [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert not token.parent.exists()


def test_a_cluster_that_comes_up_late_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray gives its own processes half a minute, and a cold machine needs more the first time."""
    calls: list[str] = []

    def init(**_: object) -> None:
        calls.append("init")
        if len(calls) == 1:
            raise RuntimeError("The current node timed out during startup.")

    ray = SimpleNamespace(
        init=init,
        shutdown=lambda: calls.append("shutdown"),
        nodes=lambda: [{"NodeManagerAddress": ray_driver.LOOPBACK}],
    )
    # Neither this process's environment nor the processes of the tests' own cluster are touched.
    cluster = object.__new__(ray_driver.OwnCluster)
    cluster.folder = cluster.private = tmp_path
    monkeypatch.setattr(cluster, "_kill", lambda: calls.append("kill"))
    cluster.start(ray)
    assert calls == ["init", "shutdown", "kill", "init"]

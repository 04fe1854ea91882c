"""What the engines' tests share: the smallest cells, and an engine of each kind."""

from __future__ import annotations

import os

# With these, and a home of its own, Ray asks nobody on the network where it is. It reads some of
# them when it is imported.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
os.environ["RAY_USAGE_STATS_REPORT_URL"] = "http://127.0.0.1:9/"

import contextlib
import importlib.util
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlora.data.tiny import write_tiny
from fairlora.study import parse_spec
from fairlora.study.engines.jobs import Job
from fairlora.study.engines.worker import work_on
from fairlora.study.runs.prepare import prepare

MakeJob = Callable[..., Job]


class Deaths:
    """Kills every process that says it runs a cell, until so many are dead."""

    def __init__(self, job: Job, times: int) -> None:
        self.killed: list[int] = []
        self._job, self._times = job, times
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while len(self.killed) < self._times and not self._stopped.wait(0.02):
            told = progress_of(self._job)
            if told is not None and told["pid"] not in self.killed:
                self.killed.append(told["pid"])
                os.kill(told["pid"], signal.SIGKILL)

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()


def progress_of(job: Job) -> dict[str, Any] | None:
    """What the process that runs a cell says of it; None where none does."""
    try:
        told: dict[str, Any] = json.loads((Path(job.folder) / "progress.json").read_text())
    except FileNotFoundError:
        return None
    return told


@pytest.fixture
def wait_for() -> Callable[[Callable[[], Any]], Any]:
    """Waits until a question has a true answer, and gives it."""

    def wait(question: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if answer := question():
                return answer
            time.sleep(0.02)
        raise AssertionError("waited in vain")

    return wait


@pytest.fixture
def progress() -> Callable[[Job], dict[str, Any] | None]:
    return progress_of


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """32 pictures of two classes and two groups."""
    options = write_tiny("waterbirds", tmp_path_factory.mktemp("birds"), rows=32)
    return {"name": "waterbirds", **options}


@pytest.fixture(scope="session")
def make_job(tiny_vit: Path, tiny_data: dict[str, Any]) -> MakeJob:
    """A job of one step, or of `steps`, in a folder below `root`."""

    def make(root: Path, seed: int = 0, *, steps: int = 1, **sections: Any) -> Job:
        training = {"max_steps": steps, "select": "last", "learning_rate": 0.01}
        settings = {
            "data": tiny_data,
            "model": {"id": str(tiny_vit)},
            "adapter": {"kind": "linear"},
            "seed": seed,
            **sections,
            "training": {**training, **sections.get("training", {})},
        }
        prepared = prepare(parse_spec(settings))
        return Job(str(root / prepared.name), prepared.spec.to_yaml(), prepared.identity)

    return make


@pytest.fixture(scope="session")
def finished_cell(make_job: MakeJob, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A job whose cell is finished: to be copied, never to be written in."""
    job = make_job(tmp_path_factory.mktemp("finished-cell"), seed=100)
    assert work_on(job).state == "finished"
    return job


@pytest.fixture(scope="session")
def ray_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder that says that this machine is no cloud's."""
    home = tmp_path_factory.mktemp("home")
    (home / "ray_bootstrap_config.yaml").write_text("provider:\n  type: local\n")
    return home


@pytest.fixture(scope="module")
def at_ray_home(ray_home: Path) -> Iterator[None]:
    """What Ray's processes that a module starts find; skips where there is no Ray."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    with at_home(ray_home):
        yield


@contextlib.contextmanager
def at_home(home: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def kill_in() -> Iterator[Callable[..., Deaths]]:
    """Kills the process that runs a job's cell, so many times: ``kill_in(job, times)``."""
    started: list[Deaths] = []

    def start(job: Job, times: int = 1) -> Deaths:
        started.append(Deaths(job, times))
        return started[-1]

    yield start
    for deaths in started:
        deaths.stop()


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

"""What every engine does with jobs, whatever carries them; and what the study file says of it."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from pydantic import ValidationError

from fairlora.study import RunFolder
from fairlora.study.engines import Engine, EngineSpec, make_engine
from fairlora.study.engines.devices import available_cores
from fairlora.study.engines.jobs import Job, Report
from fairlora.study.engines.slurm import SlurmEngine
from fairlora.study.spec.study import StudySpec

KINDS = ("inline", "local", "ray", "slurm")


def settings_of(kind: str, **more: Any) -> EngineSpec:
    sections = {
        "local": {"processes": 2},
        "slurm": {"slurm": {"cluster": "local", "minutes": 10}},
    }
    return EngineSpec.model_validate({"kind": kind, **sections.get(kind, {}), **more})


@pytest.fixture(scope="module", params=KINDS)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    more = {}
    if request.param == "ray":
        request.getfixturevalue("at_ray_home")
        # One cell at a time: a process that has loaded torch takes them all.
        more["ray"] = {"cpus": available_cores()}
    if request.param == "slurm":
        pytest.importorskip("submitit")
    logs = tmp_path_factory.mktemp("logs")
    with make_engine(settings_of(request.param, **more), logs) as made:
        yield made


class Done(NamedTuple):
    """One run of an engine: its jobs by what is the matter with them, and what came of each."""

    jobs: dict[str, Job]
    reports: dict[str, Report]
    told: list[Report]
    before: dict[str, bytes]


def contents(folder: str) -> dict[str, bytes]:
    """What a cell's folder holds."""
    return {str(p): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def done(
    engine: Engine,
    make_job: Callable[..., Job],
    finished_cell: Job,
    tmp_path_factory: pytest.TempPathFactory,
) -> Done:
    root = tmp_path_factory.mktemp("study")

    def copied(name: str) -> Job:
        shutil.copytree(finished_cell.folder, root / name)
        return replace(finished_cell, folder=str(root / name))

    jobs = {
        "broken": make_job(root, 3, training={"arguments": {"optim": "wishful"}}),
        "good": make_job(root, 0),
        "finished": copied("finished"),
        "changed": replace(copied("changed"), identity="f" * 32),
        "other": make_job(root, 1),
    }
    if isinstance(engine, SlurmEngine):  # a process a job, each with a torch of its own
        del jobs["other"]
        jobs["broken"] = replace(jobs["broken"], spec="wishful: 1\n")
    before = contents(jobs["finished"].folder) | contents(jobs["changed"].folder)
    told: list[Report] = []
    reports = engine.run(list(jobs.values()), told.append)
    return Done(jobs, dict(zip(jobs, reports, strict=True)), told, before)


def test_every_job_has_its_report_in_its_place(done: Done) -> None:
    for name, report in done.reports.items():
        assert report.folder == done.jobs[name].folder
    assert sorted(map(repr, done.told)) == sorted(map(repr, done.reports.values()))


def test_jobs_finish(done: Done) -> None:
    for name in {"good", "other"} & set(done.jobs):
        job, report = done.jobs[name], done.reports[name]
        assert (report.state, report.reason) == ("finished", None)
        folder = RunFolder(Path(job.folder))
        assert folder.is_finished()
        assert folder.environment()["identity"] == job.identity
        assert folder.metrics()["rows"]["test"] > 0
        assert not (folder.path / "progress.json").exists()


def test_a_failing_job_says_why_and_stops_no_other(done: Done) -> None:
    report = done.reports["broken"]
    assert report.state == "failed"
    assert report.reason is not None
    assert "wishful" in report.reason
    status = RunFolder(Path(done.jobs["broken"].folder)).status()
    assert status is not None
    assert (status.state, status.reason) == ("failed", report.reason)


def test_a_finished_cell_is_kept(done: Done) -> None:
    assert done.reports["finished"].state == "kept"
    after = contents(done.jobs["finished"].folder)
    assert all(after[path] == done.before[path] for path in after)


def test_other_data_than_those_of_the_plan_are_refused_and_nothing_is_lost(done: Done) -> None:
    report = done.reports["changed"]
    assert report.state == "failed"
    assert report.reason is not None
    assert "changed since the study was planned" in report.reason
    after = contents(done.jobs["changed"].folder)
    assert {p: b for p, b in done.before.items() if p in after} == after
    assert RunFolder(Path(done.jobs["changed"].folder)).is_finished()


@pytest.fixture(scope="module")
def another() -> Iterator[Engine]:
    with make_engine(EngineSpec(kind="local", processes=1)) as made:
        yield made


def test_two_engines_never_run_one_cell_twice(
    engine: Engine, another: Engine, make_job: Callable[..., Job], tmp_path: Path
) -> None:
    jobs = [make_job(tmp_path, seed) for seed in (10, 11)]
    others: list[Report] = []
    thread = threading.Thread(target=lambda: others.extend(another.run(jobs, lambda _: None)))
    thread.start()
    reports = engine.run(jobs, lambda _: None)
    thread.join()
    for job, *both in zip(jobs, reports, others, strict=True):
        states = sorted(report.state for report in both)
        assert states in (["busy", "finished"], ["finished", "kept"]), both
        assert RunFolder(Path(job.folder)).is_finished()


def test_nothing_to_do_starts_nothing() -> None:
    for kind in KINDS:
        assert make_engine(settings_of(kind)).run([], lambda _: None) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "kubernetes"},
        {"process": 2},
        {"processes": 0},
        {"threads": 0},
        {"ray": {"cpu": 1}},
        {"ray": {"retries": -1}},
        {"slurm": {"time": 10}},
        {"slurm": {"cluster": "debug"}},
    ],
)
def test_what_the_section_does_not_know_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EngineSpec.model_validate(wrong)


def test_gpus_are_read_as_people_write_them() -> None:
    for written, names in (
        (None, None),
        ([], ()),
        (0, ("0",)),
        ([0, 1], ("0", "1")),
        ("2, 3", ("2", "3")),
        (["GPU-1f"], ("GPU-1f",)),
    ):
        assert EngineSpec.model_validate({"gpus": written}).gpus == names


def test_the_settings_reach_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # the most threads of a process
    local: Any = make_engine(EngineSpec(processes=3, threads=2, gpus=("0", "1")))
    assert (local.slots, local.threads, local.gpus) == (3, 2, ("0", "1"))
    by_gpu = make_engine(EngineSpec(gpus=("0", "1", "5")))
    assert by_gpu.slots == 3
    without: Any = make_engine(EngineSpec(gpus=()))
    assert (without.slots, without.threads) == (available_cores(), 1)
    # A cell that fills the memory runs alone, and has all the cores.
    large: Any = make_engine(EngineSpec(gpus=()), cell_bytes=1 << 50)
    assert large.slots == 1
    alone: Any = make_engine(EngineSpec(gpus=()), cells=1)
    assert (alone.slots, alone.threads) == (1, available_cores())
    # What was asked for stands.
    asked: Any = make_engine(EngineSpec(gpus=(), processes=3), cells=1)
    assert asked.slots == 3
    ray: Any = make_engine(
        settings_of("ray", ray={"address": "auto", "cpus": 2, "gpus": 0.5, "memory_gb": 8})
    )
    assert ray.needs == {"CPU": 2, "GPU": 0.5, "memory": 8 * 1024**3}
    slurm: Any = make_engine(
        settings_of("slurm", slurm={"partition": "gpu", "array_parallelism": 7, "gpus": 1})
    )
    assert slurm.slots == 7
    assert slurm.parameters["slurm_partition"] == "gpu"
    assert slurm.parameters["gpus_per_node"] == 1


def test_the_sections_of_the_page_are_read() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "engines.md").read_text("utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    kinds = [StudySpec.model_validate(yaml.safe_load(block)).engine.kind for block in blocks]
    assert kinds == ["local", "ray", "slurm"]

"""Jobs whose adapters are trained in one pass: which go together, and that nothing else changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fairlora.errors import InputError
from fairlora.predictions import read_predictions
from fairlora.study import RunFolder
from fairlora.study.engines import EngineSpec, make_engine, worker
from fairlora.study.engines.jobs import Job, Report
from fairlora.study.engines.packs import packs
from fairlora.study.engines.worker import work_together

MakeJob = Callable[..., Job]


def job(name: str, **sections: Any) -> Job:
    return Job(name, yaml.safe_dump(sections), "0" * 32)


def names(made: Sequence[Sequence[Job]]) -> list[str]:
    return ["".join(job.folder for job in pack) for pack in made]


def test_what_shares_a_base_goes_together() -> None:
    lora: dict[str, Any] = {"adapter": {"kind": "lora", "rank": 8}, "seed": 0}
    jobs = [
        job("a", **lora),
        job("b", **{**lora, "seed": 1, "objective": {"name": "loss-variance"}}),
        job("c", adapter={"kind": "full"}),
        job("d", adapter={"kind": "lora", "rank": 2}, training={"learning_rate": 1e-2}),
        job("e", adapter={"kind": "lora", "rank": 0}),
        job("f", **{**lora, "data": {"scarcity": {"tone": {"dark": 0.1}}}}),
        job("g", **{**lora, "model": {"id": "another"}}),
        job("h", **{**lora, "training": {"workers": 2}}),
        job("i", **{**lora, "data": {"name": "another"}}),
        job("j", **lora),
        job("k", **{**lora, "model": {"id": "vlm", "prompt": "Who?"}}),
        job("l", **{**lora, "model": {"id": "vlm", "prompt": "Who?"}}),
    ]
    assert names(packs(jobs, 1)) == list("abcdefghijkl")
    assert names(packs(jobs, 3)) == ["abd", "c", "e", "fj", "g", "h", "i", "k", "l"]
    assert names(packs(jobs, 64)) == ["abdfj", "c", "e", "g", "h", "i", "k", "l"]


@pytest.mark.parametrize("kind", ["inline", "local"])
def test_runs_in_one_pass_are_those_that_run_alone(
    kind: str, make_job: MakeJob, tmp_path: Path
) -> None:
    adapters: list[dict[str, Any]] = [{"kind": "lora", "rank": 2}, {"kind": "lora", "rank": 4}]
    if kind == "inline":
        adapters += [{"kind": "lora", "rank": 0}]
    root = tmp_path / "alone"
    alone = [make_job(root, k, steps=4, adapter=a) for k, a in enumerate(adapters)]
    together = [
        replace(job, folder=str(tmp_path / "together" / Path(job.folder).name)) for job in alone
    ]
    told: list[Report] = []
    reports = make_engine(EngineSpec(kind=kind, processes=1, stack=3)).run(together, told.append)  # type: ignore[arg-type]
    assert [report.state for report in reports] == ["finished"] * len(together)
    assert [report.folder for report in reports] == [job.folder for job in together]
    assert {report.folder for report in told} == {job.folder for job in together}
    if kind == "local":  # that its numbers are right, the other engine's turn says
        assert RunFolder(Path(together[0].folder)).environment()["together"] is True
        return
    make_engine(EngineSpec(kind="inline")).run(alone, lambda _: None)
    for one, other in zip(alone, together, strict=True):
        left, right = (RunFolder(Path(job.folder)) for job in (one, other))
        expected = read_predictions(left.predictions)
        found = read_predictions(right.predictions)
        assert np.array_equal(expected.ids, found.ids)  # type: ignore[arg-type]
        assert expected.probs is not None
        assert np.allclose(expected.probs, found.probs, atol=1e-5)  # type: ignore[arg-type]
        assert right.whole(other.identity) is not None
    stacked = [RunFolder(Path(job.folder)).environment().get("together") for job in together]
    assert stacked == [True, True, None]


def test_where_memory_runs_out_packs_are_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def short(job: Job, *, wait: float = 0.0) -> Report:
        from fairlora.training.stacked import current_member

        member = current_member()
        crowd = 1 if member is None else member.stack.size
        asked.append(f"{job.folder}{crowd}")
        if crowd > 2:
            return Report(job.folder, "failed", "out of memory; lower training.batch_size")
        return Report(job.folder, "finished")

    monkeypatch.setattr(worker, "work_on", short)
    with pytest.warns(UserWarning, match="out of memory with 5 adapters in one pass: 2 at a time"):
        reports = work_together([job(name) for name in "abcde"])
    assert [(report.folder, report.state) for report in reports] == [
        (name, "finished") for name in "abcde"
    ]
    assert sorted(asked) == sorted(["a5", "b5", "c5", "d5", "e5", "a2", "b2", "c2", "d2", "e1"])


@pytest.mark.parametrize("kind", ["ray", "slurm"])
def test_a_cluster_is_asked_for_no_packs(kind: str) -> None:
    with pytest.raises(InputError, match=f"stack is of .*not of {kind}"):
        EngineSpec(kind=kind, stack=2)  # type: ignore[arg-type]


def test_a_pack_travels_as_json() -> None:
    one = job("a", seed=1)
    assert Job(**json.loads(json.dumps(vars(one)))) == one

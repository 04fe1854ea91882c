"""`fairlora train --plan`: what a run will take of memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fairlora.errors import InputError
from fairlora.study.runs import memory_plan
from fairlora.study.runs.memory_plan import MB, MemoryPlan, check_weights
from fairlora.study.spec.run import RunSpec, parse_spec
from fairlora.training.live_memory import LiveMemory

WORKER = Path(__file__).with_name("memory_plan_worker.py")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="peaks are measured anew on Linux")


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Plans of two small text models beside what their steps took, from a fresh process."""
    done = subprocess.run(
        [sys.executable, str(WORKER), str(tmp_path_factory.mktemp("plans"))],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@LINUX
@pytest.mark.parametrize("case", ["bert", "llama"])
def test_a_plan_is_within_a_fifth_of_what_the_steps_take(planned: Any, case: str) -> None:
    plan = planned[case]
    assert plan["rows"] == [1, 4, 16]
    # What a step adds: libraries, the most of so small a run, are in both alike.
    assert plan["training"] - plan["before"] == pytest.approx(plan["measured"], rel=0.2)
    assert plan["measured"] > 50 * MB


@LINUX
def test_the_parts_are_those_of_the_model(planned: Any) -> None:
    bert, llama = planned["bert"], planned["llama"]
    # Every weight of the full one has a gradient and AdamW's two moments; the counters are small.
    assert llama["optimizer"] == pytest.approx(2 * llama["gradients"], rel=0.01)
    assert llama["gradients"] == pytest.approx(llama["parameters"], rel=0.01)
    assert bert["gradients"] < 0.2 * bert["parameters"]
    # Checkpointing keeps what goes into each block, 2 x 32 rows x 120 tokens x 128 x 4 bytes, and
    # little more of embeddings and the head.
    assert 3.9e6 < bert["activations"] < 0.3 * llama["activations"]
    text = "\n".join(bert["lines"])
    for part in (
        "parameters",
        "gradients",
        "optimizer state",
        "activations of 32 rows",
        "training",
    ):
        assert part in text
    assert "It fits here" in text


def plan(**changed: Any) -> MemoryPlan:
    whole = MemoryPlan(
        device="cpu",
        batch=32,
        evaluation_batch=64,
        rows=(1, 4, 16),
        before=400 * MB,
        parameters=10 * MB,
        gradients=10 * MB,
        optimizer=20 * MB,
        pictures=0,
        activations=500 * MB,
        working=60 * MB,
        training=1000 * MB,
        evaluation=700 * MB,
        proving=450 * MB,
        free=2000 * MB,
    )
    return replace(whole, **changed)


def test_what_does_not_fit_is_said_with_a_way_out() -> None:
    assert plan().fits
    assert plan().total == 1000 * MB
    small = plan(free=800 * MB, fitting=21)
    assert not small.fits
    assert "It does not fit here: 839 MB can be had." in small.lines()
    assert "training.batch_size 21 would fit, with gradient_accumulation 2" in small.lines()[-1]
    assert "not even one row" in plan(free=300 * MB, fitting=0).lines()[-1]
    # A step fits, and proving does not: no batch helps.
    assert "batch_size" not in "\n".join(plan(proving=2100 * MB).lines())
    assert plan(free=None).fits


def test_a_line_through_the_last_peaks() -> None:
    peaks: dict[int, int] = {1: 100, 4: 160, 16: 400}
    assert memory_plan._at(peaks, 32) == 720
    assert memory_plan._at({1: 100}, 1) == 100
    seen: list[int] = []
    # Half a batch is not tried where the line says that it does not fit.
    memory_plan._peaks(seen.append, 4096, free=1)
    assert seen == [1, 512]


def test_weights_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_weights(RunSpec())
    monkeypatch.setattr(memory_plan, "_free", lambda device: 1000 * MB)
    with pytest.raises(InputError, match="does not fit into this machine's memory"):
        check_weights(parse_spec({"adapter": {"kind": "full"}}))


def test_live_memory_counts_what_is_kept() -> None:
    weight = torch.ones(64, 64, requires_grad=True)
    x = torch.ones(16, 64)
    with LiveMemory() as live:
        kept = (x @ weight).exp()
        # The product is gone; what the exponential answered is its own memory of it.
        assert live.bytes == 16 * 64 * 4
        view = kept.view(64, 16)
        x.add_(1)
        assert live.bytes == 16 * 64 * 4
        del kept, view
        assert live.bytes == 0

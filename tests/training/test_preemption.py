"""SIGTERM: a checkpoint at the end of the step, an end of the script, and an exact way on."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from fairlora.training import Preempted

Worker = Callable[[str], ModuleType]
NAME = "preempted_worker"


def test_what_goes_on_ends_where_an_undisturbed_run_ends(worker: Worker, tmp_path: Path) -> None:
    whole = worker(NAME).trainer(tmp_path / "whole")
    whole.train()
    with pytest.raises(Preempted) as stopped:
        worker(NAME).trainer(tmp_path / "cut", terminate=6).train()
    assert stopped.value.code == 143
    assert stopped.value.step == 7
    checkpoint = str(tmp_path / "cut" / "checkpoint-7")
    assert stopped.value.checkpoint == checkpoint
    assert "after step 7; saved as" in str(stopped.value)
    again = worker(NAME).trainer(tmp_path / "cut")
    again.train(resume_from_checkpoint=checkpoint)
    for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)
    # The objective's own weights went on as well.
    assert torch.equal(whole.objective.weights, again.objective.weights)
    assert not torch.equal(again.objective.weights, torch.tensor([0.5, 0.5]).double())


def test_without_optimizer_state_nothing_is_saved(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(Preempted) as stopped:
        worker(NAME).trainer(tmp_path, terminate=1, save_only_model=True).train()
    assert stopped.value.checkpoint is None
    assert not list(tmp_path.glob("checkpoint-*"))


def test_the_signal_is_given_back(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(Preempted):
        worker(NAME).trainer(tmp_path, terminate=0).train()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_somebody_elses_handler_is_left_alone(worker: Worker, tmp_path: Path) -> None:
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
    try:
        worker(NAME).trainer(tmp_path, terminate=1).train()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard


def test_all_processes_stop_after_the_same_step(
    torchrun: Callable[..., str], tmp_path: Path
) -> None:
    torchrun(NAME, tmp_path)
    said = [(tmp_path / f"stopped-{rank}").read_text() for rank in (0, 1)]
    assert said[0] == said[1]
    assert said[0].startswith("143 stopped by SIGTERM after step 4; saved as")
    assert (tmp_path / "checkpoints" / "checkpoint-4" / "optimizer.pt").exists()

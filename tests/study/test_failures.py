"""Runs that fail: a full disk, no memory, a loss that is not a number, SIGTERM; nothing is lost."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fairlora.errors import WorkError
from fairlora.predictions import read_predictions
from fairlora.study import RunFolder, parse_spec
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.prepare import prepare
from fairlora.study.runs.progress import Progress
from fairlora.training import Preempted

Make = Callable[..., dict[str, Any]]


def no_space(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def no_space_for_weights(*_: Any, **__: Any) -> None:
    from safetensors import SafetensorError

    raise SafetensorError("Error while serializing: I/O error: No space left on device")


@pytest.mark.parametrize(
    ("where", "failing"),
    [
        ("fairlora.predictions.table.PredictionsWriter.append", no_space),
        ("fairlora.study.tasks.base.save_finetuned", no_space_for_weights),
        ("transformers.Trainer._save_checkpoint", no_space_for_weights),
    ],
)
def test_a_full_disk_loses_no_finished_run(
    settings: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    failing: Callable[..., None],
) -> None:
    first, second = (prepare(parse_spec(settings(seed=seed))) for seed in (0, 1))
    done, broken = RunFolder(tmp_path / first.name), RunFolder(tmp_path / second.name)
    run_cell(first, done)
    before = {p: p.read_bytes() for p in done.path.rglob("*") if p.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(where, failing)
        assert not run_cell(first, done, resume=True)
        with pytest.raises(WorkError, match="the disk is full; make room"):
            run_cell(second, broken, resume=True)
    assert {p: p.read_bytes() for p in done.path.rglob("*") if p.is_file()} == before
    assert not broken.is_finished()
    status = broken.status()
    assert status is not None
    assert status.state == "failed"
    assert not broken.predictions.exists()
    assert run_cell(second, broken, resume=True)
    assert broken.is_finished()


def test_a_disk_too_full_to_say_so_is_no_finished_run_either(
    settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    folder = RunFolder(tmp_path / "run")
    cell = prepare(parse_spec(settings()))
    write = RunFolder.write

    def full_at_the_end(self: RunFolder, name: str, content: Any) -> None:
        if name in ("metrics.json", "status.json"):
            no_space()
        write(self, name, content)

    monkeypatch.setattr(RunFolder, "write", full_at_the_end)
    with pytest.raises(WorkError, match="the disk is full"):
        run_cell(cell, folder)
    assert not folder.is_finished()
    assert folder.status() is None


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), MemoryError()]
)
def test_out_of_memory_says_what_to_lower(
    settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def burst(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("transformers.Trainer.training_step", burst)
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(WorkError, match=r"lower training.batch_size .*gradient_accumulation"):
        run_cell(prepare(parse_spec(settings())), folder)
    status = folder.status()
    assert status is not None
    assert "out of memory" in status.reason


def test_a_loss_that_is_not_a_number_names_step_and_group(settings: Make, tmp_path: Path) -> None:
    spec = parse_spec(
        settings(
            adapter={"kind": "full"},
            objective={"name": "loss-variance", "groups": "skin_tone"},
            training={"learning_rate": 1e30, "warmup": 0},
        )
    )
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(WorkError, match=r"not a number at step 2 \(first seen in group .*dark"):
        run_cell(prepare(spec), folder)
    assert not folder.is_finished()


def test_sigterm_leaves_a_run_that_goes_on(settings: Make, tmp_path: Path) -> None:
    values = settings(training={"epochs": 2, "resume": "checkpoint"})
    cell = prepare(parse_spec(values))
    whole, cut = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "cut")
    run_cell(cell, whole)

    told: list[int] = []

    def terminate(progress: Progress) -> None:
        # Not every step is told.
        if progress.phase == "training" and not told and progress.done >= 2:
            told.append(progress.done)
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Preempted) as stopped:
        run_cell(cell, cut, terminate)
    status = cut.status()
    assert status is not None
    assert status.state == "preempted"
    assert stopped.value.code == 143
    assert (cut.path / "checkpoints" / f"checkpoint-{stopped.value.step}").is_dir()
    # A later one that a kill or a full disk cut off is none.
    for name, text in (("98", None), ("99", '{"epo')):
        half = cut.path / "checkpoints" / f"checkpoint-{name}"
        half.mkdir()
        if text is not None:
            (half / "trainer_state.json").write_text(text)
    seen: list[int] = []
    run_cell(cell, cut, lambda p: seen.append(p.done) if p.phase == "training" else None)
    assert seen[0] > stopped.value.step  # it went on, and did not begin again
    a, b = read_predictions(whole.predictions), read_predictions(cut.predictions)
    assert (a.loss == b.loss).all()
    assert json.dumps(whole.metrics()["audit"]) == json.dumps(cut.metrics()["audit"])


def test_without_resume_sigterm_saves_nothing_and_says_so(settings: Make, tmp_path: Path) -> None:
    def terminate(progress: Progress) -> None:
        if progress.phase == "training":
            os.kill(os.getpid(), signal.SIGTERM)

    folder = RunFolder(tmp_path / "run")
    advice = r"nothing was saved; with training\.resume=checkpoint the same command would go on"
    with pytest.raises(Preempted, match=advice):
        run_cell(prepare(parse_spec(settings())), folder, terminate)
    assert run_cell(prepare(parse_spec(settings())), folder)
    assert folder.is_finished()

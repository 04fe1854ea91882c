"""`training.until_loss` in a cell: what is kept, said and refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlora.errors import InputError
from fairlora.study import RunFolder, parse_spec
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.prepare import prepare
from fairlora.study.tasks.arguments import training_arguments

Make = Callable[..., dict[str, Any]]


def run(settings: Make, folder: Path, **training: Any) -> dict[str, Any]:
    spec = parse_spec(settings(adapter={"kind": "full"}, training=training))
    cell = RunFolder(folder)
    run_cell(prepare(spec), cell)
    assert not (folder / "checkpoints").exists()
    return cell.metrics()


def test_the_weights_kept_are_those_of_the_loss(settings: Make, tmp_path: Path) -> None:
    """Of all training rows, the loss is the one that the predictions show."""
    metrics = run(settings, tmp_path / "run", epochs=6, until_loss=0.68)
    found = metrics["matched_loss"]
    assert found["reached"]
    assert found["threshold"] == 0.68
    assert found["rows"] == 96
    assert found["epoch"] < 6
    assert found["loss"] <= 0.68
    assert metrics["mean_loss"]["train"] == pytest.approx(found["loss"], abs=1e-5)
    assert metrics["best_epoch"] is None
    assert not any("did not reach" in note for note in metrics["notes"])


def test_a_run_that_does_not_get_there_says_so(settings: Make, tmp_path: Path) -> None:
    metrics = run(settings, tmp_path / "run", until_loss=1e-6, until_loss_rows=50)
    found = metrics["matched_loss"]
    assert not found["reached"]
    assert found["rows"] == 50
    assert f"training loss {found['loss']:.4g} did not reach 1e-06 in 1 epoch" in metrics["notes"]


def test_runs_without_it_have_nothing_to_say(finished: dict[str, Path]) -> None:
    assert RunFolder(finished["full-0"]).metrics()["matched_loss"] is None


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("load_best_model_at_end: true, metric_for_best_model: loss, save_strategy: epoch",
         "load_best_model_at_end.*keeps the weights"),
        ("eval_strategy: 'no'", "eval_strategy.*every evaluation"),
    ],
)  # fmt: skip
def test_arguments_that_undo_it_are_refused(argument: str, message: str, tmp_path: Path) -> None:
    spec = parse_spec({}, ["training.until_loss=0.5", f"training.arguments={{{argument}}}"])
    with pytest.raises(InputError, match=message):
        training_arguments(spec, tmp_path)


@pytest.mark.parametrize("value", ["0", "-1", ".nan", ".inf", "low"])
def test_a_loss_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(InputError, match="training.until_loss"):
        parse_spec({}, [f"training.until_loss={value}"])

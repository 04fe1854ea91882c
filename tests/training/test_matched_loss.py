"""Training that ends at a loss: where it stops, what it measured, and that it changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from fairlora.objectives import LossVariance
from fairlora.training import FairTrainer
from fairlora.training.matched_loss import MatchedLoss, sample_rows

N = 32
COLUMNS = {"region": ["ab"[k % 3 == 0] for k in range(N)]}
EPOCHS = 8
SLOW = {"num_train_epochs": EPOCHS, "eval_strategy": "epoch", "learning_rate": 0.02}


@pytest.fixture
def make(toy: Any) -> Callable[..., tuple[FairTrainer, MatchedLoss]]:
    """A trainer with dropout and a fair objective, and what shall stop it."""

    def build(threshold: float, rows: int = N, **arguments: Any) -> tuple[FairTrainer, MatchedLoss]:
        torch.manual_seed(0)
        trainer = toy.trainer(
            toy.rows(N, **COLUMNS),
            model=toy.model(dropout=0.3),
            arguments={**SLOW, **arguments},
            eval_dataset=toy.rows(8, **{k: v[:8] for k, v in COLUMNS.items()}),
            objective=LossVariance(2.0),
        )
        callback = MatchedLoss(trainer, toy.rows(N, **COLUMNS), threshold, rows=rows, seed=1)
        trainer.add_callback(callback)
        return trainer, callback

    return build


def weights(trainer: FairTrainer) -> torch.Tensor:
    model: Any = trainer.model
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def plain_loss(trainer: FairTrainer, toy: Any, rows: list[int]) -> float:
    """The mean cross-entropy without dropout, by hand."""
    model: Any = trainer.model
    model.eval()
    data = toy.rows(N)
    labels = torch.tensor([k % 2 for k in rows])
    with torch.no_grad():
        return float(F.cross_entropy(model(data.x[rows].double()).logits, labels))


def measured(trainer: FairTrainer) -> list[float]:
    return [row["matched_loss"] for row in trainer.state.log_history if "matched_loss" in row]


def test_training_stops_at_the_first_evaluation_that_is_low_enough(make: Any, toy: Any) -> None:
    trainer, callback = make(1e-9)
    callback.train()
    losses = measured(trainer)
    assert len(losses) == EPOCHS
    assert losses == sorted(losses, reverse=True)

    stopped, callback = make(losses[3])
    callback.train()
    assert measured(stopped) == losses[:4]
    assert stopped.state.global_step == 4 * N // 8
    found = callback.outcome
    assert found == (losses[3], True, losses[3], 4.0, N)
    assert callback.note() is None
    # Without dropout, and without the objective's groups.
    assert plain_loss(stopped, toy, list(range(N))) == pytest.approx(losses[3], rel=1e-6)


def test_until_it_stops_training_is_what_it_would_have_been(make: Any) -> None:
    trainer, callback = make(1e-9)
    callback.train()
    stopped, callback = make(measured(trainer)[2])
    callback.train()
    plain, callback = make(1.0, num_train_epochs=3)
    plain.remove_callback(callback)
    plain.train()
    assert torch.equal(weights(stopped), weights(plain))
    assert not torch.equal(weights(stopped), weights(trainer))


def test_a_loss_that_is_not_reached_is_said(make: Any) -> None:
    trainer, callback = make(1e-9, num_train_epochs=2)
    callback.train()
    found = callback.outcome
    assert not found.reached
    assert found.epoch == 2
    assert found.loss == measured(trainer)[-1]
    assert callback.note() == (f"training loss {found.loss:.4g} did not reach 1e-09 in 2 epochs")
    trainer, callback = make(1e-9, num_train_epochs=1, eval_strategy="no")
    callback.train()
    assert callback.outcome == (1e-9, False, None, None, N)
    assert callback.note() == "training loss (never measured) did not reach 1e-09 in 1 epoch"


def test_a_sample_of_the_rows_is_measured(make: Any, toy: Any) -> None:
    trainer, callback = make(1e-9, rows=10, num_train_epochs=1)
    callback.train()
    rows = sample_rows(N, 10, seed=1)
    assert len(set(rows)) == 10
    assert rows != list(range(10))
    assert callback.outcome.rows == 10
    assert measured(trainer)[-1] == pytest.approx(plain_loss(trainer, toy, rows), rel=1e-6)


def test_evaluations_may_be_of_steps_and_later_ones_are_not_measured(make: Any) -> None:
    trainer, callback = make(1e-9, eval_strategy="steps", eval_steps=3)
    callback.train()
    losses = measured(trainer)
    assert len(losses) == -(-EPOCHS * N // 8 // 3)
    trainer, callback = make(losses[2], eval_strategy="steps", eval_steps=3)
    callback.train()
    assert trainer.state.global_step == 9
    assert callback.outcome.epoch == 9 / 4
    before = callback.outcome
    trainer.evaluate()
    assert callback.outcome == before
    assert len(measured(trainer)) == 3


def test_what_is_evaluated_before_training_is_no_result(make: Any) -> None:
    trainer, callback = make(1e9, eval_on_start=True)
    callback.train()
    assert trainer.state.global_step == N // 8
    assert len(measured(trainer)) == 1


def test_two_evaluation_sets_are_one_measurement(make: Any) -> None:
    trainer, callback = make(1e-9, num_train_epochs=2)
    trainer.eval_dataset = {"one": trainer.eval_dataset, "two": trainer.eval_dataset}
    callback.train()
    assert len(measured(trainer)) == 2


def test_a_run_that_goes_on_stops_where_an_undisturbed_one_does(make: Any, toy: Any) -> None:
    saving = {"save_strategy": "epoch"}
    trainer, callback = make(1e-9)
    callback.train()
    threshold = measured(trainer)[3]
    whole, callback = make(threshold, **saving)
    callback.train()
    outcome = callback.outcome
    for step in (8, 12, 16):
        again, callback = make(threshold, **saving)
        callback.train(resume_from_checkpoint=str(toy.out / f"checkpoint-{step}"))
        assert torch.equal(weights(again), weights(whole)), step
        assert callback.outcome == outcome, step
        assert again.state.global_step == 16, step
        assert not again.is_in_train
        assert again.evaluate()["eval_loss"] == whole.evaluate()["eval_loss"]


def test_all_processes_stop_at_the_same_evaluation(
    torchrun: Callable[..., str], worker: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    torchrun("matched_loss_worker", tmp_path)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    one = worker("matched_loss_worker").matched(tmp_path / "one", 4)
    assert one["outcome"]["reached"]
    assert 1 < len(one["measured"]) < 20
    for several in (first, second):
        assert several["step"] == one["step"]
        assert several["measured"] == pytest.approx(one["measured"], rel=1e-6)
        assert several["outcome"]["rows"] == 11

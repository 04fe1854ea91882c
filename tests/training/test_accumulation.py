"""Exact accumulation: many small batches are one large one, with dropout, bfloat16 and resuming."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fairlora.errors import InputError
from fairlora.objectives import ERM, GroupDRO, GroupObjective, LossGap, LossVariance, Reweight

NAMES = ["north", "south", "west"]
OBJECTIVES: dict[str, Callable[[], GroupObjective]] = {
    "erm": ERM,
    "loss-variance": lambda: LossVariance(2.0),
    "group-dro": lambda: GroupDRO(0.5),
    "reweight": Reweight,
    "loss-gap": lambda: LossGap(1.5),
}
# 31 rows are batches of 12, 12 and 7: of 4 three, three, and one of 4 with one of 3.
RAGGED = 31
WINDOW = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 3}
WHOLE = {"per_device_train_batch_size": 12}


def rows_of(toy: Any, n: int = RAGGED) -> Any:
    return toy.rows(n, region=[NAMES[k * k % 7 % 3] for k in range(n)])


def lists_of(toy: Any, n: int = RAGGED) -> Any:
    several = [[name for bit, name in enumerate(NAMES) if k >> bit & 1] for k in range(n)]
    return toy.rows(n, region=several)


@pytest.mark.parametrize("dataset", [rows_of, lists_of], ids=["column", "lists"])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_many_small_batches_are_one_large_one(
    toy: Any, name: str, dataset: Callable[[Any], Any]
) -> None:
    """Two epochs, so that the memory of an objective counts, and the ragged end in the middle."""

    def after(exact: bool, **arguments: Any) -> tuple[Tensor, list[dict[str, float]]]:
        trainer = toy.trainer(
            dataset(toy),
            objective=OBJECTIVES[name](),
            exact_accumulation=exact,
            arguments={"num_train_epochs": 2, **arguments},
        )
        weights = toy.weights(trainer)
        lines = [line for line in trainer.state.log_history if "loss" in line]
        return weights, [{k: v for k, v in line.items() if k != "epoch"} for line in lines]

    window, lines = after(True, **WINDOW)
    whole, expected = after(False, **WHOLE)
    torch.testing.assert_close(window, whole, rtol=1e-9, atol=1e-12)
    assert len(lines) == len(expected) == 6
    for line, other in zip(lines, expected, strict=True):
        assert line == pytest.approx(other, rel=1e-5, abs=1e-9)


def test_by_default_each_micro_batch_has_its_own_objective(toy: Any) -> None:
    rows = rows_of(toy, 12)
    found = toy.weights(toy.trainer(rows, objective=LossVariance(2.0), arguments=WINDOW))
    model, labels = toy.model(), torch.arange(12) % 2
    groups = torch.tensor([NAMES.index(name) for name in rows.columns["region"]])
    losses = F.cross_entropy(model.linear(rows.x), labels, reduction="none")
    objective = LossVariance(2.0, num_groups=3)
    parts = [slice(0, 4), slice(4, 8), slice(8, 12)]
    mean = torch.stack([objective(losses[p], groups[p]) for p in parts]).mean()
    mean.backward()  # type: ignore[no-untyped-call]
    expected = torch.cat([(p - 0.5 * p.grad).detach().flatten() for p in model.parameters()])
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-12)
    exact = toy.weights(
        toy.trainer(rows, objective=LossVariance(2.0), arguments=WINDOW, exact_accumulation=True)
    )
    assert (found - exact).abs().max() > 1e-3


def test_the_replay_draws_the_dropout_that_was_measured(toy: Any) -> None:
    model = toy.model(dropout=0.5)
    seen: list[Tensor] = []
    model.dropout.register_forward_hook(lambda *call: seen.append(call[2].detach().clone()))
    toy.trainer(
        rows_of(toy, 24),
        model=model,
        objective=LossVariance(2.0),
        exact_accumulation=True,
        arguments=WINDOW,
    ).train()
    assert len(seen) == 12
    for start in (0, 6):
        for measured, replayed in zip(
            seen[start : start + 3], seen[start + 3 : start + 6], strict=True
        ):
            assert torch.equal(measured, replayed)
    masks = [(batch == 0).tolist() for batch in (*seen[:3], *seen[6:9])]
    assert all(a != b for k, a in enumerate(masks) for b in masks[:k])


def test_a_resumed_run_with_dropout_is_the_uninterrupted_one(toy: Any) -> None:
    """The Trainer takes up the saved random state after it has fetched the first window."""

    def make() -> Any:
        return toy.trainer(
            rows_of(toy),
            model=toy.model(dropout=0.4),
            objective=GroupDRO(0.5),
            exact_accumulation=True,
            arguments={
                **WINDOW,
                "num_train_epochs": 2,
                "save_strategy": "steps",
                "save_steps": 4,
                "train_sampling_strategy": "random",
            },
        )

    whole, again = make(), make()
    expected = toy.weights(whole)
    again.train(resume_from_checkpoint=str(Path(toy.out) / "checkpoint-4"))
    found = torch.cat([p.detach().flatten() for p in again.model.parameters()])
    assert torch.equal(found, expected)
    assert torch.equal(again.objective.weights, whole.objective.weights)


def test_under_bfloat16_all_weights_learn_as_from_one_batch(toy: Any) -> None:
    """Autocast may keep copies of weights: those of the measuring must not be learned with."""

    def after(exact: bool, **arguments: Any) -> Tensor:
        trainer = toy.trainer(
            rows_of(toy, 24),
            model=toy.model().float(),
            objective=LossVariance(2.0),
            exact_accumulation=exact,
            arguments={"bf16": True, **arguments},
        )
        found: Tensor = toy.weights(trainer)
        return found

    start = torch.cat([p.detach().flatten() for p in toy.model().parameters()])
    window, whole = after(True, **WINDOW), after(False, **WHOLE)
    assert ((window - start).abs() > 1e-3).all()
    torch.testing.assert_close(window, whole, rtol=0.02, atol=0.01)


def test_an_optimizer_with_modes_is_in_that_of_training_when_a_window_is_measured(
    toy: Any,
) -> None:
    """Optimizers without schedule hold other weights while the model is evaluated."""

    class Modal(torch.optim.SGD):
        training = False

        def train(self) -> None:
            self.training = True

        def eval(self) -> None:
            self.training = False

    model = toy.model()
    optimizer = Modal(model.parameters(), lr=0.1)
    seen: list[tuple[bool, bool]] = []
    model.register_forward_hook(lambda *_: seen.append((model.training, optimizer.training)))
    rows = rows_of(toy, 24)
    toy.trainer(
        rows,
        model=model,
        eval_dataset=rows,
        objective=LossVariance(2.0),
        exact_accumulation=True,
        optimizers=(optimizer, None),
        arguments={**WINDOW, "eval_strategy": "steps", "eval_steps": 1},
    ).train()
    assert seen[:6] == [(True, True)] * 6
    assert (False, False) in seen
    assert all(of_model == of_optimizer for of_model, of_optimizer in seen)


def test_a_plain_function_cannot_be_accumulated_exactly(toy: Any) -> None:
    class Mean:
        name = "mean"
        needs_groups = False

        def __call__(self, losses: Tensor, groups: Tensor | None = None) -> Tensor:
            return losses.mean()

    toy.trainer(rows_of(toy), objective=Mean(), arguments=WINDOW).train()
    with pytest.raises(InputError, match=r"exact_accumulation: .*found Mean; expected a GroupObj"):
        toy.trainer(rows_of(toy), objective=Mean(), exact_accumulation=True)

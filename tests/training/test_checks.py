"""Settings of the Trainer with FairTrainer: kept as they are, or refused in one line."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from accelerate import DistributedType
from torch.nn import functional as F

from fairlora import TrainerMetrics
from fairlora.errors import InputError
from fairlora.objectives import LossVariance
from fairlora.training import FairTrainer
from fairlora.training.checks import check_sharding

NAMES = ["north", "south", "west"]


def test_predicting_what_has_no_labels_works(toy: Any) -> None:
    """The Trainer then calls the model itself, which knows neither groups nor rows."""
    rows = toy.rows(10, region=[NAMES[k % 3] for k in range(10)])
    trainer = toy.trainer(rows, objective=LossVariance(1.0))
    unlabelled = [
        {k: v for k, v in rows[n].items() if k != "labels"} | {"row": n} for n in range(10)
    ]
    found = trainer.predict(unlabelled)
    expected = toy.model().linear(rows.x).detach().numpy()
    assert found.predictions == pytest.approx(expected)
    assert found.label_ids is None
    labelled = trainer.predict(rows)
    assert labelled.predictions == pytest.approx(expected)
    assert labelled.metrics["test_loss"] > 0


def test_training_on_what_has_no_labels_is_refused(toy: Any) -> None:
    rows = toy.rows(4, region=NAMES + NAMES[:1])
    unlabelled = [{k: v for k, v in rows[n].items() if k != "labels"} for n in range(4)]
    with pytest.raises(InputError, match="labels: a batch without labels"):
        toy.trainer(unlabelled, objective=LossVariance(1.0)).train()


def test_with_label_smoothing_the_users_metrics_still_get_the_groups(toy: Any) -> None:
    rows = toy.rows(42, region=[NAMES[k % 3] for k in range(42)])
    trainer = toy.trainer(
        rows,
        eval_dataset=rows,
        objective=LossVariance(1.0),
        compute_metrics=TrainerMetrics(columns=["region"], positive=1),
        arguments={"label_smoothing_factor": 0.2, "max_steps": 1, "learning_rate": 0.0},
    )
    trainer.train()
    logits = toy.model().linear(rows.x).detach()
    labels = torch.arange(42) % 2
    smooth = F.cross_entropy(logits[:8], labels[:8], reduction="none", label_smoothing=0.2)
    line = trainer.state.log_history[0]
    for g, name in enumerate(NAMES):
        assert line[f"loss/{name}"] == pytest.approx(smooth[g::3].mean().item(), rel=1e-5)
    found = trainer.evaluate()
    right = (logits.argmax(1) == labels).double()
    for g, name in enumerate(NAMES):
        expected = right[g::3].mean().item()
        assert found[f"eval_region/{name}/accuracy"] == pytest.approx(expected)
    assert found["eval_loss"] == pytest.approx(F.cross_entropy(logits, labels).item())


def test_another_loss_function_is_refused(toy: Any) -> None:
    def mine(*_: Any, **__: Any) -> None: ...

    with pytest.raises(InputError, match="compute_loss_func: .*found mine; expected an objective"):
        toy.trainer(toy.rows(4, region=NAMES + NAMES[:1]), compute_loss_func=mine)


@pytest.mark.parametrize(
    ("name", "value"),
    [("packing", True), ("eval_packing", True), ("padding_free", True), ("loss_type", "dft")],
)
def test_settings_that_leave_no_loss_of_an_example_are_refused(
    toy: Any, name: str, value: Any
) -> None:
    arguments = toy.arguments()
    setattr(arguments, name, value)
    with pytest.raises(InputError, match=f"{name}: FairTrainer needs the cross-entropy of each"):
        FairTrainer(toy.model(), arguments, train_dataset=toy.rows(2), objective=LossVariance(0.0))


def test_sharding_with_one_process_is_refused(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the Trainer itself; with several on a CPU it goes on without: see test_distributed."""
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "false")  # the arguments set it, and leave it
    rows = toy.rows(4, region=NAMES + NAMES[:1])
    with pytest.raises(ValueError, match="only works in distributed training"):
        toy.trainer(rows, arguments={"fsdp": True})
    toy.trainer(rows)


class Accelerator(NamedTuple):
    num_processes: int
    distributed_type: DistributedType


@pytest.mark.parametrize(
    ("asked", "launched", "processes", "kind", "refused"),
    [
        (True, False, 2, DistributedType.MULTI_CPU, True),
        (True, False, 1, DistributedType.NO, True),
        (False, True, 2, DistributedType.MULTI_GPU, True),
        (False, True, 1, DistributedType.NO, False),
        (True, True, 2, DistributedType.FSDP, False),
        (False, False, 2, DistributedType.MULTI_GPU, False),
    ],
)
def test_sharding_is_done_or_refused(
    monkeypatch: pytest.MonkeyPatch,
    toy: Any,
    asked: bool,
    launched: bool,
    processes: int,
    kind: DistributedType,
    refused: bool,
) -> None:
    arguments = toy.arguments()
    arguments.fsdp = asked
    monkeypatch.setenv("ACCELERATE_USE_FSDP", str(launched).lower())
    if not refused:
        check_sharding(arguments, Accelerator(processes, kind))
        return
    with pytest.raises(InputError, match=f"fsdp: .*found {kind.value}; expected several proc"):
        check_sharding(arguments, Accelerator(processes, kind))

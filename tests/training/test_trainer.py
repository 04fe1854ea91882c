"""FairTrainer: groups reach the loss, accumulation is exact, metrics and logs say what they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, TrainingArguments
from transformers.modeling_outputs import ImageClassifierOutput

from fairlora.errors import InputError, WorkError
from fairlora.objectives import ERM, LossVariance
from fairlora.training import FairTrainer

GROUPS = ["north", "south", "west"]


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """A torch data set of dicts; group k % 3, label k % 2."""

    def __init__(self, n: int = 24, groups: list[str] | None = None) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(n, 4, generator=generator)
        self.groups = groups or [GROUPS[k % 3] for k in range(n)]

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, k: int) -> dict[str, Any]:
        return {"pixel_values": self.x[k], "labels": k % 2, "region": self.groups[k], "note": "x"}


def as_table(rows: Rows) -> datasets.Dataset:
    items = [rows[k] for k in range(len(rows))]
    columns = {name: [item[name] for item in items] for name in items[0] if name != "pixel_values"}
    return datasets.Dataset.from_dict({**columns, "pixel_values": rows.x.tolist()})


class Classifier(nn.Module):
    """A linear classifier with the manners of a transformers model."""

    def __init__(self) -> None:
        super().__init__()
        self.config = PretrainedConfig()
        self.linear = nn.Linear(4, 2)
        with torch.no_grad():
            self.linear.weight.copy_(torch.linspace(-0.3, 0.5, 8).view(2, 4))
            self.linear.bias.zero_()

    def forward(
        self, pixel_values: Tensor, labels: Tensor | None = None, **kwargs: Any
    ) -> ImageClassifierOutput:
        assert not kwargs, f"the model was given {sorted(kwargs)}"
        return ImageClassifierOutput(logits=self.linear(pixel_values))


class Recorder:
    """An objective that keeps what it was given."""

    name = "recorder"
    needs_groups = True

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.losses: list[float] = []

    def __call__(self, losses: Tensor, groups: Tensor | None = None) -> Tensor:
        assert groups is not None
        self.groups += groups.tolist()
        self.losses += losses.tolist()
        return losses.mean()


MakeTrainer = Callable[..., FairTrainer]


@pytest.fixture
def make(tmp_path: Path) -> MakeTrainer:
    def build(dataset: Any, *, arguments: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        values: dict[str, Any] = {
            "output_dir": str(tmp_path / "out"),
            "num_train_epochs": 1,
            "per_device_train_batch_size": 8,
            "optim": "sgd",
            "learning_rate": 0.5,
            "lr_scheduler_type": "constant",
            "max_grad_norm": 0.0,
            "save_strategy": "no",
            "logging_steps": 1,
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
            **(arguments or {}),
        }
        kwargs.setdefault("group_names", GROUPS)
        kwargs.setdefault("group_column", "region")
        return FairTrainer(
            model=Classifier(), args=TrainingArguments(**values), train_dataset=dataset, **kwargs
        )

    return build


@pytest.mark.parametrize("kind", [as_table, lambda rows: rows], ids=["datasets", "torch"])
@pytest.mark.parametrize("named", [True, False], ids=["names given", "names read"])
def test_the_group_column_reaches_the_loss(
    make: MakeTrainer, kind: Callable[[Rows], Any], named: bool
) -> None:
    recorder = Recorder()
    trainer = make(kind(Rows()), objective=recorder, group_names=GROUPS if named else None)
    assert trainer.args.remove_unused_columns
    assert trainer.group_names == tuple(GROUPS)
    trainer.train()
    assert sorted(recorder.groups) == [0] * 8 + [1] * 8 + [2] * 8


def test_each_row_keeps_its_own_group(make: MakeTrainer) -> None:
    """Before the first step, a row's loss is known from the row: is it that of its group?"""
    rows = Rows()
    recorder = Recorder()
    trainer = make(rows, objective=recorder, arguments={"per_device_train_batch_size": 24})
    labels = torch.arange(24) % 2
    losses = nn.functional.cross_entropy(Classifier().linear(rows.x), labels, reduction="none")
    trainer.train()
    for g in range(3):
        found = sorted(x for x, h in zip(recorder.losses, recorder.groups, strict=True) if h == g)
        assert found == pytest.approx(sorted(losses[g::3].tolist()), rel=1e-5)


def test_without_a_group_column_the_classes_are_the_groups(make: MakeTrainer) -> None:
    recorder = Recorder()
    make(Rows(), objective=recorder, group_column=None, group_names=["a", "b"]).train()
    assert sorted(recorder.groups) == [0] * 12 + [1] * 12


def test_an_absent_group_column_is_named(make: MakeTrainer) -> None:
    with pytest.raises(InputError, match="religion"):
        make(Rows(), group_column="religion", group_names=None)
    with pytest.raises(InputError, match="religion"):
        make(as_table(Rows()), group_column="religion", group_names=None)


def test_a_group_that_training_does_not_have_is_no_group(make: MakeTrainer) -> None:
    recorder = Recorder()
    make(Rows(), objective=recorder, group_names=["north", "south"]).train()
    assert sorted(recorder.groups) == [-1] * 8 + [0] * 8 + [1] * 8


def test_the_objective_learns_the_size_of_the_vocabulary(make: MakeTrainer) -> None:
    objective = LossVariance(1.0)
    make(Rows(), objective=objective)
    assert objective.num_groups == 3


def weights_after(trainer: FairTrainer) -> Tensor:
    trainer.train()
    model: Any = trainer.model
    return torch.cat([model.linear.weight.detach().flatten(), model.linear.bias.detach()])


def test_two_equal_micro_batches_are_one_batch_of_double_size(make: MakeTrainer) -> None:
    one = weights_after(make(Rows(16), arguments={"per_device_train_batch_size": 16}))
    two = weights_after(
        make(
            Rows(16),
            arguments={"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2},
        )
    )
    start = torch.cat([torch.linspace(-0.3, 0.5, 8), torch.zeros(2)])
    assert (one - start).abs().max() > 0.01
    torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)


def test_one_step_moves_the_weights_by_the_objectives_gradient(make: MakeTrainer) -> None:
    rows = Rows(12)
    arguments = {"per_device_train_batch_size": 12, "max_steps": 1}
    found = weights_after(make(rows, objective=LossVariance(2.0), arguments=arguments))
    model = Classifier()
    losses = nn.functional.cross_entropy(
        model.linear(rows.x), torch.arange(12) % 2, reduction="none"
    )
    means = torch.stack([losses[g::3].mean() for g in range(3)])
    loss = losses.mean() + 2 * (means - means.mean()).square().sum()
    loss.backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        expected = torch.cat(
            [(p - 0.5 * p.grad).flatten() for p in (model.linear.weight, model.linear.bias)]
        )
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_logs_hold_each_groups_loss_and_their_variance(make: MakeTrainer) -> None:
    recorder = Recorder()
    trainer = make(Rows(), objective=recorder, arguments={"logging_steps": 3})
    trainer.train()
    (line,) = [row for row in trainer.state.log_history if "loss" in row]
    losses = np.array(recorder.losses)
    means = [losses[np.array(recorder.groups) == g].mean() for g in range(3)]
    for name, mean in zip(GROUPS, means, strict=True):
        assert line[f"loss/{name}"] == pytest.approx(mean, rel=1e-5)
    assert line["loss_variance"] == pytest.approx(np.var(means), rel=1e-4)


def test_logs_say_how_many_weights_are_negative(make: MakeTrainer) -> None:
    trainer = make(Rows(), objective=LossVariance(1000.0), arguments={"max_steps": 1})
    trainer.train()
    (line,) = [row for row in trainer.state.log_history if "loss" in row]
    assert 0 < line["negative_weight_share"] < 1


def test_evaluation_counts_by_group_and_the_users_metrics_are_still_called(
    make: MakeTrainer,
) -> None:
    rows = Rows(20)
    given: list[Any] = []

    def metrics(output: Any) -> dict[str, float]:
        given.append(output)
        return {"mine": 7.0}

    trainer = make(rows, compute_metrics=metrics)
    trainer.args.per_device_eval_batch_size = 8
    found = trainer.evaluate(rows)  # type: ignore[arg-type]
    logits = Classifier().linear(rows.x).detach()
    labels = torch.arange(20) % 2
    losses = nn.functional.cross_entropy(logits, labels, reduction="none").numpy()
    right = (logits.argmax(1) == labels).numpy()
    groups = np.arange(20) % 3
    assert found["eval_mine"] == 7
    np.testing.assert_allclose(given[0].predictions, logits.numpy(), rtol=1e-5)
    assert found["eval_loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert found["eval_accuracy"] == pytest.approx(right.mean())
    assert found["eval_accuracy_worst"] == pytest.approx(
        min(right[groups == g].mean() for g in range(3))
    )
    means = [losses[groups == g].mean() for g in range(3)]
    assert found["eval_loss_variance"] == pytest.approx(np.var(means), rel=1e-4)


def test_what_is_gathered_from_all_processes_is_not_gathered_twice(make: MakeTrainer) -> None:
    """The Trainer gathers the logits that evaluation returns: they must be this process's own."""
    trainer = make(Rows(6))
    trainer.gather_function = lambda values: tuple(torch.cat([v, v]) for v in values)
    model: Any = trainer.model
    model.eval()
    batch = {"pixel_values": torch.zeros(6, 4), "labels": torch.zeros(6, dtype=torch.long)}
    loss, outputs = trainer.compute_loss(model, batch, return_outputs=True)
    assert outputs["logits"].shape == (6, 2)
    assert loss.item() == pytest.approx(np.log(2))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_with_step_and_group(
    make: MakeTrainer, value: float
) -> None:
    rows = Rows()
    rows.x[1] = value  # row 1 is of the group "south"
    with pytest.raises(WorkError, match=r"step 1 .*south\)"):
        make(rows, arguments={"per_device_train_batch_size": 24}).train()


def test_label_smoothing_is_the_trainings_alone(make: MakeTrainer) -> None:
    rows, recorder = Rows(8), Recorder()
    arguments = {"label_smoothing_factor": 0.4, "max_steps": 1, "learning_rate": 1e-9}
    trainer = make(rows, objective=recorder, arguments=arguments)
    trainer.train()
    labels = torch.arange(8) % 2
    logits = Classifier().linear(rows.x).detach()
    smooth = nn.functional.cross_entropy(logits, labels, reduction="none", label_smoothing=0.4)
    assert sorted(recorder.losses) == pytest.approx(sorted(smooth.tolist()), rel=1e-5)
    plain = nn.functional.cross_entropy(logits, labels).item()
    assert trainer.evaluate(rows)["eval_loss"] == pytest.approx(plain, rel=1e-5)  # type: ignore[arg-type]


def test_bfloat16_computes_in_it_and_keeps_float32_weights(make: MakeTrainer) -> None:
    seen: list[torch.dtype] = []

    class Watching(ERM):
        def __call__(self, losses: Tensor, groups: Tensor | None = None) -> Tensor:
            seen.append(losses.dtype)
            return super().__call__(losses, groups)

    trainer = make(Rows(), objective=Watching(), arguments={"bf16": True})
    outputs: list[torch.dtype] = []
    model: Any = trainer.model
    model.linear.register_forward_hook(lambda *a: outputs.append(a[2].dtype))
    trainer.train()
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert set(outputs) == {torch.bfloat16}
    assert set(seen) == {torch.float32}


def test_the_order_of_the_data_hangs_on_its_own_seed_alone(make: MakeTrainer) -> None:
    def order(seed: int, data_seed: int) -> list[float]:
        recorder = Recorder()
        arguments = {"seed": seed, "data_seed": data_seed, "learning_rate": 1e-9}
        make(Rows(), objective=recorder, arguments=arguments).train()
        return recorder.losses

    assert order(1, 5) == pytest.approx(order(2, 5), rel=1e-5)
    assert order(1, 5) != pytest.approx(order(1, 6), rel=1e-5)

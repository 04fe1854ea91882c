"""Groups on their way from the data set's column to the objective, and their counts."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fairlora import TrainerMetrics
from fairlora.errors import InputError
from fairlora.objectives import GroupDRO, LossVariance, Objective, Reweight
from fairlora.training.group_losses import GroupMeter
from fairlora.training.groups import GROUPS, GroupCollator, group_names
from fairlora.training.vocabulary import group_vocabulary

NAMES = ["north", "south", "west"]
KINDS = pytest.mark.parametrize("kind", ["torch", "datasets"])


def lists(n: int = 24) -> list[list[str]]:
    """Overlapping groups: none, one, two or all three."""
    return [[name for bit, name in enumerate(NAMES) if k >> bit & 1] for k in range(n)]


def matrix(rows: list[list[str]]) -> Tensor:
    return torch.tensor([[float(name in row) for name in NAMES] for row in rows])


def bare_loop(
    toy: Any, rows: Any, objective: Objective, groups: Tensor, batch: int = 8, steps: int = 0
) -> Tensor:
    """What a loop without any Trainer ends with."""
    model = toy.model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    labels = torch.arange(len(rows)) % 2
    for start in range(0, (steps * batch) or len(rows), batch):
        part = slice(start, start + batch)
        losses = F.cross_entropy(model.linear(rows.x[part]), labels[part], reduction="none")
        optimizer.zero_grad()
        objective(losses, groups[part]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


@KINDS
def test_overlapping_groups_train_as_in_a_bare_loop(toy: Any, kind: str) -> None:
    rows = toy.rows(24, region=lists())
    dataset = rows if kind == "torch" else toy.table(rows)
    trainer = toy.trainer(dataset, objective=LossVariance(2.0))
    assert trainer.group_names == tuple(NAMES)
    expected = bare_loop(toy, rows, LossVariance(2.0, num_groups=3), matrix(lists()))
    close(toy.weights(trainer), expected)
    alone = torch.tensor([NAMES.index(row[0]) if row else -1 for row in lists()])
    other = bare_loop(toy, rows, LossVariance(2.0, num_groups=3), alone)
    assert (expected - other).abs().max() > 1e-3


@KINDS
def test_the_names_that_are_given_fix_the_groups_and_their_order(toy: Any, kind: str) -> None:
    rows = toy.rows(24, region=[NAMES[k % 3] for k in range(24)])
    dataset = rows if kind == "torch" else toy.table(rows)
    trainer = toy.trainer(dataset, objective=LossVariance(2.0), group_names=["west", "north"])
    assert trainer.group_names == ("west", "north")
    numbers = torch.tensor([1, -1, 0]).repeat(8)
    close(toy.weights(trainer), bare_loop(toy, rows, LossVariance(2.0, num_groups=2), numbers))


def test_missing_values_are_no_group(toy: Any) -> None:
    region: list[Any] = ["north", None, "south", float("nan")] * 6
    rows = toy.rows(24, region=region)
    trainer = toy.trainer(rows, objective=LossVariance(2.0))
    assert trainer.group_names == ("north", "south")
    numbers = torch.tensor([0, -1, 1, -1]).repeat(6)
    close(toy.weights(trainer), bare_loop(toy, rows, LossVariance(2.0, num_groups=2), numbers))
    line = trainer.state.log_history[0]
    assert set(line) >= {"loss/north", "loss/south", "loss_variance"}


def test_a_group_that_only_evaluation_has_counts_in_the_whole_alone(toy: Any) -> None:
    training = toy.rows(12, region=NAMES[:2] * 6)
    evaluation = toy.rows(12, region=NAMES * 4)
    found = toy.trainer(training, objective=LossVariance(1.0)).evaluate(evaluation)
    labels = torch.arange(12) % 2
    logits = toy.model().linear(evaluation.x).detach()
    losses = F.cross_entropy(logits, labels, reduction="none")
    right = (logits.argmax(1) == labels).double()
    assert found["eval_loss"] == pytest.approx(losses.mean().item())
    assert found["eval_accuracy"] == pytest.approx(right.mean().item())
    assert found["eval_accuracy_worst"] == pytest.approx(
        min(right[0::3].mean().item(), right[1::3].mean().item())
    )
    means = [losses[0::3].mean().item(), losses[1::3].mean().item()]
    assert found["eval_loss_variance"] == pytest.approx(np.var(means))


def test_evaluation_of_overlapping_groups_counts_a_row_in_each(toy: Any) -> None:
    rows = toy.rows(24, region=lists())
    trained = toy.trainer(rows, objective=LossVariance(1.0))
    labels = torch.arange(24) % 2
    logits = toy.model().linear(rows.x).detach()
    losses = F.cross_entropy(logits, labels, reduction="none")
    member = matrix(lists()) > 0
    means = [losses[member[:, g]].mean().item() for g in range(3)]
    assert trained.evaluate(rows)["eval_loss_variance"] == pytest.approx(np.var(means))
    # A trainer that only evaluates reads from its evaluation set that groups overlap.
    only = toy.trainer(None, eval_dataset=rows, group_names=NAMES, objective=Reweight())
    assert only.evaluate()["eval_loss_variance"] == pytest.approx(np.var(means))


def test_several_groups_where_training_had_one_are_refused() -> None:
    collate = GroupCollator(lambda items: {}, "region", NAMES)
    assert collate([{"region": ["south"]}, {"region": []}])[GROUPS].tolist() == [1, -1]
    with pytest.raises(InputError, match=r"region.*several groups.*north, west"):
        collate([{"region": ["north", "west"]}])


def test_a_collator_never_sees_the_group_column() -> None:
    seen: list[Any] = []
    collate = GroupCollator(lambda items: seen.extend(items) or {}, "region", NAMES)
    collate([{"region": "south", "x": 1}])
    assert seen == [{"x": 1}]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ()),
        (float("nan"), ()),
        ([], ()),
        ("a", ("a",)),
        (3, ("3",)),
        (np.int64(3), ("3",)),
        (torch.tensor(3), ("3",)),
        (np.array(["a", "b"]), ("a", "b")),
        (torch.tensor([2, 1]), ("2", "1")),
        (["a", None, "a"], ("a",)),
        (("a", "b"), ("a", "b")),
    ],
)
def test_whatever_a_row_holds_is_names(value: Any, expected: tuple[str, ...]) -> None:
    assert group_names(value) == expected


def test_a_vocabulary_counts_rows_and_members() -> None:
    rows = [{"g": value} for value in (["b", "a"], ["a"], [], None, ["c"])]
    found = group_vocabulary(rows, "g")
    assert found == (("a", "b", "c"), (2, 1, 1), 3, True)
    assert group_vocabulary(rows, "g", ["c", "b"]) == (("c", "b"), (1, 1), 2, True)
    assert not group_vocabulary([{"g": "a"}], "g").overlapping


def test_reweighting_is_told_the_groups_sizes(toy: Any) -> None:
    region = ["north"] * 12 + ["south"] * 8 + ["west"] * 4
    objective = Reweight()
    rows = toy.rows(24, region=region)
    trainer = toy.trainer(rows, objective=objective)
    sizes = torch.tensor([12.0, 8, 4]).double()
    close(objective.weights, 24 / (3 * sizes))
    numbers = torch.tensor([NAMES.index(name) for name in region])
    close(toy.weights(trainer), bare_loop(toy, rows, Reweight([12, 8, 4]), numbers))


def test_reweighting_of_overlapping_groups_counts_members_once(toy: Any) -> None:
    objective = Reweight()
    toy.trainer(toy.rows(24, region=lists()), objective=objective)
    member = matrix(lists()).double()
    several = (member.sum(1) > 0).sum()
    close(objective.weights, several / (3 * member.sum(0)))


@pytest.mark.parametrize("column", ["labels", "label"])
@KINDS
def test_without_a_group_column_reweighting_is_told_the_classes_sizes(
    toy: Any, kind: str, column: str
) -> None:
    objective = Reweight()
    dataset: Any = [{"pixel_values": [0.0] * 4, column: int(k % 3 == 0)} for k in range(12)]
    if kind == "datasets":
        import datasets

        dataset = datasets.Dataset.from_list(dataset)
    toy.trainer(dataset, objective=objective, group_column=None)
    close(objective.weights, torch.tensor([12 / 16, 12 / 8]).double())


def test_a_label_that_is_no_class_is_named(toy: Any) -> None:
    dataset = [{"pixel_values": [0.0] * 4, "labels": 5}]
    with pytest.raises(InputError, match=r"labels, row 1: .*no class .*\(found 5; expected 0 to 1"):
        toy.trainer(dataset, objective=Reweight(), group_column=None)


def test_the_adjustment_of_group_dro_is_told_the_groups_sizes(toy: Any) -> None:
    region = ["north"] * 12 + ["south"] * 8 + ["west"] * 4
    rows = toy.rows(24, region=region)
    numbers = torch.tensor([NAMES.index(name) for name in region])
    by_hand = GroupDRO(0.5, adjustment=3.0)
    by_hand.bind(3, torch.tensor([12.0, 8, 4]), 24)
    objective = GroupDRO(0.5, adjustment=3.0)
    found = toy.weights(toy.trainer(rows, objective=objective))
    close(found, bare_loop(toy, rows, by_hand, numbers))
    close(objective.weights, by_hand.weights)
    plain = GroupDRO(0.5, num_groups=3)
    bare_loop(toy, rows, plain, numbers)
    assert (plain.weights - by_hand.weights).abs().max() > 0.01


def test_an_objective_made_for_another_number_of_groups_is_refused(toy: Any) -> None:
    rows = toy.rows(12, region=NAMES * 4)
    for objective in (LossVariance(1.0, num_groups=2), Reweight([3, 4])):
        with pytest.raises(InputError, match="num_groups: .*another number.*found 2; expected 3"):
            toy.trainer(rows, objective=objective)


@pytest.mark.parametrize("name", ["label", "labels"])
def test_the_labels_cannot_be_the_group_column(toy: Any, name: str) -> None:
    with pytest.raises(InputError, match="expected None, which takes the classes"):
        toy.trainer(toy.rows(4), group_column=name)


class Stream(torch.utils.data.IterableDataset[dict[str, Any]]):
    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __iter__(self) -> Any:
        return (self.rows[k] for k in range(len(self.rows)))


@pytest.mark.parametrize("overlapping", [False, True])
def test_a_stream_trains_when_the_groups_are_named(toy: Any, overlapping: bool) -> None:
    region: list[Any] = [["west"], *lists(23)] if overlapping else NAMES * 8
    rows = toy.rows(24, region=region)
    groups = matrix(region) if overlapping else torch.tensor([0, 1, 2]).repeat(8)
    arguments = {"max_steps": 3, "train_sampling_strategy": "random"}

    def make(objective: Objective, names: list[str] | None) -> Any:
        return toy.trainer(
            Stream(rows), objective=objective, group_names=names, arguments=arguments
        )

    found = toy.weights(make(LossVariance(2.0), NAMES))
    close(found, bare_loop(toy, rows, LossVariance(2.0, num_groups=3), groups))
    with pytest.raises(InputError, match="group_names: .*stream"):
        make(LossVariance(1.0), None)
    with pytest.raises(InputError, match="rows by group"):
        make(Reweight(), NAMES)


def test_a_meter_counts_a_row_in_each_of_its_groups() -> None:
    meter = GroupMeter(3)
    assert meter.summary() is None
    losses, hits = torch.tensor([1.0, 2.0, 6.0, 9.0]), torch.tensor([1.0, 0.0, 1.0, 1.0])
    member = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0]])
    meter.add(losses[:2], member[:2], hits[:2])
    meter.add(losses[2:], member[2:], hits[2:])
    found = meter.summary()
    assert found is not None
    assert found.rows.tolist() == [2, 2, 0]
    assert found.loss[:2].tolist() == [1.5, 5.0]
    assert found.loss[2].isnan()
    assert found.accuracy[:2].tolist() == [0.5, 1.0]
    assert found.overall_loss == 4.5
    assert found.overall_accuracy == 0.75
    assert found.loss_variance == pytest.approx(1.75**2)
    assert found.training_log(["a", "b", "c"]) == pytest.approx(
        {"loss/a": 1.5, "loss/b": 5.0, "loss_variance": 1.75**2}
    )
    assert found.evaluation_metrics("eval") == pytest.approx(
        {
            "eval_loss": 4.5,
            "eval_accuracy": 0.75,
            "eval_accuracy_worst": 0.5,
            "eval_loss_variance": 1.75**2,
        }
    )
    meter.reset()
    meter.add(losses, None, hits)
    without = meter.summary()
    assert without is not None
    assert without.training_log(["a", "b", "c"]) == {}
    assert set(without.evaluation_metrics("eval")) == {"eval_loss", "eval_accuracy"}


def test_repeated_rows_are_not_metered() -> None:
    meter = GroupMeter(1)
    real = torch.tensor([True, False])
    meter.add(torch.tensor([1.0, torch.inf]), torch.tensor([0, 0]), torch.ones(2), real)
    found = meter.summary()
    assert found is not None
    assert (found.overall_loss, found.rows.tolist()) == (1.0, [1])


@pytest.mark.parametrize("make", [lambda: LossVariance(1.0), lambda: GroupDRO(0.1), Reweight])
def test_making_a_trainer_twice_with_one_objective_works(
    toy: Any, make: Callable[[], Objective]
) -> None:
    """As a notebook does whose cell is run again."""
    rows, objective = toy.rows(12, region=NAMES * 4), make()
    first = toy.trainer(rows, objective=copy.deepcopy(objective))
    toy.trainer(rows, objective=objective)
    again = toy.trainer(rows, objective=objective)
    close(toy.weights(first), toy.weights(again))


def test_class_labels_have_their_names_as_groups(toy: Any) -> None:
    import datasets

    kind = datasets.ClassLabel(names=["south", "north"])
    table = toy.table(toy.rows(8, region=[0, 1, 1, 0, 1, 1, 1, -1])).with_format(None)
    table = table.cast_column("region", kind).with_format("numpy")
    objective = Reweight()
    trainer = toy.trainer(
        table, objective=objective, eval_dataset=table,
        compute_metrics=TrainerMetrics(columns=["region"], min_group=1),
    )  # fmt: skip
    assert trainer.group_names == ("north", "south")
    close(objective.weights, torch.tensor([7 / (2 * 5), 7 / (2 * 2)]).double())
    items = [table[k] for k in range(8)]
    kept = ["pixel_values", "labels", "region"]
    batch = trainer.data_collator([{k: torch.as_tensor(v[k]) for k in kept} for v in items])
    assert batch[GROUPS].tolist() == [1, 0, 0, 1, 0, 0, 0, -1]
    trainer.train()
    assert {"loss/north", "loss/south"} <= set(trainer.state.log_history[0])
    assert {"eval_region/north/accuracy", "eval_region/south/accuracy"} <= set(trainer.evaluate())
    # Numbers that mean other groups in the evaluation set.
    other = table.with_format(None).cast_column(
        "region", datasets.ClassLabel(names=["north", "south"])
    )
    with pytest.raises(InputError, match=r"numbers its groups otherwise .*found north, south"):
        trainer.evaluate(other)
    # Names that are numbers still name numbers.
    assert toy.trainer(table, group_names=["0", "1"]).group_names == ("0", "1")

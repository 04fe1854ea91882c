"""Objectives: one table of shared tests, and each against autograd of its formula."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fairlora.errors import InputError
from fairlora.objectives import (
    ERM,
    GroupDRO,
    GroupObjective,
    LossGap,
    LossVariance,
    Objective,
    Reweight,
    make_objective,
)

G = 9
ROWS = torch.tensor([40.0, 30, 20, 10, 5, 5, 4, 3, 2], dtype=torch.float64)


def member_matrix(groups: Tensor) -> Tensor:
    """(N, G) the same groups as zeros and ones."""
    matrix = torch.zeros(len(groups), G)
    for row, group in enumerate(groups.tolist()):
        if group >= 0:
            matrix[row, group] = 1
    return matrix


def variance_formula(strength: float, mean: bool = False) -> Callable[[Tensor, Tensor], Tensor]:
    def formula(losses: Tensor, member: Tensor) -> Tensor:
        means = [losses[m > 0].mean() for m in member.T if m.any()]
        if not means:
            return losses.mean()
        of_groups = torch.stack(means)
        penalty = (of_groups - of_groups.mean()).square().sum()
        return losses.mean() + strength * (penalty / len(means) if mean else penalty)

    return formula


def gap_formula(strength: float) -> Callable[[Tensor, Tensor], Tensor]:
    def formula(losses: Tensor, member: Tensor) -> Tensor:
        means = [losses[m > 0].mean() for m in member.T if m.any()]
        if not means:
            return losses.mean()
        of_groups = torch.stack(means)
        # amax and amin share the gradient among equals.
        return losses.mean() + strength * (of_groups.amax() - of_groups.amin())

    return formula


def dro_formula(step: float, adjustment: float = 0.0) -> Callable[[Tensor, Tensor], Tensor]:
    """The first step from even weights."""

    def formula(losses: Tensor, member: Tensor) -> Tensor:
        q = torch.ones(G, dtype=losses.dtype)
        for g in range(G):
            if member[:, g].any():
                push = losses[member[:, g] > 0].mean().detach() + adjustment / ROWS[g].sqrt()
                q[g] = torch.exp(step * push)
        q = q / q.sum()
        parts = [q[g] * losses[member[:, g] > 0].mean() for g in range(G) if member[:, g].any()]
        return torch.stack(parts).sum() if parts else losses.sum() * 0

    return formula


def reweight_formula(losses: Tensor, member: Tensor) -> Tensor:
    share = (ROWS.sum() / (G * ROWS)).to(losses.dtype)
    weight = torch.where(member.sum(1) > 0, member.to(losses.dtype) @ share, 1.0)
    return (weight * losses).mean()


class Case(NamedTuple):
    name: str
    make: Callable[[], GroupObjective]
    formula: Callable[[Tensor, Tensor], Tensor]


def bound_dro() -> GroupDRO:
    objective = GroupDRO(0.5, adjustment=2.0)
    objective.bind(G, ROWS, int(ROWS.sum()))
    return objective


TABLE = [
    Case("erm", ERM, lambda losses, member: losses.mean()),
    Case("loss-variance", lambda: LossVariance(1.0, num_groups=G), variance_formula(1.0)),
    Case(
        "loss-variance mean",
        lambda: LossVariance(2.0, reduction="mean", num_groups=G),
        variance_formula(2.0, mean=True),
    ),
    Case("loss-variance strong", lambda: LossVariance(50.0, num_groups=G), variance_formula(50.0)),
    Case("group-dro", lambda: GroupDRO(0.3, num_groups=G), dro_formula(0.3)),
    Case("group-dro adjusted", bound_dro, dro_formula(0.5, 2.0)),
    Case("reweight", lambda: Reweight(ROWS), reweight_formula),
    Case("loss-gap", lambda: LossGap(1.5, num_groups=G), gap_formula(1.5)),
]
EVERY = pytest.mark.parametrize("case", TABLE, ids=[case.name for case in TABLE])


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    n = draw(st.integers(1, 24))
    losses = draw(st.lists(st.floats(0, 20), min_size=n, max_size=n))
    groups = draw(st.lists(st.integers(-1, G - 1), min_size=n, max_size=n))
    return torch.tensor(losses, dtype=torch.float64), torch.tensor(groups)


def gradient(value: Tensor, losses: Tensor) -> Tensor:
    return torch.autograd.grad(value, losses, allow_unused=True)[0]


@EVERY
@settings(max_examples=80, deadline=None)
@given(batch=batches())
def test_has_the_value_and_gradient_of_the_formula(
    case: Case, batch: tuple[Tensor, Tensor]
) -> None:
    losses, groups = batch[0].requires_grad_(), batch[1]
    member = member_matrix(groups)
    expected = case.formula(losses, member)
    wanted = gradient(expected, losses)
    for given_groups in (groups, member, member.bool()):
        value = case.make()(losses, given_groups)
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(gradient(value, losses), wanted, rtol=1e-8, atol=1e-8)


@EVERY
@settings(max_examples=50, deadline=None)
@given(st.data())
def test_overlapping_groups_are_a_matrix(case: Case, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 12))
    losses = torch.tensor(
        data.draw(st.lists(st.floats(0, 9), min_size=n, max_size=n)), dtype=torch.float64
    ).requires_grad_()
    rows = st.lists(st.booleans(), min_size=G, max_size=G)
    member = torch.tensor(data.draw(st.lists(rows, min_size=n, max_size=n)))
    expected = case.formula(losses, member)
    value = case.make()(losses, member)
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        gradient(value, losses), gradient(expected, losses), rtol=1e-8, atol=1e-8
    )


@EVERY
def test_repeated_rows_count_nowhere(case: Case) -> None:
    losses = torch.tensor([1.0, 2.0, 3.0, 4.0, 9.0, torch.inf], requires_grad=True)
    groups = torch.tensor([0, 0, 1, -1, 0, 2])
    real = torch.tensor([True] * 4 + [False] * 2)
    value = case.make()(losses, groups, real)
    short = case.make()(losses[:4], groups[:4])
    assert value.item() == pytest.approx(short.item())
    torch.testing.assert_close(gradient(value, losses), gradient(short, losses))
    matrix = case.make()(losses, member_matrix(groups), real)
    assert matrix.item() == pytest.approx(short.item())


@EVERY
def test_a_window_of_batches_has_the_gradient_of_one_batch(case: Case) -> None:
    """What exact accumulation does: sums first, then each part with the whole's weights."""
    losses = torch.rand(12, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    groups = torch.tensor([0, 1, 1, 2, -1, 0, 5, 5, 5, 2, 0, 0])
    whole = case.make()(losses, groups)
    objective = case.make()
    parts = [slice(0, 3), slice(3, 8), slice(8, 12)]
    sums = [objective.measure(losses[p], groups[p]) for p in parts]
    weights = objective.weigh(sums[0] + sums[1] + sums[2])
    assert weights.value == pytest.approx(whole.item())
    added = sum(gradient(objective.apply(losses[p], groups[p], weights), losses) for p in parts)
    torch.testing.assert_close(added, gradient(whole, losses))


@EVERY
def test_only_real_numbers_of_groups_and_shapes_are_taken(case: Case) -> None:
    with pytest.raises(InputError, match="losses"):
        case.make()(torch.zeros(2, 2), torch.zeros(2, dtype=torch.long))
    with pytest.raises(InputError, match="losses"):
        case.make()(torch.zeros(0), torch.zeros(0, dtype=torch.long))
    if not case.make().needs_groups:
        return
    losses = torch.ones(2)
    with pytest.raises(InputError, match="out of range"):
        case.make()(losses, torch.tensor([0, G]))
    with pytest.raises(InputError, match="out of range"):
        case.make()(losses, torch.tensor([0, -2]))
    with pytest.raises(InputError, match="groups"):
        case.make()(losses, torch.tensor([0.0, 1.0]))
    with pytest.raises(InputError, match="another width"):
        case.make()(losses, torch.zeros(2, G + 1))
    with pytest.raises(InputError, match="no groups"):
        case.make()(losses)


@EVERY
def test_the_state_survives_a_checkpoint(case: Case) -> None:
    losses, groups = torch.tensor([1.0, 2.0, 5.0]), torch.tensor([0, 1, 3])
    first = case.make()
    for _ in range(3):
        first(losses, groups)
    second = case.make()
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert second(losses, groups) == first(losses, groups)


def test_group_weights_move_to_the_worst_group_and_outlive_its_absence() -> None:
    objective = GroupDRO(0.5, num_groups=3)
    for _ in range(20):
        objective(torch.tensor([0.1, 2.0]), torch.tensor([0, 1]))
    before = objective.weights
    assert before.argmax() == 1
    assert before[0] < 0.01
    # Absent from a batch, a group keeps its weight but for the normalisation.
    objective(torch.tensor([0.1]), torch.tensor([0]))
    after = objective.weights
    assert after[1] / after[2] == pytest.approx(float(before[1] / before[2]))
    assert after.sum() == pytest.approx(1.0)


def test_group_weights_of_another_vocabulary_are_refused() -> None:
    with pytest.raises(InputError, match="vocabulary"):
        GroupDRO(num_groups=3).load_state_dict({"log_weights": [0.0, 0.0]})


def test_group_dro_needs_the_vocabulary_and_its_adjustment_the_counts() -> None:
    with pytest.raises(InputError, match="vocabulary"):
        GroupDRO()(torch.ones(2), torch.tensor([0, 1]))
    with pytest.raises(InputError, match="counts"):
        GroupDRO(adjustment=1.0, num_groups=2)(torch.ones(2), torch.tensor([0, 1]))


def test_reweighting_has_a_mean_weight_of_one_over_the_training_set() -> None:
    objective = Reweight(torch.tensor([30.0, 10.0, 0.0]))
    losses = torch.ones(40)
    groups = torch.tensor([0] * 30 + [1] * 10)
    assert objective(losses, groups) == pytest.approx(1.0)
    # Overlapping: 6 rows, of which two are in both groups.
    rows = Reweight([4, 4], members=6)
    member = torch.tensor([[1, 0]] * 2 + [[1, 1]] * 2 + [[0, 1]] * 2)
    assert rows(torch.ones(6), member) == pytest.approx(1.0)


@pytest.mark.parametrize("rows", [[0, 0], [-1, 2], [float("nan"), 1]])
def test_reweighting_refuses_what_are_no_counts(rows: list[float]) -> None:
    with pytest.raises(InputError, match="counts"):
        Reweight(rows)
    with pytest.raises(InputError, match="counts"):
        Reweight()(torch.ones(1), torch.tensor([0]))


@settings(max_examples=50, deadline=None)
@given(batches())
def test_strength_zero_is_the_mean(batch: tuple[Tensor, Tensor]) -> None:
    losses, groups = batch
    assert LossVariance(0.0)(losses, groups) == pytest.approx(float(losses.mean()))
    for objective in (LossVariance(0.0), LossGap(0.0)):
        assert objective(losses) == pytest.approx(float(losses.mean()))
        assert not objective.needs_groups


def test_groups_that_are_equally_bad_share_the_push() -> None:
    losses = torch.tensor([3.0, 3.0, 1.0], requires_grad=True)
    LossGap(1.0)(losses, torch.tensor([0, 1, 2])).backward()
    torch.testing.assert_close(losses.grad, torch.tensor([1 / 3 + 0.5, 1 / 3 + 0.5, 1 / 3 - 1]))
    alike = torch.tensor([2.0, 2.0], requires_grad=True)
    objective = LossGap(9.0)
    objective(alike, torch.tensor([0, 1])).backward()
    torch.testing.assert_close(alike.grad, torch.tensor([0.5, 0.5]))
    assert objective.negative_share == 0


def test_absent_groups_change_nothing() -> None:
    losses, groups = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 0, 2])
    assert LossVariance(1.0, num_groups=50)(losses, groups) == LossVariance(1.0)(losses, groups)


def test_rows_of_no_group_count_in_the_mean_alone() -> None:
    losses = torch.tensor([1.0, 3.0, 100.0])
    value = LossVariance(1.0)(losses, torch.tensor([0, 1, -1]))
    assert value == pytest.approx(104 / 3 + 2)
    alone = LossVariance(1.0)(losses, torch.tensor([-1, -1, -1]))
    assert alone == pytest.approx(104 / 3)


def test_says_how_many_weights_are_negative() -> None:
    objective = LossVariance(10.0)
    losses = torch.tensor([0.0, 0.0, 4.0], requires_grad=True)
    objective(losses, torch.tensor([0, 0, 1])).backward()
    assert losses.grad is not None
    assert objective.negative_share == pytest.approx(2 / 3)
    assert (losses.grad[:2] < 0).all()
    assert LossVariance(10.0).negative_share == 0


@pytest.mark.parametrize("strength", [-1.0, float("nan"), float("inf")])
def test_refuses_a_strength_that_is_none(strength: float) -> None:
    with pytest.raises(InputError, match="strength"):
        LossVariance(strength)


def test_an_unknown_objective_is_named_with_those_there_are() -> None:
    with pytest.raises(InputError, match="erm, loss-variance, group-dro, reweight"):
        make_objective("fairness")


def test_a_bare_loop_brings_the_groups_together() -> None:
    """What the objective is for: with it, the losses of two groups end closer than without."""

    def spread_after(objective: Objective) -> float:
        torch.manual_seed(0)
        x = torch.randn(200, 2)
        groups = (torch.arange(200) % 10 == 0).long()
        # The rare group's label hangs on the other feature.
        labels = torch.where(groups == 1, x[:, 1] > 0, x[:, 0] > 0).float()
        model = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
        for _ in range(150):
            losses = torch.nn.functional.binary_cross_entropy_with_logits(
                model(x).squeeze(1), labels, reduction="none"
            )
            optimizer.zero_grad()
            objective(losses, groups).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        means = [losses[groups == g].mean().item() for g in (0, 1)]
        return abs(means[0] - means[1])

    assert spread_after(LossVariance(1.0)) < 0.5 * spread_after(ERM())
    assert spread_after(LossGap(0.5)) < 0.5 * spread_after(ERM())

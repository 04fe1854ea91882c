"""Objectives: one table of shared tests, and LossVariance against autograd of its formula."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fairlora.errors import InputError
from fairlora.objectives import ERM, LossVariance, Objective, make_objective

TABLE: list[tuple[str, Callable[[], Objective]]] = [
    ("erm", ERM),
    ("loss-variance", lambda: LossVariance(1.0)),
    ("loss-variance mean", lambda: LossVariance(2.0, reduction="mean")),
    ("loss-variance fixed groups", lambda: LossVariance(1.0, num_groups=9)),
]
EVERY = pytest.mark.parametrize("make", [m for _, m in TABLE], ids=[n for n, _ in TABLE])


def formula(losses: Tensor, groups: Tensor, strength: float, mean: bool = False) -> Tensor:
    """J as the paper writes it, for autograd to differentiate."""
    present = [g for g in torch.unique(groups).tolist() if g >= 0]
    if not present:
        return losses.mean()
    means = torch.stack([losses[groups == g].mean() for g in present])
    penalty = (means - means.mean()).square().sum()
    return losses.mean() + strength * (penalty / len(present) if mean else penalty)


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    n = draw(st.integers(1, 24))
    losses = draw(st.lists(st.floats(0, 20), min_size=n, max_size=n))
    groups = draw(st.lists(st.integers(-1, 6), min_size=n, max_size=n))
    return torch.tensor(losses, dtype=torch.float64), torch.tensor(groups)


@EVERY
def test_returns_a_differentiable_scalar(make: Callable[[], Objective]) -> None:
    losses = torch.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    value = make()(losses, torch.tensor([0, 0, 1, 3]))
    assert value.shape == ()
    value.backward()  # type: ignore[no-untyped-call]
    assert losses.grad is not None
    # The penalty's weights sum to zero: the gradient's sum is the mean loss's.
    assert losses.grad.sum() == pytest.approx(1.0)


@EVERY
def test_one_group_is_plain_training(make: Callable[[], Objective]) -> None:
    losses = torch.tensor([1.0, 2.0, 6.0])
    assert make()(losses, torch.zeros(3, dtype=torch.long)) == pytest.approx(3.0)


@EVERY
def test_equal_losses_have_no_penalty(make: Callable[[], Objective]) -> None:
    assert make()(torch.full((4,), 0.5), torch.tensor([0, 1, 1, 2])) == pytest.approx(0.5)


@EVERY
def test_numbering_of_groups_does_not_matter(make: Callable[[], Objective]) -> None:
    losses = torch.tensor([1.0, 2.0, 3.0, 5.0])
    a = make()(losses, torch.tensor([0, 1, 1, 2]))
    b = make()(losses, torch.tensor([7, 2, 2, 5]))
    assert a == pytest.approx(float(b))


@EVERY
def test_refuses_losses_of_another_shape(make: Callable[[], Objective]) -> None:
    with pytest.raises(InputError, match="losses"):
        make()(torch.zeros(2, 2), torch.zeros(2, dtype=torch.long))
    with pytest.raises(InputError, match="losses"):
        make()(torch.zeros(0), torch.zeros(0, dtype=torch.long))


@settings(max_examples=150, deadline=None)
@given(batches(), st.floats(0, 50), st.booleans())
def test_loss_variance_has_the_value_and_gradient_of_the_formula(
    batch: tuple[Tensor, Tensor], strength: float, mean: bool
) -> None:
    losses, groups = batch
    ours = losses.clone().requires_grad_()
    theirs = losses.clone().requires_grad_()
    objective = LossVariance(strength, reduction="mean" if mean else "sum", num_groups=7)
    value = objective(ours, groups)
    expected = formula(theirs, groups, strength, mean)
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)
    value.backward()  # type: ignore[no-untyped-call]
    expected.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-8, atol=1e-8)


@settings(max_examples=50, deadline=None)
@given(batches())
def test_strength_zero_is_the_mean(batch: tuple[Tensor, Tensor]) -> None:
    losses, groups = batch
    assert LossVariance(0.0)(losses, groups) == losses.mean()
    assert LossVariance(0.0)(losses) == losses.mean()
    assert not LossVariance(0.0).needs_groups


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


def test_refuses_groups_out_of_range_or_of_another_type() -> None:
    losses = torch.ones(2)
    with pytest.raises(InputError, match="out of range"):
        LossVariance(1.0, num_groups=2)(losses, torch.tensor([0, 2]))
    with pytest.raises(InputError, match="out of range"):
        LossVariance(1.0)(losses, torch.tensor([0, -2]))
    with pytest.raises(InputError, match="groups"):
        LossVariance(1.0)(losses, torch.tensor([0.0, 1.0]))
    with pytest.raises(InputError, match="no groups"):
        LossVariance(1.0)(losses)


def test_an_unknown_objective_is_named_with_those_there_are() -> None:
    with pytest.raises(InputError, match="erm, loss-variance"):
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

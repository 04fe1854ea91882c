"""Training with differential privacy: what a step does to rows, to noise and to the promise.

Oracles: autograd one row at a time, opacus' own accountant, and the exact Gaussian mechanism.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import TrainerCallback

from fairlora.errors import InputError
from fairlora.models import Adapter, attach, load_classifier
from fairlora.models.tiny import write_tiny_model
from fairlora.objectives import ERM, GroupDRO, LossVariance, Reweight
from fairlora.predictions import GroupColumn
from fairlora.privacy.epsilon import epsilon_of_noise
from fairlora.training.losses import row_losses

pytest.importorskip("opacus")

from opacus.accountants import PRVAccountant, RDPAccountant

from fairlora.training.dp_budget import DPBudget, DPSettings, epsilon_of
from fairlora.training.dp_cost import GroupCost
from fairlora.training.dp_gradients import RowGradients
from fairlora.training.dp_steps import EmptyBatch, NoisyOptimizer, PoissonBatches, in_parts
from fairlora.training.dp_trainer import DPTrainer

IMAGES = ("google/vit-base-patch16-224", "facebook/dinov2-base")
TEXTS = ("bert-base-uncased", "meta-llama/Llama-2-7b")
PROMISE = DPSettings(epsilon=8.0, clip=0.5, accountant="rdp", seed=3)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Tiny checkpoints by the hub's names, each written once."""
    root = tmp_path_factory.mktemp("tiny")

    def write(like: str) -> Path:
        folder = root / like.replace("/", "-")
        return folder if folder.is_dir() else write_tiny_model(like, folder)

    return write


def model_and_batch(folder: Path, kind: str, *, text: bool) -> tuple[Any, dict[str, Any]]:
    """A model with an adapter, in training mode, and a batch of three rows."""
    data = "text" if text else "image"
    classifier = load_classifier(str(folder), ("a", "b"), kind=data, head_seed=0)
    adapter = Adapter(kind, **({} if kind in ("full", "linear") else {"rank": 2}))
    model: Any = attach(classifier.model, adapter, classifier.head, seed=0, task=data)
    if text:
        several = ["the town is north", "what is the capital of the south of it", "a"]
        tokens: Any = classifier.tokenizer(several, padding=True, return_tensors="pt")  # type: ignore[union-attr]
        batch = {key: tokens[key] for key in ("input_ids", "attention_mask")}
    else:
        generator = torch.Generator().manual_seed(0)
        side = classifier.preprocessing.size  # type: ignore[union-attr]
        batch = {"pixel_values": torch.randn(3, 3, side, side, generator=generator)}
        batch |= classifier.forward_arguments
    model.train()
    return model, {**batch, "labels": torch.tensor([0, 1, 0])}


def losses_of(model: Any) -> Callable[[dict[str, Any]], Tensor]:
    def losses(batch: dict[str, Any]) -> Tensor:
        inputs = {key: value for key, value in batch.items() if key != "labels"}
        return row_losses(model(**inputs).logits, batch["labels"]).losses

    return losses


CASES = [(IMAGES[0], kind, False) for kind in ("lora", "full", "linear")]
CASES += [(IMAGES[1], "full", False), (TEXTS[0], "lora", True), (TEXTS[0], "full", True)]
CASES += [(TEXTS[1], "rslora", True), (TEXTS[1], "full", True)]


@pytest.mark.parametrize(("like", "kind", "text"), CASES)
def test_rows_are_clipped_as_autograd_clips_them_one_at_a_time(
    tiny: Callable[[str], Path], like: str, kind: str, text: bool
) -> None:
    model, batch = model_and_batch(tiny(like), kind, text=text)
    # Without dropout: the oracle's masks would be others.
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name in ("attention_dropout", "dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    gradients = RowGradients(model)
    before = copy.deepcopy(model.state_dict())
    gradients.prove(batch, losses_of(model))
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    generator = torch.Generator().manual_seed(1)
    trained = [p for p in model.parameters() if p.requires_grad]
    with torch.no_grad():
        for parameter in trained:
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    expected = [torch.zeros_like(p) for p in trained]
    norms = []
    with gradients.off():
        for part in in_parts(batch, 1):
            gradients.rows = 1
            loss = losses_of(model)(part).sum()
            own = torch.autograd.grad(loss, trained, allow_unused=True)
            found = [
                torch.zeros_like(p) if g is None else g for p, g in zip(trained, own, strict=True)
            ]
            norms.append(float(torch.cat([g.flatten() for g in found]).norm()))
            for total, gradient in zip(expected, found, strict=True):
                total += gradient * min(1.0, PROMISE.clip / norms[-1])
    clip = sorted(norms)[1] * 1.001  # one row is cut and two are not
    for clip_to in (PROMISE.clip, clip):
        optimizer = NoisyOptimizer(
            torch.optim.SGD(trained, lr=1.0),
            noise_multiplier=1.0,
            max_grad_norm=clip_to,
            expected_batch_size=3,
        )
        factors = []
        for part in in_parts(batch, 2):
            gradients.rows = len(part["labels"])
            losses_of(model)(part).sum().backward()
            factors.append(optimizer.clip_and_accumulate())
        wanted = [min(1.0, clip_to / norm) for norm in norms]
        assert torch.cat(factors).tolist() == pytest.approx(wanted, rel=1e-3)
        if clip_to == PROMISE.clip:
            for total, parameter in zip(expected, trained, strict=True):
                assert torch.allclose(parameter.summed_grad, total, rtol=1e-3, atol=1e-5)
    gradients.remove()
    assert not any(hasattr(p, "grad_sample") for p in trained)


class Folds(nn.Module):
    """Sees the halves of each row as rows of their own, as windows of a picture are."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(2, 2), nn.Linear(4, 2)

    def forward(self, pixel_values: Tensor, **_: Any) -> Any:
        rows = len(pixel_values)
        folded = self.inner(pixel_values.float().view(2 * rows, 2)).view(rows, 4)
        return type("Out", (), {"logits": self.head(folded)})


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head = nn.BatchNorm1d(4), nn.Linear(4, 2)


def numbers(rows: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 4, generator=generator)
    return {"pixel_values": x, "labels": torch.arange(rows) % 2}


def test_a_model_whose_rows_opacus_takes_for_others_is_refused(
    tiny: Callable[[str], Path],
) -> None:
    model = Folds()
    with pytest.raises(InputError, match=r"single rows do not fit .*not one gradient a row"):
        RowGradients(model).prove(numbers(3), losses_of(model))
    swin, batch = model_and_batch(tiny("microsoft/swinv2-tiny-patch4"), "lora", text=False)
    with pytest.raises(InputError, match=r"not one gradient a row .*lora_A"):
        RowGradients(swin).prove(batch, losses_of(swin))
    dora, batch = model_and_batch(tiny(IMAGES[0]), "dora", text=False)
    with pytest.raises(InputError, match="cannot compute them"):
        RowGradients(dora).prove(batch, losses_of(dora))


def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from opacus.grad_sample import GradSampleHooks

    right = GradSampleHooks.GRAD_SAMPLERS[nn.Linear]

    def wrong(layer: nn.Linear, *arguments: Any) -> Any:
        found = right(layer, *arguments)
        return {p: g * (1.01 if p is layer.bias else 1.0) for p, g in found.items()}

    monkeypatch.setitem(GradSampleHooks.GRAD_SAMPLERS, nn.Linear, wrong)

    class Plain(Folds):
        def forward(self, pixel_values: Tensor, **_: Any) -> Any:
            return type("Out", (), {"logits": self.head(pixel_values)})

    model = Plain()
    model.inner.requires_grad_(False)
    with pytest.raises(InputError, match=r"other gradients than autograd's .*head\.bias"):
        RowGradients(model).prove(numbers(3), losses_of(model))


def test_a_batch_norm_is_refused_trained_or_not() -> None:
    model = Normed()
    model.norm.requires_grad_(False)
    with pytest.raises(InputError, match=r"a batch norm.*found norm"):
        RowGradients(model)


def test_noise_is_what_the_accountant_was_told_and_an_empty_batch_is_noise_alone() -> None:
    weight = nn.Parameter(torch.zeros(400, 500))
    optimizer = NoisyOptimizer(
        torch.optim.SGD([weight], lr=1.0),
        noise_multiplier=1.3,
        max_grad_norm=0.7,
        expected_batch_size=16,
        generator=torch.Generator().manual_seed(0),
    )
    steps = []
    for _ in range(5):
        before = weight.detach().clone()
        optimizer.step()
        steps.append((before - weight.detach()) * 16)
    drawn = torch.stack(steps)
    # A million draws: the standard deviation is known to 0.07 %.
    assert float(drawn.std()) == pytest.approx(1.3 * 0.7, rel=4e-3)
    assert abs(float(drawn.mean())) < 4 * 0.91 / 1000
    assert not torch.equal(steps[0], steps[1])
    with_rows = nn.Parameter(torch.zeros(400, 500))
    optimizer.original_optimizer.param_groups[0]["params"] = [with_rows]
    optimizer.param_groups = optimizer.original_optimizer.param_groups
    with_rows.summed_grad = None  # type: ignore[attr-defined]
    with_rows.grad_sample = torch.full((2, 400, 500), 5.0)  # type: ignore[attr-defined]
    optimizer.clip_and_accumulate()
    optimizer.step()
    # Two rows cut to a norm of 0.7 each, which 200,000 equal entries share.
    shift = 2 * 0.7 / math.sqrt(200_000)
    assert float(-with_rows.detach().mean() * 16) == pytest.approx(shift, abs=4 * 0.91 / 447)


@pytest.mark.parametrize(("accountant", "own"), [("prv", PRVAccountant), ("rdp", RDPAccountant)])
@pytest.mark.filterwarnings("ignore")
def test_epsilon_is_that_of_opacus_own_accountant(accountant: str, own: Any) -> None:
    settings_ = DPSettings(epsilon=3.0, delta=1e-5, accountant=accountant)
    budget = DPBudget(settings_, sample_rate=0.1, steps=60)
    stepped = own()
    for _ in range(60):
        stepped.step(noise_multiplier=budget.noise_multiplier, sample_rate=0.1)
    assert budget.spent(60) == pytest.approx(stepped.get_epsilon(1e-5))
    assert 2.9 < budget.spent(60) <= 3.0
    assert budget.spent(0) == 0.0 < budget.spent(30) < budget.spent(60)


@pytest.mark.parametrize("noise", [0.6, 1.0, 4.0])
@pytest.mark.filterwarnings("ignore")
def test_epsilon_of_one_step_on_all_rows_is_the_gaussian_mechanisms(noise: float) -> None:
    exact = epsilon_of_noise(noise, 1e-5)
    assert exact <= epsilon_of(noise, 1.0, 1, 1e-5, "prv") <= exact + 0.03
    # Renyi's bound is above it; its closed form: min over a of a / (2 s^2) + ln(1/delta) / (a - 1).
    orders = np.linspace(1.001, 200, 100_000)
    classic = (orders / (2 * noise**2) + math.log(1e5) / (orders - 1)).min()
    assert exact < epsilon_of(noise, 1.0, 1, 1e-5, "rdp") <= classic + 0.01


def test_a_promise_that_no_noise_keeps_is_refused() -> None:
    budget = DPBudget(DPSettings(epsilon=1e-4, accountant="rdp"), sample_rate=1.0, steps=10_000)
    with pytest.raises(InputError, match=r"dp\.epsilon: the accountant finds no noise"):
        _ = budget.noise_multiplier


def test_poisson_batches_draw_each_row_by_itself_and_again_alike() -> None:
    batches = PoissonBatches(50, 0.04, 4000, PROMISE)
    drawn = np.zeros((4000, 50), dtype=bool)
    for number, batch in enumerate(batches):
        drawn[number, batch] = True
    assert len(batches) == 4000
    assert np.abs(drawn.mean(axis=0) - 0.04).max() < 5 * math.sqrt(0.04 * 0.96 / 4000)
    sizes = drawn.sum(axis=1)
    # Binomial: an empty batch is as frequent as independence makes it.
    assert (sizes == 0).mean() == pytest.approx(0.96**50, abs=0.025)
    assert sizes.var() == pytest.approx(50 * 0.04 * 0.96, rel=0.1)
    first = list(PoissonBatches(50, 0.04, 4000, PROMISE))
    assert first == [np.flatnonzero(row).tolist() for row in drawn]
    batches.set_epoch(1)
    assert list(batches) != first
    secret = DPSettings(epsilon=8.0, seed=None)
    assert secret.draw("rows", 0) == secret.draw("rows", 0)
    assert secret.draw("rows", 0) != DPSettings(epsilon=8.0, seed=None).draw("rows", 0)


@settings(max_examples=50, deadline=None)
@given(rows=st.integers(0, 40), most=st.integers(1, 12))
def test_parts_hold_every_row_once_and_evenly(rows: int, most: int) -> None:
    batch = {"labels": torch.arange(rows), "x": torch.arange(rows)[:, None], "flag": True}
    parts = in_parts(batch, most)
    sizes = [len(part["labels"]) for part in parts]
    assert torch.cat([part["x"][:, 0] for part in parts]).tolist() == list(range(rows))
    assert max(sizes) <= most
    assert len(sizes) == max(1, -(-rows // most))
    assert all(part["flag"] for part in parts)


def test_the_cost_of_groups_is_counted_by_hand_and_survives_a_checkpoint() -> None:
    column = GroupColumn(("a", "b"), np.array([0, 0, 1], dtype=np.int32))
    cost = GroupCost({"group": column}, 0.5)
    cost.add(np.array([0, 2]), np.array([0.5, 1.0]))
    again = GroupCost({"group": column}, 0.5)
    again.load(cost.state())
    again.add(np.array([0, 1]), np.array([0.25, 1.0]))
    found = again.summary()["group"]
    a = {"rows": 2, "rows_a_step": 1.0, "drawn": 3, "clipped_share": 2 / 3, "kept": 1.75 / 3}
    assert found["a"] == pytest.approx(a)
    assert found["b"]["clipped_share"] == 0.0
    assert GroupCost({"group": column}, 0.5).summary()["group"]["b"]["kept"] is None


def dp_trainer(toy: Any, rows: Any, **changed: Any) -> DPTrainer:
    arguments = {"train_sampling_strategy": "random", "num_train_epochs": 3, **changed}
    objective = arguments.pop("objective", None)
    more = {key: arguments.pop(key) for key in ("expected_rows", "model") if key in arguments}
    privacy = arguments.pop("privacy", PROMISE)
    return DPTrainer(
        model=more.pop("model", None) or toy.model(),
        args=toy.arguments(**arguments),
        train_dataset=rows,
        objective=objective,
        group_column="region",
        privacy=privacy,
        attributes={"region": GroupColumn(("n", "s"), np.arange(len(rows), dtype=np.int32) % 2)},
        **more,
    )


@pytest.fixture
def rows(toy: Any) -> Any:
    return toy.rows(24, region=["n", "s"] * 12, row=list(range(24)))


def test_a_resumed_training_is_the_uninterrupted_one(toy: Any, rows: Any) -> None:
    whole = dp_trainer(toy, rows, save_strategy="steps", save_steps=4, save_only_model=False)
    expected = toy.weights(whole)
    assert not torch.equal(expected, torch.cat([p.flatten() for p in toy.model().parameters()]))
    checkpoint = f"{whole.args.output_dir}/checkpoint-4"
    again = dp_trainer(toy, rows)
    again.train(resume_from_checkpoint=checkpoint)
    found = torch.cat([p.detach().flatten() for p in again.model.parameters()])  # type: ignore[union-attr]
    assert torch.equal(found, expected)
    assert again.record() == whole.record()
    assert whole.record()["steps"] == 9
    assert sum(g["drawn"] for g in whole.record()["by_group"]["region"].values()) > 0


def test_a_step_moves_weights_by_what_autograd_and_the_seed_say(toy: Any, rows: Any) -> None:
    trainer = dp_trainer(toy, rows, max_steps=1)
    batch = next(iter(PoissonBatches(24, 8 / 24, 3, PROMISE)))
    model = toy.model()
    parameters = list(model.parameters())
    total = [torch.zeros_like(p) for p in parameters]
    for k in batch:
        item = rows[k]
        logits = model(item["pixel_values"][None]).logits
        loss = nn.functional.cross_entropy(logits, torch.tensor([item["labels"]]))
        own = torch.autograd.grad(loss, parameters)
        norm = math.sqrt(sum(float(g.square().sum()) for g in own))
        for place, gradient in zip(total, own, strict=True):
            place += gradient * min(1.0, PROMISE.clip / norm)
    generator = torch.Generator().manual_seed(PROMISE.draw("noise", 0))
    budget = DPBudget(PROMISE, 8 / 24, 1)
    std = budget.noise_multiplier * PROMISE.clip
    for place in total:
        noise = torch.normal(0, std, place.shape, generator=generator, dtype=place.dtype)
        place += noise
    # Stochastic gradient descent at a rate of one half, over the eight rows that are expected.
    expected = torch.cat(
        [(p - 0.5 * t / 8).flatten() for p, t in zip(parameters, total, strict=True)]
    )
    assert torch.allclose(toy.weights(trainer), expected.detach(), atol=1e-5)


def test_rows_that_come_in_parts_train_the_same(toy: Any, rows: Any) -> None:
    whole = toy.weights(dp_trainer(toy, rows, per_device_train_batch_size=16))
    parts = dp_trainer(toy, rows, per_device_train_batch_size=3, expected_rows=16)
    assert torch.allclose(toy.weights(parts), whole, atol=1e-9)


def test_batches_without_rows_are_steps_of_noise(toy: Any, rows: Any) -> None:
    model = toy.model()
    before = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
    trainer = dp_trainer(toy, rows, max_steps=6, per_device_train_batch_size=1, model=model)
    trainer.sample_rate = 0.01
    after = toy.weights(trainer)
    empty = sum(not batch for batch in PoissonBatches(24, 0.01, 6, PROMISE))
    assert trainer.record()["empty_batches"] == empty > 2
    assert not torch.equal(before, after)


class Stop(TrainerCallback):
    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt


def test_a_training_that_was_stopped_leaves_a_plain_model(toy: Any, rows: Any) -> None:
    trainer = dp_trainer(toy, rows)
    trainer.add_callback(Stop())
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    model: Any = trainer.model
    assert not any(m._forward_hooks or m._backward_hooks for m in model.modules())
    with pytest.raises(InputError, match="spent its promise"):
        trainer.train()


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"objective": LossVariance(1.0)}, "objective: .*LossVariance.*others of its batch"),
        ({"objective": GroupDRO()}, "objective: .*GroupDRO"),
        ({"objective": Reweight()}, "objective: .*Reweight"),
        ({"gradient_accumulation_steps": 2}, "gradient_accumulation_steps: .*expected_rows"),
        ({"gradient_checkpointing": True}, "gradient_checkpointing"),
        ({"bf16": True}, "bf16: .*norms of rounded gradients"),
    ],
)
def test_what_would_break_the_promise_is_refused(
    toy: Any, rows: Any, changed: dict[str, Any], found: str
) -> None:
    with pytest.raises(InputError, match=found):
        dp_trainer(toy, rows, **changed)


def test_several_processes_are_refused(
    toy: Any, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = dp_trainer(toy, rows)
    monkeypatch.setattr(type(trainer.args), "world_size", 2)
    with pytest.raises(InputError, match=r"devices: .*found 2; expected one process"):
        trainer._check_settings()


def test_a_delta_above_one_over_the_rows_is_said(toy: Any, rows: Any) -> None:
    with pytest.warns(UserWarning, match="not below one over the 24 training rows"):
        loose = dp_trainer(toy, rows, privacy=DPSettings(epsilon=8.0, delta=0.1, seed=0))
    assert any("not below one over the 24 training rows" in note for note in loose.notes())
    assert any("Whoever knows it can take the noise away" in note for note in loose.notes())
    secret = dp_trainer(toy, rows, privacy=DPSettings(epsilon=8.0, delta=1e-5, seed=None))
    assert secret.notes() == []
    assert type(secret.objective) is ERM


def test_an_empty_batch_has_labels_of_no_rows() -> None:
    def inner(items: Any) -> dict[str, Any]:
        assert items
        return {"labels": torch.tensor(items)}

    assert len(EmptyBatch(inner)([])["labels"]) == 0
    assert EmptyBatch(inner)([1])["labels"].tolist() == [1]

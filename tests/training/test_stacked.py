"""Adapters that train together come out as they do alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import TrainingArguments

from fairlora.models import Adapter, attach, load_classifier
from fairlora.models.tiny import write_tiny_model
from fairlora.objectives import ERM, GroupDRO, LossVariance, Objective, Reweight
from fairlora.training import FairTrainer
from fairlora.training.stacked import CannotStack, Member, Stack, check, current_member

MODELS = {
    "vit": ("google/vit-base-patch16-224-in21k", "image"),
    "clip": ("openai/clip-vit-base-patch32", "image"),
    "swin": ("microsoft/swinv2-tiny-patch4-window8-256", "image"),
    "bert": ("google-bert/bert-base-uncased", "text"),
    "llama": ("meta-llama/Llama-2-7b-hf", "text"),
}
# Every member another objective, rank, rate, schedule, batch size, seed and length.
MEMBERS: list[dict[str, Any]] = [
    {"objective": ERM, "rank": 2, "rate": 1e-2, "schedule": "linear", "batch": 4, "steps": 12},
    {"objective": lambda: LossVariance(1.0), "rank": 4, "rate": 3e-3, "schedule": "cosine"},
    {"objective": GroupDRO, "rank": 3, "rate": 1e-2, "schedule": "constant", "batch": 6},
    {"objective": Reweight, "rank": 2, "rate": 5e-3, "schedule": "linear", "steps": 7},
]
GROUPS = ["north", "south"]


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """Random pictures or texts of different lengths, in two classes and two groups."""

    def __init__(self, kind: str, size: int, words: int, n: int = 24) -> None:
        generator = torch.Generator().manual_seed(1)
        self.n, self.kind = n, kind
        self.pictures = torch.randn(n, 3, size, size, generator=generator, dtype=torch.float64)
        self.texts = torch.randint(5, words, (n, 8), generator=generator)
        self.lengths = torch.randint(3, 9, (n,), generator=generator)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, k: int) -> dict[str, Any]:
        said = {"labels": k % 2, "group": GROUPS[k // 2 % 2]}
        if self.kind == "image":
            return {"pixel_values": self.pictures[k], **said}
        return {"input_ids": self.texts[k, : self.lengths[k]], **said}


def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    batch: dict[str, Any] = {"labels": torch.tensor([item["labels"] for item in items])}
    if "pixel_values" in items[0]:
        batch["pixel_values"] = torch.stack([item["pixel_values"] for item in items])
        return batch
    texts: list[Tensor] = [item["input_ids"] for item in items]
    batch["input_ids"] = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
    ones = [torch.ones_like(text) for text in texts]
    batch["attention_mask"] = torch.nn.utils.rnn.pad_sequence(ones, batch_first=True)
    return batch


def without_dropout(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    changed = {k: 0.0 for k in config if "drop" in k and isinstance(config[k], float)}
    changed |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps({**config, **changed}))


@pytest.fixture(scope="module", params=MODELS)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    name, kind = MODELS[request.param]
    folder = write_tiny_model(name, tmp_path_factory.mktemp("stacked") / request.param)
    without_dropout(folder)
    return folder, kind


def trainer_of(base: tuple[Path, str], out: Path, seed: int, member: dict[str, Any]) -> Any:
    folder, kind = base
    loaded = load_classifier(str(folder), ("a", "b"), kind=kind, head_seed=seed)  # type: ignore[arg-type]
    adapter = Adapter(kind="lora", rank=member["rank"])
    model = attach(loaded.model, adapter, loaded.head, seed=seed).double()
    size = loaded.preprocessing.size if kind == "image" else 8  # type: ignore[union-attr]
    words = 1 if kind == "image" else int(model.config.vocab_size)
    make: Callable[[], Objective] = member["objective"]
    return FairTrainer(
        model=model,
        args=TrainingArguments(
            str(out),
            per_device_train_batch_size=member.get("batch", 4),
            max_steps=member.get("steps", 10),
            learning_rate=member["rate"],
            lr_scheduler_type=member["schedule"],
            gradient_accumulation_steps=member.get("accumulate", 1),
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            seed=seed,
            data_seed=seed,
            save_strategy="no",
            eval_strategy="steps",
            eval_steps=5,
            logging_steps=5,
            remove_unused_columns=False,
        ),
        train_dataset=Rows(kind, size, max(words, 6)),
        eval_dataset=Rows(kind, size, max(words, 6), 6),
        data_collator=collate,
        objective=make(),
        group_column="group",
        forward_arguments=loaded.forward_arguments,
    )


def trained(trainer: Any) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    weights = {
        n: p.detach().clone() for n, p in trainer.model.named_parameters() if p.requires_grad
    }
    return weights, trainer.state.log_history


def together(trainers: Callable[[int], Any], count: int) -> tuple[Stack, list[Any]]:
    stack = Stack(count)

    def work(seed: int) -> Callable[[], Any]:
        def do() -> Any:
            trainer = trainers(seed)
            member = current_member()
            assert member is not None
            member.join(trainer)
            trainer.train()
            member.leave()
            return trained(trainer)

        return do

    return stack, stack.run([work(seed) for seed in range(count)])


def assert_same(alone: Any, stacked: Any) -> None:
    weights, history = stacked
    assert set(weights) == set(alone[0])
    for name, value in alone[0].items():
        assert torch.allclose(weights[name], value, rtol=0, atol=1e-9), name
    for one, other in zip(alone[1], history, strict=True):
        for key in ("loss", "eval_loss", "eval_accuracy", "learning_rate", "loss/north"):
            assert one.get(key) == pytest.approx(other.get(key), abs=1e-6)


def test_every_adapter_is_trained_as_it_is_alone(base: Any, tmp_path: Path) -> None:
    def make(seed: int) -> Any:
        return trainer_of(base, tmp_path / str(seed), seed, MEMBERS[seed])

    alone = []
    for seed in range(len(MEMBERS)):
        trainer = make(seed)
        trainer.train()
        alone.append(trained(trainer))
    assert not torch.equal(*(next(iter(alone[k][0].values()))[:1, :1] for k in (0, 3)))
    stack, results = together(make, len(MEMBERS))
    assert stack.passes >= 10  # while more than one was left
    for one, other in zip(alone, results, strict=True):
        if isinstance(other, BaseException):
            raise other
        assert_same(one, other)


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = write_tiny_model(MODELS["vit"][0], tmp_path_factory.mktemp("vit") / "vit")
    return folder, "image"


def test_accumulated_batches_are_right_too(vit: Any, tmp_path: Path) -> None:
    members = [{**MEMBERS[0], "accumulate": 2, "steps": 4}, {**MEMBERS[1], "steps": 6}]

    def make(seed: int) -> Any:
        return trainer_of(vit, tmp_path / str(seed), seed, members[seed])

    alone = []
    for seed in range(2):
        trainer = make(seed)
        trainer.train()
        alone.append(trained(trainer))
    _, results = together(make, 2)
    for one, other in zip(alone, results, strict=True):
        assert_same(one, other)


def test_one_that_fails_stops_no_other(vit: Any, tmp_path: Path) -> None:
    class Breaking:
        name, needs_groups = "breaking", False
        steps = 0

        def __call__(self, losses: Tensor, groups: Tensor | None = None) -> Tensor:
            self.steps += 1
            if self.steps == 3:
                raise ValueError("enough")
            return losses.mean()

    members = [{**MEMBERS[0], "objective": Breaking}, MEMBERS[1]]

    def make(seed: int) -> Any:
        return trainer_of(vit, tmp_path / str(seed), seed, members[seed])

    alone = make(1)
    alone.train()
    stack, (first, second) = together(make, 2)
    assert isinstance(first, ValueError)
    assert stack.passes == 3
    assert_same(trained(alone), second)


def test_the_frozen_weights_are_in_memory_once(vit: Any, tmp_path: Path) -> None:
    stack = Stack(2)
    models = [trainer_of(vit, tmp_path, seed, MEMBERS[seed]).model for seed in range(2)]
    for place, model in enumerate(models):
        stack.add(place, model)
    one, other = (dict(model.named_parameters()) for model in models)
    own = [name for name in one if one[name] is not other[name]]
    assert own == [n for n in one if one[n].requires_grad or "original_module" in n]


def test_what_cannot_be_trained_together_says_why(vit: Any, tmp_path: Path) -> None:
    plain = load_classifier(str(vit[0]), ("a", "b"), kind="image")
    with pytest.raises(CannotStack, match="only LoRA"):
        check(plain.model)
    adapter = Adapter(kind="dora", rank=2)
    with pytest.raises(CannotStack, match="variant of LoRA"):
        check(attach(plain.model, adapter, plain.head))
    dropped = load_classifier(str(vit[0]), ("a", "b"), kind="image")
    dropped.model.config.hidden_dropout_prob = 0.1
    with pytest.raises(CannotStack, match=r"the base has dropout \(hidden_dropout_prob 0.1\)"):
        check(attach(dropped.model, Adapter(rank=2), dropped.head))
    one, other = (trainer_of(vit, tmp_path, seed, MEMBERS[0]).model for seed in range(2))
    with torch.no_grad():
        next(p for p in other.parameters() if not p.requires_grad).add_(1)
    stack = Stack(2)
    stack.add(0, one)
    with pytest.raises(CannotStack, match="another base"):
        stack.add(1, other)
    assert current_member() is None
    assert isinstance(Member(stack, 0), Member)

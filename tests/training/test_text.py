"""Texts: tokenized once, padded by the batch, alike lengths together, in an order of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import AutoTokenizer, PretrainedConfig
from transformers.modeling_outputs import SequenceClassifierOutput

from fairlora.data import Examples
from fairlora.objectives import LossVariance
from fairlora.training import LengthBuckets, TextCollator, TextDataset

WORDS = ["what", "is", "the", "capital", "of", "north"]


def examples(n: int = 30) -> Examples:
    """Texts of 1 to 12 words."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, 1 + (7 * k) % 12)) for k in range(n)]
    return Examples(
        name="texts",
        ids=np.array([f"row {k}" for k in range(n)]),
        texts=texts,
        labels=np.arange(n) % 2,
        classes=("no", "yes"),
        groups={"region": [["north"], ["north", "south"], ["south"]] * (n // 3)},  # type: ignore[dict-item]
        fingerprint="texts",
    )


@pytest.fixture
def tokenizer(tiny_llama: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_llama)


def test_items_are_tokens_cut_to_the_length_and_what_a_row_says(tokenizer: Any) -> None:
    data = TextDataset(examples(), tokenizer, max_length=8)
    assert data.lengths == [min(1 + (7 * k) % 12, 8) for k in range(30)]
    assert data.cut == sum(1 + (7 * k) % 12 > 8 for k in range(30))
    assert TextDataset(examples(), tokenizer, max_length=12).cut == 0
    item = data[1]
    assert item["input_ids"] == tokenizer(examples().texts[1])["input_ids"][:8]  # type: ignore[index]
    assert (item["labels"], item["row"], item["region"]) == (1, 1, ["north", "south"])
    assert data.column("region")[1] == ["north", "south"]


def test_a_batch_is_padded_to_a_multiple_of_eight(tokenizer: Any) -> None:
    data = TextDataset(examples(), tokenizer, max_length=64)
    batch = TextCollator(tokenizer)([data[0], data[1], data[5]])
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (3, 16)
    assert batch["attention_mask"].sum(1).tolist() == [1, 8, 12]
    assert batch["input_ids"][0, 1:].tolist() == [tokenizer.pad_token_id] * 15
    assert batch["labels"].tolist() == [0, 1, 1]
    assert batch["row"].tolist() == [0, 1, 5]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=300), st.integers(1, 9), st.integers(0, 5))
def test_every_row_comes_once_an_epoch(lengths: list[int], batch: int, epoch: int) -> None:
    buckets = LengthBuckets(lengths, batch, seed=3)
    buckets.set_epoch(epoch)
    assert sorted(buckets) == list(range(len(lengths))) == list(range(len(buckets)))


def test_the_order_hangs_on_the_seed_and_the_epoch_alone() -> None:
    lengths = list(np.random.default_rng(0).integers(1, 200, 500))

    def order(seed: int, epoch: int) -> list[int]:
        buckets = LengthBuckets(lengths, 8, seed)
        buckets.set_epoch(epoch)
        return list(buckets)

    first = order(1, 0)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 - to show that nobody draws from it
    assert order(1, 0) == first
    assert order(1, 1) != first
    assert order(2, 0) != first


def test_lengths_in_a_batch_are_alike_and_batches_are_shuffled() -> None:
    lengths = np.random.default_rng(0).integers(1, 500, 4000)
    order = np.array(list(LengthBuckets(list(lengths), 16, seed=0)))
    batches = lengths[order].reshape(-1, 16)
    padded = (batches.max(1, keepdims=True) - batches).sum() / batches.sum()
    shuffled = np.random.default_rng(1).permutation(lengths).reshape(-1, 16)
    assert padded < 0.05
    assert (shuffled.max(1, keepdims=True) - shuffled).sum() / shuffled.sum() > 0.5
    # Not from long to short: training would see the lengths one after the other.
    longest = batches.max(1)
    assert 0.3 < (np.diff(longest) > 0).mean() < 0.7


def test_the_short_batch_comes_last() -> None:
    for seed in range(5):
        order = list(LengthBuckets([5, 9, 9, 9, 9, 9, 9], 3, seed))
        assert order[-1] == 0


class Bag(nn.Module):
    """Mean of word vectors, with dropout."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.config = PretrainedConfig()
        torch.manual_seed(3)
        self.words = nn.Embedding(32, 4)
        self.linear = nn.Linear(4, 2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SequenceClassifierOutput:
        mask = attention_mask[:, :, None]
        mean = (self.words(input_ids) * mask).sum(1) / mask.sum(1)
        return SequenceClassifierOutput(logits=self.linear(self.dropout(mean)))


class Recording(TextCollator):
    """Keeps the rows that it put into batches."""

    def __init__(self, tokenizer: Any) -> None:
        super().__init__(tokenizer)
        self.batches: list[list[int]] = []

    def __call__(self, items: Any) -> dict[str, Tensor]:
        self.batches.append([item["row"] for item in items])
        return super().__call__(items)


def trainer_of(toy: Any, tokenizer: Any, dropout: float, **arguments: Any) -> tuple[Any, Recording]:
    collator = Recording(tokenizer)
    trainer = toy.trainer(
        TextDataset(examples(), tokenizer, max_length=64),
        model=Bag(dropout),
        data_collator=collator,
        objective=LossVariance(1.0),
        arguments={
            "num_train_epochs": 2,
            "per_device_train_batch_size": 4,
            "train_sampling_strategy": "group_by_length",
            "data_seed": 5,
            **arguments,
        },
    )
    return trainer, collator


def test_dropout_does_not_change_the_order_of_the_texts(toy: Any, tokenizer: Any) -> None:
    orders = []
    for dropout, seed in ((0.0, 1), (0.5, 1), (0.5, 2)):
        trainer, collator = trainer_of(toy, tokenizer, dropout, seed=seed)
        trainer.train()
        orders.append(collator.batches)
    assert orders[0] == orders[1] == orders[2]
    for epoch in (orders[0][:8], orders[0][8:]):
        assert sorted(row for batch in epoch for row in batch) == list(range(30))
    assert orders[0][:8] != orders[0][8:]
    trainer, collator = trainer_of(toy, tokenizer, 0.0, seed=1, data_seed=6)
    trainer.train()
    assert collator.batches != orders[0]


@pytest.mark.parametrize("step", [3, 8, 11])
def test_a_resumed_run_is_the_uninterrupted_one(toy: Any, tokenizer: Any, step: int) -> None:
    """From the middle of an epoch, its end, and the middle of the second of eight steps each."""
    saving = {"save_strategy": "steps", "save_steps": step}
    whole, seen = trainer_of(toy, tokenizer, 0.5, **saving)
    expected = toy.weights(whole)
    again, rest = trainer_of(toy, tokenizer, 0.5, **saving)
    again.train(resume_from_checkpoint=str(Path(toy.out) / f"checkpoint-{step}"))
    assert rest.batches[-(16 - step) :] == seen.batches[step:]
    found = torch.cat([p.detach().flatten() for p in again.model.parameters()])
    assert torch.equal(found, expected)


def test_a_data_set_without_lengths_has_the_trainers_own_order(toy: Any) -> None:
    rows = toy.rows(8, region=["a", "b"] * 4)
    trainer = toy.trainer(rows, arguments={"train_sampling_strategy": "random"})
    sampler = trainer._get_train_sampler()
    assert isinstance(sampler, torch.utils.data.RandomSampler)

"""Parameter counts, against the FairLoRA paper's table for DINO-B/16 and by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import ViTConfig, ViTForImageClassification

from fairlora.models import Adapter, attach, count_parameters

HEAD = ("classifier",)
BODY = 85_798_656  # ViT-B/16 without a head: DINO's


def dino(classes: int) -> Any:
    """DINO-B/16 with a head, made from its config; no memory is taken."""
    with torch.device("meta"):
        return ViTForImageClassification(ViTConfig(num_labels=classes))


@pytest.mark.parametrize(
    ("rank", "classes", "trainable"),
    [
        (8, 40, 325_672),
        (16, 100, 666_724),
        (32, 100, 1_256_548),
        (64, 100, 2_436_196),
        (128, 100, 4_795_492),
    ],
)
def test_lora_trains_as_many_as_the_papers_table_says(
    rank: int, classes: int, trainable: int
) -> None:
    with torch.device("meta"):
        model = attach(dino(classes), Adapter("lora", rank=rank), HEAD)
    count = count_parameters(model, HEAD)
    assert count.trainable == trainable
    assert count.head == 769 * classes
    assert count.trainable_without_head == 36_864 * rank
    assert count.total == BODY + trainable
    assert count.total_as_stored == BODY + trainable + 769 * classes
    assert count.percent == pytest.approx(100 * trainable / (BODY + trainable))
    if rank == 8:
        assert count.total_as_stored == 86_155_088


@pytest.mark.parametrize(
    ("kind", "trainable", "added"),
    [
        # A length for each row of 24 matrices beside LoRA's; a factor for each key, value and
        # input of an MLP's second layer; scale and shift of 25 norms, which are there already.
        ("dora", 8 * 36_864 + 24 * 768, 8 * 36_864 + 24 * 768),
        ("ia3", 12 * (768 + 768 + 3072), 12 * (768 + 768 + 3072)),
        ("ln_tuning", 25 * 2 * 768, 0),
    ],
)
def test_other_kinds_train_as_many_as_their_papers_say(
    kind: str, trainable: int, added: int
) -> None:
    with torch.device("meta"):
        model = attach(dino(40), Adapter(kind, rank=8), HEAD)
    count = count_parameters(model, HEAD)
    assert count.trainable_without_head == trainable
    assert count.total_without_head == BODY + added


def test_full_trains_everything_and_linear_the_head() -> None:
    full = count_parameters(attach(dino(40), Adapter("full"), HEAD), HEAD)
    assert full.trainable == full.total == full.total_as_stored == BODY + 769 * 40
    assert full.percent == full.percent_without_head == 100
    linear = count_parameters(attach(dino(40), Adapter("linear"), HEAD), HEAD)
    assert linear.trainable == linear.head == 769 * 40
    assert linear.trainable_without_head == 0
    assert linear.total == full.total


def test_rank_zero_is_the_head_alone() -> None:
    model = attach(dino(10), Adapter("lora", rank=0), HEAD)
    assert count_parameters(model, HEAD).trainable == 7690


def test_the_counts_as_a_dict_hold_every_number() -> None:
    count = count_parameters(attach(dino(2), Adapter("linear"), HEAD), HEAD)
    values = count.to_dict()
    assert values["trainable"] == 1538
    assert values["percent_without_head"] == 0
    assert set(values) == {
        "trainable",
        "total",
        "head",
        "total_as_stored",
        "percent",
        "trainable_without_head",
        "total_without_head",
        "percent_without_head",
    }

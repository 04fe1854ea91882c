"""Per-example losses against torch, which models predict the next token, and the watch for NaN."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
)

from fairlora.errors import InputError
from fairlora.training.losses import LossWatch, predicts_next_token, row_losses


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_of_classes_it_is_torchs_cross_entropy(smoothing: float) -> None:
    logits, labels = random(6, 3).requires_grad_(), torch.tensor([0, 1, 2, 2, 1, 0])
    found = row_losses(logits, labels, smoothing=smoothing)
    torch.testing.assert_close(
        found.losses,
        F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing),
    )
    assert found.losses.requires_grad
    assert found.hits.tolist() == (logits.argmax(1) == labels).float().tolist()


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("causal", [False, True])
def test_of_tokens_it_is_the_mean_over_those_that_count(causal: bool, smoothing: float) -> None:
    logits = random(3, 5, 7)
    labels = torch.tensor([[1, 2, 3, 4, 5], [-100, -100, 6, 0, -100], [-100, -100, -100, -100, 3]])
    found = row_losses(logits, labels, causal=causal, smoothing=smoothing)
    for row in range(3):
        places = [
            (t - 1 if causal else t, int(labels[row, t]))
            for t in range(1 if causal else 0, 5)
            if labels[row, t] != -100
        ]
        told = torch.stack([logits[row, t] for t, _ in places])
        wanted = torch.tensor([label for _, label in places])
        torch.testing.assert_close(
            found.losses[row], F.cross_entropy(told, wanted, label_smoothing=smoothing)
        )
        right = (told.argmax(1) == wanted).float().mean()
        torch.testing.assert_close(found.hits[row], right)


@pytest.mark.parametrize(
    ("labels", "causal"), [([[-100] * 4], False), ([[5, -100, -100, -100], [1] * 4], True)]
)
def test_an_example_without_a_counted_token_has_no_loss(
    labels: list[list[int]], causal: bool
) -> None:
    """Of the next token, the first place is nobody's."""
    logits = random(len(labels), 4, 7).requires_grad_()
    found = row_losses(logits, torch.tensor(labels), causal=causal)
    assert found.losses[0] == 0
    assert found.hits[0] == 0
    found.losses.sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert not logits.grad[0].any()


@pytest.mark.parametrize(
    "labels", [torch.tensor([0.0, 1.0]), torch.eye(2), torch.eye(2).long(), torch.tensor(1)]
)
def test_what_is_no_class_is_refused(labels: Tensor) -> None:
    with pytest.raises(InputError, match=r"labels: .*found \(.*\) torch.*logits \(2, 2\)"):
        row_losses(random(2, 2), labels)


def test_bfloat16_logits_are_summed_in_float32() -> None:
    logits, labels = random(4, 3).bfloat16(), torch.tensor([0, 1, 2, 0])
    expected = F.cross_entropy(logits.float(), labels, reduction="none")
    assert torch.equal(row_losses(logits, labels).losses, expected)


def test_a_causal_model_is_known_behind_its_adapter(tiny_llama: Path) -> None:
    plain = AutoModelForCausalLM.from_pretrained(tiny_llama)
    assert predicts_next_token(plain)
    lora = LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], r=2)
    assert predicts_next_token(get_peft_model(plain, lora))
    classifier = AutoModelForSequenceClassification.from_pretrained(tiny_llama, num_labels=2)
    assert not predicts_next_token(classifier)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 9}
    assert not predicts_next_token(BertForMaskedLM(BertConfig(**sizes, intermediate_size=8)))


LOSSES = torch.tensor([1.0, 2.0, 3.0])
BAD = torch.tensor([1.0, torch.nan, 3.0])


def test_on_a_cpu_the_first_bad_batch_is_said_at_once() -> None:
    watch = LossWatch(3)
    assert not watch.see(LOSSES.mean(), LOSSES, torch.tensor([0, 1, 2]), 1)
    assert watch.found() is None
    assert watch.see(BAD.mean(), BAD, torch.tensor([0, 2, -1]), 2)
    assert watch.found() == (2, [2])


def test_on_a_device_it_is_found_when_asked_and_the_first_bad_step_is_kept() -> None:
    """Nothing is said at the time: saying it would wait for the device."""
    watch = LossWatch(3, at_once=False)
    assert not watch.see(LOSSES.mean(), LOSSES, torch.tensor([0, 1, 2]), 1)
    assert watch.found() is None
    assert not watch.see(BAD.mean(), BAD, torch.tensor([0, 1, 2]), 2)
    assert not watch.see(BAD.mean(), BAD, torch.tensor([0, 0, 2]), 3)
    assert not watch.see(LOSSES.mean(), LOSSES, torch.tensor([0, 1, 2]), 4)
    assert watch.found() == (2, [1])


@pytest.mark.parametrize("at_once", [True, False])
def test_overlapping_groups_are_all_named(at_once: bool) -> None:
    watch = LossWatch(3, at_once=at_once)
    member = torch.tensor([[0, 1, 0], [1, 0, 1], [0, 1, 1]])
    assert watch.see(BAD.mean(), BAD, member, 5) is at_once
    assert watch.found() == (5, [0, 2])


def test_an_objective_may_be_bad_where_no_loss_is() -> None:
    watch = LossWatch(2)
    assert watch.see(torch.tensor(torch.inf), LOSSES, torch.tensor([0, 1, 1]), 7)
    assert watch.found() == (7, [])
    without = LossWatch(0)
    assert without.see(BAD.mean(), BAD, None, 1)
    assert without.found() == (1, [])

"""Under bfloat16 on a processor, attention that is trained computes in float32, and only that."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from transformers import (
    AttentionInterface,
    LlamaConfig,
    LlamaForCausalLM,
    TrainingArguments,
    ViTConfig,
    ViTForImageClassification,
)

from fairlora.models import Adapter, attach
from fairlora.training import FairTrainer
from fairlora.training.attention import float32_gradients

CPU = torch.device("cpu")


class Pictures(torch.utils.data.Dataset[dict[str, Any]]):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, k: int) -> dict[str, Any]:
        picture = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(k))
        return {"pixel_values": picture, "labels": k % 2}


def vit(**fields: Any) -> Any:
    """A ViT of three blocks with LoRA."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3}
    config = ViTConfig(**sizes, num_attention_heads=2, image_size=8, patch_size=4)
    adapter = Adapter(rank=2, fields=fields)
    model: Any = ViTForImageClassification(config)
    return attach(model, adapter, ["classifier"], seed=0, task="image")


def trained(folder: Path, model: Any, **changed: Any) -> FairTrainer:
    trainer = FairTrainer(
        model=model,
        args=TrainingArguments(
            str(folder),
            max_steps=2,
            per_device_train_batch_size=4,
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            save_strategy="no",
            **{"bf16": True, **changed},
        ),
        train_dataset=Pictures(),
        eval_dataset=Pictures(),
    )
    trainer.train()
    return trainer


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, torch.dtype]]:
    """Of each fused attention: whether it is trained, and what it computes in."""
    calls: list[tuple[bool, torch.dtype]] = []
    inner = F.scaled_dot_product_attention

    def looked(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        output = inner(query, key, value, *args, **kwargs)
        calls.append((output.requires_grad, output.dtype))
        return output

    monkeypatch.setattr(F, "scaled_dot_product_attention", looked)
    return calls


def test_only_what_is_trained_computes_in_float32(
    tmp_path: Path, seen: list[tuple[bool, torch.dtype]]
) -> None:
    trainer = trained(tmp_path, vit(layers_to_transform=[1, 2]))
    in_training = seen[: 2 * 3]
    assert in_training == 2 * [
        (False, torch.bfloat16),  # before the first adapter
        (True, torch.float32),
        (True, torch.float32),
    ]
    seen.clear()
    trainer.evaluate()
    assert set(seen) == {(False, torch.bfloat16)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_not_shortened_is_left_alone(
    dtype: torch.dtype, seen: list[tuple[bool, torch.dtype]]
) -> None:
    model = vit().to(dtype)
    with float32_gradients(CPU):
        model(pixel_values=torch.randn(2, 3, 8, 8, dtype=dtype)).logits.sum().backward()
    assert seen == 3 * [(True, dtype)]


def test_one_function_stands_there_in_all_steps_and_none_of_ours_on_another_device() -> None:
    before, found = AttentionInterface()["sdpa"], []
    for _ in range(2):
        with float32_gradients(CPU):
            found.append(AttentionInterface()["sdpa"])
    assert found[0] is found[1]
    assert found[0] is not before
    with float32_gradients(torch.device("meta")):
        assert AttentionInterface()["sdpa"] is before


def test_checkpointing_computes_the_second_time_what_it_did_the_first(tmp_path: Path) -> None:
    model, other = vit(), vit()
    trained(tmp_path, model)
    trained(tmp_path, other, gradient_checkpointing=True)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("weights", ["autocast", "bfloat16"])
def test_padded_texts_with_shared_keys(weights: str, seen: list[tuple[bool, torch.dtype]]) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=16,
    )
    model: Any = LlamaForCausalLM(config)
    ids = torch.randint(32, (3, 7))
    mask = torch.ones_like(ids)
    mask[0, 4:] = 0

    def gradient() -> torch.Tensor:
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=weights == "autocast"):
            logits = model(input_ids=ids, attention_mask=mask).logits
        logits.float()[mask.bool()].square().mean().backward()
        found: torch.Tensor = model.model.layers[0].self_attn.k_proj.weight.grad.float().clone()
        return found

    model.to(torch.bfloat16 if weights == "bfloat16" else torch.float32)
    plain = gradient()
    seen.clear()
    with float32_gradients(CPU):
        ours = gradient()
    assert seen == 2 * [(True, torch.float32)]
    torch.testing.assert_close(ours, plain, rtol=0.1, atol=0.02 * float(plain.abs().max()))


def test_what_stood_there_is_put_back_when_the_last_one_leaves() -> None:
    before = AttentionInterface()["sdpa"]
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with float32_gradients(CPU):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    with pytest.raises(ValueError, match="a fault"), float32_gradients(CPU):
        raise ValueError("a fault")
    assert AttentionInterface()["sdpa"] is not before
    leave.set()
    thread.join()
    assert AttentionInterface()["sdpa"] is before

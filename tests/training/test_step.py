"""Switches of the step change what it costs, and no number: checkpointing, storage, evaluation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainingArguments, ViTConfig, ViTForImageClassification

from fairlora.models import Adapter, attach, keep_logits_exact
from fairlora.objectives import ERM, GroupDRO, LossGap, LossVariance, Objective, Reweight
from fairlora.training import FairTrainer
from fairlora.training.frozen_storage import frozen_in_bfloat16

OBJECTIVES: dict[str, Callable[[], Objective]] = {
    "erm": ERM,
    "loss-variance": lambda: LossVariance(1.0),
    "group-dro": lambda: GroupDRO(0.1),
    "reweight": Reweight,
    "loss-gap": lambda: LossGap(0.5),
}


class Pictures(torch.utils.data.Dataset[dict[str, Any]]):
    def __init__(self, rows: int, dtype: torch.dtype) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(rows, 3, 8, 8, generator=generator, dtype=torch.float64).to(dtype)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, k: int) -> dict[str, Any]:
        return {"pixel_values": self.x[k], "labels": k % 2, "place": "ab"[k % 3 == 0]}


def vit(dtype: torch.dtype) -> Any:
    """A ViT of two blocks with LoRA."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    config = ViTConfig(**sizes, num_attention_heads=2, image_size=8, patch_size=4)
    model: Any = ViTForImageClassification(config)
    model = attach(model, Adapter(rank=2), ["classifier"], seed=0, task="image")
    return model.to(dtype)


def trainer_of(out: Path, model: Any, dtype: torch.dtype, **changed: Any) -> FairTrainer:
    settings = {
        "per_device_train_batch_size": 6,
        "max_steps": 4,
        "learning_rate": 1e-2,
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        **{k: v for k, v in changed.items() if k != "objective"},
    }
    return FairTrainer(
        model=model,
        args=TrainingArguments(str(out), **settings),
        train_dataset=Pictures(18, dtype),
        eval_dataset=Pictures(13, dtype),
        objective=changed.get("objective"),
        group_column="place",
    )


def trained(model: Any) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_checkpointing_of_gradients_changes_nothing(name: str, tmp_path: Path) -> None:
    found = []
    for checkpointing in (False, True):
        model = vit(torch.float64)
        trainer_of(
            tmp_path,
            model,
            torch.float64,
            objective=OBJECTIVES[name](),
            gradient_checkpointing=checkpointing,
        ).train()
        found.append(trained(model))
    before = trained(vit(torch.float64))
    for key, value in found[0].items():
        torch.testing.assert_close(found[1][key], value, rtol=1e-9, atol=1e-12)
    assert any(not torch.equal(found[0][key], value) for key, value in before.items())


def test_frozen_weights_in_bfloat16_give_the_same_to_the_bit(tmp_path: Path) -> None:
    found = []
    for stored in (False, True):
        model = vit(torch.float32)
        keep_logits_exact(model, ["classifier"])
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        trainer = trainer_of(tmp_path, model, torch.float32, bf16=True)
        if stored:
            with frozen_in_bfloat16(model) as several:
                frozen = {n: p.dtype for n, p in model.named_parameters() if not p.requires_grad}
                trainer.train()
            # Six layers a block and the patches, weight and bias each; norms and embeddings stay.
            assert several == 2 * (2 * 6 + 1)
            assert sum(dtype == torch.bfloat16 for dtype in frozen.values()) == several
        else:
            trainer.train()
        assert all(p.dtype == torch.float32 for p in model.parameters())
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                assert torch.equal(parameter, before[name])
        found.append((trained(model), trainer.evaluate()["eval_loss"]))
    for key, value in found[0][0].items():
        assert torch.equal(found[1][0][key], value), key
    assert found[0][1] == found[1][1]


def test_weights_that_something_else_reads_stay() -> None:
    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = torch.nn.Embedding(4, 3)
            self.out = torch.nn.Linear(3, 4, bias=False)
            self.out.weight = self.words.weight
            self.free = torch.nn.Linear(3, 3)
            self.head = torch.nn.Linear(3, 3)

    model = Tied().requires_grad_(False)
    model.head.requires_grad_(True)
    with frozen_in_bfloat16(model) as several:
        assert several == 2
        assert model.free.weight.dtype == torch.bfloat16
        assert model.words.weight.dtype == model.head.weight.dtype == torch.float32
    assert model.free.weight.dtype == torch.float32


def test_evaluation_in_larger_batches_gives_the_same_answers(tmp_path: Path) -> None:
    model = vit(torch.float32)
    found = []
    for batch in (3, 64):
        trainer = trainer_of(tmp_path, model, torch.float32, per_device_eval_batch_size=batch)
        output = trainer.predict(Pictures(13, torch.float32))
        found.append((torch.from_numpy(output.predictions), output.metrics["test_loss"]))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=0, atol=1e-6)
    assert found[0][1] == pytest.approx(found[1][1], abs=1e-6)

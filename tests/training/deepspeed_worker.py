"""What several processes run for test_distributed: `FairTrainer` under DeepSpeed on the CPU.

    DS_ACCELERATOR=cpu torchrun --nproc-per-node 2 deepspeed_worker.py OUT STAGE

Each objective trains one epoch with the optimizer's state (ZeRO-2) or the weights too (ZeRO-3)
shared out. `train` without a stage is one process without DeepSpeed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, TrainingArguments
from transformers.modeling_outputs import ImageClassifierOutput

from fairlora.objectives import ERM, GroupDRO, LossVariance, Objective, Reweight
from fairlora.training import FairTrainer

N = 24
GROUPS = ["a", "b", "c"]
OBJECTIVES: dict[str, Callable[[], Objective]] = {
    "erm": ERM,
    "loss-variance": lambda: LossVariance(2.0),
    "group-dro": lambda: GroupDRO(0.5),
    "reweight": Reweight,
}


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """Batches whose halves have other groups."""

    def __init__(self) -> None:
        self.x = torch.randn(N, 4, generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return N

    def __getitem__(self, k: int) -> dict[str, Any]:
        return {"pixel_values": self.x[k], "labels": k % 2, "region": GROUPS[min(k % 5, 2)]}


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.config = PretrainedConfig(hidden_size=4)
        torch.manual_seed(3)
        self.linear = nn.Linear(4, 2)

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> ImageClassifierOutput:
        return ImageClassifierOutput(logits=self.linear(pixel_values))


def train(out: Path, objective: Objective, batch: int, stage: int | None) -> dict[str, Any]:
    """One epoch; the weights, and each step's loss."""
    settings: dict[str, Any] = {}
    if stage is not None:
        settings["deepspeed"] = {
            "zero_optimization": {"stage": stage},
            "zero_allow_untested_optimizer": True,
            "train_micro_batch_size_per_gpu": "auto",
            "gradient_accumulation_steps": "auto",
        }
    trainer = FairTrainer(
        model=Classifier(),
        args=TrainingArguments(
            output_dir=str(out),
            num_train_epochs=1,
            per_device_train_batch_size=batch,
            train_sampling_strategy="sequential",
            optim="adamw_torch",
            learning_rate=0.1,
            lr_scheduler_type="constant",
            max_grad_norm=0.0,
            save_strategy="no",
            logging_steps=1,
            report_to="none",
            disable_tqdm=True,
            use_cpu=stage is None,
            **settings,
        ),
        train_dataset=Rows(),
        objective=objective,
        group_column="region",
    )
    trainer.train()
    if stage == 3:
        import deepspeed

        with deepspeed.zero.GatheredParameters(list(trainer.model.parameters())):
            weights = [p.detach().flatten().tolist() for p in trainer.model.parameters()]
    else:
        weights = [p.detach().flatten().tolist() for p in trainer.model.parameters()]
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return {
        "weights": weights,
        "losses": losses,
        "kind": trainer.accelerator.distributed_type.value,
    }


def main() -> None:
    torch.set_num_threads(1)
    out, stage = Path(sys.argv[1]), int(sys.argv[2])
    each = 8 // int(os.environ["WORLD_SIZE"])
    found = {
        name: train(out.parent / "checkpoints", make(), each, stage)
        for name, make in OBJECTIVES.items()
    }
    if os.environ["RANK"] == "0":
        out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()

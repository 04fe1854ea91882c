"""What two processes run for test_matched_loss: training that ends at a loss.

    torchrun --nproc-per-node 2 matched_loss_worker.py OUT

Also imported by the test, which trains the same with one process and batches twice as large.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, TrainingArguments
from transformers.modeling_outputs import ImageClassifierOutput

from fairlora.training import FairTrainer
from fairlora.training.matched_loss import MatchedLoss

N = 27  # no multiple of two processes' batches: some rows are repeated to fill the last


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    def __init__(self) -> None:
        self.x = torch.randn(N, 4, generator=torch.Generator().manual_seed(0)).double()

    def __len__(self) -> int:
        return N

    def __getitem__(self, k: int) -> dict[str, Any]:
        return {"pixel_values": self.x[k], "labels": int(self.x[k].sum() > 0), "row": k}


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.config = PretrainedConfig()
        torch.manual_seed(3)
        self.linear = nn.Linear(4, 2).double()

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> ImageClassifierOutput:
        return ImageClassifierOutput(logits=self.linear(pixel_values))


def matched(out: Path, batch: int) -> dict[str, Any]:
    """Train to a loss; where it ended, and all that was measured."""
    trainer = FairTrainer(
        model=Classifier(),
        args=TrainingArguments(
            output_dir=str(out),
            num_train_epochs=20,
            per_device_train_batch_size=batch,
            per_device_eval_batch_size=2,
            train_sampling_strategy="sequential",
            optim="sgd",
            learning_rate=0.1,
            lr_scheduler_type="constant",
            eval_strategy="epoch",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            ddp_backend="gloo" if "RANK" in os.environ else None,
        ),
        train_dataset=Rows(),
        eval_dataset=Rows(),
    )
    callback = MatchedLoss(trainer, Rows(), 0.3, rows=11, seed=4)
    trainer.add_callback(callback)
    callback.train()
    return {
        "outcome": callback.outcome._asdict(),
        "step": trainer.state.global_step,
        "measured": [row["matched_loss"] for row in trainer.state.log_history
                     if "matched_loss" in row],
    }  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    out = Path(sys.argv[1])
    found = matched(out / "checkpoints", 2)
    (out / f"{os.environ['RANK']}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()

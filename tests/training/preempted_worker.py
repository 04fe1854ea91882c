"""What two processes run for test_preemption: one of them gets SIGTERM in the middle.

torchrun --nproc-per-node 2 preempted_worker.py OUT
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, TrainerCallback, TrainingArguments
from transformers.modeling_outputs import ImageClassifierOutput

from fairlora.objectives import GroupDRO
from fairlora.training import FairTrainer, Preempted


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    def __init__(self) -> None:
        self.x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return 40

    def __getitem__(self, k: int) -> dict[str, Any]:
        return {"pixel_values": self.x[k], "labels": k % 2, "region": "ab"[k % 3 == 0]}


class Classifier(nn.Module):
    """With dropout, so that going on exactly needs the random state."""

    def __init__(self) -> None:
        super().__init__()
        self.config = PretrainedConfig()
        torch.manual_seed(3)
        self.linear = nn.Linear(4, 2)
        self.dropout = nn.Dropout(0.3)

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> ImageClassifierOutput:
        return ImageClassifierOutput(logits=self.linear(self.dropout(pixel_values)))


class Terminate(TrainerCallback):
    """Sends this process SIGTERM after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


def trainer(out: Path, terminate: int | None = None, **arguments: Any) -> FairTrainer:
    built = FairTrainer(
        model=Classifier(),
        args=TrainingArguments(
            output_dir=str(out),
            num_train_epochs=2,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            learning_rate=0.05,
            save_strategy="no",
            logging_steps=1,
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            **arguments,
        ),
        train_dataset=Rows(),
        objective=GroupDRO(0.5),
        group_column="region",
    )
    if terminate is not None:
        built.add_callback(Terminate(terminate))
    return built


def main() -> None:
    torch.set_num_threads(1)
    out, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    # The first process alone is told.
    try:
        trainer(out / "checkpoints", 3 if rank == 0 else None, ddp_backend="gloo").train()
    except Preempted as stop:
        # The launcher would end the other process as soon as the first ends with a code.
        (out / f"stopped-{rank}").write_text(f"{stop.code} {stop}")


if __name__ == "__main__":
    main()

"""What several processes run for test_distributed: `FairTrainer` from start to end.

    torchrun --nproc-per-node N trainer_worker.py OUT

Also imported by the test, which trains the same with one process and batches N times as large.
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

from fairlora.objectives import GroupDRO, LossVariance, Objective
from fairlora.training import FairTrainer
from fairlora.training.accumulation import REAL

N = 27  # of batches of 2 x 4 there remain 3: one process has one row more than the padding
GROUPS = ["a", "b", "c"]


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(N, 4, generator=generator).double()

    def __len__(self) -> int:
        return N

    def __getitem__(self, k: int) -> dict[str, Any]:
        group = GROUPS[min(k % 5, 2)]
        return {"pixel_values": self.x[k], "labels": k % 2, "region": group, "row": k}


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.config = PretrainedConfig()
        torch.manual_seed(3)
        self.linear = nn.Linear(4, 2).double()

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> ImageClassifierOutput:
        return ImageClassifierOutput(logits=self.linear(pixel_values))


def arguments(
    out: Path, batch: int, accumulation: int, order: str, **changed: Any
) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(out),
        per_device_train_batch_size=batch,
        per_device_eval_batch_size=4,
        gradient_accumulation_steps=accumulation,
        train_sampling_strategy=order,
        optim="sgd",
        learning_rate=0.3,
        lr_scheduler_type="constant",
        max_grad_norm=0.0,
        save_strategy="no",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        ddp_backend="gloo" if "RANK" in os.environ else None,
        **changed,
    )


class Texts(Rows):
    """Rows that say how long they are, as texts do."""

    lengths = [1 + (7 * k) % 12 for k in range(N)]  # noqa: RUF012


class Seeing(FairTrainer):
    """Keeps the rows that the objective is given, without those repeated to fill a batch."""

    rows: list[int]

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        real = inputs.get(REAL, torch.ones(len(inputs["row"]), dtype=torch.bool))
        self.rows += inputs["row"][real].tolist()
        return super().compute_loss(model, inputs, *args, **kwargs)


def texts(out: Path, batch: int) -> dict[str, Any]:
    """Two epochs in the order of lengths; every process's rows."""
    trainer = Seeing(
        model=Classifier(),
        args=arguments(out, batch, 1, "group_by_length", num_train_epochs=2),
        train_dataset=Texts(),
        objective=LossVariance(2.0),
        group_column="region",
    )
    trainer.rows = []
    trainer.train()
    everybody: list[Any] = [trainer.rows]
    if "RANK" in os.environ:
        everybody = [None] * int(os.environ["WORLD_SIZE"])
        torch.distributed.all_gather_object(everybody, trainer.rows)
    weights = [p.detach().flatten().tolist() for p in trainer.model.parameters()]
    return {"rows": everybody, "weights": weights}


def sharded(out: Path) -> str:
    """What is said when FSDP is asked for on a CPU."""
    try:
        FairTrainer(
            model=Classifier(),
            args=arguments(out, 4, 1, "sequential", fsdp=True),
            train_dataset=Rows(),
            objective=LossVariance(2.0),
            group_column="region",
        )
    except ValueError as error:
        return str(error)
    return "trained whole"


class Sink:
    def __init__(self) -> None:
        self.rows: list[int] = []

    def add(self, rows: Tensor, logits: Tensor, labels: Tensor) -> None:
        self.rows += rows.tolist()


def train(
    out: Path, objective: Objective, batch: int, accumulation: int, exact: bool
) -> dict[str, Any]:
    """Two epochs; weights, log lines and metrics."""
    trainer = FairTrainer(
        model=Classifier(),
        args=arguments(out, batch, accumulation, "sequential", num_train_epochs=2),
        train_dataset=Rows(),
        eval_dataset=Rows(),
        objective=objective,
        group_column="region",
        exact_accumulation=exact,
    )
    trainer.train()
    sink = Sink()
    predicted = trainer.stream_predictions(Rows(), sink)
    logs = [
        {k: v for k, v in row.items() if k.startswith("loss") or k == "negative_weight_share"}
        for row in trainer.state.log_history
        if "loss" in row
    ]
    return {
        "weights": [p.detach().flatten().tolist() for p in trainer.model.parameters()],
        "logs": logs,
        "metrics": {k: v for k, v in trainer.evaluate().items() if "loss" in k or "acc" in k},
        "predicted": predicted["predict_loss"],
        "rows": sorted(sink.rows),
    }


def jobs(out: Path, world: int) -> dict[str, Any]:
    """The same global batches, however many processes share them."""
    each = 8 // world
    return {
        "variance": train(out, LossVariance(2.0), each, 1, exact=False),
        "dro": train(out, GroupDRO(0.5), each, 1, exact=False),
        "window": train(out, LossVariance(2.0), each // 2, 2, exact=True),
        "texts": texts(out, each),
    }


def main() -> None:
    torch.set_num_threads(1)
    out = Path(sys.argv[1])
    checkpoints = out.parent / "checkpoints"
    results = jobs(checkpoints, int(os.environ["WORLD_SIZE"]))
    results["sharded"] = sharded(checkpoints)  # at the end: it leaves its mark on the environment
    if os.environ["RANK"] == "0":
        out.write_text(json.dumps(results))


if __name__ == "__main__":
    main()

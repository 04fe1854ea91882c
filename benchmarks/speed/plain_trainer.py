"""What `fairlora train` is timed against: the same work with the Trainer and PEFT alone.

    python benchmarks/speed/plain_trainer.py OUT [--epochs 2]

LoRA on the embedded model and data, validation accuracy after every epoch, the best checkpoint
kept, and the probabilities of all splits written. Written as a careful user would write it.
"""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    Trainer,
    TrainingArguments,
)

import fairlora

ASSETS = Path(fairlora.__file__).parent / "assets"


class Pictures(torch.utils.data.Dataset[dict[str, Any]]):
    """Pictures normalised once; mirrored by a coin in training."""

    def __init__(self, pixels: torch.Tensor, labels: list[int], flip: bool) -> None:
        self.pixels, self.labels, self.flip = pixels, labels, flip

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, Any]:
        picture = self.pixels[row]
        if self.flip and torch.rand(()) < 0.5:
            picture = picture.flip(-1)
        return {"pixel_values": picture, "labels": self.labels[row]}


def compute_metrics(found: Any) -> dict[str, float]:
    return {"accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--model", type=Path, default=ASSETS / "embedded")
    parser.add_argument("--bf16", action="store_true")
    asked = parser.parse_args()
    # The same rows in the same splits as the other side: they are listed in its predictions.
    splits = json.loads((asked.out / "splits.json").read_text())
    table = pq.read_table(ASSETS / "people.parquet")
    processor = AutoImageProcessor.from_pretrained(asked.model, use_fast=False)
    opened = [Image.open(io.BytesIO(b)).convert("RGB") for b in table["image"].to_pylist()]
    pixels = processor(opened, return_tensors="pt")["pixel_values"]
    labels = [int(value == "male") for value in table["gender"].to_pylist()]
    place = {name: k for k, name in enumerate(table["id"].to_pylist())}
    data = {}
    for split, ids in splits.items():
        rows = [place[name] for name in ids]
        data[split] = Pictures(pixels[rows], [labels[k] for k in rows], flip=split == "train")
    torch.manual_seed(0)
    model = AutoModelForImageClassification.from_pretrained(
        asked.model, num_labels=2, ignore_mismatched_sizes=True, dtype=torch.float32
    )
    lora = LoraConfig(
        r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], modules_to_save=["classifier"]
    )
    trainer = Trainer(
        model=get_peft_model(model, lora),
        args=TrainingArguments(
            str(asked.out / "checkpoints"),
            num_train_epochs=asked.epochs,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=64,
            learning_rate=3e-3,
            weight_decay=0.001,
            bf16=asked.bf16,
            lr_scheduler_type="cosine",
            warmup_steps=0.01,
            eval_strategy="epoch",
            save_strategy="epoch",
            save_only_model=True,
            save_total_limit=1,
            load_best_model_at_end=True,
            metric_for_best_model="accuracy",
            logging_steps=0.05,
            report_to="none",
            disable_tqdm=True,
            use_cpu=not torch.accelerator.is_available(),
        ),
        train_dataset=data["train"],
        eval_dataset=data["validation"],
        compute_metrics=compute_metrics,
    )
    trainer.train()
    trainer.save_model(str(asked.out / "model"))
    data["train"].flip = False
    found = {split: trainer.predict(data[split]).predictions for split in splits}
    np.savez(asked.out / "logits.npz", **found)


if __name__ == "__main__":
    main()

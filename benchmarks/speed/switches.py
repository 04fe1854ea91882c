"""What each switch of a training step gains by itself, on the embedded model and a small BERT.

    python benchmarks/speed/switches.py                  # about ten minutes on two cores

The optimizer's kernel, torch.compile with its own cost, length buckets, rows at a time in
evaluation, and, where the device computes in it, bfloat16. Both sides of a row take turns, in an
order that is reversed every other time. Results go to benchmarks/results/switches.json.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from train_step import about, step, trainer_of

from fairlora.study.runs.precision import measure
from fairlora.training.attention import float32_gradients

RESULTS = Path(__file__).resolve().parents[1] / "results" / "switches.json"
Work = Callable[[], float]


def in_turns(name: str, without: Work, given: Work, times: int) -> dict[str, Any]:
    """Medians of both, and the ratio of each turn."""
    without(), given()
    pairs = []
    for turn in range(times):
        order = (without, given) if turn % 2 else (given, without)
        took = {work: work() for work in order}
        pairs.append((took[without], took[given]))
    ratios = sorted(a / b for a, b in pairs)
    row = {
        "switch": name,
        "without_ms": round(1000 * statistics.median(a for a, _ in pairs), 1),
        "with_ms": round(1000 * statistics.median(b for _, b in pairs), 1),
        "ratio": round(statistics.median(ratios), 3),
        "least": round(ratios[0], 3),
        "most": round(ratios[-1], 3),
    }
    print(row, flush=True)
    return row


def optimizer(folder: Path, times: int) -> list[dict[str, Any]]:
    """The update of all weights of the embedded model, and of its LoRA: fused against a loop."""
    rows = []
    for kind in ("lora", "full"):
        trainer = trainer_of(folder, None, 32, kind)
        trained = [p for p in trainer.model.parameters() if p.requires_grad]
        for weight in trained:
            weight.grad = torch.randn_like(weight)

        def of(fused: bool, trained: list[nn.Parameter] = trained) -> Work:
            made = torch.optim.AdamW(trained, lr=1e-9, fused=fused, foreach=False)

            def work() -> float:
                start = time.perf_counter()
                made.step()
                return time.perf_counter() - start

            return work

        rows.append(in_turns(f"fused AdamW, {kind}", of(False), of(True), times))
    return rows


def compiled(folder: Path, times: int) -> list[dict[str, Any]]:
    """A LoRA step compiled, what compiling costs, and after how many steps it has paid."""
    plain, other = (trainer_of(folder, None, 32, "lora") for _ in range(2))
    batches = list(plain.get_train_dataloader())[:-1]
    model: Any = other.model
    model.compile()
    start = time.perf_counter()
    step(other, batches[0])
    cost = time.perf_counter() - start
    turn = iter(range(10**9))

    def of(trainer: Any) -> Work:
        return lambda: step(trainer, batches[next(turn) % len(batches)])

    row = in_turns("torch.compile, LoRA", of(plain), of(other), times)
    gain = (row["without_ms"] - row["with_ms"]) / 1000
    pays = round(cost / gain) if gain > 0 else None
    return [{**row, "cost_s": round(cost, 1), "pays_after_steps": pays}]


def buckets(_: Path, times: int) -> list[dict[str, Any]]:
    """Steps over texts of 5 to 120 tokens, 32 at a time: as they come, and by length."""
    from transformers import BertConfig, BertForSequenceClassification

    sizes: dict[str, Any] = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 4}
    model = BertForSequenceClassification(BertConfig(**sizes, num_attention_heads=4))
    generator = random.Random(0)
    lengths = [generator.randint(5, 120) for _ in range(512)]

    def of(order: list[int]) -> Work:
        def work() -> float:
            start = time.perf_counter()
            for k in range(0, len(order), 32):
                longest = max(lengths[i] for i in order[k : k + 32])
                ids = torch.randint(1000, (32, longest))
                mask = torch.tensor(
                    [[j < lengths[i] for j in range(longest)] for i in order[k : k + 32]]
                ).long()
                found = model(input_ids=ids, attention_mask=mask, labels=torch.arange(32) % 2)
                found.loss.backward()
                model.zero_grad()
            return time.perf_counter() - start

        return work

    rows = list(range(512))
    ordered = sorted(rows, key=lambda i: lengths[i])
    return [in_turns("length buckets, BERT of 4 layers, an epoch", of(rows), of(ordered), times)]


def evaluation(folder: Path, times: int) -> list[dict[str, Any]]:
    """Predicting 512 pictures by the embedded model: 64 at a time, as a run does, or others."""
    model: Any = trainer_of(folder, None, 32, "lora").model
    model.eval()
    pictures = torch.randn(512, 3, 64, 64)

    def of(batch: int) -> Work:
        @torch.no_grad()
        def work() -> float:
            start = time.perf_counter()
            for part in pictures.split(batch):
                model(pixel_values=part)
            return time.perf_counter() - start

        return work

    return [
        in_turns(f"64 rows at a time in evaluation, not {other}", of(other), of(64), times)
        for other in (8, 256)
    ]


def bfloat16(folder: Path, times: int) -> list[dict[str, Any]]:
    """A LoRA step in bfloat16 where it is quicker: all of it, and attention's gradient alone."""
    if measure([(2048, 192, 768)]).used != "bfloat16":
        return []
    trainer = trainer_of(folder, None, 32, "lora")
    batches = list(trainer.get_train_dataloader())[:-1]
    turn = iter(range(10**9))

    def of(short: bool, attention: Callable[..., Any] = float32_gradients) -> Work:
        def work() -> float:
            with (
                patch("fairlora.training.trainer.float32_gradients", attention),
                torch.autocast("cpu", torch.bfloat16, enabled=short),
            ):
                return step(trainer, batches[next(turn) % len(batches)])

        return work

    name = "attention's gradient in float32 under bfloat16, LoRA"
    return [
        in_turns("bfloat16, LoRA", of(False), of(True), times),
        in_turns(name, of(True, nullcontext), of(True), times),
    ]


SWITCHES = {
    "optimizer": optimizer,
    "evaluation": evaluation,
    "buckets": buckets,
    "compile": compiled,
    "bfloat16": bfloat16,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=SWITCHES, nargs="+", default=list(SWITCHES))
    parser.add_argument("--times", type=int, default=11)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    rows: dict[str, Any] = json.loads(asked.out.read_text())["rows"] if asked.out.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.only:
            rows[name] = SWITCHES[name](Path(folder), asked.times)
    found = measure([(2048, 192, 768)])
    rates = {"float32": found.float32, "bfloat16": found.bfloat16, "used": found.used}
    content = {"about": about(), "rows": rows, "products_per_second": rates}
    asked.out.write_text(json.dumps(content, indent=1) + "\n")
    print(f"{asked.out} is written")


if __name__ == "__main__":
    main()

"""What the fairness objective and fairlora's trainer cost, side by side in one run.

    python benchmarks/speed/train_step.py                # about ten minutes on two cores
    python benchmarks/speed/train_step.py --pictures     # on a GPU: ViT-B/16, pictures a second

Steps are taken in turns, in an order that is reversed every other time; the ratio is the mean of
the pairs' differences over the mean plain step, with its 95 % interval from the bootstrap of pairs.
Results go to benchmarks/results/train_step.json with the machine and the versions.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import stdtrit
from timings import machine_of
from transformers import TrainingArguments

from fairlora.models import Adapter, attach, load_classifier
from fairlora.objectives import GroupDRO, LossVariance, Objective, Reweight
from fairlora.predictions import read_predictions
from fairlora.study.runs.prepare import prepare
from fairlora.study.spec.run import parse_spec
from fairlora.study.tasks.datasets import inputs_of
from fairlora.training import FairTrainer
from fairlora.training.datasets import collator_of

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results" / "train_step.json"
OBJECTIVES: dict[str, Callable[[], Objective]] = {
    "loss-variance": lambda: LossVariance(1.0),
    "group-dro": GroupDRO,
    "reweight": Reweight,
}
SETTINGS: dict[str, Any] = {
    "data": {"name": "people-emoji", "groups": ["skin_tone"]},
    "adapter": {"kind": "lora", "rank": 8},
    # A plain script is told its rows by the predictions, and predicts all of them too.
    "training": {"epochs": 2, "learning_rate": 3e-3, "predict_train": "all"},
}


def trainer_of(
    folder: Path,
    objective: Objective | None,
    batch: int,
    kind: str,
    maker: type[FairTrainer] = FairTrainer,
    **more: Any,
) -> FairTrainer:
    """The embedded model in a trainer that is ready to step; `more` is for another `maker`."""
    prepared = prepare(parse_spec({**SETTINGS, "adapter": {"kind": kind, "rank": 8}}))
    classifier = load_classifier("embedded", prepared.examples.classes, kind="image")
    model = attach(classifier.model, Adapter(kind=kind, rank=8), classifier.head)  # type: ignore[arg-type]
    inputs = inputs_of(classifier, prepared.examples, flip_seed=0)
    trainer = maker(
        model=model,
        args=TrainingArguments(
            str(folder),
            per_device_train_batch_size=batch,
            max_steps=1000,
            report_to="none",
            disable_tqdm=True,
            use_cpu=not torch.accelerator.is_available(),
            logging_nan_inf_filter=False,
            remove_unused_columns=False,
        ),
        train_dataset=inputs.training,
        data_collator=collator_of(classifier),
        objective=objective,
        group_column="skin_tone",
        forward_arguments=classifier.forward_arguments,
        **more,
    )
    trainer.create_optimizer_and_scheduler(1000)
    trainer.current_gradient_accumulation_steps = 1
    return trainer


def step(trainer: FairTrainer, batch: dict[str, Any]) -> float:
    """Seconds of one optimizer step."""
    device = trainer.accelerator.device
    start = time.perf_counter()
    trainer.training_step(trainer.model, dict(batch))
    assert trainer.optimizer is not None
    trainer.optimizer.step()
    trainer.optimizer.zero_grad()
    if device.type != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter() - start


def pairs(plain: FairTrainer, fair: FairTrainer, times: int) -> np.ndarray:
    """(times, 2) seconds of plain and fair steps on the same batches, in turns."""
    batches = list(plain.get_train_dataloader())[:-1]
    for k in range(5):
        step(plain, batches[k % len(batches)])
        step(fair, batches[k % len(batches)])
    seconds = np.empty((times, 2))
    for k in range(times):
        batch = batches[k % len(batches)]
        order = ((0, plain), (1, fair)) if k % 2 else ((1, fair), (0, plain))
        for place, trainer in order:
            seconds[k, place] = step(trainer, batch)
    return seconds


def ratio(seconds: np.ndarray) -> dict[str, Any]:
    """How much slower the second is, with a bootstrap interval over pairs.

    Pairs in which either step took more than twice its median are left out, and counted: something
    else used the machine.
    """
    calm = (seconds < 2 * np.median(seconds, axis=0)).all(axis=1)
    kept = seconds[calm]
    rng = np.random.default_rng(0)
    rows = rng.integers(len(kept), size=(10_000, len(kept)))
    drawn = kept[rows].mean(axis=1)
    drawn = drawn[:, 1] / drawn[:, 0]
    return {
        "plain_ms": round(1000 * float(np.median(kept[:, 0])), 2),
        "fair_ms": round(1000 * float(np.median(kept[:, 1])), 2),
        "ratio": round(float(kept[:, 1].mean() / kept[:, 0].mean()), 4),
        "low": round(float(np.quantile(drawn, 0.025)), 4),
        "high": round(float(np.quantile(drawn, 0.975)), 4),
        "pairs": len(kept),
        "left_out": int((~calm).sum()),
    }


def objectives(times: int) -> list[dict[str, Any]]:
    """Every objective against plain training, LoRA and full, on the embedded model."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("lora", "full"):
            plain = trainer_of(Path(folder), None, 32, kind)
            for name, make in OBJECTIVES.items():
                if kind == "full" and name != "loss-variance":
                    continue
                fair = trainer_of(Path(folder), make(), 32, kind)
                row = {"objective": name, "adapter": kind, **ratio(pairs(plain, fair, times))}
                print(row, flush=True)
                found.append(row)
    return found


def whole_runs(times: int) -> dict[str, Any]:
    """`fairlora train` against plain_trainer.py, in turns: seconds from start to end, and of the
    processor, which tell more where a machine is shared."""
    seconds: dict[str, list[float]] = {"fairlora": [], "plain": []}
    work: dict[str, list[float]] = {"fairlora": [], "plain": []}
    accuracy: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = folder / "run.yaml"
        spec.write_text(json.dumps(SETTINGS))
        plain = folder / "plain"
        plain.mkdir()
        ours = [sys.executable, "-m", "fairlora", "train", str(spec), "--out", str(folder / "run")]
        theirs = [sys.executable, str(HERE / "plain_trainer.py"), str(plain)]
        for k in range(times + 1):
            turn = [("fairlora", ours), ("plain", theirs)]
            for side, command in turn if k % 2 == 0 else turn[::-1]:
                if side == "fairlora":
                    shutil.rmtree(folder / "run", ignore_errors=True)
                start, before = time.perf_counter(), processor_seconds()
                subprocess.run(command, check=True, capture_output=True)
                if k:  # the first warms the disk's memory, and tells the splits
                    seconds[side].append(time.perf_counter() - start)
                    work[side].append(processor_seconds() - before)
                if side == "fairlora" and not k:
                    table = read_predictions(folder / "run" / "predictions.parquet")
                    splits = {
                        split: table.ids[table.split == split].tolist()
                        for split in ("train", "validation", "test")
                    }
                    (plain / "splits.json").write_text(json.dumps(splits))
            print(k, {side: s[-1:] for side, s in seconds.items()}, flush=True)
        metrics = json.loads((folder / "run" / "metrics.json").read_text())
        accuracy["fairlora"] = metrics["split_accuracy"]["test"]
        table = read_predictions(folder / "run" / "predictions.parquet").select("test")
        logits = np.load(plain / "logits.npz")["test"]
        accuracy["plain"] = float((logits.argmax(1) == table.labels).mean())
    medians = {side: statistics.median(s) for side, s in seconds.items()}
    return {
        "seconds": {side: [round(x, 2) for x in s] for side, s in seconds.items()},
        "ratio_of_medians": round(medians["fairlora"] / medians["plain"], 3),
        **paired(seconds["fairlora"], seconds["plain"]),
        "processor_seconds": {side: [round(x, 2) for x in s] for side, s in work.items()},
        "processor": paired(work["fairlora"], work["plain"]),
        "test_accuracy": accuracy,
    }


def processor_seconds() -> float:
    """What the processes that this one started and waited for have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def paired(first: list[float], second: list[float]) -> dict[str, float]:
    """Geometric mean of the pairs' ratios, with its 95 % t interval."""
    logs = np.log(first) - np.log(second)
    error = logs.std(ddof=1) / np.sqrt(len(logs)) * stdtrit(len(logs) - 1, 0.975)
    ends = np.exp([logs.mean(), logs.mean() - error, logs.mean() + error])
    return {
        name: round(float(end), 3) for name, end in zip(("ratio", "low", "high"), ends, strict=True)
    }


def pictures(batch: int, times: int) -> list[dict[str, Any]]:
    """Pictures a second of ViT-B/16 at 224 with random weights, bfloat16: LoRA and full."""
    from torch.nn import functional as F
    from transformers import ViTConfig, ViTForImageClassification

    device = torch.accelerator.current_accelerator()
    if device is None:
        raise SystemExit("no accelerator here")
    found = []
    x = torch.randn(batch, 3, 224, 224, device=device)
    y = torch.arange(batch, device=device) % 10
    for kind in ("lora", "full"):
        for name, objective in (
            ("none", None),
            ("loss-variance", LossVariance(1.0, num_groups=10)),
        ):
            model = ViTForImageClassification(ViTConfig(num_labels=10)).to(device)
            model = attach(model, Adapter(kind=kind, rank=8), ("classifier",))  # type: ignore[arg-type]
            optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
            seconds = []
            for k in range(times + 5):
                torch.accelerator.synchronize()
                start = time.perf_counter()
                with torch.autocast(device.type, torch.bfloat16):
                    logits = model(pixel_values=x).logits
                losses = F.cross_entropy(logits.float(), y, reduction="none")
                loss = losses.mean() if objective is None else objective(losses, y)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                torch.accelerator.synchronize()
                if k >= 5:
                    seconds.append(time.perf_counter() - start)
            row = {
                "adapter": kind,
                "objective": name,
                "batch": batch,
                "pictures_a_second": round(batch / statistics.median(seconds), 1),
            }
            print(row, flush=True)
            found.append(row)
    return found


def about() -> dict[str, Any]:
    return machine_of(("torch", "transformers", "peft", "accelerate", "fairlora"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--part", choices=("steps", "runs"), help="measure this part anew alone")
    parser.add_argument("--pictures", action="store_true", help="on an accelerator")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    content: dict[str, Any] = {}
    if asked.part and asked.out.exists():
        content = json.loads(asked.out.read_text())
    content["about"] = about()
    if asked.pictures:
        content["pictures"] = pictures(asked.batch, 30)
    elif asked.part != "runs":
        content["steps"] = objectives(asked.pairs)
    if asked.part != "steps" and not asked.pictures:
        content["runs"] = whole_runs(asked.runs)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(content, indent=1) + "\n")
    print(f"{asked.out} is written")


if __name__ == "__main__":
    main()

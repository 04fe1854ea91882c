"""Write the embedded model's card from measurements: what starting from it is worth.

Fine-tunes on people-emoji (gender; families of roles never seen in training are the test) from the
embedded weights and from random weights of the same architecture: a linear probe and LoRA, three
seeds each, the same settings for both starts. Runs are kept in a folder, so that
a stopped script goes on where it was.

    python scripts/embedded_card.py --runs runs/embedded-card
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from transformers import ViTConfig, ViTForImageClassification

from fairlora.models.libraries import load_libraries
from fairlora.models.source import ASSETS
from fairlora.study.report.measures import Run, standard_deviation
from fairlora.study.report.summary import read_runs
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.prepare import prepare
from fairlora.study.runs.progress import Progress
from fairlora.study.spec.run import RunSpec, parse_spec

EMBEDDED = ASSETS / "embedded"
RATES = {"linear": 1e-2, "lora": 3e-3}
EPOCHS, SEEDS = 3, 3

CARD = Path(__file__).with_name("embedded_card.md.in")


def specs(random_weights: Path) -> list[RunSpec]:
    """Both starts, three adapters, all seeds."""
    return [
        parse_spec(
            {
                "name": "embedded-card",
                "data": {
                    "name": "people-emoji",
                    "target": "gender",
                    "groups": ["skin_tone", "renderer"],
                },
                "model": {"id": start},
                "adapter": {"kind": kind, "rank": 8},
                "audit": {"positive": "male"},
                "training": {"epochs": EPOCHS, "learning_rate": RATES[kind]},
                "seed": seed,
            }
        )
        for seed in range(SEEDS)
        for kind in RATES
        for start in ("embedded", str(random_weights))
    ]


def random_start(folder: Path) -> Path:
    """A model of the same architecture with random weights."""
    if not (folder / "config.json").exists():
        torch.manual_seed(0)
        ViTForImageClassification(ViTConfig.from_pretrained(EMBEDDED)).save_pretrained(folder)
        processor = (EMBEDDED / "preprocessor_config.json").read_text()
        (folder / "preprocessor_config.json").write_text(processor)
    return folder


def cell(runs: list[Run], pick: str) -> str:
    values = [
        run.audit["overall"]["accuracy"]["value"] * 100
        if pick == "accuracy"
        else run.metrics["mean_loss"]["train"]
        for run in runs
    ]
    digits = 1 if pick == "accuracy" else 2
    mean = sum(values) / len(values)
    return f"{mean:.{digits}f} ± {standard_deviation(values):.{digits}f}"


def mean_accuracy(runs: list[Run]) -> float:
    return sum(run.audit["overall"]["accuracy"]["value"] for run in runs) / len(runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/embedded-card"))
    arguments = parser.parse_args()
    load_libraries()
    cells = [prepare(spec) for spec in specs(random_start(arguments.runs / "random"))]
    folders = [RunFolder(arguments.runs / cell.name) for cell in cells]
    for number, (prepared, folder) in enumerate(zip(cells, folders, strict=True)):

        def watch(progress: Progress, number: int = number) -> None:
            if progress.message:
                print(f"run {number + 1} of {len(cells)}: {progress.message}", file=sys.stderr)

        run_cell(prepared, folder, watch, resume=True)
    runs = read_runs(folder.path for folder in folders)
    names = {"linear": "linear probe", "lora": "LoRA, rank 8"}
    rows, gains = [], []
    for kind, name in names.items():
        both = [
            [
                r
                for r in runs
                if r.spec.adapter.kind == kind and (r.spec.model.id == "embedded") == e
            ]
            for e in (True, False)
        ]
        rows.append(
            f"| {name} | "
            + " | ".join(cell(b, "accuracy") for b in both)
            + " | "
            + " | ".join(cell(b, "loss") for b in both)
            + " |"
        )
        gains.append(f"{name} {100 * (mean_accuracy(both[0]) - mean_accuracy(both[1])):+.1f}")
    test = cells[0].examples.part("test")
    made = json.loads((EMBEDDED / "pretraining.json").read_text())
    model = ViTForImageClassification.from_pretrained(EMBEDDED)
    (EMBEDDED / "README.md").write_text(
        CARD.read_text().format(
            parameters=sum(p.numel() for p in model.parameters()),
            classes=made["classes"],
            pictures=made["pictures"] + made["held_out_pictures"],
            held_out=made["held_out_pictures"],
            views=made["views"],
            passes=made["passes"],
            batch=made["batch"],
            rate=made["learning_rate"],
            accuracy=made["held_out_accuracy"],
            seeds=SEEDS,
            epochs=EPOCHS,
            rates=", ".join(f"{k} {v:g}" for k, v in RATES.items()),
            test_rows=len(test),
            families=len(set(test.family.tolist())) if test.family is not None else 0,
            rows="\n".join(rows),
            verdict="The embedded weights minus random ones, in points: " + ", ".join(gains) + ".",
        )
    )
    print((EMBEDDED / "README.md").read_text())


if __name__ == "__main__":
    main()

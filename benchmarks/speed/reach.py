"""What training computes once, and uses every core for: this build beside the one before.

    git worktree add /tmp/before 4b21530
    python benchmarks/speed/reach.py --before /tmp/before --minutes 60
    python benchmarks/speed/reach.py --before /tmp/before --only "linear probes" --rounds 5

Each side of a row is a command of its own, from its start to its report, in a fresh folder; a row's
sides take turns, in an order that is reversed every other round, and rows go round by round. Every
round is written to benchmarks/results/reach.json as soon as it is done: started again, the command
goes on where it stopped. Predictions of both sides are compared. Nothing else may run meanwhile.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from train_step import about, processor_seconds

from fairlora.predictions import read_predictions

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results" / "reach.json"
DATA = {"name": "people-emoji", "groups": ["skin_tone"]}
RUN: dict[str, Any] = {
    "name": "reach",
    "data": DATA,
    "audit": {"positive": "male"},
    "adapter": {"kind": "lora", "rank": 8},
    "training": {"epochs": 2, "learning_rate": 3e-3},
}
STUDY: dict[str, Any] = {
    "name": "reach",
    "data": DATA,
    "models": ["embedded"],
    "audit": {"positive": "male"},
    "training": {"epochs": 4, "learning_rate": 3e-3},
}
# A plain script is told its rows by the predictions, and predicts all of them too.
WHOLE = {**RUN, "training": {"epochs": 1, "learning_rate": 3e-3, "predict_train": "all"}}
LAST_THIRD = {"kind": "lora", "rank": 8, "fields": {"layers_to_transform": [4, 5]}}
# Ends the process after the first step of an optimizer.
FIRST_STEP = (
    "import os\n"
    "from torch.optim.optimizer import register_optimizer_step_post_hook as hook\n"
    "hook(lambda *_: os._exit(0))\n"
    "from fairlora.cli import main\n"
    "main()\n"
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes
    ----------
    settings : of the study or run of this build.
    wanted : times as fast as the rival, at least.
    kind : "study" or "run", which is the command; "first step" is a run that ends there.
    rival : "before", the build before; "plain", the Trainer and PEFT alone as they are by default,
        "plain alike" in the precision that this build's run took; "one core", this build on one
        core.
    rival_settings : over `settings`, for the rival.
    model : "vit-s", which is made for the row, or "clip", whose folder `--clip` names.
    faces : how many UTKFace pictures the row reads, from the folder that `--faces` names.
    environment : of both sides.
    """

    settings: dict[str, Any]
    wanted: float
    kind: str = "study"
    rival: str = "before"
    rival_settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    model: str | None = None
    faces: int = 0
    environment: dict[str, str] = dataclasses.field(default_factory=dict)


ROWS: dict[str, Row] = {
    "to the first step of a LoRA run": Row(RUN, 2, "first step"),
    "one LoRA run of the embedded model": Row(RUN, 1.3, "run"),
    "linear probes, 5 seeds": Row({**STUDY, "methods": ["linear"], "seeds": 5}, 10),
    "last-layer retraining, 5 seeds": Row(
        {
            **STUDY,
            "methods": [{"adapter": "linear", "last_layer": {"groups": ["skin_tone"]}}],
            "seeds": 5,
        },
        10,
    ),
    "LoRA of the last third of the layers, 5 seeds": Row(
        {**STUDY, "methods": [{"adapter": LAST_THIRD}], "seeds": 5}, 1.8
    ),
    "16 shadow models of the last layer": Row(
        {
            **STUDY,
            "methods": ["linear"],
            "seeds": 1,
            "privacy": {"shadows": 16, "attacks": ["lira-offline"]},
        },
        10,
    ),
    "Ray, two workers of one core beside one": Row(
        {
            **STUDY,
            "methods": ["lora"],
            "seeds": 4,
            "training": {"epochs": 2, "learning_rate": 3e-3},
            "engine": {"kind": "ray", "ray": {"cpus": 1}},
        },
        1.8,
        rival="one core",
    ),
    "one LoRA run of a ViT-S at 98 pixels beside the Trainer and PEFT": Row(
        WHOLE, 1.15, "run", "plain", {}, "vit-s"
    ),
    "one LoRA run of a ViT-S beside the Trainer and PEFT in the same precision": Row(
        WHOLE,
        1.15,
        "run",
        "plain alike",
        {},
        "vit-s",
    ),
    "24 cells: linear, LoRA, FairLoRA, full, fair full": Row(
        {
            **STUDY,
            "methods": [
                *("linear", "lora", "full", "fairlora", "fair-full"),
                {"adapter": "linear", "objective": {"name": "loss-variance", "strength": 0.1}},
            ],
            "strengths": [0.1, 0.5],
            "seeds": 3,
            "training": {"epochs": 2, "learning_rate": 1e-3},
        },
        1.8,
    ),
    "16 LoRA shadow models of the embedded model": Row(
        {
            **STUDY,
            "methods": ["lora"],
            "seeds": 1,
            "training": {"epochs": 2, "learning_rate": 3e-3},
            "privacy": {"shadows": 16, "attacks": ["lira-offline"]},
        },
        1.3,
    ),
    "the UTKFace example where bfloat16 is emulated": Row(
        {
            **RUN,
            "data": {"name": "utkface", "target": "gender", "groups": ["race"]},
            "audit": {"positive": "female"},
            "model": {"image_size": 112},
            "training": {"epochs": 1, "batch_size": 32, "learning_rate": 5e-4},
        },
        10,
        "run",
        rival_settings={"training": {"bf16": True}},
        model="clip",
        faces=64,
        # As on a processor without bfloat16, whatever this one has.
        environment={"ONEDNN_MAX_CPU_ISA": "AVX2"},
    ),
}


def vit_s(folder: Path) -> None:
    """A ViT of 12 layers and 384 numbers a token for 98 pixels, untrained."""
    import transformers

    config = transformers.ViTConfig(
        hidden_size=384,
        num_attention_heads=6,
        intermediate_size=1536,
        image_size=98,
        patch_size=14,
    )
    transformers.set_seed(0)
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 98, "width": 98}).save_pretrained(folder)


def merged(settings: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Settings with others over them, key by key."""
    out = dict(settings)
    for key, value in over.items():
        old = out.get(key)
        deep = isinstance(value, dict) and isinstance(old, dict) and key != "engine"
        out[key] = merged(old, value) if deep else value  # type: ignore[arg-type]
    return out


class Measurement:
    """A row whose commands are ready to be run.

    Parameters
    ----------
    name : of the row.
    folder : for its files.
    before : the checkout of the build before.
    faces, clip : the folders of UTKFace and of CLIP's image tower.
    """

    def __init__(
        self, name: str, folder: Path, before: Path, faces: Path | None, clip: Path | None
    ) -> None:
        self.row = ROWS[name]
        self.folder = folder
        settings = self.row.settings
        if self.row.model == "vit-s":
            vit_s(folder / "model")
            settings = merged(settings, {"model": {"id": str(folder / "model")}})
        elif self.row.model == "clip":
            if clip is None:
                raise SystemExit(f"{name}: --clip says where CLIP's image tower lies")
            settings = merged(settings, {"model": {"id": str(clip.resolve())}})
        if self.row.faces:
            if faces is None:
                raise SystemExit(f"{name}: --faces says where UTKFace lies")
            (folder / "faces").mkdir()
            for path in sorted(faces.rglob("*.jpg"))[:: max(1, 2000 // self.row.faces)]:
                if len(list((folder / "faces").iterdir())) < self.row.faces:
                    shutil.copy(path, folder / "faces")
            settings = merged(settings, {"data": {"path": str(folder / "faces")}})
        self.sources = {"now": HERE.parents[1] / "src", "before": before / "src"}
        self.files = {}
        for side, found in (
            ("now", settings),
            (self.row.rival, merged(settings, self.row.rival_settings)),
        ):
            self.files[side] = folder / f"{side}.yaml"
            self.files[side].write_text(json.dumps(found))

    def command(self, side: str) -> list[str]:
        """What a side runs."""
        out = self.folder / side
        if side.startswith("plain"):
            extra = ["--model", str(self.folder / "model"), "--epochs", "1"]
            if side == "plain alike":
                made = json.loads((self.folder / "now" / "environment.json").read_text())
                extra += ["--bf16"] if made["precision"]["used"] == "bfloat16" else []
            return [sys.executable, str(HERE / "plain_trainer.py"), str(out), *extra]
        verb = ["study", "run"] if self.row.kind == "study" else ["train"]
        start = ["-c", FIRST_STEP] if self.row.kind == "first step" else ["-m", "fairlora"]
        core = ["taskset", "--cpu-list", "0"] if side == "one core" else []
        return [*core, sys.executable, *start, *verb, str(self.files[side]), "--out", str(out)]

    def once(self, side: str) -> tuple[float, float]:
        """Seconds, and processor seconds, of one side."""
        out = self.folder / side
        shutil.rmtree(out, ignore_errors=True)
        source = self.sources["before" if side == "before" else "now"]
        if side.startswith("plain"):
            out.mkdir()
            table = read_predictions(self.folder / "now" / "predictions.parquet")
            splits = {s: table.ids[table.split == s].tolist() for s in dict.fromkeys(table.split)}
            (out / "splits.json").write_text(json.dumps(splits))
        start, used = time.perf_counter(), processor_seconds()
        done = subprocess.run(
            self.command(side),
            capture_output=True,
            text=True,
            env={
                **{k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
                **self.row.environment,
                "PYTHONPATH": str(source),
                "FAIRLORA_COLOR": "never",
            },
        )
        if done.returncode:
            raise SystemExit(f"{side}: {done.stderr[-2000:]}")
        return round(time.perf_counter() - start, 2), round(processor_seconds() - used, 2)

    def difference(self) -> float | None:
        """The largest between the probabilities of both sides' cells, test rows."""
        off = []
        for path in sorted((self.folder / "now").rglob("predictions.parquet")):
            rival = self.folder / self.row.rival / path.relative_to(self.folder / "now")
            if not rival.exists():
                continue
            ours, theirs = (read_predictions(p).select("test") for p in (path, rival))
            assert ours.ids.tolist() == theirs.ids.tolist()
            assert ours.probs is not None
            assert theirs.probs is not None
            off.append(float(np.abs(ours.probs - theirs.probs).max()))
        return max(off, default=None)


def summary(rounds: list[dict[str, Any]], rival: str) -> dict[str, Any]:
    """Medians and the range of the rounds' ratios, in seconds and in those of the processor."""
    ratios = sorted(r[rival][0] / r["now"][0] for r in rounds)
    work = [r[rival][1] / r["now"][1] for r in rounds]
    return {
        "rounds": len(rounds),
        "now_s": statistics.median(r["now"][0] for r in rounds),
        "rival_s": statistics.median(r[rival][0] for r in rounds),
        "ratio": round(statistics.median(ratios), 2),
        "least": round(ratios[0], 2),
        "most": round(ratios[-1], 2),
        "processor_ratio": round(statistics.median(work), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the build before")
    parser.add_argument("--faces", type=Path, help="the folder of UTKFace")
    parser.add_argument("--clip", type=Path, help="the folder of CLIP's image tower")
    parser.add_argument("--only", choices=ROWS, nargs="+", default=list(ROWS), metavar="ROW")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=1e9, help="no round starts after these")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    end = time.monotonic() + 60 * asked.minutes
    content: dict[str, Any] = {"about": about(), "rows": {}}
    if asked.out.exists():
        content["rows"] = json.loads(asked.out.read_text())["rows"]
    for name in asked.only:
        # A row whose settings or processor are others than its rounds' is measured anew.
        row = ROWS[name]
        known = json.dumps([dataclasses.asdict(row), content["about"]], sort_keys=True)
        mark = hashlib.sha256(known.encode()).hexdigest()[:12]
        if content["rows"].get(name, {}).get("settings") != mark:
            content["rows"][name] = {"settings": mark, "wanted": row.wanted, "rival": row.rival}
    with tempfile.TemporaryDirectory() as folder:
        ready: dict[str, Measurement] = {}
        for number in range(asked.rounds):
            for name in asked.only:
                found = content["rows"][name]
                rounds = found.setdefault("each", [])
                if len(rounds) > number or time.monotonic() > end:
                    continue
                if name not in ready:
                    place = Path(folder) / str(len(ready))
                    place.mkdir()
                    ready[name] = Measurement(name, place, asked.before, asked.faces, asked.clip)
                    # Uncounted: it warms the files, and tells a plain script its rows.
                    if ROWS[name].kind != "study":
                        ready[name].once("now")
                sides = ["now", ROWS[name].rival]
                took = {s: ready[name].once(s) for s in (sides if number % 2 == 0 else sides[::-1])}
                rounds.append(took)
                found["difference"] = ready[name].difference()
                found.update(summary(rounds, ROWS[name].rival))
                print(name, {k: v for k, v in found.items() if k != "each"}, flush=True)
                asked.out.write_text(json.dumps(content, indent=1) + "\n")
    print(f"{asked.out} is written")


if __name__ == "__main__":
    main()

"""What `fairlora train --plan` estimates of a run's memory beside what the run then takes.

    python benchmarks/speed/plan.py                 # embedded ViT, a small BERT and a small Llama
    python benchmarks/speed/plan.py --only vit

Each of LoRA and full fine-tuning, with and without gradient checkpointing. The plan and the run are
processes of their own; the run's peak is the one in its environment.json (on a CPU). Results go to
benchmarks/results/plan.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import yaml

RESULTS = Path(__file__).resolve().parents[1] / "results" / "plan.json"
WORDS = ["<pad>", "</s>", "<unk>", *(f"word{k}" for k in range(2000))]


def text_model(folder: Path, kind: str) -> None:
    """A BERT or Llama of a few million parameters, with a tokenizer of whole words."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({w: k for k, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "vocab_size": len(WORDS),
        "hidden_size": 256,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "max_position_embeddings": 128,
        "pad_token_id": 0,
    }
    if kind == "bert":
        bert = transformers.BertConfig(intermediate_size=1024, **sizes)
        transformers.BertForSequenceClassification(bert).save_pretrained(folder)
    else:
        llama = transformers.LlamaConfig(intermediate_size=704, eos_token_id=1, **sizes)
        transformers.LlamaForSequenceClassification(llama).save_pretrained(folder)


def texts(path: Path) -> None:
    """A table of 240 texts of 20 to 128 words."""
    lines = ["text,label,place"]
    for k in range(240):
        words = " ".join(WORDS[3 + (7 * k + 11 * j) % 2000] for j in range(20 + k % 109))
        lines.append(f"{words},{('no', 'yes')[k % 2]},{('north', 'south')[k // 2 % 2]}")
    path.write_text("\n".join(lines) + "\n")


def spec_of(model: str, folder: Path, adapter: str, checkpointing: bool) -> dict[str, Any]:
    """A run of three steps."""
    text = model != "vit"
    data: dict[str, Any] = {"name": "people-emoji", "target": "gender", "groups": ["skin_tone"]}
    if text:
        data = {"name": "text-table", "path": str(folder / "texts.csv"), "groups": ["place"]}
    return {
        "name": f"{model}-{adapter}{'-checkpointing' if checkpointing else ''}",
        "data": data,
        "model": {"id": str(folder / model) if text else "embedded"},
        "adapter": {"kind": adapter},
        "training": {
            "max_steps": 3,
            "precision": "float32",
            "select": "last",
            "batch_size": 32 if text else 64,
            "arguments": {"gradient_checkpointing": checkpointing, "eval_strategy": "no"},
        },
    }


def fairlora(*arguments: str) -> str:
    command = [sys.executable, "-m", "fairlora", "train", *arguments, "--json"]
    # Without the answers of a frozen part that an earlier run may have kept.
    environment = {**os.environ, "FAIRLORA_CACHE": "off"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=["vit", "bert", "llama"])
    only = parser.parse_args().only
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts(folder / "texts.csv")
        for model in [only] if only else ["vit", "bert", "llama"]:
            if model != "vit":
                text_model(folder / model, model)
            for adapter in ("lora", "full"):
                for checkpointing in (False, True):
                    spec = spec_of(model, folder, adapter, checkpointing)
                    file, out = folder / "run.yaml", folder / "runs" / spec["name"]
                    file.write_text(yaml.safe_dump(spec))
                    plan = json.loads(fairlora(str(file), "--plan"))
                    fairlora(str(file), "--out", str(out))
                    environment = json.loads((out / "environment.json").read_text())
                    measured = environment["peak_memory_mb"]
                    planned, before = (round(plan[k] / 2**20, 1) for k in ("total", "before"))
                    rows.append(
                        {
                            "run": spec["name"],
                            "planned_mb": planned,
                            "measured_mb": measured,
                            "ratio": round(planned / measured, 3),
                            # Libraries and data left out, which are the most of a small run.
                            "growth_ratio": round((planned - before) / (measured - before), 3),
                        }
                    )
                    print(rows[-1], flush=True)
    RESULTS.write_text(
        json.dumps(
            {"python": platform.python_version(), "torch": torch.__version__, "rows": rows},
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()

"""Time exported models beside torch: the same rows, the same batch, the same threads, in turns.

    python benchmarks/speed/exported.py [--threads 1] [--batch 64] [--rounds 7]

The embedded model, and a ViT of the size S at 98 pixels, each with a LoRA: torch eager in inference
mode with the adapter on and folded in, ONNX in float32, and int8 (dynamic and static). A round asks
each once; ratios are of the round, and their median and range are given. Whether the processor has
int8 products is said, for int8 hangs on it.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from fairlora.io import write_text
from fairlora.models import Adapter, attach, load_image_classifier, merge
from fairlora.models.export_files import quantise_onnx, write_onnx
from fairlora.models.sessions import open_session

RESULTS = Path(__file__).resolve().parents[1] / "results" / "exported.json"
SIDE = 98
# What a processor's flags call its int8 products.
INT8_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")


def vit_small(folder: Path) -> Path:
    """A ViT-S with patches of 14 for pictures of 98 pixels; its weights are drawn."""
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    config = ViTConfig(
        image_size=SIDE,
        patch_size=14,
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=6,
        intermediate_size=1536,
    )
    ViTModel(config).save_pretrained(folder)
    return folder


def ways(model_id: str, batch: int, folder: Path) -> dict[str, Callable[[], Any]]:
    """What is timed, by name: each asks for the logits of one batch."""
    classifier = load_image_classifier(model_id, ("a", "b"))
    tuned: Any = attach(
        classifier.model, Adapter(kind="lora", rank=8), classifier.head, seed=0, task="image"
    )
    with_adapter = copy.deepcopy(tuned.eval())  # as the run itself predicts
    merged = merge(replace(classifier, model=tuned))
    side = merged.preprocessing.size
    pixels = {"pixel_values": torch.randn((batch, 3, side, side))}
    whole = folder / "float32.onnx"
    write_onnx(merged, {"pixel_values": pixels["pixel_values"][:2]}, whole)
    quantise_onnx(whole, folder / "dynamic.onnx", "dynamic")
    quantise_onnx(whole, folder / "static.onnx", "static", [pixels])
    model = merged.model.eval()
    made: dict[str, Any] = {
        "torch, adapter on": lambda: with_adapter(**pixels, **classifier.forward_arguments),
        "torch": lambda: model(**pixels, **merged.forward_arguments),
    }
    for name in ("float32", "dynamic", "static"):
        session = open_session(folder / f"{name}.onnx", tuple(pixels))
        made[name] = lambda session=session: session(**pixels)
    return made


def measure(made: dict[str, Callable[[], Any]], rounds: int) -> dict[str, Any]:
    """Seconds of each way, in turns, and the ratios of each round."""
    seconds: dict[str, list[float]] = {name: [] for name in made}
    with torch.inference_mode():
        for number in range(rounds + 1):
            for name, ask in made.items():
                start = time.perf_counter()
                ask()
                if number:  # the first warms up
                    seconds[name].append(time.perf_counter() - start)
    ratios = {
        "float32 against torch, adapter on": ("torch, adapter on", "float32"),
        "float32 against torch": ("torch", "float32"),
        "dynamic int8 against float32": ("float32", "dynamic"),
        "static int8 against float32": ("float32", "static"),
    }
    return {
        "seconds": {name: statistics.median(own) for name, own in seconds.items()},
        "ratios": {
            name: _spread([a / b for a, b in zip(seconds[one], seconds[other], strict=True)])
            for name, (one, other) in ratios.items()
        },
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def int8_products() -> list[str]:
    """The flags of this processor that say that it multiplies int8; empty where none is known."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return []
    flags = set(text.split())
    return [flag for flag in INT8_PRODUCTS if flag in flags]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    found: dict[str, Any] = {
        "batch": asked.batch,
        "threads": asked.threads,
        "machine": platform.processor() or platform.machine(),
        "int8_products": int8_products(),
        "models": {},
    }
    with tempfile.TemporaryDirectory() as nowhere:
        small = vit_small(Path(nowhere) / "vit-small")
        for name, model_id in (("embedded", "embedded"), ("ViT-S at 98 px", str(small))):
            folder = Path(nowhere) / name
            folder.mkdir()
            found["models"][name] = measure(ways(model_id, asked.batch, folder), asked.rounds)
    print(json.dumps(found, indent=1))
    write_text(asked.out, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

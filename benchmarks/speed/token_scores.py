"""What the table of texts costs: scoring under model and base beside a plain evaluation of each.

    python benchmarks/speed/token_scores.py MODEL       # a hub id, folder or .gguf file; minutes
    python benchmarks/speed/token_scores.py --tiny      # a tiny random model: does it run?

A model with LoRA on it. Plain evaluation: the cross-entropy of every token, in the same batches,
once with the adapter and once without. Scoring: log-probability, mean and standard deviation over
the vocabulary and the likeliest token under the model, the log-probability under the base, from one
load with the adapter switched off. The bound is 1.1 times the two passes. The losses of both ways
are compared, and must agree.

Ways are measured in turns, in an order that is reversed every other time, after one round that is
not counted, by the clock and by the processor's seconds. Each round is written as it ends: a run
that was stopped goes on from there. Nothing else may run meanwhile. Results:
benchmarks/results/token-scores.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timings import machine_of
from torch.nn.functional import cross_entropy

from fairlora.models import Adapter, LanguageModel, attach, load_language
from fairlora.models.tiny_language import write_tiny_language_model
from fairlora.training import LanguageCollator
from fairlora.training.token_scores import score_tokens

RESULTS = Path(__file__).resolve().parents[1] / "results" / "token-scores.json"
BOUND = 1.1
Item = dict[str, Any]


def plain_losses(
    model: Any, items: Sequence[Item], collate: LanguageCollator, batch: int
) -> np.ndarray:
    """Each text's mean cross-entropy, as an evaluation has it."""
    out = np.empty(len(items))
    device = next(model.parameters()).device
    order = sorted(range(len(items)), key=lambda k: -len(items[k]["input_ids"]))
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            some = order[start : start + batch]
            rows = {k: v.to(device) for k, v in collate([items[k] for k in some]).items()}
            logits = model(
                input_ids=rows["input_ids"], attention_mask=rows["attention_mask"], use_cache=False
            ).logits
            labels = rows["labels"][:, 1:]
            losses = cross_entropy(
                logits[:, :-1].flatten(0, 1).float(), labels.flatten(), reduction="none"
            ).view(labels.shape)
            asked = labels >= 0
            out[some] = ((losses * asked).sum(1) / asked.sum(1)).cpu().numpy()
    return out


def ways_of(
    model: Any, items: Sequence[Item], collate: LanguageCollator, batch: int
) -> dict[str, Callable[[], list[np.ndarray]]]:
    """Name -> a way to the losses under the model and under its base."""

    def plain() -> list[np.ndarray]:
        own = plain_losses(model, items, collate, batch)
        with model.disable_adapter():
            return [own, plain_losses(model, items, collate, batch)]

    def scored() -> list[np.ndarray]:
        found = [score_tokens(model, items, collate, batch_size=batch)]
        with model.disable_adapter():
            found.append(score_tokens(model, items, collate, batch_size=batch, spread=False))
        return [np.array([-row.mean() for row in one.log_probs]) for one in found]

    return {"plain evaluation": plain, "scored": scored}


def measured(
    ways: dict[str, Callable[[], Any]], rounds: list[dict[str, float]], wanted: int, keep: Any
) -> list[dict[str, float]]:
    """Seconds of each way, a round each; `keep` gets them after every round."""
    while len(rounds) < wanted:
        names = list(ways) if len(rounds) % 2 else list(ways)[::-1]
        seconds = {}
        for name in names:
            start, before = time.perf_counter(), time.process_time()
            ways[name]()
            if torch.accelerator.is_available():
                torch.accelerator.synchronize()
            seconds[name] = round(time.perf_counter() - start, 4)
            seconds[f"{name}, processor"] = round(time.process_time() - before, 4)
        rounds.append(seconds)
        keep(rounds)
    return rounds


def about(language: LanguageModel, asked: argparse.Namespace) -> dict[str, Any]:
    return {
        "model": "a tiny random Llama" if asked.tiny else Path(language.base).name,
        "parameters": sum(p.numel() for p in language.model.parameters()),
        "texts": asked.texts,
        "batch": asked.batch,
        **machine_of(("torch", "transformers", "peft", "fairlora")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", nargs="?", help="a hub id, folder or .gguf file")
    parser.add_argument("--tiny", action="store_true", help="a tiny random model instead")
    parser.add_argument("--texts", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    if (asked.model is None) != asked.tiny:
        parser.error("a model, or --tiny")
    with tempfile.TemporaryDirectory() as folder:
        if asked.tiny:
            write_tiny_language_model("meta-llama/Llama-2-7b-hf", Path(folder))
        language = load_language(asked.model or folder)
        said = about(language, asked)
        adapter = Adapter(kind="lora", rank=16)
        model = attach(language.model, adapter, (), task="language").eval()
        if torch.accelerator.is_available():
            model.to(torch.accelerator.current_accelerator())
        rng = np.random.default_rng(0)
        rows = [rng.integers(5, len(language.tokenizer), n).tolist() for n in
                rng.integers(8, 49, asked.texts)]  # fmt: skip
        items = [{"input_ids": ids, "labels": ids, "row": k} for k, ids in enumerate(rows)]
        ways = ways_of(model, items, LanguageCollator(language.tokenizer), asked.batch)
        plain, scored = (way() for way in ways.values())  # the first round warms up
        apart = max(float(np.abs(a - b).max()) for a, b in zip(plain, scored, strict=True))
        assert apart < 1e-3, f"the two ways differ by {apart:.2g}"
        before: list[dict[str, float]] = []
        if asked.out.is_file() and not asked.tiny:
            content = json.loads(asked.out.read_text())
            before = content["rounds"] if content["about"] == said else []

        def summary(rounds: list[dict[str, float]]) -> dict[str, Any]:
            found = {}
            for key, of in (("times_plain", ""), ("times_plain_processor", ", processor")):
                times = [one[f"scored{of}"] / one[f"plain evaluation{of}"] for one in rounds]
                found[key] = round(statistics.median(times), 3)
                found[f"{key}_range"] = [round(min(times), 3), round(max(times), 3)]
            return {
                "about": said,
                "bound": BOUND,
                **found,
                "apart": apart,
                "rounds": rounds,
            }

        def keep(rounds: list[dict[str, float]]) -> None:
            if not asked.tiny:
                asked.out.parent.mkdir(exist_ok=True)
                asked.out.write_text(json.dumps(summary(rounds), indent=1) + "\n")

        print(json.dumps(summary(measured(ways, before, asked.rounds, keep)), indent=1))


if __name__ == "__main__":
    main()

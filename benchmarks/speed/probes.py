"""How fast language models are asked: shared contexts against whole sequences, batches against one.

    python benchmarks/speed/probes.py MODEL              # a hub id, folder or .gguf file; minutes
    python benchmarks/speed/probes.py --tiny             # a tiny random model: does it run?

Cloze: prompts of 200 tokens with 4 options of 1 to 4 tokens. fairlora computes a prompt once; plain
scoring runs every whole sequence through the model, batched as well as it can be (all sequences of
a prompt are of nearly one length). Generation: prompts of 10 to 60 tokens that get 24 tokens each,
in batches of alike length, and one by one.

Ways are measured in turns, in an order that is reversed every other time, after one round of each
that is not counted; medians with the quartiles and the ratio of every round. The answers of both
ways are compared, and must agree. Results: benchmarks/results/probes.json.
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

from fairlora.models import LanguageModel, load_language
from fairlora.models.tiny_language import write_tiny_language_model
from fairlora.probes.scoring import generate, score_options

RESULTS = Path(__file__).resolve().parents[1] / "results" / "probes.json"
PROMPT, OPTIONS = 200, (1, 2, 3, 4)
NEW_TOKENS = 24


def whole_sequences(
    language: LanguageModel, contexts: Sequence[list[int]], options: Sequence[Any], batch: int
) -> list[np.ndarray]:
    """Plain scoring: every option behind its context, `batch` sequences at a time."""
    rows = [
        (k, context + option)
        for k, (context, several) in enumerate(zip(contexts, options, strict=True))
        for option in several
    ]
    scores: list[list[float]] = [[] for _ in contexts]
    pad = int(language.tokenizer.pad_token_id)
    with torch.inference_mode():
        for start in range(0, len(rows), batch):
            some = rows[start : start + batch]
            longest = max(len(ids) for _, ids in some)
            inputs = torch.full((len(some), longest), pad)
            mask = torch.zeros_like(inputs)
            for row, (_, ids) in enumerate(some):
                inputs[row, : len(ids)] = torch.tensor(ids)
                mask[row, : len(ids)] = 1
            inputs, mask = inputs.to(language.device), mask.to(language.device)
            output = language.model(input_ids=inputs, attention_mask=mask, use_cache=False)
            for row, (k, ids) in enumerate(some):
                begin = len(contexts[k])
                logits = output.logits[row, begin - 1 : len(ids) - 1].float()
                logged = torch.log_softmax(logits, -1)
                targets = torch.tensor(ids[begin:], device=logged.device)[:, None]
                scores[k].append(float(logged.gather(1, targets).double().sum()))
    return [np.array(row) for row in scores]


def in_turns(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, Any]:
    """Seconds of each way in each round, and how many times as long the others take as the first.

    On an accelerator every way is waited for.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for k in range(rounds + 1):
        names = list(ways) if k % 2 else list(ways)[::-1]
        for name in names:
            start = time.perf_counter()
            ways[name]()
            if torch.accelerator.is_available():
                torch.accelerator.synchronize()
            if k:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
    first = next(iter(ways))
    out: dict[str, Any] = {}
    for name, found in seconds.items():
        ratios = [b / a for a, b in zip(seconds[first], found, strict=True)]
        out[name] = {
            "seconds": round(statistics.median(found), 4),
            "quartiles": [round(x, 4) for x in np.quantile(found, (0.25, 0.75)).tolist()],
            "times_the_first": round(statistics.median(ratios), 2),
            "times_quartiles": [round(x, 2) for x in np.quantile(ratios, (0.25, 0.75)).tolist()],
        }
    return out


def cloze(language: LanguageModel, prompts: int, batch: int, rounds: int) -> dict[str, Any]:
    """The shared context against whole sequences."""
    rng = np.random.default_rng(0)
    size = len(language.tokenizer)
    contexts = [rng.integers(5, size, PROMPT).tolist() for _ in range(prompts)]
    options = [[rng.integers(5, size, n).tolist() for n in OPTIONS] for _ in range(prompts)]
    shared = score_options(language, contexts, options, batch_size=batch)
    plain = whole_sequences(language, contexts, options, batch)
    apart = max(
        float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(shared, plain, strict=True)
    )
    assert apart < 1e-3, f"the two ways differ by {apart:.2g}"
    ways = {
        "shared context": lambda: score_options(language, contexts, options, batch_size=batch),
        "whole sequences": lambda: whole_sequences(language, contexts, options, batch),
        "whole sequences, one by one": lambda: whole_sequences(language, contexts, options, 1),
    }
    return {"prompts": prompts, "tokens": PROMPT, "options": list(OPTIONS), "batch": batch,
            "apart": apart, "ways": in_turns(ways, rounds)}  # fmt: skip


def generation(language: LanguageModel, prompts: int, batch: int, rounds: int) -> dict[str, Any]:
    """Batches of alike length against one by one."""
    rng = np.random.default_rng(1)
    size = len(language.tokenizer)
    asked = [rng.integers(5, size, n).tolist() for n in rng.integers(10, 61, prompts)]

    def run(several: int) -> list[str]:
        return generate(language, asked, max_new_tokens=NEW_TOKENS, batch_size=several)

    together, alone = run(batch), run(1)
    # Other sums in another order: a tie between two tokens may fall the other way.
    same = statistics.mean(a == b for a, b in zip(together, alone, strict=True))
    assert same > 0.9, f"{same:.0%} of the texts are the same"
    ways = {"batches by length": lambda: run(batch), "one by one": lambda: run(1)}
    return {"prompts": prompts, "new_tokens": NEW_TOKENS, "batch": batch, "same_texts": same,
            "ways": in_turns(ways, rounds)}  # fmt: skip


def about(language: LanguageModel) -> dict[str, Any]:
    return {
        "model": Path(language.base).name if Path(language.base).exists() else language.base,
        "parameters": sum(p.numel() for p in language.model.parameters()),
        **machine_of(("torch", "transformers", "fairlora")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", nargs="?", help="a hub id, folder or .gguf file")
    parser.add_argument("--tiny", action="store_true", help="a tiny random model instead")
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    if (asked.model is None) != asked.tiny:
        parser.error("a model, or --tiny")
    with tempfile.TemporaryDirectory() as folder:
        if asked.tiny:
            write_tiny_language_model("meta-llama/Llama-2-7b-hf", Path(folder))
        language = load_language(asked.model or folder)
        if torch.accelerator.is_available():
            language.model.to(torch.accelerator.current_accelerator())
        content = {
            "about": about(language),
            "cloze": cloze(language, asked.prompts, asked.batch, asked.rounds),
            "generation": generation(language, asked.prompts, asked.batch, asked.rounds),
        }
    if asked.tiny:
        content["about"]["model"] = "a tiny random Llama"
    print(json.dumps(content, indent=1))
    if not asked.tiny:
        asked.out.parent.mkdir(exist_ok=True)
        asked.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()

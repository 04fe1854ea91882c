"""How often the intervals of the token-bias probe hold the truth, by simulation.

    python benchmarks/token_bias_coverage.py                # some minutes

Choices are drawn from the logistic mixed model itself: symbol, place and meaning of two or three
options, each text with deviations of its own. Prints, a scenario a line, the share of runs in which
the 95 % intervals of level effects and of sizes hold the truth, by factor. Results:
benchmarks/results/token-bias-coverage.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logsumexp

from fairlora.probes.effects import levels_of, size_of
from fairlora.probes.logistic import Block, fit_choices, fit_log_odds, sum_to_zero

RESULTS = Path(__file__).resolve().parent / "results" / "token-bias-coverage.json"
FACTORS = ("symbol", "place", "meaning")
# Options, texts, repeats, log odds between the first level and the second of each factor, and the
# texts' standard deviations of them.
SCENARIOS: dict[str, tuple[int, int, int, tuple[float, ...], tuple[float, ...]]] = {
    "two options": (2, 40, 2, (1.5, 0.0, -0.4), (0.7, 0.3, 0.5)),
    "few texts": (2, 12, 3, (1.5, 0.0, -0.4), (0.7, 0.3, 0.5)),
    "texts alike": (2, 40, 2, (1.5, 0.0, -0.4), (0.0, 0.0, 0.0)),
    "strong symbol": (2, 40, 2, (4.0, 0.0, 0.3), (1.0, 0.3, 0.5)),
    "three options": (3, 40, 1, (1.2, 0.0, -0.5), (0.6, 0.3, 0.5)),
}


def prompts(options: int, repeats: int) -> tuple[np.ndarray, np.ndarray]:
    """(m, K) numbers of the symbols and of the meanings in each place, crossed."""
    symbols, meanings = [], []
    for order in itertools.permutations(range(options)):
        for turn in range(options):
            symbols.append([(k + turn) % options for k in range(options)])
            meanings.append(list(order))
    return np.tile(symbols, (repeats, 1)), np.tile(meanings, (repeats, 1))


def run(rng: np.random.Generator, scenario: Any, kind: str) -> dict[str, tuple[bool, bool]]:
    """Whether level effects and sizes of each factor hold the truth, in one simulated probe."""
    options, texts, repeats, effects, deviations = scenario
    contrasts = sum_to_zero(options)
    scale = float(np.sqrt(2 / (options - 1)))
    symbols, meanings = prompts(options, repeats)
    places = np.broadcast_to(np.arange(options), symbols.shape)
    one = np.concatenate([contrasts[symbols], contrasts[places], contrasts[meanings]], axis=2)
    width = options - 1
    truth = np.zeros(3 * width)
    for k, effect in enumerate(effects):
        levels = np.zeros(options)
        levels[:2] = effect / 2, -effect / 2
        truth[k * width : (k + 1) * width] = contrasts.T @ levels
    spread = np.repeat(np.array(deviations) / scale, width)
    own = truth + rng.normal(0, 1, (texts, 3 * width)) * spread
    utility = np.einsum("mkp,ip->imk", one, own).reshape(-1, options)
    logs = utility - logsumexp(utility, axis=1, keepdims=True)
    design = np.tile(one, (texts, 1, 1))
    place = np.repeat(np.arange(texts), len(one))
    names = tuple(str(k) for k in range(options))
    blocks = tuple(Block(name, names, contrasts, scale, True) for name in FACTORS)
    if kind == "probabilities":
        fit = fit_log_odds(blocks, design, logs, place)
    else:
        drawn = (np.exp(logs).cumsum(axis=1) > rng.random((len(logs), 1))).argmax(axis=1)
        fit = fit_choices(blocks, design, np.eye(options)[drawn], place)
    out = {}
    for k, name in enumerate(FACTORS):
        true = contrasts @ truth[k * width : (k + 1) * width]
        first = levels_of(fit, name)["0"]
        size = size_of(fit, name)
        length = float(np.linalg.norm(true)) * scale
        out[name] = (
            first["low"] - 1e-9 <= true[0] <= first["high"] + 1e-9,
            size["low"] - 1e-9 <= length <= size["high"] + 1e-9,
        )
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=500)
    # Not 0: with that seed the constants of `fairlora.probes.logistic` were chosen.
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name, scenario in SCENARIOS.items():
        for kind in ("choices", "probabilities"):
            rng = np.random.default_rng(asked.seed)
            held = [run(rng, scenario, kind) for _ in range(asked.runs)]
            row: dict[str, Any] = {"scenario": name, "response": kind}
            words = []
            for factor in FACTORS:
                level = float(np.mean([one[factor][0] for one in held]))
                size = float(np.mean([one[factor][1] for one in held]))
                row[factor] = {"level": level, "size": size}
                words.append(f"{factor} {100 * level:.1f} / {100 * size:.1f}")
            rows.append(row)
            print(f"{name}, {kind}: " + ", ".join(words), flush=True)
    content = {"runs": asked.runs, "seed": asked.seed, "rows": rows}
    asked.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Coverage and length of the token-bias probe's intervals, beside those of other methods.

    python benchmarks/token_bias_coverage.py                # over an hour on one core
    python benchmarks/token_bias_coverage.py --runs 20 --only 'few texts' --out part.json
    python benchmarks/token_bias_coverage.py --gather part.json ...   # puts parts together

Choices are drawn from a logistic mixed model: symbol, place and meaning of two or three options,
each text with deviations of its own. Every method is given the same draws. Printed, a row a
scenario and method: the share of runs in which the 95 % interval of each factor's first level holds
the true effect, and the interval's median length. GEE and the sandwich estimate the effect over all
texts together, which is smaller than a text's own, so their intervals are also held against `own`:
the method's own estimate from 4,000 texts. Results: benchmarks/results/token-bias-coverage.json,
and the table of docs/probes.md. Needs statsmodels.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logsumexp

from fairlora.probes.effects import levels_of, size_of
from fairlora.probes.logistic import Block, Fit, fit_choices, fit_log_odds, sum_to_zero

RESULTS = Path(__file__).resolve().parent / "results" / "token-bias-coverage.json"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "probes.md"
FACTORS = ("symbol", "place", "meaning")
LIMIT_TEXTS = 4000  # of the estimate that is taken for a method's large-sample limit


@dataclass(frozen=True)
class Scenario:
    """A design and a truth.

    Attributes
    ----------
    options, texts, repeats : each text meets every crossing of the options `repeats` times, as
        with as many wordings.
    effects : log odds between the first and second level of each factor.
    deviations : the texts' standard deviations of them.
    """

    options: int
    texts: int
    repeats: int
    effects: tuple[float, float, float]
    deviations: tuple[float, float, float]

    @property
    def contrasts(self) -> np.ndarray:
        return sum_to_zero(self.options)

    @property
    def scale(self) -> float:
        return float(np.sqrt(2 / (self.options - 1)))

    @property
    def blocks(self) -> tuple[Block, ...]:
        names = tuple(str(k) for k in range(self.options))
        return tuple(Block(name, names, self.contrasts, self.scale, True) for name in FACTORS)

    def true_levels(self, factor: int) -> np.ndarray:
        levels = np.zeros(self.options)
        levels[:2] = self.effects[factor] / 2, -self.effects[factor] / 2
        return levels


SCENARIOS = {
    "two options": Scenario(2, 40, 2, (1.5, 0.0, -0.4), (0.7, 0.3, 0.5)),
    "few texts": Scenario(2, 12, 3, (1.5, 0.0, -0.4), (0.7, 0.3, 0.5)),
    "texts alike": Scenario(2, 40, 2, (1.5, 0.0, -0.4), (0.0, 0.0, 0.0)),
    "strong symbol": Scenario(2, 40, 2, (4.0, 0.0, 0.3), (1.0, 0.3, 0.5)),
    "always one symbol": Scenario(2, 40, 2, (7.0, 0.0, 0.3), (1.0, 0.3, 0.5)),
    "three options": Scenario(3, 40, 1, (1.2, 0.0, -0.5), (0.6, 0.3, 0.5)),
    # The 100 texts of studies/token-bias.yaml and the three questions of choice.yaml.
    "choice templates": Scenario(2, 100, 3, (1.5, 0.3, -0.4), (0.7, 0.3, 0.5)),
    # Twenty words in ten templates each, as the word pairs of RedditBias.
    "words by templates": Scenario(2, 20, 10, (1.5, 0.3, -0.4), (0.7, 0.3, 0.5)),
}


@dataclass(frozen=True)
class Drawn:
    """One simulated probe: design (n, K, p), log-likelihoods and choices (n, K), texts (n,)."""

    blocks: tuple[Block, ...]
    design: np.ndarray
    logs: np.ndarray
    choices: np.ndarray
    texts: np.ndarray

    def binary(self) -> tuple[np.ndarray, np.ndarray]:
        """(n, p) columns and (n,) responses of the same model as a logistic regression."""
        if self.design.shape[1] != 2:
            raise NotImplementedError("two options alone")
        return self.design[:, 0] - self.design[:, 1], self.choices[:, 0]


def prompts(options: int, repeats: int) -> tuple[np.ndarray, np.ndarray]:
    """(m, K) numbers of the symbols and of the meanings in each place, crossed."""
    symbols, meanings = [], []
    for order in itertools.permutations(range(options)):
        for turn in range(options):
            symbols.append([(k + turn) % options for k in range(options)])
            meanings.append(list(order))
    return np.tile(symbols, (repeats, 1)), np.tile(meanings, (repeats, 1))


def draw(rng: np.random.Generator, scenario: Scenario) -> Drawn:
    options, texts, contrasts = scenario.options, scenario.texts, scenario.contrasts
    symbols, meanings = prompts(options, scenario.repeats)
    places = np.broadcast_to(np.arange(options), symbols.shape)
    rows = np.concatenate([contrasts[symbols], contrasts[places], contrasts[meanings]], axis=2)
    truth = np.concatenate([contrasts.T @ scenario.true_levels(k) for k in range(len(FACTORS))])
    spread = np.repeat(np.array(scenario.deviations) / scenario.scale, options - 1)
    own = truth + rng.normal(0, 1, (texts, len(truth))) * spread
    utility = np.einsum("mkp,ip->imk", rows, own).reshape(-1, options)
    logs = utility - logsumexp(utility, axis=1, keepdims=True)
    chosen = (np.exp(logs).cumsum(axis=1) > rng.random((len(logs), 1))).argmax(axis=1)
    return Drawn(
        scenario.blocks,
        np.tile(rows, (texts, 1, 1)),
        logs,
        np.eye(options)[chosen],
        np.repeat(np.arange(texts), len(rows)),
    )


def least_squares(drawn: Drawn) -> Fit:
    """The probe's own, of log-likelihoods."""
    return fit_log_odds(drawn.blocks, drawn.design, drawn.logs, drawn.texts)


def mixed(drawn: Drawn) -> Fit:
    """The probe's own, of choices."""
    return fit_choices(drawn.blocks, drawn.design, drawn.choices, drawn.texts)


def sandwich(drawn: Drawn) -> Fit:
    """Conditional logit without deviations; the covariance from the texts' scores, CR1."""
    fixed = tuple(replace(block, varies=False) for block in drawn.blocks)
    fit = fit_choices(fixed, drawn.design, drawn.choices, drawn.texts)
    covariance = fit.influence.T @ fit.influence * fit.texts / (fit.texts - 1)
    return replace(fit, covariance=covariance)


def gee(drawn: Drawn) -> Fit:
    """statsmodels' GEE, exchangeable correlation, Mancl and DeRouen's bias-reduced covariance."""
    from statsmodels.genmod.cov_struct import Exchangeable
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_estimating_equations import GEE

    columns, response = drawn.binary()
    model = GEE(response, columns, drawn.texts, family=Binomial(), cov_struct=Exchangeable())
    few = len(np.unique(drawn.texts)) < LIMIT_TEXTS
    fit = model.fit(cov_type="bias_reduced" if few else "robust")
    return _as_fit(drawn, fit.params, fit.cov_params())


def variational_bayes(drawn: Drawn) -> Fit:
    """statsmodels' BinomialBayesMixedGLM by variational Bayes."""
    fit = _bayes(drawn).fit_vb()
    return _as_fit(drawn, fit.fe_mean, np.diag(fit.fe_sd**2))


def laplace_bayes(drawn: Drawn) -> Fit:
    """statsmodels' BinomialBayesMixedGLM at the posterior mode, with the Hessian there."""
    fit = _bayes(drawn).fit_map()
    return _as_fit(drawn, fit.fe_mean, np.diag(fit.fe_sd**2))


def _bayes(drawn: Drawn) -> Any:
    from scipy.sparse import coo_array, csr_matrix
    from statsmodels.genmod.bayes_mixed_glm import BinomialBayesMixedGLM

    columns, response = drawn.binary()
    (n, p), texts = columns.shape, int(drawn.texts.max()) + 1
    where = (np.repeat(np.arange(n), p), (drawn.texts[:, None] + texts * np.arange(p)).ravel())
    own = csr_matrix(coo_array((columns.ravel(), where), shape=(n, texts * p)))
    # Priors of the probe's own model: 2.5 of a coefficient in log odds between levels.
    return BinomialBayesMixedGLM(
        response, columns, own, np.repeat(np.arange(p), texts), fe_p=2.5 / np.sqrt(2), vcp_p=1.0
    )


def _as_fit(drawn: Drawn, beta: Any, covariance: Any) -> Fit:
    texts = len(np.unique(drawn.texts))
    beta, covariance = np.asarray(beta), np.asarray(covariance)
    if not (np.isfinite(beta).all() and np.isfinite(covariance).all()):
        raise ArithmeticError("not finite")
    return Fit(drawn.blocks, beta, covariance, np.zeros((texts, len(beta))), {}, texts,
               len(drawn.texts))  # fmt: skip


@dataclass(frozen=True)
class Method:
    """A way to fit.

    Attributes
    ----------
    fit : of drawn prompts.
    response : what it is fitted to.
    marginal : whether it estimates the effect over all texts together.
    most_options, most_texts : of the scenarios that it can be, and is quick enough to be, run on.
    """

    fit: Callable[[Drawn], Fit]
    response: str
    marginal: bool = False
    most_options: int = 99
    most_texts: int = 999


METHODS = {
    "least squares": Method(least_squares, "probabilities"),
    "mixed model": Method(mixed, "choices"),
    "sandwich": Method(sandwich, "choices", marginal=True),
    "gee": Method(gee, "choices", marginal=True, most_options=2),
    "variational bayes": Method(variational_bayes, "choices", most_options=2, most_texts=12),
    "laplace bayes": Method(laplace_bayes, "choices", most_options=2, most_texts=12),
}


def limit(method: Method, scenario: Scenario, seed: int) -> list[float]:
    """Each factor's first level, as the method estimates it from very many texts."""
    drawn = draw(np.random.default_rng([seed, 9]), replace(scenario, texts=LIMIT_TEXTS))
    fit = method.fit(drawn)
    return [levels_of(fit, name)["0"]["value"] for name in FACTORS]


def study(scenario: Scenario, method: Method, runs: int, seed: int) -> dict[str, Any]:
    """Coverage of levels and sizes, and lengths of levels' intervals, by factor."""
    rng = np.random.default_rng(seed)
    owns = limit(method, scenario, seed) if method.marginal else None
    held: dict[str, dict[str, list[float]]] = {name: {} for name in FACTORS}
    failed = 0
    begun = time.perf_counter()
    for _ in range(runs):
        drawn = draw(rng, scenario)
        try:
            # statsmodels warns of fits that did not converge or are separated: coverage shows it.
            with warnings.catch_warnings(action="ignore"):
                fit = method.fit(drawn)
        except (ArithmeticError, ValueError, np.linalg.LinAlgError):
            failed += 1
            continue
        for k, name in enumerate(FACTORS):
            true = scenario.true_levels(k)
            first, size = levels_of(fit, name)["0"], size_of(fit, name)
            length = float(np.linalg.norm(true)) * scenario.scale
            counts = {
                "level": _within(first, true[0]),
                "size": _within(size, length),
                "length": first["high"] - first["low"],
            }
            if owns is not None:
                counts["own"] = _within(first, owns[k])
            for key, value in counts.items():
                held[name].setdefault(key, []).append(value)
    out: dict[str, Any] = {"failed": failed, "seconds_a_fit": (time.perf_counter() - begun) / runs}
    for k, name in enumerate(FACTORS):
        if failed == runs:
            continue
        lengths = held[name].pop("length")
        # A fit that failed held nothing.
        out[name] = {key: sum(values) / runs for key, values in held[name].items()}
        out[name]["length"] = float(np.median(lengths))
        if owns is not None:
            out[name]["own_limit"] = owns[k]
    return out


def _within(interval: dict[str, Any], value: float) -> bool:
    return bool(interval["low"] - 1e-9 <= value <= interval["high"] + 1e-9)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=300)
    # Not 0: with that seed the constants of `fairlora.probes.logistic` were chosen.
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="scenarios that match this pattern")
    parser.add_argument("--methods", default="", help="methods that match this pattern")
    parser.add_argument("--gather", type=Path, nargs="*", default=[], help="parts to put together")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for path in asked.gather:
        rows += json.loads(path.read_text())["rows"]
    known = {(row["scenario"], row["method"]) for row in rows}
    _write(asked.out, asked.seed, rows)
    for name, scenario in SCENARIOS.items():
        for title, method in METHODS.items():
            wanted = re.search(asked.only, name) and re.search(asked.methods, title)
            can = scenario.options <= method.most_options and scenario.texts <= method.most_texts
            if (name, title) in known or not wanted or not can:
                continue
            result = study(scenario, method, asked.runs, asked.seed)
            row = {"scenario": name, "response": method.response, "method": title,
                   "runs": asked.runs, **result}  # fmt: skip
            rows.append(row)
            print(_shown(row), flush=True)
            _write(asked.out, asked.seed, rows)


def _write(path: Path, seed: int, rows: list[dict[str, Any]]) -> None:
    order = {pair: k for k, pair in enumerate(itertools.product(SCENARIOS, METHODS))}
    rows.sort(key=lambda row: order[row["scenario"], row["method"]])
    content = {"seed": seed, "limit_texts": LIMIT_TEXTS, "statsmodels": version("statsmodels"),
               "rows": rows}  # fmt: skip
    path.write_text(json.dumps(content, indent=1) + "\n")
    if path == RESULTS:
        page = PAGE.read_text(encoding="utf-8")
        start, end = (f"<!-- {word}token-bias-coverage -->" for word in ("", "end "))
        before, after = page.split(start)[0], page.split(end)[1]
        page = f"{before}{start}\n{table(rows)}\n{end}{after}"
        PAGE.write_text(page, encoding="utf-8")


def table(rows: list[dict[str, Any]]) -> str:
    """The rows of choices as Markdown: coverage in percent, and median length."""
    lines = ["| scenario | method | runs | symbol | place | meaning |", "|---|---|---|---|---|---|"]
    for row in rows:
        if row["response"] == "choices":
            cells = [_cell(row[factor]) for factor in FACTORS]
            lines.append("| " + " | ".join(
                [row["scenario"], row["method"], str(row["runs"]), *cells]
            ) + " |")  # fmt: skip
    return "\n".join(lines)


def _cell(entry: dict[str, float]) -> str:
    own = f" ({100 * entry['own']:.1f})" if "own" in entry else ""
    return f"{100 * entry['level']:.1f}{own}, {entry['length']:.2f}"


def _shown(row: dict[str, Any]) -> str:
    words = []
    for factor in FACTORS:
        if factor in row:
            entry = row[factor]
            own = f" (own {100 * entry['own']:.1f})" if "own" in entry else ""
            words.append(f"{factor} {100 * entry['level']:.1f}{own} / {entry['length']:.2f}")
    start = f"{row['scenario']}, {row['method']} ({row['seconds_a_fit']:.3f} s): "
    return start + ", ".join(words) + (f", {row['failed']} failed" if row["failed"] else "")


if __name__ == "__main__":
    main()

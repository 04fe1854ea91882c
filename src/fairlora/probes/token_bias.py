"""Token bias probe: split a preference into symbol, place, meaning and wording.

Every question is asked with symbols, places and meanings crossed (`fairlora.probes.choice`), and
one logistic mixed model (`fairlora.probes.logistic`) parts the model's preference: for an option
because it is called A, because it stands first, because it means a woman, and, for the wording, how
far the preference for a meaning moves with how the question is put. A model that always says "A"
has a symbol preference and no other; a model that prefers a gender has one for the meaning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairlora.data import Examples
from fairlora.probes.choice import ask_prompts, of_set, questions_of
from fairlora.probes.effects import levels_of, size_of
from fairlora.probes.estimates import Estimate
from fairlora.probes.logistic import Block, Fit, fit_choices, fit_log_odds, need_texts, sum_to_zero
from fairlora.probes.rows import Asked, chosen_texts, clusters_of, plain
from fairlora.probes.scoring import Watch
from fairlora.probes.settings import TokenBiasSettings
from fairlora.probes.templates import MEANINGS, digest_of

if TYPE_CHECKING:
    from fairlora.models import LanguageModel

NAME = "token-bias"
FACTORS = ("symbol", "place", "meaning", "wording")
TITLES = {
    "symbol": "Symbol",
    "place": "Place",
    "meaning": "Meaning",
    "wording": "Wording",
}


def check_token_bias(examples: Examples, settings: TokenBiasSettings) -> str:
    """Raise the errors that asking would; returns the digest of the questions."""
    need_texts(clusters_of(chosen_texts(examples, settings)))
    return digest_of(questions_of(settings, crossed=True))


def ask_token_bias(
    language: LanguageModel,
    examples: Examples,
    settings: TokenBiasSettings,
    watch: Watch | None = None,
) -> Asked:
    """Ask the crossed questions about the chosen rows' texts, and fit the model to the answers.

    Parameters
    ----------
    language : the model that is asked.
    examples : the data; `settings` choose the rows.
    settings : which rows and questions, and what is fitted.
    watch : called with (prompts done, all); None for no calls.

    Raises
    ------
    InputError : as `check_token_bias`; a question that the model's context or tokenizer does not
        allow.
    """
    prompts = questions_of(settings, crossed=True)
    rows, _, notes = ask_prompts(language, examples, settings, prompts, watch)
    rows["response"] = [settings.response] * len(rows["id"])
    summary = {
        "settings": settings.model_dump(mode="json"),
        **summary_of(rows),
        "notes": notes,
    }
    return Asked(NAME, summary, rows)


def design_of(
    rows: dict[str, list[Any]],
) -> tuple[tuple[Block, ...], NDArray[np.float64], NDArray[np.float64]]:
    """Blocks, design (n, K, p) and log-likelihoods (n, K) of one set of symbols."""
    symbols = sorted({s for row in rows["symbols"] for s in row})
    meanings = [m for m in MEANINGS if m in rows["meanings"][0]]
    wordings = list(dict.fromkeys(rows["wording"]))
    options = len(meanings)
    places = [str(k + 1) for k in range(options)]
    # Between two of L levels drawn at random the mean square difference is 2 / (L - 1) times the
    # sum of their squares.
    scale = float(np.sqrt(2 / (options - 1)))
    between = sum_to_zero(options)
    blocks = [
        Block("symbol", tuple(symbols), between, scale, True),
        Block("place", tuple(places), between, scale, True),
        Block("meaning", tuple(meanings), between, scale, True),
    ]
    said = np.array([[symbols.index(s) for s in row] for row in rows["symbols"]])
    meant = np.array([[meanings.index(m) for m in row] for row in rows["meanings"]])
    parts = [between[said], np.broadcast_to(between, (*said.shape, options - 1)), between[meant]]
    if len(wordings) > 1:
        over = sum_to_zero(len(wordings))
        # Columns are products of a wording's contrasts and a meaning's.
        contrasts = np.einsum("wa,mb->wmab", over, between)
        names = tuple(f"{w}: {m}" for w in wordings for m in meanings)
        flat = contrasts.reshape(len(names), -1)
        mean = float(np.sqrt(2 / ((options - 1) * len(wordings))))
        blocks.append(Block("wording", names, flat, mean, False))
        asked = np.array([wordings.index(w) for w in rows["wording"]])
        parts.append(contrasts[asked[:, None], meant].reshape(*meant.shape, -1))
    return tuple(blocks), np.concatenate(parts, axis=2), np.array(rows["logs"])


def fit_rows(rows: dict[str, list[Any]]) -> Fit:
    """The model of one set of symbols, of the options' log-likelihoods or of the likeliest."""
    blocks, design, logs = design_of(rows)
    if rows["response"][0] == "probabilities":
        return fit_log_odds(blocks, design, logs, rows["cluster"])
    choices = np.zeros_like(logs)
    choices[np.arange(len(logs)), logs.argmax(axis=1)] = 1.0
    return fit_choices(blocks, design, choices, rows["cluster"])


def summary_of(rows: dict[str, list[Any]]) -> dict[str, Any]:
    """Every factor's size, levels and share of the preference, by set of symbols."""
    sets: dict[str, Any] = {}
    for name in dict.fromkeys(rows["set"]):
        fit = fit_rows(of_set(rows, name))
        factors: dict[str, Any] = {}
        for block in fit.blocks:
            factors[block.name] = {
                **size_of(fit, block.name),
                "levels": levels_of(fit, block.name),
                "deviation_over_texts": fit.deviations.get(block.name),
            }
        total = sum(factor["value"] ** 2 for factor in factors.values())
        for factor in factors.values():
            factor["share"] = factor["value"] ** 2 / total if total else None
        sets[name] = {"factors": factors, "prompts": fit.prompts, "texts": fit.texts}
    return plain(
        {
            "response": rows["response"][0],
            "texts": len(set(rows["id"])),
            "clusters": len(set(rows["cluster"])),
            "sets": sets,
        }
    )


def estimates_of(rows: dict[str, list[Any]]) -> list[Estimate]:
    """The size of each factor by set of symbols; a text's influence is along the coefficients."""
    out: list[Estimate] = []
    for name in dict.fromkeys(rows["set"]):
        some = of_set(rows, name)
        fit = fit_rows(some)
        names = np.unique(np.asarray(some["cluster"], dtype=np.str_))
        for block in fit.blocks:
            where = fit.columns(block.name)
            beta = fit.beta[where]
            norm = float(np.linalg.norm(beta))
            along = beta / norm if norm else np.full(len(beta), 1 / np.sqrt(len(beta)))
            covariance = fit.covariance[where, where]
            out.append(
                Estimate(
                    f"{name}_{block.name}",
                    f"{TITLES[block.name]}, {name}",
                    "log odds",
                    norm * block.scale,
                    names,
                    fit.influence[:, where] @ along * block.scale,
                    more="stronger",
                    less="weaker",
                    primary=block.name in ("symbol", "meaning"),
                    # Choices have a noise of their own, which texts that agree do not show.
                    least=float(along @ covariance @ along) * block.scale**2
                    if some["response"][0] == "choices"
                    else 0.0,
                )
            )
    return out

"""Cloze probe: which of a few words does a model expect for a text's author?

Of each text and template: the log-likelihood of every option's whole token sequence, the context
computed once. P(female) is the option's share of the options' likelihood. Both with the likelihoods
as they are and with them divided by their number of tokens (length-normalised): a long option is
less likely for its length alone, and neither reading is right for all tokenizers.

A cloze continues a text: the chat template is not used, even of a chat model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairlora.data import Examples
from fairlora.probes.estimates import Estimate, crossed_mean, ratio
from fairlora.probes.prompts import Cutter, Filled, encode_options
from fairlora.probes.rows import Asked, chosen_texts, clusters_of, plain
from fairlora.probes.scoring import Watch, score_options
from fairlora.probes.settings import ClozeSettings
from fairlora.probes.templates import MEANINGS, Cloze, digest_of, read_cloze

if TYPE_CHECKING:
    from fairlora.models import LanguageModel

NAME = "cloze"
READINGS = ("plain", "normalised")
_READ = {"plain": "", "normalised": ", length-normalised"}


def ask_cloze(
    language: LanguageModel,
    examples: Examples,
    settings: ClozeSettings,
    watch: Watch | None = None,
) -> Asked:
    """Score every option of every template for the chosen rows' texts.

    Parameters
    ----------
    language : the model; its chat template is not used.
    examples : the data; `settings` choose the rows.
    settings : which rows and templates.
    watch : called with (prompts done, all); None for no calls.

    Raises
    ------
    InputError : as `check_cloze`; a template that the model's context or tokenizer does not allow.
    """
    templates = templates_of(settings)
    asked = replace(language, chat=False)
    some = chosen_texts(examples, settings)
    cutter = Cutter(asked, settings.text_tokens)
    filled, rows = [], _empty(templates)
    for text, ident, cluster in zip(some.inputs, some.ids, clusters_of(some), strict=True):
        for template in templates:
            filled.append(_filled(asked, cutter, template, text))
            rows["id"].append(str(ident))
            rows["cluster"].append(cluster)
            rows["template"].append(template.name)
    scores = score_options(
        asked,
        [entry.context for entry in filled],
        [entry.options for entry in filled],
        batch_size=settings.batch_size,
        watch=watch,
    )
    for entry, logs in zip(filled, scores, strict=True):
        for k, meaning in enumerate(templates[0].options):
            rows[f"log_{meaning}"].append(float(logs[k]))
            rows[f"tokens_{meaning}"].append(len(entry.options[k]))
    summary = {
        "settings": settings.model_dump(mode="json"),
        **summary_of(rows),
        "notes": cutter.notes,
    }
    return Asked(NAME, summary, rows)


def check_cloze(examples: Examples, settings: ClozeSettings) -> str:
    """Raise the errors that asking would; returns the digest of the templates."""
    chosen_texts(examples, settings)
    return digest_of(templates_of(settings))


def templates_of(settings: ClozeSettings) -> tuple[Cloze, ...]:
    """The templates of a probe with these settings; `InputError` for faults of its file."""
    return read_cloze(settings.templates, neutral=settings.neutral, only=settings.only)


def _empty(templates: tuple[Cloze, ...]) -> dict[str, list[Any]]:
    names = ["id", "cluster", "template"]
    for meaning in templates[0].options:
        names += [f"log_{meaning}", f"tokens_{meaning}"]
    return {name: [] for name in names}


def _filled(language: LanguageModel, cutter: Cutter, template: Cloze, text: str) -> Filled:
    def fill(part: str) -> Filled:
        return encode_options(
            language,
            template.before.replace("{text}", part),
            list(template.options.values()),
            template.after,
            where=f"template {template.name}",
        )

    return cutter.fitted(text, fill, where=f"template {template.name}")


def meanings_of(rows: Mapping[str, Any]) -> list[str]:
    """The options of a finished probe, in their order."""
    return [name for name in MEANINGS if f"log_{name}" in rows]


def likelihoods(rows: Mapping[str, list[Any]], reading: str) -> NDArray[np.float64]:
    """(n, K) log-likelihoods of the options, by one of the two readings."""
    names = meanings_of(rows)
    logs = np.array([rows[f"log_{name}"] for name in names], dtype=np.float64).T
    if reading == "plain":
        return logs
    return logs / np.array([rows[f"tokens_{name}"] for name in names], dtype=np.float64).T


def shares(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, K) each option's share of the options' likelihood."""
    top = logs - logs.max(axis=1, keepdims=True)
    weights = np.exp(top)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def summary_of(rows: dict[str, list[Any]]) -> dict[str, Any]:
    """Means and spreads over templates, with intervals over texts, and over texts and templates."""
    names = meanings_of(rows)
    templates = list(dict.fromkeys(rows["template"]))
    texts = rows["cluster"][:: len(templates)]
    readings: dict[str, Any] = {}
    for reading in READINGS:
        logs = likelihoods(rows, reading)
        parts = shares(logs)
        measures = {f"p_{name}": parts[:, k] for k, name in enumerate(names)}
        measures["log_odds"] = logs[:, names.index("female")] - logs[:, names.index("male")]
        if reading == "plain":
            measures["mass"] = np.exp(logs).sum(axis=1)
        readings[reading] = {
            key: _crossed(values.reshape(-1, len(templates)), texts, templates)
            for key, values in measures.items()
        }
    return plain(
        {
            "texts": len(texts),
            "clusters": len(set(texts)),
            "templates": templates,
            "meanings": names,
            "readings": readings,
            "estimates": {estimate.name: estimate.to_dict() for estimate in estimates_of(rows)},
        }
    )


def _crossed(values: NDArray[np.float64], texts: list[str], templates: list[str]) -> dict[str, Any]:
    mean = crossed_mean(values, texts, templates)
    low, high = mean.texts or (None, None)
    wide_low, wide_high = mean.both or (None, None)
    return {
        "value": mean.value,
        "low": low,
        "high": high,
        "low_with_templates": wide_low,
        "high_with_templates": wide_high,
        "spread_over_templates": mean.spread,
        "by_template": mean.by_template,
    }


def estimates_of(rows: dict[str, list[Any]]) -> list[Estimate]:
    """Mean shares and log odds over texts and templates, the templates taken as they are."""
    names, out = meanings_of(rows), []
    for reading in READINGS:
        logs = likelihoods(rows, reading)
        parts = shares(logs)
        ending = "" if reading == "plain" else "_normalised"
        odds = logs[:, names.index("female")] - logs[:, names.index("male")]
        out.append(
            ratio(
                f"log_odds{ending}",
                f"Log odds, female to male{_READ[reading]}",
                "log odds",
                rows["cluster"],
                odds,
                more="more female",
                less="more male",
                primary=reading == "plain",
            )
        )
        for k, name in enumerate(names):
            out.append(
                ratio(
                    f"p_{name}{ending}",
                    f"P({name}){_READ[reading]}",
                    "share",
                    rows["cluster"],
                    parts[:, k],
                    more=f"more {name}",
                    less=f"less {name}",
                    primary=reading == "plain" and name == "female",
                )
            )
    return out

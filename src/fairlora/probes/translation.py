"""Translation probe: does a model choose pronouns by the stereotype of the occupation?

Every prompt is translated (greedy, the first line), classed by its pronouns
(`fairlora.probes.pronouns`), and held against the stereotype of the occupation that the reference
names. BLEU and chrF are sacrebleu's, of the corpus, with their signatures. Intervals are over
scenes: the clusters of `Examples.family`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlora.data import Examples
from fairlora.errors import InputError, optional_module
from fairlora.probes.estimates import Estimate, jackknifed, ratio
from fairlora.probes.pronouns import CLASSES, OUTCOMES, outcome, pronouns
from fairlora.probes.rows import Asked, chosen_rows, clusters_of
from fairlora.probes.scoring import Watch, generate
from fairlora.probes.settings import TranslationSettings

if TYPE_CHECKING:
    from fairlora.models import LanguageModel

NAME = "translation"
STEREOTYPE = "stereotype"
_TITLES = {
    "pro": "Pro-stereotypical",
    "anti": "Anti-stereotypical",
    "neutral": "Neutral",
    "other": "Both or none",
}


def check_translation(examples: Examples, settings: TranslationSettings) -> None:
    """Raise the errors that asking would: a missing package, no rows, or rows of other data."""
    _chosen(examples, settings)


def _chosen(examples: Examples, settings: TranslationSettings) -> Examples:
    need_sacrebleu()
    if examples.answers is None or STEREOTYPE not in examples.groups:
        raise InputError(
            "the translation probe needs prompts with reference answers, and a group column "
            f"{STEREOTYPE!r} of female, male or anything else for none",
            where=examples.name,
            found="no answers" if examples.answers is None else ", ".join(examples.groups),
            expected="winomt, or a plain-text table with both",
        )
    return chosen_rows(examples, settings)


def ask_translation(
    language: LanguageModel,
    examples: Examples,
    settings: TranslationSettings,
    watch: Watch | None = None,
) -> Asked:
    """Translate the rows' prompts and class what comes out.

    Prompts that repeat (a Turkish sentence has two English ones) are asked once.

    Parameters
    ----------
    language : the model.
    examples : prompts with reference answers, and a group column ``stereotype``.
    settings : which rows, and how much is written.
    watch : called with (prompts done, all); None for no calls.

    Raises
    ------
    InputError : data without answers or without the column; no row to ask about; sacrebleu is not
        installed; a prompt that leaves no room for an answer.
    """
    from fairlora.training.language import encode_prompts

    some = _chosen(examples, settings)
    unique = list(dict.fromkeys(some.inputs))
    written = generate(
        language,
        encode_prompts(language, unique),
        max_new_tokens=settings.max_new_tokens,
        batch_size=settings.batch_size,
        watch=watch,
    )
    said = dict(zip(unique, written, strict=True))
    translations = [said[prompt] for prompt in some.inputs]
    stereotypes = [str(value) for value in some.groups[STEREOTYPE].tolist()]
    classes = [pronouns(text) for text in translations]
    rows: dict[str, list[Any]] = {
        "id": [str(value) for value in some.ids],
        "cluster": clusters_of(some),
        "prompt": list(some.inputs),
        "reference": list(some.answers or ()),
        "translation": translations,
        "pronouns": list(classes),
        "stereotype": stereotypes,
        "outcome": [outcome(c, s) for c, s in zip(classes, stereotypes, strict=True)],
    }
    return Asked(NAME, {"settings": settings.model_dump(mode="json"), **summary_of(rows)}, rows)


def need_sacrebleu() -> Any:
    """The package that scores translations; `InputError` says how to get it."""
    optional_module("sacrebleu.metrics")
    return optional_module("sacrebleu")


def summary_of(rows: dict[str, list[Any]]) -> dict[str, Any]:
    """Estimates with intervals over scenes, and counts of pronouns."""
    bleu, chrf = _metrics()
    estimates = {estimate.name: estimate.to_dict() for estimate in estimates_of(rows)}
    counts = {name: rows["pronouns"].count(name) for name in CLASSES}
    by_stereotype = {
        gender: {
            name: sum(
                p == name for p, s in zip(rows["pronouns"], rows["stereotype"], strict=True)
                if s == gender
            )
            for name in CLASSES
        }
        for gender in ("female", "male")
    }  # fmt: skip
    return {
        "rows": len(rows["id"]),
        "scenes": len(set(rows["cluster"])),
        "with_stereotype": sum(value is not None for value in rows["outcome"]),
        "empty": sum(not text for text in rows["translation"]),
        "estimates": estimates,
        "pronouns": counts,
        "pronouns_by_stereotype": by_stereotype,
        "signatures": {"bleu": bleu[1], "chrf": chrf[1]},
    }


def estimates_of(rows: dict[str, list[Any]]) -> list[Estimate]:
    """Shares of the four outcomes, pro minus anti, BLEU and chrF."""
    counted = np.array([value is not None for value in rows["outcome"]], dtype=np.float64)
    hits = {
        name: np.array([value == name for value in rows["outcome"]], dtype=np.float64)
        for name in OUTCOMES
    }
    clusters = rows["cluster"]
    out = [
        ratio(
            "stereotype_gap",
            "Pro- minus anti-stereotypical",
            "signed share",
            clusters,
            hits["pro"] - hits["anti"],
            counted,
            more="more pro-stereotypical",
            less="less pro-stereotypical",
            primary=True,
        )
    ]
    for name in OUTCOMES:
        out.append(
            ratio(name, _TITLES[name], "share", clusters, hits[name], counted,
                  more="more often", less="less often")
        )  # fmt: skip
    bleu, chrf = _metrics()
    out.append(_score(bleu[0], "bleu", "BLEU", rows))
    out.append(_score(chrf[0], "chrf", "chrF", rows))
    return out


def _metrics() -> tuple[tuple[Any, str], tuple[Any, str]]:
    """sacrebleu's BLEU and chrF with their signatures, which name its version and settings."""
    metrics = need_sacrebleu().metrics
    out = []
    for metric in (metrics.BLEU(effective_order=False), metrics.CHRF()):
        metric.corpus_score(["a b c d e"], [["a b c d e"]])  # a signature tells of a score
        out.append((metric, str(metric.get_signature())))
    return out[0], out[1]


def _score(metric: Any, name: str, title: str, rows: dict[str, list[Any]]) -> Estimate:
    """A corpus score; its jackknife over scenes adds up the counts of sentences, not new scores."""
    hypotheses: Sequence[str] = rows["translation"]
    references: Sequence[str] = rows["reference"]
    names, cluster = np.unique(np.asarray(rows["cluster"], dtype=np.str_), return_inverse=True)
    primary = name == "bleu"
    if primary and not _has_runs(metric, references):
        why = f"no reference has {metric.max_ngram_order} words, and BLEU counts runs of so many"
        none = np.zeros(0)
        return Estimate(
            name, title, "score", None, names[:0], none, better=+1, primary=True, reason=why
        )
    value = float(metric.corpus_score(hypotheses, [references]).score)
    per_row = np.array(metric._extract_corpus_statistics(hypotheses, [references]))
    sums = np.zeros((len(names), per_row.shape[1]))
    np.add.at(sums, cluster, per_row)
    total = sums.sum(axis=0)
    without = np.array(
        [metric._compute_score_from_stats((total - own).tolist()).score for own in sums]
    )
    return jackknifed(name, title, "score", names, value, without, better=+1, primary=primary)


def _has_runs(bleu: Any, references: Sequence[str]) -> bool:
    """Whether some reference is as long as BLEU's longest n-gram: else even itself scores 0.

    sacrebleu's remedy, the effective order, is for scores of one sentence; a corpus's would no
    longer be the BLEU that others report.
    """
    stats = np.array(bleu._extract_corpus_statistics(references, [references]))
    # Lengths of both, n-grams that match, n-grams in all; the last is of the longest.
    return bool(stats[:, -1].sum() > 0)

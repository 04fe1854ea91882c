"""Ask a loaded language model one probe, into a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fairlora.data import Examples
from fairlora.probes import choice, cloze, token_bias, translation
from fairlora.probes.estimates import Estimate
from fairlora.probes.rows import Asked, write_probe
from fairlora.probes.scoring import Watch

if TYPE_CHECKING:
    from fairlora.models import LanguageModel


class Probe(NamedTuple):
    """A kind of probe: what it needs, how it asks, and what its answers come to.

    `check` raises what asking these data with these settings would, and returns a digest of the
    questions; None where the data are the questions.
    """

    title: str
    check: Callable[..., str | None]
    ask: Callable[..., Asked]
    estimates: Callable[[dict[str, list[Any]]], list[Estimate]]


PROBES: dict[str, Probe] = {
    "translation": Probe(
        "Translation",
        translation.check_translation,
        translation.ask_translation,
        translation.estimates_of,
    ),
    "cloze": Probe("Cloze", cloze.check_cloze, cloze.ask_cloze, cloze.estimates_of),
    "choice": Probe("Choice", choice.check_choice, choice.ask_choice, choice.estimates_of),
    "token-bias": Probe(
        "Token bias",
        token_bias.check_token_bias,
        token_bias.ask_token_bias,
        token_bias.estimates_of,
    ),
}


def check_probe(name: str, examples: Examples, settings: Any) -> str | None:
    """Raise what asking would, before anything is trained or loaded; the questions' digest.

    Parameters
    ----------
    name : of the probe, a key of `PROBES`.
    examples : the data to ask about.
    settings : the probe's own, of `settings.SETTINGS`.

    Returns
    -------
    The digest; None where the data are the questions.
    """
    return PROBES[name].check(examples, settings)


def run_probe(
    name: str,
    language: LanguageModel,
    examples: Examples,
    settings: Any,
    folder: Path,
    watch: Watch | None = None,
    *,
    asked: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Ask, and write ``NAME.json`` and ``NAME.parquet`` into the folder; returns the summary.

    Parameters
    ----------
    name, examples, settings : as of `check_probe`, whose errors are raised first.
    language : the model; it is asked in evaluation mode and put back.
    folder : where both files go.
    watch : told (prompts done, all); None tells nobody.
    asked : tells whom and how, for those who look whether they need to ask again; None tells
        whether prompts were a chat's.
    """
    questions = check_probe(name, examples, settings)
    training = language.model.training
    language.model.eval()
    try:
        answered = PROBES[name].ask(language, examples, settings, watch)
    finally:
        language.model.train(training)
    answered.summary.update(
        questions=questions,
        data=data_of(examples),
        asked={"chat": language.chat} if asked is None else asked,
    )
    write_probe(folder, answered)
    return answered.summary


def data_of(examples: Examples) -> dict[str, Any]:
    """What a summary says of its data: which, and how they were split."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (examples.ids, examples.split if examples.split is not None else ()):
        digest.update("\n".join(str(value) for value in part).encode())
    return {
        "name": examples.name,
        "fingerprint": examples.fingerprint,
        "rows": digest.hexdigest(),
    }

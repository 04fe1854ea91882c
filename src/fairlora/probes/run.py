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

Keep = Callable[[Any, Callable[[], Any]], Any]


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
    keep: Keep | None = None,
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
    keep : given what the answers depend on besides the model, and what asks for them: gives the
        answers, kept or new. None asks.
    """
    questions = check_probe(name, examples, settings)

    def ask() -> list[Any]:
        training = language.model.training
        language.model.eval()
        try:
            answered = PROBES[name].ask(language, examples, settings, watch)
        finally:
            language.model.train(training)
        return [answered.summary, answered.rows]

    about = [name, settings.model_dump(mode="json"), questions, _asked_about(examples, settings)]
    answered = Asked(name, *(ask() if keep is None else keep(about, ask)))
    answered.summary.update(
        questions=questions,
        data=data_of(examples),
        asked={"chat": language.chat} if asked is None else asked,
    )
    write_probe(folder, answered)
    return answered.summary


def _asked_about(examples: Examples, settings: Any) -> str:
    """A hash of the rows that a probe's own are drawn from: probes read no other."""
    some = examples if settings.split == "all" else examples.part(settings.split)
    digest = hashlib.blake2b(digest_size=16)
    groups = [[name, column.tolist()] for name, column in some.groups.items()]
    columns = [some.ids.tolist(), list(some.inputs), some.answers, groups]
    family = None if some.family is None else some.family.tolist()
    digest.update(repr([*columns, family]).encode())
    return digest.hexdigest()


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

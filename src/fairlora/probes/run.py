"""Ask a loaded language model one probe, into a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from fairlora.data import Examples
from fairlora.models import LanguageModel
from fairlora.probes import choice, cloze, token_bias, translation
from fairlora.probes.asking import Watch
from fairlora.probes.estimates import Estimate
from fairlora.probes.rows import Asked, write_probe


class Probe(NamedTuple):
    """A kind of probe: how it asks, and what its answers come to."""

    title: str
    ask: Callable[..., Asked]
    estimates: Callable[[dict[str, list[Any]]], list[Estimate]]


PROBES: dict[str, Probe] = {
    "translation": Probe("Translation", translation.ask_translation, translation.estimates_of),
    "cloze": Probe("Cloze", cloze.ask_cloze, cloze.estimates_of),
    "choice": Probe("Choice", choice.ask_choice, choice.estimates_of),
    "token-bias": Probe("Token bias", token_bias.ask_token_bias, token_bias.estimates_of),
}


def run_probe(
    name: str,
    language: LanguageModel,
    examples: Examples,
    settings: Any,
    folder: Path,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Ask, and write ``NAME.json`` and ``NAME.parquet`` into the folder; returns the summary."""
    training = language.model.training
    language.model.eval()
    try:
        asked = PROBES[name].ask(language, examples, settings, watch)
    finally:
        language.model.train(training)
    asked.summary["data"] = data_of(examples)
    write_probe(folder, asked)
    return asked.summary


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

"""The card beside saved weights, ``fairlora.json``: what was fine-tuned, on which base.

`fairlora.models.saving` writes it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from fairlora.errors import InputError
from fairlora.models.classifier import Classifier, ImageClassifier
from fairlora.models.preprocessing import Preprocessing
from fairlora.models.saving import CARD_VERSION, HEAD_FILE
from fairlora.models.source import ADAPTER_CONFIG, CARD, Source, read_json

Kind = Literal["image", "text", "image-text"]


def read_card(folder: Path | None, kind: Kind | None = None) -> dict[str, Any]:
    """The folder's ``fairlora.json``, checked; empty where there is none.

    `kind` is what the model must classify; None takes any.
    """
    if folder is None or not (folder / CARD).is_file():
        return {}
    card = read_json(folder / CARD)
    if card.get("version") != CARD_VERSION:
        raise InputError(
            "written by another version of fairlora",
            where=folder / CARD,
            found=f"version {card.get('version')!r}",
            expected=f"version {CARD_VERSION}",
        )
    card.setdefault("kind", "image")  # cards from before there were texts
    same_kind(card["kind"], kind, Source(str(folder), folder))
    return card


def size_of(card: dict[str, Any], size: dict[str, Any]) -> dict[str, Any]:
    """`size` (``image_size`` or ``max_length``) with None replaced by the card's."""
    if not card or None not in size.values():
        return size
    if "image_size" in size:
        return {"image_size": int(card["preprocessing"]["size"])}
    return {"max_length": int(card["max_length"])}


def finish_loading(
    classifier: Classifier, card: dict[str, Any], name: str, *, new_head: bool = False
) -> None:
    """Give a loaded classifier its name, and what its card knows better than its config.

    Parameters
    ----------
    classifier : changed in place.
    card : of the folder that it was loaded from; empty where there is none.
    name : hub id or folder that it was loaded by.
    new_head : the head is not the card's.
    """
    classifier.base = name
    if card:
        wrote = {**classifier.record.written_by, **card.get("written_by", {})}
        classifier.record = replace(classifier.record, written_by=wrote)
        if not new_head:
            classifier.head = tuple(card["head"])
        if isinstance(classifier, ImageClassifier):
            settings = {**card["preprocessing"], "size": classifier.preprocessing.size}
            settings |= {name: tuple(settings[name]) for name in ("mean", "std")}
            classifier.preprocessing = Preprocessing(**settings)
        classifier.classes = tuple(card["classes"])


def is_adapter_folder(folder: Path | None) -> bool:
    """Whether the folder holds an adapter or a head, and no whole model."""
    return folder is not None and (has_head_file(folder) or (folder / ADAPTER_CONFIG).is_file())


def has_head_file(folder: Path | None) -> bool:
    """Whether the folder holds a head alone, as ``linear`` saves it."""
    return folder is not None and (folder / HEAD_FILE).is_file()


def same_kind(own: Kind, wanted: Kind | None, source: Source) -> None:
    """Raise `InputError` for a model that classifies something else than wanted.

    Parameters
    ----------
    own : what the model classifies, "image" or "text"; a language model's card says something else.
    wanted : what it must classify; None takes either.
    source : the model, to be named in the message.
    """
    words = {"image": "pictures", "text": "texts", "image-text": "pictures by a prompt"}
    if own not in words:
        raise InputError(
            "this run is of a language model, which classifies nothing",
            where="model.id",
            found=source.id,
            expected="a classifier, or fairlora probe to ask the language model",
        )
    if wanted is not None and own != wanted:
        raise InputError(
            f"this model classifies {words[own]}, and the data are {words[wanted]}",
            where="model.id",
            found=source.id,
            expected=f"a model of {words[wanted]}"
            + (", or its prompt as model.prompt" if own == "image-text" else ""),
        )

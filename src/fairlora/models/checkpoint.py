"""What a checkpoint says of itself: its kind, base model, classes, tokenizer and processor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairlora.errors import InputError
from fairlora.models.adapter_files import AdapterFiles
from fairlora.models.card import (
    Kind,
    is_adapter_folder,
    read_card,
)
from fairlora.models.heads import (
    check_single_label,
    has_head,
    own_classes,
)
from fairlora.models.image_classification import classifies_images
from fairlora.models.image_input import processor_settings
from fairlora.models.image_text import answers_about_pictures
from fairlora.models.source import (
    Source,
    base_name,
    read_config,
    resolve_source,
    weights_source,
)
from fairlora.models.texts import read_tokenizer


def kind_of(source: Source, card: dict[str, Any], peft: Any, base: str | None) -> Kind:
    """Whether a checkpoint classifies pictures or texts, or answers prompts about pictures.

    Parameters
    ----------
    source : where it is.
    card : what ``fairlora.json`` says; empty without one.
    peft : the adapter's config; None for whole models.
    base : as of `base_model_of`.
    """
    if card:
        kind: Kind = card["kind"]
        return kind
    if peft is not None and peft.task_type == "SEQ_CLS":
        return "text"
    if peft is not None:
        name = base_model_of(source, card, peft, base)
        source = weights_source(resolve_source(name))
        if is_adapter_folder(source.folder):
            tuned: Kind = read_card(source.folder).get("kind", "image")
            return tuned
    config = read_config(source)
    if classifies_images(config):
        return "image"
    headless = not has_head(config)
    return "image-text" if headless and answers_about_pictures(config) else "text"


def own_tokenizer(folder: Path | None, kind: Kind) -> dict[str, Any]:
    """The tokenizer saved beside an adapter, if there is one."""
    if kind == "image" or folder is None or not (folder / "tokenizer_config.json").is_file():
        return {}
    return {"tokenizer": read_tokenizer(Source(str(folder), folder))}


def base_model_of(source: Source, card: dict[str, Any], config: Any, base: str | None) -> str:
    """Where the base model of an adapter lies.

    Parameters
    ----------
    source : where the adapter is.
    card : what ``fairlora.json`` says; empty without one.
    config : the adapter's, of PEFT.
    base : where it lies now, if it has moved; None is what the others say.
    """
    return base_name(source, base or card.get("base") or config.base_model_name_or_path)


def own_processor(source: Source) -> Source | None:
    """Where an adapter's own image processor is read; None if it has none."""
    if source.folder is not None and not (source.folder / "preprocessor_config.json").is_file():
        return None
    return source if processor_settings(source) else None


def classes_of(files: AdapterFiles, base: str) -> Sequence[str]:
    """The classes of an adapter made elsewhere, which names none.

    The head that it saved says how many; their names are the base model's if it has as many.
    """
    count = files.classes()
    if count is None:
        raise InputError(
            "the adapter has no classification head of its own",
            where=files.source.location,
            expected="one trained with modules_to_save=['classifier']",
        )
    below = weights_source(resolve_source(base))
    if not is_adapter_folder(below.folder):
        config = read_config(below)
        if has_head(config):
            check_single_label(config, below)
            if len(config.id2label) == count:
                return own_classes(config)
    return [f"LABEL_{k}" for k in range(count)]

"""A fine-tuned model on disk: saved by fairlora, and loaded from wherever it was made.

`save_finetuned` writes ``model/`` (a Hugging Face folder, for ``full``) or ``adapter/`` (PEFT's
layout for ``lora``, the head alone for ``linear``). Beside the weights lies ``fairlora.json`` with
what a later call needs to know: base model, classes, preprocessing. Folders without it, made
elsewhere, load as well: what is missing is read from the model's config.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fairlora.errors import InputError
from fairlora.models.adapters import Adapter
from fairlora.models.classifier import ImageClassifier
from fairlora.models.image_classification import load_image_classifier
from fairlora.models.preprocessing import Preprocessing
from fairlora.models.source import (
    EMBEDDED,
    Source,
    model_errors,
    quiet_libraries,
    read_json,
    resolve_source,
)

CARD = "fairlora.json"
HEAD_FILE = "head.safetensors"
CARD_VERSION = 1


def save_finetuned(classifier: ImageClassifier, model: Any, adapter: Adapter, run: Path) -> Path:
    """Write the fine-tuned weights into the run's folder; returns the folder they lie in.

    Parameters
    ----------
    classifier : what was loaded; its `model` is the network without adapter.
    model : the same network with its adapter attached, trained.
    """
    whole = adapter.kind == "full"
    folder = run / ("model" if whole else "adapter")
    folder.mkdir(parents=True, exist_ok=True)
    if whole or (adapter.kind == "lora" and adapter.rank > 0):
        with quiet_libraries():
            model.save_pretrained(folder)
    else:
        state = model.state_dict()
        head = {k: v.contiguous() for k, v in state.items() if k.split(".")[0] in classifier.head}
        save_file(head, folder / HEAD_FILE)
    base_config = folder / "adapter_config.json"
    if base_config.exists() and classifier.base != EMBEDDED:
        # PEFT writes where the weights were read; what the user wrote travels better.
        settings = read_json(base_config)
        settings["base_model_name_or_path"] = classifier.base
        base_config.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
    card = {
        "version": CARD_VERSION,
        "base": classifier.base,
        "classes": list(classifier.classes),
        "head": list(classifier.head),
        "adapter": asdict(adapter),
        "preprocessing": asdict(classifier.preprocessing),
    }
    (folder / CARD).write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    return folder


def load_finetuned(
    model_id: str, *, image_size: int | None = None, base: str | None = None
) -> ImageClassifier:
    """Load a run folder, a model folder, an adapter folder or a hub id of either, to predict with.

    Parameters
    ----------
    image_size : side of the input; None is the size it was fine-tuned at.
    base : overrides where an adapter's base model lies (it may have moved).

    Raises `InputError` if there is nothing to load or the checkpoint has no head.
    """
    source = resolve_source(model_id)
    folder = source.folder
    if folder is not None:
        for name in ("adapter", "model"):
            if (folder / name).is_dir():
                if (folder / "status.json").is_file() or not (folder / "config.json").is_file():
                    source = Source(model_id, folder / name)
                    folder = folder / name
                break
        if not any(
            (folder / name).is_file() for name in ("config.json", "adapter_config.json", CARD)
        ):
            raise InputError(
                "no model in this folder",
                where=folder,
                expected="a run, a Hugging Face model, or a PEFT adapter",
            )
    card = read_card(folder)
    if folder is not None and (folder / HEAD_FILE).is_file():
        return _load_head(folder, card, image_size, base)
    if _is_adapter(source):
        return _load_peft(source, card, image_size, base)
    classifier = load_image_classifier(
        source.location, None, image_size=image_size or _card_size(card)
    )
    return _with_card(classifier, card, model_id)


def read_card(folder: Path | None) -> dict[str, Any]:
    """The folder's ``fairlora.json``, checked; empty where there is none."""
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
    return card


def _card_size(card: dict[str, Any]) -> int | None:
    return int(card["preprocessing"]["size"]) if card else None


def _with_card(classifier: ImageClassifier, card: dict[str, Any], name: str) -> ImageClassifier:
    classifier.model.eval()
    classifier.base = name
    if card:
        settings = card["preprocessing"]
        classifier.preprocessing = Preprocessing(
            classifier.preprocessing.size, tuple(settings["mean"]), tuple(settings["std"])
        )
        classifier.classes = tuple(card["classes"])
    return classifier


def _load_head(
    folder: Path, card: dict[str, Any], image_size: int | None, base: str | None
) -> ImageClassifier:
    classifier = load_image_classifier(
        base or card["base"], card["classes"], image_size=image_size or _card_size(card)
    )
    with model_errors(Source(str(folder), folder)):
        saved = load_file(folder / HEAD_FILE)
        own = classifier.model.state_dict()
        wanted = {name for name in own if name.split(".")[0] in classifier.head}
        if set(saved) != wanted:  # a lenient load would leave the head as it was drawn
            raise ValueError(f"the head has {sorted(wanted)}, the file {sorted(saved)}")
        classifier.model.load_state_dict(saved, strict=False)
    return _with_card(classifier, card, str(folder))


def _is_adapter(source: Source) -> bool:
    if source.folder is not None:
        return (source.folder / "adapter_config.json").is_file()
    from transformers.utils.hub import cached_file

    with quiet_libraries():
        try:
            found = cached_file(
                source.location, "adapter_config.json", _raise_exceptions_for_missing_entries=False
            )
        except OSError:
            return False
    return found is not None


def _load_peft(
    source: Source, card: dict[str, Any], image_size: int | None, base: str | None
) -> ImageClassifier:
    from peft import PeftConfig, PeftModel

    with model_errors(source), quiet_libraries():
        config = PeftConfig.from_pretrained(source.location)
    base = base or card.get("base") or config.base_model_name_or_path
    if not base:
        raise InputError(
            "the adapter does not say what its base model is",
            where=source.location,
            expected="--base with a hub id or folder",
        )
    classes: Sequence[str] | None = card.get("classes")
    if classes is None:
        # An adapter made elsewhere names no classes; the head that it saved says how many.
        classes = [f"LABEL_{k}" for k in range(_saved_classes(source))]
    classifier = load_image_classifier(base, classes, image_size=image_size or _card_size(card))
    with model_errors(source), quiet_libraries():
        classifier.model = PeftModel.from_pretrained(classifier.model, source.location)
    return _with_card(classifier, card, source.id)


def _saved_classes(source: Source) -> int:
    from transformers.utils.hub import cached_file

    with model_errors(source), quiet_libraries():
        path = cached_file(source.location, "adapter_model.safetensors")
        if path is not None:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - a safetensors file is no dict
                    parts = name.split(".")
                    if parts[-1] == "weight" and parts[-2] in ("classifier", "score", "head"):
                        return int(file.get_slice(name).get_shape()[0])
    raise InputError(
        "the adapter has no classification head of its own",
        where=source.location,
        expected="one trained with modules_to_save=['classifier']",
    )

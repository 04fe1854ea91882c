"""Load a fine-tuned model: one that fairlora saved, or one made elsewhere.

``fairlora.json`` beside the weights (`fairlora.models.saving`) says what it is. Folders without it
load as well: what is missing is read from the model's config.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from fairlora.errors import InputError
from fairlora.models.adapter_files import AdapterFiles, find_adapter, read_adapter
from fairlora.models.adapter_loading import put_on
from fairlora.models.classifier import Classifier, ImageClassifier
from fairlora.models.heads import check_single_label, has_head, in_head, own_classes, set_classes
from fairlora.models.image_classification import classifies_images, image_from_pretrained
from fairlora.models.image_input import processor_settings
from fairlora.models.loading import Kind, load_base
from fairlora.models.preprocessing import Preprocessing
from fairlora.models.quantization import can_quantize
from fairlora.models.saving import CARD_VERSION, HEAD_FILE
from fairlora.models.source import (
    ADAPTER_CONFIG,
    CARD,
    Source,
    base_name,
    model_errors,
    read_config,
    read_json,
    resolve_source,
    weights_source,
)
from fairlora.models.text_classification import text_from_pretrained
from fairlora.models.texts import read_tokenizer


def load_finetuned(
    model_id: str,
    *,
    image_size: int | None = None,
    base: str | None = None,
    max_length: int | None = None,
    kind: Kind | None = None,
    quantize: str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Classifier:
    """Load a run folder, a model folder, an adapter folder or a hub id of either, to predict with.

    Parameters
    ----------
    image_size : side of the input; None is the size it was fine-tuned at.
    base : overrides where an adapter's base model lies (it may have moved).
    max_length : texts are cut to this many tokens; None is what it was fine-tuned with.
    kind : what it must classify, "image" or "text"; None takes either.
    quantize : "4bit", "8bit" or "none"; None is as it was trained, where this machine can.

    Raises `InputError` if there is nothing to load, the checkpoint has no head, or it classifies
    something else than asked.
    """
    source = weights_source(resolve_source(model_id))
    folder = source.folder
    if folder is not None and source.gguf is None:
        files = ("config.json", ADAPTER_CONFIG, CARD)
        if not any((folder / name).is_file() for name in files):
            raise InputError(
                "no model in this folder",
                where=folder,
                expected="a run, a Hugging Face model, or a PEFT adapter",
            )
    card = read_card(folder)
    peft = None if _has_head_file(folder) else find_adapter(source)
    own = _kind_of(source, card, peft, base)
    _same_kind(own, kind, source)
    size = size_of(
        card, {"image_size": image_size} if own == "image" else {"max_length": max_length}
    )
    bits, notes = _quantization(quantize, card)
    extra: dict[str, Any] = {"dtype": dtype, "quantize": bits}
    if _has_head_file(folder):
        assert folder is not None
        classifier = _load_head(folder, card, own, size, base, extra)
    elif peft is not None:
        classifier = _load_peft(source, peft, card, own, size, base, extra)
    else:
        build: Any = image_from_pretrained if own == "image" else text_from_pretrained
        if own == "image":
            extra["tuned"] = not card  # of fairlora's own the card says how pictures are prepared
        classifier = build(source, None, **size, **extra)
    classifier.notes += notes
    finish_loading(classifier, card, model_id)
    classifier.model.eval()
    return classifier


def read_card(folder: Path | None, kind: Kind | None = None) -> dict[str, Any]:
    """The folder's ``fairlora.json``, checked; empty where there is none.

    `kind` is what the model must classify; None takes either.
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
    _same_kind(card["kind"], kind, Source(str(folder), folder))
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
    """Give a loaded classifier its name, and what its card knows better than its config."""
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
    return folder is not None and (_has_head_file(folder) or (folder / ADAPTER_CONFIG).is_file())


def _has_head_file(folder: Path | None) -> bool:
    return folder is not None and (folder / HEAD_FILE).is_file()


def _same_kind(own: Kind, wanted: Kind | None, source: Source) -> None:
    words = {"image": "pictures", "text": "texts"}
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
            expected=f"a model of {words[wanted]}",
        )


def _kind_of(source: Source, card: dict[str, Any], peft: Any, base: str | None) -> Kind:
    if card:
        kind: Kind = card["kind"]
        return kind
    if peft is not None and peft.task_type == "SEQ_CLS":
        return "text"
    if peft is not None:
        name = _base_name(source, card, peft, base)
        source = weights_source(resolve_source(name))
        if is_adapter_folder(source.folder):
            tuned: Kind = read_card(source.folder).get("kind", "image")
            return tuned
    return "image" if classifies_images(read_config(source)) else "text"


def _quantization(wanted: str | None, card: dict[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    trained = card.get("quantize")
    if wanted == "none" or (wanted is None and trained is None):
        return None, ()
    if wanted is not None:
        return wanted, ()
    if can_quantize():
        return str(trained), ()
    return None, (
        f"trained on {trained} weights, and loaded on full ones: this machine cannot quantise",
    )


def _load_head(
    folder: Path,
    card: dict[str, Any],
    kind: Kind,
    size: dict[str, Any],
    base: str | None,
    extra: dict[str, Any],
) -> Classifier:
    extra = {**extra, **_own_tokenizer(folder, kind)}
    name = base_name(Source(str(folder), folder), base or card["base"])
    classifier = load_base(name, card["classes"], kind, size, **extra)
    classifier.head = tuple(card["head"])
    with model_errors(Source(str(folder), folder)):
        saved = load_file(folder / HEAD_FILE)
        own = classifier.model.state_dict()
        wanted = {name for name in own if in_head(name, classifier.head)}
        if set(saved) != wanted:  # a lenient load would leave the head as it was drawn
            raise ValueError(f"the head has {sorted(wanted)}, the file {sorted(saved)}")
        classifier.model.load_state_dict(saved, strict=False)
    return classifier


def _own_tokenizer(folder: Path | None, kind: Kind) -> dict[str, Any]:
    """The tokenizer saved beside an adapter, if there is one."""
    if kind == "image" or folder is None or not (folder / "tokenizer_config.json").is_file():
        return {}
    return {"tokenizer": read_tokenizer(Source(str(folder), folder))}


def _base_name(source: Source, card: dict[str, Any], config: Any, base: str | None) -> str:
    return base_name(source, base or card.get("base") or config.base_model_name_or_path)


def _load_peft(
    source: Source,
    config: Any,
    card: dict[str, Any],
    kind: Kind,
    size: dict[str, Any],
    base: str | None,
    extra: dict[str, Any],
) -> Classifier:
    files = read_adapter(source)
    name = _base_name(source, card, config, base)
    classes = card.get("classes") or _classes_of(files, name)
    extra = {**extra, **_own_tokenizer(source.folder, kind)}
    if kind == "text":
        extra["files"] = files
    elif not card:
        extra |= {"tuned": True, "processor": _own_processor(source)}
    trained_in = (config.auto_mapping or {}).get("base_model_class")
    if kind == "image" and trained_in == "CLIPForImageClassification":
        extra["architecture"] = trained_in  # its head reads the mean of the patches
    classifier = load_base(name, classes, kind, size, **extra)
    saved = [*(config.modules_to_save or ()), "classifier", "score"]
    lost = [n for n in classifier.head if not any(n.endswith(str(end)) for end in saved)]
    if lost:
        classifier.notes += (
            f"{source.id} was trained on a base without {', '.join(lost)} and does not save it: "
            "its answers cannot be had again",
        )
    classifier.notes += files.notes
    classifier.model, classifier.record = put_on(classifier.model, files, classifier.record)
    set_classes(classifier.model.config, classes)
    return classifier


def _own_processor(source: Source) -> Source | None:
    """Where an adapter's own image processor is read; None if it has none."""
    if source.folder is not None and not (source.folder / "preprocessor_config.json").is_file():
        return None
    return source if processor_settings(source) else None


def _classes_of(files: AdapterFiles, base: str) -> Sequence[str]:
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

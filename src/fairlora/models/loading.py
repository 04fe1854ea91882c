"""Load a model: pretrained weights to train, or what fairlora or others made of them.

A run may be the base of another, and an adapter lies on a base, so each way of loading may need the
other. Folders without ``fairlora.json`` load as well: what is missing is read from the config.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from fairlora.errors import InputError
from fairlora.models.adapter_files import find_adapter, read_adapter
from fairlora.models.adapter_loading import put_on
from fairlora.models.card import (
    Kind,
    finish_loading,
    has_head_file,
    is_adapter_folder,
    read_card,
    same_kind,
    size_of,
)
from fairlora.models.checkpoint import (
    base_model_of,
    classes_of,
    kind_of,
    own_processor,
    own_tokenizer,
)
from fairlora.models.classifier import Classifier, ImageClassifier, TextClassifier
from fairlora.models.heads import (
    find_head,
    in_head,
    renew_head,
    same_classes,
    set_classes,
)
from fairlora.models.image_classification import image_from_pretrained
from fairlora.models.image_text import PREPARED, load_image_text
from fairlora.models.merging import merge
from fairlora.models.quantization import quantization_of
from fairlora.models.saving import HEAD_FILE
from fairlora.models.source import (
    ADAPTER_CONFIG,
    CARD,
    Source,
    base_name,
    model_errors,
    resolve_source,
    source_of,
    weights_source,
)
from fairlora.models.text_classification import text_from_pretrained


def load_classifier(
    model_id: str,
    classes: Sequence[str] | None,
    *,
    kind: Kind,
    image_size: int | None = None,
    max_length: int | None = None,
    head_seed: int = 0,
    dtype: torch.dtype = torch.float32,
    quantize: str | None = None,
    keep_head: bool = False,
) -> Classifier:
    """Load a pretrained model to classify pictures or texts, by the data's kind.

    Raises `InputError` for a model of the other kind, and for a setting that is the other kind's.

    Parameters
    ----------
    kind : what the data are, "image" or "text".
    image_size : that of `load_image_classifier`; None for texts.
    max_length : that of `load_text_classifier`; None for pictures.
    model_id, classes, head_seed, dtype, quantize, keep_head : those of both.
    """
    shared: dict[str, Any] = {
        "head_seed": head_seed,
        "dtype": dtype,
        "quantize": quantize,
        "keep_head": keep_head,
    }
    if kind == "text":
        if image_size is not None:
            raise InputError("the data are texts", where="model.image_size", found=image_size)
        return load_text_classifier(model_id, classes, max_length=max_length, **shared)
    if max_length is not None:
        raise InputError("the data are pictures", where="model.max_length", found=max_length)
    return load_image_classifier(model_id, classes, image_size=image_size, **shared)


def load_image_classifier(
    model_id: str,
    classes: Sequence[str] | None,
    *,
    image_size: int | None = None,
    head_seed: int = 0,
    dtype: torch.dtype = torch.float32,
    quantize: str | None = None,
    keep_head: bool = False,
) -> ImageClassifier:
    """Load a pretrained vision model: ViT, DINO, DINOv2, Swin-v2, CLIP (its image tower), ...

    Parameters
    ----------
    model_id : hub id, folder, "embedded", or a run's folder: its adapter is folded in.
    classes : names of the classes of a new head, drawn from `head_seed`; None keeps the
        checkpoint's own head and names.
    image_size : side of the square input in pixels; None is the checkpoint's own. Another size
        interpolates its positions; Swin-v2's windows are built anew.
    dtype : the type to compute in, whatever the checkpoint is stored in (float16 weights would
        otherwise train in float16).
    quantize : "4bit" or "8bit" stores the pretrained weights so (QLoRA).
    keep_head : keep the checkpoint's own head, which must have these classes.

    Raises
    ------
    InputError : the model is not there, is no image classifier, cannot take the size, or has no
        head of its own where one is to be kept; or quantisation cannot be done here.
    """
    loaded = _load(
        model_id,
        classes,
        "image",
        {"image_size": image_size},
        head_seed=head_seed,
        dtype=dtype,
        quantize=quantize,
        keep_head=keep_head,
    )
    assert isinstance(loaded, ImageClassifier)
    return loaded


def load_text_classifier(
    model_id: str,
    classes: Sequence[str] | None,
    *,
    max_length: int | None = None,
    head_seed: int = 0,
    dtype: torch.dtype = torch.float32,
    quantize: str | None = None,
    keep_head: bool = False,
) -> TextClassifier:
    """Load a pretrained language model as a classifier: Llama, Mistral, BERT and its relatives.

    Parameters
    ----------
    model_id : hub id, folder (a sentence-transformers folder too), path of a .gguf file, or a run's
        folder: its adapter is folded in.
    max_length : texts are cut to this many tokens; None is the model's own length. More than its
        positions are cut to them with a note.

    The others are those of `load_image_classifier`. Every module that the checkpoint has no weights
    for is drawn from `head_seed` and belongs to the head.

    Raises
    ------
    InputError : the model or its tokenizer is not there, it is no language model, or it has no head
        of its own where one is to be kept; or quantisation cannot be done here.
    """
    loaded = _load(
        model_id,
        classes,
        "text",
        {"max_length": max_length},
        head_seed=head_seed,
        dtype=dtype,
        quantize=quantize,
        keep_head=keep_head,
    )
    assert isinstance(loaded, TextClassifier)
    return loaded


def load_base(
    model_id: str, classes: Sequence[str], kind: Kind, size: dict[str, Any], **extra: Any
) -> Classifier:
    """The base model of an adapter that lies elsewhere, with a head to be overwritten.

    Parameters
    ----------
    size : ``image_size`` or ``max_length``.
    extra : dtype, quantize; ``architecture`` (pictures) or ``tokenizer`` (texts).
    """
    return _load(model_id, classes, kind, size, head_seed=0, keep_head=False, **extra)


def _load(
    model_id: str,
    classes: Sequence[str] | None,
    kind: Kind,
    size: dict[str, Any],
    *,
    head_seed: int,
    keep_head: bool,
    dtype: torch.dtype,
    quantize: str | None,
    **extra: Any,
) -> Classifier:
    source = source_of(model_id, texts=kind == "text")
    card = read_card(source.folder, kind)
    if is_adapter_folder(source.folder):
        return _load_tuned(
            source, classes, kind, size, head_seed, keep_head, dtype=dtype, quantize=quantize
        )
    build: Any = image_from_pretrained if kind == "image" else text_from_pretrained
    classifier: Classifier = build(
        source,
        None if keep_head else classes,
        **size_of(card, size),
        head_seed=head_seed,
        dtype=dtype,
        quantize=quantize,
        **extra,
    )
    new_head = classes is not None and not keep_head
    finish_loading(classifier, card, model_id, new_head=new_head)
    if classes is not None:
        if keep_head:
            same_classes(classifier.classes, classes, model_id)
            set_classes(classifier.model.config, classes)
        classifier.classes = tuple(classes)
    return classifier


def _load_tuned(
    source: Source,
    classes: Sequence[str] | None,
    kind: Kind,
    size: dict[str, Any],
    head_seed: int,
    keep_head: bool,
    *,
    dtype: torch.dtype,
    quantize: str | None,
) -> Classifier:
    """What an adapter made of its base model, as the base of the next run."""
    if quantize is not None:
        raise InputError(
            "an adapter cannot be folded into quantised weights",
            where="model.quantize",
            found=repr(quantize),
            expected="a merged model's folder (save_merged), or no quantisation",
        )
    classifier = merge(
        load_finetuned(str(source.folder), kind=kind, quantize="none", dtype=dtype, **size)
    )
    classifier.base = source.id
    classifier.model.requires_grad_(True)
    if classes is None:
        return classifier
    if keep_head:
        same_classes(classifier.classes, classes, source.id)
        set_classes(classifier.model.config, classes)
    else:
        classifier.head = find_head(classifier.model)
        classifier.model = renew_head(classifier.model, classifier.head, classes, head_seed)
    classifier.classes = tuple(classes)
    return classifier


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
    peft = None if has_head_file(folder) else find_adapter(source)
    own = kind_of(source, card, peft, base)
    if own == "image-text" and kind != "text":
        if image_size is not None:
            raise InputError(PREPARED, where="--image-size", found=image_size)
        return load_image_text(
            model_id, base=base, max_length=max_length, quantize=quantize, dtype=dtype
        )
    same_kind(own, kind, source)
    size = size_of(
        card, {"image_size": image_size} if own == "image" else {"max_length": max_length}
    )
    bits, notes = quantization_of(quantize, card)
    extra: dict[str, Any] = {"dtype": dtype, "quantize": bits}
    if has_head_file(folder):
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


def _load_head(
    folder: Path,
    card: dict[str, Any],
    kind: Kind,
    size: dict[str, Any],
    base: str | None,
    extra: dict[str, Any],
) -> Classifier:
    extra = {**extra, **own_tokenizer(folder, kind)}
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
    name = base_model_of(source, card, config, base)
    classes = card.get("classes") or classes_of(files, name)
    extra = {**extra, **own_tokenizer(source.folder, kind)}
    if kind == "text":
        extra["files"] = files
    elif not card:
        extra |= {"tuned": True, "processor": own_processor(source)}
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

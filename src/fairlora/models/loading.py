"""Load a model to train: pretrained weights, or what an earlier run made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from fairlora.errors import InputError
from fairlora.models.classifier import Classifier, ImageClassifier, TextClassifier
from fairlora.models.heads import find_head, renew_head, same_classes, set_classes
from fairlora.models.image_classification import image_from_pretrained
from fairlora.models.source import EMBEDDED, Source, resolve_source, weights_source
from fairlora.models.text_classification import text_from_pretrained

Kind = Literal["image", "text"]


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

    See `load_image_classifier` and `load_text_classifier` for the parameters. Raises `InputError`
    for a model of the other kind, and for a setting that is the other kind's.
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
    from fairlora.models.checkpoint import finish_loading, is_adapter_folder, read_card, size_of

    if kind == "text" and model_id == EMBEDDED:
        raise InputError(
            "the embedded model classifies pictures, and the data are texts",
            where="model.id",
            found=repr(model_id),
            expected="a language model's hub id or folder",
        )
    source = weights_source(resolve_source(model_id))
    if is_adapter_folder(source.folder):
        return _load_tuned(
            source, classes, kind, size, head_seed, keep_head, dtype=dtype, quantize=quantize
        )
    card = read_card(source.folder, kind)
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
    from fairlora.models.checkpoint import load_finetuned
    from fairlora.models.merging import merge

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

"""Image classifiers out of pretrained weights: ViT, DINO, DINOv2, Swin-v2, CLIP's image tower."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from fairlora.errors import InputError
from fairlora.models.classifier import ImageClassifier
from fairlora.models.heads import (
    check_head,
    check_single_label,
    find_head,
    head_of_loaded,
    own_classes,
    record_of,
    set_classes,
    start_head,
)
from fairlora.models.image_input import forward_arguments, image_input
from fairlora.models.load_checks import check_values
from fairlora.models.quantization import keep_trainable_weights, quantization_arguments
from fairlora.models.source import Source, model_errors, quiet_libraries, read_config

__all__ = ["classifies_images", "find_head", "image_from_pretrained"]


def classifies_images(config: Any) -> bool:
    """Whether a checkpoint with this config can become an image classifier."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING

    return (
        config.model_type == "clip_vision_model"
        or type(config) in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING
    )


def image_from_pretrained(
    source: Source,
    classes: Sequence[str] | None,
    *,
    image_size: int | None = None,
    head_seed: int = 0,
    dtype: torch.dtype = torch.float32,
    quantize: str | None = None,
    architecture: str | None = None,
    tuned: bool = False,
    processor: Source | None = None,
) -> ImageClassifier:
    """An `ImageClassifier` from a Hugging Face folder or hub id; see `load_image_classifier`.

    Parameters
    ----------
    source : where the checkpoint lies.
    classes, image_size, head_seed, dtype, quantize : those of `load_image_classifier`.
    architecture : the class that an adapter made elsewhere was trained in; None goes by the config.
    tuned, processor : those of `image_input`.

    Raises
    ------
    InputError : the checkpoint is no image classifier, cannot take the size, or has no head of its
        own where one is to be kept; its weights are not the model's.
    """
    config = read_config(source)
    build, config = image_model_class(config, source, architecture)
    if classes is None:
        check_head(config, source)
    given = image_input(source, config, image_size, tuned=tuned, processor=processor)
    arguments: dict[str, Any] = {
        "config": config,
        "dtype": dtype,
        **quantization_arguments(quantize),
        **source.arguments,
    }
    for name, value in given.config_changes.items():
        setattr(config, name, value)
    if classes is None:
        check_single_label(config, source)
    else:
        config.num_labels = len(classes)
        config.problem_type = None
    arguments["ignore_mismatched_sizes"] = True  # `head_of_loaded` names them
    # The loader reports a new head as missing weights; that is what was asked for.
    with model_errors(source), quiet_libraries(), torch.random.fork_rng():
        torch.manual_seed(head_seed)
        model, info = build.from_pretrained(source.location, output_loading_info=True, **arguments)
    keep_trainable_weights(model)
    head = head_of_loaded(model, source, info, new=classes is not None)
    if classes is not None:
        # Before weights are looked at: transformers 5.2 leaves CLIP's new head as memory was.
        start_head(model, head.names, head_seed)
        set_classes(model.config, classes)
    check_values(model, source.location)
    return ImageClassifier(
        model=model,
        classes=tuple(classes) if classes is not None else own_classes(model.config),
        base=source.id,
        preprocessing=given.preprocessing,
        head=head.names,
        forward_arguments=forward_arguments(model, config, given.preprocessing.size),
        notes=(*given.notes, *head.notes),
        quantize=quantize,
        record=record_of(model, config, head, processor=given.read_from),
    )


def image_model_class(config: Any, source: Source, architecture: str | None) -> tuple[Any, Any]:
    """The class to build, and the config that it takes.

    Parameters
    ----------
    config : the checkpoint's.
    source : the checkpoint, to be named in the message.
    architecture : name of the transformers class to build; None goes by the config.

    Raises
    ------
    InputError : no class of this config classifies pictures.
    """
    from transformers import AutoModelForImageClassification

    named = [architecture] if architecture else config.architectures or []
    own = "CLIPForImageClassification" in named  # transformers' head, on the mean of the patches
    if config.model_type in ("clip", "clip_vision_model") and not own:
        from fairlora.models.clip_tower import ClipTowerForImageClassification

        # A full checkpoint holds both towers; the text tower's weights are left where they are.
        tower = config.vision_config if config.model_type == "clip" else config
        return ClipTowerForImageClassification, tower
    if not classifies_images(config):
        from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

        asked = type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        raise InputError(
            "not a model that classifies images",
            where="model.id",
            found=f"{source.id} (model type {config.model_type})",
            expected="a question about the picture as model.prompt, which this model answers"
            if asked
            else "a vision transformer such as ViT, DINO, Swin-v2 or the CLIP image tower",
        )
    return AutoModelForImageClassification, config

"""Image classifiers: ViT (DINO's too) and the CLIP image tower, by hub id or folder."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fairlora.errors import InputError
from fairlora.models.classifier import ImageClassifier
from fairlora.models.preprocessing import Preprocessing
from fairlora.models.source import (
    Source,
    model_errors,
    quiet_libraries,
    read_config,
    resolve_source,
)

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
HEAD_NAMES = ("classifier", "score", "head", "fc")


def load_image_classifier(
    model_id: str,
    classes: Sequence[str] | None,
    *,
    image_size: int | None = None,
    head_seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> ImageClassifier:
    """Load a pretrained vision transformer.

    Parameters
    ----------
    model_id : hub id, folder, or "embedded".
    classes : names of the classes of a new head, drawn from `head_seed`; None keeps the
        checkpoint's own head.
    image_size : side of the square input in pixels; None is the checkpoint's own. Another size than
        the checkpoint's interpolates its position embeddings.
    dtype : the type to compute in, whatever the checkpoint is stored in (float16 weights would
        otherwise train in float16).

    Raises
    ------
    InputError : the model is not there, is no image classifier, cannot take the size, or has no
        head of its own where `classes` is None.
    """
    source = resolve_source(model_id)
    config = read_config(source)
    build = _model_class(config, source)
    if classes is None and not has_head(config):
        raise InputError(
            "this checkpoint has no classification head",
            where="model.id",
            found=f"{model_id} ({', '.join(config.architectures or ['no architecture named'])})",
            expected="a fine-tuned classifier, or a new head (--untrained-head)",
        )
    arguments: dict[str, Any] = {"dtype": dtype, "trust_remote_code": False}
    if classes is not None:
        arguments["num_labels"] = len(classes)
        arguments["ignore_mismatched_sizes"] = True
    # The loader reports a new head as missing weights; that is what was asked for.
    with model_errors(source), quiet_libraries(), torch.random.fork_rng():
        model = build.from_pretrained(source.location, **arguments)
    head = find_head(model)
    if classes is not None:
        start_head(model, head, head_seed)
        set_classes(model.config, classes)
    preprocessing, notes = _preprocessing(source, config, image_size)
    return ImageClassifier(
        model=model,
        classes=tuple(classes) if classes is not None else own_classes(model.config),
        base=model_id,
        preprocessing=preprocessing,
        head=head,
        forward_arguments=_forward_arguments(model, config, preprocessing.size),
        notes=notes,
    )


def _model_class(config: Any, source: Source) -> Any:
    from transformers import AutoModelForImageClassification
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING

    if config.model_type == "clip_vision_model":
        from fairlora.models.clip_tower import ClipTowerForImageClassification

        return ClipTowerForImageClassification
    if type(config) not in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING:
        raise InputError(
            "not a model that classifies images",
            where="model.id",
            found=f"{source.id} (model type {config.model_type})",
            expected="a vision transformer such as ViT, DINO or the CLIP image tower",
        )
    return AutoModelForImageClassification


def has_head(config: Any) -> bool:
    """Whether the checkpoint says that it carries a classification head."""
    return any("Classification" in name for name in config.architectures or ())


def own_classes(config: Any) -> tuple[str, ...]:
    """The class names of the checkpoint's own head, in order."""
    return tuple(str(config.id2label[k]) for k in sorted(config.id2label))


def set_classes(config: Any, classes: Sequence[str]) -> None:
    """Write the class names into the config, so that the saved model carries them."""
    config.id2label = dict(enumerate(classes))
    config.label2id = {name: k for k, name in enumerate(classes)}


def find_head(model: nn.Module) -> tuple[str, ...]:
    """Names of the head's modules; `InputError` if the model has none that fairlora knows."""
    children = dict(model.named_children())
    found = tuple(name for name in HEAD_NAMES if name in children)
    if not found:
        raise InputError(
            "no classification head found",
            where=type(model).__name__,
            found=", ".join(children),
            expected="one of " + ", ".join(HEAD_NAMES),
        )
    return found


def start_head(model: nn.Module, head: Sequence[str], seed: int) -> None:
    """Draw the head's weights from their own generator: N(0, 0.02^2), biases zero."""
    generator = torch.Generator().manual_seed(seed)
    for name in head:
        for module in model.get_submodule(name).modules():
            if isinstance(module, nn.Linear):
                drawn = torch.randn(module.weight.shape, generator=generator) * 0.02
                with torch.no_grad():
                    module.weight.copy_(drawn)
                    if module.bias is not None:
                        module.bias.zero_()


def _preprocessing(
    source: Source, config: Any, image_size: int | None
) -> tuple[Preprocessing, tuple[str, ...]]:
    own = getattr(config, "image_size", 224)
    own = int(own[0] if isinstance(own, (list, tuple)) else own)
    size = own if image_size is None else image_size
    patch = getattr(config, "patch_size", 1)
    patch = int(patch[0] if isinstance(patch, (list, tuple)) else patch)
    if size < patch or size % patch:
        raise InputError(
            "the model cannot take pictures of this size",
            where="model.image_size",
            found=size,
            expected=f"a multiple of its patch size {patch}",
        )
    settings = _processor_settings(source)
    if settings.get("do_normalize") is False:
        return Preprocessing(size, (0.0,) * 3, (1.0,) * 3), ()
    if "image_mean" in settings and "image_std" in settings:
        mean = tuple(float(v) for v in settings["image_mean"])
        return Preprocessing(size, mean, tuple(float(v) for v in settings["image_std"])), ()
    if config.model_type.startswith("clip"):
        return Preprocessing(size, CLIP_MEAN, CLIP_STD), ()
    note = f"{source.id} has no preprocessor_config.json: pictures are scaled to -1 .. 1"
    return Preprocessing(size, (0.5,) * 3, (0.5,) * 3), (note,)


def _processor_settings(source: Source) -> dict[str, Any]:
    from transformers.image_processing_base import ImageProcessingMixin

    if source.folder is not None and not (source.folder / "preprocessor_config.json").is_file():
        return {}
    try:
        settings, _ = ImageProcessingMixin.get_image_processor_dict(source.location)
    except OSError:
        return {}
    return dict(settings)


def _forward_arguments(model: nn.Module, config: Any, size: int) -> dict[str, Any]:
    own = getattr(config, "image_size", size)
    own = int(own[0] if isinstance(own, (list, tuple)) else own)
    if size == own:
        return {}
    if "interpolate_pos_encoding" not in inspect.signature(model.forward).parameters:
        raise InputError(
            f"{type(model).__name__} takes pictures of its own size alone",
            where="model.image_size",
            found=size,
            expected=own,
        )
    return {"interpolate_pos_encoding": True}


def is_model_folder(path: Path) -> bool:
    """Whether the folder holds a whole Hugging Face model."""
    return (path / "config.json").is_file()

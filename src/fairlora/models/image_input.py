"""What size and range of pictures a checkpoint takes, and what it takes another size with.

Architectures differ in how their positions grow with the picture. One row of `SIZE_RULES` says it
for each that does not do it as ViT does; adding an architecture is one row.
"""

from __future__ import annotations

import inspect
from typing import Any, Literal, NamedTuple

from torch import nn

from fairlora.errors import InputError
from fairlora.models.preprocessing import Preprocessing
from fairlora.models.source import Source

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

# "argument": forward(interpolate_pos_encoding=True), as ViT and CLIP; what is not named here.
# "any": positions are interpolated by themselves, or there are none.
# "windows": built anew for the size; its positions are a function of the offset in a window.
Rule = Literal["argument", "any", "windows"]
SIZE_RULES: dict[str, Rule] = {
    "dinov2": "any",
    "dinov2_with_registers": "any",
    "convnext": "any",
    "convnextv2": "any",
    "resnet": "any",
    "regnet": "any",
    "bit": "any",
    "swinv2": "windows",
}


class ImageInput(NamedTuple):
    """How a checkpoint is given pictures.

    Attributes
    ----------
    config_changes : what the config must say before the model is built.
    """

    preprocessing: Preprocessing
    config_changes: dict[str, Any]
    notes: tuple[str, ...]


def image_input(source: Source, config: Any, image_size: int | None) -> ImageInput:
    """Size, mean and standard deviation of a model's pictures.

    The size is `image_size`, else the preprocessor's (DINOv2's config names the 518 pixels of its
    last training stage, its preprocessor 224), else the config's.

    Raises `InputError` if the model cannot take pictures of the size.
    """
    settings = _processor_settings(source)
    size = image_size or _processor_size(settings) or _own_size(config)
    if image_size is not None and image_size < 1:
        size = image_size
    patch = _first(getattr(config, "patch_size", None), 1)
    stages = len(getattr(config, "depths", ())) if SIZE_RULES.get(config.model_type) else 1
    unit = patch * 2 ** max(0, stages - 1) if config.model_type == "swinv2" else patch
    if size < unit or size % unit:
        raise InputError(
            "the model cannot take pictures of this size",
            where="model.image_size",
            found=size,
            expected=f"a multiple of {'its patch size ' if unit == patch else ''}{unit}",
        )
    changes: dict[str, Any] = {}
    notes: list[str] = []
    mean: tuple[float, ...]
    std: tuple[float, ...]
    if SIZE_RULES.get(config.model_type) == "windows" and size != _own_size(config):
        changes, padded = _windows(config, size)
        if padded:
            notes.append(
                f"windows of {config.window_size} patches do not divide pictures of {size} pixels: "
                "their edges are padded"
            )
    if settings.get("do_normalize") is False:
        mean, std = (0.0,) * 3, (1.0,) * 3
    elif "image_mean" in settings and "image_std" in settings:
        mean = tuple(float(v) for v in settings["image_mean"])
        std = tuple(float(v) for v in settings["image_std"])
    elif config.model_type.startswith("clip"):
        mean, std = CLIP_MEAN, CLIP_STD
    else:
        mean, std = (0.5,) * 3, (0.5,) * 3
        notes.append(f"{source.id} has no preprocessor_config.json: pictures are scaled to -1 .. 1")
    return ImageInput(Preprocessing(size, mean, std), changes, tuple(notes))


def forward_arguments(model: nn.Module, config: Any, size: int) -> dict[str, Any]:
    """What every call of the model passes for pictures of this size."""
    own = _own_size(config, size)
    rule = SIZE_RULES.get(config.model_type, "argument")
    if size == own or rule == "any":
        return {}
    if rule == "windows":
        # The config is changed to the size; learned absolute positions are not, if there are any.
        absolute = getattr(config, "use_absolute_embeddings", False)
        return {"interpolate_pos_encoding": True} if absolute else {}
    if "interpolate_pos_encoding" not in inspect.signature(model.forward).parameters:
        raise InputError(
            f"{type(model).__name__} takes pictures of its own size alone",
            where="model.image_size",
            found=size,
            expected=own,
        )
    return {"interpolate_pos_encoding": True}


def processor_config(preprocessing: Preprocessing) -> dict[str, Any]:
    """The ``preprocessor_config.json`` that makes transformers prepare pictures as fairlora."""
    size = {"height": preprocessing.size, "width": preprocessing.size}
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": size,
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(preprocessing.mean),
        "image_std": list(preprocessing.std),
    }


def _windows(config: Any, size: int) -> tuple[dict[str, Any], bool]:
    """Swin-v2 at another size: its config's changes, and whether windows must be padded.

    A stage whose patches are fewer than a window has a smaller window. Its position bias is a
    function of the offset relative to the window it was trained with, so that window is recorded.
    """
    if getattr(config, "use_absolute_embeddings", False):
        return {}, False
    stages = range(len(config.depths))
    patch = _first(config.patch_size, 1)
    trained = [min(config.window_size, _own_size(config) // patch // 2**i) for i in stages]
    # transformers fills this with zeros for four stages, however many there are.
    recorded = config.pretrained_window_sizes or [0] * len(config.depths)
    windows = [recorded[i] or trained[i] for i in stages]
    grids = [size // patch // 2**i for i in stages]
    padded = any(grid % min(grid, config.window_size) for grid in grids)
    return {"image_size": size, "pretrained_window_sizes": windows}, padded


def _own_size(config: Any, default: int = 224) -> int:
    return _first(getattr(config, "image_size", None), default)


def _first(value: Any, default: int) -> int:
    """A side in pixels out of a number or a pair."""
    if isinstance(value, (list, tuple)):
        value = value[0]
    return default if value is None else int(value)


def _processor_size(settings: dict[str, Any]) -> int | None:
    """The side of the square that a preprocessor makes; None if it makes none."""
    names = ["crop_size", "size"] if settings.get("do_center_crop", True) else ["size"]
    for name in names:
        size = settings.get(name)
        if isinstance(size, dict):
            sides = [size.get("height"), size.get("width")]
            size = sides[0] if sides[0] == sides[1] and sides[0] else size.get("shortest_edge")
        if isinstance(size, int) and not isinstance(size, bool) and size > 0:
            return size
    return None


def _processor_settings(source: Source) -> dict[str, Any]:
    from transformers.image_processing_base import ImageProcessingMixin

    if source.folder is not None and not (source.folder / "preprocessor_config.json").is_file():
        return {}
    try:
        settings, _ = ImageProcessingMixin.get_image_processor_dict(source.location)
    except OSError:
        return {}
    return dict(settings)

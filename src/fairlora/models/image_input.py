"""Input of an image checkpoint: its size, range and resampling, and other sizes it takes.

Architectures differ in how their positions grow with the picture. One row of `SIZE_RULES` says it
for each that does not do it as ViT does; adding an architecture is one row.
"""

from __future__ import annotations

import inspect
from typing import Any, Literal, NamedTuple

from torch import nn

from fairlora.errors import InputError
from fairlora.models.preprocessing import BICUBIC, Preprocessing
from fairlora.models.source import Source, model_errors, quiet_libraries

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
    read_from : the folder or hub id that the settings were read from; None where there were none.
    """

    preprocessing: Preprocessing
    config_changes: dict[str, Any]
    notes: tuple[str, ...]
    read_from: str | None = None


def image_input(
    source: Source,
    config: Any,
    image_size: int | None,
    *,
    tuned: bool = False,
    processor: Source | None = None,
) -> ImageInput:
    """Size, mean and standard deviation of a model's pictures.

    A model that was fine-tuned elsewhere (`tuned`) is given pictures as its own image processor
    prepares them: its filter, its crop, its range. A model that is to be trained takes squares,
    resized by the bicubic filter, of its mean and deviation.

    Parameters
    ----------
    processor : where the preprocessor's settings are read, if not beside the model: an adapter may
        have its own.

    The size is `image_size`, else the preprocessor's (DINOv2's config names the 518 pixels of its
    last training stage, its preprocessor 224), else the config's.

    Raises `InputError` if the model cannot take pictures of the size.
    """
    own = processor or source
    settings = _complete_settings(own) if tuned else processor_settings(own)
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
        mean, std = _ranged(settings, (0.0,) * 3, (1.0,) * 3)
    elif settings.get("image_mean") is not None and settings.get("image_std") is not None:
        mean, std = _ranged(settings, _three(settings["image_mean"]), _three(settings["image_std"]))
    elif config.model_type.startswith("clip"):
        mean, std = CLIP_MEAN, CLIP_STD
    else:
        mean, std = (0.5,) * 3, (0.5,) * 3
        notes.append(f"{source.id} has no preprocessor_config.json: pictures are scaled to -1 .. 1")
    if processor is not None and processor_settings(source) != processor_settings(processor):
        notes.append(f"pictures are prepared as {own.id}'s own preprocessor_config.json says")
    shape = _shape(settings, size) if tuned else {}
    made = Preprocessing(size, mean, std, **shape)
    return ImageInput(made, changes, tuple(notes), own.location if settings else None)


def _ranged(
    settings: dict[str, Any], mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of values between 0 and 1, where a processor scales them otherwise."""
    factor = float(settings.get("rescale_factor") or 1 / 255)
    if settings.get("do_rescale") is False:
        factor = 1.0
    unit = 255 * factor
    if abs(unit - 1) < 1e-6:
        return mean, std
    return tuple(v / unit for v in mean), tuple(v / unit for v in std)


def _three(value: Any) -> tuple[float, ...]:
    """A value for each channel; one number stands for all three."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return tuple(float(v) for v in values) * (3 if len(values) == 1 else 1)


def _shape(settings: dict[str, Any], size: int) -> dict[str, Any]:
    """How a processor makes a square of a picture: filter, edge, crop, order of the channels."""
    resample = settings.get("resample")
    shape: dict[str, Any] = {"resample": BICUBIC if resample is None else int(resample)}
    shape["flip_channels"] = bool(settings.get("do_flip_channel_order", False))
    wanted = settings.get("size")
    wanted = wanted if isinstance(wanted, dict) else {}
    shortest = wanted.get("shortest_edge")
    if shortest and "crop_pct" in settings:  # ConvNeXt's kind: it crops small pictures alone
        if shortest >= 384:
            return shape
        return {**shape, "square": False, "edge": int(size / float(settings["crop_pct"]))}
    if settings.get("do_center_crop"):
        edge = shortest or wanted.get("height") or size
        crop = _processor_size({**settings, "size": None}) or size
        # Another size than its own keeps the processor's ratio.
        return {**shape, "square": not shortest, "edge": round(edge * size / crop)}
    return shape


def _complete_settings(source: Source) -> dict[str, Any]:
    """The settings of a checkpoint's image processor, with what its class adds to them."""
    from transformers import AutoImageProcessor

    settings = processor_settings(source)
    if not settings:
        return {}
    with quiet_libraries():
        try:
            made = AutoImageProcessor.from_pretrained(source.location, trust_remote_code=False)
        except Exception:  # the class is unknown or not named: what stands in the file must do
            return settings
    with model_errors(source):
        return {**settings, **made.to_dict()}


def forward_arguments(model: nn.Module, config: Any, size: int) -> dict[str, Any]:
    """What every call of the model passes for pictures of this size.

    Parameters
    ----------
    model : the model that is called.
    config : its checkpoint's, with the changes of `image_input`.
    size : side of the square input in pixels.

    Raises
    ------
    InputError : the model takes pictures of its own size alone, and this is another.
    """
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
    settings: dict[str, Any] = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": size,
        "resample": preprocessing.resample,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(preprocessing.mean),
        "image_std": list(preprocessing.std),
    }
    if preprocessing.edge is not None:
        edge = preprocessing.edge
        settings |= {
            "image_processor_type": "CLIPImageProcessor",
            "size": {"height": edge, "width": edge}
            if preprocessing.square
            else {"shortest_edge": edge},
            "do_center_crop": True,
            "crop_size": size,
            "do_convert_rgb": True,
        }
    if preprocessing.flip_channels:
        settings["do_flip_channel_order"] = True
    return settings


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


def processor_settings(source: Source) -> dict[str, Any]:
    """What ``preprocessor_config.json`` says; empty where there is none."""
    from transformers.image_processing_base import ImageProcessingMixin

    if source.folder is not None and not (source.folder / "preprocessor_config.json").is_file():
        return {}
    try:
        settings, _ = ImageProcessingMixin.get_image_processor_dict(source.location)
    except OSError:
        return {}
    return dict(settings)

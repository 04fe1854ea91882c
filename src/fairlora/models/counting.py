"""How large a model with its adapter will be, told from its config before any weight is loaded.

The network is built on torch's meta device, where a tensor has a shape and no memory: a model of
7 billion parameters is counted in a second.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import nn

from fairlora.errors import InputError
from fairlora.models.adapter_attach import attach
from fairlora.models.adapter_spec import Adapter
from fairlora.models.answers import Answers, ask
from fairlora.models.card import Kind, is_adapter_folder, read_card, size_of
from fairlora.models.heads import find_head, in_head, modules_of
from fairlora.models.image_classification import image_model_class
from fairlora.models.image_input import image_input
from fairlora.models.image_text import image_text_class
from fairlora.models.methods import field_names
from fairlora.models.parameters import ParameterCount, count_parameters
from fairlora.models.source import (
    Source,
    base_of,
    first_line,
    model_errors,
    quiet_libraries,
    read_config,
    resolve_source,
    source_of,
    weights_source,
)
from fairlora.models.text_classification import check_text_model

# Tokens beside the patches: a class token, DeiT's second one for distillation. The registers of
# DINOv2 are read from the config.
TOKENS_BESIDE = {
    "vit": 1,
    "clip_vision_model": 1,
    "dinov2": 1,
    "dinov2_with_registers": 1,
    "beit": 1,
    "deit": 2,
}
# Each stage has a quarter of the tokens of the one before it.
STAGED = ("swin", "swinv2")
# Some of PEFT's methods look at the weights; a model up to this size is made for them to look at.
LARGEST_MADE = 300_000_000


@dataclass(frozen=True)
class ModelCount:
    """The size of a model with its adapter, and of what passes through it.

    Attributes
    ----------
    parameters : as `count_parameters` of the loaded model.
    encoder : parameters of the pretrained network without embeddings and head: those that every
        token is multiplied with, so that a forward pass takes about ``2 * encoder * tokens``
        floating point operations.
    tokens : of one picture: patches and class token. Of Swin-v2, whose stages have fewer and fewer,
        the mean over the encoder's parameters. None for texts, and where it is not known.
    """

    parameters: ParameterCount
    encoder: int
    tokens: int | None


def count_of(
    model_id: str,
    classes: int,
    *,
    kind: Kind,
    adapter: Adapter,
    image_size: int | None = None,
    quantize: str | None = None,
) -> ModelCount:
    """Count a model with a new head and an adapter, without its weights.

    Of what a checkpoint stores, the names alone are looked at (a pooler that is not there is drawn
    anew and belongs to the head), and only if it lies on this machine.

    Parameters
    ----------
    model_id : as of `load_classifier`; its config is all that must be there.
    classes : outputs of the new head.
    kind : what it classifies, "image" or "text"; or "image-text", a model that is prompted.
    image_size : side of the square input in pixels; None is the checkpoint's own.
    quantize : changes how parameters are stored and not their number; it may stand here so that a
        model's settings can be passed as they are.

    An adapter that starts from the weights (PiSSA, ...) is counted as plain LoRA of its rank.

    Raises
    ------
    InputError : the config cannot be had, the model is of the other kind or cannot take the size,
        the adapter does not fit it, or the adapter needs the weights of a model too large to make.
    """
    plain = _skeleton(model_id, classes, kind, image_size)
    counted = _countable(adapter)
    if counted.method.peft == "LORA" and counted.rank > 2 and not adapter.fields:
        # LoRA's parameters grow by the same number with every rank: two ranks tell all others.
        def of_rank(rank: int) -> tuple[Any, ...]:
            changed = counted.model_copy(update={"rank": rank})
            return astuple(_counted(model_id, classes, kind, image_size, changed))

        pairs = zip(of_rank(1), of_rank(2), strict=True)
        parameters = ParameterCount(*(a + (counted.rank - 1) * (b - a) for a, b in pairs))
    else:
        parameters = _counted(model_id, classes, kind, image_size, counted)
    return ModelCount(parameters, plain.encoder, plain.tokens)


@lru_cache(maxsize=64)
def _counted(
    model_id: str, classes: int, kind: Kind, image_size: int | None, adapter: Adapter
) -> ParameterCount:
    plain = _skeleton(model_id, classes, kind, image_size)
    return count_parameters(_attached(plain, adapter, kind), plain.head)


class _Skeleton(NamedTuple):
    """A network on the meta device, without an adapter."""

    model: Any
    head: tuple[str, ...]
    encoder: int
    tokens: int | None


# A sweep asks for the same model with many ranks.
@lru_cache(maxsize=16)
def _skeleton(model_id: str, classes: int, kind: Kind, image_size: int | None) -> _Skeleton:
    source = source_of(model_id, texts=kind == "text")
    tuned = False
    while source.folder is not None and is_adapter_folder(source.folder):
        # The next run starts from the base with this adapter folded in: a network of its size.
        card = read_card(source.folder, kind)
        if kind == "image":
            image_size = size_of(card, {"image_size": image_size})["image_size"]
        source, tuned = _base(source), True
    if kind == "image-text":
        return _prompted(source)
    config = read_config(source)
    build, config = _image(config, source) if kind == "image" else _text(config, source)
    config.num_labels = classes
    size = None
    if kind == "image":
        card = read_card(source.folder, kind)
        given = image_input(source, config, size_of(card, {"image_size": image_size})["image_size"])
        size = given.preprocessing.size
        for name, value in given.config_changes.items():
            setattr(config, name, value)
    with model_errors(source), quiet_libraries(), torch.device("meta"):
        model = build.from_config(config) if hasattr(build, "from_config") else build(config)
    known = find_head(model)
    head = known if tuned else (*_drawn(model, source, known), *known)
    encoder = {
        name: parameter.numel()
        for name, parameter in model.named_parameters()
        if not in_head(name, head) and not _embeds(model, name)
    }
    tokens = None if size is None else _tokens(config, size, encoder)
    return _Skeleton(model, head, sum(encoder.values()), tokens)


def _prompted(source: Source) -> _Skeleton:
    """A vision-language model, which gets no new head."""
    build, config = image_text_class(source)
    with model_errors(source), quiet_libraries(), torch.device("meta"):
        model = build.from_config(config)
    # As it is asked, for its usual targets; of which answers does not matter here.
    ask(model, Answers(("yes", "no"), ((0,), (1,))))
    encoder = sum(p.numel() for name, p in model.named_parameters() if not _embeds(model, name))
    return _Skeleton(model, (), encoder, None)


def _base(source: Source) -> Source:
    assert source.folder is not None
    base = base_of(source.folder)
    if base is None:
        raise InputError(
            "the adapter does not say what its base model is",
            where=source.location,
            expected="a base in fairlora.json or adapter_config.json",
        )
    return weights_source(resolve_source(base))


def _image(config: Any, source: Source) -> tuple[Any, Any]:
    return image_model_class(config, source, None)


def _text(config: Any, source: Source) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification

    check_text_model(config, source)
    return AutoModelForSequenceClassification, config


def _drawn(model: nn.Module, source: Source, head: tuple[str, ...]) -> list[str]:
    """Poolers that the checkpoint does not store: the one part that checkpoints come without."""
    poolers = [
        name
        for name, _ in model.named_parameters()
        if "pooler" in name.split(".") and not in_head(name, head)
    ]
    stored = set(_stored_names(source)) if poolers else set()
    if not stored or any("pooler" in name.split(".") for name in stored):
        return []
    return modules_of(model, poolers)


def _stored_names(source: Source) -> Iterator[str]:
    """Names of a checkpoint's tensors; nothing where it is not on this machine."""
    from safetensors import safe_open
    from transformers.utils.hub import cached_file

    if source.gguf is not None:
        return
    for name in ("model.safetensors.index.json", "model.safetensors"):
        try:
            with quiet_libraries():
                path = cached_file(source.location, name, local_files_only=True)
        except OSError:
            continue
        if path is None:
            continue
        with model_errors(source):
            if name.endswith(".json"):
                with open(path, encoding="utf-8") as file:
                    yield from json.load(file)["weight_map"]
            else:
                with safe_open(path, framework="pt") as tensors:
                    yield from tensors.keys()
        return


def _embeds(model: nn.Module, parameter: str) -> bool:
    """Whether a parameter is looked up or added, once an input, and multiplies no token."""
    module, _, _ = parameter.rpartition(".")
    return any("embed" in part for part in parameter.split(".")) or isinstance(
        model.get_submodule(module), nn.Embedding
    )


def _tokens(config: Any, size: int, encoder: dict[str, int]) -> int | None:
    kind = str(config.model_type)
    if kind not in TOKENS_BESIDE and kind not in STAGED:
        return None
    patch = config.patch_size
    side = size // int(patch[0] if isinstance(patch, list | tuple) else patch)
    if kind in TOKENS_BESIDE:
        registers = int(getattr(config, "num_register_tokens", 0))
        return side * side + TOKENS_BESIDE[kind] + registers
    products = sum(n * (side >> _stage(name, config)) ** 2 for name, n in encoder.items())
    return round(products / sum(encoder.values()))


def _stage(parameter: str, config: Any) -> int:
    """How often the tokens were merged before they meet this parameter."""
    last: int = len(config.depths) - 1
    found = re.search(r"\.layers\.(\d+)\.", parameter)
    if found is None:
        return last
    return min(last, int(found[1]) + (".downsample." in parameter))


def _countable(adapter: Adapter) -> Adapter:
    """The adapter with what does not change its size left out."""
    names = field_names(adapter.method)
    extra: dict[str, Any] = {}
    if "init_lora_weights" in names:
        extra["init_lora_weights"] = True
    if "total_step" in names:
        extra["total_step"] = adapter.fields.get("total_step") or 1000
    return adapter.model_copy(update={"fields": {**adapter.fields, **extra}})


def _attached(plain: _Skeleton, adapter: Adapter, kind: Kind) -> Any:
    try:
        with torch.device("meta"):
            return attach(copy.deepcopy(plain.model), adapter, plain.head, task=kind)
    except InputError as error:
        if sum(p.numel() for p in plain.model.parameters()) > LARGEST_MADE:
            raise InputError(
                "this adapter cannot be counted without the model's weights",
                where="adapter.kind",
                found=f"{adapter.kind!r}: {first_line(error)}",
            ) from error
    model = copy.deepcopy(plain.model).to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.02, generator=generator)
    return attach(model, adapter, plain.head, task=kind)

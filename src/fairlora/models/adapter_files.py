"""A PEFT adapter as it lies in its folder: settings, weights, and who wrote them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from packaging.version import InvalidVersion, Version
from torch import Tensor

from fairlora.errors import InputError
from fairlora.models.heads import HEAD_NAMES
from fairlora.models.mlx_adapter import WEIGHTS as MLX_WEIGHTS
from fairlora.models.mlx_adapter import is_mlx, peft_settings, peft_weights
from fairlora.models.source import (
    ADAPTER_CONFIG,
    Source,
    file_of,
    first_line,
    quiet_libraries,
    read_json,
)

# Starts of LoRA that take something off the base weights which cannot be worked out again. (What
# PiSSA and OLoRA take off follows from the weights alone.)
CHANGE_THE_BASE = ("pissa_niter", "lora_ga", "corda", "loftq")
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")


@dataclass
class AdapterFiles:
    """An adapter as it lies in its folder.

    Attributes
    ----------
    config : PEFT's config of it.
    settings : the same as the file has it.
    weights : by the file's names; OFT's as PEFT keeps them today.
    said : the names in the file.
    completed : settings without which PEFT reads no adapter today, and its writer's did.
    unknown : settings that PEFT does not know today, with their values.
    written_by : the version of PEFT that wrote it; None where nothing says so.
    """

    source: Source
    config: Any
    settings: dict[str, Any]
    weights: dict[str, Tensor]
    written_by: str | None
    said: tuple[str, ...] = ()
    completed: tuple[str, ...] = ()
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the settings, a sentence each."""
        if not self.unknown:
            return ()
        listed = ", ".join(f"{name} {value!r}" for name, value in sorted(self.unknown.items()))
        return (
            f"{self.source.id} is read without settings that PEFT {version('peft')} does not "
            f"know: {listed}",
        )

    @property
    def kind(self) -> str:
        """PEFT's name of the method, in capitals."""
        return str(self.config.peft_type.value)

    @property
    def task(self) -> str | None:
        """What PEFT was told that the model does: SEQ_CLS, CAUSAL_LM, ..."""
        return None if self.config.task_type is None else str(self.config.task_type)

    def classes(self) -> int | None:
        """How many classes the head has that lies in the file; None where it has none."""
        for name, weight in self.weights.items():
            *parts, last = name.split(".")
            head = set(parts) & set(HEAD_NAMES) - {"pre_classifier"}
            # A head of two layers calls the inner one dense.
            if head and last == "weight" and parts[-1] != "dense" and ".lora_" not in name:
                return int(weight.shape[0])
        return None


def find_adapter(source: Source) -> Any:
    """PEFT's config of an adapter; None where there is none."""
    path = file_of(source, ADAPTER_CONFIG)
    if path is None:
        return None
    from peft import PeftConfig

    settings = _settings(source, path)
    _check_writer(settings, path)
    settings |= _completed(settings, path)
    _unknown(settings, path)
    with quiet_libraries(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of settings that newer versions added: see `_unknown`
        try:
            return PeftConfig.from_peft_type(**PeftConfig.check_kwargs(**settings))
        except Exception as error:  # settings of another version break it anywhere
            raise InputError(
                "PEFT cannot read these settings of an adapter", where=path, found=first_line(error)
            ) from error


def _settings(source: Source, path: Path) -> dict[str, Any]:
    """An adapter's settings as PEFT's, also where mlx-lm wrote them."""
    settings = {**read_json(path)}
    if not is_mlx(settings):
        return settings
    weights = file_of(source, MLX_WEIGHTS)
    if weights is None:
        raise InputError("an adapter without weights", where=source.location, expected=MLX_WEIGHTS)
    return peft_settings(settings, _tensors(weights), path)


def _check_writer(settings: Mapping[str, Any], path: Path) -> None:
    """Raise `InputError` for another tool's settings, and for what this PEFT cannot read rightly.

    Other tools call their files as PEFT does.
    """
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    kind = settings.get("peft_type")
    if kind is not None:
        if str(kind) not in PEFT_TYPE_TO_CONFIG_MAPPING:
            raise InputError(
                f"a method that PEFT {version('peft')} does not have",
                where=path,
                found=f"peft_type {kind!r}",
                expected="the version of PEFT that wrote it, or a merged model",
            )
        start = settings.get("init_lora_weights")
        if str(start).lower().startswith(CHANGE_THE_BASE):
            raise InputError(
                "the start of this adapter changed its base weights, and they were not saved",
                where=path,
                found=f"init_lora_weights {start!r}",
                expected="one that was converted to LoRA when it was saved "
                "(path_initial_model_for_weight_conversion)",
            )
        return
    if isinstance(settings.get("config"), Mapping) and "model_class" in settings:
        raise InputError(
            "an adapter of the library adapters (AdapterHub), which is not PEFT's",
            where=path,
            found=f"model_class {settings['model_class']!r}",
            expected="a model that it merged (merge_adapter) and saved, or a PEFT adapter",
        )
    raise InputError(
        "not the settings of a PEFT adapter",
        where=path,
        found=", ".join(sorted(map(str, settings))[:8]) or "nothing",
        expected="peft_type",
    )


def _completed(settings: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What PEFT wants to be told today, and older versions did not write."""
    kind = settings.get("peft_type")
    if kind == "OFT" and "oft_block_size" not in settings:
        raise InputError(
            "OFT that rotates what a layer gives, as before PEFT 0.14; since then it rotates what "
            "the layer is given",
            where=path,
            expected="an adapter written by PEFT 0.14 or newer",
        )
    if kind == "ADALORA" and not settings.get("total_step"):
        # Steps of a training that is over: they plan when ranks are cut, and nothing else.
        return {"total_step": 1, "tinit": 0, "tfinal": 0}
    return {}


def _unknown(settings: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Settings that PEFT has no name for, but those that say nothing.

    A newer version writes all settings that it has, most of them as they are by default; one that
    is switched on changes what the adapter computes: `InputError`.
    """
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    kinds: dict[Any, Any] = dict(PEFT_TYPE_TO_CONFIG_MAPPING)
    kind = kinds.get(str(settings.get("peft_type")))
    if kind is None:
        return {}
    known = {"peft_version", *(setting.name for setting in fields(kind))}
    unknown = {name: value for name, value in settings.items() if name not in known and value}
    on = [name for name, value in sorted(unknown.items()) if value is True]
    if on:
        raise InputError(
            f"a setting that PEFT {version('peft')} does not know is switched on",
            where=path,
            found=", ".join(f"{name}: true" for name in on),
            expected="the version of PEFT that wrote it, or the name of a setting",
        )
    return unknown


def read_adapter(source: Source) -> AdapterFiles:
    """Read an adapter's settings and weights; nothing is unpickled but tensors.

    Raises `InputError` if there are none, or if the file holds something else.
    """
    config = find_adapter(source)
    path = file_of(source, ADAPTER_CONFIG)
    names = (*WEIGHTS, MLX_WEIGHTS)
    paths = [file for name in names if (file := file_of(source, name)) is not None]
    if config is None or path is None or not paths:
        raise InputError(
            "an adapter without weights" if paths == [] else "no adapter",
            where=source.location,
            expected=f"{ADAPTER_CONFIG} and {' or '.join(WEIGHTS)}",
        )
    weights = _tensors(paths[0])
    said = tuple(weights)
    settings = _settings(source, path)
    if is_mlx(read_json(path)):
        weights = peft_weights(weights, paths[0])
    if config.peft_type.value == "OFT" and any(name.endswith(".oft_r") for name in weights):
        weights = _rotations(weights, config, source.location)
    return AdapterFiles(
        source,
        config,
        settings,
        weights,
        _version(path),
        said,
        completed=tuple(_completed(settings, path)),
        unknown=_unknown(settings, path),
    )


def _rotations(weights: Mapping[str, Tensor], config: Any, where: str) -> dict[str, Tensor]:
    """OFT's weights as PEFT keeps them since 0.16: of each skew matrix the upper triangle alone.

    Before, a matrix was stored whole, its skew part was used, and outputs had a scale of their own,
    which today's layers do not have: `InputError` for a scale other than 1.
    """
    translated: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if name.endswith(".oft_s"):
            if not torch.equal(weight, torch.ones_like(weight)):
                raise InputError(
                    "OFT with a scale for each output, which PEFT no longer has",
                    where=where,
                    found=name,
                    expected="an adapter written by PEFT 0.16 or newer",
                )
        elif name.endswith(".oft_r"):
            if config.coft or weight.ndim != 3 or weight.shape[1] != weight.shape[2]:
                raise InputError(
                    "OFT as PEFT computed it before 0.16",
                    where=where,
                    found=name,
                    expected="an adapter written by PEFT 0.16 or newer",
                )
            skew = (weight - weight.transpose(1, 2)) / 2
            size = weight.shape[1]
            rows, columns = torch.triu_indices(size, size, 1)
            translated[name.removesuffix("oft_r") + "oft_R.weight"] = skew[:, rows, columns]
        else:
            translated[name] = weight
    config.use_cayley_neumann = False  # the inverse was computed, and not approximated
    return translated


def _tensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        with warnings.catch_warnings():  # of what is refused below, in one line
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, ValueError, RuntimeError, EOFError, KeyError) as error:
        raise InputError("not readable as weights", where=path, found=first_line(error)) from error
    except Exception as error:  # what torch raises of a file that would run code
        raise InputError(
            "this file is damaged or holds more than tensors, and is not unpickled",
            where=path,
            found=type(error).__name__,
            expected="adapter_model.safetensors",
        ) from error
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise InputError("no weights by name", where=path, found=type(content).__name__)
    return dict(content)


def _version(settings: Path) -> str | None:
    """The version of PEFT that wrote an adapter: its config says it since 0.18, its card before."""
    said = str(read_json(settings).get("peft_version") or "")
    card = settings.parent / "README.md"
    if not said and card.is_file():
        match = re.search(r"^- PEFT (\d[\w.]*)", card.read_text("utf-8", "replace"), re.MULTILINE)
        said = "" if match is None else match[1]
    try:
        return str(Version(said.split("@")[0]))
    except InvalidVersion:
        return None

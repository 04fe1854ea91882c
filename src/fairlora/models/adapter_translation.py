"""Translate an adapter's settings to the names, ranks and scales that its model has today."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any

from packaging.version import Version
from torch import Tensor, nn

from fairlora.errors import InputError
from fairlora.models.adapter_files import AdapterFiles
from fairlora.models.load_checks import some_of
from fairlora.models.renames import ModuleNames

# PEFT puts experts of these together, keys and settings, as transformers does with their weights.
EXPERTS = ("mixtral", "qwen2_moe")


def todays_settings(
    model: Any, files: AdapterFiles, names: ModuleNames, renamed: Mapping[str, str]
) -> Any:
    """The adapter's config with the names that the model has today.

    Parameters
    ----------
    model : a transformers model without an adapter.
    files : the adapter's files as read; they stay as they are.
    names : the names of the model's modules.
    renamed : the file's name of a module -> today's, of those that differ.

    Raises
    ------
    InputError : the settings do not name every module that has weights, can be read in more than
        one way, or are of a version of PEFT that computed otherwise.
    """
    config = copy.deepcopy(files.config)
    if config.is_prompt_learning or not hasattr(config, "target_modules"):
        return config
    adapted = _adapted(files, names)
    older = {today: old for old, today in renamed.items()}
    if getattr(config, "modules_to_save", None):
        config.modules_to_save = [
            older_name if (older_name := _short(name, renamed)) else name
            for name in config.modules_to_save
        ]
    if adapted and getattr(model.config, "model_type", None) not in EXPERTS:
        _set_targets(config, adapted, names, older, files.source.location)
    _set_patterns(config, files, adapted, older)
    if files.kind == "ADALORA" and config.rank_pattern:
        config.rank_pattern = {
            _weight_today(name, names): kept for name, kept in config.rank_pattern.items()
        }
    old = files.kind == "OFT" and any(name.endswith(".oft_r") for name in files.said)
    if old and any(isinstance(model.get_submodule(name), nn.Conv2d) for name in adapted):
        raise InputError(
            "OFT on convolutions, which PEFT computed otherwise before 0.16",
            where=files.source.location,
            expected="an adapter of linear layers, or one written by PEFT 0.16 or newer",
        )
    return config


def _weight_today(name: str, names: ModuleNames) -> str:
    parts = names.split(name)
    return name if parts is None else f"{parts[1]}.{parts[2]}"


def _short(name: str, renamed: Mapping[str, str]) -> str | None:
    """Today's name of a module that is saved whole, where it was renamed."""
    found = {new for old, new in renamed.items() if old == name or old.endswith(f".{name}")}
    return found.pop() if len(found) == 1 else None


def _adapted(files: AdapterFiles, names: ModuleNames) -> dict[str, Tensor | None]:
    """The modules that have weights of the adapter in the file: name -> LoRA's A, if it is that."""
    from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING

    start = PEFT_TYPE_TO_PREFIX_MAPPING.get(files.config.peft_type)
    adapted: dict[str, Tensor | None] = {}
    for key, tensor in files.weights.items():
        parts = names.split(key)
        if start is None or parts is None or not parts[2].startswith(start):
            continue
        first = parts[2].startswith(("lora_A", "lora_embedding_A"))
        adapted.setdefault(parts[1], None)
        if first:
            adapted[parts[1]] = tensor
    return adapted


def _set_targets(
    config: Any,
    adapted: Mapping[str, Any],
    names: ModuleNames,
    older: Mapping[str, str],
    where: str,
) -> None:
    """Name the adapted modules in full where the settings' words are of another version."""
    from peft.tuners.tuners_utils import check_target_module_exists

    if getattr(config, "target_modules", None) in (None, "all-linear"):
        return
    today = {name for name in names.modules if _matches(check_target_module_exists, config, name)}
    if today >= set(adapted):
        return
    before = {
        name
        for name in names.modules
        if _matches(check_target_module_exists, config, older.get(name) or names.earlier(name))
    }
    wanted = before if before >= set(adapted) else before | today
    unnamed = set(adapted) - wanted
    if unnamed:
        raise InputError(
            "the file has weights for modules that its settings do not name",
            where=where,
            found=some_of(sorted(older.get(name, name) for name in unnamed)),
            expected=f"target_modules with them, not {_listed(config.target_modules)}",
        )
    config.target_modules = sorted(wanted)
    for name in ("layers_to_transform", "layers_pattern", "exclude_modules"):
        if hasattr(config, name):
            setattr(config, name, None)
    if getattr(config, "feedforward_modules", None):
        feeding = {
            name
            for name in wanted
            if _ends(older.get(name) or names.earlier(name), config.feedforward_modules)
            or _ends(name, config.feedforward_modules)
        }
        config.feedforward_modules = sorted(feeding)


def _matches(check: Callable[..., Any], config: Any, name: str) -> bool:
    found = check(config, name)
    return bool(found) and type(found).__name__ != "_ExcludedModule"


def _ends(name: str, endings: Any) -> bool:
    if isinstance(endings, str):
        return re.fullmatch(endings, name) is not None
    return any(name == one or name.endswith(f".{one}") for one in endings)


def _listed(names: Any) -> str:
    return names if isinstance(names, str) else some_of(sorted(names), 6)


def _set_patterns(
    config: Any,
    files: AdapterFiles,
    adapted: Mapping[str, Tensor | None],
    older: Mapping[str, str],
) -> None:
    """Give every module its rank and scale by its full name, as the version that wrote them did."""
    if files.kind not in ("LORA", "LOHA", "LOKR"):
        return
    ranks, alphas = dict(config.rank_pattern or {}), dict(config.alpha_pattern or {})
    own = config.lora_alpha if files.kind == "LORA" else config.alpha
    unscaled = files.kind == "LOKR" and (own != config.r or ranks or alphas)
    if unscaled and files.written_by is None:
        raise InputError(
            "LoKr that does not say which version of PEFT wrote it: before 0.14 it had no scale",
            where=files.source.location,
            found=f"alpha {own:g}, rank {config.r}",
            expected="peft_version in adapter_config.json",
        )
    if unscaled and Version(str(files.written_by)) < Version("0.14"):
        config.alpha = config.r
        alphas = dict(ranks)
    if not ranks and not alphas:
        return
    own = config.lora_alpha if files.kind == "LORA" else config.alpha
    for name, weight in adapted.items():
        settings = pattern_values(
            older.get(name, name), ranks, alphas, config.r, own, files.written_by
        )
        if weight is not None:
            settings = {pair for pair in settings if pair[0] == len(weight)} or settings
        if len(settings) != 1:
            raise InputError(
                "several patterns of the settings fit one module, and say different things",
                where=files.source.location,
                found=f"{older.get(name, name)}: rank and alpha "
                + " or ".join(f"{rank}, {alpha:g}" for rank, alpha in sorted(settings)),
                expected="one key of rank_pattern and alpha_pattern for each module",
            )
        rank, alpha = settings.pop()
        config.rank_pattern[f"^{re.escape(name)}"] = rank
        config.alpha_pattern[f"^{re.escape(name)}"] = alpha
    # In PEFT's order the first key that fits wins.
    for pattern in (config.rank_pattern, config.alpha_pattern):
        for key in [key for key in pattern if not key.startswith("^")]:
            del pattern[key]


def pattern_values(
    name: str,
    ranks: Mapping[str, Any],
    alphas: Mapping[str, Any],
    rank: int,
    alpha: float,
    version: str | None,
) -> set[tuple[int, float]]:
    """Every rank and alpha that a module can have had, by the patterns of an adapter's settings.

    PEFT took the first key that fits, and the order of the keys is not in the file, for they are
    sorted when they are written. Before 0.14 one key gave both rank and alpha: that of
    ``rank_pattern``, if one fits. Before 0.15 a key did not fit a module's whole name.

    Parameters
    ----------
    name : the module's full name in the version that wrote the adapter.
    ranks, alphas : ``rank_pattern`` and ``alpha_pattern``: key -> value.
    rank, alpha : of a module that no key fits.
    version : of PEFT that wrote the adapter; None may be any.
    """
    written = None if version is None else Version(version)
    settings: set[tuple[int, float]] = set()
    for joint, whole, since, until in (
        (True, False, "0", "0.14"),
        (False, False, "0.14", "0.15"),
        (False, True, "0.15", "1000"),
    ):
        if written is not None and not Version(since) <= written < Version(until):
            continue
        fits = r"(.*\.)?({})$" if whole else r".*\.{}$"
        some_ranks = [k for k in ranks if re.match(fits.format(k), name)]
        some_alphas = [k for k in alphas if re.match(fits.format(k), name)]
        if joint:
            keys = some_ranks or some_alphas or [name]
            settings |= {(int(ranks.get(k, rank)), float(alphas.get(k, alpha))) for k in keys}
        else:
            settings |= {
                (int(ranks.get(k, rank)), float(alphas.get(j, alpha)))
                for k in some_ranks or [name]
                for j in some_alphas or [name]
            }
    return settings

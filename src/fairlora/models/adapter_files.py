"""A PEFT adapter from its files onto a model: read, translated to today's names, and proved.

PEFT itself drops keys that fit nowhere and leaves modules without weights as they were drawn. Here
the weights go into the very tensors that PEFT says it would save, all of them, or the adapter is
refused by name.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from packaging.version import InvalidVersion, Version
from torch import Tensor, nn

from fairlora.errors import InputError
from fairlora.models.heads import HEAD_NAMES
from fairlora.models.proof import LoadRecord, check_keys, some_of
from fairlora.models.renames import PREFIX, ModuleNames
from fairlora.models.source import (
    ADAPTER_CONFIG,
    Source,
    first_line,
    quiet_libraries,
    read_json,
)

WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
# Of these PEFT keeps something else in memory than in the file, and translates it itself.
OWN_LAYOUT = ("ADALORA", "VBLORA", "ADAPTION_PROMPT", "XLORA", "TRAINABLE_TOKENS")
# PEFT puts experts of these together, keys and settings, as transformers does with their weights.
EXPERTS = ("mixtral", "qwen2_moe")


@dataclass
class AdapterFiles:
    """An adapter as it lies in its folder.

    Attributes
    ----------
    config : PEFT's config of it.
    settings : the same as the file has it.
    weights : by the file's names; OFT's as PEFT keeps them today.
    said : the names in the file.
    written_by : the version of PEFT that wrote it; None where nothing says so.
    """

    source: Source
    config: Any
    settings: dict[str, Any]
    weights: dict[str, Tensor]
    written_by: str | None
    said: tuple[str, ...] = ()

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
    path = _file(source, ADAPTER_CONFIG)
    if path is None:
        return None
    from peft import PeftConfig

    with quiet_libraries(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of settings that newer versions added
        try:
            return PeftConfig.from_pretrained(str(path.parent))
        except Exception as error:  # settings of another version break it anywhere
            raise InputError(
                "PEFT cannot read these settings of an adapter", where=path, found=first_line(error)
            ) from error


def read_adapter(source: Source) -> AdapterFiles:
    """Read an adapter's settings and weights; nothing is unpickled but tensors.

    Raises `InputError` if there are none, or if the file holds something else.
    """
    config = find_adapter(source)
    settings = _file(source, ADAPTER_CONFIG)
    paths = [path for name in WEIGHTS if (path := _file(source, name)) is not None]
    if config is None or settings is None or not paths:
        raise InputError(
            "an adapter without weights" if paths == [] else "no adapter",
            where=source.location,
            expected=f"{ADAPTER_CONFIG} and {' or '.join(WEIGHTS)}",
        )
    weights = _tensors(paths[0])
    said = tuple(weights)
    if config.peft_type.value == "OFT" and any(name.endswith(".oft_r") for name in weights):
        weights = _rotations(weights, config, source.location)
    return AdapterFiles(source, config, read_json(settings), weights, _version(settings), said)


def _rotations(weights: Mapping[str, Tensor], config: Any, where: str) -> dict[str, Tensor]:
    """OFT's weights as PEFT keeps them since 0.16: of each skew matrix the upper triangle alone.

    Before, a matrix was stored whole, its skew part was used, and outputs had a scale of their own,
    which today's layers do not have: `InputError` for a scale other than 1.
    """
    found: dict[str, Tensor] = {}
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
            found[name.removesuffix("oft_r") + "oft_R.weight"] = skew[:, rows, columns]
        else:
            found[name] = weight
    config.use_cayley_neumann = False  # the inverse was computed, and not approximated
    return found


def _file(source: Source, name: str) -> Path | None:
    if source.folder is not None:
        path = source.folder / name
        return path if path.is_file() else None
    from transformers.utils.hub import cached_file

    with quiet_libraries():
        try:
            found = cached_file(source.location, name, _raise_exceptions_for_missing_entries=False)
        except OSError:
            return None
    return None if found is None else Path(found)


def _tensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, ValueError, RuntimeError, EOFError, KeyError) as error:
        raise InputError("not readable as weights", where=path, found=first_line(error)) from error
    except Exception as error:  # what torch raises of a file that would run code
        raise InputError(
            "this file holds more than tensors, and is not unpickled",
            where=path,
            found=type(error).__name__,
            expected="adapter_model.safetensors",
        ) from error
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise InputError("no weights by name", where=path, found=type(found).__name__)
    return dict(found)


def _version(settings: Path) -> str | None:
    """The version of PEFT that wrote an adapter: its config says it since 0.18, its card before."""
    said = str(read_json(settings).get("peft_version") or "")
    card = settings.parent / "README.md"
    if not said and card.is_file():
        found = re.search(r"^- PEFT (\d[\w.]*)", card.read_text("utf-8", "replace"), re.MULTILINE)
        said = "" if found is None else found[1]
    try:
        return str(Version(said.split("@")[0]))
    except InvalidVersion:
        return None


def put_on(model: Any, files: AdapterFiles, record: LoadRecord) -> tuple[Any, LoadRecord]:
    """The model with the adapter on it, every weight of the file in its place.

    Parameters
    ----------
    model : a transformers model without an adapter; changed in place.
    record : what was found when the model was loaded.

    Returns the PEFT model, and the record with what was found of the adapter.

    Raises
    ------
    InputError : a key of the file fits nowhere, a module that the settings name has no weights in
        it, a shape differs, or the settings can be read in more than one way.
    """
    where = files.source.location
    names = ModuleNames(model)
    given, said, renamed = _translate(files, names)
    _resize(model, given)
    config = _settings(model, files, names, renamed)
    peft_model = _inject(model, config, where)
    expected = _saved(peft_model, where)
    embeddings = _embeddings(peft_model)
    experts = getattr(model.config, "model_type", None) in EXPERTS
    own = {tensor.data_ptr() for tensor in peft_model.state_dict().values()}
    copied = any(tensor.data_ptr() not in own for tensor in expected.values())
    if copied or files.kind in OWN_LAYOUT or config.is_prompt_learning or experts:
        _by_peft(peft_model, files, given, expected, where)
    else:
        # Older versions left the adapter's name out of the biases of a head that is saved whole.
        for key in [key for key in given if ".modules_to_save." in key and key not in expected]:
            named = key.replace(".modules_to_save.", ".modules_to_save.default.")
            given[named], said[named] = given.pop(key), said.pop(key)
        # Before 0.12 PEFT saved DoRA's magnitudes without the last part of their name.
        for key in [key for key in given if f"{key}.weight" in expected]:
            given[f"{key}.weight"], said[f"{key}.weight"] = given.pop(key), said.pop(key)
        # PEFT adds the embeddings to a file where they were resized or are adapted.
        expected |= {key: embeddings[key] for key in given if key in embeddings}
        check_keys(
            {name: tensor.shape for name, tensor in expected.items()},
            {name: tensor.shape for name, tensor in given.items()},
            where,
            said=said,
        )
        with torch.no_grad():
            for name, tensor in expected.items():
                tensor.copy_(given[name])
    for name, tensor in given.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise InputError(
                "a weight is not a number",
                where=where,
                found=f"NaN or infinity in {said.get(name, name)}",
                expected="finite weights",
            )
    peft_model.eval()
    otherwise = {
        "names": bool(renamed) or list(given) != list(files.weights),
        "patterns": _reads_otherwise(files),
        "rotations": tuple(files.weights) != files.said,
        "embeddings": any(key in embeddings for key in given),
    }
    wrote = {} if files.written_by is None else {"peft": files.written_by}
    return peft_model, replace(
        record,
        written_by={**record.written_by, **wrote},
        keys=len(given),
        renamed=renamed,
        translated=tuple(name for name, differs in otherwise.items() if differs),
    )


def _reads_otherwise(files: AdapterFiles) -> bool:
    """Whether PEFT reads the patterns or the scale otherwise than when it wrote them."""
    patterns = getattr(files.config, "rank_pattern", None) or getattr(
        files.config, "alpha_pattern", None
    )
    if files.kind not in ("LOKR", "LORA", "LOHA") or not (patterns or files.kind == "LOKR"):
        return False
    return files.written_by is None or Version(files.written_by) < Version("0.15")


def _translate(
    files: AdapterFiles, names: ModuleNames
) -> tuple[dict[str, Tensor], dict[str, str], dict[str, str]]:
    """The weights by the model's names; those -> the file's; modules named otherwise -> theirs."""
    given: dict[str, Tensor] = {}
    said: dict[str, str] = {}
    renamed: dict[str, str] = {}
    for key, tensor in files.weights.items():
        parts = names.split(key)
        whole = names.weight(key.removeprefix(PREFIX))
        new = key
        if whole is not None and key.startswith(PREFIX):
            new = f"{PREFIX}{whole}"
        elif parts is not None:
            old, today, rest = parts
            new = f"{PREFIX}{today}.{rest}"
            if old != today:
                renamed[old] = today
        if new in given:
            raise InputError(
                "two weights of the file are one of the model",
                where=files.source.location,
                found=f"{said[new]} and {key}",
                expected=f"one of them, for {new}",
            )
        given[new], said[new] = tensor, key
    return given, said, renamed


def resize_for(model: Any, files: AdapterFiles | None) -> None:
    """Give the model as many token embeddings as the adapter's file has, as AutoPeftModel does."""
    if files is not None:
        _resize(model, _translate(files, ModuleNames(model))[0])


def _resize(model: Any, given: Mapping[str, Tensor]) -> None:
    name = _name_of(model, model.get_input_embeddings()) if _has_tokens(model) else None
    for ending in ("weight", "base_layer.weight", "modules_to_save.weight"):
        tensor = given.get(f"{PREFIX}{name}.{ending}")
        if tensor is not None and len(tensor) != model.get_input_embeddings().num_embeddings:
            with quiet_libraries():
                model.resize_token_embeddings(len(tensor), mean_resizing=False)
            return


def _has_tokens(model: Any) -> bool:
    return getattr(model, "main_input_name", "") == "input_ids"


def _name_of(model: Any, module: Any) -> str | None:
    return next((name for name, one in model.named_modules() if one is module), None)


def _embeddings(peft_model: Any) -> dict[str, Tensor]:
    """The embeddings of a model with an adapter, by the names that PEFT saves them under."""
    base = peft_model.get_base_model()
    if not _has_tokens(base):
        return {}
    found: dict[str, Tensor] = {}
    for module in (base.get_input_embeddings(), base.get_output_embeddings()):
        name = None if module is None else _name_of(peft_model, module)
        if name is None:
            continue
        for key, tensor in module.state_dict().items():
            if "lora_" not in key and "modules_to_save" not in key:
                found[f"{name}.{key}"] = tensor
    return found


def _inject(model: Any, config: Any, where: str) -> Any:
    from peft import get_peft_model

    if str(getattr(config, "init_lora_weights", "")).startswith("pissa_niter"):
        raise InputError(
            "this adapter belongs to base weights that were drawn by chance and not saved",
            where=where,
            found=f"init_lora_weights {config.init_lora_weights!r}",
            expected="one that was converted to LoRA when it was saved, or init_lora_weights pissa",
        )
    config.inference_mode = True
    with quiet_libraries(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return get_peft_model(model, config)
        except Exception as error:  # PEFT checks values where it uses them, with any exception
            raise InputError(
                "PEFT cannot put this adapter on this model", where=where, found=first_line(error)
            ) from error


def _saved(peft_model: Any, where: str) -> dict[str, Tensor]:
    """What PEFT would save of the adapter: the very tensors of the model, by the file's names."""
    from peft import get_peft_model_state_dict

    with quiet_libraries(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return dict(get_peft_model_state_dict(peft_model, save_embedding_layers=False))
        except Exception as error:
            raise InputError(
                "PEFT cannot say what this adapter consists of",
                where=where,
                found=first_line(error),
            ) from error


def _by_peft(
    peft_model: Any,
    files: AdapterFiles,
    given: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    where: str,
) -> None:
    """Let PEFT load an adapter that it keeps in another layout than the file's."""
    from peft import set_peft_model_state_dict

    with quiet_libraries(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            plain = files.config.is_prompt_learning or files.kind == "LORA"
            result: Any = set_peft_model_state_dict(
                peft_model, files.weights if plain else dict(given)
            )
        except Exception as error:
            raise InputError(
                "the file does not fit the adapter that its settings describe",
                where=where,
                found=first_line(error),
            ) from error
    extra = [k for k in result.unexpected_keys if not _is_prompt(k)]
    lost = set(expected) - set(_saved(peft_model, where))
    missing = [k for k in result.missing_keys if ".lora_" in k or "modules_to_save" in k]
    if extra or lost or missing:
        raise InputError(
            "the file does not fit the adapter that its settings describe",
            where=where,
            found=some_of([*extra, *lost, *(f"no {k}" for k in missing)]),
        )


def _is_prompt(key: str) -> bool:
    return "prompt_embeddings" in key or "prompt_encoder" in key


def _settings(
    model: Any, files: AdapterFiles, names: ModuleNames, renamed: Mapping[str, str]
) -> Any:
    """The adapter's config with the names that the model has today."""
    import copy

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
    found: dict[str, Tensor | None] = {}
    for key, tensor in files.weights.items():
        parts = names.split(key)
        if start is None or parts is None or not parts[2].startswith(start):
            continue
        first = parts[2].startswith(("lora_A", "lora_embedding_A"))
        found.setdefault(parts[1], None)
        if first:
            found[parts[1]] = tensor
    return found


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
        found = pattern_values(
            older.get(name, name), ranks, alphas, config.r, own, files.written_by
        )
        if weight is not None:
            found = {one for one in found if one[0] == len(weight)} or found
        if len(found) != 1:
            raise InputError(
                "several patterns of the settings fit one module, and say different things",
                where=files.source.location,
                found=f"{older.get(name, name)}: rank and alpha "
                + " or ".join(f"{rank}, {alpha:g}" for rank, alpha in sorted(found)),
                expected="one key of rank_pattern and alpha_pattern for each module",
            )
        rank, alpha = found.pop()
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
    ``rank_pattern``, if one fits. Before 0.15 a key did not fit a module's whole name. An adapter
    that does not say which version wrote it may be of any.
    """
    written = None if version is None else Version(version)
    found: set[tuple[int, float]] = set()
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
            found |= {(int(ranks.get(k, rank)), float(alphas.get(k, alpha))) for k in keys}
        else:
            found |= {
                (int(ranks.get(k, rank)), float(alphas.get(j, alpha)))
                for k in some_ranks or [name]
                for j in some_alphas or [name]
            }
    return found

"""Put a PEFT adapter on a model: translated to today's names, every weight in its place.

PEFT itself drops keys that fit nowhere and leaves modules without weights as they were drawn. Here
the weights go into the very tensors that PEFT says it would save, all of them, or the adapter is
refused by name.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from packaging.version import Version
from torch import Tensor

from fairlora.errors import InputError
from fairlora.models.adapter_files import AdapterFiles
from fairlora.models.adapter_translation import EXPERTS, todays_settings
from fairlora.models.load_checks import LoadRecord, check_keys, some_of
from fairlora.models.methods import check_keys_and_values
from fairlora.models.renames import PREFIX, ModuleNames
from fairlora.models.source import first_line, quiet_libraries

# Of these PEFT keeps something else in memory than in the file, and translates it itself.
OWN_LAYOUT = ("ADALORA", "VBLORA", "ADAPTION_PROMPT", "XLORA", "TRAINABLE_TOKENS")


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
    config = todays_settings(model, files, names, renamed)
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
        "settings": bool(files.completed),
    }
    wrote = {} if files.written_by is None else {"peft": files.written_by}
    return peft_model, replace(
        record,
        written_by={**record.written_by, **wrote},
        keys=len(given),
        renamed=renamed,
        left_out=(*record.left_out, *(f"setting {name}" for name in sorted(files.unknown))),
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
    embeddings: dict[str, Tensor] = {}
    for module in (base.get_input_embeddings(), base.get_output_embeddings()):
        name = None if module is None else _name_of(peft_model, module)
        if name is None:
            continue
        for key, tensor in module.state_dict().items():
            if "lora_" not in key and "modules_to_save" not in key:
                embeddings[f"{name}.{key}"] = tensor
    return embeddings


def _inject(model: Any, config: Any, where: str) -> Any:
    from peft import get_peft_model

    if config.is_prompt_learning and not _has_tokens(model):
        raise InputError(
            "virtual tokens stand before a text, and this model takes pictures",
            where=where,
            found=f"peft_type {config.peft_type.value!r}",
            expected="an adapter of the layers, such as LoRA",
        )
    check_keys_and_values(model, config.peft_type.value, where)
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

"""Where a model comes from: the embedded one, a folder, a GGUF file, a run, or a hub id.

Room `models`: load a pretrained model, attach an adapter, count parameters. No remote code is run,
and nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

from fairlora.errors import FairloraError, InputError, optional_module

EMBEDDED = "embedded"
ASSETS = Path(__file__).resolve().parent.parent / "assets"
CARD = "fairlora.json"
ADAPTER_CONFIG = "adapter_config.json"
# What changes a model's answers beside its weights.
FINGERPRINTED = (
    "config.json",
    ADAPTER_CONFIG,
    CARD,
    "preprocessor_config.json",
    "processor_config.json",
    "chat_template.jinja",
    "tokenizer.json",
    "tokenizer_config.json",
)


class Source(NamedTuple):
    """A model to load: what `from_pretrained` takes, and the folder if it lies on this machine."""

    id: str
    folder: Path | None
    gguf: str | None = None

    @property
    def location(self) -> str:
        return self.id if self.folder is None else str(self.folder)

    @property
    def arguments(self) -> dict[str, Any]:
        """What `from_pretrained` of a config, tokenizer or model takes beside the location."""
        arguments: dict[str, Any] = {"trust_remote_code": False}
        if self.gguf is not None:
            arguments["gguf_file"] = self.gguf
        return arguments


def resolve_source(model_id: str) -> Source:
    """Find out whether `model_id` is the embedded model, a folder, a .gguf file or a hub id.

    Raises `InputError` for a path that is not there, and for a GGUF file that cannot be read for
    want of the package `gguf`.
    """
    if model_id == EMBEDDED:
        return Source(model_id, ASSETS / "embedded")
    path = Path(model_id).expanduser()
    if path.is_dir():
        return Source(model_id, path)
    if path.suffix == ".gguf" and path.is_file():
        optional_module("gguf", where=f"model.id {model_id}")
        return Source(model_id, path.parent, path.name)
    looks_like_path = model_id.startswith((".", "/", "~", "\\")) or model_id.count("/") > 1
    if path.exists() or looks_like_path or path.suffix == ".gguf":
        raise InputError(
            "no such model folder",
            where="model.id",
            found=model_id,
            expected="a folder with config.json, a .gguf file, a hub id, or 'embedded'",
        )
    return Source(model_id, None)


def weights_source(source: Source) -> Source:
    """The same model, at the folder where its weights lie: a run keeps them in one below it."""
    folder = source.folder
    if folder is None or source.gguf is not None:
        return source
    for name in ("adapter", "model"):
        if (folder / name).is_dir():
            if (folder / "status.json").is_file() or not (folder / "config.json").is_file():
                return Source(source.id, folder / name)
            break
    return source


def read_config(source: Source) -> Any:
    """The model's Hugging Face config."""
    from transformers import AutoConfig

    with model_errors(source), quiet_libraries():
        return AutoConfig.from_pretrained(source.location, **source.arguments)


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """No progress bars, no reports of new head weights, no retry messages while a model loads."""
    from huggingface_hub.utils import logging as hub
    from transformers.utils import logging

    level, hub_level, bars = (
        logging.get_verbosity(),
        hub.get_verbosity(),
        logging.is_progress_bar_enabled(),
    )
    logging.set_verbosity_error()
    hub.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        hub.set_verbosity(hub_level)
        if bars:
            logging.enable_progress_bar()


class model_errors:
    """Turns the loaders' many errors into one clear line that names the model."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: Any
    ) -> None:
        # A broken file, or one of another version, breaks its reader anywhere.
        if isinstance(error, FairloraError) or not isinstance(error, Exception):
            return
        full = any(word in str(error).lower() for word in ("out of memory", "allocate memory"))
        if full or isinstance(error, MemoryError):
            return
        if self.source.folder is None:
            raise InputError(
                "cannot load this model from the hub",
                where="model.id",
                found=repr(self.source.id),
                expected="a hub id that exists and that this machine can reach, "
                "a folder with config.json, or 'embedded'",
            ) from error
        gguf = self.source.gguf
        if isinstance(error, UnpicklingError) or "Weights only load failed" in str(error):
            raise InputError(
                "the weights' file is damaged or holds more than tensors, and is not unpickled",
                where=self.source.folder,
                expected="model.safetensors",
            ) from error
        raise InputError(
            "cannot load this model",
            where=self.source.folder if gguf is None else self.source.folder / gguf,
            found=first_line(error),
            expected="config.json and model.safetensors of a Hugging Face model"
            if gguf is None
            else "a GGUF file of an architecture that transformers reads",
        ) from error


def first_line(error: BaseException) -> str:
    """The first line of an error's message, cut to 160 characters."""
    return (str(error).strip() or type(error).__name__).split("\n")[0][:160]


def model_fingerprint(source: Source, revision: str | None = None) -> str:
    """A hash that changes with the weights.

    Of a folder or a GGUF file: the settings beside the weights, and the weights' size and first and
    last megabyte; of a run's folder those of its own weights, and of an adapter those of its base
    model too; of a hub id the id and its revision.
    """
    digest = hashlib.blake2b(digest_size=16)
    source = weights_source(source)
    if source.folder is None:
        digest.update(f"{source.id}@{revision or 'main'}".encode())
        return digest.hexdigest()
    if source.gguf is not None:
        _add_weights(digest, source.folder / source.gguf)
        return digest.hexdigest()
    for name in FINGERPRINTED:
        if (source.folder / name).is_file():
            digest.update((source.folder / name).read_bytes())
    for path in sorted([*source.folder.glob("*.safetensors"), *source.folder.glob("*.bin")]):
        _add_weights(digest, path)
    base = base_of(source.folder)
    if base is not None and base != source.id:
        # Without its base an adapter may still be named, and fails where it is loaded.
        with contextlib.suppress(InputError):
            digest.update(model_fingerprint(resolve_source(base)).encode())
    return digest.hexdigest()


def _add_weights(digest: Any, path: Path) -> None:
    size = path.stat().st_size
    digest.update(f"{path.name}:{size}".encode())
    with path.open("rb") as file:
        digest.update(file.read(1 << 20))
        file.seek(max(0, size - (1 << 20)))
        digest.update(file.read(1 << 20))


def source_of(model_id: str, *, texts: bool) -> Source:
    """Where a model's weights lie; `InputError` for the embedded model where the data are texts."""
    if texts and model_id == EMBEDDED:
        raise InputError(
            "the embedded model classifies pictures, and the data are texts",
            where="model.id",
            found=repr(model_id),
            expected="a language model's hub id, folder or .gguf file",
        )
    return weights_source(resolve_source(model_id))


def base_name(adapter: Source, name: str | None) -> str:
    """Where an adapter's base model lies: as it says, or as seen from the adapter's own folder.

    Raises `InputError` that names the adapter if it says nothing, or if there is no such folder.
    """
    if not name:
        raise InputError(
            "the adapter does not say what its base model is",
            where=adapter.location,
            expected="--base with a hub id or folder",
        )
    if adapter.folder is not None and not Path(name).expanduser().is_dir():
        beside = adapter.folder / name
        if not Path(name).is_absolute() and beside.is_dir():
            return str(beside)
    try:
        base = resolve_source(name)
        if base.folder is None:
            read_config(base)  # asks the hub, or its memory on this machine
    except InputError as error:
        raise InputError(
            "the base model that it was trained on is not where it says",
            where=adapter.location,
            found=name,
            expected="--base with the folder or hub id where it lies now",
        ) from error
    return str(name)


def base_of(folder: Path) -> str | None:
    """The base model that an adapter's folder names; None for a whole model."""
    if (folder / "config.json").is_file():
        return None
    said = ((CARD, "base"), (ADAPTER_CONFIG, "base_model_name_or_path"), (ADAPTER_CONFIG, "model"))
    for name, key in said:  # the last is mlx-lm's
        if (folder / name).is_file():
            base = read_json(folder / name).get(key)
            if isinstance(base, str) and base:
                return base
    return None


def file_of(source: Source, name: str) -> Path | None:
    """A file of a model, in its folder or from the hub; None if it has none."""
    if source.folder is not None:
        path = source.folder / name
        return path if path.is_file() else None
    from transformers.utils.hub import cached_file

    with quiet_libraries():
        try:
            cached = cached_file(source.location, name, _raise_exceptions_for_missing_entries=False)
        except OSError:
            return None
    return None if cached is None else Path(cached)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; `InputError` if it is not one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError("not readable as JSON", where=path) from error
    if not isinstance(value, dict):
        raise InputError("not a JSON object", where=path, found=type(value).__name__)
    return value

"""Where a model comes from: the embedded one, a folder, or a hub id.

Room `models`: load a pretrained model, attach an adapter, count parameters. Weights are read from
safetensors alone and no remote code is run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fairlora.errors import InputError

EMBEDDED = "embedded"
ASSETS = Path(__file__).resolve().parent.parent / "assets"


class Source(NamedTuple):
    """A model to load: what `from_pretrained` takes, and the folder if it lies on this machine."""

    id: str
    folder: Path | None

    @property
    def location(self) -> str:
        return self.id if self.folder is None else str(self.folder)


def resolve_source(model_id: str) -> Source:
    """Find out whether `model_id` is the embedded model, a folder or a hub id.

    Raises `InputError` for a path that is not there.
    """
    if model_id == EMBEDDED:
        return Source(model_id, ASSETS / "embedded")
    path = Path(model_id).expanduser()
    if path.is_dir():
        return Source(model_id, path)
    looks_like_path = model_id.startswith((".", "/", "~", "\\")) or model_id.count("/") > 1
    if path.exists() or looks_like_path:
        raise InputError(
            "no such model folder",
            where="model.id",
            found=model_id,
            expected="a folder with config.json, a hub id, or 'embedded'",
        )
    return Source(model_id, None)


def read_config(source: Source) -> Any:
    """The model's Hugging Face config."""
    from transformers import AutoConfig

    with model_errors(source), quiet_libraries():
        return AutoConfig.from_pretrained(source.location, trust_remote_code=False)


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
        from safetensors import SafetensorError

        if isinstance(error, InputError) or not isinstance(
            error, (OSError, ValueError, KeyError, SafetensorError)
        ):
            return
        if self.source.folder is None:
            raise InputError(
                "cannot load this model from the hub",
                where="model.id",
                found=repr(self.source.id),
                expected="a hub id that exists and that this machine can reach, "
                "a folder with config.json, or 'embedded'",
            ) from error
        raise InputError(
            "cannot load this model",
            where=self.source.folder,
            found=str(error).strip().split("\n")[0][:160],
            expected="config.json and model.safetensors of a Hugging Face model",
        ) from error


def model_fingerprint(source: Source, revision: str | None = None) -> str:
    """A hash that changes with the weights: of a folder its config and the weights' first and last
    megabyte and size; of a hub id the id and its revision."""
    digest = hashlib.blake2b(digest_size=16)
    if source.folder is None:
        digest.update(f"{source.id}@{revision or 'main'}".encode())
        return digest.hexdigest()
    names = ("config.json", "adapter_config.json", "fairlora.json")
    for name in names:
        if (source.folder / name).is_file():
            digest.update((source.folder / name).read_bytes())
    for path in sorted(source.folder.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}".encode())
        with path.open("rb") as file:
            digest.update(file.read(1 << 20))
            file.seek(max(0, size - (1 << 20)))
            digest.update(file.read(1 << 20))
    return digest.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; `InputError` if it is not one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError("not readable as JSON", where=path) from error
    if not isinstance(value, dict):
        raise InputError("not a JSON object", where=path, found=type(value).__name__)
    return value

"""Hugging Face `datasets`: loading one from the hub or from disk, with one clear error if not."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

from fairlora.errors import InputError, optional_module

_BUILDERS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "json",
}


def load_splits(
    hub_id: str | None, path: Path | None, config: str | None, revision: str | None
) -> tuple[str, dict[str, Any]]:
    """Its name for people, and its splits by their names, each a `datasets.Dataset`.

    Parameters
    ----------
    hub_id, path : one of the two: its name on the hub, or a `save_to_disk` folder or a Parquet, CSV
        or JSON file; the other is None.
    config, revision : the hub data set's configuration, and its commit or tag; None leaves
        it to the hub. Of a path they are not read.

    Raises `InputError` if it cannot be had.
    """
    if (hub_id is None) == (path is None):
        given = "neither" if path is None else "both"
        raise InputError("a hub id or a path", where="data.id", found=given, expected="one of them")
    datasets = library()
    if path is not None:
        path = path.expanduser()
        if not path.exists():
            raise InputError("no such file or folder", where="data.path", found=path)
        source, found_splits = str(path), _from_disk(datasets, path)
    else:
        assert hub_id is not None
        source, found_splits = hub_id, _from_hub(datasets, hub_id, config, revision)
    if isinstance(found_splits, datasets.Dataset):
        return source, {str(found_splits.split or "train"): found_splits}
    return source, dict(found_splits)


def library() -> Any:
    """The package `datasets`, which runs no repository's code; `InputError` if it is absent."""
    datasets = optional_module("datasets")
    # Older versions would ask, or obey the environment, before they run a repository's own code.
    if hasattr(datasets.config, "HF_DATASETS_TRUST_REMOTE_CODE"):
        datasets.config.HF_DATASETS_TRUST_REMOTE_CODE = False
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    return datasets


def _from_hub(datasets: Any, hub_id: str, config: str | None, revision: str | None) -> Any:
    if Path(hub_id).exists():
        # load_dataset would take it for a folder, and nobody who says `id` means one.
        raise InputError(
            "a file or folder, not a name on the hub", where="data.id", found=hub_id,
            expected="data.path for what is on disk",
        )  # fmt: skip
    try:
        return datasets.load_dataset(hub_id, config, revision=revision)
    # The library raises many kinds: of the network, of the hub, of a file's format.
    except Exception as error:
        raise InputError(
            "cannot load this data set from the hub",
            where="data.id",
            found=f"{hub_id}: {_first_line(error)}",
            expected="a data set of the hub and a network, or data.path",
        ) from error


def _from_disk(datasets: Any, path: Path) -> Any:
    log = logging.getLogger("datasets")
    level = log.level
    try:
        log.setLevel(logging.CRITICAL)  # what it says of a bad file, the error below says too
        if path.is_dir():
            saved = (path / "dataset_dict.json").is_file() or (path / "state.json").is_file()
            return datasets.load_from_disk(str(path)) if saved else datasets.load_dataset(str(path))
        builder = _BUILDERS.get(path.suffix.lower())
        if builder is None:
            raise InputError(
                "unknown kind of file", where=path, expected="one of " + ", ".join(_BUILDERS)
            )
        return datasets.load_dataset(builder, data_files=str(path))
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            "not a readable data set",
            where=path,
            found=_first_line(error),
            expected="a save_to_disk folder, or Parquet, CSV or JSON",
        ) from error
    finally:
        log.setLevel(level)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().split("\n")
    return (lines[0] or type(error).__name__)[:200]

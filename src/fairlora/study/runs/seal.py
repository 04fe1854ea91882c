"""A finished run's seal: the hash of every file that is read later, taken when the run ends.

The seal is no defence against whoever forges it too: it finds what was swapped, copied, cut or
edited, so that no such number is taken for the run's.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from fairlora.errors import InputError
from fairlora.study.runs.content import SealedFile

# What readers look for in a run's folder. What else lies there is nobody's result.
_READ = re.compile(
    r"(metrics|environment)\.json|log\.jsonl|spec\.yaml|predictions(-[^/]*)?\.parquet|texts\.parquet"
    r"|(adapter|model|probes)/.*(?<!\.md)"
)
LOG = "log.jsonl"
_WEIGHTS = ("adapter/", "model/")
# A file may change twice within one tick of the file system's clock.
_TICK_SECONDS = 2.0
_known: dict[str, tuple[tuple[int, ...], str]] = {}


class BrokenRun(InputError):
    """A finished run whose files are not those that it wrote, or are another run's."""


def sealed_names(folder: Path) -> list[str]:
    """The files of a run that its seal is of, by their paths in its folder, sorted."""
    return sorted(name for name in _names(str(folder), "") if _READ.fullmatch(name))


def _names(folder: str, before: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue  # partial files, and what file systems leave
            # Weights may lie on another disk; a link deeper down could lead round in a circle.
            if entry.is_dir(follow_symlinks=not before):
                if before or entry.name in ("adapter", "model", "probes"):
                    yield from _names(entry.path, f"{before}{entry.name}/")
            elif entry.is_file():
                yield before + entry.name


def seal_of(folder: Path) -> dict[str, SealedFile]:
    """The seal of a run as it lies there."""
    return {
        name: SealedFile(bytes=(folder / name).stat().st_size, sha256=file_hash(folder / name))
        for name in sealed_names(folder)
    }


def broken_seal(folder: Path, files: Mapping[str, SealedFile], *, weights: bool) -> str | None:
    """What is wrong with the files of a run, in a few words; None where all are as sealed.

    Parameters
    ----------
    folder : the run's.
    files : its seal.
    weights : whether to read the weights too; otherwise their size alone counts, for no report
        reads them.
    """
    there = set(sealed_names(folder))
    for name in sorted(there | set(files)):
        if name not in there:
            return f"{name} is missing"
        if name not in files:
            if name.startswith("probes/") or name == LOG:
                # Asked later, and cut off before it was sealed; or from when logs were not read:
                # nobody reads it.
                continue
            return f"{name} was not written by the run"
        path, sealed = folder / name, files[name]
        same = path.stat().st_size == sealed.bytes
        if same and (weights or not name.startswith(_WEIGHTS)):
            same = file_hash(path) == sealed.sha256
        if not same:
            return f"{name} is not as the run wrote it"
    return None


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content, read once in this process while the file is the same.

    The time of a file's last change of any kind (ctime), which no program sets, tells that.
    """
    stat = path.stat()
    mark = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    key = os.path.abspath(path)
    known = _known.get(key)
    if known is not None and known[0] == mark:
        return known[1]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if time.time() - stat.st_ctime > _TICK_SECONDS:
        _known[key] = (mark, digest)
    return digest

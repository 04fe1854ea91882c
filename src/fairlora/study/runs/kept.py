"""Where answers of frozen parts are kept between runs: in a study's folder, or in the user's cache.

All of it may be removed at any time, and is made again. ``FAIRLORA_CACHE`` names another folder for
the user's cache; "off" keeps nothing, of studies either.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

VARIABLE = "FAIRLORA_CACHE"
# What the user's cache may hold; what was used the longest ago goes first.
MOST_BYTES = 10 << 30
_KEY = re.compile(r"[0-9a-f]{32}")


def kept_of_study(root: Path) -> Path | None:
    """Where the cells of a study keep answers; None where nothing is kept.

    Parameters
    ----------
    root : the study's folder.
    """
    return None if os.environ.get(VARIABLE) == "off" else root / ".frozen"


def kept_of_user() -> Path | None:
    """Where runs of no study keep answers; None where nothing is kept."""
    named = os.environ.get(VARIABLE)
    if named == "off":
        return None
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return (Path(named).expanduser() if named else caches / "fairlora") / "frozen"


def forget_oldest(folder: Path, most: int = MOST_BYTES) -> None:
    """Remove what was used the longest ago, until the rest has at most so many bytes.

    Parameters
    ----------
    folder : as of `kept_of_user`.
    most : bytes that may stay.
    """
    with suppress(OSError):
        several = [path for path in folder.iterdir() if _KEY.fullmatch(path.name)]
        sizes = {path: sum(_sizes(path.iterdir())) for path in several}
        total = sum(sizes.values())
        for path in sorted(several, key=lambda path: path.stat().st_mtime):
            if total > most:
                shutil.rmtree(path, ignore_errors=True)
                total -= sizes[path]


def _sizes(files: Iterable[Path]) -> Iterable[int]:
    for path in files:
        with suppress(OSError):
            yield path.stat().st_size

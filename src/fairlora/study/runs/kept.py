"""Where answers of frozen weights are kept between runs: in a study's folder, or the user's cache.

All of it may be removed at any time, and is made again. ``FAIRLORA_CACHE`` names another folder for
the user's cache; "off" keeps nothing, of studies either.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlora.errors import WriteError
from fairlora.io import write_text
from fairlora.study.runs.cache import content_key

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


@dataclass
class KeptAnswers:
    """Answers of a model that nothing trains: asked once, by whichever run comes first.

    Parameters
    ----------
    folder : as of `kept_of_study`; None asks every time.
    made_from : what all of them depend on, as of `content_key`.

    Attributes
    ----------
    notes : what was wrong with the folder, a line each.
    """

    folder: Path | None
    made_from: Any
    notes: list[str] = field(default_factory=list)

    def get(self, asked: Any, ask: Callable[[], Any]) -> Any:
        """The answer as it is kept, or as `ask` gives it; plain values, as JSON has them.

        Parameters
        ----------
        asked : all that this answer depends on besides.
        ask : asks the model.
        """
        if self.folder is None:
            return ask()
        key = content_key(["answers", self.made_from, asked])
        path = self.folder / key / "answer.json"
        try:
            return _whole(path.read_bytes(), key)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._leave(error)
            return ask()
        except ValueError as error:
            self.notes.append(f"the base model is asked again: {path} {error}")
        text = json.dumps(ask())
        try:
            write_text(path, json.dumps({"key": key, "hash": _hash(text), "answer": text}))
        except (WriteError, OSError) as error:
            self._leave(error)
        return json.loads(text)

    def _leave(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error)
        self.notes.append(f"the base model's answers are not kept: {self.folder}: {reason}")
        self.folder = None


def _whole(text: bytes, key: str) -> Any:
    """What a file of an answer holds. Raises `ValueError` that says what is wrong with it."""
    try:
        said = json.loads(text)
        own, answer, known = said["key"], said["answer"], said["hash"]
        whole = known == _hash(answer)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError("is cut off") from None
    if own != key:
        raise ValueError("is of another version")
    if not whole:
        raise ValueError("is not as it was written")
    return json.loads(answer)


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _sizes(files: Iterable[Path]) -> Iterable[int]:
    for path in files:
        with suppress(OSError):
            yield path.stat().st_size

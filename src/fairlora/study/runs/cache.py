"""A cache on disk, keyed by the content of what a thing was made from.

Base features, attack scores and results, verdicts, distances and whole reports are kept in it. The
file of a thing is named by its key, or has a name for people and its key in the folder's index.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

import fairlora
from fairlora.io import replacing, write_text
from fairlora.report.result import Record
from fairlora.study.runs.folder import dump_json

T = TypeVar("T")
AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclass(frozen=True)
class Form(Generic[T]):
    """How a kind of thing is a file: its ending, and how it is read and written."""

    ending: str
    read: Callable[[Path], T]
    write: Callable[[Path, T], Any]


JSON: Form[dict[str, Any]] = Form(
    ".json",
    lambda path: dict(json.loads(path.read_text(encoding="utf-8"))),
    lambda path, content: path.write_text(dump_json(content), encoding="utf-8"),
)


def record_form(kind: type[AnyRecord]) -> Form[AnyRecord]:
    """Content of that kind as JSON."""
    return Form(
        ".json",
        lambda path: kind.model_validate_json(path.read_text(encoding="utf-8")),
        lambda path, content: path.write_text(dump_json(content.to_dict()), encoding="utf-8"),
    )


ARRAY: Form[NDArray[Any]] = Form(
    ".npy",
    lambda path: np.asarray(np.load(path, allow_pickle=False)),
    lambda path, array: np.save(path, array, allow_pickle=False),
)


def content_key(made_from: Any) -> str:
    """A hash of what a thing is made from: plain values; what JSON does not have counts as text.

    The version of fairlora is part of it: another may compute otherwise.
    """
    text = json.dumps([fairlora.__version__, made_from], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Cache:
    """Things in one folder, made anew when what they are made from is another, or unreadable."""

    folder: Path

    def get(
        self, made_from: Any, make: Callable[[], T], form: Form[T], name: str | None = None
    ) -> T:
        """Return what was kept, or make it and keep it.

        Parameters
        ----------
        made_from : all that it depends on, as of `content_key`.
        make : makes it.
        form : how it is a file.
        name : the file's name without its ending, for people; None is the key.
        """
        key = content_key(made_from)
        file = f"{name or key}{form.ending}"
        path = self.folder / file
        if name is None or self.is_current(file, key):
            try:
                return form.read(path)
            except Exception:  # not there, or damaged: it differs from kind to kind
                pass
        value = make()
        with replacing(path) as partial:
            form.write(partial, value)
        if name is not None:
            self.record(file, key)
        return value

    def is_current(self, file: str, key: str) -> bool:
        """Whether a named file is there and was made from what has this key."""
        return self._index().get(file) == key and (self.folder / file).is_file()

    def record(self, file: str, key: str | None) -> None:
        """Note what a named file was made from, once it is whole; None forgets it."""
        index = {name: known for name, known in self._index().items() if name != file}
        if key is not None:
            index[file] = key
        write_text(self.folder / ".made.json", dump_json(index))

    def _index(self) -> dict[str, Any]:
        try:
            return JSON.read(self.folder / ".made.json")
        except (OSError, ValueError, TypeError):
            return {}

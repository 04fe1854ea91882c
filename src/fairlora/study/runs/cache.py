"""A cache on disk, keyed by the content of what a thing was made from.

Base features, attack scores and results, verdicts, distances and whole reports are kept in it. The
file of a thing is named by its key, or has a name for people; the folder's index says what each was
made from, and the hash of its content: what was cut or changed since is made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

import fairlora
from fairlora.errors import InputError
from fairlora.io import read_content, replacing, write_text
from fairlora.study.runs.content import Index, Made
from fairlora.study.runs.folder import dump_json
from fairlora.study.runs.seal import file_hash

T = TypeVar("T")


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
    """Things in one folder, made anew when what they are made from is another, or their files are
    not as they were written."""

    folder: Path

    def get(
        self,
        made_from: Any,
        make: Callable[[], T],
        form: Form[T],
        name: str | None = None,
        beside: Sequence[str] = (),
    ) -> T:
        """Return what was kept, or make it and keep it.

        Parameters
        ----------
        made_from : all that it depends on, as of `content_key`.
        make : makes it.
        form : how it is a file.
        name : the file's name without its ending, for people; None is the key.
        beside : further files that `make` writes in the folder.
        """
        key = content_key(made_from)
        file = f"{name or key}{form.ending}"
        path = self.folder / file
        if self.is_current(file, key):
            try:
                return form.read(path)
            except Exception:  # another's, for all its hash: it differs from kind to kind
                pass
        value = make()
        with replacing(path) as partial:
            form.write(partial, value)
        self.record(file, key, [file, *beside])
        return value

    def is_current(self, file: str, key: str) -> bool:
        """Whether a thing was made from what has this key, and all of its files are as written."""
        made = self._index().get(file)
        if made is None or made.key != key:
            return False
        try:
            return all(file_hash(self.folder / name) == own for name, own in made.files.items())
        except OSError:
            return False

    def record(self, file: str, key: str | None, files: Sequence[str] | None = None) -> None:
        """Note what a thing was made from, once it is whole.

        Parameters
        ----------
        file : the thing's name.
        key : of what it was made from; None forgets the thing.
        files : all that it consists of, by their paths in the folder; None is that name alone.
        """
        index = {name: known for name, known in self._index().items() if name != file}
        if key is not None:
            hashes = {name: file_hash(self.folder / name) for name in files or [file]}
            index[file] = Made(key=key, files=hashes)
        text = dump_json(Index(made=index).model_dump())
        write_text(self.folder / ".made.json", text)

    def _index(self) -> dict[str, Made]:
        try:
            found = read_content(self.folder / ".made.json", Index)
        except InputError:
            return {}  # all is made again, and the index with it
        return {} if found is None else found.made

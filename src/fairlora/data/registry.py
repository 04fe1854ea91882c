"""Register data sets: a name, options, and a reader of native files.

A data set is one file with a `DataSet` in it and one row in `DATA_SETS` (`fairlora.data`).
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from fairlora.data.checking import Finding, Reading, findings
from fairlora.data.examples import Examples
from fairlora.errors import InputError
from fairlora.settings import SettingsModel


class DataOptions(SettingsModel):
    """Options that every data set has. A data set adds its own in a subclass."""

    section: ClassVar[str] = "data"

    path: Path | None = Field(default=None, description="folder or file of the data set")
    groups: tuple[str, ...] | None = Field(
        default=None, description="group columns to audit; default: all the data set has"
    )


class DataSet(ABC):
    """A data set's name, options and reader."""

    name: ClassVar[str]
    summary: ClassVar[str]
    options: ClassVar[type[DataOptions]] = DataOptions

    @abstractmethod
    def read(self, options: Any) -> Reading:
        """Read the native files, and go on where a listed picture, text or list is missing.

        What is missing is a `Problem` of the reading. Raises `InputError` for what leaves nothing
        to read on: no such folder, no such column, a label that is none.
        """

    def load(self, options: Any) -> Examples:
        """The examples to train on. Raises `InputError` for whatever is missing or wrong."""
        return self.read(options).complete()

    def check(self, options: Any, watch: Callable[[int, int], None] | None = None) -> list[Finding]:
        """What `fairlora data check` prints; every picture is opened once.

        `watch` is told (done, total) while that goes on.
        """
        return findings(self.read(options), watch)


def chosen_groups(examples: Examples, options: DataOptions) -> Examples:
    """The examples with only the group columns that the options ask for."""
    if options.groups is None:
        return examples
    examples.require_groups(options.groups)
    return replace(examples, groups={g: examples.groups[g] for g in options.groups})


def require_path(options: DataOptions, name: str, *, kind: str) -> Path:
    """The options' path, which must be there as a "folder", a "file", or either of them.

    Parameters
    ----------
    options : of the data set.
    name : what lies there, for errors.
    kind : "folder" or "file"; other words ("file or folder") take either.

    Raises
    ------
    InputError : no path is given, nothing is there, or it is of the other kind.
    """
    if options.path is None:
        raise InputError("no path given", where="data.path", expected=f"the {kind} of {name}")
    path = options.path.expanduser()
    if not path.exists():
        raise InputError(f"no such {kind}", where="data.path", found=path, expected=f"{name}")
    if kind in ("folder", "file") and (kind == "folder") != path.is_dir():
        raise InputError(f"not a {kind}", where="data.path", found=path)
    return path


def fingerprint(parts: Iterable[str | bytes]) -> str:
    """A hash of the parts, in their order."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()

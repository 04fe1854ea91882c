"""What a data set is to fairlora, and the table of those there are.

A data set is one file with a `DataSet` in it and one row in `DATA_SETS` (`fairlora.data`).
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from fairlora.data.examples import Examples
from fairlora.errors import InputError


class DataOptions(BaseModel):
    """Options that every data set has. A data set adds its own in a subclass."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
    def load(self, options: Any) -> Examples:
        """Read the native files. Raises `InputError` for what is missing or wrong."""

    def check(self, options: Any) -> list[tuple[str, str]]:
        """What `fairlora data check` prints: (what, finding) pairs. Reads everything once."""
        examples = self.load(options)
        rows = [("examples", f"{len(examples):,}"), ("fingerprint", examples.fingerprint[:16])]
        for k, name in enumerate(examples.classes):
            if len(examples.classes) <= 12:
                rows.append((f"class {name}", f"{int((examples.labels == k).sum()):,}"))
        if len(examples.classes) > 12:
            rows.append(("classes", str(len(examples.classes))))
        for attribute, values in examples.groups.items():
            names = values.names
            shown = ", ".join(f"{g} {int(values.contains(g).sum()):,}" for g in names[:12])
            rows.append((f"group {attribute}", shown + (" ..." if len(names) > 12 else "")))
        if examples.family is not None:
            rows.append(("families", f"{len(set(examples.family.tolist())):,}"))
        rows.extend(("note", note) for note in examples.notes)
        return rows


def chosen_groups(examples: Examples, options: DataOptions) -> Examples:
    """The examples with only the group columns that the options ask for."""
    if options.groups is None:
        return examples
    examples.require_groups(options.groups)
    from dataclasses import replace

    return replace(examples, groups={g: examples.groups[g] for g in options.groups})


def require_path(options: DataOptions, name: str, *, kind: str) -> Path:
    """The options' path, which must be there as a "folder" or a "file"."""
    if options.path is None:
        raise InputError("no path given", where="data.path", expected=f"the {kind} of {name}")
    path = options.path.expanduser()
    if not path.exists():
        raise InputError(f"no such {kind}", where="data.path", found=path, expected=f"{name}")
    if (kind == "folder") != path.is_dir():
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

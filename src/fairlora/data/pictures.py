"""Picture files that a list names: where they lie, and which of them are missing."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from fairlora.data.checking import Problem, some
from fairlora.errors import InputError


def inside(root: Path, name: object, *, where: str) -> Path:
    """The path of a name that a data set's own list gives, which must not leave the data set.

    Parameters
    ----------
    root : the folder that the name is relative to.
    name : as listed; None and blanks are a missing path.
    where : where it is listed, for errors.

    Raises
    ------
    InputError : no name, or a path that is absolute or has ".." in it, on any system.

    >>> inside(Path("birds"), "001.Albatross/a.jpg", where="row 1").as_posix()
    'birds/001.Albatross/a.jpg'
    >>> inside(Path("birds"), "../../etc/passwd", where="row 1")
    Traceback (most recent call last):
    fairlora.errors.InputError: row 1: a path that leaves the data set (found '../../etc/passwd')
    """
    text = "" if name is None else str(name)
    if not text.strip():
        raise InputError("missing image path", where=where)
    # Read as Windows would too: a list may be used there.
    windows = PureWindowsPath(text)
    leaves = PurePosixPath(text).is_absolute() or windows.drive or windows.root
    if leaves or ".." in windows.parts or "\0" in text:
        raise InputError("a path that leaves the data set", where=where, found=repr(text))
    return root / text


def sizes_of(
    paths: Sequence[Path], where: Callable[[int], str]
) -> tuple[list[int | None], list[Problem]]:
    """The files' sizes (None for a missing one), and one problem if any is missing.

    `where` says where the k-th path is listed.
    """
    sizes = [_size(path) for path in paths]
    missing = [k for k, size in enumerate(sizes) if size is None]
    if not missing:
        return sizes, []
    names = some([str(paths[k]) for k in missing])
    text = f"{len(missing):,} of {len(paths):,} listed pictures are missing: {names}"
    error = InputError("no such picture", where=where(missing[0]), found=paths[missing[0]])
    return sizes, [Problem("missing pictures", text, error)]


def _size(path: Path) -> int | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # a name that no file can have
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None

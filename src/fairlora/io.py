"""Write a file so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fairlora.errors import WriteError, no_room


@contextmanager
def replacing(path: str | os.PathLike[str], *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block ends well.

    Missing parent folders are made. If the block raises, the temporary file is removed and whatever
    was at `path` before stays whole. The temporary name is hidden and keeps the suffix of `path`.

    Parameters
    ----------
    path : the file's name.
    durable : have the content on the disk before the name, so that a loss of power leaves no empty
        file under it.

    Raises
    ------
    WriteError : the disk or a quota is full, or the file system can only be read.
    OSError : the folder cannot be made or written, or `path` is a folder.
    """
    target = Path(path)
    # The same folder, because a rename is atomic only within one file system.
    name = f".{target.stem}.{secrets.token_hex(4)}.partial{target.suffix}"
    temporary = target.with_name(name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if durable:
            with temporary.open("r+b") as file:  # Windows flushes what may be written alone
                os.fsync(file.fileno())
        os.replace(temporary, target)
    except Exception as error:
        reason = no_room(error)
        if reason is None or isinstance(error, WriteError):
            raise
        raise WriteError(f"{target}: {reason}") from error
    finally:
        with suppress(OSError):  # a file system that has just become read-only
            temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str, *, durable: bool = False) -> None:
    """Write a text file in UTF-8, whole or not at all.

    Parameters
    ----------
    path : where it goes; missing parent folders are made.
    text : its content.
    durable : have it on the disk before the name, as in `replacing`.

    Raises as `replacing`.
    """
    with replacing(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")

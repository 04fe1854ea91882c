"""Write a file whole or not at all, and read a JSON file of ours as the model of its content."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from fairlora.errors import InputError

Content = TypeVar("Content", bound=BaseModel)


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
    OSError : the folder cannot be made or written, or `path` is a folder.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # The same folder, because a rename is atomic only within one file system.
    name = f".{target.stem}.{secrets.token_hex(4)}.partial{target.suffix}"
    temporary = target.with_name(name)
    try:
        yield temporary
        if durable:
            with temporary.open("r+b") as file:  # Windows flushes what may be written alone
                os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
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


def read_content(path: Path, model: type[Content]) -> Content | None:
    """A JSON file as the model of its content; None where there is no such file.

    Raises `InputError`, one line with the path and the key, for what cannot be read, half a file,
    a nesting without end, a key that is missing, and a value of another type.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError("not readable", where=path, found=error.strerror) from error
    try:
        from_json(text, allow_inf_nan=False)  # a model takes NaN where it takes anything
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if not first["loc"]:
            found = repr(first["input"])[:80]
            raise InputError("not a JSON object", where=path, found=found) from None
        key = ".".join(map(str, first["loc"]))
        missing = first["type"] == "missing"
        raise InputError(
            "missing" if missing else first["msg"].removeprefix("Value error, "),
            where=f"{path}: {key}",
            found=None if missing else repr(first["input"])[:80],
        ) from None
    except ValueError as error:
        raise InputError("not readable as JSON", where=path, found=error) from None

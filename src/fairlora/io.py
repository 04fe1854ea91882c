"""Write a file whole or not at all; read JSON of ours as the model of its content, and YAML.

What is read is bounded before anything is made of it.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from fairlora.errors import InputError, WriteError, no_room

Content = TypeVar("Content", bound=BaseModel)
# Of a YAML file: characters, levels, and values once its aliases are written out.
MOST_YAML = 1_000_000
MOST_LEVELS = 50
MOST_VALUES = 100_000


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
    made = False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Made here, and never opened through a link that somebody put there.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        made = True
        yield temporary
        if durable:
            with temporary.open("r+b") as file:  # Windows flushes what may be written alone
                os.fsync(file.fileno())
        os.replace(temporary, target)
    except Exception as error:
        reason = no_room(error)
        if isinstance(error, OSError) and error.filename == str(temporary):
            error.filename = str(target)  # the name that the user knows
        if reason is None or isinstance(error, WriteError):
            raise
        raise WriteError(f"{target}: {reason}") from error
    finally:
        if made:
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


def check_own(path: Path) -> None:
    """Raise `InputError` where a link, or anything but a file, lies in the place of a lock.

    Some locks empty the file that they open, wherever a link leads to.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise InputError("a link or no file", where=path, expected="a lock, or nothing")


@contextmanager
def locked(path: Path, busy: InputError, seconds: float = 0.0) -> Iterator[None]:
    """Hold a lock file, which the system lets go of if the process dies.

    Parameters
    ----------
    path : the file; its folder is made if it is not there.
    busy : raised if another process holds it.
    seconds : how long to wait for it.

    Raises
    ------
    InputError : nothing can be written in the folder, or `busy`.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=seconds)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        check_own(path)
        lock.acquire()
    except Timeout:
        raise busy from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError("cannot write here", where=path.parent, found=reason) from error
    try:
        yield
    finally:
        lock.release()


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


def parse_yaml(text: str, where: object) -> Any:
    """The plain values of a YAML text, as `yaml.safe_load`; bounded in size, levels and aliases.

    Parameters
    ----------
    text : the YAML.
    where : its file or key, for errors.

    Raises
    ------
    InputError : no YAML, a value that none can be (an impossible date), a part that holds itself,
        or a text above the bounds.
    """
    import yaml

    if len(text) > MOST_YAML:
        raise InputError(
            "too long a text", where=where, found=len(text), expected=f"at most {MOST_YAML:,}"
        )
    try:
        _check_yaml(text, where)
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"{where}, line {mark.line + 1}" if mark is not None else where
        raise InputError("not valid YAML", where=line) from error
    except InputError:
        raise
    except (ValueError, OverflowError) as error:
        raise InputError("not a value", where=where, found=str(error)[:80]) from error


def _check_yaml(text: str, where: object) -> None:
    """Raise `InputError` for YAML above the bounds, from its events alone: nothing is expanded."""
    import yaml

    # Of the collections that are open: their anchor, and the values and levels in them so far.
    opened: list[list[Any]] = [[None, 0, 0]]
    anchors: dict[str | None, tuple[int, int]] = {}
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        spot = where if (mark := event.start_mark) is None else f"{where}, line {mark.line + 1}"
        values, levels = 1, 0
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append([event.anchor, 1, 1])
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors and any(one[0] == event.anchor for one in opened):
                raise InputError("a part that holds itself", where=spot)
            values, levels = anchors.get(event.anchor, (1, 0))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, values, levels = opened.pop()
            anchors[anchor] = (values, levels)
        elif not isinstance(event, yaml.ScalarEvent):
            continue
        elif event.anchor is not None:
            anchors[event.anchor] = (1, 0)
        if len(opened) - 1 + levels > MOST_LEVELS:
            expected = f"at most {MOST_LEVELS}"
            raise InputError("too many levels", where=spot, expected=expected)
        if isinstance(event, yaml.CollectionStartEvent):
            continue
        above = opened[-1]
        above[1], above[2] = above[1] + values, max(above[2], levels + 1)
        if sum(one[1] for one in opened) > MOST_VALUES:
            expected = f"at most {MOST_VALUES:,}"
            raise InputError("too many values, with its aliases", where=spot, expected=expected)

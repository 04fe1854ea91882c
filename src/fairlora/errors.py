"""The errors that fairlora raises on purpose. Below every room: any room may import it.

A message is one line and says where, what was found and what was expected. The command line prints
it without a traceback and exits with the error's `exit_code`.
"""

from __future__ import annotations

import errno
import importlib.util
import re
from collections.abc import Iterable
from typing import Any

# Control characters (an escape sequence could recolour a terminal, a NUL is not XML), halves of a
# surrogate pair (no encoding can write them), and characters that no XML may hold.
_FORBIDDEN = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff"
# What has no width hides in a name: two names that look alike are two. Joiners stay, which letters
# of some scripts and emoji need, and so do the marks of a letter's direction.
_HIDDEN = "\u00ad\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb"
_REPLACED = re.compile(f"[{_FORBIDDEN}{_HIDDEN}]")
# Embeddings, overrides and isolates turn round the text that follows them as well.
# Right-to-left letters need none of them.
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")

# Why a file system takes no more, and what to do about it.
_NO_ROOM = {
    errno.ENOSPC: "the disk is full; make room and run the same command again",
    errno.EDQUOT: "the quota of disk space is used up; make room and run the same command again",
    errno.EFBIG: "the file is larger than its file system or a limit of this process allows",
    errno.EROFS: "the file system can only be read; name another folder",
}

# The optional packages that fairlora imports, and the extra that installs them.
_EXTRAS = {
    **dict.fromkeys(
        ("torch", "transformers", "peft", "accelerate", "datasets", "PIL", "safetensors"), "train"
    ),
    **dict.fromkeys(("tokenizers", "huggingface_hub", "packaging", "sklearn"), "train"),
    **dict.fromkeys(("ray", "psutil"), "ray"),
    "submitit": "slurm",
    **dict.fromkeys(("optuna", "sqlalchemy"), "search"),
    "opacus": "dp",
    "sacrebleu": "translation",
    "gguf": "gguf",
    **dict.fromkeys(("onnx", "onnxruntime", "onnxscript"), "export"),
    "openvino": "openvino",
    "sentencepiece": "sentencepiece",
    **dict.fromkeys(("python_calamine", "pyreadstat"), "files"),
    **dict.fromkeys(("mlflow", "tensorboard", "trackio", "wandb"), "trackers"),
}


def clean(text: str) -> str:
    """Return `text` with control and hidden characters as U+FFFD, direction overrides dropped.

    Line breaks stay (as a line feed), and so do letters of any script, joiners and emoji.

    >>> clean("dark\\x1b[31m")
    'dark�[31m'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _TURNING.sub("", _REPLACED.sub("\ufffd", text))


def escape_json(text: str) -> str:
    """Return JSON `text` with what `clean` takes out as escapes: the same data, safe to print.

    >>> escape_json('"a\u202eb"')
    '"a\\\\u202eb"'
    """
    for pattern in (_REPLACED, _TURNING):
        text = pattern.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return text


class FairloraError(Exception):
    """Base of fairlora's own errors. Its message is one line and safe to print."""

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        super().__init__(" ".join(clean(str(message)).split()))


class InputError(FairloraError, ValueError):
    """The user's input is wrong, and the user can mend it (exit code 2).

    Parameters
    ----------
    problem : what is wrong, in a few words.
    where : the file, key, row or column at fault.
    found, expected : what was there, and what should have been.

    >>> print(InputError("negative strength", where="strength", found=-1, expected=">= 0"))
    strength: negative strength (found -1; expected >= 0)
    """

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        where: object = None,
        found: object = None,
        expected: object = None,
    ) -> None:
        details = [
            f"{word} {value}"
            for word, value in (("found", found), ("expected", expected))
            if value is not None
        ]
        message = problem if where is None else f"{where}: {problem}"
        if details:
            message += f" ({'; '.join(details)})"
        super().__init__(message)


class WorkError(FairloraError, RuntimeError):
    """The input was right and the work failed all the same (exit code 1)."""

    exit_code = 1


class WriteError(WorkError):
    """A file could not be written: no room, or a file system that takes none (exit code 2)."""

    exit_code = 2


def no_room(error: BaseException) -> str | None:
    """Why nothing more could be written, where that is behind an error; else None.

    Some writers hide it: behind an error of their own in closing, or without its number.

    >>> no_room(OSError(28, "No space left on device"))
    'the disk is full; make room and run the same command again'
    >>> no_room(ValueError("I/O error: File too large (os error 27)"))
    'the file is larger than its file system or a limit of this process allows'
    >>> no_room(RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"))
    'the disk is full; make room and run the same command again'
    """
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, OSError) and behind.errno in _NO_ROOM:
            return _NO_ROOM[behind.errno]
        # What torch.save says where a write was cut short.
        cut = "inline_container" in str(behind) and "unexpected pos" in str(behind)
        if cut or "no space left" in str(behind).lower():
            return _NO_ROOM[errno.ENOSPC]
        of_rust = re.search(r"\(os error (\d+)\)", str(behind))  # safetensors, polars
        if of_rust is not None and int(of_rust[1]) in _NO_ROOM:
            return _NO_ROOM[int(of_rust[1])]
        behind = behind.__cause__ or behind.__context__
    return None


def missing_package(
    error: ModuleNotFoundError, *, where: object = None, otherwise: str = ""
) -> InputError | None:
    """Say which extra installs the package that an import lacked; None for any other module.

    Parameters
    ----------
    error : what the import raised.
    where : what in the user's input needs the package.
    otherwise : what the user may do instead of installing it.

    >>> print(missing_package(ModuleNotFoundError("No module named 'torch'", name="torch")))
    the package 'torch' is not installed: pip install 'fairlora[train]'
    """
    package = (error.name or "").split(".")[0]
    if package not in _EXTRAS:
        return None
    install = f"pip install 'fairlora[{_EXTRAS[package]}]'"
    cure = f"{install}, or {otherwise}" if otherwise else install
    return InputError(f"the package {package!r} is not installed: {cure}", where=where)


def require_packages(*names: str) -> None:
    """Raise `InputError` for the first of these packages that is not installed; imports none."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise missing_package(ModuleNotFoundError(name=name)) or ModuleNotFoundError(name=name)


def optional_module(name: str, *, where: object = None, otherwise: str = "") -> Any:
    """Import a module of an optional package.

    Parameters
    ----------
    name : of the module.
    where : what in the user's input needs it.
    otherwise : what the user may do instead of installing it.

    Raises
    ------
    InputError : the package is not installed; the line names the extra that installs it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = missing_package(error, where=where, otherwise=otherwise)
        if missing is None:
            raise
        raise missing from None


def require_known(names: Iterable[str], known: Iterable[str], what: str, where: str) -> None:
    """Raise `InputError` for the first of these names that is not known.

    Parameters
    ----------
    names : those that were asked for.
    known : those that there are; the message lists them.
    what : a name stands for, such as "group column".
    where : the setting or option that has the names.
    """
    there = list(known)
    for name in names:
        if name not in there:
            raise InputError(
                f"no such {what}",
                where=where,
                found=repr(name),
                expected="one of " + ", ".join(there),
            )

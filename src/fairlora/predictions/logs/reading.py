"""Recognise a log by what it holds, and read it."""

from __future__ import annotations

from pathlib import Path

from fairlora.errors import InputError
from fairlora.predictions.logs.harness import is_harness, read_harness
from fairlora.predictions.logs.helm import is_helm, read_helm
from fairlora.predictions.logs.inspect import is_inspect, read_inspect
from fairlora.predictions.logs.lighteval import is_lighteval, read_lighteval
from fairlora.predictions.logs.log import Log

# A line of the harness may hold a long document; a header is within the first bytes.
_HEAD, _LINE = 4096, 1 << 24


def log_format(path: Path) -> str | None:
    """The tool whose log this is ("harness", "inspect", "lighteval" or "helm"), or None."""
    if path.is_dir():
        return "helm" if is_helm(path, b"") else None
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if head[:4] == b"PAR1":
                return "lighteval" if is_lighteval(path) else None
            if is_inspect(path, head):
                return "inspect"
            if is_helm(path, head):
                return "helm"
            file.seek(0)
            if head.lstrip()[:1] == b"{" and is_harness(file.readline(_LINE)):
                return "harness"
    except OSError:
        return None
    return None


def read_log_table(path: Path, filter_: str | None = None) -> Log:
    """Read an evaluation log; see `fairlora.read_log`.

    Parameters
    ----------
    path : a file, or the folder of a HELM run.
    filter_ : of the harness, the filter; of HELM, the perturbation; None takes the only one.

    Raises
    ------
    InputError : no log of a tool that is known, or a damaged one.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("no such file", where=path)
    kind = log_format(path)
    if kind in ("inspect", "lighteval") and filter_ is not None:
        raise InputError("such a log has no filters", where=path, found=f"--filter {filter_}")
    if kind is None:
        raise InputError(
            "not an evaluation log that is known",
            where=path,
            expected="samples of lm-evaluation-harness, a log of inspect_ai, details of lighteval "
            "or statistics of HELM",
        )
    try:
        return _read(kind, path, filter_)
    except InputError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            "fields of another kind than the tool writes",
            where=path,
            found=f"{type(error).__name__}: {error}"[:120],
        ) from error


def _read(kind: str, path: Path, filter_: str | None) -> Log:
    if kind == "harness":
        return read_harness(path, filter_)
    if kind == "inspect":
        return read_inspect(path)
    if kind == "lighteval":
        return read_lighteval(path)
    return read_helm(path, filter_)

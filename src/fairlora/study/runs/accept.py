"""Accept what somebody changed on purpose in a finished run: `fairlora study seal`."""

from __future__ import annotations

from typing import NamedTuple

from fairlora.errors import InputError
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.measured import difference, has_predictions

# What says which run it is; another one is made by running it.
_FIXED = ("spec.yaml", "environment.json")
_CHANGEABLE = r"metrics\.json|predictions(-[^/]*)?\.parquet|(adapter|model|probes)/.*"


class Accepted(NamedTuple):
    """The files whose change was accepted, and what does not fit together since, if anything."""

    files: list[str]
    note: str | None


def accept(folder: RunFolder) -> Accepted:
    """Seal a finished run as it lies there; the change is recorded, and shown wherever its numbers
    are.

    Raises
    ------
    InputError : no finished run, another run's folder, settings that were changed, or metrics or
        predictions that are missing or cannot be read.
    """
    if not folder.path.is_dir():
        raise InputError("no such folder", where=folder.path)
    status = folder.status()
    if status is None or status.state != "finished":
        raise InputError("not a finished run", where=folder.path)
    with folder.writing():
        problem = folder.not_own(status)
        if problem is not None:
            raise InputError(problem, where=folder.path)
        changed = folder.changed_files()
        for name in changed:
            gone = not (folder.path / name).is_file()
            if name in _FIXED:
                raise InputError(
                    "says which run it is, and cannot be changed",
                    where=folder.path / name,
                    expected="the file as it was, or the run made anew",
                )
            if gone and not name.startswith(("adapter/", "model/")):
                raise InputError("missing", where=folder.path / name)
        metrics, audit = folder.metrics(), folder.spec().audit
        note = difference(folder, audit) if changed and has_predictions(metrics) else None
        folder.seal_again(_CHANGEABLE)
    return Accepted(changed, note)

"""Runs on disk: what a run's folder holds, when it counts as finished, and who may write in it.

    <folder>/  spec.yaml  environment.json  predictions.parquet  metrics.json
               adapter/ or model/  log.jsonl  status.json

A run is finished when ``status.json``, written last and by rename, says so. A killed run leaves no
such file, so it can never look finished.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fairlora.errors import InputError, WorkError
from fairlora.io import write_text
from fairlora.study.spec.run import RunSpec

# Raised when what a cell writes, how it is computed, or a default changes its meaning.
CELL_VERSION = 2
# What a run leaves that was killed before it could say whose folder it is.
_NOBODYS = re.compile(r"\.lock|\.environment\.\w+\.partial\.json")


def identity(spec: RunSpec, data_fingerprint: str, model_fingerprint: str) -> str:
    """A hash of everything that can change the run's result, and of nothing else.

    Parameters
    ----------
    spec : the run.
    data_fingerprint, model_fingerprint : of its data and its pretrained weights, wherever they lie.
    """
    parts = [CELL_VERSION, result_settings(spec), data_fingerprint, model_fingerprint]
    content = json.dumps(parts, sort_keys=True)
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def result_settings(spec: RunSpec) -> dict[str, Any]:
    """The settings that differ from the defaults and can change the run's result, as plain values.

    So a setting that is new leaves every run what it was. Where data and weights come from is left
    out: their fingerprints stand for them.
    """
    settings = spec.model_dump(mode="json", exclude_defaults=True)
    # Where things lie, what the run is called and who watches it; and what another setting says is
    # not read.
    unread = ["name", "data.path", "data.root", "model.id", "training.report_to", "training.resume"]
    matched = spec.training.until_loss is not None
    unread.append("training.select" if matched else "training.until_loss_rows")
    shadow = spec.data.membership
    if shadow is not None:
        names = ("rows",) if shadow.design == "papers" else ("members", "non_members")
        unread += [f"data.membership.{name}" for name in names]
    for key in unread:
        take_out(settings, key)
    for probe in settings.get("probes", {}).values():
        # What the questions are, and not where they lie.
        if probe.get("templates") is not None:
            probe["templates"] = _digest(Path(probe["templates"]))
    return settings


def take_out(settings: dict[str, Any], key: str) -> None:
    """Remove ``section.name`` from nested settings, and a section that has nothing else.

    What is empty for another reason says something: a probe with nothing but its defaults is asked.
    """
    first, _, rest = key.partition(".")
    if not rest:
        settings.pop(first, None)
    elif isinstance(settings.get(first), dict):
        take_out(settings[first], rest)
        if not settings[first]:
            del settings[first]


def _digest(path: Path) -> str:
    """Of a file's content; a file that cannot be read is for the checks before training to say."""
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except OSError:
        return str(path)


def cell_name(spec: RunSpec, run_identity: str) -> str:
    """A readable folder name that ends in the identity: only letters, digits, dots, dashes."""
    parts = [spec.method]
    if spec.adapter.kind not in ("base", "full", "linear"):
        parts.append(f"r{spec.adapter.rank}")
    if spec.objective.fair and spec.objective.name == "loss-variance":
        parts.append(f"s{spec.objective.strength:g}")
    parts.append(f"seed{spec.seed}")
    if spec.data.membership is not None:
        parts.append(f"{spec.data.membership.design}{spec.data.membership.model}")
    readable = re.sub(r"[^a-z0-9.]+", "-", "-".join(parts).lower()).strip("-.")
    return f"{readable}-{run_identity[:10]}"


class FolderBusy(InputError):
    """Another process holds the folder's lock."""


@dataclass(frozen=True)
class RunFolder:
    """One run's folder."""

    path: Path

    @property
    def predictions(self) -> Path:
        return self.path / "predictions.parquet"

    def query(self, name: str) -> Path:
        """The predictions of another view of the same rows."""
        return self.path / f"predictions-{name}.parquet"

    def status(self) -> dict[str, Any] | None:
        """What ``status.json`` says; None where there is none."""
        return self._read("status.json")

    def is_finished(self) -> bool:
        status = self.status()
        return status is not None and status.get("state") == "finished"

    def check_finished(self) -> None:
        """Raise `InputError` for a folder that is none, holds no run, or one not finished."""
        status = self.status() if self.path.is_dir() else None
        if status is not None and status.get("state") == "finished":
            return
        if not self.path.is_dir():
            found = "a file" if self.path.exists() else "nothing there"
        elif status is not None:
            reason = f": {status['reason']}" if status.get("reason") else ""
            found = f"state {status.get('state')!r}{reason}"
        else:
            begun = (self.path / "spec.yaml").exists()
            found = "no status.json" if begun else "a folder that holds no run"
        raise InputError("not a finished run", where=self.path, found=found)

    def environment(self) -> dict[str, Any]:
        """Where and from what the run was made."""
        return self._read("environment.json") or {}

    def metrics(self) -> dict[str, Any]:
        """The audit of the run's test predictions and what training reported."""
        metrics = self._read("metrics.json")
        if metrics is None:
            raise InputError("no metrics: not a finished run", where=self.path)
        return metrics

    def check_predictions(self) -> None:
        """Raise `InputError` where the predictions are not there whole; reads their end alone.

        A language model's run has none: it predicts no class.
        """
        if self.metrics().get("task") == "language":
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            pq.read_metadata(self.predictions)
        except (OSError, pa.ArrowException) as error:
            raise InputError("not readable", where=self.predictions) from error

    def spec(self) -> RunSpec:
        from fairlora.study.spec.run import read_spec

        return read_spec(self.path / "spec.yaml")

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            value = json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise InputError("not readable", where=self.path / name) from error
        if not isinstance(value, dict):
            raise InputError("not a JSON object", where=self.path / name)
        return value

    def check_free(self, run_identity: str) -> None:
        """Raise `InputError` if a run of these settings must not be written here."""
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise InputError("not a folder", where=self.path)
        held = [p.name for p in self.path.iterdir() if not _NOBODYS.fullmatch(p.name)]
        if not held:
            return
        own = self.environment().get("identity")
        if own is None:
            raise InputError(
                "this folder is not empty and holds no run",
                where=self.path,
                found=", ".join(sorted(held)[:3]),
                expected="an empty or new folder",
            )
        if self.is_finished():
            raise InputError(
                "this folder already holds a finished run",
                where=self.path,
                found="the same settings" if own == run_identity else "other settings",
                expected="another --out"
                + (", or --resume to leave it as it is" if own == run_identity else ""),
            )
        if own != run_identity:
            raise InputError(
                "this folder holds an unfinished run of other settings",
                where=self.path,
                expected="another --out, or remove it",
            )

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder's lock; the system lets go of it if the process dies."""
        busy = FolderBusy("another process is running in this folder", where=self.path)
        with locked(self.path / ".lock", busy):
            yield

    def clear(self, *, keep_checkpoints: bool = False) -> None:
        """Remove what an unfinished run left. A finished run is never touched."""
        if self.is_finished():
            raise WorkError(f"{self.path}: refusing to clear a finished run")
        # The identity stays until the next run's replaces it: without it the folder is nobody's.
        kept = {".lock", "environment.json"} | ({"checkpoints"} if keep_checkpoints else set())
        for path in self.path.iterdir():
            if path.name in kept:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def write_status(self, state: str, seconds: float, **more: Any) -> None:
        """Write ``status.json``, with the time; the last of a finished run, for then all is there.

        Parameters
        ----------
        state : "finished", "failed" or "preempted".
        seconds : that the run took.
        more : "identity" of a finished run, "reason" of another.
        """
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        content = {"state": state, **more, "seconds": round(seconds, 2), "finished": finished}
        self.write("status.json", content)

    def write(self, name: str, content: str | dict[str, Any]) -> None:
        """Write a text or JSON file by rename, so that it is there whole or not at all."""
        text = content if isinstance(content, str) else dump_json(content)
        write_text(self.path / name, text, durable=True)


@contextlib.contextmanager
def locked(path: Path, busy: InputError) -> Iterator[None]:
    """Hold a lock file, which the system lets go of if the process dies; `busy` is raised if held.

    The folder is made if it is not there; `InputError` if nothing can be written in it.
    """
    lock = FileLock(path, blocking=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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


def dump_json(content: dict[str, Any]) -> str:
    """Readable JSON that refuses NaN: an undefined number is null."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

"""Runs on disk: what a run's folder holds, when it counts as finished, and who may write in it.

    <folder>/  spec.yaml  environment.json  predictions.parquet  metrics.json
               adapter/ or model/  log.jsonl  status.json

A run is finished when ``status.json``, written last and by rename, says so. A killed run leaves no
such file, so it can never look finished.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlora.errors import InputError, WorkError
from fairlora.study.spec.run import RunSpec

# Raised when what a cell writes, or how it is computed, changes its meaning.
CELL_VERSION = 1
# What a run leaves that was killed before it could say whose folder it is.
_NOBODYS = (".lock", "environment.json.partial")


def identity(
    spec: RunSpec, data_fingerprint: str, model_fingerprint: str, *, classifies_texts: bool = False
) -> str:
    """A hash of everything that can change the run's result, and of nothing else."""
    parts = [CELL_VERSION, result_settings(spec), data_fingerprint, model_fingerprint]
    if classifies_texts and spec.model.max_length is None:
        # Cells from before cut texts at 256 tokens where nothing was said.
        parts.append("the model's own length")
    content = json.dumps(parts, sort_keys=True)
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def result_settings(spec: RunSpec) -> dict[str, Any]:
    """The settings that can change the run's result, as plain values.

    Where data and weights come from is left out: their fingerprints stand for them.
    """
    settings = spec.model_dump(mode="json")
    # Where the data lie, what the run is called and who watches it cannot change its result.
    del settings["name"]
    for key in ("path", "root"):
        settings["data"].pop(key, None)
    training = settings["training"]
    for key in ("report_to", "resume"):
        training.pop(key, None)
    if spec.training.until_loss is None:
        # Cells keep the identity that they had before there was such a key.
        del training["until_loss"], training["until_loss_rows"]
    else:
        del training["select"]
    if spec.audit.confidence == "top":
        del settings["audit"]["confidence"]
    if not spec.audit.suggests:
        del settings["audit"]["suggests"]
    # The same: runs that are no shadow model's, and predict each example once.
    shadow = settings["data"]["membership"]
    if shadow is None:
        del settings["data"]["membership"]
    else:
        # What the other design reads cannot change this one's rows.
        unread = ("rows",) if shadow["design"] == "papers" else ("members", "non_members")
        for key in unread:
            del shadow[key]
    if not spec.queries:
        del settings["queries"]
    # The same: what only language models have.
    if not spec.model.chat:
        del settings["model"]["chat"]
    if spec.training.pack:
        del training["pack"]
    if not spec.probes:
        del settings["probes"]
    for asked in settings.get("probes", {}).values():
        # What the questions are, and not where they lie.
        if asked.get("templates") is not None:
            asked["templates"] = _digest(Path(asked["templates"]))
    # The weights' own fingerprint stands for the model: a folder may move.
    del settings["model"]["id"]
    return settings


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
        held = [p.name for p in self.path.iterdir() if p.name not in _NOBODYS]
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
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = (self.path / ".lock").open("w")
        except OSError as error:
            raise InputError(
                "cannot write here", where=self.path, found=error.strerror or type(error).__name__
            ) from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FolderBusy(
                    "another process is running in this folder", where=self.path
                ) from None
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

    def write(self, name: str, content: str | dict[str, Any]) -> None:
        """Write a text or JSON file by rename, so that it is there whole or not at all."""
        text = content if isinstance(content, str) else dump_json(content)
        partial = self.path / f"{name}.partial"
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path / name)


def dump_json(content: dict[str, Any]) -> str:
    """Readable JSON that refuses NaN: an undefined number is null."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

"""Runs on disk: what a run's folder holds, when it counts as finished, and who may write in it.

    <folder>/  spec.yaml  environment.json  predictions.parquet  metrics.json
               adapter/ or model/  log.jsonl  status.json

A language model's has ``texts.parquet`` in the place of predictions.

A run is finished when ``status.json``, written last and by rename, says so. A killed run leaves no
such file, so it can never look finished. It holds the run's seal too (`fairlora.study.runs.seal`):
every reader asks `RunFolder.whole` whether what lies there is what the run wrote.
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

from fairlora.errors import InputError, WorkError
from fairlora.io import Content, locked, read_content, write_text
from fairlora.study.runs import content
from fairlora.study.runs.content import Accepted, Environment, Metrics, Status
from fairlora.study.runs.seal import BrokenRun, broken_seal, seal_of
from fairlora.study.spec.run import RunSpec

# What a run leaves that was killed before it could say whose folder it is.
_NOBODYS = re.compile(r"\.lock|\.environment\.\w+\.partial\.json")


def identity(spec: RunSpec, data_fingerprint: str, model_fingerprint: str) -> str:
    """A hash of everything that can change the run's result, and of nothing else.

    Parameters
    ----------
    spec : the run.
    data_fingerprint, model_fingerprint : of its data and its pretrained weights, wherever they lie.
    """
    parts = [content.CELL_VERSION, result_settings(spec), data_fingerprint, model_fingerprint]
    text = json.dumps(parts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def result_settings(spec: RunSpec) -> dict[str, Any]:
    """The settings that differ from the defaults and can change the run's result, as plain values.

    So a setting that is new leaves every run what it was. Where data and weights come from is left
    out: their fingerprints stand for them.
    """
    settings = spec.model_dump(mode="json", exclude_defaults=True)
    if settings.get("training", {}).pop("precision", None) == "bfloat16":
        settings["training"]["bf16"] = True  # as before it could be measured
    elif not settings.get("training", True):
        del settings["training"]
    # Where things lie, what the run is called and who watches it; and what another setting says is
    # not read.
    unread = ["name", "data.path", "data.root", "model.id", "training.report_to", "training.resume"]
    matched = spec.training.until_loss is not None
    unread.append("training.select" if matched else "training.until_loss_rows")
    shadow = spec.data.membership
    if spec.queries or shadow is not None:
        unread.append("training.predict_train")
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
    if spec.objective.fair and spec.objective.penalised:
        parts.append(f"s{spec.objective.strength:g}")
    if spec.dp is not None:
        parts.append(f"eps{spec.dp.epsilon:g}")
    if spec.deploy is not None:
        parts.append(spec.deploy)
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

    @property
    def texts(self) -> Path:
        """A language model's texts with their tokens' log-probabilities."""
        return self.path / "texts.parquet"

    def query(self, name: str) -> Path:
        """The predictions of another view of the same rows."""
        return self.path / f"predictions-{name}.parquet"

    def status(self) -> Status | None:
        """What ``status.json`` says; None where there is none."""
        return read_content(self.path / "status.json", Status)

    def whole(self, identity: str | None = None, *, weights: bool = False) -> Status | None:
        """The status of a finished run that is whole; None of a run that is not finished.

        Whole is a run of this version of the format whose folder is its own, and whose files are
        those that it wrote. Whoever reads a run asks this first.

        Parameters
        ----------
        identity : what the run must be; None takes it from its status, which the folder's name
            must fit where it ends in an identity as a cell's does.
        weights : whether the weights are read too, as they must be before anything loads them;
            otherwise their sizes alone count.

        Raises
        ------
        BrokenRun : it is not whole; the line says what is wrong, and what to do.
        """
        try:
            status = self.status()
            if status is None or status.state != "finished":
                begun = self.environment().get("identity")
                if identity is None or begun in (None, identity):
                    return None
                problem: str | None = "a run of other settings was begun here"
            else:
                problem = self.not_own(status, identity) or self._broken(status, weights)
        except BrokenRun:
            raise
        except InputError as error:
            raise BrokenRun(str(error)) from error
        except OSError as error:
            raise BrokenRun("not readable", where=self.path, found=error.strerror) from error
        if problem is not None:
            raise BrokenRun(problem, where=self.path)
        return status

    def not_own(self, status: Status, identity: str | None = None) -> str | None:
        """Why a finished run is not the folder's own, or none of this version's; None if it is.

        Parameters
        ----------
        status : of the run.
        identity : as of `whole`.
        """
        if status.format != content.CELL_VERSION:
            made = "an older one" if status.format is None else f"format {status.format}"
            now = f"this one's is {content.CELL_VERSION}"
            return f"made by another version of fairlora ({made}, {now})"
        named = re.search(r"-([0-9a-f]{10})$", self.path.absolute().name)
        own = status.identity or ""
        if own != (identity or own) or (named is not None and named[1] != own[:10]):
            return "another run's files lie here"
        return None

    def _broken(self, status: Status, weights: bool) -> str | None:
        wrong = broken_seal(self.path, status.files, weights=weights)
        if wrong is None:
            return None
        return f"{wrong}; 'fairlora study seal' accepts a change made on purpose"

    def is_finished(self) -> bool:
        """Whether the run is finished. Raises `BrokenRun` where it is not `whole`."""
        return self.whole() is not None

    def is_result(self, identity: str | None = None) -> bool:
        """Whether the run is finished and `whole`; no reason why not."""
        try:
            return self.whole(identity) is not None
        except BrokenRun:
            return False

    def check_finished(self, *, weights: bool = False) -> None:
        """Raise `InputError` for a folder that is none or holds no run, or a run not finished.

        Parameters
        ----------
        weights : as of `whole`, which is asked and raises for a run that is not whole.
        """
        status = None
        if self.path.is_dir():
            if self.whole(weights=weights) is not None:
                return
            status = self.status()
        if not self.path.is_dir():
            found = "a file" if self.path.exists() else "nothing there"
        elif status is not None:
            found = f"state {status.state!r}" + (f": {status.reason}" if status.reason else "")
        else:
            begun = (self.path / "spec.yaml").exists()
            found = "no status.json" if begun else "a folder that holds no run"
        raise InputError("not a finished run", where=self.path, found=found)

    def environment(self) -> dict[str, Any]:
        """Where and from what the run was made."""
        return self._read("environment.json", Environment) or {}

    def metrics(self) -> dict[str, Any]:
        """The audit of the run's test predictions and what training reported."""
        metrics = self._read("metrics.json", Metrics)
        if metrics is None:
            raise InputError("no metrics: not a finished run", where=self.path)
        return metrics

    def spec(self) -> RunSpec:
        from fairlora.study.spec.run import read_spec

        return read_spec(self.path / "spec.yaml")

    def _read(self, name: str, model: type[Content]) -> dict[str, Any] | None:
        """A file's keys as they stand there, once its model has found nothing wrong with them."""
        if read_content(self.path / name, model) is None:
            return None
        value: dict[str, Any] = json.loads((self.path / name).read_bytes())
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
        if self.whole() is not None:
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
        status = self.status()
        if status is not None and status.state == "finished":
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
        """Write ``status.json``, with the time; the last of a finished run, for then all is there,
        and is sealed.

        Parameters
        ----------
        state : "finished", "failed" or "preempted".
        seconds : that the run took.
        more : "identity" of a finished run, "reason" of another.
        """
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        files = seal_of(self.path) if state == "finished" else {}
        ended = {"seconds": round(seconds, 2), "finished": finished, "files": files, **more}
        self._write_status(
            Status.model_validate({"state": state, "format": content.CELL_VERSION, **ended})
        )

    def _write_status(self, status: Status) -> None:
        self.write("status.json", status.model_dump(mode="json", exclude_defaults=True))

    def changed_files(self) -> list[str]:
        """The files of a finished run that are not as sealed, or missing, or there besides."""
        status = self.status()
        assert status is not None
        now = seal_of(self.path)
        return [n for n in sorted({*now, *status.files}) if now.get(n) != status.files.get(n)]

    def seal_again(self, names: str, *, accept: bool = True) -> None:
        """Seal changed files of a finished run as they are now.

        Parameters
        ----------
        names : a pattern of the files whose change is taken, as of `re.fullmatch`.
        accept : record the change, to be shown wherever the run's numbers are; False of what
            fairlora itself wrote since.
        """
        changed = [name for name in self.changed_files() if re.fullmatch(names, name)]
        status = self.status()
        assert status is not None
        if not changed:
            return
        now, files = seal_of(self.path), dict(status.files)
        for name in changed:
            files.pop(name, None)
            if name in now:
                files[name] = now[name]
        accepted = list(status.accepted)
        if accept:
            when = datetime.now(UTC).isoformat(timespec="seconds")
            accepted.append(Accepted(when=when, files=changed))
        self._write_status(status.model_copy(update={"files": files, "accepted": accepted}))

    def write(self, name: str, content: str | dict[str, Any]) -> None:
        """Write a text or JSON file by rename, so that it is there whole or not at all."""
        text = content if isinstance(content, str) else dump_json(content)
        write_text(self.path / name, text, durable=True)


def dump_json(content: dict[str, Any]) -> str:
    """Readable JSON that refuses NaN: an undefined number is null."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

"""Run one cell: from a `RunSpec` to a finished run's folder."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import fairlora
from fairlora.data import (
    Examples,
    MembershipPlan,
    SplitPlan,
    assign_membership,
    assign_splits,
    keep_trainable,
    limit_training,
    load_examples,
    make_scarce,
)
from fairlora.errors import FairloraError, InputError, WorkError
from fairlora.predictions import Predictions, read_predictions
from fairlora.study.runs import folder as store
from fairlora.study.runs.folder import RunFolder, cell_name, dump_json, identity
from fairlora.study.runs.progress import Progress, Watcher
from fairlora.study.spec.checks import check_suggestions
from fairlora.study.spec.run import RunSpec

if TYPE_CHECKING:
    from fairlora.study.tasks.classification import Built

# Rows that a run predicts again from its folder alone, to prove it.
PROVED_ROWS = 8
PACKAGES = ("numpy", "torch", "transformers", "peft", "accelerate", "pyarrow", "pillow")


@dataclass(frozen=True)
class Prepared:
    """A cell whose inputs have been read: everything is checked that can be before training."""

    spec: RunSpec
    examples: Examples
    identity: str
    data_fingerprint: str
    model_fingerprint: str

    @property
    def name(self) -> str:
        return cell_name(self.spec, self.identity)


def prepare(spec: RunSpec, loaded: Examples | None = None) -> Prepared:
    """Read the data, split it, and compute the cell's identity.

    `loaded` spares reading a data set that a study reads for every cell.
    Raises `InputError` for anything wrong with data, groups or settings.
    """
    from fairlora.models import Adapter
    from fairlora.models.source import model_fingerprint, resolve_source

    Adapter(**spec.adapter.model_dump())  # refuses what no adapter is
    examples = loaded or load_examples(spec.data.name, spec.data.options)
    fingerprint = examples.fingerprint
    split = spec.data.shares
    examples = assign_splits(
        examples, spec.seed, SplitPlan(split.validation, split.test, split.mode)
    )
    examples = keep_trainable(examples)
    if spec.data.scarcity:
        examples = make_scarce(examples, spec.data.scarcity, spec.seed)
    if spec.data.train_rows is not None:
        examples = limit_training(examples, spec.data.train_rows, spec.seed)
    if spec.data.membership is not None:
        # Last: a shadow model has the rows of the run that it is a shadow of.
        plan = MembershipPlan(**spec.data.membership.model_dump())
        examples = assign_membership(examples, plan, spec.seed)
    if spec.queries and examples.kind != "image":
        raise InputError("only pictures have a mirror image", where="queries", found="texts")
    _check_groups(spec, examples)
    check_suggestions(spec.audit, examples)
    if examples.language or spec.probes or spec.adapter.kind == "base":
        from fairlora.study.tasks.causal_lm_checks import check_language

        check_language(spec, examples)
    positive = spec.audit.positive
    if positive is not None and positive not in examples.classes:
        raise InputError(
            "no such class",
            where="audit.positive",
            found=repr(positive),
            expected="one of " + ", ".join(examples.classes),
        )
    one_class = len(np.unique(examples.labels[examples.split == "train"])) < 2
    if one_class and not examples.language:
        raise InputError(
            "the training split has one class",
            where="data",
            expected="at least two classes to tell apart",
        )
    source = resolve_source(spec.model.id)
    weights = model_fingerprint(source)
    own = identity_of(spec, examples, fingerprint, weights)
    return Prepared(spec, examples, own, fingerprint, weights)


def identity_of(spec: RunSpec, examples: Examples, data: str, model: str) -> str:
    """The identity of a run on these examples, from the fingerprints of data and model."""
    classifies = examples.kind == "text" and not examples.language
    return identity(spec, data, model, classifies_texts=classifies)


def _check_groups(spec: RunSpec, examples: Examples) -> None:
    wanted: dict[str, tuple[str, ...]] = {"objective.groups": (spec.objective.groups,)}
    if spec.last_layer is not None:
        wanted["last_layer.groups"] = spec.last_layer.groups
    for where, names in wanted.items():
        for name in names:
            if name not in ("label", *examples.groups):
                raise InputError(
                    "no such group column",
                    where=where,
                    found=repr(name),
                    expected="'label' or one of " + ", ".join(examples.groups),
                )


def run_cell(
    prepared: Prepared, folder: RunFolder, watch: Watcher | None = None, *, resume: bool = False
) -> bool:
    """Train, predict, audit and write a run's folder.

    Parameters
    ----------
    resume : leave a finished run of the same settings as it is, instead of refusing.

    Returns whether anything was run. Raises `InputError` if the folder must not be written;
    `WorkError` if the work failed: then ``status.json`` says why, and nothing looks finished.
    """
    with folder.writing():
        same = folder.environment().get("identity") == prepared.identity
        if resume and same and folder.is_finished():
            return False
        folder.check_free(prepared.identity)
        keep = prepared.spec.training.resume == "checkpoint"
        started = time.time()
        environment = _environment(prepared)
        folder.clear(keep_checkpoints=keep)
        # First, for it says whose folder this is: a run killed here can be started again.
        folder.write("environment.json", environment)
        folder.write("spec.yaml", prepared.spec.to_yaml())
        watch = watch or (lambda _: None)
        _forget_peak_memory()
        try:
            watch(Progress("loading", 0, 1))
            metrics = _work(prepared, folder, watch)
            _finish(folder, metrics, environment, started)
        except SystemExit as stop:
            if not keep and hasattr(stop, "advice"):
                stop.advice = (
                    "; with training.resume=checkpoint the same command would go on from there"
                )
            _record_failure(folder, stop, started, state="preempted")
            raise
        except (Exception, KeyboardInterrupt) as error:
            _record_failure(folder, error, started)
            if isinstance(error, FairloraError | KeyboardInterrupt):
                raise
            raise WorkError(explain(error)) from error
    return True


def _finish(
    folder: RunFolder, metrics: dict[str, Any], environment: dict[str, Any], started: float
) -> None:
    """Write what is known at the end; ``status.json`` last, for it says that all is there."""
    shutil.rmtree(folder.path / "checkpoints", ignore_errors=True)
    folder.write("metrics.json", metrics)
    environment["seconds"] = round(time.time() - started, 2)
    environment["peak_memory_mb"] = _peak_memory_mb()
    folder.write("environment.json", environment)
    folder.write(
        "status.json",
        {
            "state": "finished",
            "identity": environment["identity"],
            "seconds": environment["seconds"],
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )


def _work(prepared: Prepared, folder: RunFolder, watch: Watcher) -> dict[str, Any]:
    """Train and predict; returns what ``metrics.json`` holds."""
    from fairlora.metrics import audit_predictions
    from fairlora.models import count_parameters, save_finetuned
    from fairlora.study.runs.proof import prove_run
    from fairlora.study.tasks.classification import build

    spec = prepared.spec
    if prepared.examples.language:
        from fairlora.study.tasks.causal_lm import work_on_language

        return work_on_language(spec, prepared.examples, folder, watch)
    built = build(prepared.spec, prepared.examples, folder.path / "checkpoints")
    trainer = built.trainer
    trainer.add_callback(built.watching(watch))
    _train(built, folder)
    retrained = built.retrain_last_layer()
    log = [json.dumps(row, allow_nan=False) for row in _finite(trainer.state.log_history)]
    folder.write("log.jsonl", "\n".join(log) + "\n")
    save_finetuned(built.classifier, trainer.model, built.adapter, folder.path)
    built.predict(folder.predictions)
    for query in spec.queries:
        built.predict(folder.query(query), mirrored=query == "flip")
    predictions = read_predictions(folder.predictions)
    some = next(d.examples for d in reversed(built.plain.values()) if len(d))
    proof = prove_run(
        folder.path,
        predictions,
        some.take(np.arange(min(PROVED_ROWS, len(some)))),
        trainer.model,
        bf16=spec.training.bf16,
    )
    parts = {split: predictions.select(split) for split in ("train", "validation", "test")}
    result = audit_predictions(
        parts["test"],
        positive=spec.audit.positive,
        bins=spec.audit.bins,
        min_group=spec.audit.min_group,
        confidence=spec.audit.confidence,
        suggests=spec.audit.suggests,
    )
    return {
        "method": spec.method,
        "audit": result.to_dict(),
        "mean_loss": {split: _mean_loss(part) for split, part in parts.items()},
        "split_accuracy": {split: _accuracy(part) for split, part in parts.items()},
        "rows": {split: len(part) for split, part in parts.items()},
        "parameters": count_parameters(trainer.model, built.classifier.head).to_dict(),
        "training_seconds": round(
            sum(r.get("train_runtime", 0.0) for r in trainer.state.log_history), 2
        ),
        "best_epoch": _best_epoch(trainer),
        "last_layer": None if retrained is None else retrained._asdict(),
        "matched_loss": None if built.matched is None else built.matched.outcome._asdict(),
        "loaded": built.classifier.record.to_dict(),
        "proved": proof,
        "notes": [*prepared.examples.notes, *built.classifier.notes, *_unmatched(built)],
    }


def _accuracy(predictions: Predictions) -> float:
    return float(np.mean(predictions.labels == predictions.predictions))


def _mean_loss(predictions: Predictions) -> float | None:
    if predictions.loss is None:
        return None
    return float(np.mean(predictions.loss, dtype=np.float64))


def _train(built: Built, folder: RunFolder) -> None:
    from transformers.trainer_utils import get_last_checkpoint

    checkpoints = folder.path / "checkpoints"
    last = None
    if built.spec.training.resume == "checkpoint" and checkpoints.is_dir():
        last = get_last_checkpoint(str(checkpoints))
    built.train(last)


def _unmatched(built: Built) -> list[str]:
    """That training did not come to the loss it was to end at."""
    note = None if built.matched is None else built.matched.note()
    return [] if note is None else [note]


def _best_epoch(trainer: Any) -> float | None:
    """The epoch of the checkpoint that was kept; None where the last weights were."""
    best = trainer.state.best_global_step
    for row in trainer.state.log_history:
        if best and row.get("step") == best and "epoch" in row:
            return float(row["epoch"])
    return None


def _finite(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Log rows with numbers that JSON has; what is not finite becomes null."""
    return [
        {
            k: (None if isinstance(v, float) and not np.isfinite(v) else v)
            for k, v in row.items()
            if isinstance(v, int | float | str)
        }
        for row in rows
    ]


def explain(error: BaseException) -> str:
    """One line that says what went wrong, with the way out where there is one."""
    text = str(error).strip().split("\n")[0] or type(error).__name__
    if "out of memory" in text.lower() or isinstance(error, MemoryError):
        return (
            "out of memory; lower training.batch_size (and raise training.gradient_accumulation, "
            "with training.exact_accumulation for an unchanged objective), model.image_size or "
            f"model.max_length, or set training.bf16 ({text[:120]})"
        )
    # The writer of weights has an exception of its own, without the number.
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    if full or "no space left" in text.lower():
        return f"the disk is full; make room and run the same command again ({text[:160]})"
    return f"{type(error).__name__}: {text[:300]}"


def _record_failure(
    folder: RunFolder, error: BaseException, started: float, *, state: str = "failed"
) -> None:
    plain = isinstance(error, FairloraError | SystemExit)
    reason = str(error) if plain else explain(error)
    try:
        folder.write(
            "status.json",
            {
                "state": state,
                "reason": reason,
                "seconds": round(time.time() - started, 2),
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )
    except OSError as second:
        # A full disk must not hide what went wrong first.
        print(f"fairlora: could not record the failure: {second}", file=sys.stderr)


def _environment(prepared: Prepared) -> dict[str, Any]:
    import torch

    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    device = "cpu"
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name(0)
    return {
        "identity": prepared.identity,
        "format": store.CELL_VERSION,
        "data_fingerprint": prepared.data_fingerprint,
        "model_fingerprint": prepared.model_fingerprint,
        "fairlora": fairlora.__version__,
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "device": device,
        "threads": torch.get_num_threads(),
        "processors": os.cpu_count(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _git_commit() -> str | None:
    """The commit of fairlora's own checkout, with a mark if it was changed; None elsewhere."""
    here = Path(__file__).resolve().parent
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        # Installed below somebody else's repository, the commit would be theirs.
        tracked = subprocess.run(
            ["git", "ls-files", "--error-unmatch", Path(__file__).name],
            cwd=here,
            capture_output=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.stdout.strip() if tracked.returncode == 0 else None


def _forget_peak_memory() -> None:
    """Count the largest resident size anew, for a process that runs cell after cell (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_memory_mb() -> float:
    """Largest resident size of this process, in MB: since `_forget_peak_memory` on Linux."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return round(next(int(x.split()[1]) for x in lines if x.startswith("VmHWM:")) / 1024, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 if sys.platform != "darwin" else 1024**2), 1)


def format_metrics(metrics: dict[str, Any]) -> str:
    """The metrics as the JSON that ``fairlora train --json`` prints."""
    return dump_json(metrics)

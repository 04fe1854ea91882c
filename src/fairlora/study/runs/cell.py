"""Run one cell: from its prepared inputs to a finished run's folder."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Any

from fairlora.errors import FairloraError, InputError, WorkError, no_room
from fairlora.study.runs.environment import environment_of, forget_peak_memory, peak_memory_mb
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.precision import Precision
from fairlora.study.runs.prepare import Prepared
from fairlora.study.runs.progress import Progress, Watcher


def run_cell(
    prepared: Prepared,
    folder: RunFolder,
    watch: Watcher | None = None,
    *,
    resume: bool = False,
    precision: Precision | None = None,
    kept: Path | None = None,
    source: Path | None = None,
) -> bool:
    """Train, predict, audit and write a run's folder.

    Parameters
    ----------
    resume : leave a finished run of the same settings as it is, instead of refusing.
    precision : what was measured before it, to be recorded with the run.
    kept : where answers of the model's frozen part are kept for other runs; None keeps none.
    source : folder of the trained run, of a run that ships one.

    Returns whether anything was run. Raises `InputError` if the folder must not be written;
    `WorkError` if the work failed: then ``status.json`` says why, and nothing looks finished.
    """
    from fairlora.study.export.deployed import ship
    from fairlora.study.tasks import make_task
    from fairlora.study.tasks.frozen import Shelf
    from fairlora.training.stacked import current_member

    if prepared.spec.deploy is not None and source is None:
        raise InputError(
            "what is shipped is trained before",
            where="deploy",
            found=prepared.spec.deploy,
            expected="deploy in a study's file, or fairlora export of a run",
        )
    with folder.writing():
        if resume and folder.is_result(prepared.identity):
            return False
        folder.check_free(prepared.identity)
        keep = prepared.spec.training.resume == "checkpoint"
        started = time.time()
        environment = environment_of(prepared)
        if precision is not None:
            environment["precision"] = precision.model_dump(mode="json")
        folder.clear(keep_checkpoints=keep)
        # First, for it says whose folder this is: a run killed here can be started again.
        folder.write("environment.json", environment)
        folder.write("spec.yaml", prepared.spec.to_yaml())
        watch = watch or (lambda _: None)
        forget_peak_memory()
        try:
            watch(Progress("loading", 0, 1))
            weights, data = prepared.model_fingerprint, prepared.data_fingerprint
            if source is not None:
                metrics = ship(prepared, source, folder, watch)
            else:
                shelf = None if kept is None else Shelf(kept, weights, data)
                checkpoints = folder.path / "checkpoints"
                task = make_task(prepared.spec, prepared.examples, checkpoints, shelf)
                metrics = task.run(folder, watch)
            member = current_member()
            if member is not None:
                environment["together"] = member.alone is None
                environment["alone"] = member.alone
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
    checkpoints = folder.path / "checkpoints"
    if (checkpoints / "runs").is_dir():  # what TensorBoard's callback wrote beside them
        shutil.rmtree(folder.path / "tensorboard", ignore_errors=True)
        shutil.move(checkpoints / "runs", folder.path / "tensorboard")
    shutil.rmtree(checkpoints, ignore_errors=True)
    folder.write("metrics.json", metrics)
    environment["seconds"] = round(time.time() - started, 2)
    environment["peak_memory_mb"] = peak_memory_mb()
    folder.write("environment.json", environment)
    folder.write_status("finished", environment["seconds"], identity=environment["identity"])


def explain(error: BaseException) -> str:
    """One line that says what went wrong, with the way out where there is one."""
    text = str(error).strip().split("\n")[0] or type(error).__name__
    if "out of memory" in text.lower() or isinstance(error, MemoryError):
        return (
            "out of memory; lower training.batch_size (and raise training.gradient_accumulation, "
            "with training.exact_accumulation for an unchanged objective), model.image_size or "
            f"model.max_length, or set training.precision to bfloat16 ({text[:120]})"
        )
    room = no_room(error)
    if room is not None:
        return f"{room} ({text[:160]})"
    return f"{type(error).__name__}: {text[:300]}"


def _record_failure(
    folder: RunFolder, error: BaseException, started: float, *, state: str = "failed"
) -> None:
    plain = isinstance(error, FairloraError | SystemExit)
    reason = str(error) if plain else explain(error)
    try:
        folder.write_status(state, time.time() - started, reason=reason)
    except OSError as second:
        # A full disk must not hide what went wrong first.
        print(f"fairlora: could not record the failure: {second}", file=sys.stderr)

"""`AuditCallback`: the audit of each evaluation as a page and a figure in experiment trackers.

The numbers go there by the Trainer's own integrations; these take no files.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from transformers import TrainerCallback

from fairlora.errors import InputError
from fairlora.metrics.trainer import TrainerMetrics


class Files(NamedTuple):
    """What an evaluation left in the folder ``audit`` of the Trainer's output."""

    page: Path
    figures: list[Path]
    step: int


def _mlflow(files: Files, callback: Any) -> bool:
    import mlflow

    if mlflow.active_run() is None:
        return False
    for path in (files.page, *files.figures):
        mlflow.log_artifact(str(path), "audit")
    return True


def _wandb(files: Files, callback: Any) -> bool:
    import wandb

    if wandb.run is None:
        return False
    shown = {f"audit/{path.stem}": wandb.Image(str(path)) for path in files.figures}
    wandb.log({"audit/page": wandb.Html(str(files.page)), **shown})
    return True


def _trackio(files: Files, callback: Any) -> bool:
    import trackio
    from trackio import context_vars

    if context_vars.current_run.get() is None:
        return False
    shown = {f"audit/{path.stem}": trackio.Image(str(path)) for path in files.figures}
    trackio.log({"audit/page": trackio.Html(str(files.page)), **shown})
    trackio.log_artifact(str(files.page), name="audit", type="report")
    return True


def _tensorboard(files: Files, callback: Any) -> bool:
    """TensorBoard has no files: the figures alone."""
    import numpy as np
    from PIL import Image

    writer = getattr(callback, "tb_writer", None)
    if writer is None:
        return False
    for path in files.figures:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        writer.add_image(f"audit/{path.stem}", pixels, files.step, dataformats="HWC")
    writer.flush()
    return True


SENDERS: dict[str, tuple[str, Callable[[Files, Any], bool]]] = {
    "mlflow": ("MLflowCallback", _mlflow),
    "wandb": ("WandbCallback", _wandb),
    "trackio": ("TrackioCallback", _trackio),
    "tensorboard": ("TensorBoardCallback", _tensorboard),
}


class AuditCallback(TrainerCallback):
    """Write each evaluation's audit below the output folder, and hand it to the trackers.

        metrics = TrainerMetrics({"race": evaluation["race"]})
        trainer = Trainer(..., compute_metrics=metrics)
        trainer.add_callback(AuditCallback(metrics, trainer))

    `FairTrainer` adds it by itself where its `compute_metrics` is a `TrainerMetrics` and
    ``report_to`` names MLflow, TensorBoard, Weights & Biases or trackio. ``OUT/audit/audit.html``
    and ``OUT/audit/NAME.png`` are those of the last evaluation. A tracker that fails, or has no run
    that is open, is a warning and does not stop training.

    Parameters
    ----------
    metrics : the Trainer's `compute_metrics`.
    trainer : whose integrations are asked for what they have open.
    """

    def __init__(self, metrics: TrainerMetrics, trainer: Any) -> None:
        self.metrics = metrics
        self.trainer = trainer

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Of an evaluation's end; the numbers are logged by then.

        Parameters
        ----------
        args, state, control : those of every callback.
        """
        last = self.metrics.last
        if last is None or not state.is_world_process_zero:
            return
        files = written(last, Path(args.output_dir) / "audit", state.global_step)
        callbacks = {type(one).__name__: one for one in self.trainer.callback_handler.callbacks}
        for name in args.report_to:
            kind, send = SENDERS.get(name, ("", None))
            if send is None:
                continue
            try:
                said = "" if send(files, callbacks.get(kind)) else "it has no open run"
            except Exception as error:  # of a tracker: whatever it is, training goes on
                said = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            if said:
                warnings.warn(f"{name} did not take the audit's page: {said}", stacklevel=2)


def track_audits(trainer: Any) -> None:
    """Add an `AuditCallback` where the Trainer's evaluation is audited and a tracker would take it.

    Parameters
    ----------
    trainer : a Trainer with its `compute_metrics` and arguments.
    """
    metrics = trainer.compute_metrics
    if isinstance(metrics, TrainerMetrics) and SENDERS.keys() & set(trainer.args.report_to):
        trainer.add_callback(AuditCallback(metrics, trainer))


def written(last: dict[str, Any], folder: Path, step: int) -> Files:
    """The page and the figure of each attribute, in a folder.

    Parameters
    ----------
    last : an audit's JSON, `TrainerMetrics.last`.
    folder : made where it is not.
    step : of the training.
    """
    from fairlora.metrics.content import AuditContent
    from fairlora.metrics.result import AuditResult

    result = AuditResult(AuditContent.model_validate(last))
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "audit.html"
    result.to_html(page)
    figures = []
    for number, attribute in enumerate(result.content.by_group, 1):
        path = folder / f"groups-{number}.png"  # a name in the data is no path
        with contextlib.suppress(InputError):  # nothing to draw: the page says why
            result.plot(path, kind="groups", attribute=attribute)
            figures.append(path)
    return Files(page, figures, step)

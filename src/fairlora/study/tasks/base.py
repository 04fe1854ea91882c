"""Base of the tasks: train a model, save it, measure it, and prove what was saved.

A task is one file: a class with the model in a trainer that is ready to go, and what it measures
after training. `fairlora.study.tasks.make_task` chooses it by the data.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback

from fairlora.data import Examples
from fairlora.models import (
    Adapter,
    Classifier,
    LanguageModel,
    after_step,
    count_parameters,
    save_finetuned,
)
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.progress import Progress, Watcher
from fairlora.study.spec.run import RunSpec
from fairlora.study.tasks.datasets import PARTS
from fairlora.training import FairTrainer, derive_seed
from fairlora.training.checkpoints import last_whole_checkpoint
from fairlora.training.frozen_storage import frozen_in_bfloat16
from fairlora.training.matched_loss import MatchedLoss
from fairlora.training.stacked import current_member


class Task(ABC):
    """A run's model in a trainer that is ready to go.

    Parameters
    ----------
    spec, examples : the run, and its rows in their splits.
    loaded : the model as it was loaded, with its tokenizer or image processor.
    adapter : what is trained of it.
    trainer : the same model with its adapter attached.
    parts : the rows of each split as they are measured, by split.
    head : names of the head's modules.

    Attributes
    ----------
    metric : of the validation rows, shown while training.
    phase : what the progress calls the measuring after training.
    """

    metric: ClassVar[str]
    phase: ClassVar[str]

    def __init__(
        self,
        spec: RunSpec,
        examples: Examples,
        loaded: Classifier | LanguageModel,
        adapter: Adapter,
        trainer: FairTrainer,
        parts: dict[str, Any],
        head: tuple[str, ...],
    ) -> None:
        self.spec = spec
        self.examples = examples
        self.adapter = adapter
        self.trainer = trainer
        self.parts = parts
        self.head = head
        self._loaded = loaded
        self.matched: MatchedLoss | None = None
        # Progress is the caller's to show, and the log is written to the run's folder.
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(_AdapterSteps())
        if spec.training.until_loss is not None and self.trains:
            self.matched = MatchedLoss(
                trainer,
                parts["train"],
                spec.training.until_loss,
                rows=spec.training.until_loss_rows,
                seed=derive_seed(spec.chance, "until_loss rows"),
            )
            trainer.add_callback(self.matched)

    @property
    def trains(self) -> bool:
        """Whether anything is trained: the base model is left as it is."""
        return self.adapter.kind != "base"

    @abstractmethod
    def measure(self, folder: RunFolder, watch: Watcher) -> dict[str, Any]:
        """Predict or measure, and prove what lies in the folder; what ``metrics.json`` holds of it.

        It has ``mean_loss`` and ``split_accuracy`` by split, and ``proved``.
        """

    def measured_batches(self) -> int:
        """About how many batches `measure` has."""
        size = self.trainer.args.per_device_eval_batch_size
        return sum(-(-len(rows) // size) for rows in self.parts.values())

    def before_training(self, watch: Watcher) -> None:
        """What can be computed before the first step; reported to `watch`."""
        return

    def train(self, checkpoint: str | None = None) -> None:
        """Train, from a checkpoint where there is one."""
        if not self.trains:
            return
        trainer = self.trainer if self.matched is None else self.matched
        member = current_member()
        if member is not None:
            member.join(self.trainer)
        # Where weights are read for nothing but products; stacked runs share theirs with others.
        plain = self.adapter.kind in ("lora", "rslora", "linear") and member is None
        cast = plain and self.trainer.args.bf16 and self._loaded.quantize is None
        try:
            with frozen_in_bfloat16(self.trainer.model) if cast else nullcontext():
                trainer.train(resume_from_checkpoint=checkpoint)
        finally:
            if member is not None:
                member.leave()

    def after_training(self) -> dict[str, Any]:
        """What is done to the model before it is saved; what ``metrics.json`` holds of it."""
        return {"last_layer": None}

    def run(self, folder: RunFolder, watch: Watcher) -> dict[str, Any]:
        """Train, save, measure; returns what ``metrics.json`` holds."""
        trainer = self.trainer
        trainer.add_callback(_Watching(watch, self.phase, self.measured_batches(), self.metric))
        self.before_training(watch)
        self.train(self._last_checkpoint(folder.path / "checkpoints"))
        changed = self.after_training()
        history = trainer.state.log_history
        log = [json.dumps(row, allow_nan=False) for row in _finite(history)]
        folder.write("log.jsonl", "\n".join(log) + "\n")
        save_finetuned(self._loaded, trainer.model, self.adapter, folder.path)
        measured = self.measure(folder, watch)
        note = None if self.matched is None else self.matched.note()
        notes = [*self.examples.notes, *self._loaded.notes, *([] if note is None else [note])]
        private = self.private_trainer
        notes += [] if private is None else private.notes()
        return {
            "method": self.spec.method,
            **measured,
            "rows": {part: len(rows) for part, rows in self.parts.items() if part in PARTS},
            "parameters": count_parameters(trainer.model, self.head).to_dict(),
            "training_seconds": round(sum(row.get("train_runtime", 0.0) for row in history), 2),
            "best_epoch": _best_epoch(trainer),
            **changed,
            **({} if private is None else {"dp": private.record()}),
            "matched_loss": None if self.matched is None else self.matched.outcome._asdict(),
            "loaded": self._loaded.record.to_dict(),
            "notes": notes,
        }

    @property
    def private_trainer(self) -> Any:
        """The trainer where it trains with differential privacy; else None."""
        return None if self.spec.dp is None else self.trainer

    def _last_checkpoint(self, checkpoints: Path) -> str | None:
        if self.spec.training.resume != "checkpoint" or not checkpoints.is_dir():
            return None
        return last_whole_checkpoint(checkpoints)


def _best_epoch(trainer: FairTrainer) -> float | None:
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


class _AdapterSteps(TrainerCallback):
    """Tells an adapter that a step is done, while the gradients are still there."""

    def on_optimizer_step(
        self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any
    ) -> None:
        after_step(model, state.global_step + 1)


class _Watching(TrainerCallback):
    """Reports training steps with the validation results, then the batches of the last phase.

    Parameters
    ----------
    phase, batches : what comes after training, and about how many batches it has.
    metric : of the validation rows, in the message.
    trained : whether training is over, or there is none.
    """

    def __init__(
        self, watch: Watcher, phase: str, batches: int, metric: str = "", *, trained: bool = False
    ) -> None:
        self.watch = watch
        self.metric = metric
        self.phase = phase
        self.batches = batches
        self.predicted = 0
        self.trained = trained
        self._told = 0.0
        self._validated = 0

    def _tell(self, phase: str, done: int, total: int, message: str = "", detail: str = "") -> None:
        now = time.monotonic()
        if done < total and not message and now - self._told < 0.1:
            return
        self._told = now
        self.watch(Progress(phase, done, total, message, detail))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._validated = 0
        self._tell("training", state.global_step, state.max_steps, detail=_epoch(state))

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any
    ) -> None:
        value = (metrics or {}).get(f"eval_{self.metric}")
        if value is not None and state.max_steps and not self.trained:
            message = f"epoch {state.epoch:g}: validation {self.metric} {value:.4f}"
            self._tell("training", state.global_step, state.max_steps, message, _epoch(state))

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trained = True

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.trained:
            self.predicted += 1
            self._tell(self.phase, self.predicted, max(self.batches, self.predicted))
        elif state.max_steps:
            # The steps stand still meanwhile: that is no standstill.
            self._validated += 1
            detail = f"{_epoch(state)}, validating, batch {self._validated}"
            self._tell("training", state.global_step, state.max_steps, detail=detail)


def _epoch(state: Any) -> str:
    """Where training is, in epochs."""
    if state.epoch is None or not state.num_train_epochs:
        return ""
    return f"epoch {state.epoch:.2f} of {state.num_train_epochs:g}"


def watching(watch: Watcher, phase: str, batches: int) -> TrainerCallback:
    """A callback that reports the batches of a trainer that only predicts.

    Parameters
    ----------
    watch : gets the progress.
    phase, batches : what it is called, and about how many batches it has.
    """
    return _Watching(watch, phase, batches, trained=True)

"""Stop training at a given loss, so that methods are compared where they fit alike.

The FairLoRA paper compares LoRA and full fine-tuning "when their training loss is about the same".
The loss here is the plain one: no dropout, no augmentation, whatever the objective is.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate.utils import broadcast
from torch.utils.data import Dataset, Subset
from transformers import TrainerCallback

# What the measured loss is called in the log, which a checkpoint keeps.
LOGGED = "matched_loss"


class Matched(NamedTuple):
    """How far training came.

    `loss` is the mean cross-entropy of `rows` training rows at the last evaluation, which was in
    `epoch`; None where there was none.
    """

    threshold: float
    reached: bool
    loss: float | None
    epoch: float | None
    rows: int


class _ReachedBefore(Exception):
    """The checkpoint that training goes on from has the loss that was asked for."""


class MatchedLoss(TrainerCallback):
    """Ends a `FairTrainer`'s training at its first evaluation with a low enough training loss.

    The loss is the mean cross-entropy over some training rows, in eval mode. The weights are those
    of that evaluation; `load_best_model_at_end` would replace them. Measuring leaves the random
    state as it was: until it stops, training is what it would have been without.

    Parameters
    ----------
    trainer : whose model is measured, by its own forward pass.
    dataset : the training rows without augmentation.
    threshold : the loss to reach.
    rows, seed : how many rows are measured, and the draw that chooses them; all where there are
        fewer.
    """

    def __init__(
        self, trainer: Any, dataset: Dataset[Any], threshold: float, *, rows: int, seed: int
    ) -> None:
        self.trainer = trainer
        self.threshold = threshold
        self._rows = sample_rows(len(dataset), rows, seed)  # type: ignore[arg-type]
        self.measure_on(dataset)
        self._measured: tuple[int, float | None, float] | None = None
        self._training = False

    def measure_on(self, dataset: Dataset[Any]) -> None:
        """Take the training rows from here, which are the same.

        Parameters
        ----------
        dataset : the training rows without augmentation.
        """
        self.dataset = Subset(dataset, self._rows)

    @property
    def outcome(self) -> Matched:
        """What the last evaluation said."""
        rows = len(self.dataset)
        if self._measured is None:
            return Matched(self.threshold, False, None, None, rows)
        _, epoch, loss = self._measured
        # JSON has no number for a loss that is none.
        value = loss if math.isfinite(loss) else None
        return Matched(self.threshold, loss <= self.threshold, value, epoch, rows)

    def note(self) -> str | None:
        """What a report must say; None where the loss was reached."""
        found = self.outcome
        if found.reached:
            return None
        epochs = self.trainer.state.epoch or 0
        said = "(never measured)" if found.loss is None else f"{found.loss:.4g}"
        return f"training loss {said} did not reach {self.threshold:g} in {epochs:g} " + (
            "epoch" if epochs == 1 else "epochs"
        )

    def train(self, **arguments: Any) -> None:
        """Train until the loss is reached or the epochs end; `arguments` go to the trainer.

        A run that goes on from a checkpoint with the loss that was asked for trains no more.
        """
        trainer = self.trainer
        try:
            trainer.train(**arguments)
        except _ReachedBefore:
            trainer.is_in_train = False
            trainer.control = trainer.callback_handler.on_train_end(
                trainer.args, trainer.state, trainer.control
            )

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take up the loss in the checkpoint's log; one that was reached ends training at once.

        `train` catches the exception that ends it.

        Parameters
        ----------
        args, state, control, kwargs : those of the Trainer's callback.
        """
        self._training = True
        self._measured = None
        for row in state.log_history:
            if LOGGED in row:
                self._measured = row["step"], row["epoch"], row[LOGGED]
        if self.outcome.reached:
            # The Trainer looks whether to stop after a step alone, which would be one too many.
            raise _ReachedBefore

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure no more: later evaluations are not of training.

        Parameters
        ----------
        args, state, control, kwargs : those of the Trainer's callback.
        """
        self._training = False

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure the training loss, once a step, and stop training where it is low enough.

        Parameters
        ----------
        args, state, control, kwargs : those of the Trainer's callback.
        """
        # Once a step, however many evaluation sets there are; and not for who evaluates later.
        # A model that nothing has trained yet (`eval_on_start`) is no result.
        step = state.global_step
        again = self._measured is not None and self._measured[0] == step
        if not self._training or again or step == 0:
            return
        loss = self._measure()
        self._measured = step, state.epoch, loss
        self.trainer.log({LOGGED: loss})
        if loss <= self.threshold:
            control.should_training_stop = True

    def _measure(self) -> float:
        """The mean cross-entropy, the same number on every process."""
        trainer = self.trainer
        # A data loader takes its seed from the random state that dropout draws from.
        with torch.random.fork_rng(devices=[]):
            output = trainer.evaluation_loop(
                trainer.get_eval_dataloader(self.dataset),
                description="Training loss",
                prediction_loss_only=True,
                metric_key_prefix="train",
            )
        loss = torch.tensor(
            output.metrics["train_loss"], dtype=torch.float32, device=trainer.args.device
        )
        # Devices of two kinds may differ in the last digit, and one process would go on alone.
        return float(broadcast(loss))


def sample_rows(available: int, wanted: int, seed: int) -> list[int]:
    """`wanted` of the row numbers below `available`, in order; all where there are no more.

    Parameters
    ----------
    available : how many rows there are.
    wanted : how many to draw, without replacement.
    seed : of the draw.

    >>> sample_rows(3, 5, seed=0)
    [0, 1, 2]
    """
    if wanted >= available:
        return list(range(available))
    chosen = np.random.default_rng(seed).choice(available, wanted, replace=False)
    return sorted(chosen.tolist())

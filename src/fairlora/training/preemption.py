"""SIGTERM, which a scheduler sends before it takes the machine away: save, and leave.

The Trainer's own ``enable_jit_checkpoint`` saves too, but in the middle of a step, each process for
itself, and lets the script go on as if training had ended. Here the processes agree on a step, the
checkpoint is that of a step's end (so that resuming is exact), and the script ends.
"""

from __future__ import annotations

import signal
import threading
from typing import Any

import torch
import torch.distributed as dist
from transformers import TrainerCallback

EXIT_CODE = 128 + signal.SIGTERM


class Preempted(SystemExit):
    """Raised by `FairTrainer.train` after SIGTERM, once the checkpoint is written.

    Left alone, it ends the script with the exit code that a process killed by SIGTERM has.
    `checkpoint` is the folder, or None where `save_only_model` leaves nothing to go on from;
    `advice` is what a caller adds to the message.
    """

    def __init__(self, step: int, checkpoint: str | None) -> None:
        super().__init__(EXIT_CODE)
        self.step = step
        self.checkpoint = checkpoint
        self.advice = ""

    def __str__(self) -> str:
        kept = f"; saved as {self.checkpoint}" if self.checkpoint else "; nothing was saved"
        return f"stopped by SIGTERM after step {self.step}{kept}{self.advice}"


class PreemptionCallback(TrainerCallback):
    """Stops training at the end of the step in which any process got SIGTERM."""

    def __init__(self) -> None:
        self.stopped = False
        self._asked = False
        self._before: Any = None
        self._listening = False
        self._group: Any = None

    def _handle(self, number: int, frame: Any) -> None:
        self.ask()

    def ask(self) -> None:
        """Have training stop at the end of its step, as SIGTERM would."""
        self._asked = True

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Listen for SIGTERM, unless somebody handles it already.

        Parameters
        ----------
        args, state, control, kwargs : those of the Trainer's callback.
        """
        self.stopped = self._asked = False
        if dist.is_available() and dist.is_initialized() and self._group is None:
            # On the CPU, so that asking makes no accelerator wait.
            self._group = dist.new_group(backend="gloo")
        # Somebody who handles the signal already knows better what to do.
        own = threading.current_thread() is threading.main_thread()
        if own and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._before = signal.signal(signal.SIGTERM, self._handle)
            self._listening = True

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop training where any process got SIGTERM, with a checkpoint unless `save_only_model`.

        Parameters
        ----------
        args, state, control, kwargs : those of the Trainer's callback.
        """
        if not self._anywhere():
            return
        self.stopped = True
        control.should_save = not args.save_only_model
        control.should_training_stop = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave out evaluation, checkpoint and log line of an epoch that was stopped in its middle.

        Parameters
        ----------
        args, state, control, kwargs : those of the Trainer's callback.
        """
        # The Trainer ends the epoch that it was stopped in: what its middle scores must not be
        # remembered as the best so far. Its last step is an end like any other.
        whole = abs(state.epoch - round(state.epoch)) < 1e-6
        if self.stopped and not whole:
            control.should_evaluate = control.should_save = control.should_log = False

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop listening.

        Parameters
        ----------
        args, state, control, kwargs : those of the Trainer's callback.
        """
        self.restore()

    def restore(self) -> None:
        """Stop listening."""
        if self._listening:
            signal.signal(signal.SIGTERM, self._before)
            self._listening = False

    def _anywhere(self) -> bool:
        if self._group is None:
            return self._asked
        asked = torch.tensor(float(self._asked))
        dist.all_reduce(asked, dist.ReduceOp.MAX, group=self._group)
        return bool(asked)

"""Checkpoints that hold the objective's state, and are read as `from_pretrained` reads a model."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel, Trainer, TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import get_last_checkpoint

from fairlora.errors import WorkError
from fairlora.models.source import quiet_libraries
from fairlora.objectives import GroupObjective, Objective

_ADAPTER_FILES = ("adapter_model.safetensors", "adapter_model.bin")
_STATE = "fairlora_objective"


class CheckpointTrainer(Trainer):
    """The part of `FairTrainer` that writes and reads checkpoints."""

    objective: Objective

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if isinstance(self.objective, GroupObjective) and self.objective.state_dict():
            # In the Trainer's own state file: a checkpoint has all of it or is not whole.
            state = {"args": {}, "attributes": self.objective.state_dict()}
            self.state.stateful_callbacks[_STATE] = state  # type: ignore[index, call-overload]
        super()._save_checkpoint(model, trial)

    def _load_objective(self) -> None:
        saved: Any = self.state.stateful_callbacks
        if isinstance(self.objective, GroupObjective) and isinstance(saved, dict):
            self.objective.load_state_dict(saved.get(_STATE, {}).get("attributes", {}))

    def _load_best_model(self) -> None:
        folder = self.state.best_model_checkpoint
        if folder is not None and self._is_whole_model():
            self._reload(folder)
        elif folder is not None and isinstance(self.model, PeftModel) and not self._is_sharded():
            self._load_adapters(folder)
        else:
            super()._load_best_model()

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: torch.nn.Module | None = None
    ) -> None:
        if model is None and self._is_whole_model():
            self._reload(resume_from_checkpoint)
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _is_whole_model(self) -> bool:
        """A transformers model without adapter that this process holds whole."""
        return isinstance(self.model, PreTrainedModel) and not self._is_sharded()

    def _is_sharded(self) -> bool:
        return bool(self.is_deepspeed_enabled or self.is_fsdp_enabled)

    def _load_adapters(self, folder: str) -> None:
        """Read every active adapter from where PEFT has saved it.

        An adapter with a name of its own lies in a folder of that name, where the Trainer does not
        look: it would go on with the last weights. Raises `WorkError` for one that is not there.
        """
        model: Any = self.model
        for name in model.active_adapters:
            adapter_folder = Path(folder) if name == "default" else Path(folder) / name
            if not any((adapter_folder / file).is_file() for file in _ADAPTER_FILES):
                raise WorkError(
                    f"the best checkpoint has no adapter {name!r} ({adapter_folder}): its weights "
                    "cannot be loaded; set load_best_model_at_end=False"
                )
            trained = {k: p.requires_grad for k, p in model.named_parameters()}
            model.load_adapter(str(adapter_folder), name)
            for key, parameter in model.named_parameters():
                parameter.requires_grad_(trained[key])

    def _reload(self, folder: str) -> None:
        """Read a checkpoint of a whole model as `from_pretrained` does.

        Some models (ViT among them) are saved under older names of their weights. The Trainer's own
        reading does not translate them, finds none of its keys and goes on with the last weights.
        """
        model: Any = self.model
        with quiet_libraries():
            saved = type(model).from_pretrained(folder, dtype=next(model.parameters()).dtype)
        model.load_state_dict(saved.state_dict())


def last_whole_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint of a training's folder that was written to its end; None for none.

    What a kill or a full disk cut off in writing is removed: it would stand in the way of the next,
    and be kept as the newest. The Trainer writes its own state last.

    Parameters
    ----------
    folder : the Trainer's ``output_dir``.
    """
    while (newest := get_last_checkpoint(str(folder))) is not None:
        try:
            json.loads((Path(newest) / TRAINER_STATE_NAME).read_bytes())
        except (FileNotFoundError, ValueError):
            shutil.rmtree(newest)
        else:
            return str(newest)
    return None


class EpochCallback(TrainerCallback):
    """Tells the training set which epoch it is, and the objective where it was."""

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self._first = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Give the objective the state that the checkpoint has of it.

        Parameters
        ----------
        args, state, control, kwargs : those of the Trainer's callback.
        """
        self.trainer._load_objective()

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Tell the training set which epoch begins, if it has ``set_epoch``.

        Parameters
        ----------
        args, state, control, kwargs : those of the Trainer's callback.
        """
        # A run that goes on from the middle of an epoch begins at a fraction of one.
        epoch = math.floor((state.epoch or 0) + 1e-6)
        dataset = self.trainer.train_dataset
        if hasattr(dataset, "set_epoch"):  # the sampler is told by accelerate
            dataset.set_epoch(epoch)
        self._first = epoch == 0

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Warn of training rows without a label, at the end of the first epoch.

        Parameters
        ----------
        args, state, control, kwargs : those of the Trainer's callback.
        """
        if self._first:
            self.trainer.say_unlabelled()

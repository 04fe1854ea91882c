"""`DPTrainer`: the trainer under differential privacy (DP-SGD by opacus), and whom it costs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from fairlora.errors import InputError
from fairlora.objectives import ERM
from fairlora.predictions import GroupColumn
from fairlora.training.dp_budget import DPBudget, DPSettings
from fairlora.training.dp_cost import GroupCost
from fairlora.training.dp_gradients import RowGradients
from fairlora.training.dp_steps import EmptyBatch, NoisyOptimizer, PoissonBatches, in_parts
from fairlora.training.trainer import FairTrainer

# Rows on which the gradients are proved.
PROVED_ROWS = 3
_STATE = "fairlora_dp"


class DPTrainer(FairTrainer):
    """A `FairTrainer` whose weights tell little of any one training row.

    Each step's batch holds every training row with the same chance (Poisson sampling); each row's
    gradient is cut to a norm of `clip`; noise is added to their sum, and the sum divided by the
    rows that were expected. Validation and test rows are not protected, and neither is what is
    logged of training rows: the promise is that of the weights.

    Rows and noise of a step are drawn from the key, the epoch and the step alone, so a run that
    goes on from a checkpoint makes the same steps; what was spent follows from their number.

    Parameters besides those of `FairTrainer`
    -----------------------------------------
    privacy : the promise.
    expected_rows : of a step's batch; None is ``per_device_train_batch_size``. More rows than that
        are taken in parts.
    attributes : of the training rows, by name; `cost` then says of each group what privacy cost it.

    Raises `InputError` for what would break the promise: an objective that couples rows, a model
    with a batch norm, several devices, half precision, gradient accumulation by the Trainer.
    """

    def __init__(
        self,
        *args: Any,
        privacy: DPSettings,
        expected_rows: int | None = None,
        attributes: Mapping[str, GroupColumn] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._check_settings()
        # What the Trainer would cut is not what is released, and its norm is not private.
        self.args.max_grad_norm = 0.0
        self.privacy = privacy
        self.most_rows: int = self.args.per_device_train_batch_size
        self.expected_rows = expected_rows or self.most_rows
        rows = len(self.train_dataset)  # type: ignore[arg-type]
        self.sample_rate = min(1.0, self.expected_rows / rows)
        if privacy.delta >= 1 / rows:
            warnings.warn(self.notes()[0], stacklevel=2)
        self.cost = GroupCost(attributes or {}, self.sample_rate)
        self.budget: DPBudget | None = None
        self._gradients: RowGradients | None = None
        self._noise = torch.Generator(self.args.device)

    def _check_settings(self) -> None:
        args: Any = self.args
        refused: list[tuple[str, Any, str]] = []
        if type(self.objective) is not ERM:
            name = type(self.objective).__name__
            refused.append(("objective", name, "ERM: it weighs a row by the others of its batch"))
        if args.world_size > 1 or args.n_gpu > 1 or self.accelerator.distributed_type.value != "NO":
            several = max(args.world_size, args.n_gpu)
            refused.append(("devices", several, "one process on one device"))
        if args.gradient_accumulation_steps > 1:
            found = args.gradient_accumulation_steps
            expected = "1: expected_rows says how many rows a step has, which come in parts"
            refused.append(("gradient_accumulation_steps", found, expected))
        for name in ("gradient_checkpointing", "torch_compile", "fp16", "bf16"):
            if getattr(args, name, False):
                why = "norms of rounded gradients may be above clip"
                if name in ("gradient_checkpointing", "torch_compile"):
                    why = "opacus sees each layer once a pass"
                refused.append((name, True, f"false: {why}"))
        if args.label_names and args.label_names != ["labels"]:
            refused.append(("label_names", args.label_names, "labels"))
        if not hasattr(self.train_dataset, "__len__"):
            refused.append(("train_dataset", "a stream", "a data set with a length"))
        for where, found, expected in refused:
            raise InputError(
                "not with differential privacy", where=where, found=found, expected=expected
            )

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches that hold each row with the same chance."""
        dataset: Any = self.train_dataset
        if hasattr(dataset, "remove_columns"):
            dataset = self._remove_unused_columns(dataset, description="Training")
            collator: Any = self.data_collator
        else:
            collator = self._get_collator_with_removed_columns(self.data_collator, "Training")
        steps = max(1, -(-len(dataset) // self.expected_rows))
        loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_sampler=PoissonBatches(len(dataset), self.sample_rate, steps, self.privacy),
            collate_fn=EmptyBatch(collator),
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """The Trainer's optimizer behind opacus', which is told of its noise by the scheduler."""
        if self.optimizer is None:
            trained: Any = self.model
            self._gradients = RowGradients(trained)
            self._prove()
            self.optimizer = NoisyOptimizer(
                super().create_optimizer(model),
                noise_multiplier=math.inf,
                max_grad_norm=self.privacy.clip,
                expected_batch_size=self.expected_rows,
                generator=self._noise,
            )
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The Trainer's schedule of so many steps; and the noise that they take.

        Parameters
        ----------
        num_training_steps, optimizer : those of the Trainer's method.
        """
        self.budget = DPBudget(self.privacy, self.sample_rate, num_training_steps)
        self._noisy().noise_multiplier = self.budget.noise_multiplier
        return super().create_scheduler(num_training_steps, optimizer)

    def _prove(self) -> None:
        """Prove the rows' gradients, on validation rows where there are any."""
        dataset: Any = self.eval_dataset or self.train_dataset
        dataset = next(iter(dataset.values())) if isinstance(dataset, dict) else dataset
        rows = torch.utils.data.Subset(dataset, range(min(len(dataset), PROVED_ROWS)))
        with torch.random.fork_rng():
            batch = self._prepare_inputs(next(iter(self.get_eval_dataloader(rows))))
        assert self._gradients is not None
        self._gradients.prove(batch, lambda some: self._forward(self.model, some)[0])

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """The Trainer's training; the model is then as it was, without opacus' hooks.

        Raises `InputError` where it has trained already: the promise is of one training.
        """
        if self.budget is not None:
            raise InputError("this trainer has spent its promise", where="DPTrainer.train")
        try:
            return super().train(*args, **kwargs)
        finally:
            if self._gradients is not None:
                self._gradients.remove()
                self._gradients = None

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        """The gradients of a batch's rows, cut and summed; of no rows, noise alone."""
        step = self.state.global_step
        self._noise.manual_seed(self.privacy.draw("noise", step))
        rows = len(inputs["labels"])
        loss = torch.zeros((), device=self.args.device)
        if rows == 0:
            self.cost.empty += 1
            return loss
        assert self._gradients is not None
        for part in in_parts(inputs, self.most_rows):
            own = len(part["labels"])
            self._gradients.rows = own
            loss += super().training_step(model, part, *args, **kwargs) * own / rows
            factors = self._noisy().clip_and_accumulate()
            if "row" in part:
                self.cost.add(part["row"].cpu().numpy(), factors.cpu().numpy())
        return loss

    def _noisy(self) -> NoisyOptimizer:
        optimizer: Any = self.optimizer
        inner: NoisyOptimizer = getattr(optimizer, "optimizer", optimizer)
        return inner

    def _objective_of(self, losses: Tensor, groups: Tensor | None, real: Tensor | None) -> Tensor:
        # Its value is the mean; its gradient that of the sum: a row's own hangs on no other row.
        total = losses.sum()
        return losses.detach().mean() + (total - total.detach())

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: a batch may be empty."""
        return 0

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        state = {"args": {}, "attributes": self.cost.state()}
        self.state.stateful_callbacks[_STATE] = state  # type: ignore[index, call-overload]
        super()._save_checkpoint(model, trial)

    def _load_objective(self) -> None:
        super()._load_objective()
        saved: Any = self.state.stateful_callbacks
        if isinstance(saved, dict) and _STATE in saved:
            self.cost.load(saved[_STATE]["attributes"])

    def notes(self) -> list[str]:
        """What a reader of the promise must know besides."""
        own, notes = self.privacy, []
        rows = len(self.train_dataset)  # type: ignore[arg-type]
        if own.delta >= 1 / rows:
            notes.append(
                f"dp.delta {own.delta:g} is not below one over the {rows:,} training rows: giving "
                "one row away whole would keep the promise"
            )
        if own.seed is not None:
            notes.append(
                "dp: rows and noise are drawn from the run's seed. Whoever knows it can take the "
                "noise away: before weights are given out, train with dp.draws: secret"
            )
        return notes

    def record(self) -> dict[str, Any]:
        """The promise, what it took, and what it cost each group, once training is over."""
        if self.budget is None:
            raise InputError("nothing was trained yet", where="record")
        return {
            **self.budget.record(self.state.global_step),
            "expected_rows": self.expected_rows,
            "empty_batches": self.cost.empty,
            "by_group": self.cost.summary(),
        }

"""`FairTrainer`: the Hugging Face Trainer with a fairness objective and group columns."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.trainer_utils import EvalLoopOutput

from fairlora.errors import InputError, WorkError
from fairlora.metrics.trainer import check_direction
from fairlora.models.quantization import keep_trainable_weights
from fairlora.objectives import ERM, GroupObjective, Objective, Penalised, Weights, group_sums
from fairlora.training.accumulation import REAL, MarkRepeated, measure_window
from fairlora.training.attention import float32_gradients
from fairlora.training.checkpoints import EpochCallback
from fairlora.training.checks import (
    check_clipping,
    check_loss_settings,
    check_sharding,
    logits_in,
    warn_of_idle_adapter,
)
from fairlora.training.frozen import FrozenPart
from fairlora.training.group_losses import GroupMeter
from fairlora.training.group_trainer import GroupTrainer
from fairlora.training.groups import (
    GROUPS,
    UNLABELLED,
)
from fairlora.training.losses import IGNORED, LossWatch, predicts_next_token, row_losses
from fairlora.training.preemption import Preempted, PreemptionCallback
from fairlora.training.stacked import Member
from fairlora.training.table import RowSink
from fairlora.training.text import LengthBuckets
from fairlora.training.trackers import track_audits
from fairlora.training.vocabulary import (
    left_out,
)

# What a batch says besides the model's inputs.
_OURS = (GROUPS, UNLABELLED, REAL, "row")


class FairTrainer(GroupTrainer):
    """A thin subclass of the Trainer: everything that the Trainer does keeps working.

    It calls `super` throughout, so it can stand before another subclass of the Trainer:
    ``class FairSFTTrainer(FairTrainer, SFTTrainer): pass``.

    Parameters besides the Trainer's own
    ------------------------------------
    objective : a function of per-example losses and groups (`fairlora.objectives`); default `ERM`.
    group_column : the column of the data set with each example's group, or list of groups where
        they overlap. It reaches the loss even though the model does not know it
        (`remove_unused_columns` may stay on). None takes the classes as groups, as the FairLoRA
        paper does.
    group_names : the group vocabulary; None reads it from the training set.
    forward_arguments : passed to every call of the model.
    exact_accumulation : under gradient accumulation, take the objective of the whole optimizer
        step: its losses are measured without gradient first. Costs one more forward pass. Without,
        each micro-batch has its own objective, and they are averaged.

    The loss is the objective of the per-example cross-entropies of the batch over all processes; of
    a language model an example's loss is the mean over its tokens. Each group's mean training loss
    since the last log line is logged as ``loss/<group>``, their variance as ``loss_variance``, the
    share of negative weights as ``negative_weight_share``. Evaluation adds ``eval_loss`` (plain
    cross-entropy), ``eval_accuracy``, ``eval_accuracy_worst`` and ``eval_loss_variance`` over the
    groups, and never keeps logits unless `compute_metrics` asks for them.

    A loss that is not a number raises `WorkError` with its step and groups. SIGTERM saves a
    checkpoint at the end of the step and raises `Preempted`, which ends the script; a checkpoint
    holds the objective's state too.
    """

    # The objective is a mean over the (micro-)batch: the Trainer must divide by the accumulation.
    loss_is_scaled_for_ga = False

    def __init__(
        self,
        *args: Any,
        objective: Objective | None = None,
        group_column: str | None = None,
        group_names: Sequence[str] | None = None,
        forward_arguments: Mapping[str, Any] | None = None,
        exact_accumulation: bool = False,
        **kwargs: Any,
    ) -> None:
        self.objective: Objective = objective or ERM()
        self.group_column = group_column
        self.forward_arguments = dict(forward_arguments or {})
        self.exact_accumulation = exact_accumulation
        # Where a batch has its answers in the place of pictures.
        self.frozen: FrozenPart | None = None
        self._sink: RowSink | None = None
        self._window: tuple[Weights, int] | None = None
        self._unmeasured: Sequence[Any] = ()
        self.stacked: Member | None = None  # its place among adapters that train in one pass
        if exact_accumulation and not isinstance(self.objective, GroupObjective):
            raise InputError(
                "this objective cannot be accumulated exactly",
                where="exact_accumulation",
                found=type(self.objective).__name__,
                expected="a GroupObjective such as LossVariance, GroupDRO or Reweight",
            )
        super().__init__(*args, **kwargs)
        check_sharding(self.args, self.accelerator)
        check_clipping(self.args)
        check_loss_settings(self.args, self.compute_loss_func)
        check_direction(self.args)
        for position, name in ((3, "train_dataset"), (4, "eval_dataset")):
            given = kwargs.get(name, args[position] if len(args) > position else None)
            said = left_out(given, getattr(self, name), group_column)
            if said is not None:
                warnings.warn(f"{name}: {said}", stacklevel=2)
        keep_trainable_weights(self.model)
        self._causal = predicts_next_token(self.model)
        # Its own name: subclasses of the Trainer have callbacks of theirs.
        self._preemption = PreemptionCallback()
        self._set_groups(group_names)
        self._training_meter = GroupMeter(len(self.group_names))
        self._evaluation_meter = GroupMeter(len(self.group_names))
        self._watch = LossWatch(len(self.group_names))
        self._unlabelled: Tensor | None = None  # (G + 1,) rows of the first epoch, the last of none
        # Behind an adapter the Trainer does not always find out what the labels are called.
        self.label_names = self.label_names or ["labels"]
        self.add_callback(EpochCallback(self))
        self.add_callback(self._preemption)
        track_audits(self)

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        dataset: Any = self.train_dataset if train_dataset is None else train_dataset
        bucketed = self.args.train_sampling_strategy == "group_by_length"
        if not bucketed or getattr(dataset, "lengths", None) is None:
            return super()._get_train_sampler(train_dataset)
        # The Trainer's own draws its order from the generator that dropout draws from: two methods
        # with one seed would see other batches, and so would a run that goes on.
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        several = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return LengthBuckets(dataset.lengths, several * self.args.world_size, seed)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """The Trainer's training; raises `Preempted` after SIGTERM, with the checkpoint saved."""
        try:
            output = super().train(*args, **kwargs)
        except torch.OutOfMemoryError as error:
            error.add_note(
                "lower per_device_train_batch_size (and raise gradient_accumulation_steps, with "
                "exact_accumulation for an unchanged objective), or use gradient_checkpointing"
            )
            raise
        finally:
            self._preemption.restore()
        self._try_without_adapter()
        return output

    def stop(self) -> None:
        """Stop at the end of this step as SIGTERM would: a checkpoint, then `Preempted`."""
        self._preemption.ask()

    def _try_without_adapter(self) -> None:
        """Have one evaluation batch answered with and without the adapter; see the check."""
        model: Any = self.model
        dataset: Any = self.eval_dataset or self.train_dataset
        dataset = next(iter(dataset.values())) if isinstance(dataset, dict) else dataset
        # Loaders with workers that stay are kept by the Trainer, which would take this for its own.
        several = self.accelerator.distributed_type.value != "NO"
        kept = several or self.args.dataloader_persistent_workers
        stream = isinstance(dataset, torch.utils.data.IterableDataset)
        if kept or stream or not (hasattr(model, "peft_config") and hasattr(dataset, "__len__")):
            return
        rows = torch.utils.data.Subset(dataset, range(min(len(dataset), 4)))
        with torch.random.fork_rng():
            batch = self._prepare_inputs(next(iter(self.get_eval_dataloader(rows))))
        inputs = {k: v for k, v in batch.items() if k not in (*_OURS, *self.label_names)}
        training = model.training
        model.eval()
        with self.compute_loss_context_manager():
            warn_of_idle_adapter(model, inputs, self._answer)
        model.train(training)

    def _answer(self, model: Any, inputs: Mapping[str, Any]) -> Any:
        """The model's outputs for the inputs of a batch."""
        inputs = {**inputs, **self.forward_arguments}
        if self.stacked is not None and model.training and torch.is_grad_enabled():
            return self.stacked.forward(model, inputs)
        return model(**inputs) if self.frozen is None else self.frozen.call(model, inputs)

    def _finalize_training(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        if not self._preemption.stopped:
            return super()._finalize_training(trial, *args, **kwargs)
        # Not the ordinary end: that would load the best checkpoint, and delete the one to go on
        # from where but one is kept.
        self.callback_handler.on_train_end(self.args, self.state, self.control)
        step = self.state.global_step
        saved = None
        if not self.args.save_only_model:
            saved = f"{self._get_output_dir(trial=trial)}/checkpoint-{step}"
        raise Preempted(step, saved)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> Any:
        """The Trainer's batches of one optimizer step, with repeated rows marked.

        Parameters
        ----------
        epoch_iterator, num_batches, device : those of the Trainer's method.
        """
        marked = MarkRepeated(epoch_iterator, self.accelerator)
        samples, items = super().get_batch_samples(marked, num_batches, device)
        self._window = None
        self._unmeasured = samples if self.exact_accumulation and len(samples) > 1 else ()
        return samples, items

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        """The Trainer's step of one micro-batch; the first of a window measures all of it."""
        # Not where the batches are fetched: a resumed run takes up its random state after that.
        if self._unmeasured:
            assert isinstance(self.objective, GroupObjective)
            samples, self._unmeasured = self._unmeasured, ()
            model.train()
            if callable(getattr(self.optimizer, "train", None)):
                self.optimizer.train()  # type: ignore[union-attr]
            weights = measure_window(
                self.objective,
                samples,
                lambda batch: self._measured(model, batch),
                self.args.device,
            )
            self._window = weights, len(samples)
        with float32_gradients(self.args.device):
            return super().training_step(model, inputs, *args, **kwargs)

    def _measured(self, model: Any, batch: Any) -> tuple[Tensor, Tensor | None, Tensor | None]:
        with self.compute_loss_context_manager():
            losses, _, groups, real, _ = self._forward(model, self._prepare_inputs(batch))
        return losses, groups, real

    def _forward(
        self, model: Any, inputs: Mapping[str, Any]
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, Any]:
        """Losses and hits (N,), groups, real rows, and the batch's rows, labels and logits."""
        inputs = dict(inputs)
        labels = inputs.pop("labels", None)
        if labels is None:
            raise InputError(
                "a batch without labels", where="labels", found=", ".join(inputs), expected="labels"
            )
        groups = inputs.pop(GROUPS, None)
        if groups is None and self.group_column is not None and model.training:
            raise InputError(
                "the training rows arrive without their groups",
                where=f"group_column {self.group_column!r}",
                found="columns " + ", ".join((*inputs, "labels")),
                expected="a set_format that names the column, or a with_transform that returns it",
            )
        real = inputs.pop(REAL, None)
        without = inputs.pop(UNLABELLED, None)
        if without is not None:
            real = ~without if real is None else real & ~without
        # Of tokens the classes are no groups.
        if groups is None and self.group_column is None and labels.ndim == 1 and not self._causal:
            groups = labels if without is None else labels.masked_fill(without, -1)
        rows = inputs.pop("row", None)
        logits = logits_in(self._answer(model, inputs))
        losses, hits = row_losses(
            logits,
            labels,
            causal=self._causal,
            smoothing=self.args.label_smoothing_factor if model.training else 0.0,
        )
        return losses, hits, groups, real, (rows, labels, logits)

    def compute_loss(
        self,
        model: Any,
        inputs: Any,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The objective of this batch's per-example cross-entropies.

        Parameters
        ----------
        model, inputs, return_outputs : those of the Trainer's method.
        num_items_in_batch : not used.

        Raises
        ------
        InputError : the batch has no labels, or no groups in training; a label is no class.
        WorkError : the loss is known not to be a number.
        """
        without = inputs.get(UNLABELLED)
        losses, hits, groups, real, (rows, labels, logits) = self._forward(model, inputs)
        if model.training:
            if without is not None:
                self._count_unlabelled(without, groups)
            self._training_meter.add(losses.detach(), groups, hits, real)
            loss = self._objective_of(losses, groups, real)
            if self._watch.see(loss, losses, groups, self.state.global_step + 1):
                self._stop_on_nan()
        else:
            # The Trainer gathers what is returned: that stays this process's own.
            loss = losses.mean() if real is None else losses[real].mean()
            if groups is None:
                groups = torch.full(losses.shape, -1, device=losses.device)
            if real is None:
                real = torch.ones_like(losses, dtype=torch.bool)
            self._evaluation_meter.add(*self.gather_function((losses, groups, hits, real)))
            if self._sink is not None and rows is not None:
                self._sink.add(*self.gather_function((rows, logits, labels)))
        return (loss, SequenceClassifierOutput(logits=logits)) if return_outputs else loss

    def _count_unlabelled(self, without: Tensor, groups: Tensor | None) -> None:
        if (self.state.epoch or 0) >= 1:  # the same rows again
            return
        ones = without.double()
        if groups is None:
            groups = torch.full(ones.shape, -1, device=ones.device)
        found = group_sums(ones, groups, len(self.group_names))
        counts = torch.cat([found.total, found.all_total.reshape(1)])
        self._unlabelled = counts if self._unlabelled is None else self._unlabelled + counts

    def say_unlabelled(self) -> None:
        """Warn of the training rows of the first epoch that had no label that counts."""
        counts = self._unlabelled
        if dist.is_available() and dist.is_initialized():
            if counts is None:
                counts = torch.zeros(len(self.group_names) + 1, device=self.args.device)
            counts = counts.double()
            dist.all_reduce(counts)
        self._unlabelled = None
        if counts is None or not int(counts[-1]) or not self.is_world_process_zero():
            return
        rows = [int(n) for n in counts.tolist()]
        named = [f"{name} {n:,}" for name, n in zip(self.group_names, rows, strict=False) if n]
        warnings.warn(
            f"{rows[-1]:,} training rows have no label that counts (cut off, or {IGNORED}) and "
            "train nothing" + (f"; by group: {', '.join(named)}" if named else ""),
            stacklevel=2,
        )

    def _objective_of(self, losses: Tensor, groups: Tensor | None, real: Tensor | None) -> Tensor:
        objective = self.objective
        if real is None and self._window is None:
            return objective(losses, groups)
        if not isinstance(objective, GroupObjective):
            assert real is not None
            if not bool(real.any()):  # no row of its own: nothing to learn from
                return losses[:1].sum() * 0
            return objective(losses[real], None if groups is None else groups[real])
        if self._window is None:
            return objective(losses, groups, real)
        weights, batches = self._window
        part = objective.apply(losses, groups, weights, real)
        # The Trainer divides by the batches of the window. Its value is J in each of them; the
        # gradients are parts of a sum.
        return part.detach() + batches * (part - part.detach())

    def _stop_on_nan(self) -> None:
        broken = self._watch.found()
        if broken is None:
            return
        step, groups = broken
        names = ", ".join(self.group_names[g] for g in groups)
        raise WorkError(
            f"the loss is not a number at step {step}"
            + (f" (first seen in group {names})" if names else "")
            + "; try a lower learning rate or strength, or float32 instead of bfloat16"
        )

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Add the groups' mean losses to the training log lines."""
        if "loss" in logs:
            self._stop_on_nan()
            if not math.isfinite(logs["loss"]):
                raise WorkError(
                    f"the loss is not a number by step {self.state.global_step}"
                    "; try a lower learning rate or strength"
                )
            self._log_groups(logs)
        super().log(logs, *args, **kwargs)

    def _log_groups(self, logs: dict[str, float]) -> None:
        summary = self._training_meter.summary(everywhere=True)
        self._training_meter.reset()
        if summary is not None:
            logs.update(summary.training_log(self.group_names))
        if isinstance(self.objective, Penalised) and self.objective.needs_groups:
            counts = self.objective.negative_counts()
            self.objective.forget_negative()
            if counts is not None:
                if dist.is_available() and dist.is_initialized():
                    dist.all_reduce(counts)
                logs["negative_weight_share"] = float(counts[0] / counts[1])

    def prediction_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> Any:
        """One evaluation batch; its logits are dropped unless somebody asked for them.

        Parameters
        ----------
        model, inputs, prediction_loss_only, ignore_keys : those of the Trainer's method.
        """
        if any(inputs.get(name) is None for name in self.label_names):
            # Then the Trainer hands the batch to the model, without `compute_loss`.
            inputs = {k: v for k, v in inputs.items() if k not in _OURS} | self.forward_arguments
        loss, logits, labels = super().prediction_step(model, inputs, False, ignore_keys)
        if prediction_loss_only:
            return loss, None, None
        return loss, logits, labels

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """The Trainer's loop, with exact means and the groups' metrics added."""
        self._evaluation_meter.reset()
        output = super().evaluation_loop(*args, **kwargs)
        prefix = kwargs.get("metric_key_prefix", "eval")
        summary = self._evaluation_meter.summary()
        metrics = dict(output.metrics or {})
        if summary is not None:
            metrics.update(summary.evaluation_metrics(prefix))
        return output._replace(metrics=metrics)

    def stream_predictions(self, dataset: Any, sink: RowSink) -> dict[str, float]:
        """Run the model over a data set whose items carry their ``row``, and hand every row's
        logits to `sink` batch by batch. Returns the evaluation metrics."""
        self._sink = sink
        try:
            loader = self.get_eval_dataloader(dataset)
            output = self.evaluation_loop(
                loader,
                description="Prediction",
                prediction_loss_only=True,
                metric_key_prefix="predict",
            )
        finally:
            self._sink = None
        return dict(output.metrics or {})

"""`FairTrainer`: the Hugging Face Trainer with a fairness objective and group columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel, Trainer, TrainerCallback
from transformers.trainer_utils import EvalLoopOutput

from fairlora.errors import InputError, WorkError
from fairlora.metrics.trainer import TrainerMetrics
from fairlora.models.source import quiet_libraries
from fairlora.objectives import ERM, LossVariance, Objective
from fairlora.training.groups import (
    GROUPS,
    GroupCollator,
    GroupMeter,
    column_of,
    group_vocabulary,
)
from fairlora.training.table import RowSink


class FairTrainer(Trainer):
    """A thin subclass of the Trainer: everything that the Trainer does keeps working.

    Parameters besides the Trainer's own
    ------------------------------------
    objective : a function of per-example losses and groups (`fairlora.objectives`); default `ERM`.
    group_column : the column of the data set with each example's group. It reaches the loss even
        though the model does not know it (`remove_unused_columns` may stay on). None takes the
        classes as groups, as the FairLoRA paper does.
    group_names : the group vocabulary; None reads it from the training set.
    forward_arguments : passed to every call of the model.

    The loss is the objective of the per-example cross-entropies of each (micro-)batch; under
    gradient accumulation the Trainer averages the micro-batches. Each group's mean training loss
    since the last log line is logged as ``loss/<group>``, and their variance as
    ``loss_variance``. Evaluation adds ``eval_loss`` (plain cross-entropy), ``eval_accuracy``,
    ``eval_accuracy_worst`` and ``eval_loss_variance`` over the groups, and never keeps logits
    unless `compute_metrics` asks for them.
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
        **kwargs: Any,
    ) -> None:
        self.objective: Objective = objective or ERM()
        self.group_column = group_column
        self.forward_arguments = dict(forward_arguments or {})
        self._sink: RowSink | None = None
        super().__init__(*args, **kwargs)
        if group_column is not None:
            if group_names is None:
                if self.train_dataset is None:
                    raise InputError(
                        "no group vocabulary",
                        where="group_names",
                        expected="the groups' names, or a training set to read them from",
                    )
                group_names = group_vocabulary(self.train_dataset, group_column)
            if not group_names:
                raise InputError("no groups", where=f"group_column {group_column!r}")
            self.data_collator = GroupCollator(self.data_collator, group_column, group_names)
        elif group_names is None:
            group_names = _class_names(self.model)
        self.group_names = tuple(group_names)
        if isinstance(self.objective, LossVariance) and self.objective.num_groups is None:
            self.objective.num_groups = len(self.group_names)
        self._training_meter = GroupMeter(len(self.group_names))
        self._evaluation_meter = GroupMeter(len(self.group_names))
        # Behind an adapter the Trainer does not always find out what the labels are called.
        self.label_names = self.label_names or ["labels"]
        self.add_callback(_EpochCallback(self.train_dataset))

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        columns: list[str] = list(self._signature_columns or ())
        columns += [c for c in (self.group_column, "row") if c is not None and c not in columns]
        self._signature_columns = columns  # type: ignore[assignment]

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The objective of this batch's per-example cross-entropies."""
        inputs = dict(inputs)
        labels = inputs.pop("labels")
        groups = inputs.pop(GROUPS, labels)
        rows = inputs.pop("row", None)
        outputs = model(**inputs, **self.forward_arguments)
        logits = outputs["logits"] if isinstance(outputs, Mapping) else outputs.logits
        losses = F.cross_entropy(
            logits.float(),
            labels,
            reduction="none",
            label_smoothing=self.args.label_smoothing_factor if model.training else 0.0,
        )
        if model.training:
            self._training_meter.add(losses.detach(), groups)
            loss = self.objective(losses, groups)
            if loss.device.type == "cpu" and not torch.isfinite(loss):
                self._stop_on_nan(losses, groups)
        else:
            # The Trainer gathers what is returned: that stays this process's own.
            loss = losses.mean()
            everywhere = self.gather_function((losses, groups, labels, logits))
            all_losses, all_groups, all_labels, all_logits = everywhere
            self._evaluation_meter.add(all_losses, all_groups, all_logits.argmax(1) == all_labels)
            if self._sink is not None and rows is not None:
                self._sink.add(self.gather_function(rows), all_logits, all_labels)
        return (loss, {"logits": logits}) if return_outputs else loss

    def _stop_on_nan(self, losses: Tensor, groups: Tensor) -> None:
        bad = torch.unique(groups[~torch.isfinite(losses)]).tolist()
        names = ", ".join(self.group_names[g] for g in bad if 0 <= g < len(self.group_names))
        raise WorkError(
            f"the loss is not a number at step {self.state.global_step + 1}"
            + (f" (first seen in group {names})" if names else "")
            + "; try a lower learning rate or strength, or float32 instead of bf16"
        )

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the groups' mean losses to the training log lines."""
        if "loss" in logs:
            if not math.isfinite(logs["loss"]):
                raise WorkError(
                    f"the loss is not a number by step {self.state.global_step}"
                    "; try a lower learning rate or strength"
                )
            summary = self._training_meter.summary()
            self._training_meter.reset()
            if summary is not None:
                for name, value, n in zip(
                    self.group_names, summary.loss.tolist(), summary.rows.tolist(), strict=True
                ):
                    if n:
                        logs[f"loss/{name}"] = value
                logs["loss_variance"] = summary.loss_variance
            share = getattr(self.objective, "negative_share", None)
            if share is not None and self.objective.needs_groups:
                logs["negative_weight_share"] = share
        super().log(logs, start_time)

    def _load_best_model(self) -> None:
        folder = self.state.best_model_checkpoint
        if folder is not None and self._is_whole_model():
            self._reload(folder)
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
        sharded = self.is_deepspeed_enabled or self.is_fsdp_enabled
        return isinstance(self.model, PreTrainedModel) and not sharded

    def _reload(self, folder: str) -> None:
        """Read a checkpoint of a whole model as `from_pretrained` does.

        Some models (ViT among them) are saved under older names of their weights. The Trainer's own
        reading does not translate them, finds none of its keys and goes on with the last weights.
        """
        model: Any = self.model
        with quiet_libraries():
            saved = type(model).from_pretrained(folder, dtype=next(model.parameters()).dtype)
        model.load_state_dict(saved.state_dict())

    def prediction_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> Any:
        """One evaluation batch; its logits are dropped unless somebody asked for them."""
        loss, logits, labels = super().prediction_step(model, inputs, False, ignore_keys)
        if prediction_loss_only:
            return loss, None, None
        return loss, logits, labels

    def evaluate(self, eval_dataset: Any = None, *args: Any, **kwargs: Any) -> dict[str, float]:
        """The Trainer's evaluation; a `TrainerMetrics` gets the groups of the evaluation set."""
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(dataset, str):
            dataset = self.eval_dataset[dataset]  # type: ignore[index]
        self._bind_groups(dataset)
        return dict(super().evaluate(eval_dataset, *args, **kwargs))

    def predict(self, test_dataset: Any, *args: Any, **kwargs: Any) -> Any:
        """The Trainer's prediction; a `TrainerMetrics` gets the groups of the test set."""
        self._bind_groups(test_dataset)
        return super().predict(test_dataset, *args, **kwargs)

    def _bind_groups(self, dataset: Any) -> None:
        asked = self.compute_metrics
        # Of several evaluation sets the Trainer evaluates each by `evaluate`.
        if isinstance(asked, TrainerMetrics) and asked.columns and not isinstance(dataset, dict):
            asked.bind({name: column_of(dataset, name) for name in asked.columns})

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """The Trainer's loop, with exact means and the groups' metrics added."""
        self._evaluation_meter.reset()
        output = super().evaluation_loop(*args, **kwargs)
        prefix = kwargs.get("metric_key_prefix", "eval")
        summary = self._evaluation_meter.summary()
        metrics = dict(output.metrics or {})
        if summary is not None:
            metrics[f"{prefix}_loss"] = summary.overall_loss
            metrics[f"{prefix}_accuracy"] = summary.overall_accuracy
            seen = summary.rows > 0
            if seen.any():
                metrics[f"{prefix}_accuracy_worst"] = float(summary.accuracy[seen].min())
                metrics[f"{prefix}_loss_variance"] = summary.loss_variance
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


class _EpochCallback(TrainerCallback):
    """Tells the training set which epoch it is, for augmentation that depends on the epoch."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if hasattr(self.dataset, "set_epoch"):
            # A run that goes on from the middle of an epoch begins at a fraction of one.
            self.dataset.set_epoch(math.floor((state.epoch or 0) + 1e-6))


def _class_names(model: Any) -> tuple[str, ...]:
    labels = model.config.id2label
    return tuple(str(labels[k]) for k in sorted(labels))

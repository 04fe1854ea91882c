"""From a spec and examples to a `FairTrainer` that is ready to go."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from transformers import TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.models import (
    Adapter,
    Classifier,
    after_step,
    attach,
    keep_logits_exact,
    load_classifier,
)
from fairlora.objectives import Objective, make_objective
from fairlora.study.runs.progress import Progress, Watcher
from fairlora.study.spec.run import ObjectiveSpec, RunSpec
from fairlora.study.tasks.datasets import cells_of, collator_of, cut_texts, inputs_of
from fairlora.training import (
    ExampleRows,
    FairTrainer,
    ImageDataset,
    Retrained,
    derive_seed,
    retrain_last_layer,
    write_predictions_of,
)
from fairlora.training.matched_loss import MatchedLoss


@dataclass
class Built:
    """A cell's objects, made from its spec."""

    spec: RunSpec
    classifier: Classifier
    adapter: Adapter
    trainer: FairTrainer
    plain: dict[str, ExampleRows]  # every split without augmentation
    matched: MatchedLoss | None = None  # what stops training at a loss, where the spec names one

    def train(self, checkpoint: str | None = None) -> None:
        """Train, from a checkpoint where there is one."""
        if self.matched is None:
            self.trainer.train(resume_from_checkpoint=checkpoint)
        else:
            self.matched.train(resume_from_checkpoint=checkpoint)

    def retrain_last_layer(self) -> Retrained | None:
        """Do what the spec says of the last layer, after training; None where it says nothing."""
        wanted = self.spec.last_layer
        if wanted is None:
            return None
        dataset = self.plain[wanted.split]
        examples = dataset.examples
        return retrain_last_layer(
            cast("torch.nn.Module", self.trainer.model),
            self.classifier.head,
            dataset,
            examples.labels,
            cells_of(examples, wanted.groups),
            collator_of(self.classifier),
            forward_arguments=self.classifier.forward_arguments,
            subsets=wanted.subsets,
            penalty=wanted.penalty,
            seed=derive_seed(self.spec.chance, "last layer"),
            batch_size=self.trainer.args.per_device_eval_batch_size,
        )

    def predict(self, path: Path, *, mirrored: bool = False) -> None:
        """Predict all splits into one table: the pictures, or their mirror images."""
        datasets = list(self.plain.values())
        if mirrored:
            datasets = [cast("ImageDataset", dataset).mirrored() for dataset in datasets]
        record = self.classifier.record.to_dict()
        write_predictions_of(self.trainer, datasets, path, self.classifier.classes, record)

    def watching(self, watch: Watcher) -> TrainerCallback:
        """A callback that tells `watch` how far the run is."""
        batch = self.trainer.args.per_device_eval_batch_size
        batches = sum(-(-len(d) // batch) for d in self.plain.values())
        batches *= 1 + len(self.spec.queries)
        return _Watching(watch, batches)


def build(spec: RunSpec, examples: Examples, checkpoints: Path) -> Built:
    """Load the model, attach the adapter, make the data sets and the trainer.

    Every source of chance has its own generator, derived from ``spec.chance``.
    """
    classifier = load_classifier(
        spec.model.id,
        examples.classes,
        kind=examples.kind,
        image_size=spec.model.image_size,
        max_length=spec.model.max_length,
        quantize=spec.model.quantize,
        head_seed=derive_seed(spec.chance, "head"),
    )
    adapter = adapter_of(spec, len(examples.part("train")))
    model = attach(
        classifier.model,
        adapter,
        classifier.head,
        seed=derive_seed(spec.chance, "adapter"),
        task=classifier.kind,
    )
    keep_logits_exact(model, classifier.head)
    flips = derive_seed(spec.chance, "flip") if spec.training.flip else None
    inputs = inputs_of(classifier, examples, flip_seed=flips)
    classifier.notes += cut_texts(classifier, inputs.plain.values())
    groups = spec.objective.groups
    column = None if groups == "label" else groups
    trainer = FairTrainer(
        model=model,
        args=training_arguments(spec, checkpoints, kind=classifier.kind),
        train_dataset=inputs.training,
        eval_dataset=inputs.plain["validation"],
        data_collator=collator_of(classifier),
        objective=objective_of(spec.objective),
        group_column=column,
        group_names=classifier.classes if column is None else None,
        forward_arguments=classifier.forward_arguments,
        exact_accumulation=spec.training.exact_accumulation,
    )
    # Progress is the caller's to show, and the log is written to the run's folder.
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_AdapterSteps())
    matched = None
    if spec.training.until_loss is not None:
        matched = MatchedLoss(
            trainer,
            inputs.plain["train"],
            spec.training.until_loss,
            rows=spec.training.until_loss_rows,
            seed=derive_seed(spec.chance, "until_loss rows"),
        )
        trainer.add_callback(matched)
    return Built(spec, classifier, adapter, trainer, inputs.plain, matched)


def adapter_of(spec: RunSpec, rows: int) -> Adapter:
    """The adapter that the spec names; AdaLoRA is told how long training takes, unless it was."""
    settings = spec.adapter.model_dump()
    if spec.adapter.kind == "adalora" and "total_step" not in spec.adapter.fields:
        training = spec.training
        a_step = training.batch_size * training.gradient_accumulation
        steps = training.max_steps or math.ceil(math.ceil(rows / a_step) * training.epochs)
        settings["fields"] = {**spec.adapter.fields, "total_step": steps}
    return Adapter(**settings)


class _AdapterSteps(TrainerCallback):
    """Tells an adapter that a step is done, while the gradients are still there."""

    def on_optimizer_step(
        self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any
    ) -> None:
        after_step(model, state.global_step + 1)


def objective_of(spec: ObjectiveSpec) -> Objective:
    """The objective that the spec names; strength 0 is plain training."""
    if not spec.fair:
        return make_objective("erm")
    return make_objective(spec.name, **spec.settings)


def training_arguments(
    spec: RunSpec, checkpoints: Path, *, kind: str = "image"
) -> TrainingArguments:
    """Hugging Face's arguments for a spec; ``training.arguments`` has the last word."""
    training = spec.training
    # At a matched loss the weights are those that have it.
    best = training.select != "last" and training.until_loss is None
    checkpointed = training.resume == "checkpoint"
    steps = training.max_steps
    saving = "epoch" if best or checkpointed else "no"
    arguments: dict[str, Any] = {
        "output_dir": str(checkpoints),
        "num_train_epochs": training.epochs,
        "max_steps": -1 if steps is None else steps,
        "per_device_train_batch_size": training.batch_size,
        "per_device_eval_batch_size": max(64, training.batch_size),
        "gradient_accumulation_steps": training.gradient_accumulation,
        "learning_rate": training.learning_rate,
        "weight_decay": training.weight_decay,
        "lr_scheduler_type": training.schedule,
        "warmup_steps": training.warmup,
        "bf16": training.bf16,
        # Without saying so, the Trainer refuses bfloat16 on a machine that has no accelerator.
        "use_cpu": not torch.accelerator.is_available(),
        "seed": derive_seed(spec.chance, "dropout"),
        "data_seed": derive_seed(spec.chance, "order"),
        "eval_strategy": "epoch",
        "save_strategy": saving,
        "save_total_limit": 1,
        # Without the optimizer's state unless a killed run shall go on from its checkpoint.
        "save_only_model": not checkpointed,
        "load_best_model_at_end": best,
        "logging_strategy": "steps",
        "logging_steps": 0.05,
        "dataloader_num_workers": training.workers,
        "report_to": list(training.report_to) or "none",
        "disable_tqdm": True,
        # The trainer stops at a loss that is not a number; the filter would hide it, at the price
        # of a wait for the device in every step.
        "logging_nan_inf_filter": False,
        "remove_unused_columns": False,
    }
    if kind == "text" and training.bucket:
        arguments["train_sampling_strategy"] = "group_by_length"
    if best:
        arguments["metric_for_best_model"] = training.select
        arguments["greater_is_better"] = training.select != "loss"
    arguments.update(training.arguments)
    try:
        made = TrainingArguments(**arguments)
    except (TypeError, ValueError) as error:
        raise InputError(
            "Hugging Face's TrainingArguments refuses this",
            where="training",
            found=str(error).split("\n")[0][:200],
        ) from error
    if training.until_loss is not None:
        _check_until_loss(made)
    return made


def _check_until_loss(arguments: TrainingArguments) -> None:
    """Raise `InputError` for arguments that would undo ``training.until_loss``."""
    if arguments.load_best_model_at_end:
        raise InputError(
            "until_loss keeps the weights that have the loss",
            where="training.arguments.load_best_model_at_end",
            found=True,
            expected="false, or no training.until_loss",
        )
    if arguments.eval_strategy == "no":
        raise InputError(
            "until_loss is measured at every evaluation",
            where="training.arguments.eval_strategy",
            found="no",
            expected="epoch or steps",
        )


class _Watching(TrainerCallback):
    """Reports training steps, then prediction batches."""

    def __init__(self, watch: Watcher, prediction_batches: int) -> None:
        self.watch = watch
        self.batches = prediction_batches
        self.predicted = 0
        self.trained = False
        self._told = 0.0

    def _tell(self, phase: str, done: int, total: int, message: str = "") -> None:
        now = time.monotonic()
        if done < total and not message and now - self._told < 0.1:
            return
        self._told = now
        self.watch(Progress(phase, done, total, message))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._tell("training", state.global_step, state.max_steps)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any
    ) -> None:
        metrics = metrics or {}
        message = f"epoch {state.epoch:g}: validation accuracy {metrics['eval_accuracy']:.4f}"
        self._tell("training", state.global_step, state.max_steps, message)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trained = True

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.trained:
            self.predicted += 1
            self._tell("predicting", self.predicted, max(self.batches, self.predicted))

"""Translate a spec's adapter, objective and training for the libraries."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from fairlora.data import Examples
from fairlora.errors import InputError, optional_module
from fairlora.models import Adapter, Classifier, load_classifier, load_image_text
from fairlora.objectives import Objective, make_objective
from fairlora.study.spec.run import ObjectiveSpec, RunSpec
from fairlora.training import FairTrainer, derive_seed


def load_base(
    spec: RunSpec, examples: Examples, *, base: str | None = None, head_seed: int = 0
) -> Classifier:
    """The spec's pretrained model with a new head for the examples' classes.

    Parameters
    ----------
    spec : the run, which says how the model is loaded.
    examples : their classes, and whether they are pictures or texts.
    base : where the model lies, if it has moved.
    head_seed : of the new head's weights, as of `load_classifier`; a model that is prompted has
        none.
    """
    if spec.model.prompt is not None:
        return load_image_text(
            base or spec.model.id,
            examples.classes,
            prompt=spec.model.prompt,
            answers=spec.model.answers,
            score=spec.model.answer_score,
            max_length=spec.model.max_length,
            quantize=spec.model.quantize or "none",
            merged=True,
        )
    return load_classifier(
        base or spec.model.id,
        examples.classes,
        kind=examples.kind,
        image_size=spec.model.image_size,
        max_length=spec.model.max_length,
        quantize=spec.model.quantize,
        head_seed=head_seed,
    )


def adapter_of(spec: RunSpec, rows: int) -> Adapter:
    """The adapter that the spec names; AdaLoRA is told how long training takes, unless it was."""
    adapter = spec.adapter
    if adapter.kind == "adalora" and "total_step" not in adapter.fields:
        training = spec.training
        a_step = training.batch_size * training.gradient_accumulation
        steps = training.max_steps or math.ceil(math.ceil(rows / a_step) * training.epochs)
        fields = {**adapter.fields, "total_step": steps}
        adapter = adapter.model_copy(update={"fields": fields})
    return adapter


def objective_of(spec: ObjectiveSpec) -> Objective:
    """The objective that the spec names; strength 0 is plain training."""
    if not spec.fair:
        return make_objective("erm")
    return make_objective(spec.name, **spec.settings)


def training_arguments(
    spec: RunSpec, checkpoints: Path, *, kind: str = "image"
) -> TrainingArguments:
    """Hugging Face's arguments for a spec; ``training.arguments`` has the last word.

    Parameters
    ----------
    spec : the run.
    checkpoints : folder for what training leaves on its way.
    kind : "text" where ``training.bucket`` may put rows of one length together; otherwise "image",
        "image-text" or "language".

    Raises
    ------
    InputError : Hugging Face refuses them, or they would undo ``training.until_loss``.
    """
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
    if spec.dp is not None:
        # A batch's rows are drawn one by one, and come in parts of `batch_size`.
        arguments |= {"gradient_accumulation_steps": 1, "bf16": False}
    elif kind == "text" and training.bucket:
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


def trainer_of(spec: RunSpec, examples: Examples, rows: Any, **arguments: Any) -> FairTrainer:
    """The trainer of a run: under differential privacy where the spec says so.

    Parameters
    ----------
    spec : the run.
    examples : its data, split.
    rows : what is trained on; its items are the training rows of `examples`, in their order.
    arguments : of `FairTrainer`.
    """
    if spec.dp is None:
        return FairTrainer(train_dataset=rows, **arguments)
    optional_module("opacus", where="dp", otherwise="leave dp out")
    from fairlora.training.dp_budget import DPSettings
    from fairlora.training.dp_trainer import DPTrainer

    own = spec.dp
    seed = None if own.draws == "secret" else derive_seed(spec.chance, "differential privacy")
    settings = DPSettings(own.epsilon, own.delta, own.clip, own.accountant, seed)
    training = spec.training
    return DPTrainer(
        train_dataset=rows,
        privacy=settings,
        expected_rows=training.batch_size * training.gradient_accumulation,
        attributes=examples.part("train").groups,
        **arguments,
    )


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

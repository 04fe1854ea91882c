"""Classification of pictures or texts, by a head or by answers: a task that is ready to run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from fairlora.data import Examples
from fairlora.metrics.trainer import TrainerMetrics
from fairlora.models import attach, keep_logits_exact
from fairlora.predictions import read_predictions
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.measured import measure
from fairlora.study.runs.progress import Watcher
from fairlora.study.runs.verification import prove_run
from fairlora.study.spec.run import RunSpec
from fairlora.study.tasks.arguments import (
    adapter_of,
    load_base,
    objective_of,
    trainer_of,
    training_arguments,
)
from fairlora.study.tasks.base import Task
from fairlora.study.tasks.datasets import PARTS, cells_of, cut_texts, inputs_of
from fairlora.study.tasks.frozen import Shelf, freeze
from fairlora.study.tasks.pictures import keep_pictures
from fairlora.training import (
    FrozenCollator,
    ImageDataset,
    Retrained,
    derive_seed,
    retrain_last_layer,
    write_predictions_of,
)
from fairlora.training.datasets import collator_of
from fairlora.training.matched_loss import sample_rows
from fairlora.training.rows import SomeRows

# Rows that a run predicts again from its folder alone, to prove it.
PROVED_ROWS = 8


def _tracked(spec: RunSpec, examples: Examples) -> TrainerMetrics | None:
    """The audit of each evaluation for the trackers that are told, if there are any."""
    if not spec.training.report_to or not examples.groups:
        return None
    return TrainerMetrics(
        columns=list(examples.groups),
        classes=examples.classes,
        **spec.audit.model_dump(include={"positive", "min_group", "bins"}),
    )


class Classification(Task):
    """A classifier's run: every split is predicted into a table, and the test rows are audited."""

    metric = "accuracy"
    phase = "predicting"

    def __init__(
        self,
        spec: RunSpec,
        examples: Examples,
        checkpoints: Path,
        shelf: Shelf | None = None,
    ) -> None:
        """Load the model, attach the adapter, make the data sets and the trainer.

        Every source of chance has its own generator, derived from ``spec.chance``.
        """
        classifier = load_base(spec, examples, head_seed=derive_seed(spec.chance, "head"))
        adapter = adapter_of(spec, len(examples.part("train")))
        model = attach(
            classifier.model,
            adapter,
            classifier.head,
            seed=derive_seed(spec.chance, "adapter"),
            task=classifier.kind,
        )
        keep_logits_exact(model, classifier.output)
        flips = derive_seed(spec.chance, "flip") if spec.training.flip else None
        inputs = inputs_of(classifier, examples, flip_seed=flips)
        classifier.notes += cut_texts(classifier, inputs.plain.values())
        groups = spec.objective.groups
        column = None if groups == "label" else groups
        trainer = trainer_of(
            spec,
            examples,
            inputs.training,
            model=model,
            args=training_arguments(spec, checkpoints, kind=classifier.kind),
            eval_dataset=inputs.plain["validation"],
            data_collator=FrozenCollator(collator_of(classifier)),
            objective=objective_of(spec.objective),
            group_column=column,
            group_names=classifier.classes if column is None else None,
            forward_arguments=classifier.forward_arguments,
            exact_accumulation=spec.training.exact_accumulation,
            compute_metrics=_tracked(spec, examples),
        )
        self.classifier = classifier
        self._shelf = shelf
        rows = len(inputs.plain["train"])
        seed = derive_seed(spec.chance, "until_loss rows")
        self._told = sample_rows(rows, spec.told_rows(rows), seed)
        super().__init__(
            spec, examples, classifier, adapter, trainer, inputs.plain, classifier.head
        )

    def measured_batches(self) -> int:
        """Those of all that is predicted, once more for each further query."""
        size = self.trainer.args.per_device_eval_batch_size
        batches = sum(-(-len(rows) // size) for rows in self.predicted().values())
        return batches * (1 + len(self.spec.queries))

    def predicted(self) -> dict[str, Any]:
        """The rows that are predicted: of training those that are read afterwards."""
        rows, chosen = dict(self.parts), self._told
        if len(chosen) < len(rows["train"]):
            rows["train"] = SomeRows(rows["train"], chosen)
        return rows

    def before_training(self, watch: Watcher) -> None:
        """Ask the frozen part of the model for its answers, where none of them change."""
        if self._shelf is None:
            return
        keep = partial(
            keep_pictures,
            *(self.trainer, self.classifier, self.parts, self._shelf, watch),
            self.spec.training.workers,
        )
        self.parts = freeze(
            self.trainer, self.classifier, self.spec, self.parts, self._shelf, watch, keep
        )
        if isinstance(self.trainer.train_dataset, ImageDataset):
            keep()
        if self.matched is not None:
            self.matched.measure_on(self.parts["train"])

    def after_training(self) -> dict[str, Any]:
        """Train the last layer once more, where the spec says so."""
        retrained = self.retrain_last_layer()
        return {"last_layer": None if retrained is None else retrained._asdict()}

    def measure(self, folder: RunFolder, watch: Watcher) -> dict[str, Any]:
        """Predict the splits, prove the folder, and audit the test rows."""
        spec = self.spec
        self.predict(folder.predictions)
        for query in spec.queries:
            self.predict(folder.query(query), mirrored=query == "flip")
        predictions = read_predictions(folder.predictions)
        some = next(rows.examples for rows in reversed(self.parts.values()) if len(rows))
        proof = prove_run(
            folder.path,
            predictions,
            some.take(np.arange(min(PROVED_ROWS, len(some)))),
            self.trainer.model,
            bf16=spec.training.bf16,
        )
        fewer = len(self._told) < len(self.parts["train"])
        return {
            **measure(predictions, spec.audit, PARTS),
            "predicted": {"train": len(self._told)} if fewer else {},
            "proved": proof,
        }

    def retrain_last_layer(self) -> Retrained | None:
        """Do what the spec says of the last layer, after training; None where it says nothing."""
        wanted = self.spec.last_layer
        if wanted is None:
            return None
        dataset = self.parts[wanted.split]
        examples = dataset.examples
        return retrain_last_layer(
            cast("torch.nn.Module", self.trainer.model),
            self.classifier.head,
            dataset,
            examples.labels,
            cells_of(examples, wanted.groups),
            FrozenCollator(collator_of(self.classifier)),
            forward_arguments=self.classifier.forward_arguments,
            frozen=self.trainer.frozen,
            subsets=wanted.subsets,
            penalty=wanted.penalty,
            seed=derive_seed(self.spec.chance, "last layer"),
            batch_size=self.trainer.args.per_device_eval_batch_size,
        )

    def predict(self, path: Path, *, mirrored: bool = False) -> None:
        """Predict the splits into one table: the pictures, or their mirror images."""
        datasets = list(self.predicted().values())
        if mirrored:
            datasets = [dataset.mirrored() for dataset in datasets]
        record = self.classifier.record.to_dict()
        write_predictions_of(self.trainer, datasets, path, self.classifier.classes, record)

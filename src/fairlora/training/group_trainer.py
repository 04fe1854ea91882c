"""The Trainer that knows the groups of its data sets: their names, columns and collator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlora.errors import InputError
from fairlora.metrics.trainer import TrainerMetrics
from fairlora.objectives import Objective
from fairlora.training.checkpoints import CheckpointTrainer
from fairlora.training.groups import (
    GroupCollator,
    categories_of,
    check_labels,
    groups_of,
    labels_of,
    used_categories,
)
from fairlora.training.vocabulary import (
    bind_groups,
    class_count,
    class_groups,
    class_names,
    column_groups,
    needs_counts,
)


class GroupTrainer(CheckpointTrainer):
    """Finds out the groups of the training set, and checks those of the others against them."""

    objective: Objective
    group_column: str | None
    group_names: tuple[str, ...]
    _causal: bool

    def _set_groups(self, names: Sequence[str] | None) -> None:
        """Find out the vocabulary, and tell it to the collator and the objective."""
        classes = None if self._causal else class_count(self.model)
        if classes is not None:
            for dataset in (self.train_dataset, self.eval_dataset):
                check_labels(labels_of(dataset) or (), classes)
        self._categories: tuple[str, ...] | None = None
        if self.group_column is not None:
            # A trainer that only evaluates has no training set.
            only = self.eval_dataset if not isinstance(self.eval_dataset, dict) else None
            dataset = only if self.train_dataset is None and names else self.train_dataset
            self._categories = used_categories(dataset, self.group_column, names)
            vocabulary = column_groups(dataset, self.group_column, names)
        else:
            # A language model's labels are tokens: it has no groups unless a column names them.
            names = names or (() if self._causal else class_names(self.model))
            counted = self.train_dataset if needs_counts(self.objective) else None
            vocabulary = class_groups(counted, names)
        self.data_collator = GroupCollator(
            self.data_collator,
            self.group_column,
            vocabulary.names,
            overlapping=vocabulary.overlapping,
            categories=self._categories,
            causal=self._causal,
            classes=classes,
        )
        self.group_names = vocabulary.names
        several = self.eval_dataset
        for dataset in several.values() if isinstance(several, dict) else [several]:
            self._check_categories(dataset)
        bind_groups(self.objective, vocabulary, training=self.train_dataset is not None)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        columns: list[str] = list(self._signature_columns or ())
        columns += [c for c in (self.group_column, "row") if c is not None and c not in columns]
        self._signature_columns = columns  # type: ignore[assignment]

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
            asked.bind({name: groups_of(dataset, name) for name in asked.columns})
        if not isinstance(dataset, dict):
            self._check_categories(dataset)

    def _check_categories(self, dataset: Any) -> None:
        """Raise `InputError` where an evaluation set has other names for the groups' numbers."""
        if self.group_column is None or self._categories is None or dataset is None:
            return
        categories = categories_of(dataset, self.group_column)
        if categories is not None and categories != self._categories:
            raise InputError(
                "the evaluation set numbers its groups otherwise than the training set",
                where=f"group_column {self.group_column!r}",
                found=", ".join(categories),
                expected=", ".join(self._categories),
            )

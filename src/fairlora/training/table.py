"""Write a model's logits as a predictions table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from fairlora.data import Examples
from fairlora.errors import WorkError
from fairlora.predictions import PredictionsWriter, score_logits


class RowSink(Protocol):
    """Takes rows as they are computed: row numbers (N,), logits (N, C), labels (N,)."""

    def add(self, rows: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Take the rows of one batch.

        Parameters
        ----------
        rows : (N,) row numbers.
        logits : (N, C) logits.
        labels : (N,) numbers of the true classes.
        """
        ...


class TableSink:
    """Appends the rows of one data set to a predictions table that is being written."""

    def __init__(self, writer: PredictionsWriter, examples: Examples) -> None:
        self.writer = writer
        self.examples = examples
        self._seen = np.zeros(len(examples), dtype=np.bool_)

    def add(self, rows: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Append the rows of one batch that were not seen before.

        Parameters
        ----------
        rows : (N,) row numbers.
        logits : (N, C) logits.
        labels : (N,) numbers of the true classes.
        """
        index = rows.cpu().numpy()
        # A sampler may pad the last batch of several processes with rows it has already given.
        _, first = np.unique(index, return_index=True)
        fresh = np.sort(first)[~self._seen[index[np.sort(first)]]]
        index = index[fresh]
        self._seen[index] = True
        if not len(index):
            return
        split = self.examples.split
        self.writer.append(
            self.examples.ids[index],
            np.full(len(index), "test") if split is None else split[index],
            labels.cpu().numpy()[fresh],
            score_logits(logits.float().cpu().numpy()[fresh], labels.cpu().numpy()[fresh]),
            {name: values.take(index) for name, values in self.examples.groups.items()},
        )

    def finish(self) -> None:
        """Raise `WorkError` unless every row was seen."""
        if not self._seen.all():
            raise WorkError(f"{int((~self._seen).sum())} rows were not predicted")


class _Nowhere:
    """Where a process that does not write puts the rows that it gathered."""

    def add(self, rows: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Every process must take part in the gathering; one of them writes."""


def write_predictions_of(
    trainer: Any,
    datasets: Sequence[Any],
    path: Path,
    classes: Sequence[str],
    record: Mapping[str, Any] | None = None,
) -> list[dict[str, float]]:
    """Predict every data set with a `FairTrainer` into one predictions table.

    The table appears under its name only when all rows are in it. On several processes the first
    one writes. Returns each data set's metrics.

    Parameters
    ----------
    trainer : a `FairTrainer`.
    datasets : data sets whose items carry their ``row``, each with its `examples`; the group
        columns are those of the first.
    path : the table to write.
    classes : class names in order.
    record : that of `PredictionsWriter`.

    Raises
    ------
    WorkError : a row was not predicted.
    """
    if not trainer.is_world_process_zero():
        return [trainer.stream_predictions(dataset, _Nowhere()) for dataset in datasets]
    columns = list(datasets[0].examples.groups)
    with PredictionsWriter(path, classes, columns, record) as writer:
        metrics = []
        for dataset in datasets:
            sink = TableSink(writer, dataset.examples)
            metrics.append(trainer.stream_predictions(dataset, sink))
            sink.finish()
    return metrics

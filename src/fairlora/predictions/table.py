"""Room `predictions`: the table that everything after training reads.

Parquet, one row an example of one model: ``id``, ``split``, ``label``, ``pred``, ``probs``,
``loss``, ``margin``, and every other column a sensitive attribute. NumPy and pyarrow alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from fairlora.errors import InputError
from fairlora.io import replacing
from fairlora.predictions.columns import GroupColumn, group_column

VERSION = 1
METADATA_KEY = b"fairlora"
OWN_COLUMNS = ("id", "split", "label", "pred", "probs", "loss", "margin")
# float32 probabilities of many classes do not sum to one exactly.
SUM_TOLERANCE = 1e-3


class Scores(NamedTuple):
    """What a row of logits says."""

    probs: NDArray[np.float32]  # (n, c)
    predictions: NDArray[np.integer[Any]]  # (n,) argmax of probs, the lowest index on a tie
    loss: NDArray[np.float32]  # (n,) cross-entropy of the true label
    margin: NDArray[np.float32]  # (n,) true-class logit minus logsumexp of the others


def score_logits(logits: ArrayLike, labels: ArrayLike) -> Scores:
    """Probabilities, prediction, loss and margin of logits (n, c), computed in float64.

    The margin is the logit-scaled confidence log(p / (1 - p)) of membership attacks (Carlini et al.
    2022), taken from the logits, so that it does not saturate where p rounds to 1.
    """
    z = np.asarray(logits, dtype=np.float64)
    y = np.asarray(labels, dtype=np.int64)
    rows = np.arange(len(z))
    z = z - z.max(axis=1, keepdims=True)
    own = z[rows, y]
    log_total = np.log(np.exp(z).sum(axis=1))
    others = z.copy()
    others[rows, y] = -np.inf
    top = others.max(axis=1)
    # Without others their logsumexp is -inf, and the margin inf: not the nan of -inf minus -inf.
    shift = np.where(np.isneginf(top), 0.0, top)
    with np.errstate(divide="ignore"):
        log_others = shift + np.log(np.exp(others - shift[:, None]).sum(axis=1))
    probs = np.exp(z - log_total[:, None]).astype(np.float32)
    return Scores(
        probs=probs,
        predictions=probs.argmax(axis=1).astype(np.int64),
        loss=(log_total - own).astype(np.float32),
        margin=(own - log_others).astype(np.float32),
    )


@dataclass(frozen=True)
class Measurements:
    """Labels and predictions of each row that are numbers, not classes.

    Attributes
    ----------
    labels : (n,) float64, finite, as all others.
    predictions : (n,) of their mean or median, or None.
    quantiles : level -> (n,) predicted quantiles, in the order of the levels.
    """

    labels: NDArray[np.float64]
    predictions: NDArray[np.float64] | None = None
    quantiles: Mapping[float, NDArray[np.float64]] = field(default_factory=dict)

    def take(self, rows: NDArray[np.intp]) -> Measurements:
        """The given rows."""
        predictions = None if self.predictions is None else self.predictions[rows]
        quantiles = {level: values[rows] for level, values in self.quantiles.items()}
        return Measurements(self.labels[rows], predictions, quantiles)


@dataclass(frozen=True)
class Predictions:
    """A predictions table in memory.

    Attributes
    ----------
    ids, split : (n,) strings; an id is unique within its split.
    labels, predictions : (n,) indices into `classes`.
    probs : (n, c) float32 or None.
    loss, margin : (n,) float32 or None.
    groups : attribute -> its column; arrays and lists of names, or of lists of names where groups
        overlap, are made into one.
    classes : class names.
    clusters : (n,) code of the cluster that a row belongs to (a person, a family of pictures), or
        None where rows are draws of their own.
    weights : (n,) float64 above 0, how much each row counts, or None where all count alike.
    weighted_by : what the weights are called: their column.
    notes : what a reader of an audit should know of how the rows were read.
    left_out : reason -> number of rows left out.
    lost : ids of the rows left out, or None.
    scores : (n,) float64 score of each row, of a table without labels, or None.
    measured : labels and predictions that are numbers, of a table without classes, or None.
    """

    ids: NDArray[Any]
    split: NDArray[Any]
    labels: NDArray[np.integer[Any]]
    predictions: NDArray[np.integer[Any]]
    classes: tuple[str, ...]
    groups: Mapping[str, GroupColumn] = field(default_factory=dict)
    probs: NDArray[np.float32] | None = None
    loss: NDArray[np.float32] | None = None
    margin: NDArray[np.float32] | None = None
    clusters: NDArray[np.int32] | None = None
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    lost: NDArray[Any] | None = None
    scores: NDArray[np.float64] | None = None
    measured: Measurements | None = None
    weights: NDArray[np.float64] | None = None
    weighted_by: str | None = None

    def __post_init__(self) -> None:
        columns = {name: group_column(values) for name, values in self.groups.items()}
        object.__setattr__(self, "groups", columns)

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, split: str) -> Predictions:
        """The rows of one split; `InputError` if there are none."""
        rows = np.flatnonzero(self.split == split)
        if not len(rows):
            raise InputError(
                f"no rows of split {split!r}",
                where="split",
                found=", ".join(sorted({str(s) for s in self.split})),
            )
        return self.take(rows)

    def take(self, rows: NDArray[np.intp]) -> Predictions:
        """The given rows."""

        def part(values: NDArray[Any] | None) -> Any:
            return None if values is None else values[rows]

        return Predictions(
            ids=self.ids[rows],
            split=self.split[rows],
            labels=self.labels[rows],
            predictions=self.predictions[rows],
            classes=self.classes,
            groups={name: column.take(rows) for name, column in self.groups.items()},
            probs=part(self.probs),
            loss=part(self.loss),
            margin=part(self.margin),
            clusters=part(self.clusters),
            notes=self.notes,
            left_out=self.left_out,
            lost=self.lost,
            scores=part(self.scores),
            measured=None if self.measured is None else self.measured.take(rows),
            weights=part(self.weights),
            weighted_by=self.weighted_by,
        )


class PredictionsWriter:
    """Writes a predictions table batch by batch.

        with PredictionsWriter(path, classes, ["race"]) as writer:
            writer.append(ids, split, labels, score_logits(logits, labels), {"race": race})

    The file appears under its name when the block ends without an error, and not at all otherwise.
    `record` says what was found of the model that predicts; it is kept in the file's metadata.
    """

    def __init__(
        self,
        path: Path,
        classes: Sequence[str],
        group_columns: Sequence[str],
        record: Mapping[str, Any] | None = None,
    ) -> None:
        for name in group_columns:
            if name in OWN_COLUMNS:
                raise InputError(
                    "a group column has the name of a column of the table",
                    where=name,
                    expected="any name but " + ", ".join(OWN_COLUMNS),
                )
        self.path = Path(path)
        self.classes = tuple(classes)
        self.group_columns = tuple(group_columns)
        self.record = None if record is None else dict(record)
        self._whole = ExitStack()  # renames what was written, or removes it
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> PredictionsWriter:
        return self

    def append(
        self,
        ids: ArrayLike,
        split: ArrayLike,
        labels: ArrayLike,
        scores: Scores,
        groups: Mapping[str, Any],
    ) -> None:
        """Add n rows.

        Parameters
        ----------
        ids, split : (n,) written as text.
        labels : (n,) indices into the classes.
        scores : of the n rows, as `score_logits` gives them.
        groups : attribute -> n values: strings, or lists of strings for overlapping groups. It has
            every group column of the table.
        """
        columns: dict[str, pa.Array] = {
            "id": pa.array(np.asarray(ids).astype(object), pa.string()),
            "split": pa.array(np.asarray(split).astype(object), pa.string()),
            "label": pa.array(np.asarray(labels), pa.int64()),
            "pred": pa.array(scores.predictions, pa.int64()),
            "probs": pa.FixedSizeListArray.from_arrays(
                pa.array(scores.probs.reshape(-1), pa.float32()), len(self.classes)
            ),
            "loss": pa.array(scores.loss, pa.float32()),
            "margin": pa.array(scores.margin, pa.float32()),
        }
        for name in self.group_columns:
            values = list(groups[name])
            if any(isinstance(v, list | tuple | np.ndarray) for v in values):
                columns[name] = pa.array([_names(v) for v in values], pa.list_(pa.string()))
            else:
                plain = [None if v is None else str(v) for v in values]
                columns[name] = pa.array(plain, pa.string())
        meta = {
            "version": VERSION,
            "classes": list(self.classes),
            "groups": list(self.group_columns),
        }
        if self.record is not None:
            meta["loaded"] = self.record
        table = pa.table(columns).replace_schema_metadata({METADATA_KEY: json.dumps(meta).encode()})
        if self._writer is None:
            partial = self._whole.enter_context(replacing(self.path))
            self._writer = pq.ParquetWriter(partial, table.schema)
        self._writer.write_table(table)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()
        self._whole.__exit__(kind, error, trace)


def write_predictions(
    path: Path, predictions: Predictions, record: Mapping[str, Any] | None = None
) -> None:
    """Write a whole table at once; `read_predictions` gives it back.

    Parameters
    ----------
    path : the file.
    predictions : the rows.
    record : what was found of the model that predicts, as of `PredictionsWriter`.

    Raises `InputError` where probabilities, losses or margins are absent: a table without them is
    read, and never written.
    """
    probs, loss, margin = predictions.probs, predictions.loss, predictions.margin
    if probs is None or loss is None or margin is None:
        raise InputError(
            "a predictions table is written with its scores",
            where=path,
            found="no probs, loss or margin",
            expected="all three, as score_logits gives them",
        )
    scores = Scores(probs, predictions.predictions, loss, margin)
    groups = list(predictions.groups)
    with PredictionsWriter(path, predictions.classes, groups, record) as writer:
        writer.append(
            predictions.ids, predictions.split, predictions.labels, scores, predictions.groups
        )


def _names(value: Any) -> list[str | None] | None:
    """The groups of one row in a column of overlapping groups; None where they are missing."""
    if value is None:
        return None
    several = value if isinstance(value, list | tuple | np.ndarray) else [value]
    return [None if v is None else str(v) for v in several]

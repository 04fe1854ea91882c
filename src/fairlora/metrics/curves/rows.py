"""The scores of a binary target by group: what curves and operating points are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fairlora.errors import InputError
from fairlora.metrics.curves.roc_scores import (
    Bool,
    Codes,
    Ordered,
    Sides,
    grouped,
    ordered,
    sides_of,
)
from fairlora.metrics.groups.intersections import columns_of
from fairlora.metrics.inference.intervals import Float
from fairlora.metrics.settings import Settings
from fairlora.predictions import GroupColumn, Predictions
from fairlora.predictions.arrow import MISSING


@dataclass(frozen=True, eq=False)
class Attribute:
    """The groups of an attribute.

    Attributes
    ----------
    column : the rows' groups.
    sides : each group's scores of both classes.
    known : (G,) whether the group is compared: rows without a group value are not.
    """

    column: GroupColumn
    sides: list[Sides]
    known: Bool

    def large(self, least: int) -> Bool:
        """(G,) whether a group is compared and has so many rows of each class."""
        smaller = [min(len(side.positives), len(side.negatives)) for side in self.sides]
        return np.asarray(self.known & (np.array(smaller, dtype=np.int64) >= max(1, least)))

    def sizes(self, g: int, least: int) -> dict[str, Any]:
        """The fields of `ClassRows`."""
        p, n = len(self.sides[g].positives), len(self.sides[g].negatives)
        small = min(p, n) < least
        return {
            "n": p + n,
            "positives": p,
            "negatives": n,
            "small": small,
            "missing": not bool(self.known[g]),
        }


@dataclass(frozen=True, eq=False)
class BinaryRows:
    """Scores of the positive class, in order.

    Attributes
    ----------
    scores, labels : (n,) probabilities of the positive class, and whether each row is of it.
    clusters : (n,) codes of what was drawn together, or None.
    order : the rows from the highest score on.
    whole : all rows.
    attributes : by name, combinations among them.
    """

    scores: Float
    labels: Bool
    clusters: Codes | None
    order: Ordered
    whole: Sides
    attributes: dict[str, Attribute]

    @property
    def both(self) -> bool:
        """Whether there are rows of both classes."""
        return bool(self.labels.any() and not self.labels.all())


def binary_rows(predictions: Predictions, settings: Settings, positive: int | None) -> BinaryRows:
    """The rows of a binary target by group.

    Parameters
    ----------
    predictions : with probabilities.
    settings : of the audit.
    positive : index of the positive class; None where there are not two classes.

    Raises
    ------
    InputError : no probabilities, or not two classes.
    """
    where = "curves" if settings.curves else "at"
    if predictions.probs is None:
        raise InputError("needs probabilities", where=where, expected="probs (--probs)")
    if positive is None:
        raise InputError(
            "needs two classes", where=where, found=f"{len(predictions.classes)} classes"
        )
    scores = predictions.probs[:, positive].astype(np.float64)
    labels = np.asarray(predictions.labels == positive)
    clusters: Codes | None = predictions.clusters
    order = ordered(scores, labels)
    attributes = {}
    columns = columns_of(predictions.groups, len(predictions), settings)
    for name, column in columns.items():
        read = grouped(column.codes[order.rows], len(column.names), column.patterns())
        sides = [sides_of(order, read.of(g), clusters) for g in range(len(column.names))]
        without = [group == MISSING and settings.missing_group == "show" for group in column.names]
        attributes[name] = Attribute(column, sides, ~np.array(without, dtype=bool))
    whole = sides_of(order, np.arange(len(scores)), clusters)
    return BinaryRows(scores, labels, clusters, order, whole, attributes)

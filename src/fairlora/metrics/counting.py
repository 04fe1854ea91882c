"""Rows counted by group: the tables that every number of an audit is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.counts import calibration
from fairlora.metrics.counts.auc import Auc, auc_of_rows, mean_auc
from fairlora.metrics.counts.one_vs_rest import auc_against_rest
from fairlora.metrics.counts.tally import (
    Tally,
    bin_numbers,
    membership,
    row_scores,
    tally_scores,
)
from fairlora.metrics.groups.intersections import columns_of
from fairlora.metrics.inference.clusters import Clustered
from fairlora.metrics.inference.design import Design, IndependentRows, seed_of
from fairlora.metrics.inference.intervals import Float
from fairlora.metrics.inference.weighted import WeightedRows
from fairlora.metrics.settings import (
    Settings,
)
from fairlora.predictions import GroupColumn, Predictions
from fairlora.predictions.arrow import MISSING
from fairlora.predictions.spellings import class_named, shown

# The attribute of all rows, which are one group of it.
OVERALL = "all"
# Rows counted at a time.
_BLOCK = 1 << 16


@dataclass
class Table:
    """One attribute's tables.

    Attributes
    ----------
    tally : counts, bins and powers.
    auc : of the groups, or None without probabilities, with the reason in `no_auc`.
    clustered : the design where rows come in clusters.
    noise : g -> draws of the bins' sums where rows come in clusters.
    missing : the rows without a group value, which are shown and not compared; see `apart`.
    """

    tally: Tally
    auc: Auc | None = None
    no_auc: str = calibration.NO_PROBS
    clustered: Clustered | None = None
    noise: Callable[[int], Float] | None = None
    bin_sizes: Callable[[int], Float] | None = None
    missing: Table | None = None

    def design(self, settings: Settings, attribute: str) -> Design:
        if self.clustered is not None:
            return self.clustered
        rng = seed_of(settings.seed, attribute, "bootstrap")
        if self.tally.weighed is not None:
            return WeightedRows(self.tally, settings.bootstrap, rng, settings.level)
        return IndependentRows(self.tally, settings.bootstrap, rng)


def apart(table: Table, settings: Settings) -> Table:
    """The table of the rows that have a group value; those that have none are its `missing`."""
    if settings.missing_group == "keep" or MISSING not in table.tally.names:
        return table
    without = np.array([name == MISSING for name in table.tally.names])
    known, missing = (
        Table(
            tally,
            None if table.auc is None else table.auc.of(groups),
            table.no_auc,
        )
        for tally, groups in (
            (table.tally.without(MISSING), ~without),
            (table.tally.alone(MISSING), without),
        )
    )
    known.missing = missing
    return known


@dataclass
class Tables:
    """All that an audit needs of the rows."""

    n: int
    classes: tuple[str, ...]
    everyone: Table
    attributes: dict[str, Table]
    warnings: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    weighted_by: str | None = None


def tables_of(predictions: Predictions, settings: Settings) -> Tables:
    """One pass over the rows: everything that the audit needs of them."""
    names, n = predictions.classes, len(predictions)
    index = positive_class(names, settings.positive, [])
    of = confidence_class(names, index, settings)
    loss = predictions.loss
    if loss is not None and not np.isfinite(loss).all():
        row = int(np.flatnonzero(~np.isfinite(loss))[0])
        raise InputError(
            "not a finite number",
            where=f"loss of row {predictions.ids[row]!s}",
            found=loss[row],
            expected="finite losses",
        )
    columns = columns_of(predictions.groups, n, settings)
    alone = GroupColumn((OVERALL,), everyone(n))
    # Groups that do not overlap add up to everyone: no need to count again.
    disjoint = [attribute for attribute, column in columns.items() if column.lists is None]
    counted = columns if disjoint else {**columns, OVERALL: alone}
    tallies = _tallies(predictions, counted, of, settings.bins)
    whole = tallies[disjoint[0]].collapsed(OVERALL) if disjoint else tallies[OVERALL]
    rows = None if predictions.clusters is None else _row_values(predictions, of, settings.bins)
    aucs = _aucs(predictions, {**columns, OVERALL: alone}, index)

    def table(attribute: str, column: GroupColumn, tally: Tally) -> Table:
        out = apart(Table(tally.in_order(), aucs.get(attribute)), settings)
        if rows is None:
            return out
        if out.missing is None:
            _add_clusters(out, predictions, column, rows, settings, attribute)
            return out
        without = column.contains(MISSING)
        for part, here in ((out, ~without), (out.missing, without)):
            some = np.flatnonzero(here)
            if len(some):
                table, own = predictions.take(some), column.take(some)
                _add_clusters(part, table, own, rows.take(some), settings, attribute)
        return out

    attributes = {
        attribute: table(attribute, column, tallies[attribute])
        for attribute, column in columns.items()
    }
    return Tables(
        n,
        names,
        table(OVERALL, alone, whole),
        attributes,
        list(predictions.notes),
        dict(predictions.left_out),
        predictions.weighted_by,
    )


def _tallies(
    predictions: Predictions, columns: Mapping[str, GroupColumn], of: int | None, bins: int
) -> dict[str, Tally]:
    """Count block by block: a block's intermediate values stay in the processor's cache."""
    out: dict[str, Tally] = {}
    weights = predictions.weights
    for start in range(0, len(predictions), _BLOCK):
        part = slice(start, start + _BLOCK)
        y, h = predictions.labels[part], predictions.predictions[part]
        scores = None
        if predictions.probs is not None:
            scores = row_scores(y, h, predictions.probs[part], of)
        loss: NDArray[Any] | None = None if scores is None else scores.nll
        if predictions.loss is not None:
            loss = predictions.loss[part]
        score = None if predictions.scores is None else predictions.scores[part]
        for name, column in columns.items():
            block = GroupColumn(column.names, column.codes[part], column.lists)
            one = tally_scores(
                y,
                h,
                len(predictions.classes),
                block,
                scores,
                loss=loss,
                score=score,
                bins=bins,
                weights=None if weights is None else weights[part],
            )
            out[name] = out[name] + one if name in out else one
    return out


def _aucs(
    predictions: Predictions, columns: Mapping[str, GroupColumn], positive: int | None
) -> dict[str, Auc]:
    """Attribute -> its groups' AUCs; of no attribute without probabilities."""
    probs, labels, weights = predictions.probs, predictions.labels, predictions.weights
    if probs is None:
        return {}
    if positive is None and predictions.clusters is None:
        return auc_against_rest(probs, labels, columns, weights)
    wanted = range(probs.shape[1]) if positive is None else [positive]
    parts = {
        name: [
            auc_of_rows(probs[:, c], labels == c, column, predictions.clusters, weights)
            for c in wanted
        ]
        for name, column in columns.items()
    }
    return {name: own[0] if positive is not None else mean_auc(own) for name, own in parts.items()}


class _RowValues(NamedTuple):
    """What clusters need of each row: its values, its confidence - hit and its bin."""

    values: dict[str, NDArray[np.float64]]
    gaps: NDArray[np.float64] | None
    hits: NDArray[np.float64] | None
    place: NDArray[np.int64] | None

    def take(self, rows: NDArray[np.intp]) -> _RowValues:
        """Those of some rows."""
        values = {name: one[rows] for name, one in self.values.items()}
        rest = (None if one is None else one[rows] for one in self[1:])
        return _RowValues(values, *rest)  # type: ignore[arg-type]


def _row_values(predictions: Predictions, of: int | None, bins: int) -> _RowValues:
    values: dict[str, NDArray[np.float64]] = {}
    if predictions.loss is not None:
        values["loss"] = np.asarray(predictions.loss, dtype=np.float64)
    if predictions.scores is not None:
        values["score"] = predictions.scores
    if predictions.probs is None:
        return _RowValues(values, None, None, None)
    scores = row_scores(predictions.labels, predictions.predictions, predictions.probs, of)
    gaps = scores.confidence.astype(np.float64) - scores.hits
    values = {"loss": scores.nll, **values, "brier": scores.brier, "nll": scores.nll}
    values["confidence_gap"] = gaps
    return _RowValues(
        values, gaps, scores.hits.astype(np.float64), bin_numbers(scores.confidence, bins)
    )


def _add_clusters(
    table: Table,
    predictions: Predictions,
    column: GroupColumn,
    rows: _RowValues,
    settings: Settings,
    attribute: str,
) -> None:
    assert predictions.clusters is not None
    # Of some of the rows there may be fewer clusters: each that is counted has a row.
    clusters = np.unique(predictions.clusters, return_inverse=True)[1]
    design = Clustered(
        table.tally,
        predictions.labels,
        predictions.predictions,
        membership(column),
        clusters,
        seed_of(settings.seed, attribute, "clusters"),
        settings.level,
        rows.values,
        predictions.weights,
    )
    table.clustered = design
    gaps, hits, place = rows.gaps, rows.hits, rows.place
    if gaps is not None and hits is not None and place is not None:
        table.noise = lambda g: design.bin_noise(gaps, place, settings.bins, g)
        table.bin_sizes = lambda g: design.bin_sizes(hits, place, settings.bins, g)


def positive_class(names: Sequence[str], positive: str | None, warnings: list[str]) -> int | None:
    """Index of the positive class of a binary label, or None; says what it assumed.

    Parameters
    ----------
    names : of the classes, in order.
    positive : the class as it was given; None takes the last of two.
    warnings : takes what was assumed, and that a class is not used where there are not two.

    Raises
    ------
    InputError : `positive` is none of the classes.
    """
    meant = None if positive is None else class_named(positive, names)
    if positive is not None and meant is None:
        raise InputError(
            "no such class",
            where="positive",
            found=repr(positive),
            expected="one of " + ", ".join(map(shown, names)),
        )
    if len(names) != 2:
        if positive is not None:
            warnings.append(
                f"a positive class needs two classes, and there are {len(names)}: {positive!r} is "
                "not used, each class is taken against the rest"
            )
        return None
    if meant is not None:
        return list(names).index(meant)
    warnings.append(
        f"no positive class was named: {names[1]!r} is taken, the last in order (--positive)"
    )
    return 1


def confidence_class(names: Sequence[str], index: int | None, settings: Settings) -> int | None:
    """The class whose probability is the confidence, or None for the predicted class's.

    Parameters
    ----------
    names : of the classes.
    index : of the positive class; None where there are not two.
    settings : of the audit, of which `confidence` counts.

    Raises
    ------
    InputError : the positive class's confidence is asked for, and there is no such class.
    """
    if settings.confidence == "top":
        return None
    if index is None:
        raise InputError(
            "confidence='positive' needs two classes", where="confidence", found=len(names)
        )
    return index


def effective_key(tally: Tally, g: int) -> dict[str, Any]:
    """Group g's effective size by its key in the content; nothing where rows have no weights."""
    return {} if tally.weighed is None else {"effective": float(tally.effective[g])}


def effective_of(tally: Tally, g: int) -> float | None:
    """Rows of one weight that would say as much as group g's; None where rows have no weights."""
    return None if tally.weighed is None else float(tally.effective[g])


def everyone(n: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Codes of the one group that holds all rows."""
    return np.zeros(n, dtype=np.int32)

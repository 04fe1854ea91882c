"""Audit predictions that do not fit in memory: chunks are counted as they are read.

What is kept is as large as the tables, however many the rows. AUC comes from score histograms; of
more than two classes it is exact up to some millions of rows, from a few numbers a row
(`fairlora.metrics.streamed_auc`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.assemble import assemble
from fairlora.metrics.counting import (
    OVERALL,
    Table,
    Tables,
    apart,
    confidence_class,
    everyone,
    positive_class,
)
from fairlora.metrics.counts.auc import (
    Auc,
    auc_of_histogram,
    level_count,
    mean_auc,
    score_levels,
)
from fairlora.metrics.counts.one_vs_rest import counts_by_level
from fairlora.metrics.counts.tally import RowScores, Tally, row_scores, tally_scores
from fairlora.metrics.groups.intersections import check_groups, cross, crossed_name
from fairlora.metrics.groups.missing import settled
from fairlora.metrics.result import AuditResult
from fairlora.metrics.settings import MissingGroup, Settings
from fairlora.metrics.streamed_auc import ExactAuc, exact_is_possible
from fairlora.predictions import GroupColumn
from fairlora.predictions.arrow import MISSING
from fairlora.predictions.columns import appended
from fairlora.predictions.opened import STREAM_ROWS, Opened
from fairlora.predictions.streaming import Chunk, PredictionStream

_MOST_LEVELS = 8_000_000
_MOST_POSSIBLE = 20_000
# Rows that are counted at once at most: what is held of each is some fifty bytes.
_MOST_HELD = 1 << 20


def audit_stream(
    path: Path | Opened,
    *,
    split: str | None = None,
    settings: Settings | None = None,
    progress: Callable[[int, int], None] | None = None,
    **columns: Any,
) -> AuditResult:
    """Audit a file, or a folder of files of one schema, in constant memory.

    Parameters
    ----------
    path, split, settings, progress, columns : as of `stream_tables`.
    """
    settings = Settings() if settings is None else settings
    tables = stream_tables(path, split=split, settings=settings, progress=progress, **columns)
    return AuditResult(assemble(tables, settings))


def stream_tables(
    path: Path | Opened,
    *,
    split: str | None = None,
    settings: Settings,
    progress: Callable[[int, int], None] | None = None,
    **columns: Any,
) -> Tables:
    """All that an audit needs of a file, or of a folder of files of one schema.

    Parameters
    ----------
    path, split, progress, columns : as of `PredictionStream`.
    settings : as of `fairlora.audit`. Clusters and searches for subgroups need rows in memory.
    """
    if settings.subgroups:
        raise InputError(
            "a search for subgroups needs the rows in memory",
            where="--subgroups",
            expected=f"a file of at most {STREAM_ROWS:,} rows",
        )
    for name in ("curves", "at"):
        if getattr(settings, name):
            raise InputError(
                "curves and operating points need the rows in memory",
                where=f"--{name}",
                expected="one file, not a folder",
            )
    most = settings.max_groups
    stream = PredictionStream(
        path,
        split=split,
        check_groups=lambda name, names, rows: check_groups(name, names, rows, most),
        progress=progress,
        **{"positive": settings.positive, **columns},
    )
    return _count(stream, settings)


class _Attribute:
    """The running tables of one attribute."""

    def __init__(self) -> None:
        self.tally: Tally | None = None
        # Rows by group, class or not and level, or their weights; and the weights' squares.
        self.levels: list[NDArray[Any]] | None = None
        self.squares: list[NDArray[Any]] | None = None
        self.shift: int | None = None
        self.auc: Auc | None = None

    def count(self, tally: Tally) -> None:
        self.tally = tally if self.tally is None else self.tally + tally

    def rank(
        self,
        column: GroupColumn,
        scores: Sequence[tuple[NDArray[Any], NDArray[Any]]],
        weights: NDArray[np.float64] | None,
    ) -> None:
        """Add to the score histograms: of each class its scores and whether rows are of it."""
        groups = len(column.names)
        if self.levels is None:
            self.shift = _shift(len(scores), groups, weights is not None)
            kind: Any = np.int64 if weights is None else np.float64
            self.levels = []
            if self.shift is not None:
                shape = (groups, 2, level_count(self.shift))
                self.levels = [np.zeros(shape, kind) for _ in scores]
            if weights is not None:
                self.squares = [np.zeros_like(held) for held in self.levels]
        if self.shift is None:
            return
        levels = level_count(self.shift)
        for k, (score, hits) in enumerate(scores):
            level = score_levels(score, self.shift)
            self.levels[k] += counts_by_level(column, hits, level, levels, weights)
            if weights is not None and self.squares is not None:
                self.squares[k] += counts_by_level(column, hits, level, levels, weights**2)

    def table(self, settings: Settings) -> Table:
        assert self.tally is not None
        # Groups of other splits, and combinations that no row has, are nobody.
        tally, here = self.tally.present()
        out = Table(tally.in_order())
        if self.auc is not None:
            out.auc = self.auc.of(here)
        elif self.levels:
            nothing: list[NDArray[Any] | None] = [None] * len(self.levels)
            squares = nothing if self.squares is None else list(self.squares)
            parts = [
                auc_of_histogram(counts[here], None if square is None else square[here])
                for counts, square in zip(self.levels, squares, strict=True)
            ]
            out.auc = parts[0] if len(parts) == 1 else mean_auc(parts)
        elif self.levels is not None:
            out.no_auc = "too many groups and classes for score histograms"
        return apart(out, settings)


class _Rows(NamedTuple):
    """Rows without their probabilities: what these come to, and the parts of all attributes."""

    labels: NDArray[Any]
    predictions: NDArray[Any]
    parts: dict[str, GroupColumn]
    scores: RowScores | None
    loss: NDArray[Any] | None
    weights: NDArray[np.float64] | None

    @classmethod
    def appended(cls, several: Sequence[_Rows]) -> _Rows:
        """All of them, one after the other."""

        def whole(parts: Sequence[Any]) -> Any:
            return None if parts[0] is None else np.concatenate(parts)

        scores = [one.scores for one in several if one.scores is not None]
        return cls(
            whole([one.labels for one in several]),
            whole([one.predictions for one in several]),
            {name: appended([one.parts[name] for one in several]) for name in several[0].parts},
            RowScores(*(whole(each) for each in zip(*scores, strict=True))) if scores else None,
            whole([one.loss for one in several]),
            whole([one.weights for one in several]),
        )


def _count(stream: PredictionStream, settings: Settings) -> Tables:
    classes = stream.classes
    positive = positive_class(classes, settings.positive, [])
    of = confidence_class(classes, positive, settings)
    for one in settings.intersect:
        possible = prod(len(stream.names.get(attribute, ("",))) for attribute in one)
        if possible > _MOST_POSSIBLE:
            raise InputError(
                "too many groups",
                where=f"group column {crossed_name(one)!r}",
                found=f"{possible:,} possible combinations",
                expected=f"at most {_MOST_POSSIBLE:,} where rows stream",
            )
    names = [*stream.names, *(crossed_name(one) for one in settings.intersect)]
    attributes = {name: _Attribute() for name in [*names, OVERALL]}
    exact = _exact(stream, settings) if stream.has_probs and positive is None else None
    n = 0
    for rows in _gathered(_scored(stream, settings, positive, of, attributes, exact), len(classes)):
        n += len(rows.labels)
        shared: Tally | None = None

        def count(column: GroupColumn, rows: _Rows = rows) -> Tally:
            return tally_scores(
                rows.labels,
                rows.predictions,
                len(classes),
                column,
                rows.scores,
                loss=rows.loss,
                bins=settings.bins,
                weights=rows.weights,
            )

        for name in names:
            tally = count(rows.parts[name])
            attributes[name].count(tally)
            if tally.patterns is None:
                shared = tally
        # Groups that do not overlap add up to everyone: no need to count again.
        alone = rows.parts[OVERALL]
        attributes[OVERALL].count(count(alone) if shared is None else shared.collapsed(OVERALL))
    if exact is not None and n:
        tallies = {name: one.tally for name, one in attributes.items() if one.tally is not None}
        groups = {name: len(tally.names) for name, tally in tallies.items()}
        found = exact.aucs(stream, groups, lambda chunk: parts_of(chunk, stream, settings))
        for name, auc in found.items():
            attributes[name].auc = auc
    tables = {name: one.table(settings) for name, one in attributes.items()}
    everything = tables.pop(OVERALL)
    for name, table in tables.items():
        check_groups(name, table.tally.names, n, settings.max_groups)
    by = stream.weighted_by
    return Tables(n, classes, everything, tables, stream.notes, stream.left_out, by)


def _exact(stream: PredictionStream, settings: Settings) -> ExactAuc | None:
    """Of as many rows as were held once, and where there is no room for score histograms."""
    rows, classes, weighted = stream.rows, len(stream.classes), stream.weighted_by is not None
    sizes = {name: len(names) for name, names in stream.names.items()}
    groups = [*sizes.values(), *(prod(sizes[a] for a in one) for one in settings.intersect), 1]
    if not exact_is_possible(rows, classes, sum(groups), weighted):
        return None
    if rows > STREAM_ROWS and _shift(classes, max(groups), weighted) is not None:
        return None
    return ExactAuc(classes)


def _shift(classes: int, groups: int, weighted: bool) -> int | None:
    """How fine the score histograms of an attribute are; None where there is no room for them."""
    tables = classes * (4 if weighted else 2)
    for shift in range(15, 20):
        if level_count(shift) * groups * tables <= _MOST_LEVELS:
            return shift
    return None


def _scored(
    stream: PredictionStream,
    settings: Settings,
    positive: int | None,
    of: int | None,
    attributes: Mapping[str, _Attribute],
    exact: ExactAuc | None,
) -> Iterator[_Rows]:
    """Each chunk without its probabilities, which are looked at here."""
    for chunk in stream.chunks():
        y, h, probs, loss = chunk.labels, chunk.predictions, chunk.probs, chunk.loss
        parts = parts_of(chunk, stream, settings)
        scores = None if probs is None else row_scores(y, h, probs, of)
        if loss is None and scores is not None:
            loss = scores.nll
        if exact is not None and probs is not None:
            exact.see(y, probs)
        elif probs is not None:
            ranked = _ranked(probs, y, positive)
            for name, column in parts.items():
                attributes[name].rank(column, ranked, chunk.weights)
        yield _Rows(y, h, parts, scores, loss, chunk.weights)


def _gathered(several: Iterator[_Rows], classes: int) -> Iterator[_Rows]:
    """As many rows at once as make a table of all pairs of classes worth adding up."""
    held: list[_Rows] = []
    for rows in several:
        held.append(rows)
        if sum(len(one.labels) for one in held) >= min(classes**2, _MOST_HELD):
            yield _Rows.appended(held)
            held = []
    if held:
        yield _Rows.appended(held)


def parts_of(chunk: Chunk, stream: PredictionStream, settings: Settings) -> dict[str, GroupColumn]:
    """Attribute -> the chunk's column, of combinations and of everyone too.

    Parameters
    ----------
    chunk : some rows of the stream.
    stream : that it is of, for the groups' names.
    settings : combinations, and what becomes of rows without a group.
    """
    parts = dict(chunk.groups)
    if settings.missing_group == "show":
        parts = {a: settled(part).renamed(stream.names[a]) for a, part in parts.items()}
    for one in settings.intersect:
        parts[crossed_name(one)] = _crossed(parts, one, stream, settings.missing_group)
    parts[OVERALL] = GroupColumn((OVERALL,), everyone(len(chunk.labels)))
    return parts


def _ranked(
    probs: NDArray[np.float32], labels: NDArray[Any], positive: int | None
) -> list[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    wanted = range(probs.shape[1]) if positive is None else [positive]
    return [(probs[:, c], labels == c) for c in wanted]


def _crossed(
    parts: dict[str, GroupColumn],
    combination: Sequence[str],
    stream: PredictionStream,
    missing_group: MissingGroup,
) -> GroupColumn:
    """The combination over the names that all files together can have."""
    column = cross(parts, combination, missing_group)
    names, aside = [""], [MISSING] if missing_group == "show" else []
    for attribute in combination:
        every = [name for name in stream.names[attribute] if name not in aside]
        names = [f"{a} & {b}" if a else b for a in names for b in every]
    return column.renamed(sorted([*names, *aside]))

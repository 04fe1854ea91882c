"""Audit predictions that do not fit in memory: chunks are counted as they are read.

What is kept is as large as the tables, however many the rows. AUC comes from score histograms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

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
from fairlora.metrics.counts.auc import auc_of_histogram, level_count, mean_auc, score_levels
from fairlora.metrics.counts.tally import Tally, row_scores, tally_scores
from fairlora.metrics.groups.intersections import check_groups, cross, crossed_name
from fairlora.metrics.groups.missing import settled
from fairlora.metrics.result import AuditResult
from fairlora.metrics.settings import MissingGroup, Settings
from fairlora.predictions import GroupColumn
from fairlora.predictions.arrow import MISSING
from fairlora.predictions.opened import STREAM_ROWS, Opened
from fairlora.predictions.streaming import PredictionStream

_MOST_LEVELS = 8_000_000
_MOST_POSSIBLE = 20_000


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
    path, split, progress, columns : as of `PredictionStream`.
    settings : as of `fairlora.audit`. Clusters and searches for subgroups need rows in memory.
    """
    settings = Settings() if settings is None else settings
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
    return AuditResult(assemble(_count(stream, settings), settings))


class _Attribute:
    """The running tables of one attribute."""

    def __init__(self) -> None:
        self.tally: Tally | None = None
        # Rows by group, class or not and level, or their weights; and the weights' squares.
        self.levels: list[NDArray[Any]] | None = None
        self.squares: list[NDArray[Any]] | None = None
        self.shift: int | None = None

    def count(self, tally: Tally) -> None:
        self.tally = tally if self.tally is None else self.tally + tally

    def rank(
        self,
        column: GroupColumn,
        scores: Sequence[tuple[NDArray[Any], NDArray[Any]]],
        weights: NDArray[np.float64] | None,
    ) -> None:
        """Add to the score histograms: of each class its scores and whether rows are of it."""
        patterns = column.patterns()
        groups = len(column.names)
        if self.levels is None:
            shift, tables = 15, len(scores) * (2 if weights is None else 4)
            while shift < 20 and level_count(shift) * groups * tables > _MOST_LEVELS:
                shift += 1
            self.shift = shift if shift < 20 else None
            shape = (groups, 2, level_count(shift))
            kind: Any = np.int64 if weights is None else np.float64
            self.levels = [] if self.shift is None else [np.zeros(shape, kind) for _ in scores]
            if weights is not None:
                self.squares = [np.zeros_like(held) for held in self.levels]
        if self.shift is None:
            return
        levels = level_count(self.shift)
        for k, (score, hits) in enumerate(scores):
            place = (column.codes.astype(np.int64) * 2 + hits) * levels
            place += score_levels(score, self.shift)
            size = groups if patterns is None else len(patterns)
            several = [(self.levels, weights)]
            if weights is not None and self.squares is not None:
                several.append((self.squares, weights**2))
            for tables_of, each in several:
                counts = np.bincount(place, weights=each, minlength=size * 2 * levels)
                counts = counts.reshape(size, 2, levels)
                if patterns is not None:
                    counts = np.tensordot(patterns.T.astype(counts.dtype), counts, axes=1)
                tables_of[k] += counts

    def table(self, settings: Settings) -> Table:
        assert self.tally is not None
        # Groups of other splits, and combinations that no row has, are nobody.
        tally, here = self.tally.present()
        out = Table(tally)
        if self.levels:
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
    attributes = {name: _Attribute() for name in names}
    whole, n = _Attribute(), 0
    for chunk in stream.chunks():
        y, h, probs, loss = chunk.labels, chunk.predictions, chunk.probs, chunk.loss
        n += len(y)
        scores = None if probs is None else row_scores(y, h, probs, of)
        if loss is None and scores is not None:
            loss = scores.nll
        ranked = None if probs is None else _ranked(probs, y, positive)
        parts = dict(chunk.groups)
        if settings.missing_group == "show":
            parts = {a: settled(part).renamed(stream.names[a]) for a, part in parts.items()}
        for one in settings.intersect:
            parts[crossed_name(one)] = _crossed(parts, one, stream, settings.missing_group)
        alone = GroupColumn((OVERALL,), everyone(len(y)))
        shared: Tally | None = None

        def count(
            column: GroupColumn,
            y: Any = y,
            h: Any = h,
            s: Any = scores,
            loss: Any = loss,
            w: Any = chunk.weights,
        ) -> Tally:
            bins = settings.bins
            return tally_scores(y, h, len(classes), column, s, loss=loss, bins=bins, weights=w)

        for name, column in parts.items():
            tally = count(column)
            attributes[name].count(tally)
            if ranked is not None:
                attributes[name].rank(column, ranked, chunk.weights)
            if tally.patterns is None:
                shared = tally
        # Groups that do not overlap add up to everyone: no need to count again.
        whole.count(count(alone) if shared is None else shared.collapsed(OVERALL))
        if ranked is not None:
            whole.rank(alone, ranked, chunk.weights)
    tables = {name: one.table(settings) for name, one in attributes.items()}
    for name, table in tables.items():
        check_groups(name, table.tally.names, n, settings.max_groups)
    everything = whole.table(settings)
    by = stream.weighted_by
    return Tables(n, classes, everything, tables, stream.notes, stream.left_out, by)


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

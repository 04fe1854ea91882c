"""The rates of an attribute's groups, as estimates with intervals, from its tally and design."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.content import Rate
from fairlora.metrics.counts import macro
from fairlora.metrics.counts.sums import Counts, kish
from fairlora.metrics.counts.tally import Tally
from fairlora.metrics.groups.estimates import Against, Estimates, Together, proportions
from fairlora.metrics.inference.design import Design, Kind, kind_cells, top_and_bottom
from fairlora.metrics.inference.intervals import (
    Float,
    Limits,
    z_of,
    zero_for_nan,
)

EMPTY: dict[Kind, str] = {
    "accuracy": "no rows",
    "selection_rate": "no rows",
    "tpr": "no rows of this class",
    "fpr": "no rows of the other classes",
    "precision": "class never predicted",
    "f1": "no rows of this class",
}


class GroupRates:
    """The attribute's rates as estimates, each made once.

    Parameters
    ----------
    tally : of the attribute.
    classes : names of the classes.
    positive : the positive class of a binary label; None takes every class against the rest.
    min_group : smaller denominators are left out of maxima and spreads.
    design : how rows were drawn.
    """

    def __init__(
        self,
        tally: Tally,
        classes: tuple[str, ...],
        positive: int | None,
        min_group: int,
        design: Design,
    ) -> None:
        self.tally, self.classes, self.positive = tally, classes, positive
        self.least, self.design = max(1, min_group), design
        self.cs = list(range(len(classes))) if positive is None else [positive]
        self._made: dict[tuple[Kind, int], Estimates] = {}
        self._rests: dict[tuple[Kind, int], Against] = {}
        self._fours: dict[tuple[int, int], Counts] = {}
        self._together: dict[tuple[Kind, bool], Together] = {}
        self._variances: dict[str, Float | None] = {}

    @cached_property
    def large(self) -> NDArray[np.bool_]:
        return np.asarray(self.tally.effective >= self.least)

    def counts(self, kind: Kind, c: int) -> tuple[Counts, Counts]:
        """(G,) numerators and denominators: rows, or their weights."""
        return top_and_bottom(self._four(self.tally.cells, kind, c), kind)

    def sizes(self, kind: Kind, c: int) -> Counts:
        """(G,) denominators by what they tell: rows, or the effective size of those with weights.

        What `min_group` is about.
        """
        weights = self.counts(kind, c)[1]
        if self.tally.weighed is None:
            return weights
        return kish(weights, top_and_bottom(self._four(self.tally.squares, kind, c), kind)[1])

    def outside(self, kind: Kind, c: int) -> tuple[Counts, Counts, Counts]:
        """(G,) numerators, denominators and sizes of everyone outside each group."""
        tally = self.tally
        top, bottom = top_and_bottom(tally.outside(kind_cells(tally.cells, kind, c)), kind)
        if tally.weighed is None:
            return top, bottom, bottom
        squares = tally.outside(kind_cells(tally.squares, kind, c))
        return top, bottom, kish(bottom, top_and_bottom(squares, kind)[1])

    def _four(self, cells: Counts, kind: Kind, c: int) -> Counts:
        """(G, 4) cells of a rate."""
        # The rates of a class have the same cells.
        key = id(cells), -1 if kind == "accuracy" and cells.shape[1] > 2 else c
        if key not in self._fours:
            self._fours[key] = self.tally.by_group(kind_cells(cells, kind, c))
        return self._fours[key]

    def rate(self, kind: Kind, c: int) -> Estimates:
        """A rate of every group; `c` is of no matter for accuracy."""
        if (kind, c) not in self._made:
            # The rates of a class come from the same draws: all are made while those are at hand.
            together: tuple[Kind, ...] = ("selection_rate", "tpr", "fpr")
            for one in together if kind in together else (kind,):
                self._made[one, c] = self._make(one, c)
        return self._made[kind, c]

    def _make(self, kind: Kind, c: int) -> Estimates:
        extras = self.design.extras(kind, c)
        detail = {} if kind in ("accuracy", "f1") else {"class": self.classes[c], "rate": kind}
        return proportions(
            *self.counts(kind, c),
            self.least,
            sizes=self.sizes(kind, c),
            draws=extras.draws,
            effective=extras.effective,
            correlation=extras.correlation,
            detail=detail,
            together=self._together.setdefault((kind, True), Together()),
        )

    def of(self, *kinds: Kind) -> list[Estimates]:
        return [self.rate(kind, c) for kind in kinds for c in self.cs]

    def odds(self) -> list[Estimates]:
        """TPR and FPR of every class, over the groups that have both: equalized odds needs both."""
        out = []
        for c in self.cs:
            tpr, fpr = self.rate("tpr", c), self.rate("fpr", c)
            both = tpr.known & fpr.known
            out += [replace(tpr, known=both), replace(fpr, known=both)]
        return out

    def rest(self, kind: Kind, c: int) -> Against:
        """A rate of every group against everyone outside it."""
        if (kind, c) in self._rests:
            return self._rests[kind, c]
        inside = self.rate(kind, c)
        top, bottom, sizes = self.outside(kind, c)
        extras = self.design.outside(kind, c)
        outside = proportions(
            top,
            bottom,
            self.least,
            sizes=sizes,
            effective=extras.effective,
            together=self._together.setdefault((kind, False), Together()),
        )
        # A binary TPR is of one class and says so nowhere else: the class is enough.
        detail = {"class": self.classes[c]} if kind != "accuracy" else {}
        found = Against(replace(inside, detail=detail), outside, extras.correlation)
        self._rests[kind, c] = found
        return found

    def against(self, kind: Kind) -> list[Against]:
        return [self.rest(kind, c) for c in self.cs]

    def f1(self) -> Estimates:
        """F1 of every group: the positive class's, or the mean over classes."""
        return self._f1

    @cached_property
    def _f1(self) -> Estimates:
        if self.positive is None:
            return self.over_classes("f1")
        # As a recall, it is about the group's positives: of too few of them there is none.
        return f1_of_share(self.rate("f1", self.positive), self.rate("tpr", self.positive).known)

    def recall(self) -> Estimates:
        """Recall of every group: the positive class's, or the mean over classes."""
        return self._recall

    @cached_property
    def _recall(self) -> Estimates:
        if self.positive is None:
            return self.over_classes("tpr")
        # A binary recall is a rate of the group's positives, not of all its rows.
        return replace(self.rate("tpr", self.positive), detail={})

    def macro_variance(self, name: str) -> Float | None:
        """(G,) variances of a mean over classes; None where the counts tell."""
        if name not in self._variances:
            self._variances[name] = self._macro_variance(name)
        return self._variances[name]

    def _macro_variance(self, name: str) -> Float | None:
        counts, units = self.tally.counts, self.design.units()
        if units is None:
            return None
        variance = self.design.influence(macro.influence(counts, name))
        return None if variance is None else macro.filled_variance(variance, counts, name, units)

    def over_classes(self, name: str) -> Estimates:
        """The mean over classes of a rate of `macro.NAMES`, of every group."""
        return macro.macro_estimates(
            self.tally.counts,
            name,
            self.large,
            self.rate("accuracy", 0).limits,
            macro.seen_of(self.tally.total),
            self.macro_variance(name),
            None if self.tally.weighed is None else self.tally.effective,
        )

    def by_class(self, kind: Kind, g: int) -> Estimates:
        """A rate of every class in one group, as if the classes were groups."""
        each = [self.rate(kind, c) for c in range(len(self.classes))]

        def limits(z: float) -> Limits:
            found = [one.limits(z) for one in each]
            return Limits(np.array([f.low[g] for f in found]), np.array([f.high[g] for f in found]))

        values = np.array([one.values[g] for one in each])
        return Estimates(values, np.isfinite(values), limits)

    def f1_by_class(self, g: int) -> Estimates:
        """F1 of every class in one group, as if the classes were groups."""
        share = self.by_class("f1", g)
        return f1_of_share(share, share.known)

    def left_out(self) -> dict[str, list[str]]:
        """Groups left out of a maximum or spread for want of rows, with what of them."""
        return self._left_out

    @cached_property
    def _left_out(self) -> dict[str, list[str]]:
        out: dict[str, list[str]] = {}
        sizes = self.tally.effective
        kinds: dict[str, Kind] = {"TPR": "tpr", "FPR": "fpr"}
        present = {(label, c): self.sizes(kinds[label], c) for label in kinds for c in self.cs}
        for g, name in enumerate(self.tally.names):
            if not self.large[g]:
                out.setdefault(name, []).append(f"all ({self._rows(sizes[g])})")
                continue
            for label in kinds:
                few = []
                for c in self.cs:
                    rows = present[label, c][g]
                    # Of many classes, one that a group has no row of is no finding about its rates.
                    if rows < self.least and (rows > 0 or len(self.cs) == 1):
                        few.append(f"{self.classes[c]} ({self._rows(rows)})")
                if few:
                    named = ", ".join(few[:3]) + (" ..." if len(few) > 3 else "")
                    out.setdefault(name, []).append(f"{label} of {named}")
        return out

    def _rows(self, n: float) -> str:
        if self.tally.weighed is not None:
            return f"effective size {n:.1f}"
        return "1 row" if n == 1 else f"{int(n)} rows"


def f1_of_share(share: Estimates, known: NDArray[np.bool_]) -> Estimates:
    """F1 = 2 J / (1 + J) from J = TP / (TP + FP + FN), a proportion of the rows that it is about.

    So F1 has an interval as good as Wilson's: the share's, carried over.
    """

    def carry(j: Float) -> Float:
        return 2 * j / (1 + j)

    def carried(found: Limits) -> Limits:
        return Limits(carry(found.low), carry(found.high))

    def limits(z: float) -> Limits:
        return carried(share.limits(z))

    alone = share.alone
    draws = None
    if share.draws is not None:
        j, variance = share.draws
        draws = carry(j), variance * (2 / (1 + zero_for_nan(j)) ** 2) ** 2
    return Estimates(
        carry(share.values),
        known,
        limits,
        {},
        draws,
        share.correlation,
        None if alone is None else lambda z: carried(alone(z)),
    )


def number(estimates: Estimates, g: int, level: float, empty: str) -> Rate:
    """One group's value with its own interval.

    Parameters
    ----------
    estimates : of all groups.
    g : number of the group.
    level : of the interval.
    empty : the reason where the value is undefined.
    """
    value = estimates.values[g]
    if not np.isfinite(value):
        return Rate.undefined(empty)
    limits = (estimates.alone or estimates.limits)(z_of(level))
    return Rate(value=float(value), low=float(limits.low[g]), high=float(limits.high[g]))

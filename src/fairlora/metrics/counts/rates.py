"""The rates of an attribute's groups, as estimates with intervals, from its tally and design."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.content import Rate
from fairlora.metrics.counts import macro
from fairlora.metrics.counts.tally import Int, Tally
from fairlora.metrics.groups.gaps import Against, Estimates, proportions
from fairlora.metrics.inference.design import Design, Kind, class_cells, top_and_bottom
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
        self._fours: dict[int, Int] = {}

    @cached_property
    def large(self) -> NDArray[np.bool_]:
        return np.asarray(self.tally.sizes >= self.least)

    def four(self, c: int) -> Int:
        """(G, 4) cells of class c against the rest."""
        if c not in self._fours:
            self._fours[c] = self.tally.by_group(class_cells(self.tally.cells, c))
        return self._fours[c]

    def counts(self, kind: Kind, c: int) -> tuple[Int, Int]:
        """(G,) numerators and denominators."""
        if kind == "accuracy":
            return np.einsum("gcc->g", self.tally.counts), self.tally.sizes
        return top_and_bottom(self.four(c), kind)

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
            draws=extras.draws,
            effective=extras.effective,
            correlation=extras.correlation,
            detail=detail,
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
        if kind == "accuracy":
            total = np.array([np.trace(self.tally.total), self.tally.total.sum()])
        else:
            everyone = class_cells(self.tally.total[None], c)[0]
            total = np.array(top_and_bottom(everyone, kind))
        top, bottom = self.counts(kind, c)
        extras = self.design.outside(kind, c)
        outside = proportions(
            total[0] - top, total[1] - bottom, self.least, effective=extras.effective
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
            squares = self.design.influence(macro.influence(self.tally.counts, "f1"))
            return self._macro("f1", squares)
        # As a recall, it is about the group's positives: of too few of them there is none.
        return f1_of_share(self.rate("f1", self.positive), self.rate("tpr", self.positive).known)

    def recall(self) -> Estimates:
        """Recall of every group: the positive class's, or the mean over classes."""
        return self._recall

    @cached_property
    def _recall(self) -> Estimates:
        if self.positive is None:
            squares = self.design.influence(macro.influence(self.tally.counts, "tpr"))
            return self._macro("tpr", squares)
        # A binary recall is a rate of the group's positives, not of all its rows.
        return replace(self.rate("tpr", self.positive), detail={})

    def _macro(self, name: str, variance: Float | None) -> Estimates:
        return macro.macro_estimates(
            self.tally.counts,
            name,
            self.large,
            self.rate("accuracy", 0).limits,
            macro.seen_of(self.tally.total),
            variance,
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
        sizes = self.tally.sizes
        present = {c: self.counts("tpr", c)[1] for c in self.cs}
        for g, name in enumerate(self.tally.names):
            if not self.large[g]:
                out.setdefault(name, []).append(f"all ({_rows(int(sizes[g]))})")
                continue
            for label in ("TPR", "FPR"):
                few = []
                for c in self.cs:
                    rows = present[c][g] if label == "TPR" else sizes[g] - present[c][g]
                    # Of many classes, one that a group has no row of is no finding about its rates.
                    if rows < self.least and (rows > 0 or len(self.cs) == 1):
                        few.append(f"{self.classes[c]} ({_rows(int(rows))})")
                if few:
                    named = ", ".join(few[:3]) + (" ..." if len(few) > 3 else "")
                    out.setdefault(name, []).append(f"{label} of {named}")
        return out


def _rows(n: int) -> str:
    return "1 row" if n == 1 else f"{n} rows"


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

"""Alarms of a watch: e-processes of each group against its baseline and against the others.

Half of each test's share of alpha goes to the baseline, which is a sample too: a rate is compared
with the end of the baseline's exact interval that lies towards the change. The other half is what
the evidence may ever pass its threshold with.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fairlora.metrics.content import Number
from fairlora.metrics.inference.exact import clopper_pearson
from fairlora.metrics.inference.intervals import Float
from fairlora.metrics.inference.sequences import (
    evidence_of_difference,
    evidence_of_fall,
)
from fairlora.metrics.watch.content import Against, Alarm, Direction
from fairlora.metrics.watch.series import METRICS, Counted, Int, Rates

# Which changes raise an alarm: metric -> directions, of the rate and of its difference to the rest.
OWN: dict[str, tuple[Direction, ...]] = {
    "accuracy": ("fell",),
    "selection_rate": ("fell", "rose"),
    "tpr": ("fell",),
    "fpr": ("rose",),
}
BETWEEN: dict[str, tuple[Direction, ...]] = {
    "accuracy": ("fell",),
    "selection_rate": ("fell", "rose"),
    "tpr": ("fell",),
}


class _Test(NamedTuple):
    """Tests of one metric, against and direction: (T, G) evidence, and (G,) what it starts from."""

    metric: str
    against: Against
    direction: Direction
    evidence: Float
    values: Float
    base: Float
    low: Float
    high: Float
    periods: Int
    groups: Int


def test_count(groups: int, binary: bool) -> int:
    """One-sided tests of a watch: of all rows, and of each group alone and against the rest.

    Parameters
    ----------
    groups : of all attributes, in the baseline.
    binary : whether a positive class is watched; else accuracy alone is.
    """
    own, between = (
        sum(len(ways) for name, ways in family.items() if binary or not METRICS[name])
        for family in (OWN, BETWEEN)
    )
    return own * (groups + 1) + between * groups


def alarms_of(
    rates: Rates, groups: Int, periods: tuple[str, ...], alpha: float, margin: float
) -> list[Alarm]:
    """The alarms, the first first; together false in `alpha` of all watches at most.

    Parameters
    ----------
    rates : of the store.
    groups : numbers of those that are watched: all rows first, then those of the baseline.
    periods : their names.
    alpha : shared evenly by all tests, whether their labels are there yet or not.
    margin : a change below this is none.
    """
    each = alpha / test_count(len(groups) - 1, "selection_rate" in rates.counted)
    threshold = 2 / each
    found: list[tuple[int, Alarm]] = []
    # Of a difference two rates have an end each, so each end may miss in a quarter.
    for test in _tests(rates, groups, each / 4, margin):
        over = test.evidence >= threshold
        for k in np.flatnonzero(over.any(axis=0)).tolist():
            look = int(over[:, k].argmax())
            attribute, group = rates.groups[int(test.groups[k])]
            alarm = Alarm(
                attribute=attribute,
                group=group,
                metric=test.metric,
                against=test.against,
                direction=test.direction,
                period=periods[int(test.periods[look])],
                baseline=Number(
                    value=float(test.base[k]), low=float(test.low[k]), high=float(test.high[k])
                ),
                value=float(test.values[look, k]),
                evidence=float(test.evidence[:, k].max()),
                threshold=threshold,
            )
            found.append((int(test.periods[look]), alarm))
    return [alarm for _, alarm in sorted(found, key=lambda pair: pair[0])]


def _tests(rates: Rates, groups: Int, alpha: float, margin: float) -> Iterator[_Test]:
    for metric, counted in rates.counted.items():
        if counted.first is None or not (counted.periods > 0).any():
            continue
        yield from _own(metric, counted, groups, alpha, margin)
        named = groups[1:]
        if metric in BETWEEN and len(named):
            yield from _between(metric, counted, rates, named, alpha, margin)


def _own(
    metric: str, counted: Counted, groups: Int, alpha: float, margin: float
) -> Iterator[_Test]:
    own = counted.of(groups)
    hits, n = own.hits[counted.first], own.n[counted.first]
    low, high = clopper_pearson(hits, n, 1 - 4 * alpha)
    base = _share(hits, n)
    later = own.since()
    values = _share(later.hits, later.n)
    for direction in OWN[metric]:
        if direction == "fell":
            evidence = evidence_of_fall(later.hits, later.n, np.maximum(low - margin, 0))
        else:
            null = np.maximum(1 - high - margin, 0)
            evidence = evidence_of_fall(later.n - later.hits, later.n, null)
        yield _Test(
            metric, "baseline", direction, evidence, values, base, low, high, later.periods, groups
        )


def _between(
    metric: str, counted: Counted, rates: Rates, groups: Int, alpha: float, margin: float
) -> Iterator[_Test]:
    own, rest = counted.of(groups), rates.outside(counted, groups)
    mine = own.hits[counted.first], own.n[counted.first]
    others = rest.hits[counted.first], rest.n[counted.first]
    one, two = (clopper_pearson(*of, 1 - 2 * alpha) for of in (mine, others))
    low, high = one.low - two.high, one.high - two.low
    usual = np.clip(np.nan_to_num(_share(*others), nan=0.5), 0.01, 0.99)
    base = _share(*mine) - _share(*others)
    own, rest = own.since(), rest.since()
    values = _share(own.hits, own.n) - _share(rest.hits, rest.n)
    for direction in BETWEEN[metric]:
        if direction == "rose":
            null = np.minimum(high + margin, 1)
            evidence = evidence_of_difference(own.hits, own.n, rest.hits, rest.n, null, usual)
        else:
            null = np.minimum(margin - low, 1)
            evidence = evidence_of_difference(
                own.n - own.hits, own.n, rest.n - rest.hits, rest.n, null, 1 - usual
            )
        yield _Test(
            metric, "rest", direction, evidence, values, base, low, high, own.periods, groups
        )


def _share(hits: Int, n: Int) -> Float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(hits / n)

"""Disparities between the groups of one attribute, with their intervals.

A is the attribute, g one of its groups, "not g" everyone outside it, y the label, h the prediction.
More than two classes are taken one against the rest, and the largest value is named with its class.
A group whose denominator is below `min_group` is left out of maxima and spreads, and listed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.content import AgainstRest, Disparity, DisparityNumbers, Number, Pair
from fairlora.metrics.counts.auc import Auc, auc_estimates
from fairlora.metrics.counts.means import loss_variance
from fairlora.metrics.counts.rates import GroupRates
from fairlora.metrics.groups.chance import expected_by_chance
from fairlora.metrics.groups.estimates import Estimates
from fairlora.metrics.groups.gaps import (
    differences_to_rest,
    extreme,
    gap,
    largest_against,
    pairwise,
    ratio,
    signed_differences,
)
from fairlora.metrics.inference.design import Kind, seed_of

# What each group is compared in with everyone outside it.
AGAINST_REST: dict[str, type[Number]] = {
    "dpd": AgainstRest,
    "eod": AgainstRest,
    "eopp": AgainstRest,
    "accuracy_difference": Number,
}
# Pairs of more groups than this are left to whoever needs them.
MOST_PAIRED = 30


@dataclass(frozen=True)
class Disparities:
    """All disparities of one attribute.

    Attributes
    ----------
    summary : each with its group or class.
    by_group : per group, "dpd", "eod", "eopp" and "accuracy_difference": the group against everyone
        outside it.
    left_out : groups left out of a maximum or spread for want of rows, with what of them.
    pairwise : the signed differences of every pair.
    """

    summary: DisparityNumbers
    by_group: list[dict[str, Number]]
    left_out: dict[str, list[str]]
    pairwise: list[Pair]


def disparities(
    table: GroupRates,
    *,
    auc: Auc | None = None,
    draws: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    attribute: str = "",
) -> Disparities:
    """Compute them all from the attribute's rates.

    Parameters
    ----------
    table : the rates of the attribute's groups.
    auc : of its groups; None without probabilities.
    draws : permutations for what is expected by chance.
    seed : of everything drawn here, with the attribute's name.
    level : of the intervals.
    attribute : its name.
    """
    names = table.tally.names
    odds, few, left_out = table.odds(), _too_few(table), table.left_out()
    f1, recall, accuracy = table.f1(), table.recall(), table.rate("accuracy", 0)
    covariance = table.design.covariance("loss")
    noise = seed_of(seed, attribute, "loss")
    stretch = table.design.stretch()
    variance, unbiased = loss_variance(table.tally, table.large, level, noise, covariance, stretch)
    summary = DisparityNumbers(
        accuracy_worst=extreme([accuracy], names, level),
        accuracy_gap=gap([accuracy], names, level, ends=False),
        dpd=gap(table.of("selection_rate"), names, level, ends=True),
        eod=gap(odds, names, level, ends=True, too_few=few),
        tpr_gap=gap(table.of("tpr"), names, level, ends=True),
        fpr_gap=gap(table.of("fpr"), names, level, ends=True),
        eopp_max=largest_against(table.against("tpr"), names, level),
        dp_ratio=ratio(table.of("selection_rate"), names, level),
        eo_ratio=ratio(odds, names, level, too_few=few),
        f1_min=extreme([f1], names, level),
        recall_min=extreme([recall], names, level),
        f1_gap=gap([f1], names, level, ends=False),
        loss_variance=variance,
        loss_variance_unbiased=unbiased,
    )
    if left_out:
        summary.eod.left_out = summary.eo_ratio.left_out = left_out
    if auc is not None:
        scores = auc_estimates(auc, table.least)
        summary.auc_worst = extreme([scores], names, level)
        summary.auc_gap = gap([scores], names, level, ends=False)
    _add_chance(summary, table, draws, seed_of(seed, attribute, "chance"))
    return Disparities(summary, against_rest(table, level), left_out, _all_pairs(table, level))


def _too_few(table: GroupRates) -> str:
    """Why there are no equalized odds, where fewer than two groups have both rates."""
    lacking = [f"{group}: {'; '.join(what)}" for group, what in table.left_out().items()]
    more = f" | and {len(lacking) - 4} more" if len(lacking) > 4 else ""
    why = "fewer than two groups have both TPR and FPR"
    return f"{why}: too few rows of {' | '.join(lacking[:4])}{more}" if lacking else why


def _all_pairs(table: GroupRates, level: float) -> list[Pair]:
    names = table.tally.names
    if len(names) > MOST_PAIRED:
        return []
    rates: dict[Kind, Estimates] = {"accuracy": table.rate("accuracy", 0)}
    if table.positive is not None:
        kinds: tuple[Kind, ...] = ("selection_rate", "tpr", "fpr")
        rates |= {kind: table.rate(kind, table.positive) for kind in kinds}
    return [pair for kind, one in rates.items() for pair in pairwise(one, names, level, kind)]


def against_rest(table: GroupRates, level: float) -> list[dict[str, Number]]:
    """Each group against everyone outside it: the names of `AGAINST_REST`."""
    kinds: tuple[Kind, ...] = ("selection_rate", "tpr", "fpr")
    selection, tpr, fpr = (table.against(kind) for kind in kinds)
    names = table.tally.names
    odds = [one for pair in zip(tpr, fpr, strict=True) for one in pair]
    columns: dict[str, Sequence[Number]] = {
        "dpd": differences_to_rest(selection, names, level),
        "eod": differences_to_rest(odds, names, level, ("TPR", "FPR")),
        "eopp": differences_to_rest(tpr, names, level),
        "accuracy_difference": signed_differences(table.rest("accuracy", 0), level),
    }
    return [{key: column[g] for key, column in columns.items()} for g in range(len(names))]


def _add_chance(
    summary: DisparityNumbers, table: GroupRates, draws: int, rng: np.random.Generator
) -> None:
    def known(kind: str, c: int) -> NDArray[np.bool_]:
        if kind == "outside":
            return np.asarray(table.outside("tpr", c)[2] >= table.least)
        if kind == "accuracy":
            return table.large
        if kind == "f1":
            return np.asarray(table.f1().known & np.isfinite(table.f1().values))
        rate: Kind = "tpr" if kind == "tpr" else "fpr" if kind == "fpr" else "selection_rate"
        return np.asarray(table.sizes(rate, c) >= table.least)

    undefined: Mapping[str, str] = {}
    expected: Mapping[str, float | None] | None = table.design.chance(table.cs, known)
    if expected and table.tally.weighed is not None:
        # What is drawn are rates, not their ratios nor F1.
        rest = ("dp_ratio", "eo_ratio", "f1_gap")
        undefined = dict.fromkeys(rest, "not given where rows have weights")
        expected = {**expected, **dict.fromkeys(undefined)}
    elif expected is None:
        found = expected_by_chance(table.tally, table.cs, known, draws, rng)
        undefined = found.undefined
        expected = {**found.expected, **dict.fromkeys(undefined)}
    numbers = summary.numbers()
    for name, value in expected.items():
        number = numbers.get(name)
        if isinstance(number, Disparity) and number.value is not None:
            number.expected_by_chance = value
            if name in undefined:
                number.no_chance_value = undefined[name]

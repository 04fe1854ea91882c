"""Differences between two models, and their verdicts: better, worse, equivalent or inconclusive.

Every comparison ends here, of whatever statistic: rates and losses of one run or of many seeds,
membership attacks, probes. A `Difference` has the two sides' values and their `Variance`; `judge`
makes a family's `Verdict`s of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from fairlora.errors import InputError
from fairlora.metrics.comparison.variance import Variance
from fairlora.metrics.inference.multiplicity import benjamini_hochberg, holm

Word = Literal["equivalent", "better", "worse", "different", "inconclusive", "undefined"]
Correction = Literal["holm", "bh"]
# Rates within two points of each other count as the same; other metrics have no such margin.
MARGIN = 0.02
_ALPHA = 0.05


def check_margin(margin: float, where: str = "margin") -> None:
    """Raise `InputError` for a margin of rates that is not between 0 and 1."""
    if not 0 < margin < 1:
        raise InputError(
            "no margin of rates", where=where, found=margin, expected="above 0, below 1"
        )


@dataclass(frozen=True)
class Difference:
    """One statistic of two models on the same rows, first minus second, mean over seeds.

    Attributes
    ----------
    name : of the statistic.
    each : (S, 2) the first's and the second's value of every seed; NaN where undefined.
    better : +1 where larger is better, -1 where smaller is, 0 where neither.
    margin : differences below it count as none, or None for a statistic without one.
    variance : of the difference, or None where unknown.
    reason : why there is no verdict, where there is none.
    place : what the statistic is of: an attribute, and a group of it.
    most : what no difference can be larger than, either way; None where there is no such number.
    """

    name: str
    each: ArrayLike
    better: int
    margin: float | None
    variance: Variance | None = None
    reason: str | None = None
    place: tuple[str, ...] = ()
    most: float | None = None

    @cached_property
    def sides(self) -> tuple[float, float] | tuple[None, None]:
        """The first's and the second's mean over seeds; None where a seed has none."""
        values = np.asarray(self.each, dtype=np.float64)
        if not np.isfinite(values).all():
            return None, None
        first, second = values.mean(axis=0)
        return float(first), float(second)

    @property
    def value(self) -> float | None:
        first, second = self.sides
        return None if first is None or second is None else first - second

    def over_seeds(self) -> dict[str, Any]:
        """What the seeds give apart, and the parts of the standard error."""
        values = np.asarray(self.each, dtype=np.float64)
        off, variance = values[:, 0] - values[:, 1], self.variance

        def deviation(v: Any) -> float | None:
            return float(v.std(ddof=1)) if len(v) > 1 and np.isfinite(v).all() else None

        out: dict[str, Any] = {
            "first_sd": deviation(values[:, 0]),
            "second_sd": deviation(values[:, 1]),
            "sd": deviation(off),
            "per_seed": [float(v) if math.isfinite(v) else None for v in off],
        }
        if variance is None:
            return out | dict.fromkeys(("error_rows", "error_seeds", "allowance"))
        seeds = math.sqrt(max(variance.seeds, variance.floor)) if variance.seed_degrees else None
        return out | {
            "error_rows": math.sqrt(variance.rows),
            "error_seeds": seeds,
            "allowance": variance.bias,
        }


@dataclass(frozen=True)
class Verdict:
    """What a comparison says of one difference; `to_dict` is the row of its JSON.

    Attributes
    ----------
    value, low, high : the difference with its interval.
    first, second : the statistic of each side.
    p, p_corrected : two-sided, by itself and for the whole family.
    margin : differences below it count as none.
    detectable : the smallest difference that is found four times out of five, uncorrected.
    verdict : the word.
    error : the standard error of the difference.
    reason : why it is undefined, where it is.
    attribute, group : what the statistic is of, where it is not of all rows.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    first: float | None = None
    second: float | None = None
    p: float | None = None
    p_corrected: float | None = None
    margin: float | None = None
    detectable: float | None = None
    verdict: Word = "undefined"
    error: float | None = None
    reason: str | None = None
    attribute: str | None = None
    group: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values; without a reason, attribute or group where there is none."""
        few = ("reason", "attribute", "group")
        return {
            name: value
            for name, value in vars(self).items()
            if name not in few or value is not None
        }


def judge(
    differences: Sequence[Difference], correction: Correction = "holm", level: float = 0.95
) -> list[Verdict]:
    """A verdict on each difference of one family, with p-values corrected over the family.

    In this order: `equivalent` (the 90 % interval lies within the margin; without a margin there is
    no equivalence), `better` or `worse` (the corrected p below 5 %; `different` where neither
    direction is better), else `inconclusive`. "No evidence of a difference" is never a verdict of
    equality.

    Parameters
    ----------
    differences : of one family.
    correction : "holm", or "bh" (Benjamini-Hochberg).
    level : of the intervals that are reported, and of the smallest difference.
    """
    p = np.array([_p(one) for one in differences], dtype=np.float64)
    adjusted = holm(p) if correction == "holm" else benjamini_hochberg(p)
    return [
        _verdict(one, float(raw), float(corrected), level)
        for one, raw, corrected in zip(differences, p, adjusted, strict=True)
    ]


def judged_rows(
    families: tuple[Sequence[Difference], Sequence[Difference], Sequence[Difference]],
    attributes: Sequence[str],
    level: float,
    *,
    over_seeds: bool = False,
) -> dict[str, Any]:
    """The three families of a comparison as its JSON has them.

    "overall" and "disparities" (by attribute) are each corrected by Holm; "by_group" (by attribute
    and group) is exploratory, by Benjamini and Hochberg.

    Parameters
    ----------
    families : overall, disparities and by group.
    attributes : every one has its entries, be they empty.
    level : of the intervals.
    over_seeds : whether rows have what the seeds give apart.
    """

    empty: dict[str, Any] = {attribute: {} for attribute in attributes}
    content = {"overall": {}, "disparities": empty, "by_group": deepcopy(empty)}
    corrections: tuple[Correction, ...] = ("holm", "holm", "bh")
    for rows, family, correction in zip(content.values(), families, corrections, strict=True):
        for one, verdict in zip(family, judge(family, correction, level), strict=True):
            spot = rows
            for key in one.place:
                spot = spot.setdefault(key, {})
            spot[one.name] = verdict.to_dict() | (one.over_seeds() if over_seeds else {})
    return content


def _p(one: Difference) -> float:
    if one.value is None or one.variance is None:
        return float("nan")
    return one.variance.p(one.value)


def _verdict(one: Difference, p: float, corrected: float, level: float) -> Verdict:
    value, variance = one.value, one.variance
    first, second = one.sides
    nothing = Verdict(
        value=value,
        first=first,
        second=second,
        margin=one.margin,
        reason=one.reason or "undefined",
        attribute=one.place[0] if one.place else None,
        group=one.place[1] if len(one.place) > 1 else None,
    )
    if value is None or variance is None:
        return nothing
    low, high = variance.ends(value, level)
    if one.most is not None:
        low, high = max(low, -one.most), min(high, one.most)
    return replace(
        nothing,
        low=low,
        high=high,
        p=p,
        p_corrected=corrected,
        detectable=variance.detectable(level),
        verdict=_word(one, value, variance, corrected),
        error=variance.error,
        reason=None,
    )


def _word(one: Difference, value: float, variance: Variance, corrected: float) -> Word:
    low, high = variance.ends(value, 0.9)
    if one.margin is not None and -one.margin < low and high < one.margin:
        return "equivalent"
    if corrected < _ALPHA:
        if one.better == 0:
            return "different"
        return "better" if value * one.better > 0 else "worse"
    return "inconclusive"

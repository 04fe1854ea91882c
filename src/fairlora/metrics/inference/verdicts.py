"""Verdicts on a difference: equivalent, better, worse, or inconclusive, and what it could show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from fairlora.metrics.inference.intervals import t_of, z_of
from fairlora.metrics.inference.multiplicity import benjamini_hochberg, holm
from fairlora.metrics.inference.power import detectable

Word = Literal["equivalent", "better", "worse", "different", "inconclusive", "undefined"]
# Rates within two points of each other count as the same; other metrics have no such margin.
MARGIN = 0.02
_ALPHA = 0.05


@dataclass(frozen=True)
class Difference:
    """One metric of two ways of predicting, on the same rows.

    Attributes
    ----------
    name : of the metric.
    first, second : its value for each; `value` is first - second.
    error : standard error of the difference, or None where undefined, with the `reason`.
    better : +1 where larger is better, -1 where smaller is, 0 where neither.
    degrees : of freedom of Student's t, or None for a normal.
    margin : differences below it count as none, or None for a metric without one.
    """

    name: str
    first: float | None
    second: float | None
    error: float | None
    better: int
    margin: float | None
    degrees: float | None = None
    reason: str | None = None
    place: tuple[tuple[str, Any], ...] = ()

    @property
    def value(self) -> float | None:
        if self.first is None or self.second is None:
            return None
        return self.first - self.second

    @property
    def p(self) -> float:
        """Two-sided; NaN where undefined, 1 where nothing differs."""
        if self.value is None or self.error is None:
            return float("nan")
        if self.error == 0:
            return 1.0 if self.value == 0 else 0.0
        score = abs(self.value) / self.error
        if self.degrees is None:
            return 2 * (1 - NormalDist().cdf(score))
        from scipy.special import stdtr

        return float(2 * stdtr(self.degrees, -score))

    def ends(self, level: float) -> tuple[float, float] | None:
        """The interval at a level."""
        if self.value is None or self.error is None:
            return None
        c = z_of(level) if self.degrees is None else t_of(level, self.degrees)
        return self.value - c * self.error, self.value + c * self.error


def judge(
    differences: Sequence[Difference],
    correction: Literal["holm", "bh"] = "holm",
    level: float = 0.95,
) -> list[dict[str, Any]]:
    """A verdict on each difference of one family, with p-values corrected over the family.

    In this order: `equivalent` (the 90 % interval lies within the margin; without a margin there is
    no equivalence), `better` or `worse` (the corrected p below 5 %; `different` where neither
    direction is better), else `inconclusive` with the smallest difference that had 80 % power. "No
    evidence of a difference" is never a verdict of equality.

    Parameters
    ----------
    differences : of one family.
    correction : "holm", or "bh" (Benjamini-Hochberg).
    level : of the intervals that are reported, and of the smallest difference.

    Returns
    -------
    A dict a difference, in the same order: value, low, high, first, second, p, p_corrected, margin,
    detectable, verdict, a reason where it is undefined, and what names its place.
    """
    p = np.array([one.p for one in differences], dtype=np.float64)
    adjusted = holm(p) if correction == "holm" else benjamini_hochberg(p)
    out = []
    for one, raw, corrected in zip(differences, p, adjusted, strict=True):
        row: dict[str, Any] = {
            "value": one.value,
            "low": None,
            "high": None,
            "first": one.first,
            "second": one.second,
            "p": None if np.isnan(raw) else float(raw),
            "p_corrected": None if np.isnan(corrected) else float(corrected),
            "margin": one.margin,
            "detectable": None,
        }
        ends = one.ends(level)
        if ends is None:
            row |= {"verdict": "undefined", "reason": one.reason or "undefined"}
        else:
            assert one.error is not None
            row["low"], row["high"] = ends
            row["detectable"] = detectable(one.error**2, level)
            row["verdict"] = _word(one, float(corrected))
        out.append({**row, **dict(one.place)})
    return out


def _word(one: Difference, corrected: float) -> Word:
    narrow = one.ends(0.9)
    assert narrow is not None
    assert one.value is not None
    if one.margin is not None and -one.margin < narrow[0] and narrow[1] < one.margin:
        return "equivalent"
    if corrected < _ALPHA:
        if one.better == 0:
            return "different"
        return "better" if one.value * one.better > 0 else "worse"
    return "inconclusive"

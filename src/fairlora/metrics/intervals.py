"""Intervals and the numbers that carry them. NumPy alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

NO_INTERVAL = "no interval is computed for this statistic"
Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Number:
    """A statistic with its 95 % interval; an undefined one is None and has a reason.

    Attributes
    ----------
    value, low, high : the statistic and its interval.
    reason : why a part is missing.
    detail : what names the statistic's place: the group, the class.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As in the audit's JSON: null where undefined, with a `reason` beside it."""
        out: dict[str, Any] = {"value": self.value, "low": self.low, "high": self.high}
        if self.reason is not None:
            out["reason"] = self.reason
        elif self.low is None:
            out["reason"] = NO_INTERVAL
        return {**out, **self.detail}


def undefined(reason: str, **detail: Any) -> Number:
    """A statistic that has no value here."""
    return Number(None, reason=reason, detail=detail)


def wilson(hits: float, n: float, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927, JASA 22:209).

    >>> low, high = wilson(8, 10)
    >>> round(low, 4), round(high, 4)
    (0.4902, 0.9433)
    """
    if n <= 0:
        raise ValueError("a proportion needs at least one row")
    p = hits / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # Rounding must not cut the ends off where every row is a hit, or none.
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    high = 1.0 if hits == n else min(1.0, centre + half)
    return low, high


def proportion(hits: float, n: float, empty: str, **detail: Any) -> Number:
    """A proportion with Wilson's interval; undefined for n = 0, with `empty` as the reason."""
    if n == 0:
        return undefined(empty, **detail)
    low, high = wilson(hits, n)
    return Number(float(hits / n), low, high, detail=detail)

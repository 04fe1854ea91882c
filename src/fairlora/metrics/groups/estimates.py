"""A statistic of all groups with what its intervals need: values, limits, draws, correlation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.inference.intervals import (
    Float,
    Limits,
    wide_limits,
    wilson_limits,
    zero_for_nan,
)


@dataclass(frozen=True, eq=False)
class Estimates:
    """One statistic of all groups, with what an interval of it needs.

    Attributes
    ----------
    values : (G,) the statistic; NaN where undefined.
    known : (G,) whether the group is large enough to count in maxima and spreads.
    limits : critical value -> the groups' intervals, each end (G,).
    detail : what names the statistic: the class, the rate.
    draws : (B, G) bootstrap draws of the statistic, NaN where undefined, and their variances; or
        None, and the critical value is the closed one alone.
    correlation : (G, G) of the groups' estimates, where groups share rows or clusters.
    alone : the interval of one group by itself, where it is not the same.
    made : what was worked out of the draws, for gaps and ratios that share it.
    """

    values: Float
    known: NDArray[np.bool_]
    limits: Callable[[float], Limits]
    detail: dict[str, Any] = field(default_factory=dict)
    draws: tuple[Float, Float] | None = None
    correlation: Float | None = None
    alone: Callable[[float], Limits] | None = None
    made: dict[Any, Any] = field(default_factory=dict, repr=False)


class Against(NamedTuple):
    """A statistic of each group and of everyone outside it; `correlation` (G,) between the two."""

    inside: Estimates
    outside: Estimates
    correlation: Float | None = None


class Together:
    """Limits of rates that are made one by one, of thousands of classes, and worked out at once."""

    def __init__(self) -> None:
        self._rates: list[tuple[Float, Float]] = []
        self._found: dict[tuple[Any, float], Limits] = {}

    def add(self, values: Float, sizes: Float) -> tuple[Callable[[float], Limits], ...]:
        """The `wide_limits` and the `wilson_limits` of one more rate, (G,) values and sizes."""
        k = len(self._rates)
        self._rates.append((values, sizes))

        def limits(of: Callable[[Float, Float, float], Limits], z: float) -> Limits:
            if (of, z) not in self._found or k >= len(self._found[of, z].low):
                every, rows = (np.stack(part) for part in zip(*self._rates, strict=True))
                self._found[of, z] = of(every, rows, z)
            return Limits(*(end[k] for end in self._found[of, z]))

        return partial(limits, wide_limits), partial(limits, wilson_limits)


def proportions(
    tops: NDArray[Any],
    bottoms: NDArray[Any],
    least: int,
    *,
    sizes: NDArray[Any] | None = None,
    draws: tuple[NDArray[Any], NDArray[Any]] | None = None,
    effective: Float | None = None,
    correlation: Float | None = None,
    detail: dict[str, Any] | None = None,
    together: Together | None = None,
) -> Estimates:
    """Estimates of rates tops / bottoms with Wilson intervals.

    Parameters
    ----------
    tops, bottoms : (G,) numerators and denominators; a rate of 0 rows is undefined.
    least : rates of smaller sizes do not count in maxima and spreads.
    sizes : (G,) what that is held against; None is `bottoms`.
    draws : (B, G) tops and (B, G) bottoms of bootstrap draws, or None.
    effective : (G,) effective sizes where rows come in clusters or have weights; None is `bottoms`.
    correlation : (G, G) of the groups' rates where they share rows or clusters, or None.
    detail : what names the rate: its class, its kind.
    together : the rates of the same groups whose limits are worked out with these; None is none.
    """
    bottoms = np.asarray(bottoms, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(bottoms > 0, tops / bottoms, np.nan)
    size = np.maximum(bottoms if effective is None else effective, 1e-9)
    pivots = None
    if draws is not None:
        t, n = (np.asarray(d, dtype=np.float64) for d in draws)
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn = np.where(n > 0, t / n, np.nan)
        # One hit and one miss more (Agresti and Caffo 2000): a rate of 0 or 1 has a variance too.
        smooth = (t + 1) / (n + 2)
        pivots = (drawn, smooth * (1 - smooth) / (n + 2))
    # The same limits serve gaps, ratios and each group's own row.
    limits, alone = (together or Together()).add(zero_for_nan(values), size)
    return Estimates(
        values,
        (bottoms if sizes is None else sizes) >= max(1, least),
        limits,
        detail or {},
        pivots,
        correlation,
        alone,
    )


def usable_groups(family: Estimates) -> NDArray[np.bool_]:
    return np.asarray(family.known & np.isfinite(family.values))


def both_usable(family: Against) -> NDArray[np.bool_]:
    return usable_groups(family.inside) & usable_groups(family.outside)

"""The group of the highest value, and the group farthest from a target, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fairlora.metrics.content import Disparity, Lowest, Number
from fairlora.metrics.groups.estimates import Estimates
from fairlora.metrics.groups.gaps import NOBODY, extreme
from fairlora.metrics.inference.intervals import Limits, shared_level, z_of


def highest(family: Estimates, names: Sequence[str], level: float) -> Lowest:
    """The largest value of the groups, with its interval and its group; see `extreme`.

    Parameters
    ----------
    family : a statistic of the groups.
    names : (G,) of the groups.
    level : of the interval.
    """

    def turned(z: float) -> Limits:
        limits = family.limits(z)
        return Limits(-limits.high, -limits.low)

    found = extreme([replace(family, values=-family.values, limits=turned)], names, level)
    if found.value is None or found.low is None or found.high is None:
        return found
    ends = {"value": -found.value, "low": -found.high, "high": -found.low}
    return found.model_copy(update=ends)


def farthest(family: Estimates, target: float, names: Sequence[str], level: float) -> Disparity:
    """The largest |group - target|, with its interval and its group.

    As of every maximum the lower end holds for all groups at once (Sidak), so it is above 0 only
    where some group is off beyond noise; the upper end needs no correction.

    Parameters
    ----------
    family : a statistic of the groups.
    target : what it should be.
    names : (G,) of the groups.
    level : of the interval.
    """
    here = family.known & ~np.isnan(family.values)
    if not here.any():
        return Disparity.undefined(NOBODY)
    far = np.where(here, np.abs(family.values - target), -np.inf)
    g = int(far.argmax())
    value = float(far[g])
    apart = family.limits(z_of(shared_level(level, int(here.sum()))))
    low = np.maximum(apart.low - target, target - apart.high)[here].max()
    one = family.limits(z_of(level))
    high = np.maximum(one.high - target, target - one.low)[here].max()
    low, high = float(min(max(low, 0.0), value)), float(max(high, value))
    return Disparity(value=value, low=low, high=high, group=names[g])


def root(number: Number) -> Number:
    """The square root of a number and of its ends."""
    roots = {
        end: None if value is None else float(np.sqrt(max(value, 0.0)))
        for end, value in (("value", number.value), ("low", number.low), ("high", number.high))
    }
    return number.model_copy(update=roots)

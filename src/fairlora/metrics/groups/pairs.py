"""All pairs of groups: intervals of differences and ratios, and what holds for all at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.groups.estimates import Estimates, usable_groups
from fairlora.metrics.inference.intervals import (
    Float,
    Limits,
    difference_limits,
    pair_critical,
    ratio_limits,
    shared_level,
    z_of,
)

# Pairs of groups that are computed at a time.
_BLOCK = 200_000
# Above this many differences times draws the closed critical value stands alone.
_BUDGET = 20_000_000
MOST_UNDEFINED = 0.05


def critical(families: Sequence[Estimates], level: float) -> tuple[float, str | None]:
    """Critical value of the largest studentised difference of all pairs of all families.

    The larger of the closed one and, where draws are at hand and not too many, the bootstrap's.
    """
    each = shared_level(level, len(families))
    groups = max(int(usable_groups(f).sum()) for f in families)
    if any(f.correlation is not None for f in families):
        # Pairs of estimates that hang together: Bonferroni holds whatever the dependence.
        pairs = groups * (groups - 1) / 2 * len(families)
        closed = z_of(1 - (1 - level) / pairs)
    else:
        closed = pair_critical(each, groups)
    drawn = [f for f in families if f.draws is not None]
    draws = 0 if not drawn or drawn[0].draws is None else len(drawn[0].draws[0])
    compared = sum(int(usable_groups(f).sum()) ** 2 for f in drawn) / 2
    if not draws or compared * draws > _BUDGET:
        return closed, None
    largest, missing = np.zeros(draws), np.zeros(draws, dtype=bool)
    for family in drawn:
        assert family.draws is not None
        of_family, undefined_here = _largest_difference(family)
        missing |= undefined_here
        np.maximum(largest, of_family, out=largest)
    if missing.mean() > MOST_UNDEFINED:
        share = f"{100 * missing.mean():.0f} %"
        return closed, f"undefined in {share} of the bootstrap draws: a rate of too few rows"
    return max(closed, float(np.quantile(largest[~missing], level))), None


def _largest_difference(family: Estimates) -> tuple[Float, NDArray[np.bool_]]:
    """(B,) the largest studentised difference of all pairs in each draw, and where it is undefined.

    Gaps, ratios and pairs of one family share it.
    """
    assert family.draws is not None
    here = usable_groups(family)
    # The draws are kept with it, so that their number is no other array's later.
    key = id(family.draws[0]), here.tobytes()
    if key not in family.made:
        values, variances = family.draws[0][:, here], family.draws[1][:, here]
        undefined_here = np.isnan(values).sum(axis=1) > 0
        off = np.where(undefined_here[:, None], 0.0, values - family.values[here])
        first, second = np.triu_indices(int(here.sum()), 1)
        studentised = np.abs(off[:, first] - off[:, second])
        studentised /= np.sqrt(variances[:, first] + variances[:, second])
        family.made[key] = studentised.max(axis=1), undefined_here, family.draws[0]
    largest, undefined_here, _ = family.made[key]
    return largest, undefined_here


def _pairs(family: Estimates, z: float) -> Iterator[tuple[slice, tuple[Any, ...]]]:
    """Some of the usable groups set against all of them: values, limits, correlation.

    In blocks of rows that stay in the processor's cache: of thousands of groups the pairs are many
    millions.
    """
    here = usable_groups(family)
    limits = family.limits(z)
    values, low, high = family.values[here], limits.low[here], limits.high[here]
    shared = None
    if family.correlation is not None:
        shared = family.correlation[np.ix_(here, here)]
    size = max(1, _BLOCK // max(len(values), 1))
    for start in range(0, len(values), size):
        some = slice(start, start + size)
        a = values[some, None], Limits(low[some, None], high[some, None])
        b = values[None, :], Limits(low[None, :], high[None, :])
        yield some, (*a, *b, 0.0 if shared is None else shared[some])


def _with_itself(limits: Limits, some: slice, value: float) -> Limits:
    """Limits of some groups against all, with that value where a group is set against itself."""
    rows = np.arange(len(limits.low))
    for end in limits:
        end[rows, some.start + rows] = value
    return limits


def pair_differences(family: Estimates, z: float) -> Limits:
    """(G', G') intervals of all signed differences of the usable groups."""
    parts = [
        _with_itself(difference_limits(*pair), some, -np.inf) for some, pair in _pairs(family, z)
    ]
    return Limits(*(np.concatenate(ends) for ends in zip(*parts, strict=True)))


def largest_ends(family: Estimates, z: float) -> Limits:
    """(G',) the largest lower and the largest upper end of each group minus any other."""
    out = []
    for some, pair in _pairs(family, z):
        limits = _with_itself(difference_limits(*pair), some, -np.inf)
        out.append([end.max(axis=1) for end in limits])
    return Limits(*(np.concatenate(ends) for ends in zip(*out, strict=True)))


def smallest_ratios(family: Estimates, z: float) -> Limits:
    """(G',) the smallest lower and the smallest upper end of each group over any other."""
    out = []
    for some, pair in _pairs(family, z):
        limits = _with_itself(ratio_limits(*pair[:4]), some, np.inf)
        out.append([np.nanmin(end, axis=1) for end in limits])
    return Limits(*(np.concatenate(ends) for ends in zip(*out, strict=True)))

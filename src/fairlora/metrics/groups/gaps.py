"""Gaps, worst groups and ratios: maxima over groups, and intervals that hold for maxima.

The bootstrap's percentile interval of a gap never covers 0, because every draw's gap is above 0.
Here a gap is the largest of all pairs' differences, and each end of its interval takes what it
needs. With the pairs' differences d and their intervals:

- The lower end must not be fooled by the pair that noise made largest, so it holds for all pairs at
  once: the largest of the pairs' lower ends at a critical value c of the largest studentised
  difference.
- The upper end need not be corrected: the largest of the pairs' upper ends is never below the upper
  end of the pair that is truly largest, and that one covers.

So a miss on either side has at most half the allowed probability, or all of it on one side where
the other cannot miss; `benchmarks/coverage` holds this against simulation. Worst groups and
ratios are maxima too, with the ends' roles as each needs. A pair's interval joins the two groups'
own intervals (`difference_limits`), which keep the skew of small groups and of rates near 0 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fairlora.metrics.content import AgainstRest, Disparity, Lowest, Number, Pair, RatioToHighest
from fairlora.metrics.groups.estimates import Against, Estimates, both_usable, usable_groups
from fairlora.metrics.groups.pairs import (
    critical,
    largest_ends,
    pair_differences,
    smallest_ratios,
)
from fairlora.metrics.inference.intervals import (
    Float,
    Limits,
    difference_limits,
    shared_level,
    z_of,
    zero_for_nan,
)

TOO_FEW = "fewer than two groups are large enough"
NOBODY = "no group is large enough"
# Values that differ by less are level: a mean over classes may be rounded.
_ROUNDING = 1e-12


def gap(
    families: Sequence[Estimates],
    names: Sequence[str],
    level: float,
    ends: bool,
    too_few: str = TOO_FEW,
) -> Disparity:
    """The largest over families of (largest group - smallest group), with its interval.

    It names the groups at both ends, and as `also_best` and so on those that are level with one of
    them. Where all groups are alike there are no ends: both are None.

    Parameters
    ----------
    families : statistics of the same groups.
    names : (G,) of the groups.
    level : of the interval.
    ends : whether the ends are called "largest" and "smallest", or "best" and "worst".
    too_few : the reason where no two groups can be compared.
    """
    usable = [f for f in families if usable_groups(f).sum() > 1]
    if not usable:
        return Disparity.undefined(too_few)
    found: tuple[float, dict[str, Any]] | None = None
    for family in usable:
        column = family.values[usable_groups(family)]
        value = float(column.max() - column.min())
        if found is None or value > found[0]:
            words = ("largest", "smallest") if ends else ("best", "worst")
            found = value, {**family.detail, **_ends(family, words, names)}
    assert found is not None
    value, detail = found
    c, reason = critical(usable, level)
    if reason is not None:
        return Disparity(value=value, low=None, high=None, reason=reason, **detail)
    low, high = 0.0, value
    for family in usable:
        low = max(low, float(largest_ends(family, c).low.max()))
        high = max(high, float(largest_ends(family, z_of(level)).high.max()))
    return Disparity(value=value, low=min(low, value), high=high, **detail)


def largest_against(families: Sequence[Against], names: Sequence[str], level: float) -> Disparity:
    """The largest over families and groups of |group - everyone outside it|, with its interval.

    Parameters
    ----------
    families : statistics of the same groups, each with that of everyone outside the group.
    names : (G,) of the groups.
    level : of the interval.
    """
    usable = [f for f in families if both_usable(f).any()]
    if not usable:
        return Disparity.undefined("no group with rows enough, and rows enough outside it")
    found: tuple[float, dict[str, Any]] | None = None
    for family in usable:
        d = np.where(
            both_usable(family), np.abs(family.inside.values - family.outside.values), -np.inf
        )
        g = int(d.argmax())
        if found is None or d[g] > found[0]:
            found = float(d[g]), {"group": names[g], **family.inside.detail}
    assert found is not None
    value, detail = found
    # Two groups against each other are one comparison seen twice.
    count = sum(
        1 if both_usable(f).sum() == 2 and len(f.inside.values) == 2 else int(both_usable(f).sum())
        for f in usable
    )
    c = z_of(shared_level(level, count))
    here = np.stack([both_usable(f) for f in usable])
    low = max(0.0, float(_folded(_against(usable, c)).low[here].max()))
    high = max(value, float(_folded(_against(usable, z_of(level))).high[here].max()))
    return Disparity(value=value, low=min(low, value), high=high, **detail)


def _ends(family: Estimates, words: tuple[str, str], names: Sequence[str]) -> dict[str, Any]:
    """The groups of the largest and the smallest value by the words for them, and who is level."""
    values = np.where(usable_groups(family), family.values, np.nan)
    ends = [_level_with(values, end) for end in (np.nanmax(values), np.nanmin(values))]
    if set(ends[0]) & set(ends[1]):
        return dict.fromkeys(words)
    out: dict[str, Any] = {}
    for word, groups in zip(words, ends, strict=True):
        out[word] = names[groups[0]]
        if len(groups) > 1:
            out[f"also_{word}"] = [names[g] for g in groups[1:]]
    return out


def _level_with(values: Float, value: float) -> list[int]:
    """The numbers of the groups of this value, but for rounding."""
    with np.errstate(invalid="ignore"):
        return [int(g) for g in np.flatnonzero(np.abs(values - value) <= _ROUNDING)]


def extreme(
    families: Sequence[Estimates], names: Sequence[str], level: float, *, key: str = "group"
) -> Lowest:
    """The smallest value of all families and groups, with its interval and its name under `key`.

    A tie has no single one: then `key` is None, and `groups` (`classes`) names them all;
    `all_alike` says whether these are all that could be compared.

    Parameters
    ----------
    families : statistics of the same groups.
    names : (G,) of the groups, or of the classes that stand for them.
    level : of the interval.
    key : "group" or "class".
    """
    usable = [f for f in families if usable_groups(f).any()]
    if not usable:
        return Lowest.undefined(NOBODY)
    # The smallest is at most each group's value: its lower end needs no correction, its upper does.
    count = sum(int(usable_groups(f).sum()) for f in usable)
    z, c = z_of(level), z_of(2 * shared_level((1 + level) / 2, count) - 1)
    found: tuple[float, dict[str, Any]] | None = None
    low = high = np.inf
    for family in usable:
        here = usable_groups(family)
        values = np.where(here, family.values, np.inf)
        value = float(values.min())
        if found is None or value < found[0]:
            tied = _level_with(values, value)
            named: dict[str, Any] = {key: names[tied[0]]}
            if len(tied) > 1:
                alike = len(tied) == int(here.sum())
                several = "classes" if key == "class" else "groups"
                named = {key: None, several: [names[g] for g in tied], "all_alike": alike}
            found = value, {**named, **family.detail}
        low = min(low, float(family.limits(z).low[here].min()))
        high = min(high, float(family.limits(c).high[here].min()))
    assert found is not None
    value, named = found
    return Lowest(value=value, low=min(low, value), high=max(high, value), **named)


def ratio(
    families: Sequence[Estimates], names: Sequence[str], level: float, too_few: str = TOO_FEW
) -> Disparity:
    """The smallest over families of (smallest group / largest group), with its interval.

    The four-fifths rule of US employment law asks for at least 0.8 of selection rates. A family of
    which all rates are 0 has no ratio.

    Parameters
    ----------
    families : rates of the same groups.
    names : (G,) of the groups; those at both ends are named as in `gap`.
    level : of the interval.
    too_few : the reason where no two groups can be compared.
    """
    usable = [f for f in families if usable_groups(f).sum() > 1]
    found: tuple[float, dict[str, Any]] | None = None
    for family in usable:
        column = family.values[usable_groups(family)]
        if column.max() <= 0:
            continue
        value = float(column.min() / column.max())
        if found is None or value < found[0]:
            found = value, {**family.detail, **_ends(family, ("largest", "smallest"), names)}
    if found is None:
        return Disparity.undefined(too_few if not usable else "no group's rate is above 0")
    value, detail = found
    c, reason = critical(usable, level)
    if reason is not None:
        return Disparity(value=value, low=None, high=None, reason=reason, **detail)
    low, high = 1.0, 1.0
    for family in usable:
        if np.nanmax(family.values[usable_groups(family)]) > 0:
            low = min(low, float(np.nanmin(smallest_ratios(family, z_of(level)).low)))
            high = min(high, float(np.nanmin(smallest_ratios(family, c).high)))
    low, high = max(0.0, min(low, value)), max(high, value)
    return Disparity(value=value, low=low, high=high, **detail)


def ratios_to_highest(
    family: Estimates, names: Sequence[str], level: float
) -> list[RatioToHighest]:
    """Each group's rate over the highest group's, which is not known but estimated.

    The true ratio is the smallest of the group's ratios to all groups, itself among them. So the
    lower end, the smallest of the pairs' lower ends, needs no correction; the upper end takes
    limits that hold for all pairs at once, and those of all groups hold together.

    Parameters
    ----------
    family : a rate of the groups.
    names : (G,) of the groups; the detail names the highest, all of them where they tie.
    level : of the intervals.

    Returns
    -------
    (G,) numbers from 0 to 1; undefined for a group that is too small, or where no rate is above 0.
    """
    here = usable_groups(family)
    out = [RatioToHighest.undefined(NOBODY if not here.any() else "too few rows")] * len(names)
    if not here.any():
        return out
    largest = float(family.values[here].max())
    if largest <= 0:
        return [RatioToHighest.undefined("no group's rate is above 0")] * len(names)
    highest = [names[g] for g in _level_with(np.where(here, family.values, -np.inf), largest)]
    detail: dict[str, Any] = {
        "highest": highest[0],
        **({"also_highest": highest[1:]} if highest[1:] else {}),
    }
    lows: Float = np.ones(int(here.sum()))
    highs, reason = lows, None
    if here.sum() > 1:
        c, reason = critical([family], level)
        lows = np.minimum(smallest_ratios(family, z_of(level)).low, 1.0)
        highs = np.minimum(smallest_ratios(family, c).high, 1.0)
    for k, g in enumerate(np.flatnonzero(here)):
        value = float(family.values[g] / largest)
        low, high = max(0.0, min(float(lows[k]), value)), max(float(highs[k]), value)
        out[g] = RatioToHighest(value=value, low=low, high=high, **detail)
        if reason is not None:
            out[g] = RatioToHighest(value=value, low=None, high=None, reason=reason, **detail)
    return out


def differences_to_rest(
    families: Sequence[Against], names: Sequence[str], level: float, rates: Sequence[str] = ("",)
) -> list[AgainstRest]:
    """Of each group the largest over families of |group - everyone outside it|.

    `min_group` does not matter here: the group's own row shows what there is of it.

    Parameters
    ----------
    families : statistics of the same groups, each with that of everyone outside the group.
    names : (G,) of the groups.
    level : of the intervals.
    rates : what the families are of, in turn: they count together, so where one of a class is
        undefined the class is left out.

    Returns
    -------
    (G,) numbers, with the group and the class.
    """
    c, z = z_of(shared_level(level, len(families))), z_of(level)
    values = np.stack([np.abs(f.inside.values - f.outside.values) for f in families])
    together = np.isfinite(values).reshape(len(families) // len(rates), len(rates), -1).all(axis=1)
    values = np.where(np.repeat(together, len(rates), axis=0), values, -np.inf)
    known = np.isfinite(values)
    lows = np.where(known, _folded(_against(families, c)).low, 0.0).max(axis=0)
    highs = np.where(known, _folded(_against(families, z)).high, 0.0).max(axis=0)
    out = []
    for g, name in enumerate(names):
        k = int(values[:, g].argmax())
        value = float(values[k, g])
        if not known[k, g]:
            out.append(AgainstRest.undefined(_nobody(families, rates, g)))
            continue
        detail = {"group": name, **families[k].inside.detail}
        low, high = min(float(lows[g]), value), max(float(highs[g]), value)
        out.append(AgainstRest(value=value, low=low, high=high, **detail))
    return out


def _nobody(families: Sequence[Against], rates: Sequence[str], g: int) -> str:
    """Why group g cannot be compared with everyone outside it."""
    if len(rates) == 1:
        return "no rows to compare, in the group or outside it"
    lacking = []
    for k, family in enumerate(families):
        for side, where in ((family.inside, "in the group"), (family.outside, "outside it")):
            if not np.isfinite(side.values[g]):
                of = family.inside.detail.get("class")
                lacking.append(f"no rows for the {rates[k % len(rates)]} of {of} {where}")
    more = f" and {len(lacking) - 4} more" if len(lacking) > 4 else ""
    return f"needs {' and '.join(rates)}: {', '.join(lacking[:4])}{more}"


def signed_differences(family: Against, level: float) -> list[Number]:
    """Each group minus everyone outside it."""
    limits = Limits(*(end[0] for end in _against([family], z_of(level))))
    values = family.inside.values - family.outside.values
    return [
        Number(value=float(d), low=float(low), high=float(high))
        if np.isfinite(d)
        else Number.undefined("no rows to compare, in the group or outside it")
        for d, low, high in zip(values, limits.low, limits.high, strict=True)
    ]


def _against(families: Sequence[Against], z: float) -> Limits:
    """(F, G) intervals of group - everyone outside it: of all families at once, which may be
    thousands."""

    def ends(several: Sequence[Estimates]) -> tuple[Float, Limits]:
        limits = zip(*(one.limits(z) for one in several), strict=True)
        values = zero_for_nan(np.stack([one.values for one in several]))
        return values, Limits(*(np.stack(end) for end in limits))

    inside, outside = ends([f.inside for f in families]), ends([f.outside for f in families])
    none = np.zeros(len(inside[0][0]))
    shared = np.stack([none if f.correlation is None else f.correlation for f in families])
    return difference_limits(*inside, *outside, shared)


def _folded(limits: Limits) -> Limits:
    """The interval of |d| from that of d."""
    return Limits(
        np.maximum(0.0, np.maximum(limits.low, -limits.high)),
        np.maximum(limits.high, -limits.low),
    )


def pairwise(family: Estimates, names: Sequence[str], level: float, metric: str) -> list[Pair]:
    """Each pair's signed difference, with intervals that hold for all pairs at once.

    Parameters
    ----------
    family : a statistic of the groups.
    names : (G,) of the groups.
    level : of all intervals together.
    metric : the statistic's name.

    Returns
    -------
    Of every two groups that are large enough; empty below two of them.
    """
    here = np.flatnonzero(usable_groups(family))
    if len(here) < 2:
        return []
    c, reason = critical([family], level)
    limits = pair_differences(family, c)
    out = []
    for i, a in enumerate(here):
        for j in range(i + 1, len(here)):
            b = here[j]
            both = {"metric": metric, "group": names[int(a)], "other": names[int(b)]}
            value = float(family.values[a] - family.values[b])
            if reason is not None:
                out.append(Pair(value=value, low=None, high=None, reason=reason, **both))
                continue
            low, high = float(limits.low[i, j]), float(limits.high[i, j])
            out.append(Pair(value=value, low=low, high=high, **both))
    return out

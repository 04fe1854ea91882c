"""Impact ratios: each group's selection rate over the highest, with verdicts against limits."""

from __future__ import annotations

from collections.abc import Sequence

from fairlora.metrics.content import ImpactRatio, Number, RatioVerdict
from fairlora.metrics.groups.estimates import Estimates
from fairlora.metrics.groups.gaps import ratios_to_highest

FOUR_FIFTHS = 0.8


def verdict(number: Number, limit: float) -> RatioVerdict:
    """Whether a ratio is below a limit: "below", "not below", or "not shown" by these data.

    Parameters
    ----------
    number : the ratio with its interval.
    limit : 0.8 of the four-fifths rule, or 1.
    """
    if number.value is None or number.low is None or number.high is None:
        return "undefined" if number.value is None else "not shown"
    if number.high < limit:
        return "below"
    return "not below" if number.low >= limit else "not shown"


def impact_ratios(family: Estimates, names: Sequence[str], level: float) -> list[ImpactRatio]:
    """Each group's impact ratio with its verdicts against four fifths and against 1.

    Parameters
    ----------
    family : selection rates of the groups.
    names : (G,) of the groups.
    level : of the intervals.
    """
    return [
        ImpactRatio(
            **ratio.to_dict(),
            four_fifths=verdict(ratio, FOUR_FIFTHS),
            equal=verdict(ratio, 1.0),
        )
        for ratio in ratios_to_highest(family, names, level)
    ]

"""Power: the differences that the groups' sizes can resolve, and the rows they would need."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from fairlora.metrics.content import PowerRow
from fairlora.metrics.counts.tally import Tally

POWER = 0.8


def detectable(variance: float, level: float = 0.95, power: float = POWER) -> float:
    """The smallest difference that a two-sided test finds with the given power.

    Parameters
    ----------
    variance : of the difference.
    level : one minus the size of the test.
    power : probability of finding the difference, between 0 and 1.

    >>> round(detectable(0.01**2), 4)
    0.028
    """
    normal = NormalDist()
    return (normal.inv_cdf(0.5 + level / 2) + normal.inv_cdf(power)) * math.sqrt(variance)


def rows_needed(rate: float, difference: float, level: float = 0.95, power: float = POWER) -> int:
    """Rows that each of two groups needs, so that a difference of their rates is found.

    One group at `rate`, the other at the nearer of rate - difference and rate + difference to one
    half, where the variance is larger (Fleiss, Levin and Paik 2003, eq. 4.14 without correction).

    Parameters
    ----------
    rate : of one group, in [0, 1].
    difference : of the two rates, above 0.
    level : one minus the size of the two-sided test.
    power : probability of finding the difference, between 0 and 1.

    >>> rows_needed(0.9, 0.02)
    3841
    """
    normal = NormalDist()
    other = rate - difference if rate > 0.5 else rate + difference
    other = min(max(other, 0.0), 1.0)
    mean = (rate + other) / 2
    a = normal.inv_cdf(0.5 + level / 2) * math.sqrt(2 * mean * (1 - mean))
    b = normal.inv_cdf(power) * math.sqrt(rate * (1 - rate) + other * (1 - other))
    return math.ceil(((a + b) / difference) ** 2)


def power_rows(tally: Tally, difference: float, level: float) -> list[PowerRow]:
    """Per group: its rows, the difference that they can resolve, and the rows it would need.

    `needed` is against everyone outside the group as they are, `needed_each` against a second group
    of the same size. Rates have one hit and one miss more. Rows with weights are taken to be as
    uneven as those at hand: their effective size counts.

    Parameters
    ----------
    tally : of the attribute.
    difference : that the rows needed would resolve, above 0.
    level : one minus the size of the two-sided test.
    """
    shares = []
    for cells, sizes in (
        (tally.by_group(tally.cells), tally.effective),
        (tally.outside(tally.cells), tally.rest),
    ):
        right, every = np.einsum("gcc->g", cells), cells.sum(axis=(1, 2))
        # By weights the hits among as many rows of one weight.
        hits = right * sizes / np.where(every > 0, every, 1)
        shares.append((hits + 1) / (sizes + 2))
    out = []
    for g, group in enumerate(tally.names):
        rows = int(tally.n[g])
        n, rest = float(tally.effective[g]), float(tally.rest[g])
        p, q = float(shares[0][g]), float(shares[1][g])
        # So many rows tell as much as one of them would if all weighed the same.
        uneven = rows / n if n else 1.0
        outside = q * (1 - q) / max(rest, 1)
        least = needed = None
        if n and rest:
            least = detectable(p * (1 - p) / n + outside, level)
        if rest:
            # The variance that is left for the group once the rest has used up its share.
            allowed = (difference / detectable(1.0, level)) ** 2 - outside
            needed = math.ceil(uneven * p * (1 - p) / allowed) if allowed > 0 else None
        each = math.ceil(uneven * rows_needed(p, difference, level))
        out.append(PowerRow(group=group, n=rows, detectable=least, needed=needed, needed_each=each))
    return out

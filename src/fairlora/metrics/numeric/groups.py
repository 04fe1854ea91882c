"""Numbers of an attribute's groups that the score engine does not have: roots of means, ranks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fairlora.metrics.content import Number
from fairlora.metrics.counting import Table
from fairlora.metrics.groups.estimates import Against, Estimates
from fairlora.metrics.inference.intervals import Float, Limits
from fairlora.metrics.numeric.ranks import Ranks, rank_estimates, rank_number
from fairlora.metrics.numeric.worst import root
from fairlora.metrics.scores import GroupMeans
from fairlora.metrics.settings import Settings
from fairlora.predictions import GroupColumn


class GroupRoots(GroupMeans):
    """The roots of the groups' means: their limits are the roots of the means' limits.

    So they stay above 0 and keep the skew of few rows; for many they are those of the delta method.
    """

    def __init__(
        self, table: Table, binary: bool, settings: Settings, attribute: str, origin: float = 0.0
    ) -> None:
        super().__init__(table, binary, settings, attribute, origin)
        self.squares = self.inside
        self.inside = _rooted(self.squares)

    def against(self) -> Against:
        """Each group and everyone outside it."""
        found = super().against()
        return found._replace(outside=_rooted(found.outside))

    def number(self, g: int) -> Number:
        """One group's root."""
        self.inside, rooted = self.squares, self.inside
        found = super().number(g)
        self.inside = rooted
        return root(found)

    def chance(self, values: Float, column: GroupColumn, attribute: str) -> float | None:
        """As of means, by the delta method: a root moves by 1 / (2 root) of its square.

        Parameters
        ----------
        values : (n,) the squares of the rows that have a group.
        column : their groups.
        attribute : its name.
        """
        sums = self.tally.raw["score"]
        whole = float(np.sqrt(max(self.origin + sums.first.sum() / sums.n.sum(), 0.0)))
        found = super().chance(values, column, attribute)
        return None if found is None else found / (2 * whole) if whole > 0 else 0.0


class GroupRanks(GroupMeans):
    """The groups' rank correlations.

    Parameters
    ----------
    table : of the attribute, whose scores are the rows' influence on the correlation of all rows:
        groups that are alike differ by chance as its means do.
    settings : of the audit.
    attribute : its name.
    ranks : of the groups.
    why : the reason where a correlation is undefined although there are rows.
    """

    def __init__(
        self, table: Table, settings: Settings, attribute: str, ranks: Ranks, why: str
    ) -> None:
        super().__init__(table, False, settings, attribute)
        self.ranks, self.why = ranks, why
        self.inside = rank_estimates(ranks, self.least)

    def number(self, g: int) -> Number:
        """One group's rank correlation."""
        return rank_number(self.ranks, g, self.settings.level, self.why)


def _rooted(squares: Estimates) -> Estimates:
    def limits(z: float) -> Limits:
        return Limits(*(np.sqrt(np.maximum(end, 0)) for end in squares.limits(z)))

    return replace(squares, values=np.sqrt(np.maximum(squares.values, 0)), limits=limits)

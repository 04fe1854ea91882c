"""Compare the scores of two tables on the same rows: means, groups' means and their gaps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fairlora.errors import InputError
from fairlora.metrics.comparison.align import Runs, one_pair, runs_of
from fairlora.metrics.comparison.content import ComparisonContent
from fairlora.metrics.comparison.differences import Differences, group_sizes
from fairlora.metrics.comparison.means import (
    mean_metric,
    range_of,
    rows_of,
    scores,
    spread_of_means,
)
from fairlora.metrics.comparison.paired import compared, notes_of
from fairlora.metrics.comparison.verdicts import Difference
from fairlora.metrics.settings import Settings
from fairlora.predictions import Predictions


class ScoreDifferences(Differences):
    """Makes the differences of a score: the mean, each group's mean, and the gap between groups."""

    def overall(self) -> list[Difference]:
        """The mean over all rows."""
        values = scores(self.runs)
        assert values is not None
        mean = mean_metric(self.runs, values)
        return [self._difference("score", mean, self._units(None), exact=True)]

    def attribute(self, attribute: str) -> tuple[list[Difference], list[Difference]]:
        """The difference of the attribute's gaps, and of its groups' means."""
        runs, values = self.runs, scores(self.runs)
        assert values is not None
        sizes = group_sizes(runs, attribute)
        large = sizes >= max(1, self.settings.min_group)
        column = runs.blocks[0].columns[attribute]
        units = [self._units(rows_of(column, g)) for g in range(len(sizes))]
        gap = spread_of_means(runs, values, attribute, large, self.settings, range_of)
        few = min((u for u, counts in zip(units, large, strict=True) if counts), default=0)
        gaps = []
        if gap is not None:
            gaps.append(self._difference("score_gap", gap, few, place=(attribute,)))
        groups = []
        for g, group in enumerate(column.names):
            rows = [rows_of(block.columns[attribute], g) for block in runs.blocks]
            if min(len(r) for r in rows) > 1:
                mean, place = mean_metric(runs, values, rows), (attribute, group)
                groups.append(self._difference("score", mean, units[g], place=place, exact=True))
        return gaps, groups


def runs_of_numbers(
    first: Predictions,
    second: Predictions,
    names: tuple[str, str],
    settings: Settings,
    margin: float | None,
) -> Runs:
    """Two tables of numbers of the same rows as the runs of one seed, with what is asked checked.

    Parameters
    ----------
    first, second, names, settings : as of `one_pair`.
    margin : of the comparison, in the numbers' unit.

    Raises
    ------
    InputError : other rows, a margin that is not above 0, a setting that does not fit a comparison,
        or as `one_pair`.
    """
    settings.check_comparison()
    if margin is not None and not (np.isfinite(margin) and margin > 0):
        raise InputError("no margin", where="margin", found=margin, expected="above 0")
    if not np.array_equal(first.ids, second.ids):
        raise InputError("not the same rows", where=names[1], expected=f"the ids of {names[0]}")
    return one_pair(first, second, names, settings)


def compare_scores(
    first: Predictions,
    second: Predictions,
    settings: Settings | None = None,
    *,
    margin: float | None = None,
    names: tuple[str, str] = ("first", "second"),
) -> ComparisonContent:
    """The mean score of `first` minus that of `second`, by group and of the gap, with intervals.

    Parameters
    ----------
    first, second : tables of scores, the same rows in the same order; the groups are the first's.
    settings : as of an audit; None is the defaults.
    margin : a difference below which the two count as equivalent; None for none.
    names : what to call the two.

    Returns
    -------
    As `compare_predictions`, of the metrics "score" and "score_gap".

    Raises
    ------
    InputError : the rows are not the same, a margin that is not above 0, or a setting that does not
        fit a comparison.
    """
    settings = Settings() if settings is None else settings
    runs = runs_of_numbers(first, second, names, settings, margin)
    margins = {} if margin is None else {"score": margin, "score_gap": margin}
    maker = ScoreDifferences(runs, None, settings, margins, None)
    return compared(maker, names, notes_of(runs), margin=margin)


def compare_scores_over_seeds(
    first: Mapping[int, Predictions],
    second: Mapping[int, Predictions],
    settings: Settings | None = None,
    *,
    names: tuple[str, str] = ("first", "second"),
) -> ComparisonContent:
    """The same over the runs of several seeds, each on the same rows; no margin of equivalence.

    Parameters
    ----------
    first, second : seed -> table of scores; a seed that one of the two lacks is left out with a
        warning.
    settings, names : as of `compare_scores`.

    Returns and raises as `compare_scores`, and for no seed in common.
    """
    settings = Settings() if settings is None else settings
    settings.check_comparison()
    warnings: list[str] = []
    runs = runs_of(first, second, names, settings, warnings, same_rows=True)
    maker = ScoreDifferences(runs, None, settings, {}, None)
    warnings += notes_of(runs)
    return compared(maker, names, warnings, margin=None, over_seeds={"margins": {}, "ratio": None})

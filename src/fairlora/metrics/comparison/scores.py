"""Compare the scores of two tables on the same rows: means, groups' means and their gaps."""

from __future__ import annotations

from typing import Any

import numpy as np

from fairlora.errors import InputError
from fairlora.metrics.comparison.align import Runs, one_pair
from fairlora.metrics.comparison.differences import Differences, group_sizes
from fairlora.metrics.comparison.means import (
    mean_metric,
    range_of,
    rows_of,
    scores,
    spread_of_means,
)
from fairlora.metrics.comparison.paired import without_seeds
from fairlora.metrics.comparison.seeds import judged, settings_of
from fairlora.metrics.comparison.variance import SeedDifference
from fairlora.metrics.settings import Settings
from fairlora.predictions import Predictions
from fairlora.predictions.missing_labels import left_out_note


class ScoreDifferences(Differences):
    """Makes the differences of a score: the mean, each group's mean, and the gap between groups."""

    def over(self, runs: Runs) -> ScoreDifferences:
        """The same of other rows of the runs."""
        return ScoreDifferences(runs, None, self.settings, self.margins, None)

    def overall(self) -> list[SeedDifference]:
        """The mean over all rows."""
        values = scores(self.runs)
        assert values is not None
        return [self._of_means("score", mean_metric(self.runs, values), self._units(None))]

    def attribute(self, attribute: str) -> tuple[list[SeedDifference], list[SeedDifference]]:
        """The difference of the attribute's gaps, and of its groups' means."""
        runs, values = self.runs, scores(self.runs)
        assert values is not None
        sizes = group_sizes(runs, attribute)
        large = sizes >= max(1, self.settings.min_group)
        place: tuple[tuple[str, Any], ...] = (("attribute", attribute),)
        column = runs.blocks[0].columns[attribute]
        units = [self._units(rows_of(column, g)) for g in range(len(sizes))]
        gap = spread_of_means(runs, values, attribute, large, self.settings, range_of)
        few = min((u for u, one in zip(units, large, strict=True) if one), default=0)
        gaps = [] if gap is None else [self._difference("score_gap", gap, few, 0.0, place)]
        groups = []
        for g, group in enumerate(column.names):
            rows = [rows_of(block.columns[attribute], g) for block in runs.blocks]
            if min(len(one) for one in rows) > 1:
                mean = mean_metric(runs, values, rows)
                where = (*place, ("group", group))
                groups.append(self._of_means("score", mean, units[g], where))
        return gaps, groups


def compare_scores(
    first: Predictions,
    second: Predictions,
    settings: Settings | None = None,
    *,
    margin: float | None = None,
    names: tuple[str, str] = ("first", "second"),
) -> dict[str, Any]:
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
    settings.check_comparison()
    if margin is not None and not (np.isfinite(margin) and margin > 0):
        raise InputError("no margin", where="margin", found=margin, expected="above 0")
    if not np.array_equal(first.ids, second.ids):
        raise InputError("not the same rows", where="the second scores", expected="the first's ids")
    runs = one_pair(first, second, names, settings)
    warnings = list(dict.fromkeys([*first.notes, *second.notes]))
    if first.left_out:
        warnings.append(left_out_note(first.left_out, len(first)))
    margins = {} if margin is None else {"score": margin, "score_gap": margin}
    found = judged(ScoreDifferences(runs, None, settings, margins, None), warnings)
    return {
        "n": len(first),
        "left_out": dict(first.left_out),
        "first": names[0],
        "second": names[1],
        "positive": None,
        "settings": {**settings_of(runs, settings), "margin": margin},
        **without_seeds(found),
        "warnings": warnings,
    }

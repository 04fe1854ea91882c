"""The differences of all metrics of a comparison over seeds, each with its variance by source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.comparison.align import Runs
from fairlora.metrics.comparison.bootstrap import Found, count_metrics
from fairlora.metrics.comparison.means import (
    brier_scores,
    calibration_error,
    losses,
    mean_metric,
    rows_of,
    spread_of_means,
)
from fairlora.metrics.comparison.values import BETTER
from fairlora.metrics.comparison.variance import Chance, SeedDifference
from fairlora.metrics.inference.verdicts import MARGIN
from fairlora.metrics.settings import Settings

# What has no margin, unless one is given, has no verdict of equivalence.
NO_MARGIN = {"loss_variance", "mean_loss", "brier", "score", "score_gap"}
_MOST_UNDEFINED = 0.05
# Means and rates of fixed rows, whose noise has no direction.
_LINEAR = {"accuracy", "f1", "recall", "tpr", "fpr", "mean_loss", "brier", "score"}
_FEW_UNITS = 200


def group_sizes(runs: Runs, attribute: str) -> NDArray[np.int64]:
    """(G,) rows a group, the fewest of any seed's test rows."""
    each = []
    for block in runs.blocks:
        column = block.columns[attribute]
        each.append([len(rows_of(column, g)) for g in range(len(column.names))])
    return np.asarray(np.min(each, axis=0), dtype=np.int64)


def allowance(name: str, found: Found) -> float:
    """How much of a difference of maxima unequal noise may explain, with its sign."""
    if found.resampled is None or len(found.values) < 2 or name in _LINEAR:
        return 0.0
    # Of a variance resampling sees all that noise adds.
    return found.resampled.shift if found.bias is None else found.bias


class Differences:
    """Makes the differences of all metrics of a comparison.

    Parameters
    ----------
    runs : what is compared.
    positive : the positive class, as of an audit.
    settings : as of an audit.
    margins : metric -> its margin, where it is not the default.
    ratio : of test to training rows where the test rows vary with the seed, or None.
    margin : the default, of rates.
    """

    def __init__(
        self,
        runs: Runs,
        positive: int | None,
        settings: Settings,
        margins: Mapping[str, float],
        ratio: float | None,
        margin: float = MARGIN,
    ) -> None:
        self.default = margin
        self.runs, self.positive, self.settings = runs, positive, settings
        self.margins, self.ratio = margins, ratio
        self.losses, self.brier = losses(runs), brier_scores(runs)

    def over(self, runs: Runs) -> Differences:
        """The same of other rows of the runs."""
        if runs is self.runs:
            return self
        return Differences(
            runs, self.positive, self.settings, self.margins, self.ratio, self.default
        )

    def overall(self) -> list[SeedDifference]:
        """Accuracy, F1 and recall of all rows and over the classes, calibration and losses."""
        runs, n = self.runs, min(len(block) for block in self.runs.blocks)
        found = count_metrics(runs, None, self.positive, self.settings)
        units = self._units(None)
        out = [self._difference(name, one, units, 1 / (n + 2)) for name, one in found.items()]
        means = {"mean_loss": self.losses, "brier": self.brier}
        for name, values in means.items():
            if values is not None:
                out.append(self._of_means(name, mean_metric(runs, values), units))
        calibration = calibration_error(runs, self.settings, self.positive)
        if calibration is not None:
            out.append(self._difference("ece", calibration, units, 0.0))
        return out

    def attribute(self, attribute: str) -> tuple[list[SeedDifference], list[SeedDifference]]:
        """Differences of the attribute's disparities, and of its groups' rates."""
        runs = self.runs
        found = count_metrics(runs, attribute, self.positive, self.settings)
        sizes = group_sizes(runs, attribute)
        large = sizes >= max(1, self.settings.min_group)
        # Where the two differ on few rows the draws have little spread, and the truth more: half a
        # row either way in each of the two groups that a gap is about (Agresti and Min 2005).
        least = float(np.sqrt(2) / (np.median(sizes[large]) + 2)) if large.any() else 0.0
        place: tuple[tuple[str, Any], ...] = (("attribute", attribute),)
        column = runs.blocks[0].columns[attribute]
        by_group = [self._units(rows_of(column, g)) for g in range(len(sizes))]
        units = min((u for u, one in zip(by_group, large, strict=True) if one), default=0)
        out = [
            self._difference(name, one, units, least, place)
            for name, one in found.items()
            if "/" not in name
        ]
        if self.losses is not None:
            variance = spread_of_means(runs, self.losses, attribute, large, self.settings)
            if variance is not None:
                out.append(self._difference("loss_variance", variance, units, 0.0, place))
        groups = []
        for g, group in enumerate(column.names):
            where = (*place, ("group", group))
            floor = 1 / (float(sizes[g]) + 2)
            for name in ("accuracy", "tpr", "fpr"):
                if f"{name}/{g}" in found:
                    one = found[f"{name}/{g}"]
                    groups.append(self._difference(name, one, by_group[g], floor, where))
            if self.losses is not None:
                rows = [rows_of(block.columns[attribute], g) for block in runs.blocks]
                if min(len(r) for r in rows) > 1:
                    mean = mean_metric(runs, self.losses, rows)
                    groups.append(self._of_means("mean_loss", mean, by_group[g], where))
        return out, groups

    def _units(self, rows: NDArray[np.intp] | None) -> int:
        """How many units are resampled: rows, or the clusters that they are of."""
        clusters = self.runs.blocks[0].clusters
        if clusters is None:
            return len(self.runs.blocks[0]) if rows is None else len(rows)
        return len(np.unique(clusters if rows is None else clusters[rows]))

    def _of_means(
        self, name: str, found: Found, units: int, place: tuple[tuple[str, Any], ...] = ()
    ) -> SeedDifference:
        return self._difference(name, found, units, 0.0, place, exact=True)

    def _difference(
        self,
        name: str,
        found: Found,
        units: int,
        least: float,
        place: tuple[tuple[str, Any], ...] = (),
        *,
        exact: bool = False,
    ) -> SeedDifference:
        """A metric's difference; `least` is the floor of the rows' error, `exact` for means."""
        values = found.values
        margin = self.margins.get(name, None if name in NO_MARGIN else self.default)
        undefined = int((~np.isfinite(values).all(axis=1)).sum())
        chance, why = self._chance(name, found, units, least, exact)
        first = second = None
        if undefined:
            of = f" in {undefined} of {len(values)} seeds" if len(values) > 1 else ""
            chance, why = None, f"undefined for one of the two{of}: too few rows"
        else:
            first, second = (float(v) for v in values.mean(axis=0))
        error = None if chance is None else chance.error
        return SeedDifference(
            name,
            first,
            second,
            error,
            BETTER[name],
            margin,
            None,
            why,
            place,
            chance=chance,
            each=tuple((float(a), float(b)) for a, b in values),
        )

    def _chance(
        self, name: str, found: Found, units: int, least: float, exact: bool
    ) -> tuple[Chance | None, str | None]:
        """The variance by source; or None with the reason."""
        seeds = len(found.values)
        off = found.values[:, 0] - found.values[:, 1]
        spread = float(off.var(ddof=1)) if seeds > 1 else 0.0
        if self.ratio is not None:
            if seeds < 2:
                return None, "one seed alone"
            varied = (1 / seeds + self.ratio) * spread
            return Chance(least**2, varied, seed_degrees=seeds - 1), None
        resampled = found.resampled
        if resampled is None:
            return None, "one row alone"
        if resampled.lost > _MOST_UNDEFINED:
            return None, "undefined in more than 5 % of the bootstrap draws: too few rows"
        # Student's t where few units vary: rows of means, clusters of anything.
        clustered = self.runs.blocks[0].clusters is not None
        few = 1 < units < _FEW_UNITS and (exact or clustered)
        floor = resampled.unshared / seeds
        shared = max(resampled.whole - floor, 0.0)
        chance = Chance(
            shared + least**2,
            spread / seeds,
            floor,
            float(units - 1) if few else None,
            seeds - 1,
            allowance(name, found),
        )
        return chance, None

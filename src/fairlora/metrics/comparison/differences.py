"""The differences of all metrics of a comparison over seeds, each with its variance by source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fairlora.metrics.comparison.align import Runs
from fairlora.metrics.comparison.bootstrap import Measured, count_metrics
from fairlora.metrics.comparison.means import (
    brier_scores,
    calibration_error,
    losses,
    mean_metric,
    rows_of,
    spread_of_means,
)
from fairlora.metrics.comparison.values import BETTER, BETTER_SCORES
from fairlora.metrics.comparison.variance import Variance, degrees_of, variance_of
from fairlora.metrics.comparison.verdicts import MARGIN, Difference
from fairlora.metrics.groups.pairs import MOST_UNDEFINED
from fairlora.metrics.inference.intervals import Float
from fairlora.metrics.labels import MEASURED
from fairlora.metrics.settings import Settings

# What has no margin, unless one is given, has no verdict of equivalence.
NO_MARGIN = {"loss_variance", "mean_loss", "brier", "score", "score_gap"} | MEASURED
# What has no largest value, and what is not between 0 and 1.
_MOST = {"brier": 2.0, **dict.fromkeys(NO_MARGIN - {"brier"})}
# Means and rates of fixed rows, whose noise has no direction.
_LINEAR = {"accuracy", "f1", "recall", "tpr", "fpr", "mean_loss", "brier", "score"}
_LINEAR |= {"bias", "mae", "rmse"}


def group_sizes(runs: Runs, attribute: str) -> NDArray[np.int64]:
    """(G,) rows a group, the fewest of any seed's test rows."""
    each = []
    for block in runs.blocks:
        column = block.columns[attribute]
        each.append([len(rows_of(column, g)) for g in range(len(column.names))])
    return np.asarray(np.min(each, axis=0), dtype=np.int64)


def allowance(name: str, measured: Measured) -> float:
    """How much of a difference of maxima unequal noise may explain, with its sign."""
    if measured.noise is None or len(measured.values) < 2 or name in _LINEAR:
        return 0.0
    # Of a variance resampling sees all that noise adds.
    return measured.noise.shift if measured.bias is None else measured.bias


@dataclass(frozen=True)
class Differences:
    """Makes the differences of all metrics of a comparison.

    Attributes
    ----------
    runs : what is compared.
    positive : the positive class, as of an audit.
    settings : as of an audit.
    margins : metric -> its margin, where it is not the default.
    ratio : of test to training rows where the test rows vary with the seed, or None.
    margin : the default, of rates.
    """

    runs: Runs
    positive: int | None
    settings: Settings
    margins: Mapping[str, float]
    ratio: float | None
    margin: float = MARGIN

    @cached_property
    def losses(self) -> list[Float] | None:
        return losses(self.runs)

    def over(self, runs: Runs) -> Differences:
        """The same of other rows of the runs."""
        return self if runs is self.runs else replace(self, runs=runs)

    def overall(self) -> list[Difference]:
        """Accuracy, F1 and recall of all rows and over the classes, calibration and losses."""
        runs, n = self.runs, min(len(block) for block in self.runs.blocks)
        units = self._units(None)
        out = [
            self._difference(name, measured, units, 1 / (n + 2))
            for name, measured in count_metrics(runs, None, self.positive, self.settings).items()
        ]
        for name, values in (("mean_loss", self.losses), ("brier", brier_scores(runs))):
            if values is not None:
                out.append(self._difference(name, mean_metric(runs, values), units, exact=True))
        calibration = calibration_error(runs, self.settings, self.positive)
        if calibration is not None:
            out.append(self._difference("ece", calibration, units))
        return out

    def attribute(self, attribute: str) -> tuple[list[Difference], list[Difference]]:
        """Differences of the attribute's disparities, and of its groups' rates."""
        runs = self.runs
        rates = count_metrics(runs, attribute, self.positive, self.settings)
        sizes = group_sizes(runs, attribute)
        large = sizes >= max(1, self.settings.min_group)
        # Where the two differ on few rows the draws have little spread, and the truth more: half a
        # row either way in each of the two groups that a gap is about (Agresti and Min 2005).
        least = float(np.sqrt(2) / (np.median(sizes[large]) + 2)) if large.any() else 0.0
        column = runs.blocks[0].columns[attribute]
        by_group = [self._units(rows_of(column, g)) for g in range(len(sizes))]
        units = min((u for u, counts in zip(by_group, large, strict=True) if counts), default=0)
        gaps = [
            self._difference(name, measured, units, least, (attribute,))
            for name, measured in rates.items()
            if "/" not in name
        ]
        if self.losses is not None:
            variance = spread_of_means(runs, self.losses, attribute, large, self.settings)
            if variance is not None:
                gaps.append(self._difference("loss_variance", variance, units, place=(attribute,)))
        groups = []
        for g, group in enumerate(column.names):
            place, floor = (attribute, group), 1 / (float(sizes[g]) + 2)
            for name in ("accuracy", "tpr", "fpr"):
                measured = rates.get(f"{name}/{g}")
                if measured is not None:
                    groups.append(self._difference(name, measured, by_group[g], floor, place))
            if self.losses is None:
                continue
            rows = [rows_of(block.columns[attribute], g) for block in runs.blocks]
            if min(len(r) for r in rows) > 1:
                mean = mean_metric(runs, self.losses, rows)
                groups.append(
                    self._difference("mean_loss", mean, by_group[g], place=place, exact=True)
                )
        return gaps, groups

    def _units(self, rows: NDArray[np.intp] | None) -> int:
        """How many units are resampled: rows, or the clusters that they are of."""
        clusters = self.runs.blocks[0].clusters
        if clusters is None:
            return len(self.runs.blocks[0]) if rows is None else len(rows)
        return len(np.unique(clusters if rows is None else clusters[rows]))

    def _difference(
        self,
        name: str,
        measured: Measured,
        units: int,
        least: float = 0.0,
        place: tuple[str, ...] = (),
        *,
        exact: bool = False,
    ) -> Difference:
        """A metric's difference; `least` is the floor of the rows' error, `exact` for means."""
        values = measured.values
        margin = self.margins.get(name, None if name in NO_MARGIN else self.margin)
        undefined = int((~np.isfinite(values).all(axis=1)).sum())
        variance, reason = self._variance(name, measured, units, least, exact)
        if undefined:
            seeds = f" in {undefined} of {len(values)} seeds" if len(values) > 1 else ""
            variance, reason = None, f"undefined for one of the two{seeds}: too few rows"
        better, most = (BETTER | BETTER_SCORES)[name], _MOST.get(name, 1.0)
        return Difference(name, values, better, margin, variance, reason, place, most)

    def _variance(
        self, name: str, measured: Measured, units: int, least: float, exact: bool
    ) -> tuple[Variance | None, str | None]:
        """The variance by source; or None with the reason."""
        noise = measured.noise if self.ratio is None else None
        if noise is not None and noise.lost > MOST_UNDEFINED:
            return None, "undefined in more than 5 % of the bootstrap draws: too few rows"
        # Student's t where few units vary: rows of means, clusters of anything.
        clustered = self.runs.blocks[0].clusters is not None
        variance = variance_of(
            measured.values[:, 0] - measured.values[:, 1],
            noise,
            least=least,
            degrees=degrees_of(units) if exact or clustered else None,
            ratio=self.ratio,
            bias=allowance(name, measured),
        )
        alone = "one row alone" if self.ratio is None else "one seed alone"
        return variance, alone if variance is None else None

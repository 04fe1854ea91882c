"""Compare two models' predictions of numbers on the same rows: bias, MAE, RMSE and their gaps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.comparison.bootstrap import Measured
from fairlora.metrics.comparison.compare import PairedResult
from fairlora.metrics.comparison.content import ComparisonContent
from fairlora.metrics.comparison.differences import Differences, group_sizes
from fairlora.metrics.comparison.means import mean_metric, range_of, rows_of, spread_of_means
from fairlora.metrics.comparison.paired import compared, notes_of
from fairlora.metrics.comparison.scores import runs_of_numbers
from fairlora.metrics.comparison.verdicts import Difference
from fairlora.metrics.inference.intervals import Float
from fairlora.metrics.labels import MEASURED
from fairlora.metrics.number_columns import number_table
from fairlora.metrics.numeric.values import RowValues, row_values
from fairlora.metrics.scores import check_score_settings
from fairlora.metrics.settings import Settings
from fairlora.predictions import Predictions
from fairlora.predictions.measurements import UNLABELED, UNPREDICTED, with_measurements

_COMPARED = ("bias", "mae", "rmse")


class NumericDifferences(Differences):
    """Makes the differences of errors: of all rows, of each group, and of the gaps of groups."""

    def _values(self) -> dict[str, list[Float]]:
        """Metric -> a block's (1, 2, n) values of the rows; the RMSE's are squares."""
        (block,) = self.runs.blocks
        each = [_errors(table) for table in block.flat]
        return {name: [np.stack([one[name].values for one in each])[None]] for name in _COMPARED}

    def overall(self) -> list[Difference]:
        """Bias, MAE and RMSE of all rows."""
        return [
            self._difference(name, self._mean(name, values), self._units(None), exact=True)
            for name, values in self._values().items()
        ]

    def attribute(self, attribute: str) -> tuple[list[Difference], list[Difference]]:
        """The differences of the attribute's gaps, and of its groups' errors."""
        runs, every = self.runs, self._values()
        sizes = group_sizes(runs, attribute)
        large = sizes >= max(1, self.settings.min_group)
        (block,) = runs.blocks
        column = block.columns[attribute]
        members = [rows_of(column, g) for g in range(len(sizes))]
        units = [self._units(rows) for rows in members]
        few = min((u for u, counts in zip(units, large, strict=True) if counts), default=0)
        gaps, groups = [], []
        for name, values in every.items():
            spread = _root_range if name == "rmse" else range_of
            gap = spread_of_means(runs, values, attribute, large, self.settings, spread)
            if gap is not None:
                gaps.append(self._difference(f"{name}_gap", gap, few, place=(attribute,)))
        for g, group in enumerate(column.names):
            if len(members[g]) > 1:
                groups += [
                    self._difference(
                        name, self._mean(name, values, members[g]), units[g],
                        place=(attribute, group), exact=True,
                    )
                    for name, values in every.items()
                ]  # fmt: skip
        return gaps, groups

    def _mean(
        self, name: str, values: list[Float], rows: NDArray[np.intp] | None = None
    ) -> Measured:
        some = None if rows is None else [rows]
        found = mean_metric(self.runs, values, some)
        if name != "rmse":
            return found
        # The delta method: a root moves by 1 / (2 root) of its square.
        roots = np.sqrt(np.maximum(found.values, 0))
        slopes = np.where(roots > 0, 0.5 / np.where(roots > 0, roots, 1), 0.0)
        moved = mean_metric(self.runs, [values[0] * slopes[:, :, None]], some)
        return Measured(roots, moved.noise)


def _root_range(squares: Float) -> Float:
    return range_of(np.sqrt(np.maximum(squares, 0)))


def _errors(table: Predictions) -> dict[str, RowValues]:
    assert table.measured is not None
    return {row.path[0]: row for row in row_values(table.measured)}


def compare_measurements(
    first: Predictions,
    second: Predictions,
    settings: Settings | None = None,
    *,
    margin: float | None = None,
    names: tuple[str, str] = ("first", "second"),
) -> ComparisonContent:
    """Bias, MAE and RMSE of `first` minus those of `second`, by group and of the gaps.

    Parameters
    ----------
    first, second : tables of measurements with predictions, the same rows in the same order; the
        groups are the first's.
    settings : as of an audit; None is the defaults.
    margin : a difference below which the two count as equivalent, in the label's unit; None for
        none.
    names : what to call the two.

    Returns
    -------
    As `compare_predictions`, of the metrics "bias", "mae", "rmse" and their gaps.

    Raises
    ------
    InputError : the rows or labels are not the same, a margin that is not above 0, or a setting
        that does not fit a comparison.
    """
    settings = Settings() if settings is None else settings
    runs = runs_of_numbers(first, second, names, settings, margin)
    _check_labels(first, second, names)
    margins = {} if margin is None else dict.fromkeys(MEASURED, margin)
    maker = NumericDifferences(runs, None, settings, margins, None)
    return compared(maker, names, notes_of(runs), margin=margin)


def compare_numeric(
    labels: Any,
    first: Any,
    second: Any,
    groups: Any,
    *,
    names: tuple[str, str] = ("first", "second"),
    margin: float | None = None,
    clusters: Any = None,
    bin_groups: Mapping[str, Any] | None = None,
    **options: Any,
) -> PairedResult:
    """Compare two models' predictions of numbers on the same rows: differences, verdicts.

    Parameters
    ----------
    labels : (n,) true numbers.
    first, second : (n,) predicted ones of the two; differences are first minus second. Rows that
        lack one of the three are left out and counted.
    groups, clusters, bin_groups : as of `fairlora.audit`.
    names : what to call the two.
    margin : differences below this count as equivalent, in the label's unit; None for none.
    options : of `Settings`: level, min_group, bootstrap, seed, intersect, max_groups,
        missing_group.

    Raises
    ------
    InputError : as `fairlora.audit_numeric`.

    >>> labels, groups = list(range(20)), {"g": list("ab") * 10}
    >>> found = compare_numeric(labels, labels, [y + 1 for y in labels], groups)
    >>> found.to_dict()["overall"]["mae"]["value"]
    -1.0
    """
    columns = {
        "labels": (labels, UNLABELED),
        "first": (first, f"{UNPREDICTED} of the first"),
        "second": (second, f"{UNPREDICTED} of the second"),
    }
    table, (y, *both) = number_table(columns, groups, clusters, bin_groups)
    one, other = (with_measurements(table, [y, p], [], predicted=True) for p in both)
    settings = Settings(**options)
    check_score_settings(settings, "measurements")
    return PairedResult(compare_measurements(one, other, settings, margin=margin, names=names))


def _check_labels(first: Predictions, second: Predictions, names: tuple[str, str]) -> None:
    one, other = first.measured, second.measured
    assert one is not None
    assert other is not None
    changed = np.flatnonzero(one.labels != other.labels)
    if len(changed):
        row = int(changed[0])
        raise InputError(
            "another label",
            where=f"{names[1]}, row {str(first.ids[row])!r}",
            found=f"{other.labels[row]:g} ({len(changed):,} rows differ)",
            expected=f"{one.labels[row]:g}, as in {names[0]}",
        )

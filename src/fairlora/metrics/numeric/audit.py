"""`fairlora.audit_numeric`: labels and predictions that are numbers, audited by group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from fairlora.errors import InputError
from fairlora.metrics.number_columns import number_table
from fairlora.metrics.numeric.assemble import numeric_content
from fairlora.metrics.numeric.content import NumericContent
from fairlora.metrics.numeric.page import numeric_page
from fairlora.metrics.result import DotsResult, GroupedResult
from fairlora.metrics.scores import check_score_settings
from fairlora.metrics.settings import Settings
from fairlora.predictions import Predictions
from fairlora.predictions.measurements import (
    UNLABELED,
    UNPREDICTED,
    checked_levels,
    with_measurements,
    without_quantile,
)
from fairlora.report.page import Page

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, repr=False)
class NumericResult(DotsResult[NumericContent], GroupedResult[NumericContent]):
    """What an audit of measurements found."""

    title: ClassVar[str] = "Audit of measurements"

    def page(self, title: str) -> Page:
        """Return the audit as a page."""
        return numeric_page(self.content, title)


def audit_numeric(
    labels: Any,
    predictions: Any,
    groups: Any,
    *,
    quantiles: Mapping[float, Any] | None = None,
    clusters: Any = None,
    bin_groups: Mapping[str, Any] | None = None,
    weight: Any = None,
    **options: Any,
) -> NumericResult:
    """Audit a regression across groups: bias, MAE, RMSE, rank correlation, quantile coverage.

    Parameters
    ----------
    labels : (n,) true numbers.
    predictions : (n,) predicted ones; None where quantiles alone are predicted. Rows without a
        label, a prediction or a quantile (NaN) are left out and counted.
    groups, clusters, bin_groups, weight : as of `fairlora.audit`. With weights there is no rank
        correlation.
    quantiles : level -> (n,) predicted quantiles, as in ``{0.1: low, 0.9: high}``; the outermost
        two make an interval, the next two another.
    options : of `Settings`: level, min_group, bootstrap, seed, intersect, max_groups,
        missing_group.

    Raises
    ------
    InputError : lengths that differ, words or infinite numbers, a level that is not between 0 and
        1, or no row that has all numbers.

    >>> found = audit_numeric([1, 2, 3, 4], [1, 2, 4, 6], {"sex": list("ffmm")}, min_group=1)
    >>> gap = found.to_dict()["disparities"]["sex"]["mae_gap"]
    >>> gap["value"], gap["largest"]
    (1.5, 'm')
    """
    given = {"labels": (labels, UNLABELED)}
    if predictions is not None:
        given["predictions"] = predictions, UNPREDICTED
    by_level = {float(level): values for level, values in (quantiles or {}).items()}
    levels = checked_levels(by_level)
    for level in levels:
        given[f"quantiles[{level:g}]"] = by_level[level], without_quantile(level)
    if len(given) == 1:
        raise InputError("nothing is predicted", expected="predictions or quantiles")
    table, numbers = number_table(given, groups, clusters, bin_groups, weight)
    table = with_measurements(table, numbers, levels, predicted=predictions is not None)
    return audit_numeric_table(table, **options)


def audit_numeric_table(
    predictions: Predictions, settings: Settings | None = None, **options: Any
) -> NumericResult:
    """Audit a table of measurements; see `audit_numeric`. `options` are fields of `Settings`."""
    settings = Settings(**options) if settings is None else settings
    check_score_settings(settings, "measurements")
    return NumericResult(numeric_content(predictions, settings))

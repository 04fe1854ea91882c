"""The content of an audit of measurements as pydantic models; see `fairlora.metrics.content`.

Label, prediction, bias, MAE, RMSE, pinball loss and widths are in the label's unit; coverage is a
share of rows.
"""

from __future__ import annotations

from pydantic import Field

from fairlora.metrics.content import (
    EFFECTIVE,
    Disparity,
    GroupRows,
    Lowest,
    Number,
    Numbers,
    Pair,
    ScoreSettings,
)
from fairlora.report.result import Record


class QuantileNumbers(Numbers):
    """One predicted quantile."""

    coverage: Number = Field(description="share of rows with a label of at most the quantile")
    pinball: Number = Field(description="mean pinball loss")


class IntervalNumbers(Numbers):
    """The interval between two predicted quantiles."""

    coverage: Number = Field(description="share of rows with a label within, ends included")
    width: Number = Field(description="mean width")


class QuantileGaps(Numbers):
    """The disparities of one predicted quantile."""

    coverage_gap: Disparity = Field(description="largest minus smallest coverage of a group")
    coverage_worst: Disparity = Field(description="largest distance of a group to the level")
    pinball_gap: Disparity = Field(description="largest minus smallest mean pinball loss")
    pinball_worst: Lowest = Field(description="largest mean pinball loss of a group")


class IntervalGaps(Numbers):
    """The disparities of one interval between quantiles."""

    coverage_gap: Disparity = Field(description="largest minus smallest coverage of a group")
    coverage_worst: Disparity = Field(description="largest distance of a group to what is stated")
    width_gap: Disparity = Field(description="largest minus smallest mean width")


class _Nested(Numbers):
    """Numbers by name, those of quantiles and intervals among them."""

    def numbers(self) -> dict[str, Number]:
        """Name -> number; "coverage 0.1-0.9" is of that interval."""
        out = super().numbers()
        for part in ("quantiles", "intervals"):
            for level, one in (getattr(self, part) or {}).items():
                out |= {f"{name} {level}": number for name, number in one.numbers().items()}
        return out


class _Measured(_Nested):
    label: Number = Field(description="mean label")
    prediction: Number | None = Field(default=None, description="mean prediction")
    bias: Number | None = Field(default=None, description="mean of prediction minus label")
    mae: Number | None = Field(default=None, description="mean absolute error")
    rmse: Number | None = Field(default=None, description="root of the mean squared error")
    rank_correlation: Number | None = Field(
        default=None, description="Spearman's, of label and prediction"
    )
    quantiles: dict[str, QuantileNumbers] | None = Field(default=None, description="by level")
    intervals: dict[str, IntervalNumbers] | None = Field(
        default=None, description='by the levels of both ends, "0.1-0.9"'
    )


class NumericOverall(_Measured):
    """What holds for all rows."""


class NumericGroup(_Measured, GroupRows):
    """What holds for one group."""

    label_difference: Number = Field(description="mean label minus that of everyone outside it")
    prediction_difference: Number | None = Field(default=None, description="as for the label")
    bias_difference: Number | None = Field(default=None, description="as for the label")
    mae_difference: Number | None = Field(default=None, description="as for the label")
    rmse_difference: Number | None = Field(default=None, description="as for the label")


class NumericDisparities(_Nested):
    """The disparities between the groups of one attribute."""

    label_gap: Disparity = Field(description="largest minus smallest mean label")
    prediction_gap: Disparity | None = Field(default=None, description="... mean prediction")
    bias_gap: Disparity | None = Field(default=None, description="... bias")
    bias_worst: Disparity | None = Field(default=None, description="largest |bias| of a group")
    mae_gap: Disparity | None = Field(default=None, description="largest minus smallest MAE")
    mae_worst: Lowest | None = Field(default=None, description="largest MAE of a group")
    rmse_gap: Disparity | None = Field(default=None, description="largest minus smallest RMSE")
    rmse_worst: Lowest | None = Field(default=None, description="largest RMSE of a group")
    rank_correlation_gap: Disparity | None = Field(
        default=None, description="largest minus smallest rank correlation"
    )
    rank_correlation_worst: Lowest | None = Field(
        default=None, description="lowest rank correlation of a group"
    )
    quantiles: dict[str, QuantileGaps] | None = Field(default=None, description="by level")
    intervals: dict[str, IntervalGaps] | None = Field(
        default=None, description='by the levels of both ends, "0.1-0.9"'
    )


class NumericContent(Record):
    """Everything that an audit of measurements found."""

    n: int = Field(description="rows that were audited")
    effective: float | None = Field(default=None, description=EFFECTIVE)
    left_out: dict[str, int] = Field(description="reason -> rows that were left out")
    quantiles: list[float] = Field(description="levels of the predicted quantiles")
    crossing: int = Field(description="rows of which a lower quantile lies above a higher one")
    settings: ScoreSettings
    overall: NumericOverall
    by_group: dict[str, dict[str, NumericGroup]] = Field(description="attribute -> group")
    disparities: dict[str, NumericDisparities] = Field(description="by attribute")
    pairwise: dict[str, list[Pair]] = Field(
        description="attribute -> every pair of groups of bias, mae, rmse and rank_correlation; "
        "empty above 30 groups"
    )
    warnings: list[str]

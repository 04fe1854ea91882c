"""The content of an audit without labels as pydantic models: what `SelectionResult` holds."""

from __future__ import annotations

from pydantic import Field

from fairlora.metrics.content import (
    EFFECTIVE,
    AgainstRest,
    Disparity,
    ImpactRatio,
    Number,
    Numbers,
    Pair,
    ScoreSettings,
)
from fairlora.report.result import Record


class BoundedRatio(ImpactRatio):
    """An impact ratio, and how far those of unknown group could move it."""

    if_unknown_were_known: list[float] | None = Field(
        default=None, description="the smallest and largest that any assignment allows"
    )


class DecidedGroup(Numbers):
    """How many of a group are selected, beside everyone outside it and the highest group."""

    n: int
    effective: float | None = Field(default=None, description=EFFECTIVE)
    selected: int
    share: float = Field(description="of all rows")
    small: bool = Field(description="too few rows: shown, and not compared")
    missing: bool
    selection_rate: Number
    dpd: AgainstRest = Field(description="demographic parity difference to everyone outside it")
    impact_ratio: BoundedRatio


class OverallSelection(Numbers):
    """The decisions of all rows."""

    selection_rate: Number


class SelectionDisparities(Numbers):
    """The disparities between the groups of one attribute."""

    dpd: Disparity = Field(description="demographic parity difference")
    dp_ratio: Disparity = Field(description="demographic parity ratio")


class SelectionContent(Record):
    """Everything that an audit of decisions without labels found."""

    n: int = Field(description="rows that were audited, or people who were counted")
    effective: float | None = Field(default=None, description=EFFECTIVE)
    selected: int
    left_out: dict[str, int] = Field(description="reason -> rows that were left out")
    positive: str = Field(description="what the selected are called")
    standard: str | None = Field(description="the law whose rules say who is compared")
    settings: ScoreSettings
    overall: OverallSelection
    by_group: dict[str, dict[str, DecidedGroup]] = Field(description="attribute -> group")
    disparities: dict[str, SelectionDisparities] = Field(description="by attribute")
    pairwise: dict[str, list[Pair]] = Field(
        description="attribute -> every pair of groups; empty above 30 groups"
    )
    warnings: list[str]

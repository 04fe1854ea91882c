"""The content of a comparison as pydantic models: what `PairedResult` holds and its JSON has.

Every number is the first's minus the second's, over seeds the mean. Shares and rates are 0 to 1,
losses in nats. An undefined number is null and has a `reason`. A key that says nothing is left out,
not null: such fields are None in Python.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fairlora.metrics.content import Number, ShownSettings
from fairlora.report.result import Record

Word = Literal["equivalent", "better", "worse", "different", "inconclusive", "undefined"]


class Verdict(Number):
    """A difference with its interval, and what is said of it."""

    first: float | None = Field(description="of the first; over seeds the mean")
    second: float | None = Field(description="of the second; over seeds the mean")
    p: float | None = Field(description="two-sided, by itself")
    p_corrected: float | None = Field(
        description="p for the whole family: Holm, of groups' rows Benjamini-Hochberg"
    )
    margin: float | None = Field(description="differences below it count as none")
    detectable: float | None = Field(
        description="the smallest difference found four times out of five, uncorrected"
    )
    verdict: Word = Field(description="the first's: better says that the first is better")
    error: float | None = Field(description="the standard error of the difference")
    attribute: str | None = Field(default=None, description="of the groups it is about")
    group: str | None = Field(default=None, description="the group it is of")
    first_sd: float | None = Field(default=None, description="standard deviation over seeds")
    second_sd: float | None = Field(default=None, description="standard deviation over seeds")
    sd: float | None = Field(default=None, description="of the difference, over seeds")
    per_seed: list[float | None] | None = Field(default=None, description="each seed's difference")
    error_rows: float | None = Field(default=None, description="the rows' part of `error`")
    error_seeds: float | None = Field(default=None, description="the seeds' part of `error`")
    allowance: float | None = Field(
        default=None,
        description="how much of it unequal noise of the two may explain, with its sign",
    )


class ComparisonSettings(ShownSettings):
    """The settings of the comparison."""

    margin: float | None = Field(description="differences of rates below it count as equivalent")
    margins: dict[str, float] | None = Field(
        default=None, description="metric -> its own margin; over seeds alone"
    )
    ratio: float | None = Field(
        default=None, description="test rows over training rows, where test rows vary with the seed"
    )


# Fields stand in the JSON as they do here: those of the last base come first.
class Sides(Record):
    """Who is compared."""

    n: int = Field(description="rows that were compared; of varying test rows the fewest")
    first: str
    second: str


class Verdicts(Sides):
    """The verdicts: three families, each with a correction of its own."""

    overall: dict[str, Verdict] = Field(description="by metric")
    disparities: dict[str, dict[str, Verdict]] = Field(description="attribute -> metric")
    by_group: dict[str, dict[str, dict[str, Verdict]]] = Field(
        description="attribute -> group -> metric; exploratory"
    )

    @property
    def families(self) -> tuple[dict[str, Verdict], ...]:
        """Metric -> verdict: overall, of each attribute's disparities, of each of its groups."""
        groups = (rows for by_group in self.by_group.values() for rows in by_group.values())
        return self.overall, *self.disparities.values(), *groups


class _Settled(Record):
    positive: str | None = Field(description="the positive class; null where there are not two")
    settings: ComparisonSettings


class _Rows(Record):
    left_out: dict[str, int] | None = Field(
        default=None, description="reason -> rows that were left out; of one pair alone"
    )
    seeds: list[int] | None = Field(
        default=None, description="seeds that both have; over seeds alone"
    )


class ComparisonContent(Verdicts, _Settled, Sides, _Rows):
    """Everything that a comparison of two models found."""

    warnings: list[str]

"""The content of a watch's report as pydantic models."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fairlora.metrics.content import Number, Numbers
from fairlora.report.result import Record

Direction = Literal["fell", "rose"]
Against = Literal["baseline", "rest"]


class WatchSettings(Record):
    """What the report's numbers depend on, beside the tallies."""

    level: float = Field(
        description="of all bounds together; alarms are false in 1 - level at most"
    )
    margin: float = Field(description="a change below this raises no alarm")
    tests: int = Field(description="one-sided tests that share the chance of a false alarm")
    bounds: int = Field(description="confidence sequences that share the chance of a miss")


class Course(Record):
    """A rate look by look, one value for each of the report's `looks`."""

    n: list[int] = Field(description="rows of the period")
    value: list[float | None] = Field(description="the period's rate; null without rows")
    mean: list[float | None] = Field(description="the mean rate since the baseline")
    low: list[float] = Field(description="lower bound of the mean rate")
    high: list[float] = Field(description="upper bound of the mean rate")


class Watched(Number):
    """A rate since the baseline, with bounds that hold however often one looks."""

    n: int = Field(description="rows since the baseline")
    baseline: Number = Field(description="the baseline's rate, with an interval for one look")
    difference: Number | None = Field(
        default=None, description="minus the rate of everyone outside the group"
    )
    course: Course


class WatchedRates(Numbers):
    """The rates of some rows; what needs labels is null until they come."""

    n: int = Field(description="rows of all periods, the baseline's among them")
    accuracy: Watched | None = None
    selection_rate: Watched | None = None
    tpr: Watched | None = Field(default=None, description="true positive rate")
    fpr: Watched | None = Field(default=None, description="false positive rate")


class WatchedGroup(WatchedRates):
    """The rates of a group."""

    new: bool = Field(description="not in the baseline: no alarms")


class WatchedGap(Number):
    """Largest minus smallest rate of a group since the baseline."""

    smallest: str
    largest: str
    baseline: float | None = Field(description="the same at the baseline")
    lowest: list[str] = Field(description="groups that can be the lowest by the bounds")


class Alarm(Record):
    """A rate that is shown to have left its baseline."""

    attribute: str | None = Field(description="null of all rows")
    group: str | None
    metric: str
    against: Against = Field(
        description="the rate against its own baseline, or its difference to everyone outside the "
        "group against that at the baseline"
    )
    direction: Direction
    period: str = Field(description="the first in which the evidence was enough")
    baseline: Number = Field(description="the rate, or difference, at the baseline")
    value: float = Field(description="in the period of the alarm")
    evidence: float = Field(description="highest so far, at most 1e100")
    threshold: float = Field(description="what it had to reach")


class WatchContent(Record):
    """Everything that a watch shows."""

    n: int = Field(description="rows of all periods")
    periods: list[str]
    baseline: str = Field(description="the first period")
    looks: list[str] = Field(description="the periods that courses show; of many some")
    unlabelled: dict[str, int] = Field(description="period -> rows whose labels are not there yet")
    positive: str | None = Field(description="the class whose selection is watched")
    settings: WatchSettings
    overall: WatchedRates
    by_group: dict[str, dict[str, WatchedGroup]] = Field(description="attribute -> group")
    gaps: dict[str, dict[str, WatchedGap]] = Field(description="attribute -> metric")
    alarms: list[Alarm] = Field(description="the first first")
    warnings: list[str]

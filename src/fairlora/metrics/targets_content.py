"""The content of an audit of several targets as pydantic models: what `TargetsResult` holds."""

from __future__ import annotations

from pydantic import Field

from fairlora.metrics.content import (
    EFFECTIVE,
    Curves,
    DisparityNumbers,
    GroupNumbers,
    Number,
    Numbers,
    OperatingPoint,
    OverallNumbers,
    ShownSettings,
)
from fairlora.report.result import Record


class ClinicalNumbers(Numbers):
    """What medicine asks of a test."""

    sensitivity: Number
    specificity: Number
    ppv: Number = Field(description="positive predictive value")
    npv: Number = Field(description="negative predictive value")
    fnr: Number = Field(description="1 - sensitivity")
    fdr: Number = Field(description="1 - PPV, the false discovery rate")
    omission: Number = Field(alias="for", description="1 - NPV, the false omission rate")
    auc: Number
    calibration_intercept: Number = Field(description="0 where the mean risk is right")
    calibration_slope: Number = Field(description="below 1 where probabilities are too extreme")


class _Size(Record):
    n: int
    effective: float | None = Field(default=None, description=EFFECTIVE)


class ClinicalGroup(ClinicalNumbers, _Size):
    """What medicine asks of a test, of one group."""


class Clinical(Record):
    """What medicine asks of a test, of everyone and by group."""

    overall: ClinicalNumbers
    by_group: dict[str, dict[str, ClinicalGroup]] = Field(description="attribute -> group")
    es_auc: dict[str, float | None] = Field(
        description="attribute -> AUC / (1 + the groups' summed distance to it)"
    )


class Target(Record):
    """One target."""

    n: int = Field(description="rows that have a label")
    effective: float | None = Field(default=None, description=EFFECTIVE)
    positives: int
    labels: dict[str, int] = Field(description="what was made of odd labels -> rows")
    overall: OverallNumbers
    by_group: dict[str, dict[str, GroupNumbers]] = Field(description="attribute -> group")
    disparities: dict[str, DisparityNumbers] = Field(description="by attribute")
    clinical: Clinical
    curves: Curves | None = Field(default=None, description="with `curves` alone")
    operating_points: list[OperatingPoint] | None = Field(
        default=None, description="with `at` alone"
    )


class TargetSettings(ShownSettings):
    """The settings of the audit."""

    level_each: float = Field(description="of one target's intervals, so that all hold together")
    threshold: float = Field(description="a target is predicted from this probability on")


class TargetsContent(Record):
    """Everything that an audit of several targets found."""

    n: int = Field(description="rows of the table")
    settings: TargetSettings
    targets: dict[str, Target] = Field(description="by the target's name")
    warnings: list[str]

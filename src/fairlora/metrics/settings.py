"""Settings of an audit: everything but the rows that its numbers depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, field_validator

from fairlora.errors import InputError
from fairlora.settings import SettingsModel

Confidence = Literal["top", "positive"]
MissingGroup = Literal["show", "keep"]
SubgroupMetric = Literal["accuracy", "selection_rate", "tpr", "fpr"]
RateName = Literal["sensitivity", "specificity"]
PointName = Literal["threshold", "sensitivity", "specificity"]
_SHOWN = ("level", "bootstrap", "seed", "min_group", "bins", "confidence", "missing_group")


class AuditSettings(SettingsModel):
    """How predictions are audited: the settings that a run's file has too."""

    positive: str | None = Field(
        default=None, description="the positive class of a binary label; default: the last"
    )
    bins: int = Field(default=15, ge=1, description="confidence bins of the ECE")
    min_group: int = Field(
        default=10, ge=0, description="rates of fewer rows are left out of maxima and spreads"
    )
    confidence: Confidence = Field(
        default="top",
        description="what calibration is about: the predicted class's probability (top), or the "
        "positive class's",
    )
    suggests: Mapping[str, Mapping[str, str]] = Field(
        default_factory=dict,
        description="attribute -> group -> the class that the group would suggest, for sensitive "
        "agreement",
    )


class Settings(AuditSettings):
    """All settings of an audit; see `fairlora.audit`."""

    bootstrap: int = Field(default=2000, ge=0, description="bootstrap draws")
    seed: int = Field(default=0, ge=0, description="seed of everything drawn")
    level: float = Field(default=0.95, ge=0.5, le=0.999999, description="level of the intervals")
    intersect: tuple[tuple[str, ...], ...] = Field(
        default=(), description="combinations of attributes to audit"
    )
    subgroups: int = Field(
        default=0,
        ge=0,
        description="rank all subgroups of up to so many attributes, and search for the worst",
    )
    subgroup_size: int = Field(
        default=30, ge=1, description="rows that a subgroup of the search needs"
    )
    subgroup_metric: SubgroupMetric = Field(
        default="accuracy",
        description="what the search compares: accuracy, selection_rate, tpr or fpr",
    )
    power: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="say how many examples each group needs to show this difference",
    )
    max_groups: int | None = Field(
        default=None,
        ge=1,
        description="more groups than this are taken for ids or measurements; default: 1,000 "
        "names, 60 numbers",
    )
    missing_group: MissingGroup = Field(
        default="show",
        description="rows without a group value: shown and not compared, or kept as a group",
    )
    four_fifths: bool = Field(
        default=False,
        description="add impact ratios, with a verdict against the four-fifths rule",
    )
    curves: bool = Field(
        default=False,
        description="add ROC and precision-recall curves by group with bands, AUC and average "
        "precision",
    )
    at: tuple[tuple[PointName, float], ...] = Field(
        default=(),
        description="operating points at which sensitivity and specificity are given by group",
    )

    @field_validator("at", mode="before")
    @classmethod
    def _points(cls, points: Any) -> Any:
        return points_of(points) if isinstance(points, Mapping) else points

    @field_validator("at")
    @classmethod
    def _rates(
        cls, points: tuple[tuple[PointName, float], ...]
    ) -> tuple[tuple[PointName, float], ...]:
        for name, value in points:
            rate = name != "threshold"
            if not 0 <= value <= 1 or (rate and value in (0, 1)):
                between = "between 0 and 1" if rate else "from 0 to 1"
                raise ValueError(f"{name} must be {between}, found {value:g}")
        if len(set(points)) < len(points):
            raise ValueError("an operating point stands twice")
        return points

    def check_comparison(self) -> None:
        """Raise `InputError` for what a comparison of two sets of predictions does not have."""
        names = ("subgroups", "power", "suggests", "four_fifths", "curves", "at")
        self.refuse("a comparison", names)

    def refuse(self, what: str, names: Sequence[str]) -> None:
        """Raise `InputError` for a setting that is given and has no part in what is done.

        Parameters
        ----------
        what : what is done, as the message says it.
        names : of the settings.
        """
        for name in names:
            if getattr(self, name):
                raise InputError(f"not part of {what}", where=name)

    def shown(self) -> dict[str, Any]:
        """What the audit's JSON repeats."""
        return {name: getattr(self, name) for name in _SHOWN}


def points_of(at: Mapping[str, Any]) -> tuple[tuple[PointName, float], ...]:
    """The operating points of a mapping: a number each, or several.

    >>> points_of({"specificity": [0.9, 0.95], "threshold": 0.5})
    (('specificity', 0.9), ('specificity', 0.95), ('threshold', 0.5))
    """
    return tuple(
        (name, value)  # type: ignore[misc]
        for name, given in at.items()
        for value in (given if isinstance(given, list | tuple) else (given,))
    )

"""Settings of an audit: everything but the rows that its numbers depend on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from fairlora.errors import InputError
from fairlora.settings import SettingsModel

Confidence = Literal["top", "positive"]
MissingGroup = Literal["show", "keep"]
SubgroupMetric = Literal["accuracy", "selection_rate", "tpr", "fpr"]
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

    def check_comparison(self) -> None:
        """Raise `InputError` for what a comparison of two sets of predictions does not have."""
        for name in ("subgroups", "power", "suggests", "four_fifths"):
            if getattr(self, name):
                raise InputError("not part of a comparison", where=name)

    def shown(self) -> dict[str, Any]:
        """What the audit's JSON repeats."""
        return {name: getattr(self, name) for name in _SHOWN}

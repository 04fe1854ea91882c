"""Settings of an audit: everything but the rows that its numbers depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from fairlora.errors import InputError

Confidence = Literal["top", "positive"]
MissingGroup = Literal["show", "keep"]
SUBGROUP_METRICS = ("accuracy", "selection_rate", "tpr", "fpr")


@dataclass(frozen=True)
class Settings:
    """The options of an audit; `fairlora.audit` documents them.

    Raises `InputError` for one out of range.
    """

    positive: str | None = None
    min_group: int = 10
    bins: int = 15
    confidence: Confidence = "top"
    bootstrap: int = 2000
    seed: int = 0
    level: float = 0.95
    intersect: Sequence[Sequence[str]] = ()
    subgroups: int = 0
    subgroup_size: int = 30
    subgroup_metric: str = "accuracy"
    suggests: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    power: float | None = None
    max_groups: int | None = None
    missing_group: MissingGroup = "show"
    four_fifths: bool = False

    def __post_init__(self) -> None:
        _at_least("bins", self.bins, 1)
        _at_least("bootstrap", self.bootstrap, 0)
        _at_least("seed", self.seed, 0)
        _at_least("subgroups", self.subgroups, 0)
        _at_least("subgroup_size", self.subgroup_size, 1)
        if self.max_groups is not None:
            _at_least("max_groups", self.max_groups, 1)
        if not 0.5 <= self.level < 1:
            raise InputError(
                "no level of an interval",
                where="level",
                found=self.level,
                expected="0.5 to below 1",
            )
        if self.power is not None and not 0 < self.power < 1:
            raise InputError(
                "no difference of rates",
                where="power",
                found=self.power,
                expected="above 0, below 1",
            )
        if self.subgroup_metric not in SUBGROUP_METRICS:
            raise InputError(
                "unknown metric of a search",
                where="subgroup_metric",
                found=repr(self.subgroup_metric),
                expected=", ".join(SUBGROUP_METRICS),
            )
        if self.confidence not in ("top", "positive"):
            raise InputError(
                "unknown confidence",
                where="confidence",
                found=repr(self.confidence),
                expected="top or positive",
            )
        if self.missing_group not in ("show", "keep"):
            raise InputError(
                "no way to take rows without a group value",
                where="missing_group",
                found=repr(self.missing_group),
                expected="show or keep",
            )

    def check_comparison(self) -> None:
        """Raise `InputError` for what a comparison of two sets of predictions does not have."""
        for name in ("subgroups", "power", "suggests", "four_fifths"):
            if getattr(self, name):
                raise InputError("not part of a comparison", where=name)

    def shown(self) -> dict[str, Any]:
        """What the audit's JSON repeats."""
        return {
            "level": self.level,
            "bootstrap": self.bootstrap,
            "seed": self.seed,
            "min_group": self.min_group,
            "bins": self.bins,
            "confidence": self.confidence,
            "missing_group": self.missing_group,
        }


def _at_least(name: str, value: int, least: int) -> None:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or value != value or int(value) != value or value < least:
        what = "too few bins" if name == "bins" else "too small"
        raise InputError(what, where=name, found=value, expected=f">= {least}")

"""What a gate found, as pydantic models: what `GateResult.content` holds and its JSON has."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from fairlora.metrics.content import Number
from fairlora.metrics.gate.policy import Action
from fairlora.report.result import Record

Outcome = Literal["met", "violated", "cannot be told", "undefined"]


class Needed(Record):
    """How many rows would decide a rule four times out of five, if values stay as found."""

    group: str | None = Field(description="whose rows; null for all rows")
    n: int = Field(description="rows at hand")
    needed: int | None = Field(description="rows; null where the value is the limit itself")


class RuleResult(Number):
    """A rule with what was found."""

    rule: dict[str, Any] = Field(description="as the policy has it")
    text: str = Field(description="in words")
    limit: float = Field(description="of the number, or of its difference from the baseline")
    outcome: Outcome
    action: Action = Field(description="what the outcome does; a rule that is met passes")
    baseline: float | None = Field(default=None, description="the number of the baseline")
    current: float | None = Field(
        default=None, description="the number itself, of a rule against a baseline"
    )
    groups: list[str] | None = Field(
        default=None, description="those that violate the rule, or that it is decided by"
    )
    needed: list[Needed] | None = Field(
        default=None, description="where it cannot be told: the rows that would tell"
    )
    left_out: list[str] | None = Field(
        default=None, description="groups of fewer than `min_group` rows, which are not in it"
    )


class GateSettings(Record):
    """The settings of the gate."""

    level: float = Field(description="at which all intervals hold together")
    interval_level: float = Field(description="of each rule's interval: Bonferroni")
    cannot_be_told: Action
    undefined: Action
    bootstrap: int = Field(description="draws")
    seed: int
    min_group: int
    bins: int
    weight: str | None = None
    clusters: int | None = None


class GateContent(Record):
    """Everything that a gate found."""

    n: int = Field(description="rows that were judged")
    left_out: dict[str, int] = Field(description="reason -> rows that were left out")
    positive: str | None = Field(description="the positive class; null where there are not two")
    baseline: str | None = Field(default=None, description="what the rules are against")
    settings: GateSettings
    outcome: Outcome = Field(description="violated if a rule is; else the worst that fails or is")
    exit_code: int = Field(description="0 passed, 3 violated, 4 cannot be told or undefined")
    passed: bool
    rules: list[RuleResult]
    warnings: list[str]

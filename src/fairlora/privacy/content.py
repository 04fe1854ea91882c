"""The content of judged attacks as pydantic models: what `PrivacyResult` holds and its JSON has.

Rates and AUCs are 0 to 1. An undefined number is null and has a `reason`. A key that says nothing
is left out, not null: such fields are None in Python.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fairlora.metrics.comparison.content import Sides, Verdicts
from fairlora.metrics.content import CurvePoint, Number
from fairlora.report.result import Record


class Ends(Record):
    """An interval."""

    low: float
    high: float


class Rate(Record):
    """A rate with its interval."""

    value: float
    low: float
    high: float


class Auc(Number):
    """An AUC; `p` is one-sided against one half."""

    p: float | None
    p_corrected: float | None = Field(
        default=None, description="p after Holm: over the attacks, or over an attribute's groups"
    )


class BalancedAccuracy(Number):
    """The balanced accuracy of the threshold that suits these rows best, and so too large."""

    expected_by_chance: float | None = Field(
        default=None, description="of an attack that tells nothing"
    )
    threshold: float | None = None


class OperatingPoint(Number):
    """The TPR at an FPR; the interval is of the TPR of that threshold (Clopper and Pearson)."""

    fpr: Rate | None = Field(default=None, description="the realised FPR of the threshold")
    threshold: float | None = None
    resolution: Literal["fine", "coarse", "unresolvable"] = Field(
        description="fewer than ten non-members above the threshold are coarse, none unresolvable"
    )
    non_members: int | None = None
    non_members_needed: int | None = Field(
        default=None, description="for a number at all, or for a fine one"
    )
    at_fpr: Ends | None = Field(
        default=None, description="the interval of the TPR at that FPR, its threshold uncertain"
    )


class EpsilonBound(Record):
    """A lower bound of epsilon from an attack; see `fairlora.privacy.epsilon`."""

    value: float | None = Field(description="epsilon is at least this, at `level`; 0 says nothing")
    reason: str | None = Field(default=None, description="why there is none")
    delta: float = Field(description="of the promise that it is set against")
    tpr_low: float | None = Field(default=None, description="the TPR is at least this")
    fpr_high: float | None = Field(default=None, description="the FPR is at most this")
    threshold: float | None = Field(default=None, description="chosen on the other half")


class Sizes(Record):
    """How many rows a group has."""

    n: int
    members: int
    non_members: int


class _Judged(Sizes):
    examples: int = Field(description="clusters, where rows come in clusters; else the rows")
    small: bool = Field(description="fewer members or non-members than `min_group`")
    auc: Auc
    balanced_accuracy_best: BalancedAccuracy
    tpr_at_fpr: dict[str, OperatingPoint] = Field(
        description="FPR -> TPR at the threshold of these rows' own non-members"
    )
    epsilon: EpsilonBound | None = Field(
        default=None, description="what an attack shows of epsilon: a lower bound"
    )


class OverallNumbers(_Judged):
    """What an attack comes to over all rows."""

    curve: list[CurvePoint] = Field(description="the ROC; empty where there is none")
    balanced_accuracy: Number = Field(description="at thresholds chosen on the other half")


class GroupNumbers(_Judged):
    """What an attack comes to for one group."""

    balanced_accuracy: Number = Field(description="at the group's thresholds on the other half")
    balanced_accuracy_global: Number = Field(description="at those of all rows")
    tpr_at_global_threshold: dict[str, OperatingPoint] = Field(
        description="FPR -> TPR and FPR at the threshold that has the FPR over all rows"
    )
    curve: list[CurvePoint] = Field(description="the ROC; empty where there is none")


class Gap(Number):
    """The largest group less the smallest; both are null where all are alike."""

    largest: str | None = None
    also_largest: list[str] | None = None
    smallest: str | None = None
    also_smallest: list[str] | None = None
    expected_by_chance: float | None = Field(description="its mean over permuted groups")
    p: float | None
    draws: int = Field(description="permutations that were made")
    p_reason: str | None = Field(default=None, description="why there is no p")
    p_corrected: float | None = Field(
        default=None, description="Holm over the primary gaps, Benjamini-Hochberg over the others"
    )
    family: Literal["primary", "exploratory"] | None = None


class ResistanceRow(Record):
    """One minus the AUC, and one minus the TPR, of a group beside its size."""

    group: str
    n: int
    examples: int
    members: int
    small: bool
    auc: Number
    tpr: Number


class RankCorrelation(Record):
    """Spearman's correlation of resistance and size over the groups that are large enough."""

    value: float | None
    p: float | None
    groups: int
    reason: str | None = None


class Resistance(Record):
    """Whether small groups are told apart more easily."""

    fpr: float = Field(description="of the TPR in `groups`")
    groups: list[ResistanceRow]
    rank_correlation: RankCorrelation


class AttackContent(Record):
    """One attack."""

    overall: OverallNumbers
    by_group: dict[str, dict[str, GroupNumbers]] = Field(description="attribute -> group")
    gaps: dict[str, dict[str, Gap]] = Field(
        description="attribute -> auc_gap, tpr_gap@FPR, tpr_gap_global@FPR, fpr_gap_global@FPR"
    )
    resistance: dict[str, Resistance] = Field(description="by attribute")


class SettingsRecord(Record):
    """How the attacks were judged."""

    fprs: list[float] = Field(description="false positive rates, largest first")
    level: float = Field(description="of all intervals")
    min_group: int
    permutations: int
    seed: int
    band: str = Field(description="how the bands of the ROCs are made")
    clusters: bool = Field(description="whether rows come in clusters")
    epsilon: float | None = Field(
        default=None, description="promised by training with differential privacy, at `delta`"
    )
    delta: float = Field(default=1e-5, description="of the bounds of epsilon, and of the promise")


class Shift(Record):
    """Whether members and non-members differ in what no training touched."""

    read: str = Field(description="what the test reads: scores of the base model, and of the text")
    auc: float | None = Field(description="of the classifier, on rows that its fit did not see")
    p: float | None = Field(description="by permutation of the members")
    reason: str | None = Field(default=None, description="why there is no test")


class PrivacyContent(Record):
    """Everything that was found of one attack or of several."""

    n: int
    members: int
    non_members: int
    settings: SettingsRecord
    groups: dict[str, dict[str, Sizes]] = Field(description="attribute -> group")
    attacks: dict[str, AttackContent] = Field(description="by the attack's name")
    shift: Shift | None = Field(
        default=None, description="of language models: whether the two sides differ without it"
    )
    warnings: list[str]


class PairedSettings(Record):
    """How two attacks were compared."""

    fprs: list[float] = Field(description="false positive rates, largest first")
    level: float = Field(description="of all intervals")
    min_group: int
    bootstrap: int = Field(description="draws of the rows")
    seed: int
    margin: float = Field(description="differences below it count as none")
    band: str = Field(description="how the bands of the ROCs are made")
    clusters: bool = Field(description="whether rows come in clusters")


class _Settled(Record):
    settings: PairedSettings
    groups: dict[str, dict[str, Sizes]] = Field(description="attribute -> group")


class _Rows(Record):
    n: int
    members: int
    non_members: int


# Fields stand in the JSON as they do here: those of the last base come first.
class PairedPrivacyContent(Verdicts, _Settled, Sides, _Rows):
    """Everything that a comparison of two models' attacks found."""

    curves: dict[str, list[CurvePoint]] = Field(description="the ROC of each; empty without one")
    warnings: list[str]

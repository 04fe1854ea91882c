"""The audit's content as pydantic models: what `AuditResult.content` holds and its JSON has.

Shares, rates and differences are 0 to 1 (-1 to 1), losses in nats. An undefined number is null and
has a `reason`. A key that says nothing is left out, not null: such fields are None in Python.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field
from typing_extensions import TypedDict

from fairlora.metrics.settings import Confidence, MissingGroup
from fairlora.report.result import Record

# What a description says where rows have weights.
EFFECTIVE = "with weights alone: rows of one weight that would say as much, (sum w)^2 / sum w^2"
_WEIGHT = "the column of weights, where rows have some"
RatioVerdict = Literal["below", "not below", "not shown", "undefined"]


class Number(Record):
    """A statistic with its interval."""

    value: float | None = Field(description="null where it is undefined; `reason` says why")
    low: float | None = Field(description="lower end of the interval; null where there is none")
    high: float | None = Field(description="upper end of the interval; null where there is none")
    reason: str | None = Field(default=None, description="why the value or its interval is missing")

    @classmethod
    def undefined(cls, reason: str) -> Self:
        """A statistic that has no value here."""
        return cls(value=None, low=None, high=None, reason=reason)


class Rate(Number):
    """A rate of a group; of more than two classes the mean over them."""

    by_class: dict[str, Number] | None = Field(
        default=None, description="class -> its rate against the rest; of more than two classes"
    )


class CalibrationError(Number):
    """An expected calibration error."""

    expected_if_calibrated: float | None = Field(
        default=None, description="what noise alone gives if the stated confidences were true"
    )


class Lowest(Number):
    """The lowest value of any group, or of any class (of an error the highest), with who has it."""

    group: str | None = Field(default=None, description="the group; null where several are level")
    groups: list[str] | None = Field(default=None, description="the groups that are level")
    class_name: str | None = Field(
        default=None, alias="class", description="the class; null where several are level"
    )
    classes: list[str] | None = Field(default=None, description="the classes that are level")
    all_alike: bool | None = Field(
        default=None, description="whether those that are level are all that could be compared"
    )


class Disparity(Number):
    """A gap, ratio or variance over the groups, with the groups at its ends.

    Both ends are null where all groups are alike; `also_...` name who is level with an end.
    """

    expected_by_chance: float | None = Field(
        default=None,
        description="its mean if there were no disparity: groups permuted among the rows",
    )
    no_chance_value: str | None = Field(
        default=None, description="why `expected_by_chance` is null"
    )
    group: str | None = Field(default=None, description="the group that differs most from the rest")
    class_name: str | None = Field(default=None, alias="class", description="the class it is of")
    rate: str | None = Field(
        default=None, description="the rate it is of: tpr, fpr, selection_rate"
    )
    best: str | None = Field(default=None, description="the group of the best value")
    also_best: list[str] | None = None
    worst: str | None = Field(default=None, description="the group of the worst value")
    also_worst: list[str] | None = None
    largest: str | None = Field(default=None, description="the group of the largest rate")
    also_largest: list[str] | None = None
    smallest: str | None = Field(default=None, description="the group of the smallest rate")
    also_smallest: list[str] | None = None
    left_out: dict[str, list[str]] | None = Field(
        default=None, description="group -> of what it has fewer than `min_group` rows"
    )


class RatioToHighest(Number):
    """A group's rate over the highest group's."""

    highest: str | None = Field(default=None, description="the group of the highest rate")
    also_highest: list[str] | None = None


class ImpactRatio(RatioToHighest):
    """A group's selection rate over the highest group's, with its verdicts."""

    four_fifths: RatioVerdict = Field(description="against the four-fifths rule: is it below 0.8?")
    equal: RatioVerdict = Field(description="against 1")


class AgainstRest(Number):
    """The absolute difference of a group to everyone outside it."""

    group: str | None = None
    class_name: str | None = Field(default=None, alias="class", description="the class it is of")


class Agreement(Number):
    """How often a group's rows are predicted as the group would suggest."""

    suggests: str | None = Field(default=None, description="the class that the group would suggest")


class _Pair(Record):
    metric: str = Field(description="accuracy, selection_rate, tpr or fpr")
    group: str
    other: str


class Pair(Number, _Pair):
    """A signed difference, `group` minus `other`; intervals hold for all pairs of a metric."""


class Numbers(Record):
    """Numbers by name."""

    def numbers(self) -> dict[str, Number]:
        """Name -> number, of those that are there."""
        return {name: value for name, value in self if isinstance(value, Number)}


# Fields stand in the JSON as they do here: those of the last base come first.
class _Scores(Numbers):
    ece: CalibrationError = Field(description="expected calibration error")
    mce: Number = Field(description="largest calibration error of a bin")
    confidence_gap: Number = Field(description="mean confidence minus accuracy")
    brier: Number = Field(description="Brier score, 0 to 2")
    nll: Number = Field(description="mean negative log-likelihood, in nats")
    auc: Number = Field(description="of the positive class; else the mean of one against the rest")
    mean_loss: Number


class _OverallRates(Numbers):
    accuracy: Number
    f1: Number
    recall: Number
    fpr: Number | None = Field(default=None, description="of two classes alone")
    precision: Number
    selection_rate: Number | None = Field(default=None, description="of two classes alone")
    f1_min: Lowest = Field(description="lowest F1 of a class")
    recall_min: Lowest = Field(description="lowest recall of a class")
    f1_gap: Disparity = Field(description="largest minus smallest F1 of a class")


class OverallNumbers(_Scores, _OverallRates):
    """What holds for all rows. More than two classes: means over the classes."""


class GroupRows(Numbers):
    """The rows of one group."""

    n: int = Field(description="rows")
    effective: float | None = Field(default=None, description=EFFECTIVE)
    small: bool = Field(
        description="fewer rows (or a lower effective size) than `min_group`: left out of maxima "
        "and spreads"
    )
    missing: bool = Field(description="the rows without a group value, compared with nobody")


class _GroupRates(GroupRows):
    accuracy: Number
    f1: Number
    selection_rate: Rate
    tpr: Rate
    fpr: Rate
    precision: Rate


class GroupNumbers(_Scores, _GroupRates):
    """What holds for one group."""

    dpd: AgainstRest = Field(description="demographic parity difference to everyone outside it")
    eod: AgainstRest = Field(description="equalized odds difference to everyone outside it")
    eopp: AgainstRest = Field(description="equal opportunity difference to everyone outside it")
    accuracy_difference: Number = Field(description="accuracy minus that of everyone outside it")
    sensitive_agreement: Agreement | None = Field(default=None, description="with `suggests` alone")


class DisparityNumbers(Numbers):
    """The disparities between the groups of one attribute."""

    accuracy_worst: Lowest
    accuracy_gap: Disparity
    dpd: Disparity = Field(description="demographic parity difference")
    eod: Disparity = Field(description="equalized odds difference")
    tpr_gap: Disparity
    fpr_gap: Disparity
    eopp_max: Disparity = Field(description="equal opportunity, one group against the rest")
    dp_ratio: Disparity = Field(description="demographic parity ratio")
    eo_ratio: Disparity = Field(description="equalized odds ratio")
    f1_min: Lowest
    recall_min: Lowest
    f1_gap: Disparity
    auc_worst: Lowest | None = Field(default=None, description="with probabilities alone")
    auc_gap: Disparity | None = Field(default=None, description="with probabilities alone")
    loss_variance: Disparity = Field(description="variance of the groups' mean losses")
    loss_variance_unbiased: Disparity = Field(
        description="less the noise of the groups' means: it may be negative"
    )
    sensitive_agreement: Number | None = Field(default=None, description="with `suggests` alone")


class SelectedGroup(Numbers):
    """How many of a group's rows are predicted as the positive class, and its impact ratio."""

    n: int
    effective: float | None = Field(default=None, description=EFFECTIVE)
    selected: int
    small: bool = Field(description="fewer rows than `min_group`: not compared")
    missing: bool
    selection_rate: Number
    impact_ratio: ImpactRatio


class Bin(Record):
    """The rows of a confidence bin; the last four are null for a bin without rows."""

    low: float
    high: float
    rows: int
    confidence: float | None
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None


class Reliability(Record):
    """The bins of reliability diagrams; of more than 50 groups those of the worst alone."""

    overall: list[Bin]
    by_group: dict[str, dict[str, list[Bin]]] = Field(description="attribute -> group -> bins")


class PowerRow(Record):
    """How many rows a group needs to show a difference in accuracy, with 80 % power."""

    group: str
    n: int
    detectable: float | None = Field(description="smallest difference that its rows can show")
    needed: int | None = Field(description="rows needed; null where no number would do")
    needed_each: int = Field(description="rows needed in each of two groups")


class CurvePoint(TypedDict):
    """A point of a ROC with the ends of its band."""

    fpr: float
    tpr: float
    low: float
    high: float


class PrecisionPoint(TypedDict):
    """A point of a precision-recall curve with the ends of its band."""

    recall: float
    precision: float
    low: float
    high: float


class ClassRows(Record):
    """How many rows of each class a group has."""

    n: int
    positives: int
    negatives: int
    small: bool = Field(description="fewer positives or negatives than `min_group`")
    missing: bool = Field(description="the rows without a group value, compared with nobody")


class GroupCurves(ClassRows):
    """The curves of one group, or of all rows."""

    auc: Number
    average_precision: Number = Field(description="without skill it is the share of positives")
    roc: list[CurvePoint] = Field(description="empty where a class has no rows")
    precision_recall: list[PrecisionPoint] = Field(description="empty where a class has no rows")


class Curves(Record):
    """ROC and precision-recall curves."""

    band: str = Field(description="how the bands are made")
    overall: GroupCurves
    by_group: dict[str, dict[str, GroupCurves]] = Field(description="attribute -> group")


class RatesAt(Record):
    """The rates at a threshold."""

    threshold: float | None = Field(description="from this probability on a row is selected")
    sensitivity: Number
    specificity: Number


class GroupRatesAt(ClassRows):
    """A group's rates at an operating point."""

    common: RatesAt = Field(description="at the threshold of all rows")
    own: RatesAt | None = Field(
        default=None,
        description="at the threshold by which this group reaches the rate; not of a threshold",
    )


class OperatingPoint(Record):
    """Rates by group at a threshold, or where a sensitivity or specificity is reached."""

    of: Literal["threshold", "sensitivity", "specificity"]
    value: float
    overall: RatesAt
    by_group: dict[str, dict[str, GroupRatesAt]] = Field(description="attribute -> group")
    gaps: dict[str, dict[str, Disparity]] = Field(
        description="attribute -> sensitivity_gap, specificity_gap at the common threshold; "
        "sensitivity_gap_own or specificity_gap_own at the groups' own"
    )


class Subgroup(Record):
    """A conjunction of attribute values against everyone outside it."""

    name: str
    conditions: dict[str, str] = Field(description="attribute -> group")
    n: int
    rate: float
    rate_outside: float
    difference: float
    low: float
    high: float
    z: float = Field(description="the difference in standard errors")
    p: float
    q: float = Field(description="p after Benjamini-Hochberg over all tested")


class WorstSubgroup(Subgroup):
    """The worst subgroup of a search; `p` is that of the whole search."""

    expected_z: float = Field(description="of the worst of a search of permuted rows, on average")
    chance_95: float = Field(description="95 % of the worst of such searches lie below")


class Subgroups(Record):
    """A search for subgroups."""

    metric: str = Field(description="accuracy, selection_rate, tpr or fpr")
    depth: int = Field(description="attributes in a conjunction at most")
    min_size: int = Field(description="rows inside and outside at least")
    draws: int = Field(description="searches of permuted rows")
    tested: int
    too_small: int
    worst: WorstSubgroup | None = Field(description="null where none is on the bad side")
    ranked: list[Subgroup] = Field(description="most different first, a thousand at most")


class ShownSettings(Record):
    """The settings of the audit."""

    level: float = Field(description="of all intervals")
    bootstrap: int = Field(description="bootstrap draws")
    seed: int
    min_group: int
    bins: int
    confidence: Confidence
    missing_group: MissingGroup
    clusters: int | None = Field(default=None, description="how many, where rows come in clusters")
    weight: str | None = Field(default=None, description=_WEIGHT)


class AuditContent(Record):
    """Everything that an audit found."""

    n: int = Field(description="rows that were audited")
    effective: float | None = Field(default=None, description=EFFECTIVE)
    left_out: dict[str, int] = Field(description="reason -> rows that were left out")
    classes: list[str]
    positive: str | None = Field(description="the positive class; null where there are not two")
    settings: ShownSettings
    overall: OverallNumbers
    by_group: dict[str, dict[str, GroupNumbers]] = Field(description="attribute -> group")
    disparities: dict[str, DisparityNumbers] = Field(description="by attribute")
    pairwise: dict[str, list[Pair]] = Field(
        description="attribute -> every pair of groups; empty above 30 groups"
    )
    impact_ratios: dict[str, dict[str, SelectedGroup]] | None = Field(
        default=None, description="attribute -> group; with `four_fifths` alone"
    )
    reliability: Reliability | None = Field(default=None, description="with probabilities alone")
    curves: Curves | None = Field(default=None, description="with `curves` alone")
    operating_points: list[OperatingPoint] | None = Field(
        default=None, description="with `at` alone"
    )
    power_difference: float | None = Field(default=None, description="that `power` is about")
    power: dict[str, list[PowerRow]] | None = Field(
        default=None, description="by attribute; if asked for"
    )
    warnings: list[str]
    subgroups: Subgroups | None = Field(default=None, description="of a search; if asked for")


class ScoreGroup(GroupRows):
    """The scores of one group."""

    score: Number = Field(description="their mean")
    score_difference: Number = Field(description="the mean minus that of everyone outside it")


class OverallScore(Numbers):
    """The scores of all rows."""

    score: Number = Field(description="their mean")


class ScoreDisparities(Numbers):
    """The disparities between the groups of one attribute."""

    score_gap: Disparity = Field(description="largest minus smallest mean score")
    score_lowest: Lowest = Field(description="lowest mean score")


class ScoreSettings(Record):
    """The settings of the audit."""

    level: float = Field(description="of all intervals")
    bootstrap: int = Field(description="draws")
    seed: int
    min_group: int
    missing_group: MissingGroup
    clusters: int | None = Field(default=None, description="how many, where rows come in clusters")
    weight: str | None = Field(default=None, description=_WEIGHT)


class ScoreContent(Record):
    """Everything that an audit of a score a row found."""

    n: int = Field(description="rows that were audited")
    effective: float | None = Field(default=None, description=EFFECTIVE)
    left_out: dict[str, int] = Field(description="reason -> rows that were left out")
    score: Literal["rate", "mean"] = Field(description="rate: all scores are 0 or 1")
    classes: list[str] = Field(description="none: a score has no classes")
    positive: str | None
    settings: ScoreSettings
    overall: OverallScore
    by_group: dict[str, dict[str, ScoreGroup]] = Field(description="attribute -> group")
    disparities: dict[str, ScoreDisparities] = Field(description="by attribute")
    pairwise: dict[str, list[Pair]] = Field(
        description="attribute -> every pair of groups; empty above 30 groups"
    )
    warnings: list[str]

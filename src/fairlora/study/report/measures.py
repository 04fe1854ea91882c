"""Measures of a run, by name: the numbers of tables, figures and comparisons."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from fairlora.metrics.comparison.summary import summarise_over_seeds
from fairlora.study.runs.folder import RunFolder
from fairlora.study.spec.run import RunSpec

Kind = Literal["percent", "loss", "figures"]
# Of a language model, which predicts no class: it has losses and probes.
_NO_AUDIT: dict[str, Any] = {"overall": {}, "by_group": {}, "disparities": {}, "warnings": []}


@dataclass(frozen=True)
class Run:
    """A finished run, as its folder tells it."""

    folder: RunFolder
    spec: RunSpec
    metrics: dict[str, Any]

    @property
    def audit(self) -> dict[str, Any]:
        audit: dict[str, Any] = self.metrics.get("audit") or _NO_AUDIT
        return audit

    @cached_property
    def class_loss_variance(self) -> float | None:
        """Mean over the classes of (L_c - mean of the L_c)^2, L_c the mean test loss of class c.

        None where the predictions have no losses.
        """
        from fairlora.predictions import read_predictions

        if "audit" not in self.metrics:
            return None
        test = read_predictions(self.folder.predictions).select("test")
        if test.loss is None:
            return None
        rows = np.bincount(test.labels)
        sums = np.bincount(test.labels, weights=np.asarray(test.loss, dtype=np.float64))
        return float((sums[rows > 0] / rows[rows > 0]).var())


@dataclass(frozen=True)
class Column:
    """One measure: its name in files and for people, how to get it, which direction is better."""

    key: str
    name: str
    pick: Callable[[Run], float | None]
    better: int  # +1 larger, -1 smaller, 0 neither
    kind: Kind = "percent"
    help: str = ""
    signed: bool = False

    @property
    def bounds(self) -> tuple[float, float]:
        """What no value is beyond."""
        least = -math.inf if self.signed else 0.0
        return least, 1.0 if self.kind == "percent" else math.inf

    def interval(self, runs: Sequence[Run]) -> tuple[float, float] | None:
        """Of the mean over seeds, see `mean_interval`."""
        return mean_interval(self.values(runs), runs, self.bounds)

    def values(self, runs: Sequence[Run]) -> list[float]:
        """One number a run; runs where it is undefined are left out."""
        found = (self.pick(run) for run in runs)
        return [value for value in found if value is not None]


def value_of(node: Any) -> float | None:
    """The number of a metric's dict, or None where it is undefined."""
    value = node.get("value") if isinstance(node, dict) else None
    return float(value) if value is not None else None


def overall_columns() -> list[Column]:
    """The measures over all test rows."""

    def overall(name: str) -> Callable[[Run], float | None]:
        return lambda run: value_of(run.audit["overall"].get(name))

    return [
        Column("accuracy", "Accuracy", overall("accuracy"), +1),
        Column("f1_min", "Min F1", overall("f1_min"), +1, help="the lowest F1 of a class"),
        Column(
            "recall_min",
            "Min recall",
            overall("recall_min"),
            +1,
            help="the lowest recall of a class",
        ),
        Column(
            "f1_gap",
            "F1 gap",
            overall("f1_gap"),
            -1,
            help="largest F1 of a class minus the smallest",
        ),
        Column("ece", "ECE", overall("ece"), -1, help="expected calibration error"),
        Column("test_loss", "Test loss", lambda run: run.metrics["mean_loss"]["test"], -1, "loss"),
        Column(
            "training_loss",
            "Training loss",
            lambda run: run.metrics["mean_loss"]["train"],
            0,
            "loss",
            help="without dropout; compare methods where it is about the same",
        ),
        Column(
            "trained_percent",
            "Trained %",
            lambda run: run.metrics["parameters"]["percent"],
            0,
            "figures",
            help="share of the parameters that is trained, head included",
        ),
    ]


def class_loss_variance() -> Column:
    """The variance of the classes' losses, what the objective is about in the FairLoRA paper."""
    return Column(
        "class_loss_variance",
        "Loss variance over classes",
        lambda run: run.class_loss_variance,
        -1,
        "figures",
        help="mean over classes of (class loss - mean of the class losses) squared",
    )


def disparity_columns(attribute: str, runs: Sequence[Run] = ()) -> list[Column]:
    """The disparities between the groups of an attribute.

    With `runs`, also how often these predict the class that the attribute suggests, if their audits
    say so: it is no disparity, and neither direction is better.
    """

    def disparity(name: str) -> Callable[[Run], float | None]:
        return lambda run: value_of(run.audit["disparities"][attribute].get(name))

    agreed = any(
        "sensitive_agreement" in run.audit["disparities"].get(attribute, {}) for run in runs
    )
    agreement = Column(
        "sensitive_agreement",
        "As the group suggests",
        disparity("sensitive_agreement"),
        0,
        help="predicted the class that the group would suggest",
    )
    return [
        *([agreement] if agreed else []),
        Column("accuracy_worst", "Worst accuracy", disparity("accuracy_worst"), +1),
        Column(
            "accuracy_gap",
            "Accuracy gap",
            disparity("accuracy_gap"),
            -1,
            help="best group minus worst",
        ),
        Column("dpd", "DPD", disparity("dpd"), -1, help="demographic parity difference"),
        Column("eod", "EOD", disparity("eod"), -1, help="equalized odds difference"),
        Column(
            "eopp_max",
            "EOpp max",
            disparity("eopp_max"),
            -1,
            help="equal opportunity, one against rest",
        ),
        Column("loss_variance", "Loss variance", disparity("loss_variance"), -1, "figures"),
    ]


def group_column(attribute: str, group: str, name: str, title: str, better: int) -> Column:
    """A measure of one group.

    Parameters
    ----------
    attribute, group : which group, as audits call it.
    name : the measure, as audits call it.
    title : the measure, for people.
    better : +1 larger, -1 smaller, 0 neither.
    """
    return Column(
        f"{name}[{group}]",
        f"{title} of {group}",
        lambda run: value_of(run.audit["by_group"][attribute].get(group, {}).get(name)),
        better,
    )


def mean_and_spread(values: Sequence[float], kind: str) -> str:
    """ "93.6 ± 0.4": percent with one decimal, losses with three, the rest with three figures.

    >>> mean_and_spread([0.93, 0.94], "percent"), mean_and_spread([9e-5, 8e-5], "figures")
    ('93.5 ± 0.7', '8.50e-5 ± 0.71e-5')
    """
    if not values:
        return "undefined"
    scale, unit = (100.0 if kind == "percent" else 1.0), ""
    mean = scale * sum(values) / len(values)
    digits = 1 if kind == "percent" else 3
    if kind == "figures":
        power = math.floor(math.log10(abs(mean))) if mean else 0
        digits = max(0, 2 - power) if mean else 0
        if power < -3:
            # A power of ten that both share takes less room than their zeros.
            scale, unit, digits = 10.0**-power, f"e{power}", 2
    text = f"{scale * sum(values) / len(values):.{digits}f}{unit}"
    if len(values) == 1 or min(values) == max(values):
        return text
    return f"{text} ± {scale * standard_deviation(values):.{digits}f}{unit}"


def standard_deviation(values: Sequence[float]) -> float:
    """Of a sample: the divisor is n - 1."""
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


def mean_interval(
    values: Sequence[float], runs: Sequence[Run], bounds: tuple[float, float] = (0.0, 1.0)
) -> tuple[float, float] | None:
    """The 95 % interval of the mean over seeds; None for fewer than two values.

    Student's t; where the test rows vary with the seed, with Nadeau and Bengio's variance
    (`fairlora.metrics.comparison.summary`).

    Parameters
    ----------
    values : one a seed.
    runs : those that the values are of.
    bounds : what the measure cannot be beyond, whatever t says.

    Raises
    ------
    InputError : a value is not finite.
    """
    if len(values) < 2:
        return None
    found = summarise_over_seeds(values, ratio=ratio_of_rows(runs[0]))
    assert found.low is not None
    assert found.high is not None
    return max(bounds[0], found.low), min(bounds[1], found.high)


def ratio_of_rows(run: Run) -> float | None:
    """Test rows over the others where the test rows vary with the seed, else None."""
    if run.spec.data.shares.mode != "papers":
        return None
    rows = run.metrics["rows"]
    return float(rows["test"] / (rows["train"] + rows.get("validation", 0)))


def interval_words(runs: Sequence[Run]) -> str:
    """What the intervals of means over seeds are: "95 % t intervals"."""
    if any(ratio_of_rows(run) is not None for run in runs):
        return "95 % intervals of Nadeau and Bengio (the test rows vary with the seed)"
    return "95 % t intervals"


def seeds_words(runs: Sequence[Run]) -> str:
    """The caption of means over seeds that are drawn with their intervals."""
    return f"Means over seeds with {interval_words(runs)}; the small marks are the seeds."

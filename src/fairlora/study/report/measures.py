"""Measures of a run, by name: the numbers of tables, figures and comparisons."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from fairlora.metrics.comparison.summary import summarise_over_seeds
from fairlora.metrics.tables import without_minus_zero
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

    def content(self, name: str) -> str | None:
        """The hash of one of the run's files, as its seal has it."""
        status = self.folder.status()
        return None if status is None else status.made_from.get(name)

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

    def defined(self, run: Run) -> bool:
        """Whether the run has a value of it."""
        return self.pick(run) is not None


def value_of(node: Any) -> float | None:
    """The number of a metric's dict, or None where it is undefined."""
    value = node.get("value") if isinstance(node, dict) else None
    return float(value) if value is not None else None


def number_at(*path: str) -> Callable[[Run], float | None]:
    """What reads a number of ``metrics.json``, or a metric's value there, by its keys."""

    def pick(run: Run) -> float | None:
        node: Any = run.metrics
        for key in path:
            node = node.get(key) if isinstance(node, dict) else None
        return value_of(node) if isinstance(node, dict) else node

    return pick


def overall_columns() -> list[Column]:
    """The measures over all test rows."""

    def overall(key: str, name: str, better: int, help_: str = "") -> Column:
        return Column(key, name, number_at("audit", "overall", key), better, help=help_)

    return [
        overall("accuracy", "Accuracy", +1),
        overall("f1_min", "Min F1", +1, "the lowest F1 of a class"),
        overall("recall_min", "Min recall", +1, "the lowest recall of a class"),
        overall("f1_gap", "F1 gap", -1, "largest F1 of a class minus the smallest"),
        overall("ece", "ECE", -1, "expected calibration error"),
        loss_column("test", "Test loss", -1),
        loss_column(
            "train",
            "Training loss",
            0,
            "of at most 1,000 rows or of all, without dropout; compare methods where it is about "
            "the same",
        ),
        trained_percent("share of the parameters that is trained, head included"),
    ]


def loss_column(split: str, name: str, better: int, help_: str = "") -> Column:
    """The mean loss of a split.

    Parameters
    ----------
    split : "train", "validation" or "test".
    name : for people.
    better : -1, or 0 where a smaller loss is no better.
    help_ : what the column holds.
    """
    key = "training_loss" if split == "train" else f"{split}_loss"
    return Column(key, name, number_at("mean_loss", split), better, "loss", help_)


def trained_percent(help_: str = "") -> Column:
    """How much of the model is trained."""
    pick = number_at("parameters", "percent")
    return Column("trained_percent", "Trained %", pick, 0, "figures", help_)


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

    def disparity(
        key: str, name: str, better: int, help_: str = "", kind: Kind = "percent"
    ) -> Column:
        pick = number_at("audit", "disparities", attribute, key)
        return Column(key, name, pick, better, kind, help_)

    agreement = disparity(
        "sensitive_agreement",
        "As the group suggests",
        0,
        "predicted the class that the group would suggest",
    )
    agreed = any(agreement.key in run.audit["disparities"].get(attribute, {}) for run in runs)
    return [
        *([agreement] if agreed else []),
        disparity("accuracy_worst", "Worst accuracy", +1),
        disparity("accuracy_gap", "Accuracy gap", -1, "best group minus worst"),
        disparity("dpd", "DPD", -1, "demographic parity difference"),
        disparity("eod", "EOD", -1, "equalized odds difference"),
        disparity("eopp_max", "EOpp max", -1, "equal opportunity, one against rest"),
        disparity("loss_variance", "Loss variance", -1, kind="figures"),
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
    pick = number_at("audit", "by_group", attribute, group, name)
    return Column(f"{name}[{group}]", f"{title} of {group}", pick, better)


def mean_and_spread(values: Sequence[float], kind: str) -> str:
    """ "93.6 ± 0.4": percent with one decimal, losses with three, the rest with three figures.

    >>> mean_and_spread([0.93, 0.94], "percent"), mean_and_spread([9e-5, 8e-5], "figures")
    ('93.5 ± 0.7', '8.50e-5 ± 0.71e-5')
    >>> mean_and_spread([-0.0005, 0.0003], "percent")
    '0.0 ± 0.1'
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
    text = without_minus_zero(f"{scale * sum(values) / len(values):.{digits}f}") + unit
    if len(values) == 1 or min(values) == max(values):
        return text
    return f"{text} ± {scale * standard_deviation(values):.{digits}f}{unit}"


def seeds_text(seeds: int, planned: int) -> str:
    """How many seeds there are, with how many there should be where some are missing.

    >>> seeds_text(5, 5), seeds_text(4, 5)
    ('5', '4 of 5')
    """
    return f"{seeds} of {planned}" if seeds < planned else str(seeds)


def mean_of(values: Sequence[float]) -> float | None:
    """The mean; None where there is nothing."""
    return sum(values) / len(values) if values else None


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
    summary = summarise_over_seeds(values, ratio=ratio_of_rows(runs[0]))
    assert summary.low is not None
    assert summary.high is not None
    return max(bounds[0], summary.low), min(bounds[1], summary.high)


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

"""Differential privacy in reports: what was promised, what it took, and whom it cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from fairlora.metrics.comparison.verdicts import Difference
from fairlora.report.tables import make_table
from fairlora.study.report.measures import Run, mean_of
from fairlora.study.report.results import ArmResult, Setting
from fairlora.study.report.scarce import Change, scarce_table, scarcest_change
from fairlora.study.spec.expand import Arm

QUESTION = "What does differential privacy cost, and whom?"
_COST = (
    "Mean over seeds. Noise is the same for every group: a group of few rows has few gradients "
    "against it, and a group whose gradients are long loses more to the cut. These numbers are of "
    "the training rows and are not themselves private."
)
_PROMISE = (
    "What one training row more or less can change of the weights: (epsilon, delta) by the "
    "accountant, for rows added or removed. It is the promise of one run's weights. Several runs "
    "on the same rows, settings chosen by results, validation and test rows, and what a folder "
    "says of training rows are not in it."
)


def private_epsilon(arm: Arm) -> float | None:
    """The arm's epsilon; None without differential privacy."""
    return None if arm.epsilon is None or math.isinf(arm.epsilon) else arm.epsilon


def dp_tables(setting: Setting, scarce: Sequence[Change] = ()) -> list[dict[str, Any]]:
    """The promise of every private method, and what it cost each group; none without any.

    Parameters
    ----------
    setting : the methods.
    scarce : of `privacy_changes`.
    """
    private = [m for m in setting.members if any("dp" in run.metrics for run in m.runs)]
    if not private:
        return []
    promised = [[one.name, *promise_cells(one.runs)] for one in private]
    tables = [
        make_table(
            setting.titled("Differential privacy"),
            _PROMISE,
            [
                "<Method",
                ("Epsilon", "promised; smaller is more private"),
                ("Delta", "the chance that the promise does not hold"),
                ("Spent", "epsilon of the steps that were made, by the accountant"),
                ("Clip", "the largest norm of a row's gradient"),
                ("Noise multiplier", "standard deviation of the noise over clip"),
                ("Sample rate", "chance of a row to be in a step"),
                ("Steps", "optimizer steps"),
                "<Accountant",
            ],
            promised,
        )
    ]
    tables += [
        table
        for attribute in setting.attributes
        if (table := _cost_table(setting, private, attribute)) is not None
    ]
    if scarce:
        title = setting.titled("Does privacy cost scarce groups more?")
        tables.append(scarce_table(title, "by privacy", ["Method"], scarce))
    return tables


def privacy_changes(setting: Setting) -> list[Change]:
    """What privacy changed of the scarcest groups' accuracy, of each private method with the same
    without privacy beside it."""
    return [
        ([private.name], change)
        for private in setting.members
        for plain in setting.members
        if private_epsilon(private.arm) is not None and _alike_but_for_privacy(private, plain)
        for attribute in setting.attributes
        if (change := _scarcest_change(private, plain, attribute)) is not None
    ]


def _alike_but_for_privacy(private: ArmResult, plain: ArmResult) -> bool:
    """Whether the second is the first without privacy, and they have runs of one seed."""
    without = private.arm.spec.model_copy(update={"dp": None})
    seeds = [{run.spec.seed for run in method.runs} for method in (private, plain)]
    return plain.arm.spec == without and bool(seeds[0] & seeds[1])


def _scarcest_change(private: ArmResult, plain: ArmResult, attribute: str) -> Difference | None:
    groups = private.runs[0].metrics["dp"]["by_group"].get(attribute, {})
    rows = {group: float(numbers["rows"]) for group, numbers in groups.items()}
    return scarcest_change(private, plain, attribute, rows)


def promise_cells(runs: Sequence[Run]) -> list[str]:
    """A method's promise, in the order of the table's columns."""
    records = [run.metrics["dp"] for run in runs if "dp" in run.metrics]

    def of(key: str, form: str) -> str:
        return " to ".join(dict.fromkeys(format(value, form) for value in _ends(records, key)))

    return [
        of("epsilon", "g"),
        of("delta", "g"),
        of("epsilon_spent", ".3f"),
        of("clip", "g"),
        of("noise_multiplier", ".3f"),
        of("sample_rate", ".4f"),
        of("steps", ",d"),
        ", ".join(sorted({record["accountant"] for record in records})),
    ]


def _ends(records: Iterable[dict[str, Any]], key: str) -> tuple[Any, Any]:
    values = [record[key] for record in records]
    return min(values), max(values)


def _cost_table(
    setting: Setting, private: Sequence[ArmResult], attribute: str
) -> dict[str, Any] | None:
    rows = []
    for member in private:
        records = [run.metrics["dp"]["by_group"].get(attribute, {}) for run in member.runs]
        for group in dict.fromkeys(name for record in records for name in record):
            found = [record[group] for record in records if group in record]
            rows.append(
                [
                    member.name,
                    group,
                    _mean(found, "rows", ",.0f"),
                    _mean(found, "rows_a_step", ".1f"),
                    _mean(found, "clipped_share", ".1f", 100),
                    _mean(found, "kept", ".3f"),
                ]
            )
    if not rows:
        return None
    return make_table(
        setting.titled(f"Whom privacy costs, by {attribute}"),
        _COST,
        [
            "<Method",
            "<Group",
            ("Rows", "of the training split"),
            ("Rows a step", "that a step's batch holds on average"),
            ("Clipped", "percent of the drawn rows whose gradient was cut"),
            ("Kept", "mean factor that a row's gradient was multiplied by; 1 is uncut"),
        ],
        rows,
    )


def _mean(found: Sequence[dict[str, Any]], key: str, form: str, scale: float = 1.0) -> str:
    mean = mean_of([float(one[key]) for one in found if one.get(key) is not None])
    return "" if mean is None else format(scale * mean, form)

"""Differential privacy in reports: what was promised, what it took, and whom it cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from fairlora.report.tables import make_table
from fairlora.study.report.measures import Run, group_column, mean_of, seeds_words
from fairlora.study.report.results import ArmResult, Setting, by_series
from fairlora.study.spec.expand import Arm

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


def dp_tables(setting: Setting) -> list[dict[str, Any]]:
    """The promise of every private method, and what it cost each group; none without any."""
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
    return tables + [
        table
        for attribute in setting.attributes
        if (table := _cost_table(setting, private, attribute)) is not None
    ]


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


def group_lines(setting: Setting) -> list[dict[str, Any]]:
    """Each group's accuracy against epsilon, a chart a method and attribute."""
    charts = []
    private = [m for m in setting.members if private_epsilon(m.arm) is not None]
    for name, members in by_series(
        private, lambda arm: setting.axes.name_within(arm, without=("epsilon",))
    ):
        plain = [
            m
            for m in setting.members
            if private_epsilon(m.arm) is None
            and setting.axes.name_within(m.arm, without=("epsilon",)) == name
        ]
        for attribute in setting.attributes:
            known = members[0].runs[0].audit["by_group"][attribute]
            groups = [group for group, numbers in known.items() if not numbers["missing"]]
            series, references = [], []
            for group in groups:
                column = group_column(attribute, group, "accuracy", "Accuracy", +1)
                ordered = sorted(members, key=lambda m: private_epsilon(m.arm) or 0.0)
                points = [{"x": private_epsilon(m.arm), **m.point(column)} for m in ordered]
                series.append({"name": group, "points": points})
                values = [value for m in plain for value in column.values(m.runs)]
                if values:
                    references.append(
                        {"name": f"{group}, without privacy", "value": mean_of(values)}
                    )
            charts.append(
                {
                    "title": setting.titled(f"Accuracy by {attribute} against epsilon: {name}"),
                    "caption": seeds_words(setting.runs),
                    "kind": "lines",
                    "x": {"label": "Epsilon (smaller is more private)", "scale": "rank"},
                    "y": {"label": "Accuracy", "unit": "share", "better": "higher"},
                    "series": series,
                    "references": references,
                }
            )
    return charts

"""The records of a study as rows of CSV files: every run, and every measure over seeds."""

from __future__ import annotations

from typing import Any

from fairlora.study.report.causal_lm import is_language, language_columns
from fairlora.study.report.measures import (
    Column,
    class_loss_variance,
    disparity_columns,
    mean_of,
    overall_columns,
    standard_deviation,
)
from fairlora.study.report.results import ArmResult, Results, attributes_of


def run_records(results: Results) -> list[dict[str, Any]]:
    """One record a run: where it lies on the study's axes, its seed, and every measure."""
    return [
        {
            **result.arm.place,
            "seed": run.spec.seed,
            **{name: column.pick(run) for name, column in _all_columns(result)},
            "folder": run.folder.path.name,
        }
        for result in results.finished
        for run in result.runs
    ]


def measure_records(results: Results) -> list[dict[str, Any]]:
    """One record an arm and measure: mean, standard deviation and interval over seeds."""
    records = []
    for result in results.finished:
        for name, column in _all_columns(result):
            values = column.values(result.runs)
            low, high = column.interval(result.runs) or (None, None)
            records.append(
                {
                    **result.arm.place,
                    "measure": name,
                    "mean": mean_of(values),
                    "sd": standard_deviation(values) if len(values) > 1 else None,
                    "low": low,
                    "high": high,
                    "seeds": len(values),
                    "seeds_planned": max(result.planned, len(result.runs)),
                }
            )
    return records


def _all_columns(result: ArmResult) -> list[tuple[str, Column]]:
    """Every measure with the name that files give it: "eod", of an attribute "race.eod"."""
    if is_language(result.runs[0]):
        return language_columns(result.runs[0])
    named = [(c.key, c) for c in [*overall_columns(), class_loss_variance()]]
    for attribute in attributes_of([result]):
        named += [(f"{attribute}.{c.key}", c) for c in disparity_columns(attribute, result.runs)]
    return named

"""The tables of a study: means and standard deviations over seeds, the best mean marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlora.study.report.causal_lm import is_language, language_columns
from fairlora.study.report.figures import Setting
from fairlora.study.report.measures import (
    Column,
    class_loss_variance,
    disparity_columns,
    mean_and_spread,
    overall_columns,
    standard_deviation,
)
from fairlora.study.report.results import ArmResult, Results, attributes_of

CAPTION = (
    "Mean over seeds ± standard deviation, on the test split; in percent unless it is a loss. The "
    "mark is on the best mean, which is no verdict: the difference to the next may be chance."
)


def measure_tables(setting: Setting) -> list[dict[str, Any]]:
    """One table of all test rows, and one an attribute of its disparities; a row an arm."""
    columns = overall_columns()
    columns.insert(5, class_loss_variance())
    tables = [_table(setting, setting.titled("All methods"), CAPTION, columns)]
    for attribute in setting.attributes:
        tables.append(
            _table(
                setting,
                setting.titled(f"Disparities by {attribute}"),
                "In percentage points; smaller is better, except for the worst group's accuracy. "
                "A gap is a maximum over groups: chance alone makes it larger than 0.",
                disparity_columns(attribute, [r for one in setting.members for r in one.runs]),
            )
        )
    return tables


def _table(setting: Setting, title: str, caption: str, columns: Sequence[Column]) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    means: list[list[float | None]] = []
    for one in setting.members:
        values = [column.values(one.runs) for column in columns]
        means.append([sum(v) / len(v) if v else None for v in values])
        texts = [mean_and_spread(v, c.kind) for v, c in zip(values, columns, strict=True)]
        name = setting.axes.name_within(one.arm)
        rows.append(
            {
                "cells": [
                    {"text": name, "mark": None},
                    {"text": str(len(one.runs)), "mark": None},
                    *({"text": text, "mark": None} for text in texts),
                ],
                "header": True,
            }
        )
    for k, column in enumerate(columns):
        known = [line[k] for line in means if line[k] is not None]
        if column.better and len(set(known)) > 1:
            best = max(known) if column.better > 0 else min(known)  # type: ignore[type-var]
            for row, line in zip(rows, means, strict=True):
                if line[k] == best:
                    row["cells"][k + 2]["mark"] = "best"
    return {
        "title": title,
        "caption": caption,
        "columns": [
            {"name": "Method", "align": "left"},
            {"name": "Seeds", "align": "right"},
            *({"name": c.name, "align": "right", "help": c.help} for c in columns),
        ],
        "rows": rows,
    }


def parameter_table(
    rows: Sequence[tuple[str, str, int | None, dict[str, float]]],
) -> dict[str, Any] | None:
    """Trainable, total and percent of parameters; a row a model and adapter.

    `rows`: model, adapter, rank (None where it has none), counts (`ParameterCount.to_dict`).
    """
    if not rows:
        return None
    return {
        "title": "Parameters",
        "caption": 'Trained, the new head of a classifier included, of all that the model has; "as '
        'stored" counts the frozen copy of the head that PEFT keeps.',
        "columns": [
            {"name": "Model", "align": "left"},
            {"name": "Adapter", "align": "left"},
            {"name": "Rank", "align": "right"},
            {"name": "Trainable", "align": "right"},
            {"name": "Total", "align": "right"},
            {"name": "As stored", "align": "right"},
            {"name": "Percent", "align": "right"},
        ],
        "rows": [
            {
                "cells": [
                    {"text": model, "mark": None},
                    {"text": adapter, "mark": None},
                    {"text": "" if rank is None else str(rank), "mark": None},
                    {"text": f"{counts['trainable']:,.0f}", "mark": None},
                    {"text": f"{counts['total']:,.0f}", "mark": None},
                    {"text": f"{counts['total_as_stored']:,.0f}", "mark": None},
                    {"text": f"{counts['percent']:.2f}", "mark": None},
                ],
                "header": True,
            }
            for model, adapter, rank, counts in rows
        ],
    }


def parameters_of(arms: Sequence[ArmResult]) -> list[tuple[str, str, int | None, dict[str, float]]]:
    """The rows of `parameter_table` as the finished runs counted them, each once."""
    found: dict[tuple[str, str, int | None], dict[str, float]] = {}
    for one in arms:
        if one.runs:
            kind = "linear" if one.arm.rank == 0 else one.arm.spec.adapter.kind
            key = (one.arm.model, kind, one.arm.rank)
            found.setdefault(key, one.runs[0].metrics["parameters"])
    return [(*key, counts) for key, counts in found.items()]


def run_records(results: Results) -> list[dict[str, Any]]:
    """One record a run: where it lies on the study's axes, its seed, and every measure."""
    records = []
    for one in results.finished:
        for run in one.runs:
            record: dict[str, Any] = {**one.arm.place, "seed": run.spec.seed}
            for name, column in _all_columns(one):
                record[name] = column.pick(run)
            record["folder"] = run.folder.path.name
            records.append(record)
    return records


def measure_records(results: Results) -> list[dict[str, Any]]:
    """One record an arm and measure: mean, standard deviation and interval over seeds."""
    records = []
    for one in results.finished:
        for name, column in _all_columns(one):
            values = column.values(one.runs)
            interval = column.interval(one.runs)
            records.append(
                {
                    **one.arm.place,
                    "measure": name,
                    "mean": sum(values) / len(values) if values else None,
                    "sd": standard_deviation(values) if len(values) > 1 else None,
                    "low": None if interval is None else interval[0],
                    "high": None if interval is None else interval[1],
                    "seeds": len(values),
                }
            )
    return records


def _all_columns(one: ArmResult) -> list[tuple[str, Column]]:
    """Every measure with the name that files give it: "eod", of an attribute "race.eod"."""
    if one.runs and is_language(one.runs[0]):
        return language_columns(one.runs[0])
    named = [(c.key, c) for c in [*overall_columns(), class_loss_variance()]]
    for attribute in attributes_of([one]):
        named += [(f"{attribute}.{c.key}", c) for c in disparity_columns(attribute, one.runs)]
    return named

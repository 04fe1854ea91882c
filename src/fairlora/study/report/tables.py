"""The tables of a study: means and standard deviations over seeds, the best mean marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlora.study.report.measures import (
    Column,
    class_loss_variance,
    disparity_columns,
    mean_and_spread,
    mean_of,
    overall_columns,
    seeds_text,
)
from fairlora.study.report.results import ArmResult, Setting, over_common_seeds

CAPTION = (
    "Mean over seeds ± standard deviation, on the test split; in percent unless it is a loss. The "
    "mark is on the best mean over the seeds that all methods have, which is no verdict: the "
    "difference to the next may be chance."
)


def make_table(
    title: str,
    caption: str,
    columns: Sequence[str | tuple[str, str] | dict[str, Any]],
    rows: Sequence[Sequence[str | dict[str, Any]]],
) -> dict[str, Any]:
    """A table of a page.

    Parameters
    ----------
    columns : names, "<" before those whose texts stand to the left; (name, help); or whole columns.
    rows : texts, or whole cells, in the order of the columns; the first names the row.
    """
    return {
        "title": title,
        "caption": caption,
        "columns": [_column(column) for column in columns],
        "rows": [
            {
                "cells": [{"text": c, "mark": None} if isinstance(c, str) else c for c in row],
                "header": True,
            }
            for row in rows
        ],
    }


def _column(column: str | tuple[str, str] | dict[str, Any]) -> dict[str, Any]:
    if isinstance(column, str):
        left = column.startswith("<")
        return {"name": column.removeprefix("<"), "align": "left" if left else "right"}
    if isinstance(column, tuple):
        return {"name": column[0], "align": "right", "help": column[1]}
    return column


def means_table(
    title: str,
    caption: str,
    methods: Sequence[ArmResult],
    columns: Sequence[Column],
    *,
    mark: bool = True,
) -> dict[str, Any]:
    """Means over seeds ± standard deviation, a row a method.

    Parameters
    ----------
    methods : named, with their runs.
    columns : the measures.
    mark : whether the best mean of a measure is marked, where it has a better direction.
    """
    marked = [_best(methods, column) if mark and column.better else set() for column in columns]

    def cell(row: int, column: Column, best: set[int]) -> dict[str, Any]:
        values, runs = column.values(methods[row].runs), methods[row].runs
        text = mean_and_spread(values, column.kind)
        if 0 < len(values) < len(runs):
            text += f" ({seeds_text(len(values), len(runs))} seeds)"
        return {"text": text, "mark": "best" if row in best else None}

    return make_table(
        title,
        caption,
        ["<Method", "Seeds", *((column.name, column.help) for column in columns)],
        [
            [
                method.name,
                method.seeds,
                *(cell(k, *one) for one in zip(columns, marked, strict=True)),
            ]
            for k, method in enumerate(methods)
        ],
    )


def _best(methods: Sequence[ArmResult], column: Column) -> set[int]:
    """Which methods have the best mean, over the seeds that all have; none where all are alike."""
    means = [mean_of(column.values(one.runs)) for one in over_common_seeds(methods, [column])]
    known = {mean for mean in means if mean is not None}
    if len(known) < 2:
        return set()
    best = max(known) if column.better > 0 else min(known)
    return {k for k, mean in enumerate(means) if mean == best}


def measure_tables(setting: Setting) -> list[dict[str, Any]]:
    """One table of all test rows, and one an attribute of its disparities; a row an arm."""
    columns = overall_columns()
    columns.insert(5, class_loss_variance())
    tables = [means_table(setting.titled("All methods"), CAPTION, setting.members, columns)]
    for attribute in setting.attributes:
        tables.append(
            means_table(
                setting.titled(f"Disparities by {attribute}"),
                "In percentage points; smaller is better, except for the worst group's accuracy. "
                "A gap is a maximum over groups: chance alone makes it larger than 0.",
                setting.members,
                disparity_columns(attribute, setting.runs),
            )
        )
    return tables


def parameter_tables(
    rows: Sequence[tuple[str, str, int | None, dict[str, float]]],
) -> list[dict[str, Any]]:
    """Trainable, total and percent of parameters; a row a model and adapter. No rows, no table.

    `rows`: model, adapter, rank (None where it has none), counts (`ParameterCount.to_dict`).
    """
    texts = [
        [
            model,
            adapter,
            "" if rank is None else str(rank),
            *(f"{counts[key]:,.0f}" for key in ("trainable", "total", "total_as_stored")),
            f"{counts['percent']:.2f}",
        ]
        for model, adapter, rank, counts in rows
    ]
    caption = (
        'Trained, the new head of a classifier included, of all that the model has; "as stored" '
        "counts the frozen copy of the head that PEFT keeps."
    )
    columns = ["<Model", "<Adapter", "Rank", "Trainable", "Total", "As stored", "Percent"]
    return [make_table("Parameters", caption, columns, texts)] if texts else []


def parameters_of(arms: Sequence[ArmResult]) -> list[tuple[str, str, int | None, dict[str, float]]]:
    """The rows of `parameter_tables` as the finished runs counted them, each once."""
    counted: dict[tuple[str, str, int | None], dict[str, float]] = {}
    for result in arms:
        if result.runs:
            kind = "linear" if result.arm.rank == 0 else result.arm.spec.adapter.kind
            key = (result.arm.model, kind, result.arm.rank)
            counted.setdefault(key, result.runs[0].metrics["parameters"])
    return [(*key, counts) for key, counts in counted.items()]

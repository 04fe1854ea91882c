"""Verdicts between runs that lie anywhere: what `fairlora compare` adds to its tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairlora.errors import InputError
from fairlora.metrics.comparison.paired import compare_over_seeds
from fairlora.predictions import Predictions, read_predictions
from fairlora.study.report.comparisons import asks_something, comparison_settings
from fairlora.study.report.measures import Run, ratio_of_rows
from fairlora.study.report.verdicts import verdict_summary, verdict_table

MOST_ROWS = 24


@dataclass
class SeedRuns:
    """Runs that differ in the seed alone."""

    name: str
    runs: list[Run] = field(default_factory=list)

    def values(self, pick: Callable[[Run], float | None]) -> list[float]:
        """One number a run; runs where it is undefined are left out."""
        found = (pick(run) for run in self.runs)
        return [value for value in found if value is not None]


def run_verdicts(
    methods: Sequence[SeedRuns], bootstrap: int = 2000
) -> tuple[list[dict[str, Any]], list[str]]:
    """Tables of verdicts between methods, and notes on pairs that cannot be compared.

    Of one model, every adapter against full fine-tuning with the same objective, and every
    objective against plain training with the same adapter; where no two methods are such a pair,
    the first against each of the others.
    """
    pairs = [
        (one, other)
        for one in methods
        for other in methods
        if one is not other
        and one.runs[0].spec.model == other.runs[0].spec.model
        and asks_something(one.runs[0].spec, other.runs[0].spec)
    ]
    if not pairs:
        pairs = [(methods[0], other) for other in methods[1:]]
    contents, notes = [], []
    tables = {method.name: _predictions(method) for pair in pairs for method in pair}
    for one, other in pairs:
        first = one.runs[0]
        try:
            found = compare_over_seeds(
                tables[one.name],
                tables[other.name],
                comparison_settings(first.spec, bootstrap),
                names=(one.name, other.name),
                ratio=ratio_of_rows(first),
            )
        except InputError as error:
            notes.append(f"{one.name} and {other.name} have no verdict: {error}")
            continue
        contents.append(("", found))
    if not contents:
        return [], notes
    full = verdict_table(contents)
    return [verdict_summary(contents), *([full] if len(full["rows"]) <= MOST_ROWS else [])], notes


def _predictions(method: SeedRuns) -> dict[int, Predictions]:
    return {
        run.spec.seed: read_predictions(run.folder.predictions).select("test")
        for run in method.runs
    }

"""Verify the finished runs of a study: metrics from predictions, weights against the seal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fairlora.errors import InputError
from fairlora.study.report.measures import Run
from fairlora.study.report.results import Results
from fairlora.study.runs.measured import difference, has_predictions


def verified(
    results: Results, tell: Callable[[int, int], None] = lambda done, total: None
) -> tuple[Results, dict[str, str]]:
    """The runs that are what they say, and why the others are not, by the names of their folders.

    A language model's run has no predictions: its files are read, and nothing is recomputed.

    Parameters
    ----------
    results : the finished runs.
    tell : gets (done, total) runs.
    """
    wrong: dict[str, str] = {}
    total = len(results.runs)
    for done, run in enumerate(results.runs):
        tell(done, total)
        try:
            found = _wrong(run)
        except InputError as error:
            found = str(error)
        if found is not None:
            wrong[run.folder.path.name] = found
    tell(total, total)
    arms = tuple(
        replace(arm, runs=tuple(run for run in arm.runs if run.folder.path.name not in wrong))
        for arm in results.arms
    )
    return Results(arms), wrong


def _wrong(run: Run) -> str | None:
    run.folder.whole(weights=True)
    if not has_predictions(run.metrics):
        return None
    found = difference(run.folder, run.spec.audit)
    return None if found is None else f"metrics.json is not what the predictions give ({found})"

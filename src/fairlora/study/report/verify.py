"""Verify the finished runs of a study: metrics from predictions, weights against the seal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from fairlora.errors import InputError
from fairlora.study.report.results import Results
from fairlora.study.runs.cells import Cell
from fairlora.study.runs.measured import difference, has_predictions


def verify_cells(
    cells: Sequence[Cell], tell: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, str]:
    """Why finished cells are not what they say, by their names; those that are stand in none.

    A language model's run has no predictions: its files are read, and nothing is recomputed.

    Parameters
    ----------
    cells : those that are not finished are passed over.
    tell : gets (done, total) cells.
    """
    wrong: dict[str, str] = {}
    for done, cell in enumerate(cells):
        tell(done, len(cells))
        try:
            found = _wrong(cell)
        except InputError as error:
            found = str(error)
        if found is not None:
            wrong[cell.name] = found
    tell(len(cells), len(cells))
    return wrong


def _wrong(cell: Cell) -> str | None:
    if cell.folder.whole(cell.identity, weights=True) is None:
        return None
    if not has_predictions(cell.folder.metrics()):
        return None
    found = difference(cell.folder, cell.spec.audit)
    return None if found is None else f"metrics.json is not what the predictions give ({found})"


def without(results: Results, names: Collection[str]) -> Results:
    """The results less the runs of these folders."""
    return Results(
        tuple(
            replace(arm, runs=tuple(run for run in arm.runs if run.folder.path.name not in names))
            for arm in results.arms
        )
    )

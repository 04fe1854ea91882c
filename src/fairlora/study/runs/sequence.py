"""A list of cells, run one after another; what is finished is not run again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairlora.data import Examples, load_examples
from fairlora.errors import FairloraError
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.prepare import Prepared, prepare
from fairlora.study.runs.progress import Progress
from fairlora.study.spec.run import RunSpec


@dataclass(frozen=True)
class Outcome:
    """What became of one cell."""

    prepared: Prepared
    folder: RunFolder
    ran: bool
    error: FairloraError | None = None


CellWatcher = Callable[[int, Prepared, Progress], None]


def plan_cells(specs: Sequence[RunSpec]) -> list[Prepared]:
    """Read the data once for all cells that share them, and check every cell before any runs."""
    loaded: dict[str, Examples] = {}
    cells = []
    for spec in specs:
        key = repr((spec.data.name, sorted(spec.data.options.items())))
        if key not in loaded:
            loaded[key] = load_examples(spec.data.name, spec.data.options)
        cells.append(prepare(spec, loaded[key]))
    return cells


def cell_folder(root: Path, cell: Prepared) -> RunFolder:
    """Where a cell of a study lies."""
    return RunFolder(root / cell.name)


def run_cells(
    cells: Sequence[Prepared], root: Path, watch: CellWatcher | None = None
) -> list[Outcome]:
    """Run what is missing. A failing cell stops no other; its outcome holds the error."""
    outcomes = []
    for number, cell in enumerate(cells):
        folder = cell_folder(root, cell)

        def tell(progress: Progress, number: int = number, cell: Prepared = cell) -> None:
            if watch is not None:
                watch(number, cell, progress)

        try:
            ran = run_cell(cell, folder, tell, resume=True)
            outcomes.append(Outcome(cell, folder, ran))
        except FairloraError as error:
            outcomes.append(Outcome(cell, folder, ran=True, error=error))
    return outcomes

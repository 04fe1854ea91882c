"""`fairlora demo`: the whole way on the embedded data and model."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlora.cli.common import make_console, note, say, say_json

if TYPE_CHECKING:
    from fairlora.study.runs.prepare import Prepared
    from fairlora.study.runs.progress import Progress


def demo(
    out: Annotated[Path, typer.Option(help="Where the runs and the page go.")] = Path("runs/demo"),
    seeds: Annotated[int, typer.Option(min=1, help="Seeds a method.")] = 3,
    epochs: Annotated[float, typer.Option(min=0.01, help="Epochs a run.")] = 2,
    json_: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """The whole way on the embedded data and model, in minutes.

    Fine-tunes the embedded vision transformer on people-emoji in four ways (LoRA, FairLoRA, full,
    fair full), three seeds each, with two skin tones scarce in training, audits every run, and
    writes a page that sets them side by side. Stopped and started again, it goes on where it was.

    Example:

        fairlora demo
    """
    from fairlora.study.engines.worker import quiet_training

    quiet_training()
    from fairlora.cli.compare import write_page
    from fairlora.errors import WorkError
    from fairlora.report.json import to_json
    from fairlora.report.terminal import print_page
    from fairlora.study.report.summary import comparison_page, read_runs
    from fairlora.study.runs.sequence import cell_folder, plan_cells, run_cells
    from fairlora.study.spec.demo import NOTES, demo_specs

    cells = plan_cells(demo_specs(seeds=seeds, epochs=epochs))
    finished = sum(cell_folder(out, cell).is_finished() for cell in cells)
    if finished:
        note(f"{finished} of {len(cells)} runs are finished already")
    started = time.monotonic()
    with DemoBar(len(cells), finished) as bar:
        outcomes = run_cells(cells, out, bar)
    failed = [o for o in outcomes if o.error is not None]
    for outcome in failed:
        note(f"{outcome.prepared.name} failed: {outcome.error}")
    done = [o.folder.path for o in outcomes if o.error is None]
    if not done:
        raise WorkError("every run failed")
    page = comparison_page(
        read_runs(done),
        title="Four ways to fine-tune, and whom they fail",
        lead="A small vision transformer, pretrained on pictures of objects, learns to tell the "
        "gender of emoji of people. Two of the six skin tones are scarce in training. The test "
        "split holds every picture in all tones, so a tone's accuracy can be set beside its "
        "twins'. Full fine-tuning and LoRA run with and without a fairness objective that "
        "penalises how far the tones' losses lie apart (strength 1).",
        notes=NOTES,
    )
    write_page(page, out / "report.html")
    write_page(page, out / "report.md")
    if json_:
        say_json(to_json(page))
    else:
        print_page(page)
        minutes = (time.monotonic() - started) / 60
        say(f"\n{len(done)} runs in {out} ({minutes:.1f} minutes now)")
        say(f"Page: {(out / 'report.html').resolve()}")
    if failed:
        raise WorkError(f"{len(failed)} of {len(cells)} runs failed; see status.json in each")


class DemoBar:
    """All cells as one bar with the time left; plain lines where there is no terminal."""

    def __init__(self, total: int, finished: int) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.console = make_console(stderr=True)
        self.total = total
        self.finished = finished
        self.started = time.monotonic()
        self.current = -1
        self.fresh = 0.0
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("demo", total=total, completed=finished, left="")

    def __enter__(self) -> DemoBar:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def __call__(self, number: int, cell: Prepared, progress: Progress) -> None:
        """Take one report of one cell."""
        if number != self.current:
            if self.current >= 0:
                self.fresh = float(int(self.fresh) + 1)
            self.current = number
            if not self.console.is_terminal:
                say(
                    f"run {number + 1} of {self.total}: {cell.spec.method}, "
                    f"seed {cell.spec.seed}{self._left()}",
                    sys.stderr,
                )
        # Predicting takes about a tenth of a cell's time.
        share = 0.9 if progress.phase == "training" else 0.1
        base = 0.0 if progress.phase == "training" else 0.9
        part = base + share * progress.done / max(1, progress.total)
        self.fresh = int(self.fresh) + min(part, 0.999)
        self.bar.update(
            self.task,
            completed=self.finished + self.fresh,
            description=f"run {number + 1} of {self.total}: "
            f"{cell.spec.method}, seed {cell.spec.seed}, {progress.phase}",
            left=self._left(),
        )

    def _left(self) -> str:
        """Time left by the pace of this session's own cells."""
        if self.fresh < 0.3:
            return ""
        pace = (time.monotonic() - self.started) / self.fresh
        left = pace * (self.total - self.finished - self.fresh)
        return f", about {max(1, round(left / 60))} min left"
